"""What a job tells of itself: the time that is left, by the pace of its current phase, and what it asks for."""

from dataclasses import replace

from llm_dit.runs import Progress
from server.jobs.inputs import DecomposeInput, EditLayerInput, JobInput
from server.jobs.job import Job, Submission, describe_loading
from tests.server.inputs import EDIT


def running() -> Job:
    job = Job(job_input=EDIT)
    job.start()
    return job


def test_a_new_phase_starts_a_new_pace() -> None:
    job = running()
    job.advance(Progress(phase="downloading", step=5_000, total=1_000_000))
    assert job.view().eta_s is not None
    job.advance(Progress(phase="loading", step=0, total=6))
    assert job.view().eta_s is None
    job.advance(Progress(phase="loading", step=6, total=6))
    job.advance(Progress(phase="encoding", step=0, total=6))
    assert job.view().eta_s is None
    job.advance(Progress(phase="denoising", step=6, total=6))
    assert job.view().eta_s == 0


def test_loading_is_told_in_the_units_of_its_phase() -> None:
    assert describe_loading(Progress(phase="downloading", step=1_200_000_000, total=57_800_000_000)) == (
        "downloading (1.2 of 57.8 GB)"
    )
    assert describe_loading(Progress(phase="loading", step=2, total=6)) == "loading (2 of 6 parts)"
    assert describe_loading(Progress(phase="loading", step=0, total=0)) == "loading"


def fingerprint(job_input: JobInput) -> str:
    return Submission(job_input=job_input, client="", seed_given=True).fingerprint


def test_a_request_of_version_0_2_asks_for_the_same_as_then() -> None:
    """Its job may be kept under its Idempotency-Key, and the request comes again after the upgrade."""
    sampling = {"image": "0" * 64, "seed": 7, "num_inference_steps": 50, "cfg_scale": 4.0}
    decompose = DecomposeInput(**sampling, prompt="a house", layer_num=3, speed="exact")
    edit = EditLayerInput(**sampling, instruction="make it blue", speed="exact")
    assert fingerprint(decompose) == "0a452208cd447a6731ae5afe23e7e0af14bf65125c233515cd7a06a76e41a152"
    assert fingerprint(edit) == "a49632890b4152ed4a7126b1122cc79bb07d9946c83a73f5dd07a43063aee51f"
    others = [replace(edit, speed="fast"), replace(edit, loras=[]), replace(edit, region=(0, 0, 9, 9))]
    assert len({fingerprint(each) for each in [edit, *others]}) == 4
