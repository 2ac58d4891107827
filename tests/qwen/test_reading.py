"""Weights come from their files as safetensors has them, straight to their place, and reading stops when told to."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from llm_dit.errors import WeightsError
from llm_dit.qwen.loading import loader
from llm_dit.qwen.loading.checkpoints import LAYERED, open_checkpoint
from llm_dit.qwen.loading.loader import TYPES, LoadOptions, _Loader, load_pipeline, read_tensors
from llm_dit.runs import Canceled, Progress

CPU, META = torch.device("cpu"), torch.device("meta")


def nothing() -> None:
    """Hear a report and do nothing."""


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes of each read; one thread reads, a kilobyte at a time."""
    sizes: list[int] = []
    read_into = loader._read_into

    def counting(file: Any, content: torch.Tensor) -> None:
        sizes.append(content.numel())
        read_into(file, content)

    monkeypatch.setattr(loader, "_read_into", counting)
    monkeypatch.setattr(loader, "THREADS", 1)
    monkeypatch.setattr(loader, "CHUNK", 1024)
    return sizes


@pytest.fixture
def stop_after(monkeypatch: pytest.MonkeyPatch, fetched: list[int]) -> Callable[[int], None]:
    """Have reading wait after so many bytes until it is told to stop: on a busy machine it would be done before."""
    told: list[Event] = []
    read_into, limit = loader._read_into, [0]

    def event() -> Event:
        told.append(Event())
        return told[-1]

    def waiting(file: Any, content: torch.Tensor) -> None:
        read_into(file, content)
        if sum(fetched) > limit[0]:
            told[-1].wait()

    def after(size: int) -> None:
        limit[0] = size
        monkeypatch.setattr(loader, "Event", event)
        monkeypatch.setattr(loader, "_read_into", waiting)

    return after


def test_tensors_of_every_type_are_those_of_the_file(
    checkpoints: Path, tmp_path: Path, fetched: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = {f"of {name}": (torch.rand(3, 700) * 9).to(kind) for name, kind in TYPES.items()}
    written = {**kinds, "number": torch.tensor(2.5), "nothing": torch.zeros(0, 4), "last": torch.rand(5)}
    folder = tmp_path / "checkpoint"
    (folder / "vae").mkdir(parents=True)
    file = folder / "vae/diffusion_pytorch_model.safetensors"
    save_file(written, file)
    stored = replace(open_checkpoint(checkpoints / "layered", LAYERED), folder=folder).stored("vae")
    found = read_tensors(stored, lambda _: CPU, torch.float32, nothing)
    assert found.keys() == written.keys()
    for name, tensor in load_file(file).items():
        wanted = tensor.float() if tensor.is_floating_point() else tensor
        assert found[name].dtype == wanted.dtype and torch.equal(found[name], wanted)
    assert sum(fetched) == sum(each.size for each in stored), "each byte is read once"
    assert all(tensor.data_ptr() % 64 == 0 for tensor in found.values()), "a CPU rounds by alignment"


def test_what_is_not_kept_on_the_device_never_gets_there(checkpoints: Path) -> None:
    checkpoint = open_checkpoint(checkpoints / "layered", LAYERED)
    for away in (False, True):
        options = LoadOptions(device=META, dtype=torch.float32, modulation_away=away)
        transformer = _Loader(checkpoint, options).transformer()
        places = {name.startswith("modulations."): tensor.device for name, tensor in transformer.named_parameters()}
        assert places == {False: META, True: CPU if away else META}


def test_reading_stops_when_the_report_raises(
    checkpoints: Path, fetched: list[int], stop_after: Callable[[int], None]
) -> None:
    stored = open_checkpoint(checkpoints / "layered", LAYERED).stored("transformer")
    before, size = len(stored), sum(each.size for each in stored)
    stop_after(size // 2)

    def cancel() -> None:
        raise Canceled

    with pytest.raises(Canceled):
        read_tensors(stored, lambda _: CPU, torch.float32, cancel)
    assert sum(fetched) < size
    assert len(stored) == before


def test_loading_can_be_canceled_within_a_component(
    checkpoints: Path, fetched: list[int], stop_after: Callable[[int], None]
) -> None:
    checkpoint = open_checkpoint(checkpoints / "layered", LAYERED)
    first, second = (sum(each.size for each in checkpoint.stored(name)) for name in ("text_encoder", "transformer"))
    stop_after(first + second // 2)
    heard: list[int] = []

    def cancel(progress: Progress) -> None:
        heard.append(progress.step)
        if heard.count(1) == 3:
            raise Canceled

    with pytest.raises(Canceled):
        load_pipeline(checkpoint, LoadOptions(device=CPU, dtype=torch.float32), cancel)
    assert heard[0] == 0 and heard[-3:] == [1, 1, 1], "the transformer is the second component"
    assert sum(fetched) < first + second


def test_a_file_that_becomes_shorter_is_named(checkpoints: Path, tmp_path: Path) -> None:
    checkpoint = open_checkpoint(checkpoints / "layered", LAYERED)
    stored = checkpoint.stored("vae")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(stored[0].file.read_bytes())
    os.truncate(cut, stored[-1].offset)
    with pytest.raises(WeightsError, match="became shorter"):
        read_tensors([replace(each, file=cut) for each in stored], lambda _: CPU, torch.float32, nothing)
