"""What torch, the hub and the disk raise, turned into errors that say what to do next."""

import errno
import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from safetensors import SafetensorError

from llm_dit.errors import (
    DeviceError,
    DiskFullError,
    EngineError,
    OutOfMemoryError,
    VersionError,
    WeightsError,
)

OUT_OF_MEMORY = (
    "The device's memory does not hold this run: use fewer layers or resolution 640, cpu_offload=True, or close what "
    "else uses the device."
)

INSTALL = "install the extra with pip install 'llm-dit[qwen]'."


logger = logging.getLogger(__name__)


@contextmanager
def named_failures() -> Iterator[None]:
    """Turn what goes wrong inside into an `EngineError` with advice; other errors pass as they are.

    The old error goes to the log and loses its traceback, whose frames hold the run's tensors; then the device's cache
    is emptied, and the pipeline works for the next call.
    """
    try:
        yield
    except Exception as error:
        failure = _name(error)
        if failure is None:
            raise
        logger.warning("%s", failure.message, exc_info=error)
        _forget_frames(error)
        free_memory()
        raise failure from None


def _name(error: Exception) -> EngineError | None:
    match error:
        case torch.OutOfMemoryError() | MemoryError():
            return OutOfMemoryError(OUT_OF_MEMORY)
        case SafetensorError():
            return WeightsError("A weights file is damaged: download the checkpoint again.")
        case ImportError():
            return VersionError(f"The package {error.name or 'that is needed'} is missing or too old: {INSTALL}")
        case OSError():
            return _of_disk(error)
        case RuntimeError():
            return _of_device(error)
        case _:
            return None


def _forget_frames(error: BaseException | None) -> None:
    while error is not None:
        error.__traceback__ = None
        error = error.__context__


def free_memory() -> None:
    """Give back what nothing refers to any more, on the host and on the device."""
    gc.collect()
    if torch.accelerator.is_available():
        torch.accelerator.memory.empty_cache()


def _of_disk(error: OSError) -> EngineError | None:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFullError("The disk is full: free some space or set HF_HOME to a larger disk; what came is kept.")
    if error.errno == errno.ENOMEM:
        return OutOfMemoryError(OUT_OF_MEMORY)
    return None


def _of_device(error: RuntimeError) -> EngineError | None:
    """Tell by the text: torch raises plain RuntimeErrors for memory and drivers."""
    text = str(error)
    if any(sign in text for sign in ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")):
        return OutOfMemoryError(OUT_OF_MEMORY)
    if any(sign in text for sign in ("No CUDA GPUs are available", "Found no NVIDIA driver", "not compiled with CUDA")):
        return DeviceError("No such device can be used here: check the driver, or leave `device` out.")
    return None
