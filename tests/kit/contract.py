"""What every service answers over HTTP, whatever its engine is and whatever stands in front of it.

Each function takes the base URL of a service and leaves no job behind. `RUNS` are about the engine, which may be any
that understands `INSTRUCTION`; `CONTRACT` is `RUNS` and all that needs no engine. `STEPPING` is for services whose runs
`tests.kit.pipelines.StepPipeline` does.
"""

import base64
import io
from collections.abc import Callable, Sequence

import httpx
import numpy as np
from PIL import Image

from llm_dit.imports.layers import read_layers
from llm_dit.layer import Layer
from llm_dit.layers import composite
from tests.kit.jobs import ASYNC, DECOMPOSE, events, picture_of, start, wait_for
from tests.kit.pictures import DISC_URL, SQUARE_URL, as_data_url, difference, disc, from_data_url, png, square
from tests.kit.service import connect
from tests.kit.waiting import wait_until

API = "/api/qwen-image"
EDIT = f"{API}/edit-layer"
INSTRUCTION = "make it blue"
READABLE = ("zip", "psd", "ora", "svg")
"""The formats of an export whose layers come back."""
FLAT = {"png": "PNG", "webp": "WEBP", "avif": "AVIF", "jpeg": "JPEG"}


def shows_what_it_can_do(url: str) -> None:
    with connect(url) as client:
        assert client.get("/livez").json() == {"status": "alive"}
        ready, config = client.get("/readyz").json(), client.get(f"{API}/config").json()
        assert (ready["status"], ready["engine"]) == ("ready", config["engine"])
        assert {"decompose", "edit", "any_instruction", "any_size"} <= config["capabilities"].keys()
        assert client.get(f"{API}/status").json()["queue"].keys() >= {"running", "length"}


def keeps_an_upload(url: str) -> None:
    with connect(url) as client:
        sent = client.post("/api/images", content=png(disc()), headers={"Content-Type": "image/png"}).json()
        assert (sent["width"], sent["height"], sent["scaled_from"]) == (*disc().size, None)
        back = client.get(sent["image"])
        assert back.headers["content-type"] == "image/png"
        assert difference(_opened(back.content), disc()) == 0
        again = client.post("/api/images", content=png(disc()), headers={"Content-Type": "application/octet-stream"})
        assert again.json()["image"] == sent["image"], "the address is that of the content"


def decomposes(url: str) -> None:
    with connect(url) as client:
        body = {"image": SQUARE_URL, "layer_num": 2, "output_size": "original", "seed": 7, "steps": 2}
        made = client.post(DECOMPOSE, json=body).json()
        assert (made["layer_count"], made["seed"], made["width"], made["height"]) == (2, 7, *square().size)
        assert [layer["index"] for layer in made["layers"]] == [0, 1, 2]
        whole, *layers = [from_data_url(layer["image"]) for layer in made["layers"]]
        together = composite([Layer(image=layer) for layer in layers], *square().size)
        assert difference(together, whole) <= 1
        assert {layer["name"] for layer in made["layers"]} > {"Composite"}
        assert made["recipe"]["options"]["seed"] == 7


def edits(url: str) -> None:
    with connect(url) as client:
        body = {"image": DISC_URL, "instruction": INSTRUCTION, "seed": 3, "steps": 2}
        made = client.post(EDIT, json=body).json()
        edited = from_data_url(made["image"])
        assert edited.getchannel("A").tobytes() == disc().getchannel("A").tobytes()
        assert difference(edited, disc()) > 0
        assert made["seed"] == 3
        mask = Image.new("L", disc().size)
        mask.paste(255, (0, 0, 24, 48))
        body["region"] = {"mask": as_data_url(png(mask))}
        raw = client.post(EDIT, json=body, headers={"Accept": "image/png"})
        assert raw.headers["content-type"] == "image/png"
        beside = (24, 0, 48, 48)
        assert difference(_opened(raw.content).crop(beside), disc().crop(beside)) == 0


def composites(url: str) -> None:
    stack = [{"image": SQUARE_URL}, {"image": DISC_URL, "x": 9, "y": -4, "opacity": 0.5, "blend": "multiply"}]
    with connect(url) as client:
        made = client.post(f"{API}/composite", json={"layers": stack, "width": 48, "height": 48}).json()
    own = [Layer(image=square()), Layer(image=disc(), x=9, y=-4, opacity=0.5, blend="multiply")]
    assert difference(from_data_url(made["image"]), composite(own, 48, 48)) == 0


