"""The result of parsing an instruction: operations for the effects, or a refusal."""

from dataclasses import dataclass
from typing import Literal

from llm_dit.color import Rgb
from llm_dit.errors import InstructionError

PartKind = Literal["thing", "ground", "color", "letters", "garment", "natural", "scenery", "piece"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a layer: how to find it, and the user's `name` for it, such as "her jacket".

    A "thing" is the layer's subject, the "ground" its surroundings; a "color" has its `color`. "letters", a "garment"
    and anything "natural" are found by their colors, and `key` is its English name; a "piece" of a thing and "scenery"
    cannot be found by color.
    """

    kind: PartKind
    key: str
    name: str
    color: Rgb | None = None


@dataclass(frozen=True, kw_only=True)
class Operation:
    """An effect and its parameters.

    `amount` is a factor ≥ 0 for a scale (1 changes nothing), degrees for "hue" and "rotate" (clockwise), −1…1 for
    "tint", and a strength (1 is the plain effect) for everything else. `color` is the target, `second` the end of a
    gradient, `source` the only color to change, or the one to keep. `size` is in the effect's own unit: pixels of a
    blur, levels of a posterization, degrees of a gradient (0 to the right, 90 down). `part` is the part of the layer to
    edit, None for all of it.
    """

    effect: str
    amount: float = 1.0
    color: Rgb | None = None
    second: Rgb | None = None
    source: Rgb | None = None
    size: float | None = None
    part: Part | None = None


# Why an instruction is refused, in a sentence or two in its own language, and what to do instead.


Language = Literal["en", "zh"]
Reason = Literal[
    "empty", "too_long", "too_many", "not_understood", "negation", "other_language", "several_things", "new_thing",
    "new_shape", "size", "place", "delete", "hide", "copy", "undo", "unclear_part", "remove_part", "no_such_color",
    "no_background", "no_subject", "region",
]  # fmt: skip

_WORDS: dict[Reason, tuple[str, str]] = {
    "empty": (
        "Say what to change, for example “Make it blue and slightly darker”.",
        "请说明要改变什么，例如“改成蓝色，再暗一点”。",
    ),
    "too_long": (
        "The instruction is too long: use at most {most} characters.",
        "指令太长：最多 {most} 个字符。",
    ),
    "too_many": (
        "The instruction asks for {count} changes: use at most {most} at once.",
        "指令包含 {count} 项修改：一次最多 {most} 项。",
    ),
    "not_understood": (
        "The built-in engine does not understand “{part}”: docs/instructions.md lists its operations.",
        "内置引擎看不懂“{part}”：它能做的事见 docs/instructions.md。",
    ),
    "negation": (
        "The built-in engine does not understand “{part}”: say what to change, not what to leave.",
        "内置引擎看不懂“{part}”：请说要做什么，而不是不要做什么。",
    ),
    "other_language": (
        "The built-in engine reads English and Chinese only; the Qwen-Image engine reads other languages.",
        "内置引擎只读英文和中文；其他语言请使用 Qwen-Image 引擎。",
    ),
    "several_things": (
        "The instruction names several things in one layer: edit one at a time, or give each a layer of its own.",
        "指令提到了同一图层中的几样东西：请一次编辑一样，或先让它们各成一层。",
    ),
    "new_thing": (
        "The built-in engine cannot draw new things such as “{part}”: the Qwen-Image engine can.",
        "内置引擎不能画出新的东西（“{part}”）：请使用 Qwen-Image 引擎。",
    ),
    "new_shape": (
        "This changes the layer's outline, which shape “keep” preserves: choose shape “new”.",
        "这会改变图层的轮廓，而形状“keep”（保持）会保留它：请选择形状“new”（新形状）。",
    ),
    "size": (
        "The engine edits the content of a layer, not its size: scale the layer in the stack.",
        "引擎修改图层的内容，不改变它的大小：请在图层列表中缩放图层。",
    ),
    "place": (
        "The engine edits the content of a layer, not its position: move the layer in the stack.",
        "引擎修改图层的内容，不改变它的位置：请在图片上移动图层。",
    ),
    "delete": (
        "The engine edits the content of a layer: to remove the whole layer, delete it from the stack.",
        "引擎修改图层的内容：要去掉整个图层，请在图层列表中删除它。",
    ),
    "hide": (
        "The engine edits the content of a layer: to hide or show the whole layer, use its eye in the stack.",
        "引擎修改图层的内容：要隐藏或显示整个图层，请用图层列表中的眼睛图标。",
    ),
    "copy": (
        "The engine edits the content of a layer: to copy the whole layer, duplicate it in the stack.",
        "引擎修改图层的内容：要再来一份，请在图层列表中创建副本。",
    ),
    "undo": (
        "The engine keeps no history: undo on the page, or use an earlier version of the layer.",
        "引擎不保存历史：请在页面中撤销，或选用图层的早先版本。",
    ),
    "unclear_part": (
        "The engine cannot find “{part}” by its color: make it a layer with “Select object”, then edit that.",
        "无法按颜色确定这个图层里的“{part}”：请先用“选择物体”把它变成单独的图层，再编辑。",
    ),
    "remove_part": (
        "To remove “{part}”, make it a layer of its own with “Select object”, then delete that layer.",
        "要去掉“{part}”，请先用“选择物体”把它变成单独的图层，再删除该图层。",
    ),
    "no_such_color": (
        "Nothing in this layer has that color: name a color of the layer.",
        "这个图层里没有这种颜色：请说一种它有的颜色。",
    ),
    "no_background": (
        "This layer is already cut out: its background is another layer, edit that one.",
        "这个图层已经抠好：它的背景在别的图层上，请编辑那个图层。",
    ),
    "no_subject": (
        "Nothing stands out clearly from the background here: make it a layer with “Select object”, then edit that.",
        "这里没有明显突出于背景的东西：请先用“选择物体”把它变成单独的图层，再编辑。",
    ),
    "region": (
        "This turns the whole layer: leave the region out, or make a layer of the part with “Select object” first.",
        "这会翻转或旋转整个图层：请去掉区域限制，或先用“选择物体”把这一部分变成单独的图层。",
    ),
}
_WAYS: dict[Reason, str] = {
    "several_things": "select",
    "new_thing": "model",
    "new_shape": "new_shape",
    "size": "resize",
    "place": "move",
    "delete": "delete",
    "hide": "hide",
    "copy": "duplicate",
    "undo": "undo",
    "unclear_part": "select",
    "remove_part": "select",
    "no_background": "layers",
    "no_subject": "select",
    "region": "select",
    "other_language": "model",
}
"""What to do instead: use a tool of the page, a shape, another layer or a model."""


def refusal(reason: Reason, language: Language = "en", **values: str | int) -> InstructionError:
    """Return the error for a reason; `values` fill in its text."""
    told = {name: str(value) for name, value in values.items()}
    hint = {"reason": reason, **told}
    if reason in _WAYS:
        hint["way"] = _WAYS[reason]
    words = _WORDS[reason][0 if language == "en" else 1]
    return InstructionError(words.format(**told), hint=hint)


def translated(error: InstructionError, language: Language) -> InstructionError:
    """Return a refusal translated into `language`."""
    values = {name: value for name, value in error.hint.items() if name not in {"reason", "way"}}
    return refusal(error.hint["reason"], language, **values)  # pyright: ignore[reportArgumentType]
