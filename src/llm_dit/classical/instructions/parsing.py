"""Parsing words into a list of operations. Nothing is dropped: what is not understood is an error that says so.

A sentence is split at its separators ("and", ",", "then", …) into the longest clauses that one rule matches as a whole.
`english.py` holds the words, `rules.py` the sentences around them and the patterns for both, `value_rules.py`
the sentences with a color or a number. Chinese uses the same rules: `chinese_words.py` reads its words by
`chinese_lexicon.toml`, `chinese_clauses.py` puts them in the rules' order.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache

from llm_dit.classical.instructions.chinese_clauses import plain_clause
from llm_dit.classical.instructions.chinese_words import split_chinese, split_weakly, words_of
from llm_dit.classical.instructions.english import SCALES, TOOLS, normalise, readings, split, strip_courtesy
from llm_dit.classical.instructions.rules import NAMED_PART, Match, Rule, Strength, part_of, row_rules, take_strength
from llm_dit.classical.instructions.value_rules import color_rules, measure_rules
from llm_dit.classical.operations import Language, Operation, Part, Reason, refusal
from llm_dit.errors import InstructionError

_CHINESE = re.compile(r"(?!.*[\u3040-\u30ff]).*[\u3400-\u9fff\uf900-\ufaff]", re.DOTALL)
"""Text with Chinese characters and no kana, which would make it Japanese."""
_NOT_LATIN = re.compile(r"[^\W\d_\u0000-\u024f\u1e00-\u1eff]")
MAX_LENGTH = 1000
MAX_OPERATIONS = 12
# "Replace red with blue" and "tint it with blue" contain a separator.
_MAX_PARTS_IN_CLAUSE = 2
_NEGATIONS = ("not", "don't", "never", "no", "without", "dont", "不", "别", "勿")
# What only a model can do: new objects, and the styles of painters.
_DRAWS = re.compile(
    r"(?:add|draw|insert|put|place|create|generate|wear|give (?:it|him|her|them))\b.*"
    r"|(?:turn|transform|change|convert|replace) .* (?:into|with|to) an? .*"
    r"|.*\b(?:(?:photo|hyper)?-?realis(?:tic|m)|cartoon|anime|manga|comic|painting|painted|water-?colou?r|sketch|3d|snow)\b.*"
)
_DRAWS_IN_CHINESE = re.compile(r".*(?:卡通|动漫|动画|漫画|油画|水彩|素描|写实|真实|逼真|立体|手绘|下雪|雪景)")
_TOOL_REASONS: dict[str, Reason] = {
    "resize": "size",
    "move": "place",
    "delete": "delete",
    "hide": "hide",
    "duplicate": "copy",
    "undo": "undo",
}


@dataclass(frozen=True, kw_only=True)
class _Clause:
    """An understood clause in full words; `follows` if it took its beginning from the clause before.

    `written` has the original spelling of names that the words have in English.
    """

    text: str
    match: Match
    strength: Strength
    follows: bool
    written: Mapping[str, str] = field(default_factory=dict[str, str])


def language_of(instruction: str) -> Language:
    """Return the language in which to answer an instruction."""
    return "zh" if _CHINESE.match(instruction) else "en"


def parse_instruction(instruction: str) -> list[Operation]:
    """Return the operations of an instruction, in its order; at least one.

    Raises `InstructionError`, in the instruction's language, for text that is empty, too long, not understood to the
    last word, or asks for what a tool of the page does.
    """
    language = language_of(instruction)
    if len(instruction) > MAX_LENGTH:
        raise refusal("too_long", language, most=MAX_LENGTH)
    clauses = _understood(instruction, language)
    if not clauses:
        raise refusal("empty", language)
    if len(clauses) > MAX_OPERATIONS:
        raise refusal("too_many", language, count=len(clauses), most=MAX_OPERATIONS)
    operations = _with_parts(_share_strengths(clauses))
    _check_tools(operations, language)
    _check_things(operations, language)
    return operations


@cache
def _rules() -> tuple[Rule, ...]:
    """Return all rules, compiled on first use, because compiling takes a third of a second."""
    return (*color_rules(), *measure_rules(), *row_rules())


def _understood(instruction: str, language: Language) -> list[_Clause]:
    """Return the clauses of an instruction as written, or else in plainer words."""
    text = normalise(instruction)
    if language == "zh":
        return _chinese_clauses(text)
    if _NOT_LATIN.search(text):
        raise refusal("other_language")
    refused: InstructionError | None = None
    for reading in dict.fromkeys(readings(text)):
        try:
            return _clauses(reading, instruction)
        except InstructionError as error:
            refused = refused or error
    assert refused
    raise refused


def _clauses(text: str, written: str) -> list[_Clause]:
    """Split the text into the longest clauses that are understood; `written` is the user's own text."""
    parts = [(a, b) for a, b in split(text) if strip_courtesy(text[a:b])]

    def words(first: int, count: int) -> str:
        return strip_courtesy(text[parts[first][0] : parts[first + count - 1][1]])

    def fail(at: int) -> InstructionError:
        return _not_understood(text[parts[at][0] : parts[at][1]], _as_written(words(at, 1), written), "en")

    return _longest(len(parts), words, fail)


