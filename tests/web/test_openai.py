"""OpenAI's API for editing pictures, by the clients that people have."""

import base64
import http.client
import io
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from PIL import Image, ImageChops

from llm_dit.layer import Layer
from llm_dit.layers import composite
from tests.kit.forks import ROOT
from tests.kit.jobs import start
from tests.kit.pictures import as_data_url, disc, png, square
from tests.kit.service import Service
from tests.kit.waiting import PATIENCE_S, wait_until

if TYPE_CHECKING:  # every process that collects tests would take a second to import it
    from openai import OpenAI

BLUE = "make it blue"


def client_of(url: str, **more: object) -> "OpenAI":
    from openai import OpenAI

    return OpenAI(base_url=f"{url}/v1", api_key="none", timeout=PATIENCE_S, **{"max_retries": 0, **more})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def classical(base_url: str) -> Iterator["OpenAI"]:
    with client_of(base_url) as client:
        yield client


@pytest.fixture
def stepping(stepping_service: Service) -> Iterator["OpenAI"]:
    with client_of(stepping_service.url) as client:
        yield client


def picture(data: object) -> Image.Image:
    image = Image.open(io.BytesIO(base64.b64decode(str(getattr(data, "b64_json", data)))))
    image.load()
    return image


def alpha(image: Image.Image) -> bytes:
    return image.convert("RGBA").getchannel("A").tobytes()


def test_an_edit_keeps_size_and_alpha(classical: "OpenAI") -> None:
    # A file, a list of one file, and bytes without a name or a type of their own.
    for image in (("x.png", png(disc())), [("x.png", png(disc()), "image/png")], png(disc())):
        answer = classical.images.edit(image=image, prompt=BLUE, model="gpt-image-1", quality="high", user="u")  # type: ignore[arg-type]
        assert answer.data is not None
        assert answer.size == f"{disc().width}x{disc().height}"
        assert (answer.background, answer.output_format) == ("transparent", "png")
        edited = picture(answer.data[0])
        assert edited.size == disc().size
        assert alpha(edited) == alpha(disc())
        assert edited.tobytes() != disc().tobytes()
        assert answer.warnings == []  # type: ignore[attr-defined]


def test_layers_come_bottom_first_without_the_composite(classical: "OpenAI") -> None:
    answer = classical.images.edit(image=png(disc()), prompt="", extra_body={"layers": 3})
    assert answer.data is not None
    layers = [Layer(image=picture(data)) for data in answer.data]
    assert len(layers) == 3
    assert [layer["index"] for layer in answer.layers] == [1, 2, 3]  # type: ignore[attr-defined]
    whole = composite(layers, *disc().size)
    difference = ImageChops.difference(whole.convert("RGBa"), disc().convert("RGBa"))
    assert max(difference.tobytes()) <= 1
    for name in ("num_layers", "num_frames"):
        again = classical.images.edit(image=png(disc()), prompt="", extra_body={name: 2})
        assert again.data is not None and len(again.data) == 2
    # As vLLM-Omni's clients send it, whose field is unknown here.
    more = classical.images.edit(image=png(disc()), prompt="", extra_body={"layers": 2, "bot_task": "x"})
    assert more.warnings == ["Fields that this service does not know were ignored: bot_task."]  # type: ignore[attr-defined]


