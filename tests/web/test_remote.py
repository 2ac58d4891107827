"""A service whose engine is another service."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llm_dit.errors import EngineError
from server.engines import choose_engine
from server.settings import load_settings
from tests.kit.contract import RUNS, STEPPING
from tests.kit.jobs import fields, start, wait_for
from tests.kit.pictures import DISC_URL
from tests.kit.service import OWN_PIPELINE, Service, serve
from tests.kit.waiting import wait_until

TOKEN = "of-the-other-service"


def remote_environment(service: Service, **more: str) -> dict[str, str]:
    return {"LLM_DIT_ENGINE": "remote", "LLM_DIT_REMOTE__URL": service.url, **OWN_PIPELINE, **more}


@pytest.fixture(scope="module")
def front(stepping_service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that has `stepping_service` do its runs."""
    folder = tmp_path_factory.mktemp("front")
    with serve(folder, app="tests.kit.app:app", environment=remote_environment(stepping_service)) as running:
        yield running


@pytest.mark.parametrize("holds", [*RUNS, *STEPPING])
def test_it_keeps_the_contract(holds: Callable[[str], None], front: Service) -> None:
    holds(front.url)


def test_runs_errors_and_cancels_pass_through(front: Service, stepping_service: Service, go: Path) -> None:
    with front.connect() as client:
        made = client.post("/api/qwen-image/decompose", json=fields("a square", seed=7)).json()
        assert (made["seed"], made["prompt"], made["engine"]) == (7, "a square", "remote")
        edited = client.post("/api/qwen-image/edit-layer", json={"image": DISC_URL, "instruction": "x", "seed": 3})
        assert edited.status_code == 200
        failed = client.post("/api/qwen-image/decompose", json=fields("oom"))
        assert (failed.status_code, failed.json()["code"]) == (503, "out_of_memory")
        job = start(client, "wait", steps=2)
        wait_for(client, job, "processing")
        wait_until(lambda: client.get(job).json()["step"] == 1, "the step of the other service")
        assert client.delete(job).json()["status"] == "canceled"
        with stepping_service.connect() as other:
            wait_until(lambda: other.get("/api/jobs").json()["jobs"][0]["status"] == "canceled", "the cancel")
        shown = start(client, "show", steps=2)
        wait_until(lambda: client.get(f"{shown}/previews/1.png").status_code == 200, "a preview")
        go.touch()
        wait_for(client, shown, "succeeded")


def test_its_capabilities_are_those_of_the_other_service(front: Service, stepping_service: Service) -> None:
    here, there = (service.get("/api/qwen-image/config").json() for service in (front, stepping_service))
    assert here.pop("engine") == "remote"
    del there["engine"]
    assert here == there
    assert "at 127.0.0.1" in front.get("/readyz").json()["engine_label"]


def test_the_token_of_the_other_service_is_sent_and_not_shown(
    start_service: Callable[..., Service], tmp_path: Path
) -> None:
    with serve(tmp_path / "back", app="tests.kit.app:app", environment={"LLM_DIT_SERVER__TOKEN": TOKEN}) as back:
        front = start_service(
            app="tests.kit.app:app", environment=remote_environment(back, LLM_DIT_REMOTE__TOKEN=TOKEN)
        )
        with front.connect() as client:
            assert client.post("/api/qwen-image/decompose", json=fields()).status_code == 200
            with pytest.raises(EngineError, match="The token is wrong"):
                choose_engine(load_settings(environment=remote_environment(back, LLM_DIT_REMOTE__TOKEN="of-another")))
            assert TOKEN not in " ".join(Path(f"/proc/{pid}/cmdline").read_text() for pid in front.worker_pids())


def test_a_service_that_cannot_be_reached_keeps_this_one_from_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.engines.REMOTE_START_S", 0.2)
    settings = load_settings(environment={"LLM_DIT_ENGINE": "remote", "LLM_DIT_REMOTE__URL": "http://127.0.0.1:9"})
    with pytest.raises(EngineError, match="cannot be reached"):
        choose_engine(settings)
    by_itself = choose_engine(load_settings(environment={"LLM_DIT_REMOTE__URL": "http://127.0.0.1:9"}))
    assert by_itself.name == "classical"
    assert "cannot be reached" in by_itself.reason
