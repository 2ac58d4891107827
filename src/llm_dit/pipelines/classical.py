"""The classical pipeline: image processing only, on any machine, without torch and without weights."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Unpack

import numpy as np
from PIL import Image

from llm_dit.alpha import resize_layer
from llm_dit.classical.decompose import decompose_image
from llm_dit.classical.effects import adjustments, parts, spatial
from llm_dit.classical.effects.parts import find_part, subject_of
from llm_dit.classical.instructions.parsing import language_of, parse_instruction
from llm_dit.classical.operations import (
    Effect,
    FindSubject,
    Floats,
    Operation,
    Part,
    Picture,
    Scene,
    read_picture,
    refusal,
    translated,
    write_picture,
)
from llm_dit.editing.region import read_region
from llm_dit.errors import ImageError, InputError, InstructionError
from llm_dit.layers import Decomposition
from llm_dit.options import (
    DecomposeArguments,
    DecomposeOptions,
    EditArguments,
    EditOptions,
    LayerNum,
    NamedBox,
    Shape,
    bounds,
    chosen_seed,
)
from llm_dit.runs import (
    CLASSICAL_MAX_ASPECT,
    EDIT_RESOLUTION,
    LAYER_ALONE,
    PipelineStatus,
    PreviewCallback,
    Progress,
    ProgressCallback,
    RegionLike,
    check_aspect,
    check_image,
    model_size,
)
from llm_dit.surroundings import SurroundingsLike

MOST_LAYERS = 8
"""The layers of the trial run for the automatic number."""
TRIAL_PIXELS = 640**2
TRIAL_PERCENT = 40
CROP = "crop it, or use its own size"
NO_REFERENCES = (
    "The classical engine does not support reference pictures: leave them out, or use a Qwen-Image edit model."
)
NO_LORAS = "The classical engine has no LoRAs: leave them out, or use Qwen-Image."


class ClassicalPipeline:
    """Decomposes and edits with published image processing methods; the same arguments always give the same bytes."""

    engine = "classical"
    any_size = True

    @property
    def has_edit_model(self) -> bool:
        """Always true: there is nothing to load."""
        return True

    def load_edit_model(self) -> None:
        """Do nothing: there is nothing to load."""

    def status(self) -> PipelineStatus:
        """Return the status: everything is loaded, on the CPU."""
        return PipelineStatus(models=("classical",), has_edit_model=True, device="CPU")

    def decompose(
        self,
        image: Image.Image,
        prompt: str = "",
        *,
        regions: Sequence[NamedBox] = (),
        progress: ProgressCallback | None = None,
        preview: PreviewCallback | None = None,
        **options: Unpack[DecomposeArguments],
    ) -> Decomposition:
        """Return `[composite, bottom, …, top]`: `layer_num` + 1 RGBA images of one size, `.seed`, `.prompt`, `.names`.

        `image` may have any 8-bit mode and transparency; the layers then composite to the same transparency.
        `DecomposeOptions` has the options. The content of each of `regions`, boxes in pixels of `image`, becomes a
        layer above the others with the region's name, smaller boxes above larger ones; at least one layer is left for
        the rest. With `output_size="original"` the composite differs from the image by at most 1 of 255 levels; with
        "model" the image is first resized to sides that are multiples of 32. With `layer_num="auto"` a run with
        `MOST_LAYERS` on a copy of at most 640² pixels determines how many layers add enough to the picture; the result
        is that of asking for this number. Prompts, steps, guidance and the two switches are checked but have no effect,
        because there is no diffusion; `preview` is never called. `loras` are refused. Raises an `InputError` that names
        the parameter, or what `progress` raises.
        """
        check_image(image, "image")
        asked = DecomposeOptions(prompt=prompt, **options)
        _check_loras(asked.loras)
        seed = chosen_seed(asked.seed)
        picture = image.convert("RGBA")
        automatic = asked.layer_num == "auto"
        most = MOST_LAYERS if asked.layer_num == "auto" else asked.layer_num
        if automatic:
            # At most one layer per pixel, and at least one besides those of the regions.
            most = max(min(most, _seen_pixels(picture)), 1)
            most = min(max(most, len(regions) + 1), bounds(LayerNum)[1])
        _check_content(picture, most)
        _check_regions(regions, picture.size, most)
        if asked.output_size == "model":
            check_aspect(image, CLASSICAL_MAX_ASPECT, CROP, "image")
            picture = resize_layer(picture, model_size(picture.size, asked.resolution))
            across, down = picture.width / image.width, picture.height / image.height
            regions = [region.scaled(across, down) for region in regions]
        count = most
        if automatic:
            count = _count_layers(picture, most, seed, regions, _part(progress, 0, TRIAL_PERCENT))
            progress = _part(progress, TRIAL_PERCENT, 100)
        layers, names = decompose_image(picture, count, seed, asked.language, progress, regions=regions)
        return Decomposition(layers, seed=seed, prompt=prompt, names=names, picture=picture)

    def edit_layer(
        self,
        layer_image: Image.Image,
        instruction: str,
        *,
        region: RegionLike | None = None,
        references: Sequence[Image.Image] = (),
        surroundings: SurroundingsLike | None = None,
        progress: ProgressCallback | None = None,
        preview: PreviewCallback | None = None,
        **options: Unpack[EditArguments],
    ) -> Image.Image:
        """Return the edited RGBA layer; `shape="keep"` gives it the original alpha, byte for byte.

        `instruction` is ordinary English or Chinese of what `llm_dit.classical.instructions` understands; anything else
        raises `InstructionError`, whose `hint` says why, and what leads there instead. With
        `output_size="model"` the layer is first resized to an area of 1024². With a `region`, a box or a mask as
        `llm_dit.editing.region` describes it, what lies outside stays byte for byte; turns are refused there.
        The steps, guidance and the negative prompt are checked but change nothing, `references`, `context` and `loras`
        are refused, and `preview` is never called. Raises `InputError` naming the parameter, or what `progress` raises.
        """
        check_image(layer_image, "layer_image")
        if references:
            raise InputError(NO_REFERENCES, param="references")
        asked = EditOptions(instruction=instruction, **options)
        if asked.context or surroundings is not None:
            raise InputError(LAYER_ALONE, param="context")
        _check_loras(asked.loras)
        layer = layer_image.convert("RGBA")
        where = None if region is None else read_region(region, layer, asked.shape)
        if asked.output_size == "model":
            check_aspect(layer, CLASSICAL_MAX_ASPECT, CROP, "layer_image")
            layer = resize_layer(layer, model_size(layer.size, EDIT_RESOLUTION))
            where = where and where.resized(layer.size)
        seed = chosen_seed(asked.seed)
        if where is None:
            return edit_image(layer, instruction, seed, asked.shape, progress)
        return where.put_in(layer, edit_image(layer, instruction, seed, asked.shape, progress, within=where.share))


def _check_loras(loras: Sequence[str] | None) -> None:
    """Refuse LoRAs, because a picture without their style would be misleading."""
    if loras:
        raise InputError(NO_LORAS, param="loras")


def _count_layers(
    picture: Image.Image, most: int, seed: int, regions: Sequence[NamedBox], progress: ProgressCallback | None
) -> int:
    """Return the automatic number of layers, at least one more than the regions."""
    share = min(1.0, (TRIAL_PIXELS / (picture.width * picture.height)) ** 0.5)
    size = max(1, round(picture.width * share)), max(1, round(picture.height * share))
    small = resize_layer(picture, size)
    most = max(1, min(most, _seen_pixels(small)))
    if most <= len(regions):
        return len(regions) + 1
    boxes = [region.scaled(size[0] / picture.width, size[1] / picture.height) for region in regions]
    layers, names = decompose_image(small, most, seed, "en", progress, regions=boxes)
    score = Decomposition(layers, seed=seed, prompt="", names=names, picture=small).score
    return max(score.worth_asking if score else most, len(regions) + 1)


def _part(progress: ProgressCallback | None, first: int, last: int) -> ProgressCallback | None:
    """Return a progress callback that maps a part of a run to a range of percent of the whole."""
    if progress is None:
        return None

    def report(part: Progress) -> None:
        step = first + (last - first) * part.step // max(part.total, 1)
        progress(Progress(phase=part.phase, step=step, total=100))

    return report


def _seen_pixels(picture: Image.Image) -> int:
    return picture.width * picture.height - picture.getchannel("A").histogram()[0]


def _check_content(picture: Image.Image, layer_num: int) -> None:
    shown = _seen_pixels(picture)
    if shown == 0:
        raise ImageError("The picture is fully transparent: there is nothing to decompose.")
    if shown < layer_num:
        raise ImageError(f"The picture shows fewer pixels than layers are asked for: ask for at most {shown}.")


def _check_regions(regions: Sequence[NamedBox], size: tuple[int, int], layer_num: int) -> None:
    if len(regions) >= layer_num:
        raise InputError(
            f"There are {len(regions)} regions for {layer_num} layers: ask for one layer more than there are regions, "
            "for what lies behind them.",
            param="regions",
        )
    for left, top, right, bottom in (region.box for region in regions):
        if right <= 0 or bottom <= 0 or left >= size[0] or top >= size[1]:
            raise InputError(
                f"A box lies outside the picture, which has {size[0]}×{size[1]} pixels: draw it around a thing in it.",
                param="regions",
            )


# Editing one layer by an instruction.

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
    "glow": spatial.glow,
    "sunset": spatial.sunset,
    "shadow": spatial.shadow,
    "cast": spatial.cast,
    "outline": spatial.outline,
    "greyscale": adjustments.greyscale,
    "invert": adjustments.invert,
    "sepia": adjustments.sepia,
    "vintage": spatial.vintage,
    "night": adjustments.night,
    "metal": adjustments.metal,
    "vignette": spatial.vignette,
    "grain": spatial.grain,
    "posterize": adjustments.posterize,
    "blur": spatial.blur,
    "sharpen": spatial.sharpen,
    "simplify": spatial.simplify,
    "pixelate": spatial.pixelate,
    "cutout": parts.cutout,
    "mirror": spatial.mirror,
    "flip": spatial.flip,
    "turn": spatial.turn,
    "rotate": spatial.rotate,
    "opacity": spatial.opacity,
}


NEEDS_NEW_SHAPE = frozenset({"opacity", "cast", "outline", "rotate"})
"""Effects that are invisible inside the existing spatial."""
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
