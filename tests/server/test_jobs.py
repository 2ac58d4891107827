"""The time that is left is told by the pace of the current phase: bytes, parts and steps go by differently."""

from llm_dit.runs import Progress
from server.jobs.job import Job, describe_loading
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
