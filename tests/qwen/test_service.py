"""The Qwen engine through the service: a real server, its real worker process, tiny checkpoints.

All tests share one service, which downloads the edit model for its first edit; they run in this order, before those of
the page (tests/browser/test_qwen.py). That what cannot be loaded is told everywhere is tested without a model
(tests/web/test_faults.py).
"""

import base64
import io
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from llm_dit import Client, Layer, surroundings_of
from llm_dit.images import encode_png
from llm_dit.pipelines.qwen_image_diffusers import QwenImageDiffusersPipeline
from tests.kit.hub import Hub
from tests.kit.pictures import as_data_url, png
from tests.kit.service import Service
from tests.kit.waiting import wait_until
from tests.qwen.test_docs import QUARTER, blocks

ASYNC = {"Prefer": "respond-async"}
EDIT_MODEL = "Qwen/Qwen-Image-Edit-2509"
SHORT = {"prompt": "a house", "layer_num": 1, "steps": 1}
LONG = SHORT | {"layer_num": 10, "resolution": 1024, "steps": 100}
"""The shortest run there is, and about the longest."""
BY_A_CPU = {
    "blocks": "fused",
    "kernels": "torch",
    "attention": "sdpa",
    "why": ["triton, flash-attn-4, cudnn: they need an NVIDIA GPU"],
    "speed": "exact",
    "lossy": [],
    "loras": [],
}


@pytest.fixture
def client(qwen: Service) -> Iterator[httpx.Client]:
    with qwen.connect() as client:
        yield client


@pytest.fixture(scope="module")
def picture_url(picture: Image.Image) -> str:
    return "data:image/png;base64," + base64.b64encode(encode_png(picture)).decode()


def events(client: httpx.Client, job: str) -> list[tuple[str, dict[str, Any]]]:
    """Follow a job to its end and return its events: their names, and the job at each."""
    text = client.get(f"{job}/events").text
    parts = [dict(line.split(": ", 1) for line in block.splitlines() if ": " in line) for block in text.split("\n\n")]
    return [(part["event"], json.loads(part["data"])) for part in parts if "event" in part]


def test_everybody_is_told_which_engine_runs(client: httpx.Client, qwen: Service) -> None:
    ready = client.get("/readyz").json()
    assert (ready["engine"], ready["engine_label"]) == ("qwen", "Qwen-Image · CPU")
    assert 'engine = "qwen"' in ready["reason"]
    status = client.get("/api/qwen-image/status").json()
    assert (status["device"], status["state"], status["error"]) == ("CPU", "ready", None)
    assert "Qwen-Image-Layered" in status["loaded_models"]
    assert status["placement"].startswith("resident: There is no accelerator, so nothing is offloaded. LoRAs (style) ")
    assert "classical" in status["hint"]
    assert "Qwen-Image-Layered is loaded on CPU: resident" in qwen.log
    assert "Qwen-Image-Layered runs: our own denoising loop" in qwen.log
    assert status["forward"] == BY_A_CPU


def test_decompose_reports_its_real_steps(client: httpx.Client, qwen: Service, picture_url: str) -> None:
    fields = {"image": picture_url, "prompt": "a house", "layer_num": 2, "steps": 4, "seed": 3}
    job = client.post("/api/qwen-image/decompose", json=fields, headers=ASYNC).headers["location"]
    heard = events(client, job)
    steps = [job["step"] for name, job in heard if name == "progress" and job["phase"] == "denoising"]
    assert steps and steps == sorted(steps) and set(steps) <= {1, 2, 3, 4}  # pyright: ignore[reportArgumentType]
    assert {job["total"] for name, job in heard if name == "progress"} == {4}
    result = heard[-1][1]["result"]
    assert isinstance(result, dict)
    assert (heard[-1][0], result["engine"], result["layer_count"]) == ("succeeded", "qwen", 2)
    assert (result["seed"], result["prompt"]) == (3, "a house")
    assert (result["width"], result["height"]) == QUARTER
    assert result["forward"] == BY_A_CPU
    assert f"4 steps at {QUARTER[0]} × {QUARTER[1]}: fused blocks, torch kernels, sdpa attention" in qwen.log


