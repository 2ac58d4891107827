"""What is found on this computer for the Qwen engine, what will run, and what it needs; loads no weights."""

import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from llm_dit.errors import LLMDiTError
from llm_dit.qwen.checkpoints import EDIT, LAYERED, Checkpoint, open_checkpoint
from llm_dit.qwen.placement import CpuOffload, Weights, plan_placement

NEEDED = {
    "torch": (2, 11),
    "diffusers": (0, 42),
    "transformers": (5, 17),
    "accelerate": (1, 12),
    "safetensors": (0, 7),
    "huggingface-hub": (2, 4),
}
MODEL_BYTES = 58_000_000_000
"""What one model takes on a disk."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the report; `advice` says what to do when it is not `ok`."""

    name: str
    value: str
    ok: bool = True
    advice: str = ""


def diagnose(model_path: str, edit_model_path: str, cpu_offload: CpuOffload = True) -> list[Finding]:
    """Return what is found: versions, device, memory, weights, disk, and the placement that a run would get.

    The paths are folders or hub ids; a hub id is looked for in the cache only, and nothing is downloaded. Without the
    packages the rest cannot be looked for, and the report ends there.
    """
    findings = [_package(name, least) for name, least in NEEDED.items()]
    if not all(finding.ok for finding in findings):
        return findings
    checkpoints = {name: _find(path, name) for name, path in ((LAYERED, model_path), (EDIT, edit_model_path))}
    findings += [found if isinstance(found, Finding) else _whole(found) for found in checkpoints.values()]
    there = [found for found in checkpoints.values() if isinstance(found, Checkpoint)]
    return [*findings, _disk(2 - len(there)), *_machine(there, cpu_offload)]


def _package(name: str, least: tuple[int, int]) -> Finding:
    wanted = ".".join(map(str, least))
    advice = f"{name} {wanted} or newer is needed: pip install --upgrade 'llm-dit[qwen]'"
    try:
        found = version(name)
    except PackageNotFoundError:
        return Finding(name=name, value="not installed", ok=False, advice=advice)
    parts = tuple(int(part) for part in found.split(".")[:2])
    return Finding(name=name, value=found, ok=parts >= least, advice="" if parts >= least else advice)


def _find(path: str, pipeline: str) -> Checkpoint | Finding:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    folder = Path(path).expanduser()
    try:
        if not folder.is_dir():
            folder = Path(snapshot_download(path, local_files_only=True))
        return open_checkpoint(folder, pipeline)
    except LocalEntryNotFoundError:
        advice = "it is downloaded when it is first needed"
    except ValueError:
        advice = "give a folder in diffusers' layout, or a hub id"
    except LLMDiTError as error:
        advice = error.message
    return Finding(name=pipeline, value="not found, or not whole", ok=False, advice=advice)


def _whole(checkpoint: Checkpoint) -> Finding:
    size = sum(
        file.stat().st_size for name in ("transformer", "text_encoder", "vae") for file in checkpoint.weight_files(name)
    )
    return Finding(name=checkpoint.pipeline, value=f"{size / 1e9:.1f} GB, complete")


def _disk(missing: int) -> Finding:
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE)
    free = shutil.disk_usage(next(folder for folder in (cache, *cache.parents) if folder.exists())).free
    ok = free > missing * MODEL_BYTES
    needed = f"{missing * MODEL_BYTES / 1e9:.0f} GB are needed: free some, or set HF_HOME to a larger disk"
    return Finding(name="free disk", value=f"{free / 1e9:.1f} GB", ok=ok, advice="" if ok else needed)


def _machine(checkpoints: list[Checkpoint], cpu_offload: CpuOffload) -> list[Finding]:
    from llm_dit.qwen.devices import choose_device, default_dtype, measure_machine

    device = choose_device(None)
    machine = measure_machine(device)
    findings = [
        Finding(
            name="device",
            value=device.type,
            ok=device.type != "cpu",
            advice="" if device.type != "cpu" else "there is no accelerator: the classical engine is the one to use",
        ),
        Finding(name="free device memory", value=f"{machine.free_device / 1e9:.1f} GB"),
        Finding(name="free host memory", value=f"{machine.free_host / 1e9:.1f} GB"),
    ]
    if not checkpoints:
        return findings
    size = default_dtype(device).itemsize
    weights = Weights(
        transformers=tuple(each.parameters("transformer") * size for each in checkpoints),
        text_encoders=(checkpoints[0].parameters("text_encoder") * size,),
        vaes=sum(each.parameters("vae") for each in checkpoints) * size,
        blocks=checkpoints[0].transformer_blocks,
    )
    plan = plan_placement(cpu_offload, machine, weights)
    fits = plan.peak <= machine.free_device
    advice = "" if fits else 'it needs more than there is: cpu_offload="auto", or quantization'
    return [
        *findings,
        Finding(name="placement", value=f"{plan.reason} About {plan.peak / 1e9:.0f} GB.", ok=fits, advice=advice),
    ]