def exports(url: str) -> None:
    stack = [{"image": SQUARE_URL, "name": "Ground"}, {"image": DISC_URL, "name": "Disc"}]
    with connect(url) as client:
        formats = client.get(f"{API}/config").json()["limits"]["export_formats"]
        assert {*READABLE, *FLAT} <= set(formats)
        for name in formats:
            answer = client.post(f"{API}/export", json={"layers": stack, "format": name, "name": "Stack"})
            assert answer.status_code == 200, answer.text
            assert "Stack" in answer.headers["content-disposition"]
            if name in FLAT:
                assert Image.open(io.BytesIO(answer.content)).format == FLAT[name]
            elif name in READABLE:
                assert [layer.name for layer in read_layers(io.BytesIO(answer.content)).layers] == ["Ground", "Disc"]
                back = client.post(
                    f"{API}/import", content=answer.content, headers={"Content-Type": "application/octet-stream"}
                )
                assert [layer["name"] for layer in back.json()["layers"]] == ["Ground", "Disc"]


def follows(url: str) -> None:
    with connect(url) as client:
        job = start(client, steps=2)
        followed = list(events(client, job))
        assert followed[-1][1] == "succeeded"
        assert "progress" in {name for _, name, _ in followed}
        assert [number for number, _, _ in followed] == sorted({number for number, _, _ in followed})
        last = followed[-1][2]
        assert last == client.get(job).json()
        result = last["result"]
        assert isinstance(result, dict)
        for layer in result["layers"]:
            assert client.get(layer["image"]).headers["content-type"] == "image/png"
        before = followed[-1][0] - 1
        assert [name for _, name, _ in events(client, job, last_id=before)] == ["succeeded"]
        assert job.rpartition("/")[2] in [each["id"] for each in client.get("/api/jobs").json()["jobs"]]


def runs_the_same_once(url: str) -> None:
    with connect(url) as client:
        headers = {**ASYNC, "Idempotency-Key": f"of-{base64.b32encode(np.random.bytes(10)).decode()}"}
        body = {"image": SQUARE_URL, "layer_num": 1, "steps": 2}
        first, second = (client.post(DECOMPOSE, json=body, headers=headers).json()["id"] for _ in range(2))
        assert first == second
        other = client.post(DECOMPOSE, json=body | {"layer_num": 2}, headers=headers)
        _assert_problem(other, 422, "idempotency_key_reused")
        wait_for(client, f"/api/jobs/{first}", "succeeded")


def cancels(url: str) -> None:
    # Work for seconds, of which the second one waits for the first.
    noise = Image.effect_noise((400, 400), 90).convert("RGB")
    with connect(url) as client:
        sent = client.post("/api/images", content=png(noise), headers={"Content-Type": "image/png"}).json()
        more = {"image": sent["image"], "layer_num": 8, "steps": 100, "prompt": "slow"}
        jobs = [
            client.post(DECOMPOSE, json=more | {"seed": seed}, headers=ASYNC).headers["location"] for seed in (1, 2)
        ]
        wait_for(client, jobs[0], "processing")
        for job in reversed(jobs):
            assert client.delete(job).json()["status"] == "canceled"
            assert [name for _, name, _ in events(client, job)][-1] == "canceled"
            assert client.get(job).json()["result"] is None


def refuses_by_name(url: str) -> None:
    def body(**more: object) -> dict[str, object]:
        return {"image": SQUARE_URL, "instruction": INSTRUCTION} | more

    json_type = {"Content-Type": "application/json"}
    with connect(url) as client:
        for answer, status, code, param in [
            (client.post(EDIT, json=body(seed=-1)), 422, "invalid_input", "seed"),
            (client.post(EDIT, json=body(unknown=1)), 422, "invalid_input", "unknown"),
            (client.post(EDIT, json=body(region={"box": [0, 0, 0, 0]})), 422, "invalid_input", "region"),
            (client.post(EDIT, json=body(image="AAAA")), 422, "invalid_image", "image"),
            (client.post(EDIT, json={"image": SQUARE_URL}), 422, "invalid_input", "instruction"),
            (client.post(EDIT, content=b"{", headers=json_type), 400, "invalid_json", None),
            (client.post(EDIT, content=b"{}", headers={"Content-Type": "text/plain"}), 415, None, None),
            (client.post(EDIT, json=body(), headers={"Origin": "https://evil.example"}), 403, "cross_origin", None),
            (client.get(EDIT), 405, "method_not_allowed", None),
            (client.get("/api/nothing"), 404, "not_found", None),
            (client.get("/api/jobs/none"), 404, "not_found", None),
            (client.get("/api/jobs/none/previews/1.png"), 404, "not_found", None),
            (client.get(f"/api/images/{'0' * 64}.png"), 404, "not_found", None),
            (client.post(EDIT, json=body(image=f"/api/images/{'0' * 64}.png")), 422, "invalid_image", "image"),
        ]:
            _assert_problem(answer, status, code, param)