def test_the_file_that_comes_back_is_the_one_that_was_asked_for(classical: "OpenAI") -> None:
    def file(**how: object) -> Image.Image:
        answer = classical.images.edit(image=png(disc()), prompt=BLUE, **how)  # type: ignore[call-overload]
        return picture(answer.data[0])

    jpeg = file(output_format="jpeg")
    assert (jpeg.format, jpeg.mode, jpeg.getpixel((0, 0))) == ("JPEG", "RGB", (255, 255, 255))
    webp = file(output_format="webp", size="20x10")
    assert (webp.format, webp.size, webp.mode) == ("WEBP", (20, 10), "RGBA")
    assert set(alpha(file(background="opaque"))) == {255}
    assert file(output_format="jpg").format == "JPEG"
    sized = classical.images.edit(image=png(disc()), prompt=BLUE, response_format="url", size="64x32")
    assert sized.data is not None and sized.data[0].url is not None
    assert Image.open(io.BytesIO(httpx.get(sized.data[0].url).content)).size == (64, 32)
    asked = classical.images.edit(image=png(disc()), prompt=BLUE, response_format="url")
    assert asked.data is not None and asked.data[0].url is not None
    found = Image.open(io.BytesIO(httpx.get(asked.data[0].url).content))
    assert alpha(found) == alpha(disc())
    # The address of a result is a picture to go on from; nothing is fetched from elsewhere.
    base = str(classical.base_url)
    own = {"url": asked.data[0].url, "prompt": "flip it"}
    assert (
        httpx.post(f"{base}images/edits", files={name: (None, text) for name, text in own.items()}).status_code == 200
    )


