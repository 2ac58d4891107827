"""Which engine the settings get, and what is said about it."""

import gc
import subprocess

import pytest

from llm_dit.errors import EngineError
from llm_dit.qwen.diagnosis import Finding
from server import engines
from server.engines import choose_engine, load_pipeline
from server.settings import QwenImageSettings, Settings


def settings(engine: str, **models: object) -> Settings:
    return Settings.model_validate({"engine": engine, "qwen_image": models})


def test_auto_without_a_model_is_classical_and_says_what_to_do() -> None:
    chosen = choose_engine(Settings())
    assert chosen.name == "classical"
    assert "no model is configured" in chosen.reason
    assert "set model_path" in chosen.hint


@pytest.mark.parametrize(("accelerator", "name"), [(True, "qwen"), (False, "classical")])
def test_auto_with_a_model_depends_on_the_accelerator(
    monkeypatch: pytest.MonkeyPatch, accelerator: bool, name: str
) -> None:
    monkeypatch.setattr(engines, "_accelerator", lambda: accelerator)
    chosen = choose_engine(settings("auto", model_path="/models/layered"))
    assert chosen.name == name
    assert "accelerator" in chosen.reason


@pytest.mark.slow
def test_torch_itself_is_asked_for_the_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    also = "import sys, torch; print(torch.accelerator.is_available(), 'diffusers' in sys.modules, file=sys.stderr)"
    monkeypatch.setattr(engines, "PROBE", f"{engines.PROBE}; {also}")
    ran: list[subprocess.CompletedProcess[str]] = []
    run = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *given, **how: ran.append(run(*given, **how)) or ran[-1])
    is_there = engines._accelerator.__wrapped__()
    (done,) = ran
    found, waited = done.stderr.split()
    assert (done.stdout.strip() != "cpu") == (found == "True") == is_there
    assert waited == "False", "the service waits for this: torch alone is imported"


def test_missing_packages_keep_qwen_from_running(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = Finding(name="torch", value="not installed", ok=False, advice="install torch")
    monkeypatch.setattr(engines, "unmet_requirements", lambda: [missing])
    assert "torch is not installed" in choose_engine(settings("auto", model_path="m")).reason
    with pytest.raises(EngineError, match="torch is not installed; install torch"):
        choose_engine(settings("qwen", model_path="m"))


def test_the_pipeline_gets_the_settings_and_none_for_what_is_left_empty() -> None:
    chosen = choose_engine(settings("qwen", model_path="m", cpu_offload="auto", quantization="fp8", layer_num=2))
    assert chosen.options == {
        "model_path": "m",
        "edit_model_path": None,
        "cpu_offload": "auto",
        "load_edit_model": False,
        "edit_only": False,
        "device": None,
        "devices": None,
        "torch_dtype": None,
        "quantization": "fp8",
        "fused": True,
        "revision": None,
        "edit_revision": None,
        "transformer_path": None,
        "edit_transformer_path": None,
        "loras": [],
        "edit_loras": [],
        "speed": "exact",
    }


def test_weights_that_are_loaded_in_fp8_offer_no_exact_runs() -> None:
    assert choose_engine(settings("qwen", model_path="m")).speeds == ("exact", "fast", "turbo")
    fast = choose_engine(settings("qwen", model_path="m", speed="fast"))
    assert (fast.speeds, fast.defaults.speed) == (("fast", "turbo"), "fast")


def test_turbo_leaves_steps_and_guidance_to_the_model() -> None:
    defaults = choose_engine(settings("qwen", model_path="m", num_inference_steps=30)).defaults
    left_out = {"num_inference_steps": None, "cfg_scale": None, "speed": None}
    assert defaults.fill(left_out) == {"num_inference_steps": 30, "cfg_scale": 4.0, "speed": "exact"}
    assert defaults.fill(left_out | {"speed": "turbo"}) == left_out | {"speed": "turbo"}


def test_edit_only_needs_no_decompose_model() -> None:
    assert choose_engine(settings("qwen", edit_only=True)).name == "qwen"


@pytest.mark.parametrize(
    ("given", "wanted"), [("false", False), ("true", True), ("auto", "auto"), (True, True), ("stream", "stream")]
)
def test_cpu_offload_is_a_truth_or_a_name(given: object, wanted: object) -> None:
    assert QwenImageSettings.model_validate({"cpu_offload": given}).cpu_offload == wanted


def test_an_engine_that_cannot_be_imported_leaves_the_collector_on() -> None:
    with pytest.raises(ModuleNotFoundError):
        load_pipeline("nowhere:Pipeline", None, lambda _: None)
    assert gc.isenabled()
