"""What was accepted is kept, whatever end the service comes to."""

import contextlib
import io
import signal
import sqlite3
from pathlib import Path

import pytest
from PIL import Image

from tests.kit.jobs import ASYNC, DECOMPOSE, events, fields, start, status, wait_for
from tests.kit.pictures import DISC_URL, SQUARE_URL, as_data_url, disc, png, square
from tests.kit.service import Service, serve
from tests.kit.waiting import PATIENCE_S, wait_until


def kill(service: Service) -> None:
    service.process.kill()
    service.process.wait()


@pytest.mark.slow
def test_after_a_kill_everything_goes_on(tmp_path: Path) -> None:
    with serve(tmp_path, app="tests.kit.app:app") as service, service.connect() as client:
        done = start(client, headers={"Idempotency-Key": "first"})
        before = wait_for(client, done, "succeeded")
        last_id = [number for number, _, _ in events(client, done)][-1]
        running = start(client, "wait", seed=5)
        waiting = [start(client, steps=1, image=DISC_URL) for _ in range(3)]
        region = {"mask": as_data_url(png(disc().getchannel("A")))}
        edit = {"image": SQUARE_URL, "instruction": "x", "steps": 1, "seed": 200, "region": region}
        answer = client.post("/api/qwen-image/edit-layer", json=edit, headers=ASYNC)
        waiting.append(answer.headers["location"])
        wait_for(client, running, "processing")
        kill(service)
    with serve(tmp_path, app="tests.kit.app:app") as service, service.connect() as client:
        assert client.get(done).json() == before
        for layer in before["result"]["layers"]:  # type: ignore[index]
            assert client.get(layer["image"]).status_code == 200
        ((number, name, view),) = events(client, done, last_id)
        assert (number > last_id, name, view) == (True, "succeeded", before)
        assert start(client, headers={"Idempotency-Key": "first"}) == done
        wait_for(client, running, "processing")
        assert [client.get(job).json()["position"] for job in waiting] == [1, 2, 3, 4]
        (tmp_path / "go").touch()
        assert wait_for(client, running, "succeeded")["result"]["seed"] == 5  # type: ignore[index]
        for job in waiting:
            wait_for(client, job, "succeeded")
        edited = client.get(client.get(waiting[-1]).json()["result"]["image"]).content
        with Image.open(io.BytesIO(edited)) as picture:
            assert picture.getpixel((2, 2)) == square().convert("RGBA").getpixel((2, 2)), "outside of the region"
            assert picture.getpixel((24, 24)) == (200, 0, 0, 255)
        assert client.get("/api/jobs").json()["jobs"][-1] == before


def test_two_services_do_not_share_a_folder(tmp_path: Path) -> None:
    with serve(tmp_path / "one", app="tests.kit.app:app") as service:
        data = {"LLM_DIT_SERVER__DATA_DIR": str(service.folder / "data")}
        with (
            pytest.raises(pytest.fail.Exception, match="another service uses this folder"),
            serve(tmp_path / "two", app="tests.kit.app:app", environment=data),
        ):
            pass
        assert service.get("/readyz").status_code == 200


@pytest.mark.slow
def test_a_damaged_database_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/studio.db").write_bytes(b"not a database" * 100)
    with serve(tmp_path, app="tests.kit.app:app") as service, service.connect() as client:
        assert client.post(DECOMPOSE, json=fields()).status_code == 200
    (aside,) = (tmp_path / "data").glob("studio.damaged-*")
    assert aside.read_bytes().startswith(b"not a database")


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    with serve(tmp_path, app="tests.kit.app:app"):
        pass
    file = tmp_path / "data/studio.db"
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA user_version = 1000")
    before = file.read_bytes()
    with (
        pytest.raises(pytest.fail.Exception, match="a newer version of llm-dit wrote the database"),
        serve(tmp_path, app="tests.kit.app:app"),
    ):
        pass
    assert file.read_bytes() == before
    assert sorted(path.name for path in (tmp_path / "data").glob("studio.d*")) == ["studio.db"]


def drain(service: Service) -> int:
    """Send SIGTERM and return the exit code."""
    service.process.send_signal(signal.SIGTERM)
    return service.process.wait()


@pytest.mark.slow
def test_a_signal_lets_the_run_end_and_keeps_the_rest(tmp_path: Path) -> None:
    environment = {"LLM_DIT_SERVER__DRAIN_S": str(PATIENCE_S)}
    with serve(tmp_path, app="tests.kit.app:app", environment=environment) as service, service.connect() as client:
        running, waiting = start(client, "wait"), start(client, steps=1)
        wait_until(lambda: client.get(running).json()["step"] > 0, "a step")
        service.process.send_signal(signal.SIGTERM)
        wait_until(lambda: client.get("/readyz").json()["code"] == "stopping", "the drain")
        refused = client.post(DECOMPOSE, json=fields())
        assert (refused.status_code, refused.json()["code"]) == (503, "stopping")
        assert client.get("/livez").status_code == 200
        (tmp_path / "go").touch()
        assert service.process.wait() == 0
    with serve(tmp_path, app="tests.kit.app:app") as service, service.connect() as client:
        assert status(client, running) == "succeeded"
        wait_for(client, waiting, "succeeded")


@pytest.mark.slow
def test_a_second_signal_stops_now(tmp_path: Path) -> None:
    environment = {"LLM_DIT_SERVER__DRAIN_S": str(PATIENCE_S)}
    with serve(tmp_path, app="tests.kit.app:app", environment=environment) as service, service.connect() as client:
        job = start(client, "hang")
        wait_until(lambda: status(client, job) == "processing", "the run")
        service.process.send_signal(signal.SIGTERM)
        wait_until(lambda: client.get("/readyz").status_code == 503, "the drain")
        assert drain(service) == 0


def test_a_folder_that_cannot_be_written_is_no_500(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/images").write_text("in the way")
    with serve(tmp_path, app="tests.kit.app:app", ready=False) as service, service.connect() as client:
        wait_until(lambda: client.get("/readyz").json()["code"] == "storage_failed", "the engine to be loaded")
        for answer in (client.post(DECOMPOSE, json=fields()), client.get("/readyz")):
            assert (answer.status_code, answer.json()["code"]) == (503, "storage_failed")
            assert str(tmp_path) not in answer.text
        (tmp_path / "data/images").unlink()
        wait_until(lambda: client.get("/readyz").status_code == 200, "/readyz")
        assert client.post(DECOMPOSE, json=fields()).status_code == 200


def test_a_start_that_fails_ends_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "data/studio.db").mkdir(parents=True)
    with (
        pytest.raises(pytest.fail.Exception, match=r"the service cannot start: .*database cannot be opened"),
        serve(tmp_path, app="tests.kit.app:app"),
    ):
        pass
