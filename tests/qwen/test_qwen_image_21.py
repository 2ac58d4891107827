"""Qwen-Image-2.1 as the edit model: diffusers' numbers, transparency in and out, placements, refusals."""

# diffusers exports its names lazily, which pyright cannot see.
# pyright: reportPrivateImportUsage=false
import base64
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import QwenImage21Pipeline
from PIL import Image

from llm_dit.editing import prepare_transparent
from llm_dit.errors import InputError, WeightsError
from llm_dit.images import encode_png
from llm_dit.options import Shape
from llm_dit.pipelines.qwen_image_diffusers import QwenImageDiffusersPipeline
from llm_dit.qwen.diagnosis import diagnose
from llm_dit.qwen.editors import QWEN_IMAGE_21, processor_of
from llm_dit.qwen.loading.checkpoints import EDIT, open_checkpoint
from llm_dit.qwen.loading.loader import LoadOptions, load_pipeline
from llm_dit.qwen.placement.devices import weigh
from llm_dit.qwen.placement.placing import Placement
from llm_dit.qwen.placement.plan import GB, NONE, USUAL, Machine, Needs, Weights, plan_placement, plan_second
from llm_dit.runs import Canceled, Progress
from tests.kit.denoising import align
from tests.kit.service import Service
from tests.qwen.test_offloading import PLANS

STEPS, SEED = 3, 7
CPU = torch.device("cpu")
SQUARE = Image.new("RGB", (64, 64), "teal")


@pytest.fixture(scope="module")
def pipe(newer_edit: Path) -> QwenImageDiffusersPipeline:
    return QwenImageDiffusersPipeline.from_pretrained("", newer_edit, edit_only=True, device="cpu")


@pytest.fixture(scope="module")
def plain(newer_edit: Path) -> Any:
    """Diffusers' own pipeline, from its own loading on."""
    pipeline: Any = QwenImage21Pipeline.from_pretrained(newer_edit, processor=processor_of(newer_edit / "processor"))
    align(pipeline)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


