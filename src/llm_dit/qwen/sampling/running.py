"""One run of a loaded model, by our own loop or by plain diffusers, and which steps it computes at its speed."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import numpy as np
import torch
from diffusers.pipelines.qwenimage.pipeline_qwenimage_layered import retrieve_timesteps
from PIL import Image

from llm_dit.errors import InputError, NonFiniteOutputError
from llm_dit.options import Speed
from llm_dit.qwen.editors import Editor
from llm_dit.qwen.forward.tools import describe_plain
from llm_dit.qwen.forward.transformer import Branch, Shapes, forward_of, is_fused
from llm_dit.qwen.forward.vae import Previews
from llm_dit.qwen.loading.loras import Schedule
from llm_dit.qwen.placement.devices import OUT_OF_RANGE
from llm_dit.qwen.sampling.encoding import Encodings
from llm_dit.runs import Forward, Progress, ProgressCallback

logger = logging.getLogger(__name__)


# Which steps a run computes at its speed, and what the others reuse.
#
# The residual that the transformer's blocks add to a picture's tokens changes little between neighboring steps. A
# skipped step adds the residual of the latest computed step to its own tokens, at its own time (Liu et al., "Timestep
# Embedding Tells: It's Time to Cache for Video Diffusion Model", 2024, reuse the same, decided by a measure of the
# input). Here the number of steps alone decides: a seed is reproducible, the run time is known, and no step waits for
# the device to decide about the next.

WARM_UP = 0.16
"""The part of a run before any reuse: it decides a picture's composition."""
LEAST_WARM_UP = 4
MOST_REUSED = 2
"""Consecutive steps that reuse one residual."""
COMPUTED = 0.5
"""The part of the steps that "fast" computes in long runs."""
Mask = tuple[bool, ...]
"""Whether each step of a run is computed; the first always is."""


class Residuals(dict[Branch, torch.Tensor]):
    """What the blocks add to the image's tokens (1, tokens, width), per branch, in one run."""


def reusing(steps: int) -> Mask:
    """Return which steps "fast" computes: the first ones, the last one, and evenly spaced ones between them."""
    warm = min(steps, max(LEAST_WARM_UP, round(WARM_UP * steps)))
    rest = steps - warm
    count = max(ceil(rest / (MOST_REUSED + 1)), ceil(COMPUTED * steps) - warm, 0)
    later = {warm + ceil((number + 1) * rest / count) - 1 for number in range(count)}
    return tuple(step < warm or step in later for step in range(steps))


@dataclass(frozen=True, kw_only=True)
class Pace:
    """The effective speed of a run: its name, the computed steps, and why it differs from the requested one."""

    speed: Speed
    computed: Mask
    why: tuple[str, ...] = ()

    @property
    def lossy(self) -> tuple[str, ...]:
        """The approximations, as texts."""
        total, computed = len(self.computed), sum(self.computed)
        if self.speed == "turbo":
            return ("steps of a distilled model",)
        return () if computed == total else (f"{computed} of {total} steps computed",)

    def told(self, forward: Forward) -> Forward:
        """Return `forward` with this pace, for display and records."""
        return replace(forward, speed=self.speed, lossy=forward.lossy + self.lossy, why=forward.why + self.why)


def pace_of(speed: Speed, steps: int, *, fused: bool, distilled: bool = False) -> Pace:
    """Return the pace of a run of `steps` at `speed`; raises `InputError` if the model cannot run at it.

    `distilled`: the model has a distilled LoRA, for turbo; each of its few steps is computed.
    """
    if speed == "exact" or (speed == "turbo" and distilled):
        return Pace(speed=speed, computed=(True,) * steps)
    if not fused:
        raise InputError(
            f'speed = "{speed}" needs our own denoising loop: load the model with fused = true.', param="speed"
        )
    why = ("turbo: this model has no distilled LoRA, so the run is fast",) if speed == "turbo" else ()
    return Pace(speed="fast", computed=reusing(steps), why=why)


# The start of a run, made with diffusers' own functions.

