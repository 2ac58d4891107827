"""Layers brought to the picture's own size, beside the engine: followed, canceled, lost, put back."""

import io
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.kit.jobs import events, start, wait_for
from tests.kit.pictures import as_data_url, difference, png
from tests.kit.running import pool_processes_of
from tests.kit.service import Service, serve
from tests.kit.waiting import wait_until

SMALL = {"TEST_PIPELINE": "SmallPipeline"}
ORIGINAL: dict[str, Any] = {"output_size": "original"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("small")
    with serve(folder, app="tests.kit.app:app", environment=SMALL) as running:
        yield running


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    with service.connect() as client:
        yield client


def photo() -> Image.Image:
    values = np.random.default_rng(1).integers(0, 255, (360, 480, 3), np.uint8)
    return Image.fromarray(values)


def held(client: httpx.Client) -> str:
    """Return the address of a picture that the service holds, so that no process of the pool has to decode it."""
    job = start(client, image=as_data_url(png(photo())), output_size="model")
    result: Any = wait_for(client, job, "succeeded")["result"]
    return str(result["layers"][0]["image"])


def stopped(service: Service, client: httpx.Client, image: str, **size: Any) -> tuple[str, int]:
    """Return a job whose layers are being brought to size, and the process that has to, which is stopped."""
    others = set(pool_processes_of(service.process.pid))
    job = start(client, image=image, **(size or ORIGINAL))
    wait_until(lambda: set(pool_processes_of(service.process.pid)) - others, "the process")
    (process,) = set(pool_processes_of(service.process.pid)) - others
    os.kill(process, signal.SIGSTOP)
    assert client.get(job).json()["phase"] == "restoring"
    return job, process


def end_idle(service: Service) -> None:
    """End the processes that rest, so that the next one that is seen is new."""
    for process in pool_processes_of(service.process.pid):
        os.kill(process, signal.SIGKILL)
    wait_until(lambda: not pool_processes_of(service.process.pid), "an empty pool")


def test_layers_come_at_the_pictures_size_and_give_it_back(client: httpx.Client) -> None:
    job = start(client, image=as_data_url(png(photo())), layer_num=2, **ORIGINAL)
    followed = [view for _, name, view in events(client, job) if name in {"progress", "succeeded"}]
    assert followed[-2]["phase"] == "restoring"
    result: Any = followed[-1]["result"]
    assert (result["width"], result["height"]) == photo().size
    layers = [Image.open(io.BytesIO(client.get(layer["image"]).content)) for layer in result["layers"]]
    assert {layer.size for layer in layers} == {photo().size}
    assert difference(layers[0], photo()) <= 1
    assert result["recipe"]["options"]["output_size"] == "original"


def test_the_engine_takes_the_next_run_meanwhile(service: Service, client: httpx.Client) -> None:
    image = held(client)
    end_idle(service)
    first, process = stopped(service, client, image)
    wait_for(client, start(client, image=image), "succeeded")
    assert client.get(first).json()["status"] == "processing"
    os.kill(process, signal.SIGCONT)
    result: Any = wait_for(client, first, "succeeded")["result"]
    assert result["generation_time"] > 0


def test_it_is_canceled_as_part_of_its_job(service: Service, client: httpx.Client) -> None:
    image = held(client)
    end_idle(service)
    job, process = stopped(service, client, image)
    assert client.delete(job).json()["status"] == "canceled"
    wait_until(lambda: process not in pool_processes_of(service.process.pid), "the end of the process")


def test_a_lost_process_fails_its_job_and_no_other(service: Service, client: httpx.Client) -> None:
    image = held(client)
    end_idle(service)
    job, process = stopped(service, client, image)
    os.kill(process, signal.SIGKILL)
    error: Any = wait_for(client, job, "failed")["error"]
    assert error["code"] == "task_lost"
    wait_for(client, start(client, image=image, **ORIGINAL), "succeeded")


def test_the_end_of_the_service_puts_it_back(tmp_path: Path) -> None:
    """Here it is what the configuration asks for."""
    environment = {**SMALL, "LLM_DIT_QWEN_IMAGE__OUTPUT_SIZE": "original"}
    with serve(tmp_path, app="tests.kit.app:app", environment=environment) as service, service.connect() as client:
        assert client.get("/api/qwen-image/config").json()["defaults"]["output_size"] == "original"
        image = held(client)
        end_idle(service)
        job, _ = stopped(service, client, image, seed=4)
    with serve(tmp_path, app="tests.kit.app:app", environment=environment) as service, service.connect() as client:
        result: Any = wait_for(client, job, "succeeded")["result"]
        assert (result["seed"], result["recipe"]["options"]["output_size"]) == (4, "original")
