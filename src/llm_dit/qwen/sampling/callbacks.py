"""What happens after each denoising step: progress, cancelling, and a check that the numbers are still numbers."""

from typing import Any

import torch

from llm_dit.errors import NonFiniteOutputError
from llm_dit.pipelines.base import Progress, ProgressCallback
from llm_dit.qwen.failures import OUT_OF_RANGE
from llm_dit.qwen.sampling.denoising import AfterStep
from llm_dit.qwen.sampling.previews import Previews


def watch_steps(total: int, progress: ProgressCallback, previews: Previews | None = None) -> AfterStep:
    """Return what reports "denoising" after each step, and "decoding" after the last of `total`.

    What `progress` raises ends the run after the current step. Reading one number of the latents waits for the device,
    so that a step is reported when it is done, and not when it is queued. After the last step the result itself is
    about to come, so `previews` hear of the others only.
    """

    def after_step(step: int, latents: torch.Tensor, scheduler: Any) -> None:
        check_finite(latents)
        progress(Progress(phase="denoising", step=step + 1, total=total))
        if step + 1 == total:
            progress(Progress(phase="decoding", step=total, total=total))
        elif previews is not None:
            previews.after_step(step, latents, scheduler)

    return after_step


def check_finite(values: torch.Tensor) -> None:
    """Raise `NonFiniteOutputError` when a number is infinite or not a number."""
    if not torch.isfinite(values).all():
        raise NonFiniteOutputError(OUT_OF_RANGE)


def ignore_progress(_progress: Progress) -> None:
    """Take a report and do nothing."""
