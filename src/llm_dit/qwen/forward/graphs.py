"""A step that is the same again and again, as a CUDA graph: one launch in the place of thousands."""

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
"""Records a call without running it; returns what runs it, and the tensor that then holds its answer."""
KEPT = 4
"""Recordings of one function that are kept: two texts at two sizes."""
_RECORDING = threading.Lock()
"""Held while a graph is recorded: two devices have two threads, and the start of a recording empties both's caches."""
EAGER = 2
"""Runs before the recording: libraries choose their kernels, and take their memory, in the first."""


def recorder_for(device: torch.device) -> Recorder | None:
    """Return what records CUDA graphs on a device, the same for all who ask; None where there are none."""
    if device.type != "cuda":
        return None
    return _on(torch.cuda.current_device() if device.index is None else device.index)


@functools.cache
def _on(index: int) -> "CudaGraphs":
    return CudaGraphs(torch.device("cuda", index))


class CudaGraphs:
    """Records CUDA graphs on a device. They share one pool of memory, so one of them runs at a time."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        # `torch.cuda.graph` has one stream of its own, which is of the first device that it ever ran on. What a stream
        # has freed, another does not get: with a stream for each recording, none would use the memory of another.
        self._stream = torch.cuda.Stream(device)
        # The libraries take memory for good at a stream's first product. In a recording they would take it from the
        # pool, which torch could then neither free nor use again.
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
    """Runs `call`, which reads its arguments from tensors that stay; from the third time on as a recording.

    The recording has to give what the call gives, bit by bit, and is not used when it does not, or cannot be made;
    unless it is `trusted`, as those are that do what has been compared before. `rewind` takes back what a run has
    changed of what the next one reads. An answer holds until the next run.
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
        except Exception as error:  # whatever it raises, the call itself goes on working
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
    """What a function answers, by the key of a call, from recordings; the latest few keys are kept.

    The function has to be the same for a key, but for its arguments, which are copied to where the recording reads
    them.
    """

    def __init__(self, record: Recorder, kept: int = KEPT) -> None:
        self._record = record
        self._limit = kept
        self._kept: OrderedDict[Hashable, tuple[list[torch.Tensor], Replay]] = OrderedDict()

    @classmethod
    def on(cls, device: torch.device) -> "Recordings | None":
        """Return recordings for a device; None where nothing can be recorded."""
        record = recorder_for(device)
        return None if record is None else cls(record)

    def __call__(self, key: Hashable, make: Callable[[], Function], *arguments: torch.Tensor) -> torch.Tensor:
        """Return what the function that `make` returns makes of `arguments`, whose shapes the key tells."""
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
        return replay().clone()  # where it is, another recording may write

    def forget(self) -> None:
        """Give the memory back."""
        self._kept.clear()


def _nothing() -> None: ...