def test_a_request_names_loras_of_the_configuration(client: httpx.Client, picture_url: str) -> None:
    config = client.get("/api/qwen-image/config").json()
    assert config["loras"] == {"decompose": [{"name": "style", "weight": 0}], "edit": []}
    assert client.get("/api/qwen-image/status").json()["loras"] == ["style"]
    fields = {"image": picture_url, "prompt": "a house", "layer_num": 1, "steps": 1, "seed": 3}
    plain, styled = (
        client.post("/api/qwen-image/decompose", json=fields | {"loras": loras}).json() for loras in ([], ["style:0.5"])
    )
    assert (plain["forward"]["loras"], styled["forward"]["loras"]) == ([], ["style:0.5"])
    assert plain["layers"][1]["image"] != styled["layers"][1]["image"]
    refused = client.post("/api/qwen-image/decompose", json=fields | {"loras": ["/etc/passwd"]})
    assert (refused.status_code, refused.json()["error"]["param"]) == (422, "loras")


def test_the_first_edit_downloads_and_loads_the_model(
    client: httpx.Client, hub: Hub, picture: Image.Image, picture_url: str
) -> None:
    # The hub holds back most of the weights until the service has told that it waits for them.
    hub.stall_after, hub.faults = 10_000, 1
    fields = {"image": picture_url, "instruction": "make it blue", "steps": 1, "seed": 1}
    job = client.post("/api/qwen-image/edit-layer", json=fields, headers=ASYNC).headers["location"]
    wait_until(lambda: client.get(job).json()["phase"] == "downloading", "the download")
    wait_until(lambda: client.get(job).json()["step"] >= 10_000, "the first bytes")
    about = client.get("/api/qwen-image/edit-status").json()
    assert about == {"available": True, "edit_model_loaded": False, "edit_model_path": EDIT_MODEL, "license": ""}
    assert client.get(job).json()["total"] > client.get(job).json()["step"]
    hub.released.set()
    heard = events(client, job)
    assert [name for name, _ in heard][-1] == "succeeded", heard[-1][1]["error"]
    assert "loading" in {name for name, _ in heard}
    about = client.get("/api/qwen-image/edit-status").json()
    assert about["edit_model_loaded"]
    result = heard[-1][1]["result"]
    assert isinstance(result, dict)
    edited = Image.open(io.BytesIO(client.get(result["image"]).content))
    assert np.array_equal(np.asarray(edited)[..., 3], np.asarray(picture)[..., 3])


def test_what_the_service_makes_is_what_plain_diffusers_makes(
    client: httpx.Client, qwen: Service, checkpoints: Path, picture: Image.Image, picture_url: str
) -> None:
    def close(url: str, wanted: Image.Image) -> bool:
        """Tell whether next to no value differs: the VAE for pictures rounds otherwise than the video model.

        The tiny VAE has two channels; where both are nearly 0, its norms make much of little.
        """
        got = np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))
        return got.shape == (*wanted.size[::-1], 4) and bool((got != np.asarray(wanted)).mean() < 0.001)

    plain = QwenImageDiffusersPipeline.from_pretrained(
        checkpoints / "layered", checkpoints / "edit", device="cpu", fused=False
    )
    fields = {"image": picture_url, "prompt": "a house", "layer_num": 1, "steps": 2, "seed": 5}
    answer = client.post("/api/qwen-image/decompose", json=fields).json()
    layers = plain.decompose(picture, "a house", layer_num=1, num_inference_steps=2, seed=5)
    assert all(close(told["image"], layer) for told, layer in zip(answer["layers"], layers, strict=True))
    fields = {"image": picture_url, "instruction": "make it blue", "steps": 1, "seed": 5}
    answer = client.post("/api/qwen-image/edit-layer", json=fields).json()
    edited = plain.edit_layer(picture, "make it blue", num_inference_steps=1, seed=5)
    assert close(answer["image"], edited)
    like = fields | {"references": [picture_url, picture_url], "region": {"box": [50, 20, 80, 50]}}
    answer = client.post("/api/qwen-image/edit-layer", json=like).json()
    referring = plain.edit_layer(
        picture, "make it blue", references=[picture] * 2, region=(50, 20, 80, 50), num_inference_steps=1, seed=5
    )
    assert close(answer["image"], referring)
    ground = Image.new("RGBA", (200, 150), (200, 40, 30, 255))
    ground_url = as_data_url(png(ground))
    stack = [{"image": ground_url}, {"image": picture_url, "x": 40, "y": 30, "opacity": 0.5}]
    given = fields | {"context": True, "surroundings": {"layers": stack, "index": 1}}
    answer = client.post("/api/qwen-image/edit-layer", json=given).json()
    around = surroundings_of([Layer(image=ground), Layer(image=picture, x=40, y=30)], 1)
    placed = plain.edit_layer(picture, "make it blue", context=True, surroundings=around, num_inference_steps=1, seed=5)
    assert close(answer["image"], placed)
    assert answer["recipe"]["options"]["context"] is True
    assert not close(answer["image"], edited)
    with Client(qwen.url) as elsewhere:
        by_client = elsewhere.edit_layer(
            picture, "make it blue", context=True, surroundings=around, num_inference_steps=1, seed=5
        )
    assert as_data_url(encode_png(by_client)) == answer["image"]
    for wrong, param in (
        ({"context": True, "surroundings": None}, "surroundings"),
        ({"context": False}, "surroundings"),
        ({"context": "yes"}, "context"),
        ({"surroundings": {"layers": stack, "index": 2}}, "surroundings.index"),
        ({"surroundings": {"layers": stack, "index": 0}}, "surroundings.index"),
        ({"surroundings": {"layers": stack}}, "surroundings.index"),
        ({"surroundings": {"layers": [], "index": 0}}, "surroundings.layers"),
        ({"surroundings": {"layers": [stack[1], {"image": "nothing"}], "index": 0}}, "surroundings.layers.1.image"),
    ):
        refused = client.post("/api/qwen-image/edit-layer", json=given | wrong)
        assert (refused.status_code, refused.json()["error"]["param"]) == (422, param), refused.text
    many = client.post("/api/qwen-image/edit-layer", json=like | {"references": [picture_url] * 4})
    assert (many.status_code, many.json()["error"]["param"]) == (422, "references")
    assert "at most 3 references" in many.json()["detail"]
    broken = client.post("/api/qwen-image/edit-layer", json=like | {"references": [picture_url, "nothing"]})
    assert (broken.status_code, broken.json()["error"]["param"]) == (422, "references.1")


