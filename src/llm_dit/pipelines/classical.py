"""The classical pipeline: image processing only, on any machine, without torch and without weights."""

from typing import get_args

from PIL import Image

from llm_dit.alpha import bleed, restore_alpha
from llm_dit.classical.decompose import decompose_image
from llm_dit.classical.edit import edit_image
from llm_dit.errors import ImageError, InputError, InstructionError
from llm_dit.layers import Decomposition
from llm_dit.pipelines.base import MAX_SEED, EditOutputSize, OutputSize, ProgressCallback, Shape, chosen_seed

RESOLUTIONS = (640, 1024)
MAX_ASPECT = 20
EDIT_SIDE = 1024
"""An edit at the model's size covers this many pixels squared."""


class ClassicalPipeline:
    """Decomposes and edits by published image processing methods; the same arguments always give the same bytes."""

    engine = "classical"

    @property
    def has_edit_model(self) -> bool:
        """Always true: there is nothing to load."""
        return True

    def load_edit_model(self) -> None:
        """Do nothing: there is nothing to load."""

    def decompose(
        self,
        image: Image.Image,
        prompt: str = "",
        layer_num: int = 4,
        resolution: int = 640,
        num_inference_steps: int = 50,
        cfg_scale: float = 4.0,
        seed: int | None = None,
        negative_prompt: str = " ",
        cfg_normalize: bool = True,
        use_en_prompt: bool = True,
        output_size: OutputSize = "model",
        progress: ProgressCallback | None = None,
    ) -> Decomposition:
        """Return `[composite, bottom, …, top]`: `layer_num` + 1 RGBA images of one size, `.seed`, `.prompt`, `.names`.

        `image` may have any 8-bit mode and may be transparent in part; the layers then composite to the same
        transparency. `layer_num` is 1–10. With `output_size="original"` the result has the image's size and the
        composite differs from it by at most 1 of 255 levels; with "model" the image is first resized to an area of
        `resolution`² (640 or 1024), sides multiples of 32. `seed` (0 to 2^53 − 1) is drawn when None.
        The prompts, `num_inference_steps` (1–100), `cfg_scale` (1–20) and the two switches are checked but change
        nothing: there is no diffusion here. Raises `InputError` naming the parameter, or what `progress` raises.
        """
        _check_image(image, "image")
        _check_range(layer_num, 1, 10, "layer_num")
        _check_sampling(num_inference_steps, cfg_scale, seed)
        if resolution not in RESOLUTIONS:
            raise InputError("resolution is 640 or 1024.", param="resolution")
        _check_choice(output_size, OutputSize, "output_size")
        used_seed = chosen_seed(seed)
        picture = image.convert("RGBA")
        _check_content(picture, layer_num)
        if output_size == "model":
            picture = resize_layer(picture, model_size(picture.size, resolution, "image"))
        layers, names = decompose_image(picture, layer_num, used_seed, progress)
        return Decomposition(layers, seed=used_seed, prompt=prompt, names=names)

    def edit_layer(
        self,
        layer_image: Image.Image,
        instruction: str,
        num_inference_steps: int = 50,
        cfg_scale: float = 4.0,
        seed: int | None = None,
        negative_prompt: str = " ",
        shape: Shape = "keep",
        output_size: EditOutputSize = "layer",
        progress: ProgressCallback | None = None,
    ) -> Image.Image:
        """Return the edited RGBA layer; `shape="keep"` gives it the original alpha, byte for byte.

        `instruction` is ordinary English of what `llm_dit.classical.instructions` understands; anything else raises
        `InstructionError`, which lists it. With `output_size="model"` the layer is first resized to an area of 1024².
        The sampling arguments are checked but change nothing. Raises `InputError` naming the parameter, or what
        `progress` raises.
        """
        _check_image(layer_image, "layer_image")
        _check_sampling(num_inference_steps, cfg_scale, seed)
        _check_choice(shape, Shape, "shape")
        _check_choice(output_size, EditOutputSize, "output_size")
        if not instruction.strip():
            raise InstructionError("The instruction is empty: say what to change, such as “make it blue”.")
        layer = layer_image.convert("RGBA")
        if output_size == "model":
            layer = resize_layer(layer, model_size(layer.size, EDIT_SIDE, "layer_image"))
        return edit_image(layer, instruction, chosen_seed(seed), shape, progress)


def model_size(size: tuple[int, int], resolution: int, param: str) -> tuple[int, int]:
    """Return width and height of about `resolution`² pixels, the aspect of `size` kept, multiples of 32.

    As diffusers' `calculate_dimensions` for the Qwen-Image pipelines does; no side is less than 32. Raises `ImageError`
    for `param` when one side is more than `MAX_ASPECT` times the other.
    """
    if max(size) > MAX_ASPECT * min(size):
        raise ImageError(
            f"The picture is more than {MAX_ASPECT} times as long as it is wide: crop it, or ask for its own size.",
            param=param,
        )
    ratio = size[0] / size[1]
    width = (resolution * resolution * ratio) ** 0.5
    return max(32, round(width / 32) * 32), max(32, round(width / ratio / 32) * 32)


def resize_layer(layer: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return an RGBA image at another size; colours that nobody sees do not bleed into the edges."""
    if layer.size == size:
        return layer
    colours, alpha = bleed(layer).convert("RGB"), layer.getchannel("A")
    if alpha.getextrema() != (255, 255):
        # Pillow resizes the premultiplied mode "RGBa" as it should be.
        return bleed(layer.convert("RGBa").resize(size, Image.Resampling.LANCZOS).convert("RGBA"))
    return restore_alpha(colours.resize(size, Image.Resampling.LANCZOS), Image.new("L", size, 255))


def _check_image(image: Image.Image, param: str) -> None:
    if image.width < 1 or image.height < 1:
        raise ImageError("The image is empty: it needs at least 1 × 1 pixels.", param=param)
    if image.mode[:2] in ("I;", "I", "F"):
        raise ImageError("The image must have 8 bits per channel: convert it first.", param=param)


def _check_content(picture: Image.Image, layer_num: int) -> None:
    transparent = picture.getchannel("A").histogram()[0]
    shown = picture.width * picture.height - transparent
    if shown == 0:
        raise ImageError("The picture is transparent everywhere: there is nothing to take apart.")
    if shown < layer_num:
        raise ImageError(f"Only {shown} pixels of the picture can be seen: ask for at most as many layers.")


def _check_sampling(num_inference_steps: int, cfg_scale: float, seed: int | None) -> None:
    _check_range(num_inference_steps, 1, 100, "num_inference_steps")
    _check_range(cfg_scale, 1, 20, "cfg_scale")
    if seed is not None:
        _check_range(seed, 0, MAX_SEED, "seed")


def _check_range(value: float, low: int, high: int, param: str) -> None:
    # Written so that NaN fails too.
    if not low <= value <= high:
        raise InputError(f"{param} must be from {low} to {high}.", param=param)


def _check_choice(value: str, choices: object, param: str) -> None:
    allowed = get_args(choices)
    if value not in allowed:
        raise InputError(f"{param} is {' or '.join(allowed)}.", param=param)
