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
"""Effects that come to nothing inside the outline as it is."""
_TURNS = frozenset({"mirror", "flip", "turn", "rotate"})
_WHOLE_ONLY = _TURNS | {"cast", "outline"}
"""Effects that a part of a layer cannot have without the rest."""
_BY_OUTLINE = frozenset({"cast", "outline", "glow", "sunset", "shadow", "cutout"})
"""Effects that go by the layer's outline: within a region they are those of the whole layer."""


def edit_image(
    layer: Image.Image,
    instruction: str,
    seed: int,
    shape: Shape = "keep",
    progress: ProgressCallback | None = None,
    subject: FindSubject = subject_of,
    within: Floats | None = None,
) -> Image.Image:
    """Return the RGBA `layer` as `instruction` asks for, in its own size; `docs/instructions.md` is the reference.

    With `shape="keep"` the alpha is the layer's, byte for byte; with "new" glow, shadow, outline, blur, flips, turns,
    opacity and background removal change it. What is fully transparent comes back without color; a layer of which
    nothing is visible comes back as it is. `seed` fixes the grain of film. `progress` is called before the first and
    after each operation and may raise `Canceled`. `subject` finds what stands out from a background. `within` (height,
    width), 0–1, is where the layer may change: what lies there is edited as if it were all of the layer, but what goes
    by an outline follows the whole layer's, and turns are refused.

    Raises `InstructionError`, in the instruction's language, when the instruction is not understood, asks for something
    that the shape rules out, or names what is not clear in this layer.
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
    """Do it to all of the picture, to the part that is meant, or within a region, to as much of it as lies there.

    `found` has the parts that were looked for before: a sky that has been made pink is the same sky, so a part is
    looked for once.
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
    """Return where a part is, as `find_part` does; one that is not clear is all of the region by which it is shown."""
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
