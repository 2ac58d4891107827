"""What torch, the hub and the disk raise, turned into errors that say what to do next."""

import errno
import gc
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


@contextmanager
def named_failures() -> Iterator[None]:
    """Turn what goes wrong inside into an `EngineError` with advice; other errors pass as they are.

    The new error is raised outside the handler, so that it does not hold the frames, and with them the tensors, of
    the old one; then the device's cache is emptied, and the pipeline works for the next call.
    """
    failure: EngineError | None = None
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError):
        failure = OutOfMemoryError(OUT_OF_MEMORY)
    except SafetensorError:
        failure = WeightsError("A weights file is damaged: download the checkpoint again.")
    except ImportError as error:
        failure = VersionError(f"The package {error.name or 'that is needed'} is missing or too old: {INSTALL}")
    except OSError as error:
        failure = _of_disk(error)
        if failure is None:
            raise
    except RuntimeError as error:
        failure = _of_device(error)
        if failure is None:
            raise
    if failure is not None:
        free_memory()
        raise failure


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
