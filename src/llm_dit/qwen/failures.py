"""Turns errors of torch, the hub and the disk into errors that say what to do next."""

import errno
import gc
import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from safetensors import SafetensorError

from llm_dit.errors import (
    DeviceError,
    DeviceLostError,
    DiskFullError,
    EngineError,
    NonFiniteOutputError,
    OutOfMemoryError,
    VersionError,
    WeightsError,
)

OUT_OF_MEMORY = (
    "The device has too little memory for this run: use fewer layers, resolution 640 or cpu_offload=True, or close "
    "other programs on the device."
)
DEVICE_LOST = "The device failed during this run, and the engine restarts: send the job again."
OUT_OF_RANGE = "The model's numbers left their range: use bfloat16 instead of float16, or a lower cfg_scale."

# Torch's messages for each failure. CUDA's own errors are "sticky": every later call in the process fails too.
_NO_MEMORY = ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
_NO_DEVICE = (
    "No CUDA GPUs are available",
    "Found no NVIDIA driver",
    "not compiled with CUDA",
    "no kernel image is available",
    "invalid device ordinal",
)
_LOST_DEVICE = (
    "CUDA error",
    "HIP error",
    "device-side assert",
    "an illegal memory access",
    "unspecified launch failure",
    "CUDNN_STATUS_EXECUTION_FAILED",
    "CUBLAS_STATUS_EXECUTION_FAILED",
    "CUBLAS_STATUS_INTERNAL_ERROR",
    "uncorrectable ECC",
)
_NO_NUMBER = ("probability tensor contains either",)

INSTALL = "run `llm-dit install qwen`."


logger = logging.getLogger(__name__)


@contextmanager
def named_failures() -> Iterator[None]:
    """Turn known failures in the context into an `EngineError` with advice; other errors pass unchanged.

    The original error is logged and loses its traceback, whose frames hold the run's tensors. Then the device's cache
    is emptied, and the pipeline is ready for the next call, except after `DeviceLostError`.
    """
    try:
        yield
    except Exception as error:
        failure = _name(error)
        if failure is None:
            raise
        logger.warning("%s", failure.message, exc_info=error)
        _forget_frames(error)
        if not isinstance(failure, DeviceLostError):  # memory of a lost device cannot be freed
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
    """Clear the local variables in an error's frames; the code that re-raises the error still holds the frames."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error.__traceback__ = None
        error = error.__context__


def free_memory() -> None:
    """Release unreferenced memory, on the host and on the device."""
    gc.collect()
    if torch.accelerator.is_available():
        torch.accelerator.memory.empty_cache()


def _of_disk(error: OSError) -> EngineError | None:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFullError(
            "The disk is full: free some space or set HF_HOME to a larger disk; the partial download is kept."
        )
    if error.errno == errno.ENOMEM:
        return OutOfMemoryError(OUT_OF_MEMORY)
    return None


def _of_device(error: RuntimeError) -> EngineError | None:
    """Classify by the message, because torch raises plain RuntimeErrors for memory and drivers."""
    text = str(error)
    if any(sign in text for sign in _NO_MEMORY):
        return OutOfMemoryError(OUT_OF_MEMORY)
    if any(sign in text for sign in _NO_DEVICE):
        return DeviceError("This device is not available here: check the driver, or leave `device` out.")
    if isinstance(error, torch.AcceleratorError) or any(sign in text for sign in _LOST_DEVICE):
        return DeviceLostError(DEVICE_LOST)
    if any(sign in text for sign in _NO_NUMBER):
        return NonFiniteOutputError(OUT_OF_RANGE)
    return None
