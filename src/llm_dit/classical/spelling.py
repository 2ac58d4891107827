"""Slips of the keyboard in an instruction: a word nobody knows, one slip away from one that the engine knows."""

import re
from dataclasses import fields
from functools import cache

from llm_dit.classical.colours import COLOUR_WORDS
from llm_dit.classical.phrases import STRENGTH_PATTERNS
from llm_dit.classical.reference import TOPICS
from llm_dit.classical.vocabulary import ROWS, Row

SHORTEST = 4
"""Letters; a slip in a shorter word leaves too little to know it by."""
SHORTEST_SWAPPED_LETTER = 6
"""Letters from which one may be another: "shape" is not "shade"."""
_SHORT_SLIPS = {"teh": "the", "hte": "the"}
"""The shorter ones that are no words themselves."""
_WORD = re.compile(r"[a-z]+")
_OPTIONAL_END = re.compile(r"([a-z]+)\(\?:([a-z]+)\)\?")
_OPTIONAL_LETTER = re.compile(r"([a-z]*)([a-z])\?([a-z]*)")


def correct(text: str) -> str:
    """Return lower-case text with every unknown word replaced by the known one that it is one slip away from.

    A slip is a letter too many or too few, two in the wrong order, or, in longer words, a wrong one (Damerau, "A
    technique for computer detection and correction of spelling errors", 1964); the first letter is right. A word that
    could be two known ones stays, unless one is the other's beginning: "horizontaly" is "horizontally".
    """
    return _WORD.sub(lambda found: _corrected(found[0]), text)


@cache
def _corrected(word: str) -> str:
    if len(word) < SHORTEST or word in _known():
        return _SHORT_SLIPS.get(word, word)
    meant = [known for known in _known() if len(known) >= SHORTEST and _one_slip(word, known)]
    longest = max(meant, key=len, default=word)
    return longest if all(longest.startswith(known) for known in meant) else word


def _one_slip(word: str, known: str) -> bool:
    if word[0] != known[0] or abs(len(word) - len(known)) > 1:
        return False
    at = next((place for place, (a, b) in enumerate(zip(word, known, strict=False)) if a != b), len(word))
    if len(word) > len(known):
        return word[at + 1 :] == known[at:]
    if len(word) < len(known):
        return word[at:] == known[at + 1 :]
    swapped = word[at : at + 2] == known[at : at + 2][::-1] and word[at + 2 :] == known[at + 2 :]
    return swapped or (len(known) >= SHORTEST_SWAPPED_LETTER and word[at + 1 :] == known[at + 1 :])


@cache
def _known() -> frozenset[str]:
    """Return the words of the reference's examples, of the colours, and of the patterns of effects and strengths."""
    examples = (example.lower() for topic in TOPICS for example in topic.examples)
    patterns = [*(str(getattr(row, field.name)) for row in ROWS for field in fields(Row)), *STRENGTH_PATTERNS]
    words = {word for text in (*examples, *COLOUR_WORDS) for word in _WORD.findall(text)}
    return frozenset(words.union(*map(_spelled_out, patterns)))


def _spelled_out(pattern: str) -> set[str]:
    """Return the words that a pattern matches, as far as they can be read off it: "colou?r" is two."""
    ends = {stem + end for stem, end in _OPTIONAL_END.findall(pattern)}
    letters = {before + letter + after for before, letter, after in _OPTIONAL_LETTER.findall(pattern)}
    without = _OPTIONAL_LETTER.sub(r"\1\3", _OPTIONAL_END.sub(r"\1", pattern))
    return ends | letters | set(_WORD.findall(without))
