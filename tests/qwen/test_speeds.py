"""What a run leaves out at its speed: steps that reuse the blocks of earlier ones; and what is told of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from llm_dit.errors import InputError
from llm_dit.pipelines.qwen_image_diffusers import QwenImageDiffusersPipeline
from llm_dit.qwen.loading.checkpoints import LAYERED, open_checkpoint
from llm_dit.qwen.loading.loader import LoadOptions, load_pipeline
from llm_dit.qwen.placement.placing import Placement
from llm_dit.qwen.placement.plan import Plan
from llm_dit.qwen.sampling.running import LEAST_WARM_UP, MOST_REUSED, Mask, reusing
from llm_dit.runs import Canceled, Progress
from tests.kit.denoising import denoise_noise

CPU = torch.device("cpu")
STEPS = 8
HALF: Mask = (True, True, False, True, False, False, True)


@pytest.fixture(scope="module")
def pipeline(checkpoints: Path) -> Any:
    options = LoadOptions(device=CPU, dtype=torch.float32)
    return load_pipeline(open_checkpoint(checkpoints / "layered", LAYERED), options, lambda _: None)


@pytest.fixture
def blocks_run(pipeline: Any) -> Iterator[list[int]]:
    """The answers of the last block."""
    ran: list[int] = []
    hook = pipeline.transformer.transformer_blocks[-1].register_forward_hook(lambda *_: ran.append(1))
    yield ran
    hook.remove()


def latents(pipeline: Any, computed: Mask | None, texts: tuple[int, ...] = (5, 2), seed: int = 1) -> torch.Tensor:
    steps = len(computed or HALF)
    return denoise_noise(pipeline, texts=texts, rows=2, seed=seed, steps=steps, computed=computed)


def test_fast_computes_the_beginning_and_the_end_and_never_reuses_for_long() -> None:
    for steps in range(1, 101):
        mask = reusing(steps)
        assert len(mask) == steps
        assert all(mask[:LEAST_WARM_UP]) and mask[-1]
        assert "r" * (MOST_REUSED + 1) not in "".join("c" if step else "r" for step in mask)
        assert steps < 20 or sum(mask) == (steps + 1) // 2


def test_all_steps_computed_are_the_run_without_reuse(pipeline: Any, blocks_run: list[int]) -> None:
    assert torch.equal(latents(pipeline, (True,) * len(HALF)), latents(pipeline, None))
    assert len(blocks_run) == 2 * 2 * len(HALF)


def test_a_step_that_is_not_computed_runs_no_block(pipeline: Any, blocks_run: list[int]) -> None:
    some = latents(pipeline, HALF)
    assert len(blocks_run) == 2 * sum(HALF)
    assert torch.isfinite(some).all()
    assert not torch.equal(some, latents(pipeline, None))
    assert torch.equal(some, latents(pipeline, HALF)), "of one run nothing is left for the next"


def test_what_is_kept_changes_no_step_that_is_computed(pipeline: Any) -> None:
    """And a reused step's own time and tokens count: reusing the last step alone gives another picture."""
    until_last = latents(pipeline, (*(True,) * (len(HALF) - 1), False))
    assert not torch.equal(until_last, latents(pipeline, None))
    error = (until_last - latents(pipeline, None)).norm() / latents(pipeline, None).norm()
    assert error < 0.1


def test_the_branches_reuse_each_its_own(pipeline: Any) -> None:
    """A branch's answers do not hang on the other's being there."""
    transformer = pipeline.transformer
    told: list[list[torch.Tensor]] = []
    hook = transformer.register_forward_hook(lambda _m, _i, answer: told.append(answer))
    latents(pipeline, HALF)
    hook.remove()
    reused = [answers for answers, computed in zip(told, HALF, strict=True) if not computed]
    assert all(not torch.equal(*answers) for answers in reused)
    same = latents(pipeline, HALF, texts=(5,))
    assert not torch.equal(same, latents(pipeline, HALF))


@pytest.mark.parametrize("plan", [Plan(strategy="stream", modulation_away=True, peak=0, reason="")])
def test_streamed_blocks_reuse_the_same(pipeline: Any, plan: Plan) -> None:
    wanted = latents(pipeline, HALF)
    placement = Placement([pipeline], plan, CPU)
    assert torch.equal(latents(pipeline, HALF), wanted)
    placement.after_run()
    placement.remove()


def decompose(pipe: QwenImageDiffusersPipeline, picture: Image.Image, **more: Any) -> list[bytes]:
    named: dict[str, Any] = {"layer_num": 1, "num_inference_steps": STEPS, "seed": 3, "speed": "fast"} | more
    return [layer.tobytes() for layer in pipe.decompose(picture, "a house", **named)]


def test_a_canceled_run_leaves_nothing_for_the_next(
    shared_pipe: QwenImageDiffusersPipeline, picture: Image.Image
) -> None:
    fresh = decompose(shared_pipe, picture)

    def cancel(report: Progress) -> None:
        if report.step == STEPS - 2:
            raise Canceled

    with pytest.raises(Canceled):
        decompose(shared_pipe, picture.rotate(180), seed=4, progress=cancel)
    assert decompose(shared_pipe, picture) == fresh
    assert decompose(shared_pipe, picture, speed="exact") != fresh


def test_two_devices_reuse_what_one_does(checkpoints: Path, picture: Image.Image) -> None:
    """In fp8, too."""
    load, folder = QwenImageDiffusersPipeline.from_pretrained, checkpoints / "layered"
    one, two = load(folder, device="cpu", speed="fast"), load(folder, devices="cpu,cpu", speed="fast")
    assert decompose(two, picture, speed=None) == decompose(one, picture, speed=None)


def test_a_run_tells_what_its_speed_has_come_to(shared_pipe: QwenImageDiffusersPipeline, picture: Image.Image) -> None:
    decompose(shared_pipe, picture)
    told = shared_pipe.status().forward
    assert told is not None
    assert (told.speed, told.lossy) == ("fast", (f"{sum(reusing(STEPS))} of {STEPS} steps computed",))
    decompose(shared_pipe, picture, speed="turbo")
    told = shared_pipe.status().forward
    assert told is not None
    assert told.speed == "fast"
    assert any("no distilled LoRA" in reason for reason in told.why)
    decompose(shared_pipe, picture, speed="exact", num_inference_steps=1)
    told = shared_pipe.status().forward
    assert told is not None
    assert (told.speed, told.lossy) == ("exact", ())


def test_a_speed_that_cannot_be_had_is_refused(
    checkpoints: Path, shared_pipe: QwenImageDiffusersPipeline, picture: Image.Image
) -> None:
    with pytest.raises(InputError, match="fused = true") as refused:
        QwenImageDiffusersPipeline.from_pretrained(checkpoints / "layered", device="cpu", fused=False, speed="fast")
    assert refused.value.param == "speed"
    with pytest.raises(InputError, match="speed must be exact or fast or turbo"):
        decompose(shared_pipe, picture, speed="quick")
