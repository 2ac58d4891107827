"""Decompose and edit on tiny checkpoints: what comes out, what is reported, how it stops, what it refuses."""

# pyright: reportArgumentType=false

import operator
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import llm_dit
from llm_dit.alpha import resize_layer
from llm_dit.errors import (
    DeviceError,
    DeviceLostError,
    DiskFullError,
    EditOnlyError,
    EngineError,
    ImageError,
    InputError,
    InstructionError,
    NonFiniteOutputError,
    OutOfMemoryError,
    WeightsError,
)
from llm_dit.evaluation import thinned
from llm_dit.options import NamedBox
from llm_dit.pipelines.qwen_image_diffusers import QwenImageDiffusersPipeline
from llm_dit.qwen import models
from llm_dit.qwen.forward import vae
from llm_dit.qwen.placement.placing import Placement
from llm_dit.qwen.placement.plan import Plan
from llm_dit.runs import Canceled, Progress
from tests.kit.checkpoints import write_checkpoint
from tests.kit.pictures import difference


def test_the_library_has_it_by_name() -> None:
    assert llm_dit.QwenImageDiffusersPipeline is QwenImageDiffusersPipeline


def run(pipe: QwenImageDiffusersPipeline, picture: Image.Image, **arguments: Any) -> Any:
    return pipe.decompose(
        picture, **{"prompt": "a house", "layer_num": 1, "num_inference_steps": 1, "seed": 3} | arguments
    )


def test_decompose_gives_the_composite_and_the_layers(
    shared_pipe: QwenImageDiffusersPipeline, picture: Image.Image
) -> None:
    heard: list[Progress] = []
    layers = run(
        shared_pipe, picture, layer_num=2, num_inference_steps=2, output_size="original", progress=heard.append
    )
    assert [layer.mode for layer in layers] == ["RGBA"] * 3
    assert {layer.size for layer in layers} == {picture.size}
    assert layers.names == ["Composite", "Background", "Layer 2"]
    assert (layers.seed, layers.prompt) == (3, "a house")
    assert [(report.phase, report.step, report.total) for report in heard] == [
        ("encoding", 0, 2),
        ("denoising", 1, 2),
        ("denoising", 2, 2),
        ("decoding", 2, 2),
        ("restoring", 0, 1),
        ("restoring", 1, 1),
    ]
    assert difference(layers[0], picture) <= 1


def test_of_many_layers_those_that_say_something_are_left(
    shared_pipe: QwenImageDiffusersPipeline, picture: Image.Image
) -> None:
    drawn = run(shared_pipe, picture, layer_num=6)
    left = run(shared_pipe, picture, layer_num="auto")
    assert [layer.tobytes() for layer in left[1:]] == [layer.tobytes() for layer in thinned(picture, drawn[1:])]
    assert len(left.names) == len(left) <= 7


def test_layers_are_named_in_the_language_asked_for(
    shared_pipe: QwenImageDiffusersPipeline, picture: Image.Image
) -> None:
    assert run(shared_pipe, picture, layer_num=2, language="zh-Hans").names == ["Composite", "背景", "图层 2"]


