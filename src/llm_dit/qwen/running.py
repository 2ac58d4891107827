"""One run of a loaded model, by our own loop or by plain diffusers."""

from typing import Any

import numpy as np
import torch

from llm_dit.qwen.decoding import decode
from llm_dit.qwen.denoising import AfterStep, denoise
from llm_dit.qwen.encodings import Encodings
from llm_dit.qwen.preparing import Run, prepare
from llm_dit.qwen.transformer import Transformer


class Runner:
    """Runs a model; what it has encoded is kept for the next run."""

    def __init__(self) -> None:
        self._encodings = Encodings()

    def run(self, pipeline: Any, run: Run, after_step: AfterStep) -> np.ndarray:
        """Return the pictures (layers, height, width, channels) in 0 … 1.

        A pipeline that was loaded without our transformer (`fused=False`) runs as diffusers has it.
        """
        if not isinstance(pipeline.transformer, Transformer):
            return _plain(pipeline, run, after_step)
        latents = denoise(pipeline, prepare(pipeline, run, self._encodings), after_step)
        return decode(pipeline, run, latents)


def _plain(pipeline: Any, run: Run, after_step: AfterStep) -> np.ndarray:
    def on_step_end(_: Any, step: int, _time: torch.Tensor, tensors: dict[str, Any]) -> dict[str, Any]:
        after_step(step, tensors["latents"], pipeline.scheduler)
        return tensors

    own = (
        {"width": run.size[0], "height": run.size[1]}
        if run.layers is None
        else {"layers": run.layers, "resolution": run.resolution, "cfg_normalize": run.normalize}
    )
    pictures = pipeline(
        image=run.image,
        prompt=run.prompt,
        negative_prompt=run.negative_prompt,
        true_cfg_scale=run.scale,
        num_inference_steps=run.steps,
        generator=run.generator,
        callback_on_step_end=on_step_end,
        output_type="np",
        **own,
    ).images
    return pictures if run.layers is None else pictures[0]
