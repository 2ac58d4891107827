"""Replays a repeated step as a CUDA graph: one launch instead of thousands."""

import functools
import logging
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

import torch

logger = logging.getLogger(__name__)

Call = Callable[[], torch.Tensor]
Function = Callable[..., torch.Tensor]
Recorder = Callable[[Call], tuple[Callable[[], None], torch.Tensor]]
"""Records a call without running it; returns a function that replays it, and the tensor that holds its result."""
KEPT = 4
"""Recordings kept per function: two texts at two sizes."""
_RECORDING = threading.Lock()
"""Held during a recording: two devices have two threads, and starting a recording empties the caches of both."""
EAGER = 2
"""Runs before the recording: in the first, libraries choose their kernels and allocate their memory."""


def recorder_for(device: torch.device) -> Recorder | None:
    """Return the device's one recorder of CUDA graphs; None if the device has no CUDA."""
    if device.type != "cuda":
        return None
    return _on(torch.cuda.current_device() if device.index is None else device.index)


@functools.cache
def _on(index: int) -> "CudaGraphs":
    return CudaGraphs(torch.device("cuda", index))


class CudaGraphs:
    """Records CUDA graphs on a device. They share one memory pool, so one of them runs at a time."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        # The default stream of `torch.cuda.graph` belongs to the first device that it ever ran on. Memory freed by a
        # stream is not reused by another: with a stream per recording, recordings could not share memory.
        self._stream = torch.cuda.Stream(device)
        # Libraries allocate permanent memory at a stream's first product. During a recording it would come from the
        # pool, which torch could then neither free nor reuse.
        with torch.cuda.device(device), torch.cuda.stream(self._stream):
            few = torch.ones(16, 16, device=device, dtype=torch.bfloat16)
            torch.addmm(few[0], few, few)
        self._graphs = weakref.WeakSet[torch.cuda.CUDAGraph]()
        self._pool: Any = None

    def __call__(self, call: Call) -> tuple[Callable[[], None], torch.Tensor]:
        if not self._graphs:  # a pool ends with its last graph
            self._pool = torch.cuda.graph_pool_handle()
        graph = torch.cuda.CUDAGraph()
        with (
            _RECORDING,
            torch.cuda.device(self._device),
            torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"),
        ):
            answer = call()
        self._graphs.add(graph)
        return graph.replay, answer


class Replay:
    """Runs `call`, which reads its arguments from fixed tensors; from the third run on as a recording.

    The recording is used only if it can be made and its result equals the call's, bit for bit; `trusted` skips the
    comparison, if the same function has passed it before. `rewind` undoes a run's changes to the next run's input. A
    result is valid until the next run.
    """

    def __init__(
        self, call: Call, rewind: Callable[[], object], record: Recorder | None, *, trusted: bool = False
    ) -> None:
        self._call = call
        self._rewind = rewind
        self._record = record
        self._trusted = trusted
        self._runs = 0
        self._recording: tuple[Callable[[], None], torch.Tensor] | None = None

    @property
    def is_recorded(self) -> bool:
        return self._recording is not None

    def __call__(self) -> torch.Tensor:
        if self._record is not None and self._runs == EAGER:
            return self._first_replay(self._record)
        self._runs += 1
        if self._recording is None:
            return self._call()
        replay, answer = self._recording
        replay()
        return answer

    def _first_replay(self, record: Recorder) -> torch.Tensor:
        self._record = None
        wanted = None if self._trusted else self._call()
        try:
            replay, answer = record(self._call)
        except Exception as error:  # whatever it raises, the call itself still works
            logger.warning("no CUDA graph: its recording ended in a %s", type(error).__name__, exc_info=error)
            return self._call() if wanted is None else wanted
        if wanted is not None:
            self._rewind()
        replay()
        if wanted is None or torch.equal(answer, wanted):
            self._recording = replay, answer
            return answer
        logger.warning("no CUDA graph: its numbers are not those of the step itself")
        self._rewind()
        return self._call()


class Recordings:
    """Recordings of a function's calls by key; the latest few keys are kept.

    Calls with the same key may differ only in their arguments, which are copied to the tensors that the recording
    reads.
    """

    def __init__(self, record: Recorder, kept: int = KEPT) -> None:
        self._record = record
        self._limit = kept
        self._kept: OrderedDict[Hashable, tuple[list[torch.Tensor], Replay]] = OrderedDict()

    @classmethod
    def on(cls, device: torch.device) -> "Recordings | None":
        """Return recordings for a device; None if it cannot record."""
        record = recorder_for(device)
        return None if record is None else cls(record)

    def __call__(self, key: Hashable, make: Callable[[], Function], *arguments: torch.Tensor) -> torch.Tensor:
        """Call the function that `make` returns with `arguments`; `key` must determine their shapes."""
        if key not in self._kept:
            places = [each.clone() for each in arguments]
            trusted = any(replay.is_recorded for _, replay in self._kept.values())
            self._kept[key] = places, Replay(partial(make(), *places), _nothing, self._record, trusted=trusted)
            while len(self._kept) > self._limit:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        places, replay = self._kept[key]
        for place, argument in zip(places, arguments, strict=True):
            place.copy_(argument)
        return replay().clone()  # another recording may overwrite the original

    def forget(self) -> None:
        """Release the memory."""
        self._kept.clear()


def _nothing() -> None: ...
