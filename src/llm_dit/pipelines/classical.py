"""The classical pipeline: image processing only, on any machine, without torch and without weights."""

from typing import get_args

from PIL import Image

from llm_dit.alpha import resize_layer
from llm_dit.classical.decompose import decompose_image
from llm_dit.classical.edit import edit_image
from llm_dit.errors import ImageError
from llm_dit.layers import Decomposition
from llm_dit.naming import Language
from llm_dit.pipelines.arguments import (
    CLASSICAL_MAX_ASPECT,
    EDIT_RESOLUTION,
    RESOLUTIONS,
    check_aspect,
    check_choice,
    check_image,
    check_instruction,
    check_range,
    check_sampling,
    model_size,
)
from llm_dit.pipelines.base import (
    EditOutputSize,
    OutputSize,
    PipelineStatus,
    PreviewCallback,
    ProgressCallback,
    Shape,
    chosen_seed,
)

CROP = "crop it, or ask for its own size"


class ClassicalPipeline:
    """Decomposes and edits by published image processing methods; the same arguments always give the same bytes."""

    engine = "classical"

    @property
    def has_edit_model(self) -> bool:
        """Always true: there is nothing to load."""
        return True

    def load_edit_model(self) -> None:
        """Do nothing: there is nothing to load."""

    def status(self) -> PipelineStatus:
        """Return that everything is here, on the CPU."""
        return PipelineStatus(models=("classical",), has_edit_model=True, device="CPU")

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
        language: Language = "en",
        progress: ProgressCallback | None = None,
        preview: PreviewCallback | None = None,
    ) -> Decomposition:
        """Return `[composite, bottom, …, top]`: `layer_num` + 1 RGBA images of one size, `.seed`, `.prompt`, `.names`.

        `image` may have any 8-bit mode and may be transparent in part; the layers then composite to the same
        transparency. `layer_num` is 1–10. With `output_size="original"` the result has the image's size and the
        composite differs from it by at most 1 of 255 levels; with "model" the image is first resized to an area of
        `resolution`² (640 or 1024), sides multiples of 32. `seed` (0 to 2^53 − 1) is drawn when None. `.names` are in
        `language`, "en" or "zh-Hans". The prompts, `num_inference_steps` (1–100), `cfg_scale` (1–20) and the two
        switches are checked but change nothing: there is no diffusion here, and `preview` is never called, for layers
        come whole. Raises `InputError` naming the parameter, or what `progress` raises.
        """
        check_image(image, "image")
        check_range(layer_num, 1, 10, "layer_num")
        check_sampling(num_inference_steps, cfg_scale, seed)
        check_choice(resolution, RESOLUTIONS, "resolution")
        check_choice(output_size, get_args(OutputSize), "output_size")
        check_choice(language, get_args(Language), "language")
        used_seed = chosen_seed(seed)
        picture = image.convert("RGBA")
        _check_content(picture, layer_num)
        if output_size == "model":
            check_aspect(image, CLASSICAL_MAX_ASPECT, CROP, "image")
            picture = resize_layer(picture, model_size(picture.size, resolution))
        layers, names = decompose_image(picture, layer_num, used_seed, language, progress)
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
        preview: PreviewCallback | None = None,
    ) -> Image.Image:
        """Return the edited RGBA layer; `shape="keep"` gives it the original alpha, byte for byte.

        `instruction` is ordinary English of what `llm_dit.classical.instructions` understands; anything else raises
        `InstructionError`, which lists it. With `output_size="model"` the layer is first resized to an area of 1024².
        The sampling arguments are checked but change nothing; `preview` is never called. Raises `InputError` naming
        the parameter, or what `progress` raises.
        """
        check_image(layer_image, "layer_image")
        check_sampling(num_inference_steps, cfg_scale, seed)
        check_choice(shape, get_args(Shape), "shape")
        check_choice(output_size, get_args(EditOutputSize), "output_size")
        check_instruction(instruction)
        layer = layer_image.convert("RGBA")
        if output_size == "model":
            check_aspect(layer, CLASSICAL_MAX_ASPECT, CROP, "layer_image")
            layer = resize_layer(layer, model_size(layer.size, EDIT_RESOLUTION))
        return edit_image(layer, instruction, chosen_seed(seed), shape, progress)


def _check_content(picture: Image.Image, layer_num: int) -> None:
    transparent = picture.getchannel("A").histogram()[0]
    shown = picture.width * picture.height - transparent
    if shown == 0:
        raise ImageError("The picture is transparent everywhere: there is nothing to take apart.")
    if shown < layer_num:
        raise ImageError(f"The picture shows fewer pixels than layers are asked for: ask for at most {shown}.")
