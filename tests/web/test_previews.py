"""What layers are going to be, over HTTP, while a job runs; `StepPipeline` shows it until it may go on."""

import io
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.kit.jobs import events, start, wait_for, wait_idle
from tests.kit.service import Service

LAYERS = 2


@pytest.fixture
def job(client: httpx.Client) -> str:
    wait_idle(client)
    return start(client, "show", layer_num=LAYERS)


def previews(client: httpx.Client, job: str, count: int, last_id: int | None = None) -> list[tuple[int, int, str]]:
    """Return the ids, layers and addresses of the first previews that somebody hears of who follows a job now."""
    found: list[tuple[int, int, str]] = []
    for number, name, data in events(client, job, last_id):
        if name == "preview":
            assert set(data) == {"layer", "url"}
            found.append((number, int(str(data["layer"])), str(data["url"])))
        if len(found) == count:
            break
    return found


def step_and_layer(answer: httpx.Response) -> tuple[int, int]:
    assert answer.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(answer.content)) as picture:
        assert (picture.mode, picture.size) == ("RGBA", (4, 3))
        red, green, _, _ = picture.getpixel((0, 0))  # type: ignore[misc]
    return int(red), int(green)


def test_a_running_job_shows_its_layers(client: httpx.Client, job: str) -> None:
    shown = previews(client, job, 3 * LAYERS)
    assert {layer for _, layer, _ in shown} == set(range(1, LAYERS + 1))
    assert [number for number, _, _ in shown] == sorted({number for number, _, _ in shown})
    assert len({url for _, _, url in shown}) == 3 * LAYERS, "an address never names two pictures"
    for _, layer, url in shown[-LAYERS:]:
        answer = client.get(url)
        assert answer.headers["cache-control"] == "no-store"
        assert step_and_layer(answer)[1] == layer
    client.delete(job)


def test_who_comes_later_gets_the_newest_at_once(client: httpx.Client, job: str) -> None:
    first = previews(client, job, 4 * LAYERS)
    again = previews(client, job, LAYERS)
    assert {layer for _, layer, _ in again} == set(range(1, LAYERS + 1))
    assert min(number for number, _, _ in again) > first[-LAYERS - 1][0], "only the newest of a layer is replayed"
    missed = previews(client, job, LAYERS, last_id=again[-1][0])
    assert min(number for number, _, _ in missed) > again[-1][0]
    client.delete(job)


@pytest.mark.parametrize("ending", ["succeeded", "canceled"])
def test_previews_go_with_the_run(client: httpx.Client, job: str, go: Path, ending: str) -> None:
    ((_, _, url),) = previews(client, job, 1)
    assert client.get(url).status_code == 200
    assert "preview" not in str(client.get(job).json())
    if ending == "canceled":
        client.delete(job)
    else:
        go.touch()
    wait_for(client, job, ending)
    gone = client.get(url)
    assert (gone.status_code, gone.json()["code"]) == (404, "not_found")
    assert "preview" not in {name for _, name, _ in events(client, job)}


def test_an_address_of_no_preview_says_so(client: httpx.Client, job: str) -> None:
    assert client.get("/api/jobs/nothing/previews/1.png").status_code == 404
    assert client.get(f"{job}/previews/11.png").status_code == 404
    for layer in ("0", "-1", "x", "9" * 5000):
        assert client.get(f"{job}/previews/{layer}.png").status_code == 422
    client.delete(job)


@pytest.mark.slow
def test_previews_can_be_turned_off(start_service: Callable[..., Service]) -> None:
    service = start_service(app="tests.kit.app:app", environment={"LLM_DIT_SERVER__PREVIEWS": "false"})
    (service.folder / "go").touch()
    with service.connect() as client:
        followed = [name for _, name, _ in events(client, start(client, "show"))]
    assert followed[-1] == "succeeded"
    assert "preview" not in followed
