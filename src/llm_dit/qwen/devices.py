"""The device that runs the models, and how much memory there is."""

import psutil
import torch

from llm_dit.errors import DeviceError
from llm_dit.qwen.placement import Machine

SUPPORTED = ("cuda", "mps", "cpu")


def choose_device(name: str | None) -> torch.device:
    """Return the device called `name`, or the best there is; raises `DeviceError` when there is none of that name."""
    if name is None:
        return torch.device(next(kind for kind in SUPPORTED if _is_there(kind)))
    kind, _, index = name.partition(":")
    if kind not in SUPPORTED or (index and not index.isdecimal()):
        raise DeviceError("The device is cuda, mps or cpu, and cuda may have a number, as in cuda:1.")
    if not _is_there(kind) or (kind == "cuda" and int(index or 0) >= torch.cuda.device_count()):
        raise DeviceError(f"torch sees no device {name} here: check the driver and the torch build, or leave it out.")
    return torch.device(name)


def default_dtype(device: torch.device) -> torch.dtype:
    """Return bfloat16, as the checkpoints are stored, on an accelerator; float32 on a CPU, where it is not slower."""
    return torch.float32 if device.type == "cpu" else torch.bfloat16


def measure_machine(device: torch.device) -> Machine:
    """Return the free memory now; what torch holds on the device counts as free, for it is ours to place anew."""
    free_host = psutil.virtual_memory().available
    if device.type == "cuda":
        free_device = torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device)
    elif device.type == "mps":
        free_device = torch.mps.recommended_max_memory()
    else:
        free_device = free_host
    return Machine(device=device.type, free_device=free_device, free_host=free_host)


def _is_there(kind: str) -> bool:
    if kind == "cuda":
        return torch.cuda.is_available()
    return kind == "cpu" or torch.backends.mps.is_available()
