"""Editing one layer by instruction."""

from dataclasses import replace

import numpy as np
from PIL import Image

from llm_dit.classical.effects import adjustments, filters, outline, parts
from llm_dit.classical.effects.parts import find_part, subject_of
from llm_dit.classical.effects.picture import Effect, FindSubject, Floats, Picture, Scene, read_picture, write_picture
from llm_dit.classical.instructions.parsing import language_of, parse_instruction
from llm_dit.classical.operations import Operation, Part, refusal, translated
from llm_dit.errors import InstructionError
from llm_dit.options import Shape
from llm_dit.runs import Progress, ProgressCallback

EFFECTS: dict[str, Effect] = {
    "recolor": adjustments.recolor,
    "replace": adjustments.replace,
    "gradient": adjustments.gradient,
    "isolate": adjustments.isolate,
    "tint": adjustments.tint,
    "brightness": adjustments.brightness,
    "exposure": adjustments.exposure,
    "contrast": adjustments.contrast,
    "saturation": adjustments.saturation,
    "vibrance": adjustments.vibrance,
    "warmth": adjustments.warmth,
    "hue": adjustments.hue,
    "glow": outline.glow,
    "sunset": outline.sunset,
    "shadow": outline.shadow,
    "cast": outline.cast,
    "outline": outline.outline,
    "greyscale": filters.greyscale,
    "invert": filters.invert,
    "sepia": filters.sepia,
    "vintage": filters.vintage,
    "night": filters.night,
    "metal": filters.metal,
    "vignette": filters.vignette,
    "grain": filters.grain,
    "posterize": filters.posterize,
    "blur": filters.blur,
    "sharpen": filters.sharpen,
    "simplify": filters.simplify,
    "pixelate": filters.pixelate,
    "cutout": parts.cutout,
    "mirror": outline.mirror,
    "flip": outline.flip,
    "turn": outline.turn,
    "rotate": outline.rotate,
    "opacity": outline.opacity,
}


NEEDS_NEW_SHAPE = frozenset({"opacity", "cast", "outline", "rotate"})
"""Effects that are invisible inside the existing outline."""
_TURNS = frozenset({"mirror", "flip", "turn", "rotate"})
_WHOLE_ONLY = _TURNS | {"cast", "outline"}
"""Effects that apply only to a whole layer."""
_BY_OUTLINE = frozenset({"cast", "outline", "glow", "sunset", "shadow", "cutout"})
"""Effects that follow the layer's outline: within a region they use the outline of the whole layer."""


def edit_image(
    layer: Image.Image,
    instruction: str,
    seed: int,
    shape: Shape = "keep",
    progress: ProgressCallback | None = None,
    subject: FindSubject = subject_of,
    within: Floats | None = None,
) -> Image.Image:
    """Return the RGBA `layer`, edited by `instruction`, at the same size; `docs/instructions.md` is the reference.

    With `shape="keep"` the alpha stays the same byte for byte; with "new" glow, shadow, outline, blur, flips, turns,
    opacity and background removal change it. Fully transparent pixels lose their color; a layer without visible pixels
    does not change. `seed` determines film grain. `progress` is called before the first and after each operation and
    may raise `Canceled`. `subject` finds what stands out from a background. `within` (height, width), 0–1, is where the
    layer may change: the region is edited like a whole layer, but effects that follow an outline use that of the whole
    layer, and turns are refused.

    Raises `InstructionError`, in the instruction's language, if the instruction is not understood, asks for something
    that the shape rules out, or names something that is not clear in this layer.
    """
    try:
        return _edit(layer, instruction, seed, shape, progress, subject, within)
    except InstructionError as error:
        if not error.hint:
            raise
        raise translated(error, language_of(instruction)) from None


def _edit(
    layer: Image.Image,
    instruction: str,
    seed: int,
    shape: Shape,
    progress: ProgressCallback | None,
    subject: FindSubject,
    within: Floats | None,
) -> Image.Image:
    operations = parse_instruction(instruction)
    if within is not None and any(operation.effect in _TURNS for operation in operations):
        raise refusal("region")
    if shape == "keep" and any(operation.effect in NEEDS_NEW_SHAPE for operation in operations):
        raise refusal("new_shape")
    source = layer.convert("RGBA")
    alpha = source.getchannel("A")
    picture = read_picture(source) if alpha.getbbox() else None
    scene = Scene(shape=shape, rng=np.random.default_rng(seed), subject=subject)
    found: dict[Part, Floats | None] = {}
    for step, operation in enumerate(operations):
        _report(progress, operation, step, len(operations))
        if picture and picture.alpha.any():
            picture = _carry_out(operation, picture, scene, found, within)
    _report(progress, operations[-1], len(operations), len(operations))
    return _finish(source, picture, alpha, shape)


def _carry_out(
    operation: Operation, picture: Picture, scene: Scene, found: dict[Part, Floats | None], within: Floats | None
) -> Picture:
    """Apply the operation to the whole picture, to the named part, or to their part inside a region.

    `found` caches the parts, so that each is searched only once: a sky that has turned pink is the same sky.
    """
    effect, part = EFFECTS[operation.effect], operation.part
    if part and part not in found:
        found[part] = _find(picture, part, scene, is_shown=within is not None)
    named = found[part] if part else None
    if part and named is not None and operation.effect in _WHOLE_ONLY:
        raise refusal("unclear_part", part=part.name)
    where = within if named is None else named if within is None else named * within
    if where is None or (named is None and operation.effect in _BY_OUTLINE):
        if operation.effect in _TURNS:
            found.clear()
        return effect(picture, operation, scene)
    before = picture.colors.copy()
    own = Picture(colors=picture.colors, alpha=picture.alpha * where)
    if not own.alpha.any():
        return picture
    edited = effect(own, operation, replace(scene, shape="keep"))
    colors = before + (edited.colors - before) * where[..., None]
    return Picture(colors=colors, alpha=picture.alpha * (1.0 - where) + edited.alpha)


def _find(picture: Picture, part: Part, scene: Scene, *, is_shown: bool) -> Floats | None:
    """Return the part by `find_part`; if it is unclear and a region is given, the part is the whole region (None)."""
    try:
        return find_part(picture, part, scene)
    except InstructionError as error:
        if is_shown and error.hint["reason"] in {"unclear_part", "no_subject"}:
            return None
        raise


def _finish(source: Image.Image, picture: Picture | None, alpha: Image.Image, shape: Shape) -> Image.Image:
    if picture is None:
        return source
    edited = write_picture(picture)
    if shape == "keep":
        edited.putalpha(alpha)
    return edited


def _report(progress: ProgressCallback | None, operation: Operation, step: int, total: int) -> None:
    if progress:
        progress(Progress(phase=operation.effect, step=step, total=total))
