"""A step that is the same again and again, as a CUDA graph: one launch in the place of thousands."""

import logging
from collections.abc import Callable

import torch

logger = logging.getLogger(__name__)

Call = Callable[[], torch.Tensor]
Recorder = Callable[[Call], tuple[Callable[[], None], torch.Tensor]]
"""Records a call without running it; returns what runs it, and the tensor that then holds its answer."""
EAGER = 2
"""Runs before the recording: libraries choose their kernels, and take their memory, in the first."""


def recorder_for(device: torch.device) -> Recorder | None:
    """Return what records CUDA graphs on a device; None where there are none."""
    if device.type != "cuda":
        return None

    def record(call: Call) -> tuple[Callable[[], None], torch.Tensor]:
        graph = torch.cuda.CUDAGraph()
        # `torch.cuda.graph` has one stream of its own, which is of the first device that it ever ran on.
        stream = torch.cuda.Stream(device)
        with (
            torch.cuda.device(device),
            torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"),
        ):
            answer = call()
        return graph.replay, answer

    return record


class Replay:
    """Runs `call`, which reads its arguments from tensors that stay; from the third time on as a recording.

    The recording has to give what the call gives, bit by bit, and is not used when it does not, or cannot be made.
    `rewind` takes back what a run has changed of what the next one reads. An answer holds until the next run.
    """

    def __init__(self, call: Call, rewind: Callable[[], object], record: Recorder | None) -> None:
        self._call = call
        self._rewind = rewind
        self._record = record
        self._runs = 0
        self._recording: tuple[Callable[[], None], torch.Tensor] | None = None

    def __call__(self) -> torch.Tensor:
        if self._recording is not None:
            replay, answer = self._recording
            replay()
            return answer
        answer = self._call()
        self._runs += 1
        if self._record is not None and self._runs > EAGER:
            return self._recorded(answer, self._record)
        return answer

    def _recorded(self, wanted: torch.Tensor, record: Recorder) -> torch.Tensor:
        self._record = None
        try:
            replay, answer = record(self._call)
        except Exception as error:  # whatever it raises, the call itself goes on working
            logger.warning("no CUDA graph: its recording ended in a %s", type(error).__name__, exc_info=error)
            return wanted
        self._rewind()
        replay()
        if torch.equal(answer, wanted):
            self._recording = replay, answer
            return answer
        logger.warning("no CUDA graph: its numbers are not those of the step itself")
        self._rewind()
        return self._call()
