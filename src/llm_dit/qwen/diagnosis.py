"""Checks this computer for the Qwen engine: what is installed, what will run, what it needs; loads no weights."""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from llm_dit.errors import LLMDiTError
from llm_dit.options import QWEN_IMAGE, Speed
from llm_dit.qwen.editors import EDIT_PLUS, EDITORS, Editor
from llm_dit.qwen.loading.checkpoints import (
    EDIT,
    EDIT_MODEL,
    LAYERED,
    LAYERED_MODEL,
    NAMES,
    WEIGHTS,
    Checkpoint,
    local_folder,
    open_checkpoint,
)
from llm_dit.qwen.loading.loras import OPTIONS, Lora, Spec, local_lora, open_lora, parse_loras
from llm_dit.qwen.loading.single_file import check_fits, describe_file, is_packed, read_transformer
from llm_dit.qwen.placement.plan import NONE, CpuOffload, Plan, Weights, plan_placement

NEEDED = {
    "torch": (2, 11),
    "diffusers": (0, 42),
    "transformers": (5, 17),
    "accelerate": (1, 12),
    "safetensors": (0, 7),
    "huggingface-hub": (2, 4),
}
NOT_HERE = "not on this computer"
MODEL_BYTES = 58_000_000_000
TRANSFORMER_BYTES = 41_000_000_000
"""Disk space of one model, and of its transformer alone."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the report; `advice` says what to do if it is not `ok`."""

    name: str
    value: str
    ok: bool = True
    advice: str = ""


def unmet_requirements() -> list[Finding]:
    """Return the packages that are missing or too old, each with advice; reads metadata and imports nothing."""
    return [finding for finding in map(_package, NEEDED) if not finding.ok]


def diagnose(
    model_path: str,
    edit_model_path: str | None = None,
    *,
    cpu_offload: CpuOffload = True,
    device: str | None = None,
    devices: str | None = None,
    torch_dtype: str | None = None,
    quantization: Literal["fp8", "nf4"] | None = None,
    fused: bool = True,
    speed: Speed = "exact",
    edit_only: bool = False,
    transformer_path: str | None = None,
    edit_transformer_path: str | None = None,
    loras: Sequence[str] = (),
    edit_loras: Sequence[str] = (),
) -> list[Finding]:
    """Return the findings: versions, weights, disk, device, memory, and the placement of a run.

    The arguments are those of `QwenImageDiffusersPipeline.from_pretrained`. A hub id is looked up in the cache only;
    nothing is downloaded and no tensor is read. If packages are missing, the report has only what needs none of them.
    """
    packages = [_package(name) for name in NEEDED]
    paths = (
        {EDIT: edit_model_path or EDIT_MODEL}
        if edit_only
        else {LAYERED: model_path, EDIT: edit_model_path or EDIT_MODEL}
    )
    files = {LAYERED: transformer_path, EDIT: edit_transformer_path}
    found = {name: _find(path, name, files[name]) for name, path in paths.items()}
    there = [each for each in found.values() if isinstance(each, Checkpoint)]
    editor = editor_at(paths[EDIT])
    licensed = [Finding(name="license", value=editor.license)] if editor.license else []
    opened = [
        _lora(spec, found[name])
        for name, texts in ((LAYERED, loras), (EDIT, edit_loras))
        if name in found
        for spec in parse_loras(texts, OPTIONS[name])
    ]
    findings = [
        *packages,
        *(each if isinstance(each, Finding) else _whole(each) for each in found.values()),
        *licensed,
        *(each if isinstance(each, Finding) else _sized(each) for each in opened),
        _disk(
            sum(
                (editor.disk_bytes if name == EDIT else MODEL_BYTES) - (TRANSFORMER_BYTES if files[name] else 0)
                for name, each in found.items()
                if isinstance(each, Finding) and each.value == NOT_HERE
            )
        ),
    ]
    if unmet_requirements():
        return findings
    # torch is imported from here on.
    try:
        numbers = sum(each.parameters for each in opened if isinstance(each, Lora))
        named = (device, devices)
        return [*findings, *_machine(there, numbers, cpu_offload, named, torch_dtype, quantization, fused, speed)]
    except LLMDiTError as error:
        return [*findings, Finding(name="device", value="cannot be used as configured", ok=False, advice=error.message)]


