"""Two devices run a branch of guidance each: the same bits as one, and what goes wrong on either is told."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from llm_dit.errors import DeviceError, InputError, NonFiniteOutputError, OutOfMemoryError
from llm_dit.pipelines.qwen_image_diffusers import QwenImageDiffusersPipeline
from llm_dit.qwen.diagnosis import diagnose
from llm_dit.qwen.placement.placing import Pair
from llm_dit.qwen.placement.plan import GB, Machine, Plan, Weights, plan_placement, plan_second
from llm_dit.qwen.sampling import running
from llm_dit.runs import Canceled, Progress

LAYERED = "QwenImageLayeredPipeline"
EDIT = "QwenImageEditPlusPipeline"
WEIGHTS = Weights(
    transformers=(int(40.9 * GB),),
    text_encoders=(int(16.6 * GB),),
    vaes=int(0.1 * GB),
    modulations=(int(13.6 * GB),),
)


@pytest.fixture(scope="module")
def pipe(checkpoints: Path) -> QwenImageDiffusersPipeline:
    """Both models on the processor twice."""
    return QwenImageDiffusersPipeline.from_pretrained(
        checkpoints / "layered", checkpoints / "edit", load_edit_model=True, devices="cpu, cpu"
    )


def decompose(pipe: QwenImageDiffusersPipeline, picture: Image.Image, **more: Any) -> list[bytes]:
    named: dict[str, Any] = {"layer_num": 2, "num_inference_steps": 2, "seed": 3} | more
    return [layer.tobytes() for layer in pipe.decompose(picture, "a house", **named)]


def edit(pipe: QwenImageDiffusersPipeline, picture: Image.Image) -> bytes:
    return pipe.edit_layer(picture, "make it blue", num_inference_steps=2, seed=3).tobytes()


def second_of(pipe: QwenImageDiffusersPipeline, name: str) -> Any:
    return pipe._models._pipelines[name].transformer.pair.second


@pytest.fixture
def answered(pipe: QwenImageDiffusersPipeline) -> Any:
    """What the copies on the second device answered."""
    given: list[int] = []
    hooks = [
        second_of(pipe, name).register_forward_hook(lambda _m, _i, told: given.append(len(told)))
        for name in (LAYERED, EDIT)
    ]
    yield given
    for hook in hooks:
        hook.remove()


def test_two_devices_give_what_one_gives(
    pipe: QwenImageDiffusersPipeline,
    shared_pipe: QwenImageDiffusersPipeline,
    picture: Image.Image,
    answered: list[int],
) -> None:
    assert decompose(pipe, picture) == decompose(shared_pipe, picture)
    assert answered == [1, 1], "a branch a step"
    assert decompose(pipe, picture, num_inference_steps=3) == decompose(shared_pipe, picture, num_inference_steps=3)
    assert decompose(pipe, picture) == decompose(shared_pipe, picture)
    assert edit(pipe, picture) == edit(shared_pipe, picture)
    assert len(answered) == 9


def test_all_is_on_the_second_device_before_the_first_begins(
    pipe: QwenImageDiffusersPipeline, picture: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy between devices waits for what is queued on both: behind the first's forward it comes too late."""
    happened: list[str] = []
    move = Pair._move

    def moving(self: Pair, *given: Any) -> Any:
        happened.append("moved")
        return move(self, *given)

    monkeypatch.setattr(Pair, "_move", moving)
    first = pipe._models._pipelines[LAYERED].transformer
    hook = first.register_forward_pre_hook(lambda *_: happened.append("asked"))
    decompose(pipe, picture)
    hook.remove()
    assert happened == ["moved", "asked"] * 2


def test_the_copy_is_its_own_and_has_no_modulation(pipe: QwenImageDiffusersPipeline) -> None:
    first = pipe._models._pipelines[LAYERED].transformer
    second = first.pair.second
    ours = {name: tensor for name, tensor in first.state_dict().items() if not name.startswith("modulations.")}
    theirs = second.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert not {tensor.data_ptr() for tensor in ours.values()} & {tensor.data_ptr() for tensor in theirs.values()}


def test_without_guidance_one_device_runs_and_the_log_says_why(
    pipe: QwenImageDiffusersPipeline,
    shared_pipe: QwenImageDiffusersPipeline,
    picture: Image.Image,
    answered: list[int],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, running.__name__):
        assert decompose(pipe, picture, cfg_scale=1.0) == decompose(shared_pipe, picture, cfg_scale=1.0)
    assert answered == []
    assert "guidance is off" in caplog.text


