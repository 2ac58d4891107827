"""What was accepted is kept over several starts, and while the service drains."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.kit.jobs import DECOMPOSE, events, fields, queue, start, status, wait_for
from tests.kit.pictures import DISC_URL, SQUARE_URL
from tests.kit.service import serve
from tests.kit.waiting import PATIENCE_S, wait_until
from tests.web.test_durability import drain, kill

HOUR_S, DAY_S = 3600, 86_400


def test_a_job_that_takes_the_service_along_runs_three_times(tmp_path: Path) -> None:
    def run_and_kill(job: str | None = None) -> str:
        with serve(tmp_path, app="tests.kit.app:app") as service, service.connect() as client:
            started = job or start(client, "wait")
            wait_until(lambda: client.get(started).json()["step"] > 0, "a step")
            kill(service)
            return started

    job = run_and_kill(run_and_kill(run_and_kill()))
    with serve(tmp_path, app="tests.kit.app:app") as service, service.connect() as client:
        error = client.get(job).json()["error"]
        assert (status(client, job), error["code"]) == ("failed", "interrupted")
        assert queue(client)["running"] == 0
        assert client.post(DECOMPOSE, json=fields()).status_code == 200


def test_what_nothing_uses_is_removed_when_it_is_old(tmp_path: Path) -> None:
    def age(images: list[str], seconds: float) -> None:
        for image in images:
            sha256 = image.removeprefix("/api/images/").removesuffix(".png")
            path = tmp_path / "data/images" / sha256[:2] / f"{sha256}.png"
            os.utime(path, (time.time() - seconds, time.time() - seconds))

    environment = {"LLM_DIT_SERVER__MAX_STORE_GB": "0.0000001", "LLM_DIT_SERVER__MAX_FINISHED_JOBS": "1"}
    with serve(tmp_path, app="tests.kit.app:app", environment=environment) as service, service.connect() as client:
        forgotten = wait_for(client, start(client, image=DISC_URL, seed=1), "succeeded")
        job = start(client, image=SQUARE_URL)
        kept = wait_for(client, job, "succeeded")
        wait_until(lambda: len(client.get("/api/jobs").json()["jobs"]) == 1, "the older job to be forgotten")
        old, used = ([layer["image"] for layer in view["result"]["layers"]] for view in (forgotten, kept))  # type: ignore[index]
    old = [image for image in old if image not in used]
    age(old[:1] + used, 2 * HOUR_S)
    with serve(tmp_path, app="tests.kit.app:app", environment=environment) as service, service.connect() as client:
        wait_until(lambda: client.get(old[0]).status_code == 404, "the clean-up")
        assert all(client.get(image).status_code == 200 for image in used), "a job uses them"
        assert all(client.get(image).status_code == 200 for image in old[1:]), "they were put only now"
        assert client.get(job).json() == kept
    age(used, 40 * DAY_S)
    with serve(tmp_path, app="tests.kit.app:app") as service, service.connect() as client:
        assert client.get(job).json() == kept
        assert all(client.get(image).status_code == 200 for image in used)


def test_a_run_that_outlasts_the_drain_begins_again_at_the_next_start(tmp_path: Path) -> None:
    environment = {"LLM_DIT_SERVER__DRAIN_S": "0.2"}
    with serve(tmp_path, app="tests.kit.app:app", environment=environment) as service, service.connect() as client:
        job = start(client, "wait")
        wait_until(lambda: client.get(job).json()["step"] > 0, "a step")
        followed = events(client, job)
        next(followed)
        assert drain(service) == 0
        assert [name for _, name, _ in followed][-1:] in ([], ["progress"]), "the stream ends, the job does not"
    with serve(tmp_path, app="tests.kit.app:app") as service, service.connect() as client:
        assert status(client, job) in {"queued", "processing"}
        client.delete(job)


def test_who_waits_is_told_to_come_again(tmp_path: Path) -> None:
    environment = {"LLM_DIT_SERVER__DRAIN_S": "0.2"}
    with (
        serve(tmp_path, app="tests.kit.app:app", environment=environment) as service,
        service.connect() as client,
        ThreadPoolExecutor(2) as threads,
    ):
        waits = [threads.submit(client.post, DECOMPOSE, json=fields("wait")) for _ in range(2)]
        wait_until(lambda: queue(client)["length"] == 1, "one to run and one to wait")
        assert drain(service) == 0
        for wait in waits:
            answer = wait.result()
            assert (answer.status_code, answer.json()["code"]) == (503, "stopping")
            assert answer.headers["retry-after"]


def test_a_signal_ends_a_service_whose_engine_waits_to_be_started(tmp_path: Path) -> None:
    environment = {"TEST_PIPELINE": "FatalPipeline", "LLM_DIT_SERVER__DRAIN_S": "0.2"}
    with (
        serve(tmp_path, app="tests.kit.app:app", environment=environment, ready=False) as service,
        service.connect() as client,
    ):
        wait_until(lambda: "restarts in 2 s" in service.log, "a pause before the next start")
        job = start(client)
        wait_until(lambda: status(client, job) != "queued", "the job to wait for the engine")
        assert drain(service) == 0


def test_jobs_that_are_canceled_while_the_service_drains_are_no_trouble(tmp_path: Path) -> None:
    environment = {"LLM_DIT_SERVER__DRAIN_S": str(PATIENCE_S)}
    with serve(tmp_path, app="tests.kit.app:app", environment=environment) as service, service.connect() as client:
        running = start(client, "wait")
        waiting = [start(client, steps=1) for _ in range(8)]
        with ThreadPoolExecutor(8) as threads:
            service.process.send_signal(signal.SIGTERM)
            ends = [answer.json()["status"] for answer in threads.map(client.delete, waiting)]
        assert set(ends) <= {"canceled", "queued"}
        (tmp_path / "go").touch()
        assert service.process.wait() == 0
        assert "Traceback" not in service.log
    with serve(tmp_path, app="tests.kit.app:app") as service, service.connect() as client:
        assert status(client, running) == "succeeded"
        assert [
            client.get(job).json()["status"] for job, end in zip(waiting, ends, strict=True) if end == "canceled"
        ] == (["canceled"] * ends.count("canceled"))


def test_damage_is_rescued_and_told(tmp_path: Path) -> None:
    with serve(tmp_path, app="tests.kit.app:app") as service, service.connect() as client:
        for number in range(40):
            client.post("/api/projects", json={"name": f"{number}", "document": {"text": "x" * 3000}})
        assert client.get("/readyz").json()["warnings"] == []
    with (tmp_path / "data/studio.db").open("rb+") as file:
        file.seek(20 * 4096)
        file.write(os.urandom(4096))
    with serve(tmp_path, app="tests.kit.app:app") as service, service.connect() as client:
        (warning,) = client.get("/readyz").json()["warnings"]
        assert len(client.get("/api/projects").json()["projects"]) >= 35
        assert warning in service.log
    with serve(tmp_path, app="tests.kit.app:app") as service, service.connect() as client:
        assert client.get("/readyz").json()["warnings"] == []
