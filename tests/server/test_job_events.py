"""What is kept of a job's events: enough for who comes later, and never more than a few."""

import asyncio
import contextlib
import itertools

from hypothesis import given
from hypothesis import strategies as st

from llm_dit.runs import Progress
from server.errors import JobCanceledError
from server.jobs.job import Job, JobEvent
from tests.server.inputs import EDIT

PHASES = ("loading", "encoding", "denoising")
LAYERS = 4
happenings = st.lists(st.sampled_from(PHASES) | st.integers(1, LAYERS), max_size=60)


async def replayed(job: Job, after: int = 0) -> list[JobEvent]:
    """Return what somebody hears at once who follows the job now."""
    heard: list[JobEvent] = []
    follower = job.follow(after)
    with contextlib.suppress(TimeoutError, StopAsyncIteration):
        async with asyncio.timeout(0):  # it ends where there would be something to wait for
            while True:
                heard.append(await anext(follower))
    return heard


@given(happened=happenings)
def test_a_follower_hears_the_newest_preview_of_each_layer_and_where_the_job_stands(happened: list[str | int]) -> None:
    job = Job(job_input=EDIT)
    job.start()
    newest: dict[int, int] = {}
    for number, each in enumerate(happened):
        if isinstance(each, int):
            job.show(each, bytes([number]))
            newest[each] = job.event_count
        else:
            job.advance(Progress(phase=each, step=number, total=100))
    with asyncio.Runner() as runner:
        heard, nothing = runner.run(replayed(job)), runner.run(replayed(job, after=job.event_count))
        job.end(JobCanceledError("enough"))
        left = runner.run(replayed(job))
    assert nothing == []
    assert [event.id for event in heard] == sorted({event.id for event in heard})
    assert {event.layer: event.id for event in heard if event.name == "preview"} == newest
    others = [event.name for event in heard if event.name != "preview"]
    assert all(one != following for one, following in itertools.pairwise(others))
    stands = [event.job.phase for event in heard if event.layer is None]
    assert stands[-1:] == ([job.progress.phase] if job.progress else [])
    assert job.previews == {}
    assert "preview" not in {event.name for event in left}


@given(layers=st.lists(st.integers(1, LAYERS), min_size=1, max_size=20))
def test_a_job_that_is_put_back_shows_nothing(layers: list[int]) -> None:
    job = Job(job_input=EDIT)
    job.start()
    for layer in layers:
        job.show(layer, b"png")
    job.suspend()
    assert job.previews == {}
    assert asyncio.run(replayed(job)) == []
