"""Every placement gives the same numbers as none, one text encoder in two pipelines included.

There is no accelerator here, so the CPU plays the device: the hooks are the real ones, the copies go nowhere.
"""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llm_dit.qwen.forward.transformer import Branch
from llm_dit.qwen.loading.checkpoints import EDIT, LAYERED, open_checkpoint
from llm_dit.qwen.loading.loader import LoadOptions, load_pipeline
from llm_dit.qwen.placement.placing import Placement
from llm_dit.qwen.placement.plan import Plan
from llm_dit.qwen.placement.swapping import BlockStream, Swapped, Turns, swap_layers, tensors_of
from tests.kit.denoising import align

CPU = torch.device("cpu")
PLANS = {
    "resident": Plan(strategy="resident", peak=0, reason=""),
    "resident, modulation away": Plan(strategy="resident", modulation_away=True, peak=0, reason=""),
    "model": Plan(strategy="model", kept_blocks=2, peak=0, reason=""),
    "model, modulation away": Plan(strategy="model", kept_blocks=2, modulation_away=True, peak=0, reason=""),
    "model, quantized": Plan(strategy="model", kept_blocks=2, quantized=True, peak=0, reason=""),
    "stream": Plan(strategy="stream", peak=0, reason=""),
    "stream, one block stays": Plan(strategy="stream", kept_blocks=1, peak=0, reason=""),
    "stream, modulation away": Plan(strategy="stream", modulation_away=True, peak=0, reason=""),
    "stream, text encoder by layers": Plan(strategy="stream", text_encoder="layers", peak=0, reason=""),
    "sequential": Plan(strategy="sequential", text_encoder="layers", peak=0, reason=""),
}


@pytest.fixture(scope="module")
def loaded(checkpoints: Path) -> list[Any]:
    options = LoadOptions(device=CPU, dtype=torch.float32)
    layered = load_pipeline(open_checkpoint(checkpoints / "layered", LAYERED), options, lambda _: None)
    edit = load_pipeline(open_checkpoint(checkpoints / "edit", EDIT), options, lambda _: None, layered.text_encoder)
    for pipeline in (layered, edit):
        align(pipeline)
    return [layered, edit]


def fail(*_: Any) -> None:
    raise torch.OutOfMemoryError("planted")


def predict(pipeline: Any) -> torch.Tensor:
    """Encode a prompt and take two steps with two branches, as guidance has."""
    with torch.no_grad():
        image = {} if "Layered" in type(pipeline).__name__ else {"image": None}
        branch = Branch(embeds=pipeline.encode_prompt("a house", **image)[0])
        tokens = torch.linspace(-1, 1, 16 * 64).reshape(1, 16, 64)
        answers = [
            pipeline.transformer(
                tokens, branches=[branch, branch], schedule=torch.tensor([0.5, 0.25]), step=step, shapes=[[(1, 4, 4)]]
            )
            for step in (0, 1)
        ]
        assert torch.equal(*answers[0])
        return answers[0][0] + answers[1][0]


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

    hook = pipeline.transformer.transformer_blocks[1].image.mlp.register_forward_pre_hook(fail)
    with pytest.raises(torch.OutOfMemoryError):
        predict(pipeline)
    hook.remove()
    placement.after_run()
    assert torch.equal(predict(pipeline), expected)
    placement.remove()


def test_a_run_that_fails_brings_everything_home(loaded: list[Any]) -> None:
    """A canceled run must not cost memory: the host's copies are the same tensors as before, and no others."""
    transformer = loaded[0].transformer
    placement = Placement(loaded, PLANS["stream"], CPU)
    homes = [tensor.data_ptr() for tensor in transformer.parameters()]
    while_running: list[int] = []

    def look_and_fail(*_: Any) -> None:
        while_running.extend(tensor.data_ptr() for tensor in transformer.parameters())
        fail()

    hook = transformer.transformer_blocks[1].image.mlp.register_forward_pre_hook(look_and_fail)
    with pytest.raises(torch.OutOfMemoryError):
        predict(loaded[0])
    hook.remove()
    placement.after_run()
    assert while_running != homes
    assert [tensor.data_ptr() for tensor in transformer.parameters()] == homes
    placement.remove()


def test_models_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (Swapped([], CPU, pinned=False) for _ in range(2))
    away: set[Swapped] = set()
    monkeypatch.setattr(Swapped, "onload", lambda self: away.add(self))
    monkeypatch.setattr(Swapped, "offload", lambda self: away.discard(self))
    turns = Turns()
    turns.add(first)
    turns.add(second)
    turns.bring(first)
    assert away == {first}
    turns.bring(second)
    assert away == {second}
    turns.clear()
    assert not away


def test_swapped_weights_go_home_untouched() -> None:
    module = torch.nn.Linear(4, 4)
    before = copy.deepcopy(module.state_dict())
    swapped = Swapped(tensors_of(module), CPU, pinned=False)
    swapped.onload()
    swapped.onload()
    swapped.offload()
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())


def test_layers_come_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    for name in ("onload", "offload"):
        monkeypatch.setattr(Swapped, name, lambda self, name=name: events.append(name))
    net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    undo = swap_layers(net, CPU, pinned=False)
    assert events == ["offload"] * 2
    net(torch.zeros(1, 2))
    assert events[2:] == ["onload", "offload"] * 2
    undo()
    net(torch.zeros(1, 2))
    assert len(events) == 6


@given(blocks=st.integers(1, 6), passes=st.integers(1, 3), seed=st.integers(0, 99))
def test_streamed_blocks_compute_what_they_did(blocks: int, passes: int, seed: int) -> None:
    torch.manual_seed(seed)
    net = torch.nn.Sequential(*(torch.nn.Linear(3, 3) for _ in range(blocks)))
    data = torch.ones(1, 3)
    expected = net(data)
    stream = BlockStream(list(net), CPU, pinned=False)
    for _ in range(passes):
        assert torch.equal(net(data), expected)
    stream.remove()
    assert torch.equal(net(data), expected)


def test_two_slots_hold_all_that_is_streamed() -> None:
    net = torch.nn.Sequential(*(torch.nn.Linear(3, 3) for _ in range(5)))
    places: set[int] = set()

    def note(module: Any, *_: Any) -> None:
        places.add(module.weight.data_ptr())

    for block in net:
        block.register_forward_hook(note)
    stream = BlockStream(list(net), CPU, pinned=False)
    net(torch.ones(1, 3))
    net(torch.ones(1, 3))
    assert len(places) == 2
    stream.remove()
