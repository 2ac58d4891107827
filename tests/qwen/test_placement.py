"""The planner, by numbers: what is chosen for which memory, and that it says why."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_dit.errors import InputError
from llm_dit.qwen.editors import TEXT, working
from llm_dit.qwen.placement.plan import (
    FUSED,
    GB,
    NONE,
    CpuOffload,
    Machine,
    Needs,
    Plan,
    Size,
    Weights,
    plan_placement,
)

DECOMPOSE = Weights(transformers=(int(40.9 * GB),), text_encoders=(int(16.6 * GB),), vaes=int(0.25 * GB))
BOTH = Weights(transformers=(int(40.9 * GB),) * 2, text_encoders=(int(16.6 * GB),), vaes=int(0.5 * GB))
APART: dict[str, Any] = {"rates": FUSED}
NF4 = Weights(transformers=(int(11.4 * GB),), text_encoders=(int(4.7 * GB),), vaes=int(0.25 * GB))


def cuda(device_gb: float, host_gb: float = 128) -> Machine:
    return Machine(device="cuda", free_device=int(device_gb * GB), free_host=int(host_gb * GB))


def auto(device_gb: float, weights: Weights = DECOMPOSE, host_gb: float = 128) -> Plan:
    return plan_placement("auto", cuda(device_gb, host_gb), weights)


OURS = replace(DECOMPOSE, **APART, modulations=(int(13.6 * GB),), vaes=int(0.08 * GB))


@pytest.mark.parametrize(
    ("device_gb", "strategy", "text_encoder"),
    [
        (140, "resident", "whole"),
        (80, "resident", "whole"),
        (60, "resident", "whole"),
        (48, "model", "whole"),
        (32, "stream", "whole"),
        (24, "stream", "whole"),
        (16, "stream", "layers"),
        (5, "stream", "layers"),
        (4.5, "sequential", "layers"),
    ],
)
def test_auto_takes_the_fastest_that_fits(device_gb: float, strategy: str, text_encoder: str) -> None:
    plan = auto(device_gb, OURS)
    assert (plan.strategy, plan.text_encoder) == (strategy, text_encoder)
    assert plan.reason.startswith(f"{strategy}: ")
    assert plan.peak <= device_gb * GB


def test_a_second_model_is_planned_for() -> None:
    assert auto(140, BOTH).strategy == "resident"
    assert auto(80, BOTH).strategy == "model"


def test_the_reason_has_the_numbers() -> None:
    assert auto(24).reason == (
        "stream: 57.8 GB of weights do not fit into 24.0 GB, nor does the largest model by itself. "
        "23 of 60 blocks stay."
    )


def test_host_memory_decides_on_pinning_and_is_warned_about() -> None:
    assert auto(24, host_gb=96).pinned
    assert not auto(24, host_gb=64).pinned
    assert "it may swap" in auto(24, host_gb=32).reason
    assert "it may swap" not in auto(140, host_gb=32).reason


def test_false_is_plain_diffusers_and_auto_spares_memory() -> None:
    plain, auto_plan = plan_placement(False, cuda(140), DECOMPOSE), auto(140)
    assert plain.strategy == auto_plan.strategy == "resident"
    assert (plain.sliced_decoding, auto_plan.sliced_decoding) == (False, True)
    assert plain.peak > auto_plan.peak


# At 640² on an H100 and at 1024² on an H200, four layers (docs/performance.md); with what recordings keep, where there
# are any. How many blocks stayed is that of an earlier planner, so the devices are such that as many stay.
MEASURED: dict[str, tuple[CpuOffload, float, Weights, int, dict[int, float]]] = {
    "plain": (False, 84.5, DECOMPOSE, 0, {640: 64.75, 1024: 75.58}),
    "resident": (False, 84.5, OURS, 0, {640: 59.94 + 0.79, 1024: 63.4 + 1.88}),
    "24 GB": ("auto", 23.5, OURS, 39, {640: 19.48, 1024: 20.42}),
    "8 GB": ("auto", 7.2, OURS, 5, {640: 4.07, 1024: 5.01}),
}


@pytest.mark.parametrize("case", MEASURED)
def test_the_peak_of_a_run_is_what_was_measured(case: str) -> None:
    asked, device_gb, weights, kept, measured = MEASURED[case]
    for side, gigabytes in measured.items():
        plan = plan_placement(asked, cuda(device_gb), replace(weights, usual=Size(side, 4)))
        assert plan.kept_blocks == kept
        assert plan.usual_peak == pytest.approx(gigabytes * GB, rel=0.03)
        assert plan.peak > plan.usual_peak


# Qwen-Image-2.1 at 1024² on an H100: what was asked for, how many references, and the peak in GB.
MEASURED_21: list[tuple[CpuOffload, int, float]] = [
    (False, 0, 36.42),
    (False, 3, 44.44),
    (False, 10, 42.69),
    ("model", 0, 19.90),
    ("model", 3, 26.89),
    ("model", 10, 28.46),
]


@pytest.mark.parametrize(("asked", "references", "gigabytes"), MEASURED_21)
def test_the_peak_of_an_edit_by_qwen_image_21_is_what_was_measured(
    asked: CpuOffload, references: int, gigabytes: float
) -> None:
    needs = working(1 + references, TEXT)
    weights = Weights(
        transformers=(int(14.23 * GB),),
        text_encoders=(int(17.534 * GB),),
        vaes=int(0.662 * GB),
        modulations=(0,),
        blocks=32,
        rates=NONE,
        needs=(Needs(largest=needs, usual=needs),),
    )
    assert plan_placement(asked, cuda(84.5), weights).peak == pytest.approx(gigabytes * GB, rel=0.03)


def test_both_models_are_resident_on_80_gb_without_their_modulation() -> None:
    apart = replace(
        BOTH,
        modulations=(int(13.6 * GB),) * 2,
        **APART,
    )
    plan = auto(84, apart)
    assert (plan.strategy, plan.modulation_away) == ("resident", True)
    assert plan.usual_peak <= 76 * GB
    assert "without the modulation" in plan.reason
    assert not auto(140, apart).modulation_away
    streamed, all_of_it = auto(24, apart), auto(24, BOTH)
    assert streamed.modulation_away and not all_of_it.modulation_away
    assert streamed.kept_blocks > all_of_it.kept_blocks, "a block is a third smaller"


def test_true_keeps_the_blocks_that_do_not_raise_the_peak() -> None:
    plan = plan_placement(True, cuda(80), DECOMPOSE)
    encoding = DECOMPOSE.text_encoders[0] + DECOMPOSE.vaes
    assert plan.strategy == "stream"
    assert 0 < plan.kept_blocks < 60
    assert encoding < plan.peak < encoding + 3 * GB
    assert plan.kept_blocks < plan_placement("stream", cuda(30), DECOMPOSE).kept_blocks


@pytest.mark.parametrize(
    ("device_gb", "weights", "strategy", "away"),
    [
        (140, DECOMPOSE, "resident", False),
        (96, DECOMPOSE, "stream", False),
        (80, DECOMPOSE, "stream", False),
        (96, replace(DECOMPOSE, modulations=(int(13.6 * GB),), **APART), "resident", True),
        (80, replace(DECOMPOSE, modulations=(int(13.6 * GB),), **APART), "resident", True),
        (140, replace(BOTH, modulations=(int(13.6 * GB),) * 2, **APART), "resident", True),
        (80, replace(BOTH, modulations=(int(13.6 * GB),) * 2, **APART), "stream", True),
    ],
)
def test_true_keeps_everything_where_a_third_of_the_device_stays_free(
    device_gb: float, weights: Weights, strategy: str, away: bool
) -> None:
    plan = plan_placement(True, cuda(device_gb), weights)
    assert (plan.strategy, plan.modulation_away) == (strategy, away)
    if strategy == "resident":
        assert plan.peak <= 2 / 3 * device_gb * GB
        assert f"leave a third of {device_gb:.1f} GB free" in plan.reason
    else:
        assert 'cpu_offload="auto" is faster: ' in plan.reason


def test_true_says_nothing_of_auto_where_that_is_the_same() -> None:
    assert "auto" not in plan_placement(True, cuda(5), DECOMPOSE).reason


@given(device_gb=st.floats(4, 160), both=st.booleans())
def test_streaming_never_plans_for_more_than_there_is(device_gb: float, both: bool) -> None:
    plan = auto(device_gb, BOTH if both else DECOMPOSE)
    assert 0 <= plan.kept_blocks <= 60
    assert plan.strategy == "sequential" or plan.peak <= device_gb * GB


@pytest.mark.parametrize("name", ["resident", "model", "stream", "sequential"])
def test_a_name_is_taken(name: str) -> None:
    assert plan_placement(name, cuda(24), DECOMPOSE).strategy == name  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("cpu_offload", [True, False, "auto", "stream"])
def test_without_an_accelerator_nothing_is_offloaded(cpu_offload: bool) -> None:
    plan = plan_placement(cpu_offload, Machine(device="cpu", free_device=GB, free_host=GB), DECOMPOSE)
    assert plan.strategy == "resident"
    assert "no accelerator" in plan.reason
    assert not plan.pinned


def test_a_name_that_there_is_not_is_refused() -> None:
    with pytest.raises(InputError, match='"auto", "resident", "model", "stream", "sequential"') as caught:
        plan_placement("disk", cuda(24), DECOMPOSE)  # pyright: ignore[reportArgumentType]
    assert caught.value.param == "cpu_offload"


def test_quantized_weights_move_whole() -> None:
    assert plan_placement("auto", cuda(48), NF4, quantized=True).strategy == "resident"
    assert plan_placement("auto", cuda(12), NF4, quantized=True).strategy == "model"
    assert plan_placement(True, cuda(24), NF4, quantized=True).strategy == "model"
    with pytest.raises(InputError, match="Quantized"):
        plan_placement("stream", cuda(24), NF4, quantized=True)
