"""The tests run the schedules that people run, a single step included."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diffusers.pipelines.qwenimage.pipeline_qwenimage_edit_plus import calculate_shift

from llm_dit.qwen.loading.loader import Scheduler


@pytest.fixture(scope="module")
def scheduler(checkpoints: Path) -> Any:
    return Scheduler.from_pretrained(checkpoints / "layered/scheduler")


def expected(sigmas: np.ndarray, mu: float) -> np.ndarray:
    """Shift towards noise by e^μ, then stretch so that the last is 0.02 (Esser et al., 2024, and the checkpoints)."""
    shifted = np.exp(mu) / (np.exp(mu) + 1 / sigmas - 1)
    return 1 - (1 - shifted) * (1 - 0.02) / (1 - shifted[-1])


@pytest.mark.parametrize("steps", [2, 5, 50, 100])
@pytest.mark.parametrize("tokens", [1600, 4096])
def test_steps_are_those_of_the_published_models(scheduler: Any, steps: int, tokens: int) -> None:
    layered = np.linspace(1, 0, steps + 1)[:-1], (tokens / 256) ** 0.5
    edit = np.linspace(1, 1 / steps, steps), 0.5 + 0.4 * (tokens - 256) / (8192 - 256)
    config = scheduler.config
    assert edit[1] == pytest.approx(calculate_shift(tokens, 256, config.max_image_seq_len, 0.5, config.max_shift))
    for sigmas, mu in (layered, edit):
        scheduler.set_timesteps(sigmas=sigmas.tolist(), mu=mu)
        assert np.allclose(scheduler.sigmas[:-1], expected(sigmas, mu), atol=1e-6)
        assert (scheduler.sigmas[-1], len(scheduler.timesteps)) == (0, steps)


def test_one_step_goes_from_noise_to_the_picture(scheduler: Any) -> None:
    """Diffusers' own scheduler gives no number here: the first step cannot be the one at σ = 0.02 too."""
    scheduler.set_timesteps(sigmas=[1.0], mu=0.6)
    assert scheduler.sigmas.tolist() == [1, 0]
