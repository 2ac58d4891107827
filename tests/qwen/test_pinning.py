"""Page locks without a GPU: a driver that only keeps books stands in for CUDA's, the rest is real."""

import gc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from llm_dit.qwen.loading.checkpoints import LAYERED, open_checkpoint
from llm_dit.qwen.loading.loader import LoadOptions, load_pipeline
from llm_dit.qwen.placement import swapping as pinning
from llm_dit.qwen.placement.placing import Placement
from llm_dit.qwen.placement.plan import Plan
from llm_dit.qwen.placement.swapping import PageLock


class Driver:
    def __init__(self) -> None:
        self.locked: dict[int, int] = {}
        self.refuses = False

    def cudaHostRegister(self, address: int, size: int, flags: int) -> int:
        if self.refuses:
            return 712
        self.locked[address] = size
        return 0

    def cudaHostUnregister(self, address: int) -> int:
        del self.locked[address]
        return 0


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    driver = Driver()
    monkeypatch.setattr(pinning, "_runtime", lambda: driver)
    monkeypatch.setattr(torch, "cuda", SimpleNamespace(synchronize=lambda: None))
    monkeypatch.setattr(torch.Tensor, "is_pinned", lambda tensor: tensor.data_ptr() in driver.locked)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
    return driver


def test_large_tensors_are_locked_at_their_size_until_released(driver: Driver) -> None:
    module = torch.nn.Linear(1024, 512)
    before = module.weight.detach().clone()
    lock = PageLock([module])
    assert driver.locked == {module.weight.data_ptr(): 1024 * 512 * 4}
    assert torch.equal(module.weight, before)
    lock.release()
    assert not driver.locked


def test_a_module_in_two_pipelines_is_locked_once(driver: Driver) -> None:
    module = torch.nn.Linear(1024, 512)
    lock = PageLock([module, module])
    assert len(driver.locked) == 1
    lock.release()


def test_a_lock_that_nobody_holds_unlocks(driver: Driver) -> None:
    lock = PageLock([torch.nn.Linear(1024, 512)])
    assert driver.locked
    del lock
    gc.collect()
    assert not driver.locked


def test_a_driver_that_refuses_leaves_it_to_torch(driver: Driver) -> None:
    driver.refuses = True
    PageLock([torch.nn.Linear(1024, 512)])
    assert not driver.locked


@pytest.mark.parametrize("strategy", ["resident", "stream"])
def test_what_waits_on_the_host_is_locked_as_long_as_it_is_placed(
    driver: Driver, checkpoints: Path, monkeypatch: pytest.MonkeyPatch, strategy: Any
) -> None:
    monkeypatch.setattr(pinning, "WORTH_IT", 1)
    cpu = torch.device("cpu")
    checkpoint = open_checkpoint(checkpoints / "layered", LAYERED)
    pipeline = load_pipeline(checkpoint, LoadOptions(device=cpu, dtype=torch.float32), lambda _: None)
    plan = Plan(strategy=strategy, modulation_away=True, pinned=True, peak=0, reason="")
    placement = Placement([pipeline], plan, cpu)
    gc.collect()
    assert driver.locked.keys() >= {each.data_ptr() for each in pipeline.transformer.modulations.parameters()}
    placement.remove()
    assert not driver.locked
