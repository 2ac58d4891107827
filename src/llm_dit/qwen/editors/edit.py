"""The first Qwen-Image-Edit, 2509 and 2511: one transformer and one VAE for opaque pictures, on our own loop."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PIL import Image

from llm_dit.qwen.editors.editor import Editor

if TYPE_CHECKING:
    from llm_dit.qwen.sampling.encoding import Encodings
    from llm_dit.qwen.sampling.running import Run, Start


@dataclass(frozen=True, kw_only=True)
class QwenImageEdit(Editor):
    """With `reads_it_whole` the text encoder reads the picture as large as the VAE sees it, else a small copy."""

    reads_it_whole: bool = False

    def start(self, pipeline: Any, run: "Run", encodings: "Encodings") -> "Start":
        import numpy as np
        from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus as edit_plus

        from llm_dit.qwen.sampling.running import Start, frame, timesteps

        seen = [_seen(picture) for picture in run.pictures]
        read = [self._read(pipeline, picture) for picture in run.pictures]
        branches = [encodings.text(pipeline, text, image=read) for text in run.texts]
        dtype = branches[0].embeds.dtype
        encoded = [
            encodings.picture(pipeline, _pixels(pipeline, picture, size), dtype)
            for picture, size in zip(run.pictures, seen, strict=True)
        ]
        latents, condition = pipeline.prepare_latents(
            encoded if len(encoded) > 1 else encoded[0],  # the first model's pipeline knows no list
            1,
            pipeline.transformer.config.in_channels // 4,
            run.size[1],
            run.size[0],
            dtype,
            pipeline._execution_device,
            run.generator,
        )
        settings = pipeline.scheduler.config
        mu = edit_plus.calculate_shift(
            latents.shape[1],
            settings.get("base_image_seq_len", 256),
            settings.get("max_image_seq_len", 4096),
            settings.get("base_shift", 0.5),
            settings.get("max_shift", 1.15),
        )
        return Start(
            latents=latents,
            condition=condition,
            branches=branches,
            timesteps=timesteps(pipeline, np.linspace(1.0, 1 / run.steps, run.steps), mu),
            shapes=[[frame(pipeline, size) for size in (run.size, *seen)]],
            scale=run.scale,
            normalize=True,
        )

    def _read(self, pipeline: Any, picture: Image.Image) -> Image.Image:
        """Return what the text encoder reads of a picture."""
        width, height = _seen(picture) if self.reads_it_whole else _fitted(picture, "CONDITION_IMAGE_SIZE")
        return pipeline.image_processor.resize(picture, height, width)


def _seen(picture: Image.Image) -> tuple[int, int]:
    """Return width and height at which the VAE sees a picture."""
    return _fitted(picture, "VAE_IMAGE_SIZE")


def _fitted(picture: Image.Image, area: str) -> tuple[int, int]:
    from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus as edit_plus

    width, height = edit_plus.calculate_dimensions(getattr(edit_plus, area), picture.width / picture.height)
    return width, height


def _pixels(pipeline: Any, picture: Image.Image, size: tuple[int, int]) -> Any:
    return pipeline.image_processor.preprocess(picture, size[1], size[0]).unsqueeze(2)


# The transformer has 4096 positions for text; the template and the copies of the pictures take some of them: a small
# copy about 200, one as large as the picture about 1340.
EDIT_PLUS = QwenImageEdit(
    pipeline="QwenImageEditPlusPipeline",
    name="Qwen-Image-Edit",
    hub=("Qwen/Qwen-Image-Edit-2509", "Qwen/Qwen-Image-Edit-2511"),
    references=3,
    text_tokens=3500,
    picture_tokens=210,
)
"""2509 and 2511; what tells them apart is in the transformer's configuration."""
FIRST = QwenImageEdit(
    pipeline="QwenImageEditPipeline",
    name="Qwen-Image-Edit",
    hub=("Qwen/Qwen-Image-Edit",),
    references=0,
    text_tokens=2500,
    picture_tokens=0,
    reads_it_whole=True,
)
"""The model before 2509, which takes the place of one."""
