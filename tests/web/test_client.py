"""The client of the Python API, against a real service."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from llm_dit import (
    AsyncClient,
    Canceled,
    ClassicalPipeline,
    Client,
    Group,
    InputError,
    InstructionError,
    Layer,
    LLMDiTError,
    NamedBox,
    Progress,
    ServiceError,
    composite,
)
from llm_dit.imports.layers import read_layers
from tests.kit.pictures import disc, square
from tests.kit.proxy import proxied
from tests.kit.service import Service
from tests.kit.waiting import wait_until


@pytest.fixture(scope="module")
def classical(base_url: str) -> Iterator[Client]:
    with Client(base_url) as client:
        yield client


@pytest.fixture
def stepping(stepping_service: Service) -> Iterator[Client]:
    with Client(stepping_service.url) as client:
        yield client


def test_a_service_makes_what_its_pipeline_makes(classical: Client) -> None:
    pipeline = ClassicalPipeline()
    box = NamedBox(box=(2, 2, 30, 30), name="Thing")
    for more in ({}, {"regions": [box]}):
        options = {"layer_num": 3, "output_size": "original", "seed": 4, **more}
        here, there = pipeline.decompose(disc(), **options), classical.decompose(disc(), **options)  # type: ignore[arg-type]
        assert [layer.tobytes() for layer in there] == [layer.tobytes() for layer in here]
        assert (there.names, there.seed, there.prompt) == (here.names, here.seed, here.prompt)
        assert there.score == here.score
    mask = Image.new("L", disc().size)
    mask.paste(255, (20, 20, 30, 30))
    for region in (None, (20, 20, 30, 30), mask):
        edited = classical.edit_layer(disc(), "make it blue", region=region)
        assert edited.tobytes() == pipeline.edit_layer(disc(), "make it blue", region=region).tobytes()


def test_stacks_are_put_together_and_written(classical: Client, tmp_path: Path) -> None:
    layers = [
        Layer(image=square(), name="Ground"),
        Layer(image=disc(), name="Disc", x=5, opacity=0.5, blend="multiply", group="Things"),
    ]
    groups = {"Things": Group(opacity=0.5)}
    whole = classical.composite(layers, groups=groups)
    assert whole.tobytes() == composite(layers, groups=groups).tobytes()
    on_red = classical.composite(layers, 20, 10, background="#ff0000")
    assert (on_red.size, on_red.getpixel((19, 9))[3]) == ((20, 10), 255)  # type: ignore[index]
    classical.export(layers, tmp_path / "stack.ora", groups=groups)
    with (tmp_path / "stack.ora").open("rb") as file:
        found = [(layer.name, layer.group) for layer in read_layers(file).layers]
    assert found == [("Ground", ""), ("Disc", "Things")]
    with pytest.raises(InputError, match="suffix"):
        classical.export(layers, tmp_path / "stack.xyz")


def test_errors_are_those_of_the_library(classical: Client) -> None:
    with pytest.raises(InputError) as out_of_bounds:
        classical.decompose(disc(), num_inference_steps=0)
    assert out_of_bounds.value.param == "num_inference_steps"
    with pytest.raises(InstructionError) as unknown:
        classical.edit_layer(disc(), "frobnicate")
    assert unknown.value.hint["reason"] == "not_understood"
    with Client("http://127.0.0.1:9", patience_s=0) as nowhere, pytest.raises(ServiceError, match="cannot be reached"):
        nowhere.status()


def test_progress_and_previews_are_heard(stepping: Client, go: Path) -> None:
    steps: list[Progress] = []
    shown: dict[int, Image.Image] = {}

    def on_preview(layer: int, picture: Image.Image) -> None:
        shown[layer] = picture
        if len(shown) == 2:
            go.touch()

    made = stepping.decompose(
        square(), "show", layer_num=2, num_inference_steps=3, progress=steps.append, preview=on_preview
    )
    assert len(made) == 3
    assert steps[-1].total == 3
    assert {picture.size for picture in shown.values()} == {(4, 3)}


def test_a_call_that_is_given_up_cancels_its_job(stepping: Client) -> None:
    def give_up(_: Progress) -> None:
        raise Canceled

    with pytest.raises(Canceled):
        stepping.decompose(square(), "wait", progress=give_up)
    assert stepping.jobs()[0]["status"] == "canceled"


def test_a_job_that_somebody_else_cancels_ends_the_call(stepping: Client) -> None:
    def cancel() -> None:
        wait_until(lambda: stepping.jobs()[0]["status"] == "processing", "the job to run")
        stepping.cancel(stepping.jobs()[0]["id"])

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(LLMDiTError) as raised:
        stepping.decompose(square(), "wait")
    assert raised.value.code == "canceled"
    thread.join()


def test_a_failed_run_raises(stepping: Client) -> None:
    with pytest.raises(LLMDiTError, match="log") as raised:
        stepping.decompose(square(), "raise")
    assert raised.value.code == "pipeline_failed"


def test_a_service_below_a_path_answers(stepping_service: Service) -> None:
    with proxied(stepping_service.url, "/studio") as address, Client(address) as client:
        assert len(client.decompose(square(), layer_num=1)) == 2


def test_many_calls_share_an_async_client(stepping_service: Service) -> None:
    async def edits() -> list[Image.Image]:
        async with AsyncClient(stepping_service.url) as client:
            calls = (client.edit_layer(square(), "x", seed=seed) for seed in range(4))
            return await asyncio.gather(*calls)

    assert [picture.getpixel((0, 0))[0] for picture in asyncio.run(edits())] == [0, 1, 2, 3]  # type: ignore[index]
