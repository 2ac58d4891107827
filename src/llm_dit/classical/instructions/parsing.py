"""Ordinary English → a list of operations. Nothing is ever dropped: what is not understood is an error that says so.

A sentence is split at its joints ("and", ",", "then", …) into the longest clauses that one rule matches as a whole.
`vocabulary.py` holds the words, `phrases.py` the English around them, `rules.py` turns both into patterns.
"""

import contextlib
import re
from dataclasses import dataclass, fields, replace
from functools import cache

from llm_dit.classical.instructions.color_rules import color_rules
from llm_dit.classical.instructions.colors import COLOR_WORDS
from llm_dit.classical.instructions.phrases import (
    NAMED_PART,
    STRENGTH_PATTERNS,
    Strength,
    normalise,
    split,
    strip_courtesy,
    take_strength,
)
from llm_dit.classical.instructions.reference import TOPICS
from llm_dit.classical.instructions.rules import Match, Rule, measure_rules, row_rules
from llm_dit.classical.instructions.vocabulary import ROWS, SCALES, Row
from llm_dit.classical.operations import Operation
from llm_dit.errors import InstructionError

_CHINESE = re.compile(r"(?!.*[\u3040-\u30ff]).*[\u3400-\u9fff\uf900-\ufaff]", re.DOTALL)
"""Text with Chinese characters and no kana, which would make it Japanese."""
_NOT_LATIN = re.compile(r"[^\W\d_\u0000-\u024f\u1e00-\u1eff]")
ENGLISH_ONLY = "The classical engine reads English only: say it in English, or use the Qwen-Image engine."
ENGLISH_ONLY_IN_CHINESE = (
    "内置引擎只能读懂英文（English）指令：请改用英文，例如“Make it blue”；要用中文，请使用 Qwen-Image 引擎。"
)
MAX_LENGTH = 1000
MAX_OPERATIONS = 12
# "Replace red with blue" and "tint it with blue" have a joint inside.
_MAX_PARTS_IN_CLAUSE = 2
_CAN_DO = (
    f"It can {', '.join(topic.label for topic in TOPICS)}, each with words such as “slightly”, “much” or “by 20%”; "
    "for anything else use the Qwen-Image engine."
)


@dataclass(frozen=True, kw_only=True)
class _Clause:
    """An understood clause in full words; `follows` when it took its beginning from the clause before."""

    text: str
    match: Match
    strength: Strength
    follows: bool


def parse_instruction(instruction: str) -> list[Operation]:
    """Return the operations that an instruction asks for, in its order; at least one.

    Raises `InstructionError` for text that is empty, too long, or not understood down to the last word.
    """
    if len(instruction) > MAX_LENGTH:
        raise InstructionError(f"The instruction is too long: use at most {MAX_LENGTH} characters.")
    clauses = _understood(instruction)
    if not clauses:
        raise InstructionError(f"Say what to change, for example “Make it blue and slightly darker”. {_CAN_DO}")
    if len(clauses) > MAX_OPERATIONS:
        raise InstructionError(
            f"The instruction asks for {len(clauses)} changes: use at most {MAX_OPERATIONS} at once."
        )
    if len(frozenset[str]().union(*(clause.match.names for clause in clauses))) > 1:
        raise InstructionError(
            "The instruction names several things, but a layer is edited as a whole: edit one at a time."
        )
    return [clause.match.operation for clause in _share_strengths(clauses)]


@cache
def _rules() -> tuple[Rule, ...]:
    """Return all rules; compiling their patterns takes a third of a second, so the first instruction waits for it."""
    return (*color_rules(), *measure_rules(), *row_rules())


def _understood(instruction: str) -> list[_Clause]:
    """Return the clauses of an instruction as it is written, or else with its slips of the keyboard mended."""
    text = normalise(instruction)
    try:
        return _clauses(text, instruction)
    except InstructionError:
        if _NOT_LATIN.search(text):
            raise InstructionError(ENGLISH_ONLY_IN_CHINESE if _CHINESE.match(text) else ENGLISH_ONLY) from None
        with contextlib.suppress(InstructionError):
            return _clauses(correct(text), instruction)
        raise