def test_an_empty_prompt_is_captioned_once_and_the_caption_returned(
    shared_pipe: QwenImageDiffusersPipeline, picture: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = shared_pipe._models._pipelines["QwenImageLayeredPipeline"]
    # Random weights never end a sentence; a few tokens show as much as 512.
    monkeypatch.setattr(pipeline.text_encoder.generation_config, "eos_token_id", list(range(256)))
    phases: list[str] = []
    first = run(shared_pipe, picture, prompt=" ", progress=lambda report: phases.append(report.phase))
    assert phases.count("captioning") == 1
    again = run(shared_pipe, picture, prompt="", progress=lambda report: phases.append(report.phase))
    assert phases.count("captioning") == 1
    assert first.prompt == again.prompt
    assert first.seed == 3


def test_canceling_stops_within_a_step_and_the_next_run_works(
    shared_pipe: QwenImageDiffusersPipeline, picture: Image.Image
) -> None:
    steps: list[int] = []

    def cancel(report: Progress) -> None:
        steps.append(report.step)
        if report.step == 1:
            raise Canceled

    with pytest.raises(Canceled):
        run(shared_pipe, picture, num_inference_steps=50, progress=cancel)
    assert steps == [0, 1]
    assert len(run(shared_pipe, picture)) == 2


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), OutOfMemoryError),
        (RuntimeError("MPS backend out of memory"), OutOfMemoryError),
        (RuntimeError("Found no NVIDIA driver on your system"), DeviceError),
        (torch.AcceleratorError("CUDA error: out of memory"), OutOfMemoryError),
        (RuntimeError("CUDA error: no kernel image is available for execution on the device"), DeviceError),
        (torch.AcceleratorError("CUDA error: device-side assert triggered"), DeviceLostError),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), DeviceLostError),
        (RuntimeError("CUDA error: unspecified launch failure"), DeviceLostError),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), DeviceLostError),
        (RuntimeError("CUDA error: uncorrectable ECC error encountered"), DeviceLostError),
        (torch.AcceleratorError("an error that is new"), DeviceLostError),
        (RuntimeError("probability tensor contains either `inf`, `nan` or element < 0"), NonFiniteOutputError),
        (OSError(28, "No space left on device"), DiskFullError),
    ],
)
def test_failures_have_names_and_advice(
    shared_pipe: QwenImageDiffusersPipeline, picture: Image.Image, raised: Exception, expected: type[EngineError]
) -> None:
    def fail(*_: object) -> None:
        raise raised

    pipeline = shared_pipe._models._pipelines["QwenImageLayeredPipeline"]
    hook = pipeline.transformer.register_forward_pre_hook(fail)
    with pytest.raises(expected) as caught:
        run(shared_pipe, picture)
    hook.remove()
    assert caught.value.message.endswith(".")
    assert raised.__traceback__ is None, "its frames would keep the run's tensors"


@pytest.mark.parametrize(
    ("name", "part", "number"),
    [
        ("QwenImageLayeredPipeline", "transformer", torch.nan),
        ("QwenImageLayeredPipeline", "transformer", torch.inf),
        ("QwenImageLayeredPipeline", "vae.decoder", torch.nan),  # the decoder makes ±inf white and black by itself
        ("QwenImageEditPlusPipeline", "transformer", torch.nan),
        ("QwenImageEditPlusPipeline", "vae.decoder", torch.nan),
    ],
)
def test_numbers_out_of_range_are_no_picture(
    shared_pipe: QwenImageDiffusersPipeline, picture: Image.Image, name: str, part: str, number: float
) -> None:
    def spoil(_module: object, _inputs: object, output: Any) -> Any:
        return [each + number for each in output] if isinstance(output, list) else output + number

    module = operator.attrgetter(part)(shared_pipe._models._pipelines[name])
    hook = module.register_forward_hook(spoil)
    try:
        with pytest.raises(NonFiniteOutputError, match="bfloat16"):
            if name == "QwenImageLayeredPipeline":
                run(shared_pipe, picture)
            else:
                shared_pipe.edit_layer(picture, "make it blue", num_inference_steps=1, seed=3)
    finally:
        hook.remove()


@pytest.mark.parametrize(
    ("arguments", "param"),
    [
        ({"layer_num": 0}, "layer_num"),
        ({"layer_num": 11}, "layer_num"),
        ({"resolution": 768}, "resolution"),
        ({"num_inference_steps": 0}, "num_inference_steps"),
        ({"cfg_scale": 0.5}, "cfg_scale"),
        ({"seed": -1}, "seed"),
        ({"output_size": "huge"}, "output_size"),
    ],
)
def test_arguments_out_of_range_are_named(
    shared_pipe: QwenImageDiffusersPipeline, picture: Image.Image, arguments: dict[str, Any], param: str
) -> None:
    with pytest.raises(InputError) as caught:
        run(shared_pipe, picture, **arguments)
    assert caught.value.param == param


def test_pictures_far_from_square_are_refused_with_the_reason(shared_pipe: QwenImageDiffusersPipeline) -> None:
    with pytest.raises(ImageError, match="at most 8 times") as caught:
        run(shared_pipe, Image.new("RGB", (900, 100)))
    assert caught.value.param == "image"
    with pytest.raises(ImageError) as caught:
        shared_pipe.edit_layer(Image.new("RGBA", (100, 900)), "make it blue")
    assert caught.value.param == "layer_image"