def _package(name: str) -> Finding:
    least = NEEDED[name]
    advice = f"run `llm-dit install qwen`, which brings {name} {'.'.join(map(str, least))} or newer"
    try:
        found = version(name)
    except PackageNotFoundError:
        return Finding(name=name, value="not installed", ok=False, advice=advice)
    parts = tuple(int(part) for part in found.split(".")[:2])
    return Finding(name=name, value=found, ok=parts >= least, advice="" if parts >= least else advice)


def _find(path: str, pipeline: str, transformer: str | None) -> Checkpoint | Finding:
    name = NAMES[pipeline]
    if not path:
        return Finding(
            name=name, value="not configured", ok=False, advice=f"set model_path to a folder or {LAYERED_MODEL}"
        )
    try:
        file = read_transformer(transformer, pipeline) if transformer else None
        folder = local_folder(path, pipeline) or _in_cache(path)
    except LLMDiTError as error:
        return Finding(name=name, value="not a checkpoint", ok=False, advice=error.message)
    if folder is None:
        advice = "it will be downloaded when it is first needed; there is no folder with that name"
        return Finding(name=name, value=NOT_HERE, ok=False, advice=advice)
    try:
        checkpoint = open_checkpoint(folder, pipeline, file)
        check_fits(checkpoint)
        return checkpoint
    except LLMDiTError as error:
        return Finding(name=name, value="not whole", ok=False, advice=error.message)


def editor_at(path: str) -> Editor:
    """Return the edit model of a folder or hub id, by its local files if there are any; `EDIT_PLUS` if unknown."""
    place = Path(path).expanduser()
    folder = place if place.is_dir() else _in_cache(path)
    try:
        named = json.loads((folder / "model_index.json").read_bytes())["_class_name"] if folder else ""
    except (OSError, ValueError, KeyError, TypeError):  # loading it reports the error
        named = ""
    on_the_hub = (editor for editor in EDITORS.values() if path in editor.hub)
    return EDITORS.get(named) or next(on_the_hub, EDIT_PLUS)


def _in_cache(repo_id: str) -> Path | None:
    """Return the newest snapshot of a model in the hub's cache, by its layout: the hub's library may be missing."""
    snapshots = _hub_cache() / f"models--{repo_id.replace('/', '--')}" / "snapshots"
    found = sorted(snapshots.glob("*"), key=lambda folder: folder.stat().st_mtime)
    return found[-1] if found else None


def _hub_cache() -> Path:
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface"))
    return Path(os.environ.get("HF_HUB_CACHE", home / "hub")).expanduser()


def _whole(checkpoint: Checkpoint) -> Finding:
    files = [file for component in WEIGHTS for file in checkpoint.weight_files(component)]
    size = sum(file.stat().st_size for file in files)
    told = f"; {describe_file(checkpoint.file)}" if checkpoint.file else ""
    return Finding(name=NAMES[checkpoint.pipeline], value=f"{size / 1e9:.1f} GB, complete{told}")


def _lora(spec: Spec, model: Checkpoint | Finding) -> Lora | Finding:
    name = f"LoRA {spec.name}"
    try:
        file = local_lora(spec)
        if file is None:
            return Finding(name=name, value="on the hub: checked when its model is loaded")
        lora = open_lora(file, spec)
        if isinstance(model, Finding):
            return lora
        return lora.fitted(model.shapes("transformer"), NAMES[model.pipeline])
    except LLMDiTError as error:
        return Finding(name=name, value="cannot be used", ok=False, advice=error.message)


def _sized(lora: Lora) -> Finding:
    value = f"{lora.parameters * 2 / 1e9:.2f} GB in 16 bits, for {len(lora.layers)} layers, weight {lora.spec.weight:g}"
    return Finding(name=f"LoRA {lora.spec.name}", value=value)


def _disk(missing: int) -> Finding:
    """Return the free disk space, and whether `missing` bytes fit."""
    cache = _hub_cache()
    free = shutil.disk_usage(next(folder for folder in (cache, *cache.parents) if folder.exists())).free
    ok = free > missing
    needed = f"{missing / 1e9:.0f} GB must be downloaded: free space, or set HF_HOME to a larger disk"
    return Finding(name="free disk", value=f"{free / 1e9:.1f} GB", ok=ok, advice="" if ok else needed)