MAX_CAPTION_TOKENS = 512
"""Tokens of a prompt that `QwenImageLayeredPipeline` reads."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A request to `editor`, or to Qwen-Image-Layered without one. `size` is width and height in pixels.

    `references` are an edit's pictures besides the layer, as returned by `Editor.reference`.
    """

    image: Image.Image
    size: tuple[int, int]
    prompt: str
    negative_prompt: str
    scale: float
    steps: int
    generator: torch.Generator
    pace: Pace
    editor: Editor | None = None
    references: tuple[Image.Image, ...] = ()
    layers: int = 0
    resolution: int = 0
    normalize: bool = True
    loras: tuple[str, ...] = ()
    """The active ones, as they are recorded."""
    schedule: Schedule | None = None
    """A LoRA's schedule, which replaces the model's."""

    @property
    def pictures(self) -> tuple[Image.Image, ...]:
        """The condition's pictures, the layer first."""
        return (self.image, *self.references)

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts of its branches; at a guidance of 1 there is no second branch."""
        return (self.prompt, self.negative_prompt) if self.scale > 1 else (self.prompt,)


@dataclass(frozen=True, kw_only=True)
class Start:
    """Noise and condition as tokens (1, tokens, channels), the branches, and the schedule."""

    latents: torch.Tensor
    condition: torch.Tensor
    branches: list[Branch]
    timesteps: torch.Tensor
    shapes: Shapes
    scale: float
    normalize: bool
    heun: bool = False


@torch.no_grad()
def prepare(pipeline: Any, run: Run, encodings: Encodings) -> Start:
    """Return the start of `run`; results cached in `encodings` are not encoded again."""
    start = run.editor.start(pipeline, run, encodings) if run.editor else _layers(pipeline, run, encodings)
    return replace(start, heun=run.schedule is not None and run.schedule.heun)


def _layers(pipeline: Any, run: Run, encodings: Encodings) -> Start:
    width, height = run.size
    shown = pipeline.image_processor.resize(run.image, height, width)
    pixels = pipeline.image_processor.preprocess(shown, height, width).unsqueeze(2)
    branches = [encodings.text(pipeline, text, max_sequence_length=MAX_CAPTION_TOKENS) for text in run.texts]
    dtype = branches[0].embeds.dtype
    latents, condition = pipeline.prepare_latents(
        encodings.picture(pipeline, pixels, dtype),
        1,
        pipeline.transformer.config.in_channels // 4,
        height,
        width,
        run.layers,
        dtype,
        pipeline._execution_device,
        run.generator,
    )
    mu = (condition.shape[1] / (256 * 256 / 16 / 16)) ** 0.5
    return Start(
        latents=latents,
        condition=condition,
        branches=branches,
        timesteps=timesteps(pipeline, np.linspace(1.0, 0, run.steps + 1)[:-1], mu),
        shapes=[[frame(pipeline, run.size)] * (run.layers + 2)],
        scale=run.scale,
        normalize=run.normalize,
    )


def timesteps(pipeline: Any, sigmas: Any, mu: float) -> torch.Tensor:
    """Return the timesteps of a schedule, shifted by `mu`."""
    schedule: Any = retrieve_timesteps(
        pipeline.scheduler, len(sigmas), pipeline._execution_device, sigmas=sigmas, mu=mu
    )[0]
    return schedule


def frame(pipeline: Any, size: tuple[int, int]) -> tuple[int, int, int]:
    """Return frames, rows and columns in tokens."""
    return 1, size[1] // pipeline.vae_scale_factor // 2, size[0] // pipeline.vae_scale_factor // 2


# The denoising loop: from noise to clean latents.

AfterStep = Callable[[int, torch.Tensor, Any], None]
"""Takes a step's number from 0, the latents after it, and the scheduler; may raise to end the run."""


@torch.no_grad()
def denoise(pipeline: Any, start: Start, after_step: AfterStep, computed: Mask | None = None) -> torch.Tensor:
    """Return the latents that the pipeline's transformer and scheduler compute from `start`, as in diffusers.

    Steps that are not `computed` reuse the residuals of the latest computed one. Heun's method, which diffusers lacks
    for schedules that depend on the size, averages the velocities at the current point and at its Euler step; the last
    step ends at σ = 0, where there is no second velocity.
    """
    scheduler, latents = pipeline.scheduler, start.latents
    scheduler.set_begin_index(0)
    schedule = start.timesteps.to(latents.dtype) / 1000
    transformer = pipeline.transformer
    predict = transformer.pair if transformer.pair and len(start.branches) == 2 else transformer
    residuals = None if computed is None or all(computed) else Residuals()

    def velocity_at(latents: torch.Tensor, step: int) -> torch.Tensor:
        predicted = predict(
            torch.cat([latents, start.condition], dim=1),
            branches=start.branches,
            schedule=schedule,
            step=step,
            shapes=start.shapes,
            residuals=residuals,
            reuse=computed is not None and not computed[step],
        )
        return guide([each[:, : latents.size(1)] for each in predicted], start.scale, normalize=start.normalize)

    for step, time in enumerate(start.timesteps):
        velocity = velocity_at(latents, step)
        if start.heun and step + 1 < len(start.timesteps):
            ahead = latents.float() + (scheduler.sigmas[step + 1] - scheduler.sigmas[step]) * velocity
            velocity = (velocity + velocity_at(ahead.to(latents.dtype), step + 1)) / 2
        latents = scheduler.step(velocity, time, latents, return_dict=False)[0]
        after_step(step, latents, scheduler)
    return latents


def guide(predicted: Sequence[torch.Tensor], scale: float, *, normalize: bool) -> torch.Tensor:
    """Return the guided prediction: second + `scale` · (first − second), or the first if there is no second branch.

    With `normalize` every token keeps its norm in the first branch (true classifier-free guidance).
    """
    if len(predicted) == 1:
        return predicted[0]
    wanted, unwanted = predicted
    combined = unwanted + scale * (wanted - unwanted)
    if not normalize:
        return combined
    return combined * (torch.norm(wanted, dim=-1, keepdim=True) / torch.norm(combined, dim=-1, keepdim=True))


