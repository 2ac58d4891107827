"""What a run computes at its speed: which steps, and what the others reuse.

Between neighboring steps the transformer's blocks change little of what they add to a picture's tokens. A step that is
not computed takes what they added in the latest one that was, over its own tokens and under its own time (Liu et al.,
"Timestep Embedding Tells: It's Time to Cache for Video Diffusion Model", 2024, reuse the same, by a measure of the
input). Here the steps are fixed beforehand by their number alone: a seed gives the same picture again, the time a run
takes is known, and no step waits for the device to decide about the next.
"""

from dataclasses import dataclass, replace
from math import ceil

import torch

from llm_dit.errors import InputError
from llm_dit.options import Speed
from llm_dit.qwen.forward.transformer import Branch
from llm_dit.runs import Forward

WARM_UP = 0.16
"""The part of a run that is computed before anything is reused: a picture's composition is decided there."""
LEAST_WARM_UP = 4
MOST_REUSED = 2
"""Steps in a row that reuse one."""
COMPUTED = 0.5
"""The part of all steps that "fast" computes, of long runs."""
Mask = tuple[bool, ...]
"""For each step of a run whether it is computed; the first is."""


class Residuals(dict[Branch, torch.Tensor]):
    """What the blocks have added to the image's tokens (1, tokens, width), of each branch by itself; of one run."""


def reusing(steps: int) -> Mask:
    """Return which steps "fast" computes: the first ones, the last one, and between them others at even distances."""
    warm = min(steps, max(LEAST_WARM_UP, round(WARM_UP * steps)))
    rest = steps - warm
    count = max(ceil(rest / (MOST_REUSED + 1)), ceil(COMPUTED * steps) - warm, 0)
    later = {warm + ceil((number + 1) * rest / count) - 1 for number in range(count)}
    return tuple(step < warm or step in later for step in range(steps))


@dataclass(frozen=True, kw_only=True)
class Pace:
    """What the speed of a run has come to: its name, the steps that are computed, and why not what was asked for."""

    speed: Speed
    computed: Mask
    why: tuple[str, ...] = ()

    @property
    def lossy(self) -> tuple[str, ...]:
        """Say what is left out."""
        total, computed = len(self.computed), sum(self.computed)
        if self.speed == "turbo":
            return ("steps of a distilled model",)
        return () if computed == total else (f"{computed} of {total} steps computed",)

    def told(self, forward: Forward) -> Forward:
        """Return what people and records are told of a run at this pace that is computed by `forward`."""
        return replace(forward, speed=self.speed, lossy=forward.lossy + self.lossy, why=forward.why + self.why)


def pace_of(speed: Speed, steps: int, *, fused: bool, distilled: bool = False) -> Pace:
    """Return what `speed` comes to in a run of `steps`; raises `InputError` where nothing does it.

    `distilled` is of a model that has a distilled LoRA, which is turbo; each of its few steps is computed.
    """
    if speed == "exact" or (speed == "turbo" and distilled):
        return Pace(speed=speed, computed=(True,) * steps)
    if not fused:
        raise InputError(
            f'speed = "{speed}" needs our own denoising loop: load the model with fused = true.', param="speed"
        )
    why = ("turbo: no distilled LoRA is there for this model, so it is fast",) if speed == "turbo" else ()
    return Pace(speed="fast", computed=reusing(steps), why=why)
