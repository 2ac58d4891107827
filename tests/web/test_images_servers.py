"""A service whose engine is a server of vLLM-Omni or SGLang Diffusion, which `tests.kit.images_server` plays."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx
import pytest
from PIL import Image

from llm_dit.errors import EngineError, ServiceError
from llm_dit.pipelines.openai_images import OpenAIImagesPipeline
from server.engines import choose_engine
from server.settings import load_settings
from tests.kit.images_server import EDIT, LAYERED, ImagesServer, serve_images
from tests.kit.jobs import events, start, wait_for
from tests.kit.pictures import DISC_URL, SQUARE_URL, as_data_url, difference, disc, from_data_url, png, square
from tests.kit.service import QUARTER_IMAGES, Service, serve
from tests.kit.waiting import wait_until

DECOMPOSE, EDIT_LAYER = "/api/qwen-image/decompose", "/api/qwen-image/edit-layer"


@dataclass
class Setting:
    front: Service
    layered: ImagesServer
    edit: ImagesServer


def environment(url: str, edit_url: str = "", **more: str) -> dict[str, str]:
    addresses = {"LLM_DIT_REMOTE__URL": url, "LLM_DIT_REMOTE__EDIT_URL": edit_url}
    return {"LLM_DIT_ENGINE": "remote", **addresses, **more}


@pytest.fixture(scope="module", params=["vllm-omni", "sglang"])
def setting(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    """A service with a server for layers and one for edits."""
    with contextlib.ExitStack() as stack:
        layered = stack.enter_context(serve_images(request.param, LAYERED))
        edit = stack.enter_context(serve_images(request.param, EDIT))
        folder = tmp_path_factory.mktemp("front")
        settings = environment(f"{layered.url}/v1", edit.url, **QUARTER_IMAGES)
        front = stack.enter_context(serve(folder, app="tests.kit.app:app", environment=settings))
        yield Setting(front, layered, edit)


@pytest.fixture
def client(setting: Setting) -> Iterator[httpx.Client]:
    with setting.front.connect() as client:
        yield client


def test_layers_are_made_by_one_and_edits_by_the_other(client: httpx.Client, setting: Setting) -> None:
    body = {"image": SQUARE_URL, "layer_num": 3, "seed": 7, "steps": 5, "cfg_scale": 2.5}
    made = client.post(DECOMPOSE, json=body).json()
    assert (made["layer_count"], made["seed"], made["engine"]) == (3, 7, "remote")
    assert (made["width"], made["height"]) == (640, 640)
    assert made["recipe"]["model"] == LAYERED
    drawn = [from_data_url(layer["image"]) for layer in made["layers"][1:]]
    assert drawn[0].getpixel((5, 5)) == (20, 120, 220, 255)
    assert [layer.getpixel((20 * n + 5, 50)) for n, layer in enumerate(drawn[1:], start=1)] == [
        (1, 254, 0, 255),
        (2, 253, 0, 255),
    ]
    sent = setting.layered.forms[-1]
    assert (sent["seed"], sent["steps"], sent["scale"], sent["prompt"]) == (7, 5, 2.5, " ")
    assert sent.get("layers", sent.get("num_frames")) == 3

    edited = client.post(EDIT_LAYER, json={"image": DISC_URL, "instruction": "make it blue", "seed": 3}).json()
    image = from_data_url(edited["image"])
    assert image.getchannel("A").tobytes() == disc().getchannel("A").tobytes()
    red, _, blue, _ = image.getpixel((24, 24))  # type: ignore[misc]
    assert blue > 150 > 60 > red
    sent = setting.edit.forms[-1]
    assert sent["images"][0].mode == "RGB", "the layer on a ground that differs from it"
    assert (sent["prompt"], sent["seed"], sent["size"]) == ("make it blue", 3, "1024x1024")


def test_layers_are_restored_at_the_pictures_size(client: httpx.Client, setting: Setting) -> None:
    made = client.post(DECOMPOSE, json={"image": SQUARE_URL, "layer_num": 2, "output_size": "original"}).json()
    whole = from_data_url(made["layers"][0]["image"])
    assert whole.size == (48, 48)
    assert difference(whole, from_data_url(SQUARE_URL)) <= 1


def test_a_region_and_references_are_sent_as_pictures(client: httpx.Client, setting: Setting) -> None:
    mask = Image.new("L", disc().size)
    mask.paste(255, (0, 0, 24, 48))
    body = {"image": DISC_URL, "instruction": "like Picture 2", "references": [SQUARE_URL]}
    edited = client.post(EDIT_LAYER, json=body | {"region": {"mask": as_data_url(png(mask))}})
    assert edited.status_code == 200, edited.text
    image = from_data_url(edited.json()["image"])
    right = (24, 0, 48, 48)
    assert image.crop(right).tobytes() == disc().crop(right).tobytes()
    assert image.tobytes() != disc().tobytes()
    assert len(setting.edit.forms[-1]["images"]) == 2


def test_nothing_is_known_of_a_run_until_it_ends(client: httpx.Client, setting: Setting) -> None:
    assert client.get("/api/qwen-image/config").json()["capabilities"]["reports_steps"] is False
    job = start(client, "hold", layer_num=2)
    wait_until(lambda: client.get(job).json()["phase"] == "denoising", "the run")
    assert client.get(job).json()["total"] == 0
    assert client.delete(job).json()["status"] == "canceled"
    assert setting.layered.left.wait(60), "the connection is closed"
    setting.layered.go.set()
    assert list(events(client, job))[-1][1] == "canceled"
    assert client.get("/readyz").json()["status"] == "ready"


@pytest.mark.parametrize("prompt", ["oom", "crash"])
def test_what_fails_there_is_named_and_not_quoted(client: httpx.Client, setting: Setting, prompt: str) -> None:
    answer = client.post(DECOMPOSE, json={"image": SQUARE_URL, "prompt": prompt, "layer_num": 2})
    # SGLang says nothing about what failed.
    oom = prompt == "oom" and setting.layered.kind == "vllm-omni"
    assert (answer.status_code, answer.json()["code"]) == (503, "out_of_memory" if oom else "service_failed")
    assert "secret" not in answer.text


def test_a_server_that_is_busy_is_asked_again(client: httpx.Client, setting: Setting) -> None:
    setting.layered.refused = False
    job = start(client, "busy", layer_num=2)
    wait_for(client, job, "succeeded")
    assert [form["prompt"] for form in setting.layered.forms[-2:]] == ["busy", "busy"]


def test_what_such_a_server_lacks_is_refused_by_name(client: httpx.Client, setting: Setting) -> None:
    omni = setting.layered.kind == "vllm-omni"
    for body, param in [
        ({"layer_num": 1}, "layer_num" if omni else None),
        ({"layer_num": 2, "resolution": 1024}, None if omni else "resolution"),
        ({"layer_num": 2, "speed": "fast"}, "speed"),
        ({"layer_num": 2, "loras": ["style"]}, "loras"),
        ({"layer_num": 2, "regions": [{"box": [0, 0, 9, 9], "name": "Hat"}]}, "regions"),
    ]:
        answer = client.post(DECOMPOSE, json={"image": SQUARE_URL, **body})
        told = (answer.status_code, answer.json().get("error", {}).get("param"))
        assert told == ((422, param) if param else (200, None)), answer.text


def test_another_model_than_at_the_start_is_named(client: httpx.Client, setting: Setting) -> None:
    setting.edit.model = "another"
    try:
        answer = client.post(EDIT_LAYER, json={"image": DISC_URL, "instruction": "make it blue"})
    finally:
        setting.edit.model = EDIT
    if setting.edit.kind == "sglang":
        assert answer.status_code == 200, "it heeds no name"
        return
    assert (answer.status_code, answer.json()["code"]) == (503, "service_failed")
    assert "restart" in answer.json()["detail"]


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a server that is not ready be given up soon."""
    monkeypatch.setattr("server.engines.REMOTE_START_S", 0.2)