# After each denoising step: progress, cancellation, and a check for NaN and infinity.


def watch_steps(total: int, progress: ProgressCallback, previews: Previews | None = None) -> AfterStep:
    """Return a callback that reports "denoising" after each step, and "decoding" after the last of `total`.

    An exception from `progress` ends the run after the current step. Reading one number of the latents waits for the
    device, so that a step is reported when it is done, not when it is queued. `previews` skip the last step, because
    the result itself follows.
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
    """Raise `NonFiniteOutputError` if a value is infinite or NaN."""
    if not torch.isfinite(values).all():
        raise NonFiniteOutputError(OUT_OF_RANGE)


def ignore_progress(_progress: Progress) -> None:
    """Do nothing with a report."""


class Runner:
    """Runs a model and caches encodings between runs. `forward` describes the latest run's computation."""

    def __init__(self) -> None:
        self._encodings = Encodings()
        self.forward: Forward | None = None

    def run(self, pipeline: Any, run: Run, after_step: AfterStep) -> np.ndarray:
        """Return the pictures (layers, height, width, channels), 0 … 255.

        Raises `NonFiniteOutputError` for NaN or infinity.

        A pipeline loaded without our transformer (`fused=False`) runs diffusers' own loop.
        """
        pipeline.scheduler.lora_shift = run.schedule.shift if run.schedule else None
        if not is_fused(pipeline):
            self._tell(run, describe_plain(run.editor.plain if run.editor else ""))
            return _plain(pipeline, run, after_step)
        if pipeline.transformer.pair and len(run.texts) == 1:
            logger.info("The second device is not used: guidance is off (cfg_scale 1)")
        start = prepare(pipeline, run, self._encodings)
        masked = any(branch.mask is not None for branch in start.branches)
        self._tell(run, forward_of(pipeline, start.latents.device, start.latents.dtype, masked=masked))
        return _decode(pipeline, run, denoise(pipeline, start, after_step, run.pace.computed))

    def _tell(self, run: Run, forward: Forward) -> None:
        self.forward = replace(run.pace.told(forward), loras=run.loras)
        logger.info("%d steps at %d × %d: %s", run.steps, *run.size, self.forward)


def _plain(pipeline: Any, run: Run, after_step: AfterStep) -> np.ndarray:
    def on_step_end(_: Any, step: int, _time: torch.Tensor, tensors: dict[str, Any]) -> dict[str, Any]:
        after_step(step, tensors["latents"], pipeline.scheduler)
        return tensors

    asked: dict[str, Any] = {
        "image": list(run.pictures) if run.references else run.image,
        "prompt": run.prompt,
        "negative_prompt": run.negative_prompt,
        "true_cfg_scale": run.scale,
        "num_inference_steps": run.steps,
        "generator": run.generator,
        "callback_on_step_end": on_step_end,
        "output_type": "np",
    }
    layered = {"layers": run.layers, "resolution": run.resolution, "cfg_normalize": run.normalize}
    asked |= run.editor.arguments(run) if run.editor else layered
    pictures = pipeline(**asked).images
    if asked["output_type"] == "latent":
        return _decode(pipeline, run, pictures)
    pictures = pictures if run.editor else pictures[0]
    check_finite(torch.from_numpy(pictures))
    return (pictures * 255).round().astype(np.uint8)


@torch.no_grad()
def _decode(pipeline: Any, run: Run, latents: torch.Tensor) -> np.ndarray:
    """Return the pictures (layers, height, width, channels), 0 … 255; for a decomposition, all but the composite.

    They become bytes on the device, so that a quarter of diffusers' data is copied to the host.
    """
    width, height = run.size
    scale, vae = pipeline.vae_scale_factor, pipeline.vae
    if run.editor:
        frames = pipeline._unpack_latents(latents, height, width, scale)
    else:
        frames = pipeline._unpack_latents(latents, height, width, run.layers, scale)[:, :, 1:]
    frames = frames.to(vae.dtype)
    inverse = 1.0 / _of_channels(vae.config.latents_std, frames)
    frames = frames / inverse + _of_channels(vae.config.latents_mean, frames)
    # Each frame is a separate picture.
    frames = frames.permute(0, 2, 1, 3, 4).flatten(0, 1).unsqueeze(2)
    pictures = vae.decode(frames, return_dict=False)[0].squeeze(2)
    check_finite(pictures)
    shown = pipeline.image_processor.denormalize(pictures).permute(0, 2, 3, 1)
    return (shown.float() * 255).round().to(torch.uint8).cpu().numpy()


def _of_channels(values: list[float], like: torch.Tensor) -> torch.Tensor:
    return torch.tensor(values).view(1, -1, 1, 1, 1).to(like.device, like.dtype)
