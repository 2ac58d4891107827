"""A pipeline with both models, shared by the tests of the Qwen engine, and a picture for it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from llm_dit.editing import prepare, prepare_transparent
from llm_dit.pipelines.qwen_image_diffusers import QwenImageDiffusersPipeline
from llm_dit.qwen.loading.checkpoints import FIRST_EDIT
from llm_dit.runs import model_size
from tests.kit.checkpoints import write_checkpoint

PIPELINES = "diffusers.pipelines.qwenimage.pipeline_qwenimage"


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
    """Let models work at a quarter of their width and height, a sixteenth of the work; services run at full size."""

    def quarter(area: float, ratio: float) -> tuple[int, int]:
        return model_size((round(1000 * ratio), 1000), round(area**0.5 / 4))

    with pytest.MonkeyPatch.context() as patch:
        for name in ("layered", "edit_plus"):
            patch.setattr(f"{PIPELINES}_{name}.calculate_dimensions", quarter)
        for module in (f"{PIPELINES}_edit", "diffusers.pipelines.qwenimage21.pipeline_qwenimage21"):
            patch.setattr(f"{module}.calculate_dimensions", lambda *of: (*quarter(*of), None))
        patch.setattr(
            "llm_dit.pipelines.qwen_image_diffusers.model_size",
            lambda size, resolution: quarter(resolution**2, size[0] / size[1]),
        )
        # To make the picture that a model is shown, and to read its answer, takes ten times as long as a tiny model.
        for make in (prepare, prepare_transparent):
            assert make.__kwdefaults__
            patch.setitem(make.__kwdefaults__, "target_area", make.__kwdefaults__["target_area"] // 16)
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