def holds_its_limits(url: str) -> None:
    with connect(url) as client:
        limits = client.get(f"{API}/config").json()["limits"]
        for name in ("layer_num", "steps", "seed"):
            least, most = limits[name]
            for value in (least - 1, most + 1):
                answer = client.post(DECOMPOSE, json={"image": SQUARE_URL, name: value})
                _assert_problem(answer, 422, "invalid_input", name)
        wide = png(Image.new("L", (limits["max_side"] + 1, 1)))
        picture = {"Content-Type": "image/png"}
        _assert_problem(client.post("/api/images?fit=false", content=wide, headers=picture), 422, "invalid_image")
        scaled = client.post("/api/images", content=wide, headers=picture).json()
        assert (scaled["width"], scaled["scaled_from"]) == (limits["max_side"], [limits["max_side"] + 1, 1])
        stack = [{"image": SQUARE_URL}] * (limits["max_layers"] + 1)
        _assert_problem(client.post(f"{API}/composite", json={"layers": stack}), 422, "invalid_input", "layers")
        large = b" " * (int(limits["max_body_mb"] * (1 << 20)) + 1)
        _assert_problem(
            client.post(EDIT, content=large, headers={"Content-Type": "application/json"}), 413, "too_large"
        )


def serves_openais_clients(url: str) -> None:
    with connect(url) as client:
        assert client.get("/v1/models").json()["object"] == "list"
        form = {"prompt": (None, INSTRUCTION), "image": ("x.png", png(disc()), "image/png")}
        made = client.post("/v1/images/edits", files=form).json()
        edited = _opened(base64.b64decode(made["data"][0]["b64_json"]))
        assert edited.getchannel("A").tobytes() == disc().getchannel("A").tobytes()


def keeps_a_project(url: str) -> None:
    with connect(url) as client:
        project = client.post("/api/projects", json={"name": "Contract", "document": {"layers": []}}).json()
        address = f"/api/projects/{project['id']}"
        saved = {"name": "Saved", "document": {"layers": [], "width": 4}, "version": project["version"]}
        assert client.put(address, json=saved).json()["version"] > project["version"]
        _assert_problem(client.put(address, json=saved), 409, "project_changed")
        assert client.get(address).json()["document"] == saved["document"]
        assert client.delete(f"{address}?for_good=true").status_code in {200, 204}
        _assert_problem(client.get(address), 404, "not_found")


RUNS: Sequence[Callable[[str], None]] = (
    *(shows_what_it_can_do, decomposes, edits, follows, runs_the_same_once, cancels, refuses_by_name),
    serves_openais_clients,
)
CONTRACT: Sequence[Callable[[str], None]] = (
    *(*RUNS, keeps_an_upload, composites, exports, holds_its_limits, keeps_a_project),
)


def previews(url: str) -> None:
    with connect(url) as client:
        job = start(client, "show", steps=2, layer_num=2)
        wait_until(lambda: client.get(f"{job}/previews/2.png").status_code == 200, "a preview")
        shown = client.get(f"{job}/previews/2.png")
        assert (shown.headers["content-type"], shown.headers["cache-control"]) == ("image/png", "no-store")
        for _, name, content in events(client, job):
            if name == "preview":
                assert _opened(client.get(str(content["url"])).content).size == (4, 3)
                break
        client.delete(job)
        assert client.get(f"{job}/previews/2.png").status_code == 404


def reports_steps(url: str) -> None:
    with connect(url) as client:
        job = start(client, "slow", steps=4)
        steps = [int(str(content["step"])) for _, name, content in events(client, job) if name == "progress"]
        assert steps == sorted(steps)
        last = client.get(job).json()
        assert (last["phase"], last["step"], last["total"]) == ("stepping", 4, 4)


def names_the_engines_errors(url: str) -> None:
    with connect(url) as client:
        for prompt, status, code in [("oom", 503, "out_of_memory"), ("raise", 500, "pipeline_failed")]:
            answer = client.post(DECOMPOSE, json={"image": SQUARE_URL, "prompt": prompt, "steps": 2})
            _assert_problem(answer, status, code)
            assert "secret" not in answer.text
            job = start(client, prompt)
            failed = wait_for(client, job, "failed")["error"]
            assert isinstance(failed, dict) and failed["code"] == code


def cancels_a_run(url: str) -> None:
    with connect(url) as client:
        job = start(client, "wait", steps=2)
        wait_until(lambda: client.get(job).json()["step"] == 1, "its first step")
        assert client.delete(job).json()["status"] == "canceled"
        assert picture_of(client.post(DECOMPOSE, json={"image": SQUARE_URL, "steps": 1}).json()["layers"][0]["image"])


STEPPING: Sequence[Callable[[str], None]] = (previews, reports_steps, names_the_engines_errors, cancels_a_run)


def _opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def _assert_problem(answer: httpx.Response, status: int, code: str | None = None, param: str | None = None) -> None:
    told = answer.json()
    assert (answer.status_code, told["status"]) == (status, status), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert code in {None, told["code"]}, answer.text
    assert param in {None, told["error"]["param"]}, answer.text
    assert told["error"]["message"] == told["detail"]
    assert answer.headers["x-request-id"] == told["request_id"]
