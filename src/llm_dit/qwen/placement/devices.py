"""The device that runs the models, and how much memory there is."""

import re

import psutil
import torch

from llm_dit.errors import DeviceError, InputError
from llm_dit.qwen.placement.plan import Machine

SUPPORTED = ("cuda", "mps", "cpu")
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


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


def choose_devices(device: str | None, devices: str | None) -> tuple[torch.device, torch.device | None]:
    """Return the device, and a second one where `devices` names two, as "cuda:0,cuda:1" does.

    Raises `InputError` for both arguments at once and for other `devices`, `DeviceError` as `choose_device` does.
    """
    if not devices:
        return choose_device(device), None
    if device:
        raise InputError("Give device or devices, not both.", param="devices")
    names = [name.strip() for name in devices.split(",")]
    if len(names) != 2 or not (_are_two_cards(names) or names == ["cpu", "cpu"]):  # the processor twice is for trying
        raise InputError('devices names two NVIDIA GPUs by number, as in "cuda:0,cuda:1".', param="devices")
    return choose_device(names[0]), choose_device(names[1])


def _are_two_cards(names: list[str]) -> bool:
    return names[0] != names[1] and all(re.fullmatch(r"cuda:\d+", name) for name in names)


def choose_dtype(wanted: torch.dtype | str | None, device: torch.device) -> torch.dtype:
    """Return the type called `wanted`; raises `InputError` when a model cannot run in it.

    The default is bfloat16, as the checkpoints are stored, on an accelerator, and float32 on a CPU, where it is not
    slower.
    """
    if wanted is None:
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    found = DTYPES.get(wanted) if isinstance(wanted, str) else wanted
    if found is None or found not in DTYPES.values():
        raise InputError(f"torch_dtype is {', '.join(DTYPES)} or left out.", param="torch_dtype")
    return found


def name_device(device: torch.device) -> str:
    """Return what people call the device: "NVIDIA H200", "Apple GPU", "CPU"."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return {"mps": "Apple GPU"}.get(device.type, "CPU")


def device_memory(device: torch.device) -> tuple[int, int] | None:
    """Return the used and all bytes of the device's own memory; None for a CPU, and for a device that is lost."""
    if device.type == "cuda":
        try:
            free, total = torch.cuda.mem_get_info(device)
        except RuntimeError:
            return None
        return total - free, total
    if device.type == "mps":
        return torch.mps.driver_allocated_memory(), torch.mps.recommended_max_memory()
    return None


def measure_machine(device: torch.device) -> Machine:
    """Return the free memory now; what torch holds on the device counts as free, for it is ours to place again."""
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
