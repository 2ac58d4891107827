"""The nodes for ComfyUI by their contract: the classes that it looks for, with its tensors and its two modules."""

import importlib.util
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from llm_dit import ClassicalPipeline
from tests.kit.forks import ROOT
from tests.kit.pictures import disc
from tests.kit.service import Service


class Interrupted(Exception):
    """What ComfyUI raises after *Cancel*."""


@pytest.fixture
def comfy(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The parts of ComfyUI that the nodes import."""
    told = SimpleNamespace(steps=[], interrupted=False)

    class ProgressBar:
        def __init__(self, total: int) -> None:
            self.total = total

        def update_absolute(self, value: int, total: int) -> None:
            told.steps.append((value, total))

    def throw() -> None:
        if told.interrupted:
            raise Interrupted

    for name, content in (
        ("comfy", {}),
        ("comfy.utils", {"ProgressBar": ProgressBar}),
        ("comfy.model_management", {"throw_exception_if_processing_interrupted": throw}),
    ):
        module = ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)
    return told


@pytest.fixture(scope="module")
def nodes() -> dict[str, Any]:
    """The nodes as ComfyUI finds them: by the module of their folder."""
    file = ROOT / "clients/comfyui/__init__.py"
    spec = importlib.util.spec_from_file_location("comfyui_nodes", file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert set(module.NODE_CLASS_MAPPINGS) == set(module.NODE_DISPLAY_NAME_MAPPINGS)
    return dict(module.NODE_CLASS_MAPPINGS)


def loaded(picture: Image.Image) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what ComfyUI's *Load Image* gives."""
    pixels = torch.from_numpy(np.asarray(picture.convert("RGBA"), np.float32) / 255)[None]
    return pixels[..., :3], 1 - pixels[..., 3]


def test_a_node_has_what_comfyui_asks_for(nodes: dict[str, Any]) -> None:
    for node in nodes.values():
        inputs = node.INPUT_TYPES()
        assert set(inputs) <= {"required", "optional"}
        assert len(node.RETURN_TYPES) == len(node.RETURN_NAMES)
        assert callable(getattr(node(), node.FUNCTION))
        assert all(isinstance(kind[0], (str, list)) for group in inputs.values() for kind in group.values())


def test_an_image_becomes_layers(nodes: dict[str, Any], comfy: SimpleNamespace, service: Service) -> None:
    image, mask = loaded(disc())
    colors, masks, names = nodes["LLMDiTDecompose"]().run(image, 2, "original", 3, service.url, mask=mask)
    here = ClassicalPipeline().decompose(disc(), layer_num=2, output_size="original", seed=3)
    assert colors.shape == (2, *disc().size[::-1], 3)
    assert names.splitlines() == here.names[1:]
    for index, layer in enumerate(here[1:]):
        own_colors, own_mask = loaded(layer)
        assert torch.equal(masks[index], own_mask[0])
        assert torch.allclose(colors[index], own_colors[0], atol=1e-6)
    assert comfy.steps


def test_a_layer_is_edited_and_a_cancel_ends_the_run(
    nodes: dict[str, Any], comfy: SimpleNamespace, service: Service
) -> None:
    image, mask = loaded(disc())
    edited, new_mask = nodes["LLMDiTEditLayer"]().run(image, "make it blue", "keep", 1, service.url, mask=mask)
    assert torch.equal(new_mask, mask)
    assert not torch.equal(edited, image)
    with pytest.raises(RuntimeError, match="docs/instructions"):
        nodes["LLMDiTEditLayer"]().run(image, "frobnicate", "keep", 1, service.url)
    with pytest.raises(ValueError, match="size of the image"):
        nodes["LLMDiTEditLayer"]().run(image, "make it blue", "keep", 1, service.url, mask=mask[:, :3])
    comfy.interrupted = True
    with pytest.raises(Interrupted):
        nodes["LLMDiTDecompose"]().run(image, 2, "original", 3, service.url)