def test_it_cannot_be_told_where_to_divide(shared_pipe: QwenImageDiffusersPipeline, picture: Image.Image) -> None:
    with pytest.raises(InputError, match="does not support regions") as caught:
        run(shared_pipe, picture, regions=[NamedBox(box=(1, 1, 20, 20), name="Eye")])
    assert caught.value.param == "regions"


def test_an_empty_instruction_is_refused(shared_pipe: QwenImageDiffusersPipeline, picture: Image.Image) -> None:
    with pytest.raises(InstructionError):
        shared_pipe.edit_layer(picture, "  ")


@pytest.mark.parametrize("param", ["instruction", "negative_prompt"])
def test_a_text_longer_than_the_model_has_positions_for_is_refused(
    shared_pipe: QwenImageDiffusersPipeline, picture: Image.Image, param: str
) -> None:
    """The tiny tokenizer makes a token of each byte, as the real one nearly does of emoji."""
    with pytest.raises(InputError, match="shorten it") as raised:
        texts: dict[str, Any] = {"instruction": "make it blue", param: "make it blue " * 300}
        shared_pipe.edit_layer(picture, **texts)
    assert raised.value.param == param


def test_the_first_edit_loads_the_model_and_keeps_size_and_alpha(checkpoints: Path, picture: Image.Image) -> None:
    pipe = QwenImageDiffusersPipeline.from_pretrained(checkpoints / "layered", checkpoints / "edit", device="cpu")
    assert not pipe.has_edit_model
    phases: list[str] = []
    edited = pipe.edit_layer(
        picture, "make it blue", num_inference_steps=1, seed=1, progress=lambda report: phases.append(report.phase)
    )
    assert pipe.has_edit_model
    assert list(dict.fromkeys(phases)) == ["loading", "encoding", "denoising", "decoding"]
    assert edited.size == picture.size
    assert np.array_equal(np.asarray(edited)[..., 3], np.asarray(picture)[..., 3])
    assert pipe.last_edit is not None
    encoders = [pipeline.text_encoder for pipeline in pipe._models._pipelines.values()]
    assert encoders[0] is encoders[1], "the same files are loaded once"


def test_other_text_encoders_are_loaded_too(checkpoints: Path, tmp_path: Path) -> None:
    other = write_checkpoint(tmp_path / "edit", "QwenImageEditPlusPipeline", encoder_seed=9)
    pipe = QwenImageDiffusersPipeline.from_pretrained(
        checkpoints / "layered", other, load_edit_model=True, device="cpu"
    )
    encoders = [pipeline.text_encoder for pipeline in pipe._models._pipelines.values()]
    assert encoders[0] is not encoders[1]


def test_edit_only_loads_one_model(checkpoints: Path, picture: Image.Image) -> None:
    pipe = QwenImageDiffusersPipeline.from_pretrained("", checkpoints / "edit", edit_only=True, device="cpu")
    assert pipe.has_edit_model
    with pytest.raises(EditOnlyError, match="edit_only"):
        run(pipe, picture)


def test_the_first_edit_model_does_what_the_later_ones_do(
    checkpoints: Path, first_edit: Path, picture: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vae, "INTERVAL_S", 0.0)
    monkeypatch.setattr(vae, "SHARE", 1e9)
    pipe = QwenImageDiffusersPipeline.from_pretrained(checkpoints / "layered", first_edit, device="cpu")
    heard: list[tuple[str, int]] = []
    seen: list[int] = []

    def edit(**arguments: Any) -> Image.Image:
        named: dict[str, Any] = {"instruction": "make it blue", "num_inference_steps": 3, "seed": 1} | arguments
        return pipe.edit_layer(picture, **named)

    def cancel(report: Progress) -> None:
        if report.phase == "denoising":
            raise Canceled

    with pytest.raises(Canceled):
        edit(progress=cancel)
    edited = edit(
        progress=lambda report: heard.append((report.phase, report.step)), preview=lambda layer, _: seen.append(layer)
    )
    steps = [("denoising", step) for step in (1, 2, 3)]
    assert heard == [("encoding", 0), *steps, ("decoding", 3)]
    assert seen == [1]
    assert edited.size == picture.size
    assert np.array_equal(np.asarray(edited)[..., 3], np.asarray(picture)[..., 3])
    assert pipe.status().models == ("Qwen-Image-Layered", "Qwen-Image-Edit")
    with pytest.raises(InputError, match="2501 tokens and may have 2500"):
        edit(instruction="x" * 2501)