def _machine(
    checkpoints: list[Checkpoint],
    numbers_of_loras: int,
    cpu_offload: CpuOffload,
    named: tuple[str | None, str | None],
    torch_dtype: str | None,
    quantization: Literal["fp8", "nf4"] | None,
    fused: bool,
    speed: Speed,
) -> list[Finding]:
    from llm_dit.qwen.forward.tools import HEAD_WIDTH, describe_plain, tools_for
    from llm_dit.qwen.placement.devices import (
        can_be_fp8,
        check_quantization,
        choose_devices,
        choose_dtype,
        describe_forward,
        measure_machine,
        name_device,
        weigh,
    )
    from llm_dit.qwen.placement.plan import plan_second
    from llm_dit.qwen.sampling.running import pace_of

    device, second = choose_devices(*named)
    check_quantization(quantization, device)
    machine = measure_machine(device)
    dtype = choose_dtype(torch_dtype, device)
    slow = "there is no accelerator: use the classical engine" if device.type == "cpu" else ""
    pace = pace_of(speed, QWEN_IMAGE.num_inference_steps, fused=fused)
    in_fp8 = speed == "fast" and quantization is None
    narrow = [in_fp8 and can_be_fp8(each) for each in checkpoints]
    packed = any(is_packed(each) and not fp8 for each, fp8 in zip(checkpoints, narrow, strict=True))
    forward = pace.told(
        tools_for(device, dtype, HEAD_WIDTH).describe(in_fp8=in_fp8 and (any(narrow) or not checkpoints))
        if fused
        else describe_plain()
    )
    plain = [editor.plain for each in checkpoints if (editor := EDITORS.get(each.pipeline)) and editor.plain]
    computing = describe_forward(quantization, fused=fused, packed=packed)
    if plain and len(plain) == len(checkpoints):
        computing, forward = plain[0], describe_plain(plain[0])
    findings = [
        Finding(name="device", value=name_device(device), ok=not slow, advice=slow),
        Finding(name="forward", value=computing),
        Finding(name="computed by", value=forward.explained),
        Finding(name="speed", value=", ".join([forward.speed, *forward.lossy])),
        Finding(name="free host memory", value=f"{machine.free_host / 1e9:.1f} GB"),
    ]
    if device.type != "cpu":
        findings.append(Finding(name="free device memory", value=f"{machine.free_device / 1e9:.1f} GB"))
    if second is not None:
        other = measure_machine(second)
        told = f"{name_device(second)}, {other.free_device / 1e9:.1f} GB free"
        findings.append(Finding(name="second device", value=told))
    if plain and len(plain) < len(checkpoints):
        findings.append(Finding(name="edits", value=describe_plain(plain[0]).explained))
    if not checkpoints:
        return findings
    # Published models share one text encoder; its 16 GB are compared only on loading, so here the kind decides.
    kinds = len({each.encoder_kind for each in checkpoints})
    weights = weigh(
        checkpoints,
        dtype,
        quantization,
        fused=fused,
        encoders=kinds,
        numbers_of_loras=numbers_of_loras,
        in_fp8=in_fp8,
    )
    plan = plan_placement(cpu_offload, machine, weights, quantized=quantization is not None)
    if second is not None:
        plan = plan_second(plan, measure_machine(second), weights, fused=fused)
    fits = plan.peak <= machine.free_device
    advice = "" if fits else 'it needs more memory than there is: cpu_offload="auto", or quantization'
    usual, most = f"{plan.usual_peak / 1e9:.0f}", f"{plan.peak / 1e9:.0f}"
    runs = ("at 640 with four layers", "at 1024") if weights.rates != NONE else ("of an edit", "with all references")
    value = f"{plan.reason} About {usual} GB at the peak {runs[0]}, up to {most} {runs[1]}: estimates."
    placement = Finding(name="placement", value=value, ok=fits, advice=advice)
    return [*findings, placement, Finding(name="kept", value=_kept(plan, weights))]


def _kept(plan: Plan, weights: Weights) -> str:
    """Describe where the weights are during a run."""
    if plan.strategy == "resident":
        held = ["everything stays on the device" + (" except the modulation" if plan.modulation_away else "")]
    else:
        encoder = "whole" if plan.text_encoder == "whole" else "layer by layer"
        away = "without the modulation, " if plan.modulation_away else ""
        held = [
            f"the text encoder comes {encoder}",
            f"the transformer comes {away}{plan.kept_blocks} of {weights.blocks} blocks at once, others in turn",
            "the VAE stays",
            f"the host keeps all, {'page-locked' if plan.pinned else 'not page-locked, so copies block'}",
        ]
    layers = "one after the other" if plan.sliced_decoding else "together"
    return "; ".join([*held, f"layers are decoded {layers}"])