def _clauses(text: str, written: str) -> list[_Clause]:
    """Split the text into the longest clauses that are understood; `written` is how the user put it."""
    parts = [(a, b) for a, b in split(text) if strip_courtesy(text[a:b])]
    clauses: list[_Clause] = []
    at = 0
    while at < len(parts):
        head = clauses[-1].match.head if clauses else ""
        for count in range(min(_MAX_PARTS_IN_CLAUSE, len(parts) - at), 0, -1):
            words = strip_courtesy(text[parts[at][0] : parts[at + count - 1][1]])
            if clause := _understand(words, head):
                clauses.append(clause)
                at += count
                break
        else:
            raise _not_understood(text[parts[at][0] : parts[at][1]], written)
    return clauses


def _understand(words: str, head: str) -> _Clause | None:
    """Understand a clause alone or after the `head` of the one before: "make it less | bright" and "saturated".

    A lone word takes the head's direction, so there the head comes first; whole sentences stand alone first.
    """
    alone = _match(words)
    is_sentence = alone is not None and (alone.match.head != "" or not head)
    if is_sentence or not head:
        return alone
    beginning = head.lstrip("-")
    for start in (beginning, beginning.split()[0]):
        if clause := _match(f"{start} {words}"):
            return replace(clause, follows=True)
    return alone


def _match(text: str) -> _Clause | None:
    """Try the words as they stand first: in "make it soft" the word is the effect, in "a soft glow" its strength."""
    for words, strength in ((text, Strength()), take_strength(text)):
        for rule in _rules():
            if match := rule(words, strength):
                return _Clause(text=words, match=match, strength=strength, follows=False)
    return None


def _share_strengths(clauses: list[_Clause]) -> list[_Clause]:
    """Give all of "increase the brightness and contrast by 20%" the 20%, said with the first or with the last."""
    shared = list(clauses)
    for index in [*range(1, len(shared)), *range(len(shared) - 1, 0, -1)]:
        first, second = shared[index - 1], shared[index]
        if not second.follows or not {first.match.operation.effect, second.match.operation.effect} <= SCALES:
            continue
        for place, clause, strength in ((index, second, first.strength), (index - 1, first, second.strength)):
            if clause.strength.is_plain and not strength.is_plain:
                matches = (rule(clause.text, strength) for rule in _rules())
                match = next(match for match in matches if match)
                shared[place] = replace(clause, match=match, strength=strength)
    return shared


def _not_understood(part: str, written: str) -> InstructionError:
    # Who reads “bob” looks for another Bob.
    signs = [f"(?:{re.escape(end)})?" for end in (re.findall(r"^[^\w\s]*", part)[0], re.findall(r"[^\w\s]*$", part)[0])]
    words = r"\W+".join(map(re.escape, re.findall(r"\w+", part)))
    found = re.search(words.join(signs), written, re.IGNORECASE)
    shown = "".join(sign for sign in (found[0] if found else part).strip() if sign.isprintable())
    shown = shown if len(shown) <= 60 else f"{shown[:59]}…"
    negated = any(f" {word} " in f" {part} " for word in ("not", "don't", "never", "no", "without"))
    hint = " Say what to do instead of what not to do." if negated else ""
    if named := NAMED_PART.search(part):
        hint = f" A layer is edited as a whole: say “it” instead of “{named[0]}”."
    return InstructionError(f"The classical engine does not understand “{shown}”.{hint} {_CAN_DO}")


# Slips of the keyboard in an instruction: a word nobody knows, one slip away from one that the engine knows.


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
    """Return the words of the reference's examples, of the colors, and of the patterns of effects and strengths."""
    examples = (example.lower() for topic in TOPICS for example in topic.examples)
    patterns = [*(str(getattr(row, field.name)) for row in ROWS for field in fields(Row)), *STRENGTH_PATTERNS]
    words = {word for text in (*examples, *COLOR_WORDS) for word in _WORD.findall(text)}
    return frozenset(words.union(*map(_spelled_out, patterns)))


def _spelled_out(pattern: str) -> set[str]:
    """Return the words that a pattern matches, as far as they can be read off it: "colou?r" is two."""
    ends = {stem + end for stem, end in _OPTIONAL_END.findall(pattern)}
    letters = {before + letter + after for before, letter, after in _OPTIONAL_LETTER.findall(pattern)}
    without = _OPTIONAL_LETTER.sub(r"\1\3", _OPTIONAL_END.sub(r"\1", pattern))
    return ends | letters | set(_WORD.findall(without))