def test_an_edit_model_that_will_not_load_leaves_decompose_working(
    checkpoints: Path, tmp_path: Path, picture: Image.Image
) -> None:
    broken = Path(shutil.copytree(checkpoints / "edit", tmp_path / "edit"))
    pipe = QwenImageDiffusersPipeline.from_pretrained(checkpoints / "layered", broken, device="cpu")
    shutil.copy(checkpoints / "layered/transformer/config.json", broken / "vae/config.json")
    with pytest.raises(WeightsError, match="The vae cannot be loaded"):
        pipe.load_edit_model()
    assert not pipe.has_edit_model
    assert len(run(pipe, picture)) == 2


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"model_path": "/nowhere/at/all"}, WeightsError, "model_path names neither a folder"),
        ({"device": "cuda:0"}, DeviceError, "no device cuda:0"),
        ({"device": "abacus"}, DeviceError, "cuda, mps or cpu"),
        ({"quantization": "int3"}, InputError, "fp8"),
    ],
)
def test_what_cannot_be_opened_says_why(
    checkpoints: Path, arguments: dict[str, Any], error: type[Exception], text: str
) -> None:
    open_pipe: Callable[..., Any] = QwenImageDiffusersPipeline.from_pretrained
    with pytest.raises(error, match=text):
        open_pipe(**{"model_path": checkpoints / "layered"} | arguments)


@pytest.mark.parametrize(
    ("strategy", "away"), [("model", False), ("stream", False), ("stream", True), ("resident", True)]
)
def test_offloaded_models_are_placed_again_when_the_second_comes(
    checkpoints: Path, picture: Image.Image, monkeypatch: pytest.MonkeyPatch, strategy: Any, away: bool
) -> None:
    plan = Plan(strategy=strategy, modulation_away=away, peak=0, reason="")
    monkeypatch.setattr(models, "plan_placement", lambda *_, **__: plan)
    pipe = QwenImageDiffusersPipeline.from_pretrained(checkpoints / "layered", checkpoints / "edit", device="cpu")

    def cancel(report: Progress) -> None:
        if report.phase == "denoising":
            raise Canceled

    with pytest.raises(Canceled):
        run(pipe, picture, progress=cancel)
    before = run(pipe, picture)
    pipe.load_edit_model()
    after = run(pipe, picture)
    # A CPU's products round by the alignment of what was moved.
    assert np.abs(np.asarray(before[1], np.int16) - np.asarray(after[1], np.int16)).max() <= 1
    assert pipe.edit_layer(picture, "make it blue", num_inference_steps=1, seed=1).size == picture.size