@pytest.mark.parametrize("second", [False, True])
def test_an_error_on_either_device_is_named_and_the_next_run_works(
    pipe: QwenImageDiffusersPipeline, picture: Image.Image, second: bool
) -> None:
    def fail(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    transformer = second_of(pipe, LAYERED) if second else pipe._models._pipelines[LAYERED].transformer
    hook = transformer.transformer_blocks[1].register_forward_pre_hook(fail)
    with pytest.raises(OutOfMemoryError):
        decompose(pipe, picture)
    hook.remove()
    assert len(decompose(pipe, picture)) == 3


def test_numbers_out_of_range_on_the_second_device_are_no_picture(
    pipe: QwenImageDiffusersPipeline, picture: Image.Image
) -> None:
    hook = second_of(pipe, LAYERED).register_forward_hook(lambda _m, _i, told: [each + torch.nan for each in told])
    with pytest.raises(NonFiniteOutputError):
        decompose(pipe, picture)
    hook.remove()


def test_canceling_stops_within_a_step(pipe: QwenImageDiffusersPipeline, picture: Image.Image) -> None:
    def cancel(report: Progress) -> None:
        if report.phase == "denoising":
            raise Canceled

    with pytest.raises(Canceled):
        decompose(pipe, picture, progress=cancel)
    assert len(decompose(pipe, picture)) == 3


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"devices": "cuda:0"}, InputError, "two NVIDIA GPUs"),
        ({"devices": "cuda,cuda:1"}, InputError, "two NVIDIA GPUs"),
        ({"devices": "cuda:1,cuda:1"}, InputError, "two NVIDIA GPUs"),
        ({"devices": "mps,mps"}, InputError, "two NVIDIA GPUs"),
        ({"devices": "cuda:0,cuda:1,cuda:2"}, InputError, "two NVIDIA GPUs"),
        ({"devices": "cpu,cpu", "device": "cpu"}, InputError, "not both"),
        ({"devices": "cuda:0,cuda:99"}, DeviceError, "no device cuda:"),
    ],
)
def test_devices_that_are_not_two_are_refused(
    checkpoints: Path, arguments: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        QwenImageDiffusersPipeline.from_pretrained(checkpoints / "layered", **arguments)


def card(free: float) -> Machine:
    return Machine(device="cuda", free_device=int(free * GB), free_host=int(128 * GB))


def second(cpu_offload: Any, free: float = 80, *, quantized: bool = False, fused: bool = True) -> Plan:
    plan = plan_placement(cpu_offload, card(80), WEIGHTS, quantized=quantized)
    return plan_second(plan, card(free), WEIGHTS, fused=fused)


def test_the_second_device_is_planned_for() -> None:
    plan = second("auto")
    assert plan.second_peak == WEIGHTS.core + WEIGHTS.working.denoising + WEIGHTS.working.recorded
    assert "A copy of 27.3 GB on the second device" in plan.reason
    both = replace(WEIGHTS, transformers=WEIGHTS.transformers * 2, modulations=WEIGHTS.modulations * 2)
    resident = plan_placement("resident", card(140), both)
    assert plan_second(resident, card(80), both, fused=True).second_peak > 2 * WEIGHTS.core


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"cpu_offload": "stream"}, 'placed as "stream"'),
        ({"cpu_offload": "model"}, 'placed as "model"'),
        ({"cpu_offload": "auto", "quantized": True}, "quantized weights"),
        ({"cpu_offload": "auto", "fused": False}, "fused = false"),
        ({"cpu_offload": "auto", "free": 24}, "it has 24.0 GB for 32.3 GB"),
    ],
)
def test_why_the_second_device_is_not_used_is_said(arguments: dict[str, Any], why: str) -> None:
    plan = second(**arguments)
    assert plan.second_peak == 0
    assert "The second device is not used: " in plan.reason and why in plan.reason


def test_the_doctor_tells_of_the_second_device(checkpoints: Path) -> None:
    found = {finding.name: finding for finding in diagnose(str(checkpoints / "layered"), devices="cpu,cpu")}
    assert found["second device"].value.startswith("CPU")
    assert "on the second device runs the other branch" in found["placement"].value


def test_without_our_loop_the_second_device_is_not_used(checkpoints: Path, picture: Image.Image) -> None:
    plain = QwenImageDiffusersPipeline.from_pretrained(checkpoints / "layered", devices="cpu,cpu", fused=False)
    assert "The second device is not used: fused = false" in plain.placement.reason
    assert len(decompose(plain, picture, num_inference_steps=1)) == 3
