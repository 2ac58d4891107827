"""What is given back when a run fails."""

import weakref

import pytest
import torch

from llm_dit.errors import OutOfMemoryError
from llm_dit.qwen.placement import devices


def test_what_a_failed_run_held_is_gone_before_the_device_is_asked_to_free_it(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[weakref.ref[torch.Tensor]] = []
    alive_when_freed: list[bool] = []

    def run() -> None:
        taken = torch.zeros(8)
        held.append(weakref.ref(taken))
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(devices, "free_memory", lambda: alive_when_freed.append(held[0]() is not None))
    with pytest.raises(OutOfMemoryError), devices.named_failures():
        run()
    assert alive_when_freed == [False]
