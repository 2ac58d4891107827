"""What is recorded gives what it gave before, or is not used."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from llm_dit.qwen.forward.graphs import Call, Recorder, Recordings, Replay, recorder_for
from llm_dit.qwen.loading.checkpoints import LAYERED, open_checkpoint
from llm_dit.qwen.loading.loader import LoadOptions, load_pipeline
from tests.kit.denoising import denoise_noise, record_well, record_with

CPU = torch.device("cpu")


def record_badly(call: Call) -> tuple[Callable[[], None], torch.Tensor]:
    return record_with(1.0, call)


def record_nothing(call: Call) -> tuple[Callable[[], None], torch.Tensor]:
    raise RuntimeError("operation not permitted when stream is capturing")


@pytest.mark.parametrize(
    ("record", "calls", "says"),
    [
        (None, 6, ""),
        (record_well, 7, ""),  # the third step is run, and replayed
        (record_badly, 8, "its numbers are not those of the step itself"),  # a replay, and once more to mend it
        (record_nothing, 6, "its recording ended in a RuntimeError"),
    ],
)
def test_a_recording_is_used_where_it_gives_the_same(
    record: Recorder | None, calls: int, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a step that counts; a run too many or a rewinding too few would show in its numbers."""
    count, called = torch.zeros(1), list[int]()

    def step() -> torch.Tensor:
        called.append(1)
        return count.add_(1).clone()

    replay = Replay(step, lambda: count.sub_(1), record)
    assert [float(replay()) for _ in range(6)] == [1, 2, 3, 4, 5, 6]
    assert len(called) == calls
    assert says in caplog.text and (says or "no CUDA graph" not in caplog.text)


@pytest.fixture(scope="module")
def pipeline(checkpoints: Path) -> Any:
    options = LoadOptions(device=CPU, dtype=torch.float32)
    return load_pipeline(open_checkpoint(checkpoints / "layered", LAYERED), options, lambda _: None)


RUNS: list[dict[str, Any]] = [
    {"texts": (300, 8), "rows": 3, "seed": 1, "steps": 5},
    {"texts": (300, 8), "rows": 3, "seed": 2, "steps": 4},  # other numbers, and a schedule of another length
    {"texts": (8, 8), "rows": 3, "seed": 3, "steps": 3},  # two branches of one shape
    {"texts": (21,), "rows": 3, "seed": 4, "steps": 3},
    {"texts": (300, 8), "rows": 5, "seed": 5, "steps": 4},
    {"texts": (300, 8), "rows": 3, "seed": 6, "steps": 4},  # what has been forgotten is recorded again
    {"texts": (300, 8), "rows": 3, "seed": 7, "steps": 7, "computed": (True, True, False, True, False, True, True)},
]


@pytest.mark.parametrize("record", [record_well, record_badly, record_nothing])
def test_recorded_steps_are_those_of_the_transformer(pipeline: Any, record: Recorder) -> None:
    expected = [denoise_noise(pipeline, **each) for each in RUNS]
    pipeline.transformer.recordings = Recordings(record, kept=3)
    try:
        found = [denoise_noise(pipeline, **each) for each in RUNS]
        pipeline.transformer.forget()
        found += [denoise_noise(pipeline, **RUNS[0])]
    finally:
        pipeline.transformer.recordings = None
    assert all(map(torch.equal, found, [*expected, expected[0]]))


def test_a_call_is_recorded_once_a_key_and_the_oldest_is_forgotten() -> None:
    made = list[str]()
    recordings = Recordings(record_well, kept=2)

    def twice(key: str, number: float) -> float:
        def make() -> Callable[[torch.Tensor], torch.Tensor]:
            made.append(key)
            return lambda number: 2 * number

        return float(recordings(key, make, torch.tensor(number)))

    asked = list(enumerate("aaababcbca"))
    assert [twice(key, number) for number, key in asked] == [2 * number for number, _ in asked]
    assert made == ["a", "b", "c", "a"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need an NVIDIA GPU")
def test_a_gpu_records_again_after_all_was_forgotten_and_keeps_no_memory() -> None:
    device = torch.device("cuda", torch.cuda.current_device())
    weight = torch.randn(256, 256, device=device, dtype=torch.bfloat16)
    held = set[int]()
    for _ in range(3):
        step = Replay(lambda: weight @ weight, lambda: None, recorder_for(device))
        answers = [step().clone() for _ in range(4)]
        assert step.is_recorded
        assert all(torch.equal(answers[0], each) for each in answers)
        del step, answers
        torch.cuda.empty_cache()
        held.add(torch.cuda.memory_reserved(device))
    assert len(held) == 1
    assert torch.isfinite(torch.randn(8, device=device)).all(), "a recording that fails takes the generator along"
