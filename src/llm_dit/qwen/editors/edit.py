"""The first Qwen-Image-Edit, 2509 and 2511: one transformer and one VAE for opaque pictures, on our own loop."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_dit.qwen.editors.editor import Editor

if TYPE_CHECKING:
    from llm_dit.qwen.sampling.encoding import Encodings
    from llm_dit.qwen.sampling.running import Run, Start


@dataclass(frozen=True, kw_only=True)
class QwenImageEdit(Editor):
    """With `reads_it_whole` the text encoder reads the picture as large as the VAE sees it, else a small copy."""

    name: str = "Qwen-Image-Edit"
    reads_it_whole: bool = False

    def start(self, pipeline: Any, run: "Run", encodings: "Encodings") -> "Start":
        import numpy as np
        from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus as edit_plus

        from llm_dit.qwen.sampling.running import Start, frame, timesteps

        ratio = run.image.width / run.image.height
        seen = edit_plus.calculate_dimensions(edit_plus.VAE_IMAGE_SIZE, ratio)
        width, height = (
            seen if self.reads_it_whole else edit_plus.calculate_dimensions(edit_plus.CONDITION_IMAGE_SIZE, ratio)
        )
        read = pipeline.image_processor.resize(run.image, height, width)
        pixels = pipeline.image_processor.preprocess(run.image, seen[1], seen[0]).unsqueeze(2)
        branches = [encodings.text(pipeline, text, image=[read]) for text in run.texts]
        dtype = branches[0].embeds.dtype
        latents, condition = pipeline.prepare_latents(
            encodings.picture(pipeline, pixels, dtype),
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
            shapes=[[frame(pipeline, run.size), frame(pipeline, seen)]],
            scale=run.scale,
            normalize=True,
        )


# The transformer has 4096 positions for text; the template and the copies of the pictures take some of them: a small
# copy about 200, one as large as the picture about 1340.
EDIT_PLUS = QwenImageEdit(pipeline="QwenImageEditPlusPipeline", text_tokens=3500)
"""2509 and 2511; what tells them apart is in the transformer's configuration."""
FIRST = QwenImageEdit(pipeline="QwenImageEditPipeline", text_tokens=2500, reads_it_whole=True)
"""The model before 2509, which takes the place of one."""