def test_a_second_model_moves_nothing_but_the_modulation_of_the_first(
    checkpoints: Path, picture: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = [Plan(strategy="resident", modulation_away=away, peak=0, reason="") for away in (False, True)]
    monkeypatch.setattr(models, "plan_placement", lambda *_, **__: plans.pop(0))
    pipe = QwenImageDiffusersPipeline.from_pretrained(checkpoints / "layered", checkpoints / "edit", device="cpu")
    before = run(pipe, picture)
    transformer = pipe._models._pipelines["QwenImageLayeredPipeline"].transformer
    stays = {name: tensor.data_ptr() for name, tensor in transformer.transformer_blocks.named_parameters()}
    assert not any(each._forward_pre_hooks for each in transformer.modulations)
    monkeypatch.setattr(Placement, "remove", lambda _: pytest.fail("everything was moved to the host and back"))
    pipe.load_edit_model()
    assert all(each._forward_pre_hooks for each in transformer.modulations), "they come for a schedule"
    assert {name: tensor.data_ptr() for name, tensor in transformer.transformer_blocks.named_parameters()} == stays
    after = run(pipe, picture)
    assert [layer.tobytes() for layer in after] == [layer.tobytes() for layer in before]
    assert pipe.edit_layer(picture, "make it blue", num_inference_steps=1, seed=1).size == picture.size


@pytest.mark.parametrize("shape", ["keep", "new"])
@pytest.mark.parametrize("output_size", ["layer", "model"])
def test_an_edit_within_a_region_changes_nothing_outside(
    shared_pipe: QwenImageDiffusersPipeline, picture: Image.Image, shape: Any, output_size: Any
) -> None:
    box = (50, 20, 80, 50)
    edited = shared_pipe.edit_layer(
        picture, "make it blue", region=box, shape=shape, output_size=output_size, num_inference_steps=1, seed=1
    )
    assert (edited.size == picture.size) == (output_size == "layer")
    before, scale = resize_layer(picture, edited.size), edited.width / picture.width
    same = (np.asarray(edited) == np.asarray(before)).all(-1)
    # A pixel of the smaller layer reaches so far in the larger one.
    left, top, right, bottom = (round(side * scale) for side in box)
    room = round(scale) if output_size == "model" else 0
    inside = np.s_[top - room : bottom + room, left - room : right + room]
    assert not same[inside].all()
    same[inside] = True
    assert same.all()
    if shape == "keep":
        assert edited.getchannel("A").tobytes() == before.getchannel("A").tobytes()


def test_a_region_that_is_none_is_refused_before_anything_is_loaded(checkpoints: Path, picture: Image.Image) -> None:
    pipe = QwenImageDiffusersPipeline.from_pretrained(checkpoints / "layered", checkpoints / "edit", device="cpu")
    with pytest.raises(InputError, match="outside the layer") as refused:
        pipe.edit_layer(picture, "make it blue", region=(500, 0, 600, 20))
    assert refused.value.param == "region"
    assert not pipe.has_edit_model


@pytest.mark.parametrize("shape", ["keep", "new"])
@pytest.mark.parametrize("output_size", ["layer", "model"])
def test_an_edit_in_context_shows_the_surroundings(
    shared_pipe: QwenImageDiffusersPipeline, picture: Image.Image, shape: Any, output_size: Any
) -> None:
    red = Image.new("RGBA", picture.size, (230, 20, 20, 255))
    around = llm_dit.surroundings_of([llm_dit.Layer(image=red), llm_dit.Layer(image=picture)], 1)

    def edit(surroundings: Any, **more: Any) -> Image.Image:
        asked = {"shape": shape, "output_size": output_size, "num_inference_steps": 1, "seed": 1} | more
        return shared_pipe.edit_layer(picture, "make it blue", context=True, surroundings=surroundings, **asked)

    edited = edit(around)
    assert (edited.size == picture.size) == (output_size == "layer")
    assert edited.tobytes() == edit(red).tobytes(), "a plain picture is what lies behind the layer"
    assert edited.tobytes() != edit(Image.new("RGBA", picture.size, "green")).tobytes(), "the model sees it"
    if shape == "keep":
        alpha = picture.getchannel("A")
        assert edited.getchannel("A").tobytes() == alpha.resize(edited.size, Image.Resampling.LANCZOS).tobytes()
    box = (50, 20, 80, 50)
    within = edit(around, region=box, references=[picture], output_size="layer")
    same = (np.asarray(within) == np.asarray(picture)).all(-1)
    assert not same[20:50, 50:80].all()
    same[20:50, 50:80] = True
    assert same.all()


def test_surroundings_that_do_not_fit_are_refused_before_anything_is_loaded(
    checkpoints: Path, picture: Image.Image
) -> None:
    pipe = QwenImageDiffusersPipeline.from_pretrained(checkpoints / "layered", checkpoints / "edit", device="cpu")
    small = picture.crop((0, 0, 9, 9))
    for more in (
        {"context": True},
        {"surroundings": picture},
        {"context": True, "surroundings": small},
    ):
        with pytest.raises(InputError) as refused:
            pipe.edit_layer(picture, "make it blue", **more)
        assert refused.value.param == "surroundings"
    assert not pipe.has_edit_model
