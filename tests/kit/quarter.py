"""Models that work at a quarter of their width and height, a sixteenth of the work."""

from typing import Any

import pytest

from llm_dit.editing import prepare, prepare_context, prepare_transparent
from llm_dit.pipelines.qwen_image_diffusers import QwenImageDiffusersPipeline
from llm_dit.runs import model_size

PIPELINES = "diffusers.pipelines.qwenimage.pipeline_qwenimage"


def pipeline(**options: Any) -> QwenImageDiffusersPipeline:
    """Load a pipeline that works so, for the worker of a service: its process does nothing else."""
    quarter(pytest.MonkeyPatch())
    return QwenImageDiffusersPipeline.from_pretrained(**options)


def quarter(patch: pytest.MonkeyPatch) -> None:
    for kind in ("edit_plus", "layered"):
        patch.setattr(f"{PIPELINES}_{kind}.calculate_dimensions", _quarter)
    for module in (f"{PIPELINES}_edit", "diffusers.pipelines.qwenimage21.pipeline_qwenimage21"):
        patch.setattr(f"{module}.calculate_dimensions", lambda *of: (*_quarter(*of), None))
    # To make the picture that a model is shown, and to read its answer, takes ten times as long as a tiny model.
    for make in (prepare, prepare_context, prepare_transparent):
        assert make.__kwdefaults__
        patch.setitem(make.__kwdefaults__, "target_area", make.__kwdefaults__["target_area"] // 16)
    for module in ("llm_dit.pipelines.qwen_image_diffusers", "llm_dit.qwen.editors"):
        patch.setattr(f"{module}.model_size", lambda size, resolution: _quarter(resolution**2, size[0] / size[1]))


def _quarter(area: float, ratio: float) -> tuple[int, int]:
    return model_size((round(1000 * ratio), 1000), round(area**0.5 / 4))