# Five pictures are more than those whose keys and values are kept.
@pytest.mark.parametrize(("references", "scale"), [(0, 1.0), (2, 1.0), (1, 3.0), (4, 1.0)])
def test_an_edit_is_what_diffusers_makes(
    pipe: QwenImageDiffusersPipeline,
    plain: Any,
    picture: Image.Image,
    our_latents: list[torch.Tensor],
    references: int,
    scale: float,
) -> None:
    """The layer comes first and has the answer's size; the checkpoint's `sample_sigmas` do not overrule the steps."""
    canvas = prepare_transparent(picture, shape="new")
    beside = [Image.new("RGBA", (40, 60 + 20 * each), (200, 30 * each, 40, 255)) for each in range(references)]
    ratio = canvas.image.width / canvas.image.height
    width, height = (round((256 * 256 * each) ** 0.5 / 32) * 32 for each in (ratio, 1 / ratio))
    theirs: list[torch.Tensor] = []

    def on_step(_pipeline: Any, _step: int, _time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        theirs.append(tensors["latents"].clone())
        return tensors

    made = plain(
        prompt="put the red of <image2> on <image1>" if references else "put the red of Picture 2 on <image1>",
        image=[canvas.image, *beside],
        negative_prompt="gray" if scale > 1 else None,
        true_cfg_scale=scale,
        width=width,
        height=height,
        sigmas=np.linspace(1.0, 1 / STEPS, STEPS).tolist(),
        generator=torch.Generator("cpu").manual_seed(SEED),
        callback_on_step_end=on_step,
        use_kv_cache=references < 4,
    )
    (answer,) = made.images
    edited = pipe.edit_layer(
        picture,
        "put the red of Picture 2 on picture 1",
        references=beside,
        shape="new",
        negative_prompt="gray",
        cfg_scale=scale,
        num_inference_steps=STEPS,
        seed=SEED,
    )
    assert len(our_latents) == STEPS
    assert all(torch.equal(a, b) for a, b in zip(our_latents, theirs, strict=True))
    wanted = canvas.finish(answer).image
    assert answer.mode == edited.mode == "RGBA"
    assert np.abs(np.asarray(edited, int) - np.asarray(wanted, int)).max() <= 1


def test_alpha_is_kept_or_the_models_own(pipe: QwenImageDiffusersPipeline, picture: Image.Image) -> None:
    kept, new = (
        pipe.edit_layer(picture, "make it blue", shape=shape, num_inference_steps=1, seed=1)
        for shape in ("keep", "new")
    )
    assert kept.size == new.size == picture.size
    assert np.array_equal(np.asarray(kept)[..., 3], np.asarray(picture)[..., 3])
    assert not np.array_equal(np.asarray(new)[..., 3], np.asarray(picture)[..., 3])


def test_an_edit_in_context_shows_the_surroundings(pipe: QwenImageDiffusersPipeline, picture: Image.Image) -> None:
    red, green = (
        pipe.edit_layer(
            picture,
            "make it blue",
            context=True,
            surroundings=Image.new("RGBA", picture.size, color),
            num_inference_steps=1,
            seed=1,
        )
        for color in ("red", "green")
    )
    assert red.tobytes() != green.tobytes()
    assert red.getchannel("A").tobytes() == green.getchannel("A").tobytes() == picture.getchannel("A").tobytes()


@pytest.mark.parametrize("shape", ["keep", "new"])
def test_outside_of_a_region_every_byte_stays(
    pipe: QwenImageDiffusersPipeline, picture: Image.Image, shape: Shape
) -> None:
    edited = pipe.edit_layer(
        picture, "make it blue", region=(40, 20, 90, 60), shape=shape, num_inference_steps=1, seed=1
    )
    changed = (np.asarray(edited) != np.asarray(picture)).any(-1)
    assert changed[20:60, 40:90].any()
    changed[20:60, 40:90] = False
    assert not changed.any()


def test_a_run_is_told_previewed_canceled_and_begun_again(
    pipe: QwenImageDiffusersPipeline, picture: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_dit.qwen.forward.vae.INTERVAL_S", 0.0)
    monkeypatch.setattr("llm_dit.qwen.forward.vae.SHARE", 1e9)

    def edit(**reports: Any) -> Image.Image:
        return pipe.edit_layer(picture, "make it blue", num_inference_steps=STEPS, seed=1, speed="fast", **reports)

    def cancel(report: Progress) -> None:
        if report.step == 2:
            raise Canceled

    expected = edit()
    with pytest.raises(Canceled):
        edit(progress=cancel)
    heard: list[tuple[str, int]] = []
    seen: list[tuple[int, str]] = []
    again = edit(
        progress=lambda report: heard.append((report.phase, report.step)),
        preview=lambda layer, shown: seen.append((layer, shown.mode)),
    )
    assert again.tobytes() == expected.tobytes()
    assert heard == [("encoding", 0), *(("denoising", step) for step in range(1, STEPS + 1)), ("decoding", STEPS)]
    assert (1, "RGBA") in seen
    status = pipe.status()
    assert status.models == ("Qwen-Image-2.1",)
    assert status.forward is not None and status.forward.speed == "exact"
    assert status.forward.why == (
        "Qwen-Image-2.1 runs on diffusers' own loop",
        "fast: Qwen-Image-2.1 runs on diffusers' own loop, so it is exact",
    )


def test_what_it_does_not_take_is_refused(
    pipe: QwenImageDiffusersPipeline, newer_edit: Path, picture: Image.Image
) -> None:
    with pytest.raises(InputError, match=r"Qwen-Image-2\.1 takes up to 10 references"):
        pipe.edit_layer(picture, "make it blue", references=[SQUARE] * 11)
    with pytest.raises(InputError, match=r"Qwen-Image-2\.1 takes no LoRAs"):
        QwenImageDiffusersPipeline.from_pretrained(
            "", newer_edit, edit_only=True, device="cpu", edit_loras=["lightning"]
        )
    with pytest.raises(InputError, match="3501 tokens and may have 3500"):
        pipe.edit_layer(picture, "x" * 3501, references=[SQUARE])


def test_it_takes_its_place_beside_the_layered_model(checkpoints: Path, newer_edit: Path, picture: Image.Image) -> None:
    """Their text encoders differ: both are planned, loaded and used."""
    pipe = QwenImageDiffusersPipeline.from_pretrained(checkpoints / "layered", newer_edit, device="cpu")
    before = pipe.decompose(picture, "a house", layer_num=2, num_inference_steps=1, seed=1)
    edited = pipe.edit_layer(before[1], "make it blue", num_inference_steps=1, seed=1)
    again = pipe.decompose(picture, "a house", layer_num=2, num_inference_steps=1, seed=1)
    assert edited.size == before[1].size
    assert all(a.tobytes() == b.tobytes() for a, b in zip(before, again, strict=True))
    assert pipe.status().models == ("Qwen-Image-Layered", "Qwen-Image-2.1")


# Where the weights live; the CPU plays the device, as in test_offloading.py.


@pytest.fixture(scope="module")
def loaded(newer_edit: Path) -> Any:
    options = LoadOptions(device=CPU, dtype=torch.float32)
    return load_pipeline(open_checkpoint(newer_edit, EDIT), options, lambda _: None)


def latents(pipeline: Any) -> torch.Tensor:
    made = pipeline(
        prompt="a house",
        image=[SQUARE],
        width=64,
        height=64,
        sigmas=[1.0, 0.5],
        output_type="latent",
        output_resolution=64,
        generator=torch.Generator("cpu").manual_seed(1),
    )
    return made.images


@pytest.mark.parametrize("name", [name for name in PLANS if "resident" not in name or "away" not in name])
def test_every_placement_gives_the_same(loaded: Any, name: str) -> None:
    expected = latents(loaded)
    placement = Placement([loaded], PLANS[name], CPU)
    hook = loaded.transformer.transformer_blocks[1].register_forward_pre_hook(fail)
    with pytest.raises(torch.OutOfMemoryError):
        latents(loaded)
    hook.remove()
    placement.after_run()
    for _ in range(2):
        assert torch.equal(latents(loaded), expected)
        placement.after_run()
    placement.remove()
    assert torch.equal(latents(loaded), expected)


def fail(*_: Any) -> None:
    raise torch.OutOfMemoryError("planted")


def test_fp8_weights_run(newer_edit: Path, picture: Image.Image) -> None:
    pipe = QwenImageDiffusersPipeline.from_pretrained(
        "", newer_edit, edit_only=True, device="cpu", quantization="fp8", torch_dtype="bfloat16"
    )
    assert pipe.edit_layer(picture, "make it blue", num_inference_steps=1, seed=1).size == picture.size


# The plan, by the sizes of the published model: 7.1, 8.8 and 0.33 billion numbers in bfloat16.

NEEDS = QWEN_IMAGE_21.needs or Needs(NONE.of(USUAL), NONE.of(USUAL))
ALONE = Weights(
    transformers=(int(14.2 * GB),),
    text_encoders=(int(17.5 * GB),),
    vaes=int(0.66 * GB),
    modulations=(0,),
    blocks=32,
    rates=NONE,
    needs=(NEEDS,),
)


@pytest.mark.parametrize(
    ("device_gb", "strategy"), [(80, "resident"), (52, "resident"), (40, "model"), (24, "stream"), (16, "sequential")]
)
def test_its_memory_is_planned(device_gb: float, strategy: str) -> None:
    machine = Machine(device="cuda", free_device=int(device_gb * GB), free_host=128 * GB)
    plan = plan_placement("auto", machine, ALONE)
    assert plan.strategy == strategy
    assert plan.usual_peak < plan.peak <= device_gb * GB
    assert not plan.modulation_away


def test_a_second_device_has_nothing_to_do_for_it() -> None:
    machine = Machine(device="cuda", free_device=80 * GB, free_host=128 * GB)
    plan = plan_second(plan_placement(False, machine, ALONE), machine, ALONE, fused=True)
    assert plan.second_peak == 0
    assert "runs on diffusers' own loop" in plan.reason


def test_both_text_encoders_are_weighed(checkpoints: Path, newer_edit: Path) -> None:
    both = [open_checkpoint(checkpoints / "layered", "QwenImageLayeredPipeline"), open_checkpoint(newer_edit, EDIT)]
    weights = weigh(both, torch.bfloat16, None, fused=True)
    assert len(weights.text_encoders) == 2
    assert weights.modulations[0] > 0 == weights.modulations[1]
    assert weights.working.encoding == NEEDS.largest.encoding
    assert weigh(both[1:], torch.bfloat16, None, fused=True).working == NEEDS.largest


# The checkpoint's files.


@pytest.fixture
def copied(newer_edit: Path, tmp_path: Path) -> Iterator[Path]:
    yield Path(shutil.copytree(newer_edit, tmp_path / "edit"))


def test_the_processor_may_be_written_by_any_version(copied: Path) -> None:
    """Newer versions of transformers put the pictures' part into one file, older ones the template into another."""
    processor = copied / "processor"
    images = json.loads((processor / "preprocessor_config.json").read_text())
    (processor / "preprocessor_config.json").unlink()
    (processor / "processor_config.json").write_text(json.dumps({"image_processor": images}))
    template = (processor / "chat_template.jinja").read_text()
    (processor / "chat_template.jinja").unlink()
    (processor / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    open_checkpoint(copied, EDIT)
    read = processor_of(processor)
    assert read.image_processor.patch_size == 16
    assert read.chat_template == template


def test_what_is_missing_is_named(copied: Path) -> None:
    (copied / "processor/preprocessor_config.json").unlink()
    with pytest.raises(WeightsError, match=r"processor/preprocessor_config.json is missing"):
        open_checkpoint(copied, EDIT)
    (copied / "vae/config.json").unlink()
    with pytest.raises(WeightsError, match=r"vae/config.json is missing"):
        open_checkpoint(copied, EDIT)


# Through the service and the command line.

LICENSE = "no commercial use without its authors' agreement"


def test_the_service_tells_what_it_takes_and_its_license(transparent: Service) -> None:
    config = transparent.get("/api/qwen-image/config").json()
    assert config["capabilities"]["references"] == 10
    assert config["capabilities"]["edit"] == ["steps", "cfg_scale", "seed", "context"]
    assert (config["edit_defaults"]["steps"], config["edit_defaults"]["cfg_scale"]) == (40, 1.0)
    assert (config["defaults"]["steps"], config["defaults"]["cfg_scale"]) == (50, 4.0)
    assert LICENSE in transparent.get("/api/qwen-image/edit-status").json()["license"]
    status = transparent.get("/api/qwen-image/status").json()
    assert status["loaded_models"] == ["Qwen-Image-2.1"]
    assert LICENSE in status["reason"]
    assert LICENSE in transparent.log


def test_an_edit_over_http_keeps_alpha_or_takes_the_models(transparent: Service, picture: Image.Image) -> None:
    url = "data:image/png;base64," + base64.b64encode(encode_png(picture)).decode()
    with transparent.connect() as client:
        made: dict[str, Any] = {}
        for shape in ("keep", "new"):
            fields = {"image": url, "instruction": "make it blue", "steps": 1, "seed": 1, "shape": shape}
            answer = client.post("/api/qwen-image/edit-layer", json=fields).json()
            assert answer["forward"]["why"] == ["Qwen-Image-2.1 runs on diffusers' own loop"]
            edited = Image.open(io.BytesIO(base64.b64decode(answer["image"].partition(",")[2])))
            assert edited.size == picture.size
            made[shape] = np.asarray(edited)[..., 3]
    assert np.array_equal(made["keep"], np.asarray(picture)[..., 3])
    assert not np.array_equal(made["new"], made["keep"])


def test_the_doctor_tells_its_license_and_its_memory(checkpoints: Path, newer_edit: Path) -> None:
    found = {finding.name: finding for finding in diagnose(str(checkpoints / "layered"), str(newer_edit))}
    assert found["Qwen-Image-2.1"].value.endswith("complete")
    assert LICENSE in found["license"].value
    assert "Qwen-Image-2.1 runs on diffusers' own loop" in found["edits"].value
    alone = {finding.name: finding for finding in diagnose("", str(newer_edit), edit_only=True)}
    assert alone["forward"].value == "Qwen-Image-2.1 runs on diffusers' own loop"
    assert "of an edit, up to" in alone["placement"].value
