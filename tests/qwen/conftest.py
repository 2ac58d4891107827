"""A pipeline with both models, shared by the tests of the Qwen engine, and a picture for it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from llm_dit.pipelines.qwen_image_diffusers import QwenImageDiffusersPipeline
from llm_dit.qwen.loading.checkpoints import FIRST_EDIT
from tests.kit.checkpoints import write_checkpoint
from tests.kit.quarter import quarter


@pytest.fixture(scope="session")
def shared_pipe(checkpoints: Path) -> QwenImageDiffusersPipeline:
    """A pipeline with both models, for tests that only run it."""
    return QwenImageDiffusersPipeline.from_pretrained(
        checkpoints / "layered", checkpoints / "edit", load_edit_model=True, device="cpu"
    )


@pytest.fixture(scope="session")
def first_edit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the first Qwen-Image-Edit."""
    return write_checkpoint(tmp_path_factory.mktemp("first") / "edit", FIRST_EDIT)


@pytest.fixture(scope="session")
def picture() -> Image.Image:
    """A landscape RGBA picture with soft transparency."""
    rows, columns = np.mgrid[0:72, 0:128].astype(np.float32)
    red, green = columns * 2 - 1, rows * 3.5
    alpha = 255 * np.clip(1.2 - np.hypot(columns - 64, rows - 36) / 50, 0, 1)
    values = np.stack([red, green, 255 - red, alpha], axis=-1).clip(0, 255)
    return Image.fromarray(values.astype(np.uint8), "RGBA")


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Models this small are slower on two threads than on one."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module", autouse=True)
def quarter_size() -> Iterator[None]:
    """Let models work at a quarter of their width and height, a sixteenth of the work."""
    with pytest.MonkeyPatch.context() as patch:
        quarter(patch)
        yield


@pytest.fixture
def our_latents(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """The latents of every step that our pipeline takes."""
    from llm_dit.pipelines import qwen_image_diffusers as module

    found: list[torch.Tensor] = []
    original = module.watch_steps

    def recording(*arguments: Any) -> Any:
        ours = original(*arguments)

        def after_step(step: int, latents: torch.Tensor, scheduler: Any) -> None:
            found.append(latents.clone())
            ours(step, latents, scheduler)

        return after_step

    monkeypatch.setattr(module, "watch_steps", recording)
    return found
