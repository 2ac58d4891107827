"""Every placement gives the same numbers as none, one text encoder in two pipelines included.

There is no accelerator here, so the CPU plays the device: the hooks are the real ones, the copies go nowhere.
"""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from llm_dit.qwen.checkpoints import EDIT, LAYERED, open_checkpoint
from llm_dit.qwen.loading import LoadOptions, load_pipeline
from llm_dit.qwen.offloading import Placement
from llm_dit.qwen.placement import Plan
from llm_dit.qwen.swapping import SwappedModule, swap_layers

CPU = torch.device("cpu")
PLANS = {
    "resident": Plan(strategy="resident", peak=0, reason=""),
    "model": Plan(strategy="model", peak=0, reason=""),
    "stream": Plan(strategy="stream", text_encoder="swap", peak=0, reason=""),
    "stream, text encoder too": Plan(strategy="stream", text_encoder="stream", peak=0, reason=""),
    "sequential": Plan(strategy="sequential", text_encoder="stream", peak=0, reason=""),
}


@pytest.fixture(scope="module")
def loaded(checkpoints: Path) -> list[Any]:
    options = LoadOptions(device=CPU, dtype=torch.float32)
    layered = load_pipeline(open_checkpoint(checkpoints / "layered", LAYERED), options, lambda _: None)
    edit = load_pipeline(open_checkpoint(checkpoints / "edit", EDIT), options, lambda _: None, layered.text_encoder)
    for pipeline in (layered, edit):
        for tensor in (*pipeline.transformer.parameters(), *pipeline.text_encoder.parameters()):
            # What comes from a mapped file may lie unaligned, and a CPU's matrix product rounds by alignment.
            tensor.data = tensor.data.clone()
    return [layered, edit]


def predict(pipeline: Any) -> torch.Tensor:
    """Encode a prompt and run the transformer twice, as a step with guidance does."""
    with torch.no_grad():
        if "Layered" in type(pipeline).__name__:
            embeds, mask = pipeline.encode_prompt("a house")
            condition = {"additional_t_cond": torch.zeros(1, dtype=torch.long)}
        else:
            embeds, mask = pipeline.encode_prompt("a house", image=None)
            condition = {}
        tokens = torch.linspace(-1, 1, 16 * 64).reshape(1, 16, 64)
        arguments = {
            "timestep": torch.tensor([0.5]),
            "encoder_hidden_states": embeds,
            "encoder_hidden_states_mask": mask,
            "img_shapes": [[(1, 4, 4)]],
            "return_dict": False,
            **condition,
        }
        first = pipeline.transformer(hidden_states=tokens, **arguments)[0]
        return first + pipeline.transformer(hidden_states=tokens, **arguments)[0]


@pytest.mark.parametrize("name", PLANS)
def test_a_placement_changes_no_number_and_can_be_taken_back(loaded: list[Any], name: str) -> None:
    expected = [predict(pipeline) for pipeline in loaded]
    placement = Placement(loaded, PLANS[name], CPU)
    for _ in range(2):
        for pipeline, wanted in zip(loaded, expected, strict=True):
            assert torch.equal(predict(pipeline), wanted)
            placement.after_run()
    placement.remove()
    assert all(torch.equal(predict(pipeline), wanted) for pipeline, wanted in zip(loaded, expected, strict=True))


@pytest.mark.parametrize("name", PLANS)
def test_a_run_that_fails_inside_leaves_it_working(loaded: list[Any], name: str) -> None:
    pipeline = loaded[0]
    expected = predict(pipeline)
    placement = Placement(loaded, PLANS[name], CPU)

    def fail(*_: Any) -> None:
        raise torch.OutOfMemoryError("planted")

    hook = pipeline.transformer.transformer_blocks[1].attn.register_forward_pre_hook(fail)
    with pytest.raises(torch.OutOfMemoryError):
        predict(pipeline)
    hook.remove()
    placement.after_failure()
    assert torch.equal(predict(pipeline), expected)
    placement.remove()


def test_swapped_weights_go_home_untouched() -> None:
    module = torch.nn.Linear(4, 4)
    before = copy.deepcopy(module.state_dict())
    swapped = SwappedModule(module, CPU, pinned=False)
    swapped.onload()
    swapped.onload()
    swapped.offload()
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())


def test_layers_come_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    for name in ("onload", "offload"):
        monkeypatch.setattr(SwappedModule, name, lambda self, name=name: events.append(name))
    net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    undo = swap_layers(net, CPU, pinned=False)
    assert events == ["offload"] * 2
    net(torch.zeros(1, 2))
    assert events[2:] == ["onload", "offload"] * 2
    undo()
    net(torch.zeros(1, 2))
    assert len(events) == 6