def choose(url: str, edit_url: str = "", **more: str) -> object:
    return choose_engine(load_settings(environment=environment(url, edit_url, **more)))


def test_one_server_does_what_its_model_is_for(start_service: Callable[..., Service], soon: None) -> None:
    with serve_images("vllm-omni", EDIT, key="k" * 16) as edit, serve_images("sglang", LAYERED) as layered:
        with pytest.raises(EngineError, match="key"):
            choose(edit.url)
        key = {"LLM_DIT_REMOTE__TOKEN": edit.key}
        engine = choose_engine(load_settings(environment=environment(edit.url, **key)))
        assert (engine.edit_model_path, engine.references, engine.reports_steps) == (EDIT, 3, False)
        assert choose_engine(load_settings(environment=environment(layered.url))).references == 0
        by_itself = load_settings(environment={"LLM_DIT_REMOTE__EDIT_URL": edit.url, **key})
        assert choose_engine(by_itself).name == "remote"
        edit.ready = False
        with pytest.raises(EngineError, match="not ready"):
            choose(edit.url, **key)
        front = start_service(environment=environment(layered.url))
        answer = front.post(EDIT_LAYER, json={"image": DISC_URL, "instruction": "make it blue"})
        assert (answer.status_code, answer.json()["code"]) == (503, "engine_unavailable")
        assert "edit_url" in answer.json()["detail"]


def test_two_addresses_are_of_servers_of_one_model(base_url: str) -> None:
    with serve_images("vllm-omni", LAYERED) as layered:
        with pytest.raises(EngineError, match="leave edit_url out"):
            choose(layered.url, base_url)
        with pytest.raises(EngineError, match="set it as url"):
            choose("", layered.url)


@pytest.fixture(params=["vllm-omni", "sglang"])
def layered(request: pytest.FixtureRequest) -> Iterator[ImagesServer]:
    with serve_images(request.param, LAYERED) as server:
        yield server


def test_a_run_that_takes_too_long_or_breaks_off_is_told(layered: ImagesServer) -> None:
    pipeline = OpenAIImagesPipeline(layered.url, timeout_s=0.2)
    with pytest.raises(ServiceError, match="not answered within"):
        pipeline.decompose(square(), "hold")
    with pytest.raises(ServiceError, match="broke the connection"):
        OpenAIImagesPipeline(layered.url).decompose(square(), "break")


def test_the_number_of_layers_may_be_left_to_the_engine(layered: ImagesServer) -> None:
    made = OpenAIImagesPipeline(layered.url).decompose(square(), layer_num="auto")
    assert layered.forms[-1].get("layers", layered.forms[-1].get("num_frames")) == 6
    assert 2 <= len(made.names) == len(made) < 7


def test_an_answer_without_the_pictures_is_told(layered: ImagesServer) -> None:
    pipeline = OpenAIImagesPipeline(layered.url)
    with pytest.raises(ServiceError, match="1 pictures instead of 3"):
        pipeline.decompose(square(), "one", layer_num=3)
    with pytest.raises(ServiceError, match="no pictures that can be read"):
        pipeline.decompose(square(), "nonsense", layer_num=2)
