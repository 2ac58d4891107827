"""A pipeline that fails as torch and the models fail, named by the Qwen engine's own code.

With CUDA it runs out of the device's memory and trips an assertion on the device for real. Without, what torch raises
there is raised: the classes are torch's own; only memory then runs out for real too, the host's.
"""

from typing import Any

import torch

from llm_dit.layers import Decomposition
from llm_dit.qwen.placement.devices import choose_device, device_memory, named_failures
from llm_dit.qwen.sampling.running import check_finite
from llm_dit.runs import PipelineStatus, Progress, ProgressCallback
from tests.kit.stand_in import RecordedPipeline

CUDA = torch.cuda.is_available()
DEVICE_MEMORY = 2_000_000_000
"""Bytes of the device that torch may take."""


class FaultyPipeline(RecordedPipeline):
    """Fails after its first step when the `prompt` is the name of a fault."""

    def __init__(self) -> None:
        super().__init__()
        if CUDA:
            total = torch.cuda.get_device_properties(0).total_memory
            torch.cuda.set_per_process_memory_fraction(DEVICE_MEMORY / total)

    def status(self) -> PipelineStatus:
        used, total = device_memory(choose_device(None)) or (None, None)
        return PipelineStatus(
            models=("steps",),
            has_edit_model=self.has_edit_model,
            device="CUDA" if CUDA else "CPU",
            device_used_bytes=used,
            device_total_bytes=total,
        )

    def decompose(self, *arguments: Any, prompt: str, progress: ProgressCallback, **options: Any) -> Decomposition:
        if prompt in FAULTS:
            progress(Progress(phase="stepping", step=1, total=2))
            with named_failures():
                held = torch.zeros(64_000_000, dtype=torch.uint8, device="cuda" if CUDA else "cpu")
                FAULTS[prompt](held)
        return super().decompose(*arguments, prompt=prompt, progress=progress, **options)


def _raise_out_of_memory(_held: torch.Tensor) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")


def _run_out_of_memory(held: torch.Tensor) -> None:
    torch.empty(2**46, dtype=torch.uint8, device=held.device)


def _lose_device(held: torch.Tensor) -> None:
    if CUDA:
        held[torch.tensor([held.numel()], device="cuda")]
        torch.cuda.synchronize()
    raise torch.AcceleratorError("CUDA error: device-side assert triggered")


def _lose_numbers(held: torch.Tensor) -> None:
    check_finite(held[:4] / torch.zeros(4, device=held.device))


FAULTS = {
    "raised out of memory": _raise_out_of_memory,
    "real out of memory": _run_out_of_memory,
    "device": _lose_device,
    "nan": _lose_numbers,
}
