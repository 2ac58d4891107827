"""The weights of a component, read from its files by several threads, each tensor once and straight to its place."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from threading import Event, local
from typing import Any

import torch

from llm_dit.errors import WeightsError
from llm_dit.qwen.loading.checkpoints import StoredTensor

THREADS = 8
CHUNK = 16 * 1024 * 1024
"""Bytes that a thread reads at once; on its way to a device it holds no more on the host."""
REPORTS = 100
"""How often, about, a component says that it is still being read."""
TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def read_tensors(
    stored: Sequence[StoredTensor],
    place: Callable[[str], torch.device],
    dtype: torch.dtype,
    report: Callable[[], None],
) -> dict[str, torch.Tensor]:
    """Return the tensors by name, each where `place` wants it, numbers with a point as `dtype`.

    `report` is called about a hundred times, and may raise: then no thread goes on. Raises `KeyError` for a type that
    safetensors has and torch has not.
    """
    stopped, total, told = Event(), sum(each.size for each in stored), 0
    reader = _Reader(stopped)
    done = 0
    with ThreadPoolExecutor(THREADS, thread_name_prefix="weights") as pool:
        jobs = {pool.submit(reader.read, each, place(each.name), dtype): each for each in stored}
        try:
            found: dict[str, torch.Tensor] = {}
            for job in as_completed(jobs):
                found[jobs[job].name] = job.result()
                done += jobs[job].size
                if done * REPORTS >= (told + 1) * total:
                    told = done * REPORTS // total
                    report()
        except BaseException:
            stopped.set()
            pool.shutdown(cancel_futures=True)
            raise
    return found


class _Reader:
    """Reads tensors until it is stopped; each thread has a chunk of its own."""

    def __init__(self, stopped: Event) -> None:
        self._stopped = stopped
        self._own: Any = local()

    def read(self, stored: StoredTensor, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
        kind = TYPES[stored.dtype]
        tensor = torch.empty(stored.shape, dtype=kind, device=device)
        content = tensor.view(-1).view(torch.uint8)
        with stored.file.open("rb", buffering=0) as file:
            file.seek(stored.offset)
            for start in range(0, stored.size, CHUNK):
                if self._stopped.is_set():
                    break
                self._fill(file, content[start : start + CHUNK])
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    def _fill(self, file: Any, content: torch.Tensor) -> None:
        if content.device.type == "cpu":
            _read_into(file, content)
            return
        chunk = self._chunk(content.device)[: content.numel()]
        _read_into(file, chunk)
        content.copy_(chunk)

    def _chunk(self, device: torch.device) -> torch.Tensor:
        """Return room for a chunk; page-locked, the copy to a CUDA device is twice as fast and holds nobody up."""
        if not hasattr(self._own, "chunk"):
            self._own.chunk = torch.empty(CHUNK, dtype=torch.uint8, pin_memory=device.type == "cuda")
        return self._own.chunk


def _read_into(file: Any, content: torch.Tensor) -> None:
    array: Any = content.numpy()  # which numpy's own types do not say to be a buffer
    room = memoryview(array)
    while room:
        count = file.readinto(room)
        if not count:
            raise WeightsError("A weights file became shorter while it was read: download the checkpoint again.")
        room = room[count:]
