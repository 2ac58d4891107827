"""LoRAs of every published form are read, put into the weights or beside them, switched, or refused."""

import json
import math
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.loaders.lora_conversion_utils import _convert_non_diffusers_qwen_lora_to_diffusers
from huggingface_hub import constants
from PIL import Image
from safetensors.torch import load_file, save_file

from llm_dit.errors import InputError, WeightsError
from llm_dit.pipelines.qwen_image_diffusers import QwenImageDiffusersPipeline
from llm_dit.qwen import models
from llm_dit.qwen.diagnosis import Finding, diagnose
from llm_dit.qwen.forward.adapters import Adapters
from llm_dit.qwen.forward.graphs import Recordings
from llm_dit.qwen.loading.checkpoints import EDIT, LAYERED, open_checkpoint
from llm_dit.qwen.loading.loader import LoadOptions, Scheduler, load_pipeline
from llm_dit.qwen.loading.loras import choose, find_lora, open_lora, open_loras, parse_loras
from llm_dit.qwen.placement.plan import GB, Machine, Plan, Weights, plan_placement
from llm_dit.qwen.sampling import running
from llm_dit.qwen.sampling.running import Run, ignore_progress
from llm_dit.runs import Canceled
from tests.kit.checkpoints import RANK, TRANSFORMER, factors_of, layers_of
from tests.kit.denoising import denoise_noise, noise_start, record_well
from tests.kit.hub import serve

STEPS = 1


# How a layer, its two factors and its alpha are called by those who publish LoRAs.
def dotted(prefix: str, down: str, up: str) -> Callable[[str], tuple[str, str, str]]:
    return lambda layer: (f"{prefix}{layer}.{down}", f"{prefix}{layer}.{up}", f"{prefix}{layer}.alpha")


def flat(prefix: str) -> Callable[[str], tuple[str, str, str]]:
    return lambda layer: dotted(prefix, "lora_down.weight", "lora_up.weight")(layer.replace(".", "_"))


PATTERNS = {
    "peft": dotted("base_model.model.", "lora_A.weight", "lora_B.weight"),
    "peft with an adapter's name": dotted("", "lora_A.default.weight", "lora_B.default.weight"),
    "diffusers": dotted("transformer.", "lora_A.weight", "lora_B.weight"),
    "diffusers of before": dotted("transformer.", "lora.down.weight", "lora.up.weight"),
    "Lightning": dotted("", "lora_down.weight", "lora_up.weight"),
    "ComfyUI": dotted("diffusion_model.", "lora_A.weight", "lora_B.weight"),
    "ComfyUI, trained": dotted("diffusion_model.", "lora_down.weight", "lora_up.weight"),
    "kohya": flat("lora_unet_"),
    "SimpleTuner": flat("lycoris_"),
}
THEIRS = {"peft with an adapter's name", "Lightning", "ComfyUI", "ComfyUI, trained", "kohya"}
"""Those that diffusers' own converter knows too."""


def named(
    factors: Mapping[str, tuple[torch.Tensor, torch.Tensor]], pattern: str, alpha: float | None = None
) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = {}
    for layer, (down, up) in factors.items():
        down_name, up_name, alpha_name = PATTERNS[pattern](layer)
        tensors |= {down_name: down, up_name: up}
        if alpha is not None:
            tensors[alpha_name] = torch.tensor(alpha)
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


@pytest.fixture(scope="module")
def layers(checkpoints: Path) -> dict[str, tuple[int, int]]:
    return layers_of(checkpoints / "layered")