def test_a_canceled_run_stops_within_a_step_and_keeps_its_process(
    client: httpx.Client, qwen: Service, picture_url: str
) -> None:
    workers = qwen.worker_pids()
    fields = LONG | {"image": picture_url}
    job = client.post("/api/qwen-image/decompose", json=fields, headers=ASYNC).headers["location"]
    wait_until(lambda: client.get(job).json()["step"] >= 2, "the second step")
    canceled = client.delete(job).json()
    assert (canceled["status"], canceled["error"]["code"]) == ("canceled", "canceled")
    assert canceled["step"] < 100
    assert qwen.worker_pids() == workers
    assert client.post("/api/qwen-image/decompose", json=SHORT | {"image": picture_url}).status_code == 200


def test_the_classical_engine_answers_beside_it_where_it_is_asked_for(
    client: httpx.Client, qwen: Service, picture_url: str
) -> None:
    beside = client.get("/api/qwen-image/config").json()["beside"]
    assert (beside["engine"], beside["label"]) == ("classical", "Classical")
    assert "regions" in beside["capabilities"]["decompose"]
    assert len(qwen.worker_pids()) == 1  # it starts when it is asked for
    fields = LONG | {"image": picture_url}
    job = client.post("/api/qwen-image/decompose", json=fields, headers=ASYNC).headers["location"]
    wait_until(lambda: client.get(job).json()["step"] >= 1, "the first step")
    edit = {"image": picture_url, "instruction": "make it blue", "engine": "classical"}
    short = SHORT | {"image": picture_url}
    edited = client.post("/api/qwen-image/edit-layer", json=edit)
    assert edited.status_code == 200, edited.text
    assert edited.json()["engine"] == "classical"
    assert client.get(job).json()["status"] == "processing"
    assert client.delete(job).json()["status"] == "canceled"
    own = client.post("/api/qwen-image/decompose", json=short | {"engine": "qwen"})
    assert own.json()["engine"] == "qwen"
    boxed = client.post("/api/qwen-image/decompose", json=short | {"regions": [{"box": [1, 1, 9, 9]}]})
    assert (boxed.status_code, boxed.json()["error"]["param"]) == (422, "regions")


def test_the_pages_curl_runs(qwen: Service, picture_url: str, tmp_path: Path) -> None:
    command = next(block for block in blocks("bash") if block.startswith("curl"))
    command = command.replace("http://localhost:8000", qwen.url).replace("data:image/png;base64,...", picture_url)
    assert command.count('"steps": 50') == 1
    command = command.replace('"steps": 50', '"steps": 2')
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    answer = json.loads(done.stdout)
    assert (answer["seed"], answer["width"], answer["height"], answer["engine"]) == (42, 128, 72, "qwen")


def test_what_the_engine_refuses_names_the_field(client: httpx.Client) -> None:
    strip = "data:image/png;base64," + base64.b64encode(encode_png(Image.new("RGB", (900, 100)))).decode()
    answer = client.post("/api/qwen-image/edit-layer", json={"image": strip, "instruction": "make it blue"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, "image")
    assert "at most 8 times" in answer.json()["detail"]