def _chinese_clauses(text: str) -> list[_Clause]:
    """Parse Chinese by the same rules, translating each clause into plain words."""
    wholes = _with_the_rest(split_chinese(text))
    parts: list[str] = []
    for whole in wholes:
        plain = plain_clause(whole)
        several = split_weakly(whole)
        understood = plain is not None and _match(plain.plain) is not None
        parts += [whole] if understood or len(several) < 2 else several
    plains = [plain_clause(part) for part in parts]

    def words(first: int, count: int) -> str:
        plain = plains[first]
        return plain.plain if plain is not None and count == 1 else "\0"

    def fail(at: int) -> InstructionError:
        plain = plains[at]
        return _not_understood(plain.plain if plain else "", parts[at], "zh")

    names = {name: written for plain in plains if plain for name, written in plain.names.items()}
    return [replace(clause, written=names) for clause in _longest(len(parts), words, fail)]


def _with_the_rest(clauses: list[str]) -> list[str]:
    """Join "只保留红色" and "其他变黑白": the second says what happens to the rest of the first."""
    joined: list[str] = []
    for clause in clauses:
        if joined and any(word.kind == "others" for word in words_of(clause)):
            joined[-1] += clause
        else:
            joined.append(clause)
    return joined


def _longest(length: int, words: Callable[[int, int], str], fail: Callable[[int], InstructionError]) -> list[_Clause]:
    """Return the clauses that `length` parts form, each the longest run of parts that is understood."""
    clauses: list[_Clause] = []
    at = 0
    while at < length:
        head = clauses[-1].match.head if clauses else ""
        for count in range(min(_MAX_PARTS_IN_CLAUSE, length - at), 0, -1):
            if clause := _understand(words(at, count), head):
                clauses.append(clause)
                at += count
                break
        else:
            raise fail(at)
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


@lru_cache(256)
def _match(text: str) -> _Clause | None:
    """Match the words as they stand first: in "make it soft" the word is the effect, in "a soft glow" its strength."""
    plain, asked = take_strength(text)
    for words, strength in ((text, Strength()), (plain.strip(" ,"), asked)):
        for rule in _rules():
            if match := rule(words, strength):
                return _Clause(text=words, match=match, strength=strength, follows=False)
    return None


def _share_strengths(clauses: list[_Clause]) -> list[_Clause]:
    """Apply the 20% of "increase the brightness and contrast by 20%" to both clauses, wherever it stands."""
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


def _with_parts(clauses: list[_Clause]) -> list[Operation]:
    """Return the operations with the parts that they edit; "it" is what was named before."""
    operations: list[Operation] = []
    last: Part | None = None
    for clause in clauses:
        operation, names = clause.match.operation, sorted(clause.match.names)
        part = operation.part
        if names:
            part = part_of(names[0])
            part = replace(part, name=clause.written.get(names[0], part.name))
        elif part is None and (clause.match.means_named or clause.follows):
            part = last
        if operation.source is not None or operation.effect == "cutout":
            # The color identifies the part; what is cut out is the subject.
            part = None
        operations.append(replace(operation, part=part))
        last = part
    return operations


def _check_tools(operations: list[Operation], language: Language) -> None:
    for operation in operations:
        if operation.effect not in TOOLS:
            continue
        part = operation.part
        if part is None or (part.kind in {"thing", "scenery"} and operation.effect != "delete"):
            raise refusal(_TOOL_REASONS[operation.effect], language)
        raise refusal("remove_part" if operation.effect == "delete" else "unclear_part", language, part=part.name)


def _check_things(operations: list[Operation], language: Language) -> None:
    """Refuse two names if nothing says where in the layer either is."""
    names = {part.name for part in (operation.part for operation in operations) if part and part.kind in _NOWHERE}
    if len(names) > 1:
        raise refusal("several_things", language)


_NOWHERE = ("thing", "scenery", "piece")


def _not_understood(part: str, shown: str, language: Language) -> InstructionError:
    """Return the refusal of a clause: `part` in plain words, `shown` as written."""
    shown = "".join(sign for sign in shown.strip() if sign.isprintable())
    shown = shown if len(shown) <= 60 else f"{shown[:59]}…"
    if any(f" {word} " in f" {part} " for word in _NEGATIONS) or re.search(r"不要|别|不许|不能|勿", shown):
        return refusal("negation", language, part=shown)
    if named := NAMED_PART.search(part):
        return refusal("unclear_part", language, part=named[0] if language == "en" else shown)
    if _DRAWS.fullmatch(part) or _DRAWS_IN_CHINESE.match(shown):
        return refusal("new_thing", language, part=shown)
    return refusal("not_understood", language, part=shown)


def _as_written(part: str, written: str) -> str:
    # A reader of “bob” would look for another Bob.
    signs = [f"(?:{re.escape(end)})?" for end in (re.findall(r"^[^\w\s]*", part)[0], re.findall(r"[^\w\s]*$", part)[0])]
    words = r"\W+".join(map(re.escape, re.findall(r"\w+", part)))
    found = re.search(words.join(signs), written, re.IGNORECASE)
    return found[0] if found else part
