"""Editing one layer by instruction."""

import numpy as np
from PIL import Image

from llm_dit.classical.effects import cutout, detail, geometry, light, looks, recolor, tone
from llm_dit.classical.effects.picture import Effect, Picture, Scene, read_picture, write_picture
from llm_dit.classical.instructions.parsing import parse_instruction
from llm_dit.classical.operations import Operation
from llm_dit.errors import InstructionError
from llm_dit.options import Shape
from llm_dit.runs import Progress, ProgressCallback

EFFECTS: dict[str, Effect] = {
    "recolor": recolor.recolor,
    "replace": recolor.replace,
    "tint": recolor.tint,
    "brightness": tone.brightness,
    "exposure": tone.exposure,
    "contrast": tone.contrast,
    "saturation": tone.saturation,
    "vibrance": tone.vibrance,
    "warmth": tone.warmth,
    "hue": tone.hue,
    "glow": light.glow,
    "sunset": light.sunset,
    "shadow": light.shadow,
    "greyscale": looks.greyscale,
    "invert": looks.invert,
    "sepia": looks.sepia,
    "vintage": looks.vintage,
    "vignette": looks.vignette,
    "grain": looks.grain,
    "posterize": looks.posterize,
    "blur": detail.blur,
    "sharpen": detail.sharpen,
    "simplify": detail.simplify,
    "pixelate": detail.pixelate,
    "cutout": cutout.cutout,
    "mirror": geometry.mirror,
    "flip": geometry.flip,
    "turn": geometry.turn,
    "opacity": geometry.opacity,
}


def edit_image(
    layer: Image.Image,
    instruction: str,
    seed: int,
    shape: Shape = "keep",
    progress: ProgressCallback | None = None,
) -> Image.Image:
    """Return the RGBA `layer` as `instruction` asks for, in its own size; `docs/instructions.md` is the reference.

    With `shape="keep"` the alpha is the layer's, byte for byte; with "new" glow, shadow, blur, flips, opacity and
    background removal change it. What is fully transparent comes back without color; a layer of which nothing is
    visible comes back as it is. `seed` fixes the grain of film. `progress` is called before the first and after each
    operation and may raise `Canceled`.

    Raises `InstructionError` when the instruction is not understood or asks for something that the shape rules out.
    """
    operations = parse_instruction(instruction)
    if shape == "keep" and any(operation.effect == "opacity" for operation in operations):
        raise InstructionError(
            "Transparency changes the layer's alpha, which shape “keep” preserves: choose shape “new”, "
            "or set the layer's opacity in the stack."
        )
    source = layer.convert("RGBA")
    alpha = source.getchannel("A")
    picture = read_picture(source) if alpha.getbbox() else None
    scene = Scene(shape=shape, rng=np.random.default_rng(seed))
    for step, operation in enumerate(operations):
        _report(progress, operation, step, len(operations))
        if picture and picture.alpha.any():
            picture = EFFECTS[operation.effect](picture, operation, scene)
    _report(progress, operations[-1], len(operations), len(operations))
    return _finish(source, picture, alpha, shape)


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