@pytest.fixture(scope="module")
def file(layers: dict[str, tuple[int, int]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA for every linear layer of both models."""
    path = tmp_path_factory.mktemp("loras") / "style.safetensors"
    save_file(named(factors_of(layers), "diffusers", alpha=2 * RANK), path)
    return path


@pytest.fixture(scope="module")
def pipe(checkpoints: Path, file: Path) -> QwenImageDiffusersPipeline:
    """A pipeline with the LoRA for both models."""
    return open_pipe(checkpoints, loras=[f"{file}"], edit_loras=[f"{file}:0.5"])


def open_pipe(checkpoints: Path, **options: Any) -> QwenImageDiffusersPipeline:
    given = {"device": "cpu", **options}
    return QwenImageDiffusersPipeline.from_pretrained(checkpoints / "layered", checkpoints / "edit", **given)


def decompose(pipe: QwenImageDiffusersPipeline, picture: Image.Image, **options: Any) -> np.ndarray:
    given = {"prompt": "a disc", "layer_num": 1, "seed": 3, "num_inference_steps": STEPS, **options}
    return np.stack([np.asarray(layer) for layer in pipe.decompose(picture, **given)])


def apart(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.abs(one.astype(np.int16) - other.astype(np.int16)).max())


# Reading.


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_published_form_is_read(
    layers: dict[str, tuple[int, int]], checkpoints: Path, tmp_path: Path, pattern: str
) -> None:
    factors = factors_of(layers)
    tensors = named(factors, pattern, alpha=1.5)
    save_file(tensors, tmp_path / "lora.safetensors")
    (spec,) = parse_loras([str(tmp_path / "lora.safetensors")], "loras")
    read = open_lora(tmp_path / "lora.safetensors", spec).fitted(
        open_checkpoint(checkpoints / "layered", LAYERED).shapes("transformer"), "it"
    )
    assert set(read.layers) == set(layers)
    for layer, found in read.layers.items():
        assert (found.down.name, found.up.name) == PATTERNS[pattern](layer)[:2]
        assert found.scale == pytest.approx(1.5 / RANK)
    if pattern in THEIRS:
        theirs = _convert_non_diffusers_qwen_lora_to_diffusers(tensors)
        for layer, (down, up) in factors.items():
            product = theirs[f"transformer.{layer}.lora_B.weight"] @ theirs[f"transformer.{layer}.lora_A.weight"]
            torch.testing.assert_close(product, up @ down * read.layers[layer].scale)
        assert len(theirs) == 2 * len(layers)


@pytest.mark.parametrize(
    ("config", "scale"),
    [
        ({"lora_alpha": 6, "r": RANK}, 2.0),
        ({"lora_alpha": 6, "r": RANK, "use_rslora": True}, 6 / math.sqrt(RANK)),
        ({"lora_alpha": 6, "alpha_pattern": {"attn.to_q": 9}}, 3.0),
    ],
)
def test_the_configuration_of_peft_has_the_alpha(tmp_path: Path, config: dict[str, Any], scale: float) -> None:
    """Beside the file in a folder of peft's, or in the file, as diffusers writes it."""
    tensors = named(factors_of({"transformer_blocks.0.attn.to_q": (32, 32)}), "peft")
    save_file(tensors, tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    inside = {"lora_adapter_metadata": json.dumps({f"transformer.{key}": value for key, value in config.items()})}
    (tmp_path / "other").mkdir()
    save_file(tensors, tmp_path / "other" / "style.safetensors", metadata=inside)
    for folder in (tmp_path, tmp_path / "other"):
        (spec,) = parse_loras([str(folder)], "loras")
        (found,) = open_lora(find_lora(spec, "it", ignore_progress), spec).layers.values()
        assert (spec.name, found.scale) == (folder.name, pytest.approx(scale))


@pytest.mark.parametrize(
    ("text", "name", "place", "weight"),
    [
        ("/data/a style.safetensors", "a-style", "/data/a style.safetensors", 1.0),
        ("/data/style.safetensors:0.8", "style", "/data/style.safetensors", 0.8),
        ("C:\\loras\\style:-.5", "C-loras-style", "C:\\loras\\style", -0.5),
        ("mine=owner/name/sub/style.safetensors:0", "mine", "owner/name/sub/style.safetensors", 0.0),
        ("owner/name", "name", "owner/name", 1.0),
        ("owner/name/pytorch_lora_weights.safetensors", "name", "owner/name/pytorch_lora_weights.safetensors", 1.0),
        ("lightning", "lightning", "lightning", 1.0),
    ],
)
def test_a_setting_names_a_lora_and_its_weight(text: str, name: str, place: str, weight: float) -> None:
    (spec,) = parse_loras([text], "loras")
    assert (spec.name, spec.place, spec.weight) == (name, place, weight)


@pytest.mark.parametrize("texts", [[""], ["a.safetensors:11"], ["a/x.safetensors", "b/x.safetensors"]])
def test_a_setting_that_is_not_valid_is_named(texts: list[str]) -> None:
    with pytest.raises(InputError) as refused:
        parse_loras(texts, "edit_loras")
    assert refused.value.param == "edit_loras"


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def page(path: Path) -> None:
    path.write_text("<html>Sign in</html>")


def pickle(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04" + bytes(600))


def holds(tensors: Mapping[str, torch.Tensor]) -> Callable[[Path], None]:
    return lambda path: save_file(dict(tensors), path)


Q = "transformer_blocks.0.attn.to_q"


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (cut, "is truncated"),
        (page, "web page"),
        (pickle, "not a safetensors file"),
        (Path.unlink, "neither a file nor a folder"),
        (holds({f"{Q}.weight": torch.zeros(32, 32)}), "not a LoRA: it has tensors such as"),
        (
            holds(named(factors_of({"double_blocks.0.img_attn.qkv": (96, 32)}), "ComfyUI")),
            "for another model: 1 of its 1",
        ),
        (holds(named(factors_of({Q: (48, 48)}), "kohya")), "48 × 48 in it, and 32 × 32 in"),
        (holds({f"{Q}.lora_A.weight": torch.zeros(3, 32)}), "one of its two factors"),
        (
            holds({f"{Q}.lora_A.weight": torch.zeros(3, 32), f"{Q}.lora_B.weight": torch.zeros(32, 4)}),
            "have different ranks",
        ),
        (holds({"lora_te_text_model_encoder_layers_0.lora_down.weight": torch.zeros(3, 32)}), "the text encoder"),
        (holds({f"lycoris_{Q.replace('.', '_')}.lokr_w1": torch.zeros(2, 2)}), "a LoKr"),
        (holds({f"{Q}.lora_magnitude_vector.weight": torch.zeros(32)}), "a DoRA"),
        (
            holds({f"{Q}.lora_A.weight": torch.zeros(3, 32).char(), f"{Q}.lora_B.weight": torch.zeros(32, 3).char()}),
            "numbers of the type I8",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_refused_before_any_weights_are_read(
    checkpoints: Path, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Any, says: str
) -> None:
    bad = Path(shutil.copy(file, tmp_path / "bad.safetensors"))
    write(bad)
    monkeypatch.setattr(models, "load_pipeline", lambda *_: pytest.fail("the weights were read"))
    with pytest.raises(WeightsError, match=says) as refused:
        open_pipe(checkpoints, loras=[f"{bad}"])
    assert str(tmp_path) not in refused.value.message


def test_a_folder_of_several_files_has_to_name_one(checkpoints: Path, file: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        shutil.copy(file, tmp_path / f"{name}.safetensors")
    with pytest.raises(WeightsError, match="has 2 safetensors files"):
        open_pipe(checkpoints, edit_loras=[f"{tmp_path}"])


def test_one_that_has_a_name_is_for_its_model(checkpoints: Path) -> None:
    with pytest.raises(WeightsError, match="lightning is for Qwen-Image-Edit or"):
        open_pipe(checkpoints, loras=["lightning"])


def test_a_lora_comes_from_the_hub(
    checkpoints: Path, layers: dict[str, tuple[int, int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its file, by its repository where that has one, and by name, for the edition of the model that is there."""
    lightning, other = tmp_path / "lightning", tmp_path / "other"
    (lightning / "Qwen-Image-Edit-2509").mkdir(parents=True)
    other.mkdir()
    tensors = named(factors_of(layers), "Lightning")
    name = "Qwen-Image-Edit-2509/Qwen-Image-Edit-2509-Lightning-4steps-V1.0-bf16.safetensors"
    save_file(tensors, lightning / name)
    save_file(tensors, lightning / "another.safetensors")
    save_file(tensors, other / "only.safetensors")
    edition = open_checkpoint(checkpoints / "edit", EDIT).edition
    with serve({"lightx2v/Qwen-Image-Lightning": lightning, "some/body": other}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))

        def find(text: str) -> Path:
            return find_lora(parse_loras([text], "loras")[0], edition, ignore_progress)

        assert find("lightning").as_posix().endswith(name)
        assert set(hub.sent) == {name}, "the others stay where they are"
        assert find("some/body").name == find("some/body/only.safetensors").name == "only.safetensors"
        with pytest.raises(WeightsError, match="2 safetensors files"):
            find("lightx2v/Qwen-Image-Lightning")
        with pytest.raises(WeightsError, match="no such file"):
            find("some/body/gone.safetensors")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert find("some/body").name == "only.safetensors"


# At work.


@pytest.fixture(scope="module")
def merged(checkpoints: Path, layers: dict[str, tuple[int, int]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoints with the LoRA's product added to their weights; with the edit model's at half its weight."""
    folder = tmp_path_factory.mktemp("merged")
    for name, weight in (("layered", 1.0), ("edit", 0.5)):
        shutil.copytree(checkpoints / name, folder / name)
        weights = load_file(folder / name / TRANSFORMER)
        for layer, (down, up) in factors_of(layers).items():
            weights[f"{layer}.weight"] = weights[f"{layer}.weight"] + 2 * weight * (up @ down)
        save_file(weights, folder / name / TRANSFORMER)
    return folder


@pytest.fixture(scope="module")
def wanted(merged: Path, picture: Image.Image) -> np.ndarray:
    return decompose(open_pipe(merged), picture)


PLACEMENTS: dict[str, dict[str, Any]] = {
    "fused": {},
    "beside": {"beside": True},
    "resident, modulation away": {"strategy": "resident", "away": True},
    "beside, modulation away": {"strategy": "resident", "away": True, "beside": True},
    "model": {"strategy": "model"},
    "stream": {"strategy": "stream"},
    "stream, modulation away": {"strategy": "stream", "away": True},
    "two devices": {"devices": "cpu,cpu"},
    "two devices, beside": {"devices": "cpu,cpu", "beside": True},
    "diffusers": {"fused": False},
    "diffusers, beside": {"fused": False, "beside": True},
}


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_on_is_the_product_in_the_weights_and_off_is_the_model_as_it_was(
    checkpoints: Path,
    file: Path,
    picture: Image.Image,
    wanted: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    placement: str,
) -> None:
    options = dict(PLACEMENTS[placement])
    fuses = not options.pop("beside", False)
    if not fuses:
        monkeypatch.setattr(models, "PINNABLE", 0)
    if strategy := options.pop("strategy", ""):
        fuses = fuses and strategy == "resident"
        plan = Plan(strategy=strategy, modulation_away=options.pop("away", False), peak=0, reason="")
        monkeypatch.setattr(models, "plan_placement", lambda *_, **__: plan)
    if "devices" in options:
        options["device"] = None
    pipe = open_pipe(checkpoints, loras=[f"{file}"], **options)
    transformer = pipe._models._pipelines[LAYERED].transformer
    off = decompose(pipe, picture, loras=[])
    state = {name: tensor.clone() for name, tensor in transformer.state_dict().items()}
    on = decompose(pipe, picture)
    status = pipe.status()
    assert status.forward is not None and status.forward.loras == status.loras == ("style",)
    assert ("run in the weights" in status.placement) == fuses
    assert apart(on, wanted) <= 1 < apart(on, off)
    assert np.array_equal(decompose(pipe, picture, loras=[]), off), "off again"
    again = transformer.state_dict()
    assert set(again) == set(state) and all(torch.equal(again[name], tensor) for name, tensor in state.items())
    assert np.array_equal(decompose(pipe, picture), on), "and on again"


def test_each_run_says_what_is_on(pipe: QwenImageDiffusersPipeline, picture: Image.Image, merged: Path) -> None:
    """Weights of the setting and of a run, of either model; what is not there is refused."""
    edit: dict[str, Any] = {"instruction": "make it red", "seed": 1, "num_inference_steps": 1}
    edited = np.asarray(pipe.edit_layer(picture, **edit))
    assert apart(edited, np.asarray(open_pipe(merged).edit_layer(picture, **edit))) <= 1
    half, whole = (decompose(pipe, picture, loras=[f"style:{weight}"]) for weight in (0.5, 1))
    assert apart(whole, decompose(pipe, picture)) == 0 < apart(half, whole)
    assert np.array_equal(decompose(pipe, picture, loras=["style:0"]), decompose(pipe, picture, loras=[]))
    for wrong in (["stile"], ["style:99"], ["/etc/passwd"], "style"):
        with pytest.raises(InputError) as refused:
            decompose(pipe, picture, loras=wrong)
        assert refused.value.param == "loras"


def test_several_are_added_and_switched_without_reading_the_model_again(
    checkpoints: Path,
    layers: dict[str, tuple[int, int]],
    file: Path,
    picture: Image.Image,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = tmp_path / "other.safetensors"
    save_file(named(factors_of({Q: layers[Q], "proj_out": layers["proj_out"]}, seed=1), "kohya"), other)
    pipe = open_pipe(checkpoints)
    plain = decompose(pipe, picture)
    monkeypatch.setattr(models, "load_pipeline", lambda *_: pytest.fail("the weights were read again"))
    pipe.use_loras([f"{file}", f"{other}:2"])
    both = decompose(pipe, picture)
    first, second = (decompose(pipe, picture, loras=[name]) for name in ("style", "other"))
    assert min(apart(both, first), apart(both, second), apart(first, second)) > 1
    with pytest.raises(WeightsError):
        pipe.use_loras([f"{tmp_path / 'gone.safetensors'}"])
    assert np.array_equal(decompose(pipe, picture), both), "those of before stay"
    pipe.use_loras([f"{other}:2"])
    assert np.array_equal(decompose(pipe, picture), second)
    pipe.use_loras([])
    assert np.array_equal(decompose(pipe, picture), plain)


@pytest.mark.parametrize("fuse", [True, False])
def test_recorded_steps_and_the_modulation_follow(checkpoints: Path, file: Path, fuse: bool) -> None:
    """Recordings stay where the weights change in their places, and go where layers are put between."""
    pipeline = load_pipeline(
        open_checkpoint(checkpoints / "layered", LAYERED),
        LoadOptions(device=torch.device("cpu"), dtype=torch.float32),
        lambda _: None,
    )
    opened = open_loras(
        parse_loras([f"{file}"], "loras"), open_checkpoint(checkpoints / "layered", LAYERED), lambda _: None
    )
    adapters = Adapters(pipeline.transformer, opened, torch.float32)
    cases: list[Mapping[str, float]] = [{}, {"style": 1.0}, {"style": 0.3}, {}, {"style": 1.0}]

    def run() -> list[torch.Tensor]:
        found: list[torch.Tensor] = []
        for weights in cases:
            adapters.use(weights, torch.device("cpu"), fuse=fuse)
            found.append(denoise_noise(pipeline, texts=(9, 5), rows=2, seed=1, steps=4))
        return found

    expected = run()
    adapters.use({}, torch.device("cpu"), fuse=fuse)
    pipeline.transformer.recordings = Recordings(record_well)
    assert all(map(torch.equal, run(), expected))
    assert not torch.equal(expected[1], expected[0]) and not torch.equal(expected[1], expected[2])


@pytest.mark.parametrize("strategy", ["resident", "model", "stream", "sequential"])
def test_the_plan_counts_their_bytes(strategy: Any) -> None:
    """In every phase, since they are on the device beside whatever that holds; fewer blocks stay where some stream."""
    machine = Machine(device="cuda", free_device=24 * GB, free_host=200 * GB)
    weights = Weights(transformers=(41 * GB,), text_encoders=(17 * GB,), vaes=GB // 10, modulations=(14 * GB,))
    without, beside = (plan_placement(strategy, machine, replace(weights, loras=size)) for size in (0, 2 * GB))
    if strategy == "stream":
        assert beside.kept_blocks <= without.kept_blocks - 4 and beside.peak <= 24 * GB
    else:
        assert beside.peak - without.peak == 2 * GB


def test_the_doctor_tells_of_each(checkpoints: Path, file: Path, tmp_path: Path) -> None:
    def told(*loras: str) -> dict[str, Finding]:
        found = diagnose(str(checkpoints / "layered"), str(checkpoints / "edit"), device="cpu", loras=loras)
        return {finding.name: finding for finding in found}

    there = told(f"{file}:0.5", "a/b/far.safetensors")
    assert there["LoRA style"].ok and "weight 0.5" in there["LoRA style"].value
    assert there["LoRA far"].ok and "on the hub" in there["LoRA far"].value
    save_file(named(factors_of({Q: (48, 48)}), "kohya"), tmp_path / "wide.safetensors")
    wide = told(str(tmp_path / "wide.safetensors"))["LoRA wide"]
    assert not wide.ok and "for another model" in wide.advice


# Schedules.


def test_lightning_has_a_schedule_of_its_own(checkpoints: Path) -> None:
    """Shift 3 for every size, no last step above zero (the LoRA's own page); and none is left for the next run."""
    scheduler: Any = Scheduler.from_pretrained(checkpoints / "edit/scheduler")
    scheduler.lora_shift = parse_loras(["lightning"], "edit_loras")[0].schedule.shift  # pyright: ignore
    for mu in (0.5, 0.9):
        scheduler.set_timesteps(sigmas=[1.0, 0.75, 0.5, 0.25], mu=mu)
        assert scheduler.sigmas.tolist() == pytest.approx([1.0, 0.9, 0.75, 0.5, 0.0])
    scheduler.lora_shift = None
    scheduler.set_timesteps(sigmas=[1.0, 0.75, 0.5, 0.25], mu=0.5)
    assert scheduler.sigmas[-2] == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("lightning-8", 8),
        ("stable-layers", 50),
        ("lightning=/data/x.safetensors", 4),
        ("/data/Qwen-Image-Edit-2511-Lightning-8steps-V1.0-bf16.safetensors", 8),
        ("/data/style.safetensors", None),
    ],
)
def test_a_schedule_belongs_to_a_lora(text: str, steps: int | None) -> None:
    specs = parse_loras([text, "other.safetensors"], "loras")
    schedule = choose(specs, None).schedule
    assert (schedule.steps if schedule else None) == steps
    assert choose(specs, ["other"]).schedule is None


@pytest.mark.parametrize("turbo", [False, True])
def test_one_that_is_off_is_on_where_a_run_names_it(turbo: bool) -> None:
    specs = parse_loras(["lightning:0", "other.safetensors:0.5"], "loras")
    assert choose(specs, None).weights == {"other": 0.5}
    named = choose(specs, ["lightning"], turbo=turbo)
    assert (named.weights, named.schedule and named.schedule.steps) == ({"lightning": 1}, 4)
    assert choose(specs, ["lightning:0.7", "other"], turbo=turbo).weights == {"lightning": 0.7, "other": 0.5}
    assert choose(specs, ["lightning:0"]).weights == {}


def test_what_a_run_leaves_out_is_the_loras(
    checkpoints: Path, file: Path, picture: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps and guidance, which stay the model's where it is off; with guidance off there is one branch."""
    pipe = open_pipe(checkpoints, loras=[f"lightning={file}"])
    asked: list[Run] = []
    prepare = running.prepare

    def stop(pipeline: Any, run: Run, encodings: Any) -> Any:
        start = prepare(pipeline, run, encodings)
        asked.append(run)
        assert len(start.branches) == len(run.texts)
        assert pipeline.scheduler.lora_shift == (run.schedule.shift if run.schedule else None)
        raise Canceled

    monkeypatch.setattr(running, "prepare", stop)
    runs: list[dict[str, Any]] = [{}, {"loras": []}, {"num_inference_steps": 6, "cfg_scale": 2.0}]
    for options in runs:
        with pytest.raises(Canceled):
            pipe.decompose(picture, "a disc", seed=1, **options)
    assert [(run.steps, run.scale, len(run.texts)) for run in asked] == [(4, 1.0, 1), (50, 4.0, 2), (6, 2.0, 2)]


def test_turbo_is_the_distilled_lora_for_one_run(
    checkpoints: Path,
    layers: dict[str, tuple[int, int]],
    picture: Image.Image,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first such run fetches it beside a model that is loaded; the next one, at another speed, is without it."""
    pipe = open_pipe(checkpoints, load_edit_model=True)
    monkeypatch.setattr(models, "load_pipeline", lambda *_: pytest.fail("the weights were read again"))
    name = "Qwen-Image-Edit-2509/Qwen-Image-Edit-2509-Lightning-4steps-V1.0-bf16.safetensors"
    (tmp_path / "repo/Qwen-Image-Edit-2509").mkdir(parents=True)
    save_file(named(factors_of(layers), "Lightning"), tmp_path / "repo" / name)
    edit: dict[str, Any] = {"instruction": "make it red", "seed": 1}
    with serve({"lightx2v/Qwen-Image-Lightning": tmp_path / "repo"}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        fast = np.asarray(pipe.edit_layer(picture, speed="turbo", **edit))
    told = pipe.status().forward
    assert told is not None and (told.speed, told.loras) == ("turbo", ("lightning",))
    assert "distilled" in str(told)
    four: dict[str, Any] = {"num_inference_steps": 4, "cfg_scale": 1.0}
    assert np.array_equal(np.asarray(pipe.edit_layer(picture, loras=["lightning:1"], **four, **edit)), fast)
    pipe.edit_layer(picture, num_inference_steps=1, cfg_scale=1.0, **edit)
    told = pipe.status().forward
    assert told is not None and (told.speed, told.loras) == ("exact", ())


def test_heuns_method_goes_by_the_mean_of_two_velocities(checkpoints: Path) -> None:
    """Two evaluations a step and one for the last, written out here as Karras et al. (2022), algorithm 1, has it."""
    options = LoadOptions(device=torch.device("cpu"), dtype=torch.float32)
    pipeline: Any = load_pipeline(open_checkpoint(checkpoints / "layered", LAYERED), options, ignore_progress)
    start = replace(noise_start(pipeline, texts=(9,), rows=2, seed=1, steps=3), heun=True)
    calls: list[int] = []
    forward = pipeline.transformer.forward

    def counted(*given: Any, **named: Any) -> Any:
        calls.append(named["step"])
        return forward(*given, **named)

    pipeline.transformer.forward = counted
    found = running.denoise(pipeline, start, lambda *_: None)
    assert calls == [0, 1, 1, 2, 2]
    sigmas, latents = pipeline.scheduler.sigmas, start.latents

    def velocity(latents: torch.Tensor, step: int) -> torch.Tensor:
        with torch.no_grad():
            (told,) = forward(
                torch.cat([latents, start.condition], dim=1),
                branches=start.branches,
                schedule=start.timesteps / 1000,
                step=step,
                shapes=start.shapes,
            )
        return told[:, : latents.shape[1]]

    for step in range(3):
        width, first = sigmas[step + 1] - sigmas[step], velocity(latents, step)
        if step == 2:
            latents = latents + width * first
        else:
            latents = latents + width * (first + velocity(latents + width * first, step + 1)) / 2
    torch.testing.assert_close(found, latents)


def test_diffusers_own_loop_has_no_method_of_heuns(checkpoints: Path, file: Path) -> None:
    with pytest.raises(InputError, match="Heun"):
        open_pipe(checkpoints, loras=[f"stable-layers={file}"], fused=False)
