"""The report names what is there, what is missing, and what to do."""

import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.commands import app
from llm_dit.qwen import diagnosis
from llm_dit.qwen.diagnosis import Finding, diagnose
from llm_dit.qwen.placement.plan import FUSED, Machine, Weights, plan_placement
from tests.kit.service import ROOT, qwen_environment


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    assert all(finding.ok or finding.advice for finding in findings), "what is not well has advice"
    return {finding.name: finding for finding in findings}


def test_what_is_there_is_described(checkpoints: Path) -> None:
    found = by_name(diagnose(str(checkpoints / "layered"), str(checkpoints / "edit")))
    assert found["diffusers"].ok
    assert found["Qwen-Image-Layered"].value.endswith("complete")
    assert found["Qwen-Image-Edit"].ok
    assert "no accelerator" in found["placement"].value
    assert found["kept"].value == "everything stays on the device; layers are decoded together"
    assert found["free disk"].ok


@pytest.mark.parametrize(
    ("options", "says", "by"),
    [
        ({}, "our own", "sdpa attention (triton, flash-attn-4, cudnn: they need an NVIDIA GPU)"),
        ({"fused": False}, "plain diffusers", "diffusers blocks, torch kernels, sdpa attention (fused = false)"),
        ({"quantization": "fp8"}, "quantized weights move whole", "fused blocks, torch kernels"),
    ],
)
def test_what_runs_the_model_is_told(options: dict[str, Any], says: str, by: str) -> None:
    found = by_name(diagnose("", **options, device="cpu"))
    assert says in found["forward"].value
    assert by in found["computed by"].value


@pytest.mark.parametrize(
    ("free_gb", "kept"),
    [
        (40, "the text encoder comes whole; the transformer comes without the modulation, 60 of 60 blocks at once"),
        (6, "the text encoder comes layer by layer; the transformer comes without the modulation, 2 of 60 blocks"),
    ],
)
def test_what_is_kept_where_is_said(free_gb: int, kept: str) -> None:
    weights = Weights(
        transformers=(40_900_000_000,),
        text_encoders=(16_600_000_000,),
        vaes=80_000_000,
        modulations=(13_600_000_000,),
        rates=FUSED,
    )
    machine = Machine(device="cuda", free_device=free_gb * 10**9, free_host=64 * 10**9)
    told = diagnosis._kept(plan_placement("auto", machine, weights), weights)
    assert kept in told
    assert "not page-locked, so copies block; layers are decoded one after the other" in told


def test_damage_is_named(checkpoints: Path, tmp_path: Path) -> None:
    broken = tmp_path / "edit"
    broken.mkdir()
    for entry in (checkpoints / "edit").iterdir():
        (broken / entry.name).symlink_to(entry)
    (broken / "vae").unlink()
    found = by_name(diagnose(str(checkpoints / "layered"), str(broken)))
    assert not found["Qwen-Image-Edit"].ok
    assert "vae/config.json is missing" in found["Qwen-Image-Edit"].advice


def test_a_hub_id_is_looked_for_in_the_cache_only(
    checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    found = by_name(diagnose(str(checkpoints / "layered"), "nobody/nothing-of-the-kind"))
    assert "downloaded when" in found["Qwen-Image-Edit"].advice
    snapshot = tmp_path / "hub/models--somebody--edit/snapshots/0123"
    snapshot.parent.mkdir(parents=True)
    snapshot.symlink_to(checkpoints / "edit")
    found = by_name(diagnose(str(checkpoints / "layered"), "somebody/edit"))
    assert found["Qwen-Image-Edit"].value.endswith("complete")


def test_a_single_file_of_weights_is_no_checkpoint(checkpoints: Path, tmp_path: Path) -> None:
    """As other programs take them: one .safetensors or .gguf file."""
    file = tmp_path / "qwen_image_layered_fp8.safetensors"
    file.write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    found = by_name(diagnose(str(file), str(checkpoints / "edit")))
    assert "model_path names one file: give a folder" in found["Qwen-Image-Layered"].advice
    found = by_name(diagnose(str(checkpoints / "layered"), str(tmp_path / "gone")))
    assert "edit_model_path names neither a folder" in found["Qwen-Image-Edit"].advice
    assert found["free disk"].ok


def test_what_is_not_configured_is_said() -> None:
    assert by_name(diagnose(""))["Qwen-Image-Layered"].value == "not configured"
    assert "Qwen-Image-Layered" not in by_name(diagnose("", edit_only=True))


@pytest.mark.parametrize(
    ("options", "says"), [({"device": "cuda:9"}, "no device cuda:9"), ({"quantization": "nf4"}, "CUDA")]
)
def test_a_configuration_that_cannot_run_here_is_said(options: dict[str, Any], says: str) -> None:
    assert says in by_name(diagnose("", **options))["device"].advice


def test_without_the_packages_the_rest_is_still_told(checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(diagnosis, "version", missing)
    found = by_name(diagnose(str(checkpoints / "layered")))
    assert found["torch"].value == "not installed"
    assert "llm-dit install qwen" in found["torch"].advice
    assert found["Qwen-Image-Layered"].ok
    assert "device" not in found


WITHOUT_TORCH = """
import importlib.metadata, sys
from importlib.metadata import PackageNotFoundError, version
def hidden(name):
    if name in {"torch", "diffusers", "transformers", "accelerate", "huggingface-hub", "safetensors"}:
        raise PackageNotFoundError(name)
    return version(name)
importlib.metadata.version = hidden
for name in ("torch", "diffusers", "transformers", "accelerate", "huggingface_hub", "safetensors", "psutil"):
    sys.modules[name] = None
from cli.commands import app
app()
"""


def test_the_doctor_works_on_the_base_install(tmp_path: Path) -> None:
    """An install without the extra, as far as a process can be made to believe it."""
    done = run([sys.executable, "-c", WITHOUT_TORCH, "doctor"], tmp_path)
    assert "--  torch               not installed" in done.stdout
    assert "run `llm-dit install qwen`" in done.stdout
    assert "The engine is Classical." in done.stdout
    assert "llm-dit doctor" not in done.stdout, "it sends its reader back to itself"


def test_without_a_driver_nothing_is_installed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_TORCH, "models", "fetch", "--qwen"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PATH": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 3, done.stderr
    assert done.stdout.splitlines() == ["1/5 The GPU and its driver", "    none found"]
    assert "Install NVIDIA's driver" in done.stderr


def test_the_doctor_tells_what_will_run(checkpoints: Path) -> None:
    """In this process, whose torch is loaded."""
    done = CliRunner().invoke(app, ["doctor"], env=qwen_environment(checkpoints))
    assert done.exit_code == 0, done.output
    assert "ok  Qwen-Image-Layered  0.0 GB, complete" in done.stdout
    assert "The engine is Qwen-Image." in done.stdout


def run(command: list[str], folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | more
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done