def test_a_mask_is_transparent_where_the_picture_may_change(classical: "OpenAI") -> None:
    mask = Image.new("RGBA", square().size, "black")
    mask.paste((0, 0, 0, 0), (0, 0, square().width // 2, square().height))
    answer = classical.images.edit(image=png(square()), mask=png(mask), prompt="make it red")
    assert answer.data is not None
    edited, before = picture(answer.data[0]), square().convert("RGBA")
    right = (square().width // 2, 0, *square().size)
    assert edited.crop(right).tobytes() == before.crop(right).tobytes()
    assert edited.getpixel((2, 2)) != before.getpixel((2, 2))


def test_several_edits_have_seeds_of_their_own(stepping: "OpenAI") -> None:
    answer = stepping.images.edit(image=png(square()), prompt="x", n=3, extra_body={"seed": 5})
    assert answer.data is not None
    assert [picture(data).getpixel((0, 0))[0] for data in answer.data] == [5, 6, 7]  # type: ignore[index]


def test_a_stream_ends_with_the_result(classical: "OpenAI", stepping: "OpenAI") -> None:
    import openai

    events = list(classical.images.edit(image=png(disc()), prompt=BLUE, stream=True, partial_images=2))
    assert [event.type for event in events] == ["image_edit.completed"]
    assert alpha(picture(events[0])) == alpha(disc())
    layers = list(classical.images.edit(image=png(disc()), prompt="", stream=True, extra_body={"layers": 2}))
    assert [event.layer for event in layers] == [1, 2]  # type: ignore[union-attr]
    with pytest.raises(openai.APIError, match="docs/instructions"):
        list(classical.images.edit(image=png(disc()), prompt="frobnicate", stream=True))
    assert list(stepping.images.edit(image=png(square()), prompt="x", stream=True, extra_body={"seed": 3}))


@pytest.mark.parametrize(
    ("param", "fields"),
    [
        ("n", {"n": 0}),
        ("n", {"n": 2, "extra_body": {"layers": 2}}),
        ("prompt", {"prompt": ""}),
        ("size", {"size": "3"}),
        ("size", {"size": "9000x9000"}),
        ("seed", {"extra_body": {"seed": -1}}),
        ("layers", {"extra_body": {"layers": 11}}),
        ("svg", {"extra_body": {"svg": "x"}}),
        ("output_format", {"output_format": "gif"}),
        ("response_format", {"response_format": "url", "output_format": "webp"}),
        ("image", {"image": b"nonsense"}),
        ("image", {"image": [png(square()), png(square())], "extra_body": {"layers": 2}}),
        ("mask", {"mask": png(Image.new("RGBA", (3, 3)))}),
        ("image", {"extra_body": {"url": "http://127.0.0.1:1/x.png"}}),
    ],
)
def test_what_is_wrong_is_named(classical: "OpenAI", param: str, fields: dict[str, object]) -> None:
    import openai

    with pytest.raises(openai.UnprocessableEntityError) as raised:
        classical.images.edit(**{"image": png(square()), "prompt": BLUE, **fields})  # type: ignore[call-overload]
    assert raised.value.param in {param, f"region.{param}"}
    assert raised.value.type == "invalid_request_error"
    assert raised.value.response.headers["content-type"] == "application/json"


def test_models_are_those_that_run(classical: "OpenAI") -> None:
    import openai

    assert [model.id for model in classical.models.list()] == ["classical"]
    assert classical.images.edit(image=png(disc()), prompt=BLUE, model="classical").data
    with pytest.raises(openai.NotFoundError) as raised:
        classical.images.edit(image=png(disc()), prompt=BLUE, model="qwen-image-edit")
    assert raised.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError, match="images/edits"):
        classical.images.generate(prompt="a cat")


def test_open_webui_and_curl_are_understood(base_url: str) -> None:
    forms = [
        [("model", (None, "")), ("prompt", (None, BLUE)), ("response_format", (None, "b64_json"))],
        [("prompt", (None, BLUE)), ("n", (None, "1")), ("size", (None, "")), ("background", (None, "auto"))],
    ]
    for form in forms:
        sent = httpx.post(
            f"{base_url}/v1/images/edits?api-version=1",
            files=[*form, ("image[]", ("0f.png", png(disc()), "image/png"))],  # type: ignore[list-item]
            headers={"Authorization": "Bearer x", "X-OpenWebUI-User-Name": "Ann"},
            timeout=PATIENCE_S,
        )
        assert sent.status_code == 200, sent.text
        assert "url" not in sent.json()["data"][0]
        assert alpha(picture(sent.json()["data"][0]["b64_json"])) == alpha(disc())
    text = httpx.post(
        f"{base_url}/v1/images/edits",
        files={"prompt": (None, BLUE), "image": (None, as_data_url(png(disc())))},
        timeout=PATIENCE_S,
    )
    assert text.status_code == 200, text.text


VLLM_OMNI = """
curl -X POST "http://localhost:8000/v1/images/edits" \\
  -F "model=xxx" \\
  -F "image=@./xx.png" \\
  -F "prompt='this bear is wearing sportwear. holding a basketball, and bending one leg.'" \\
  -F "size=1024x1024" \\
  -F "output_format=png"
"""
"""The call in vLLM-Omni's docs/serving/image_edit_api.md, without the pipes to grep and jq."""
SGLANG = """
curl -sS -X POST "http://localhost:30010/v1/images/edits" \\
  -H "Authorization: Bearer sk-proj-1234567890" \\
  -F "image=@local_input_image.png" \\
  -F "url=image_url.jpg" \\
  -F "prompt=A calico cat playing a piano on stage" \\
  -F "size=1024x1024" \\
  -F "response_format={form}"
"""
"""The calls in SGLang's docs/diffusion/api/openai_api.md; `image_url.jpg` stands for an address of a second picture."""


def curl(call: str, url: str, folder: Path) -> dict[str, object]:
    """Make a call of a documentation to this service, in a folder with the pictures that it names."""
    for name in ("xx.png", "local_input_image.png"):
        (folder / name).write_bytes(png(square()))
    command = re.sub(r"http://localhost:\d+", url, call.strip())
    run = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


def test_calls_that_the_docs_of_other_servers_show(stepping_service: Service, tmp_path: Path) -> None:
    url = stepping_service.url
    made = curl(VLLM_OMNI, url, tmp_path)
    assert picture(made["data"][0]["b64_json"]).size == (1024, 1024)  # type: ignore[index]
    # A name that is the address of nothing is refused there, too.
    refused = curl(SGLANG.format(form="b64_json"), url, tmp_path)["error"]
    assert (refused["type"], refused["param"]) == ("invalid_request_error", "image")  # type: ignore[index]
    one = SGLANG.replace('  -F "url=image_url.jpg" \\\n', "")
    assert one != SGLANG
    made = curl(one.format(form="b64_json"), url, tmp_path)
    assert picture(made["data"][0]["b64_json"]).size == (1024, 1024)  # type: ignore[index]
    made = curl(one.format(form="url"), url, tmp_path)
    assert Image.open(io.BytesIO(httpx.get(made["data"][0]["url"]).content)).size == (1024, 1024)  # type: ignore[index]


def test_pictures_elsewhere_are_not_fetched(classical: "OpenAI") -> None:
    import openai

    # As vLLM-Omni's documentation has it.
    with pytest.raises(openai.UnprocessableEntityError, match="Nothing is fetched") as raised:
        classical.images.edit(
            image=[],
            model="Qwen-Image-Edit-2511",
            prompt="Change the bears in the two input images into walking together.",
            size="512x512",
            stream=False,
            output_format="jpeg",
            extra_body={"url": ["http://127.0.0.1:9/bear.png"] * 2, "num_inference_steps": 50, "seed": 777},
        )
    assert raised.value.param == "image"


def test_hugging_faces_client_edits(base_url: str) -> None:
    from huggingface_hub import InferenceClient

    client = InferenceClient(model=f"{base_url}/v1/hf/image-to-image")
    edited = client.image_to_image(png(disc()), prompt=BLUE)
    assert alpha(edited) == alpha(disc())
    assert edited.convert("RGBA").tobytes() != disc().convert("RGBA").tobytes()


def test_what_is_wrong_in_hugging_faces_words_is_named(base_url: str) -> None:
    for parameters, param in [
        ({"target_size": {"width": 100_000, "height": 1}}, "size"),
        ({"seed": -1}, "seed"),
        ({"num_inference_steps": 0}, "steps"),
    ]:
        body = {"inputs": as_data_url(png(disc())), "parameters": {"prompt": BLUE, **parameters}}
        answer = httpx.post(f"{base_url}/v1/hf/image-to-image", json=body, timeout=PATIENCE_S)
        assert (answer.status_code, answer.json()["error"]["param"]) == (422, param), answer.text


def test_the_client_of_node_edits(base_url: str, tmp_path: Path) -> None:
    node = shutil.which("node")
    assert node, "Node is needed: make node"
    (tmp_path / "disc.png").write_bytes(png(disc()))
    library = (ROOT / "node_modules/openai/index.mjs").as_uri()
    program = f"""
        import fs from "node:fs";
        import OpenAI, {{ toFile }} from "{library}";
        const client = new OpenAI({{ apiKey: "x", baseURL: "{base_url}/v1", maxRetries: 0 }});
        const image = await toFile(fs.createReadStream("disc.png"), null, {{ type: "image/png" }});
        const answer = await client.images.edit({{ image, prompt: "{BLUE}" }});
        process.stdout.write(answer.data[0].b64_json);
    """
    run = subprocess.run(
        [node, "--input-type=module", "-e", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert alpha(picture(run.stdout)) == alpha(disc())


def test_a_retry_gets_the_run_that_the_first_try_began(stepping_service: Service, go: Path) -> None:
    def jobs() -> list[dict[str, object]]:
        return [job for job in stepping_service.get("/api/jobs").json()["jobs"] if job["status"] == "processing"]

    form = {"prompt": (None, "wait"), "image": ("x.png", png(square()))}
    address = f"{stepping_service.url}/v1/images/edits"

    def send(count: int) -> httpx.Response:
        return httpx.post(
            address,
            files=form,
            headers={"x-stainless-retry-count": str(count)},
            timeout=PATIENCE_S,  # type: ignore[arg-type]
        )

    before = len(stepping_service.get("/api/jobs").json()["jobs"])
    first = httpx.Request("POST", address, files=form)  # type: ignore[arg-type]
    connection = http.client.HTTPConnection(first.url.host, first.url.port)
    headers = {"Content-Type": first.headers["content-type"], "x-stainless-retry-count": "0"}
    connection.request("POST", first.url.path, first.read(), headers)
    wait_until(lambda: len(jobs()) == 1, "the first try to run")
    connection.close()
    with ThreadPoolExecutor(2) as pool:
        tries = [pool.submit(send, count) for count in (1, 2)]
        go.touch()
        seeds = {each.result().json()["seed"] for each in tries}
    assert len(seeds) == 1
    assert len(stepping_service.get("/api/jobs").json()["jobs"]) == before + 1


def test_a_wrong_key_is_told_as_one(start_service: Callable[..., Service]) -> None:
    import openai

    key = "the-key-of-this-service"
    service = start_service(environment={"LLM_DIT_SERVER__TOKEN": key})
    with client_of(service.url, max_retries=2) as client:
        with pytest.raises(openai.AuthenticationError) as raised:
            client.images.edit(image=png(disc()), prompt=BLUE)
        assert (raised.value.code, raised.value.type) == ("wrong_token", "authentication_error")
        assert client.with_options(api_key=key).images.edit(image=png(disc()), prompt=BLUE).data


def test_a_full_queue_is_a_limit_that_the_client_waits_for(
    start_service: Callable[..., Service], caplog: pytest.LogCaptureFixture
) -> None:
    import openai

    service = start_service(app="tests.kit.app:app", environment={"LLM_DIT_SERVER__MAX_QUEUE": "1"})
    with service.connect() as jobs, client_of(service.url) as client:
        start(jobs, "wait")
        start(jobs)
        with pytest.raises(openai.RateLimitError) as raised:
            client.images.edit(image=png(square()), prompt="x")
        assert (raised.value.code, raised.value.type) == ("queue_full", "rate_limit_error")
        assert int(raised.value.response.headers["retry-after"]) >= 1
        caplog.set_level("INFO", "openai")
        with ThreadPoolExecutor(1) as pool:
            again = pool.submit(client.with_options(max_retries=3).images.edit, image=png(square()), prompt="x")
            wait_until(lambda: "Retrying" in caplog.text, "the client to be refused")
            (service.folder / "go").touch()
            assert again.result().data
    # The client waits as long as the service says, not for the second that it would wait otherwise.
    waits = [float(wait) for wait in re.findall(r"Retrying request in ([0-9.]+) seconds", caplog.text)]
    assert waits and all(wait.is_integer() for wait in waits)


def test_what_another_try_does_not_change_is_not_tried_again(stepping_service: Service) -> None:
    import openai

    def listed() -> set[str]:
        return {job["id"] for job in stepping_service.get("/api/jobs").json()["jobs"]}

    before = listed()  # by their ids: the list has a greatest length, which other tests may have reached
    with client_of(stepping_service.url, max_retries=2) as client:
        with pytest.raises(openai.InternalServerError) as failed:
            client.images.edit(image=png(square()), prompt="raise")
        with ThreadPoolExecutor(1) as pool, stepping_service.connect() as jobs:
            waiting = pool.submit(client.images.edit, image=png(square()), prompt="wait")
            wait_until(lambda: len(listed() - before) == 2, "the run")
            jobs.delete(f"/api/jobs/{jobs.get('/api/jobs').json()['jobs'][0]['id']}")
            with pytest.raises(openai.ConflictError) as canceled:
                waiting.result()
    for raised in (failed, canceled):
        assert raised.value.response.headers["x-should-retry"] == "false"
    assert len(listed() - before) == 2


def test_bodies_that_are_no_form_are_refused(base_url: str) -> None:
    address = f"{base_url}/v1/images/edits"
    form = "multipart/form-data; boundary=x"
    part = b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    for content, media_type, status in [
        (b"{}", "application/json", 415),
        (b"", form, 400),
        (b"nonsense", form, 400),
        (b"x", "multipart/form-data", 400),
        (part % (b"prompt", b"x"), form, 400),  # no end
        (part % (b"a b", b"x") + b"--x--\r\n", form, 400),
        (part % (b"prompt", b"x" * 20_000) + b"--x--\r\n", form, 422),
        (part % (b"a", b"x") * 200 + b"--x--\r\n", form, 422),
        (part % (b"prompt", b"x") + b"--x--\r\n", form, 422),  # no picture
    ]:
        answer = httpx.post(address, content=content, headers={"Content-Type": media_type})
        assert (answer.status_code, answer.json()["status"]) == (status, status), (content[:80], answer.text)
    foreign = httpx.post(address, files={"image": png(disc())}, headers={"Origin": "https://evil.example"})
    assert foreign.status_code == 403
    large = httpx.post(address, files={"image": b"x" * (33 << 20), "prompt": b"x"}, timeout=PATIENCE_S)
    assert large.status_code == 413, large.text
