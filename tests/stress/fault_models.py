"""Faults of the hub, of weights and of layers, with the real engines and tiny checkpoints."""

import io
import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from llm_dit.qwen.loading.checkpoints import LAYERED_MODEL
from llm_dit.qwen.loading.download import download_checkpoint
from llm_dit.qwen.sampling.running import ignore_progress
from tests.kit.asking import DECOMPOSE, EDIT, get, post
from tests.kit.hub import Hub
from tests.kit.hub import serve as serve_hub
from tests.kit.pictures import as_data_url, png
from tests.kit.running import Answer, Running, running
from tests.kit.service import qwen_environment
from tests.kit.waiting import wait_until
from tests.stress.fault import Fault, recover, require, require_refusal

WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"
PICTURE = as_data_url(png(Image.radial_gradient("L").convert("RGB").resize((128, 72))))


def hub_away(checkpoints: Path, folder: Path, time: int) -> float:
    """The hub refuses connections, then stops in the middle of a file, then answers 500; then it is well again."""
    port = _free_port()
    environment = _of_hub(checkpoints, folder, port)
    repository = {LAYERED_MODEL: checkpoints / "layered"}

    def ail(hub: Hub) -> None:
        hub.faults = 1_000_000
        hub.stall_after, hub.refuse = (10_000, None) if time == 1 else (None, 500)

    with running(folder, environment=environment) as service:
        if time == 0:
            _until_told_of_hub(service)
        with serve_hub(repository, port) as hub:
            if time > 0:
                ail(hub)
                _until_told_of_hub(service)
                hub.faults = 0
                hub.released.set()
            # Nobody sends a job: it is tried again by itself.
            wait_until(lambda: get(service, "/readyz").status == 200)
            seconds = recover(service, _decompose)
    with running(folder, environment=environment | {"HF_HUB_OFFLINE": "1"}) as service:
        wait_until(lambda: get(service, "/readyz").status == 200)
    return seconds


def partial_snapshot(checkpoints: Path, folder: Path, _time: int) -> float:
    """A file of the cache is missing while the hub is away; then the hub is there again."""
    port = _free_port()
    repository = {LAYERED_MODEL: checkpoints / "layered"}
    with serve_hub(repository) as hub:
        os.environ["HF_ENDPOINT"] = hub.endpoint
        snapshot = download_checkpoint(LAYERED_MODEL, progress=ignore_progress, cache_dir=folder / "home/hub")
    (snapshot / WEIGHTS).resolve().unlink()
    (snapshot / WEIGHTS).unlink()
    with running(folder, environment=_of_hub(checkpoints, folder, port)) as service:
        _until_told_of_hub(service)
        with serve_hub(repository, port):
            wait_until(lambda: get(service, "/readyz").status == 200)
            return recover(service, _decompose)


def damaged_weights(checkpoints: Path, folder: Path, time: int) -> float:
    """A file of weights is cut off, then a pointer of Git LFS, then a web page; then it is whole again."""
    model = Path(shutil.copytree(checkpoints / "layered", folder / "layered"))
    whole = (model / WEIGHTS).read_bytes()
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    (model / WEIGHTS).write_bytes([whole[:5000], pointer, b"<!DOCTYPE html><html></html>"][time])
    environment = qwen_environment(checkpoints, LLM_DIT_QWEN_IMAGE__MODEL_PATH=str(model))
    with running(folder, environment=environment) as service:
        _until_told_of_weights(service)
        (model / WEIGHTS).write_bytes(whole)
        return recover(service, _decompose)


def transparent_layer(checkpoints: Path, folder: Path, time: int) -> float:
    """Edit a layer of which nothing is seen: with the classical engine, with the Qwen engine, and with a new key."""
    colors = np.random.default_rng(time).integers(0, 256, (72, 128, 4), np.uint8)
    colors[..., 3] = 0
    fields = {"image": as_data_url(png(Image.fromarray(colors, "RGBA"))), "instruction": "make it blue", "steps": 1}
    environment = {"LLM_DIT_ENGINE": "classical"} if time == 0 else qwen_environment(checkpoints)
    with running(folder, environment=environment) as service:
        wait_until(lambda: get(service, "/readyz").status == 200)
        for shape in ("keep", "new") if time == 2 else ("keep",):
            answer = post(service, EDIT, fields | {"shape": shape}, "Accept: image/png")
            require(answer.status == 200, f"{answer.status}: {answer.body[:200]!r}")
            edited = np.asarray(Image.open(io.BytesIO(answer.body)))
            require(edited.shape == colors.shape, "it has another size")
            require(shape == "new" or not edited[..., 3].any(), "the alpha has changed")
        return recover(service, _decompose)


def _until_told_of_hub(service: Running) -> None:
    wait_until(lambda: json.loads(get(service, "/readyz").body)["code"] == "download_failed")
    require_refusal(get(service, "/readyz"), 503, "download_failed")
    require(get(service, "/livez").status == 200, "it does not live")


def _until_told_of_weights(service: Running) -> None:
    wait_until(lambda: json.loads(get(service, "/readyz").body)["code"] == "no_weights")
    for answer in (get(service, "/readyz"), _decompose(service)):
        body = require_refusal(answer, 503, "no_weights")
        require(WEIGHTS in body["detail"], f"the file is not named: {body['detail']}")
        require(str(service.folder) not in answer.body.decode(), "the path is told")
    require(get(service, "/livez").status == 200, "it does not live")


def _of_hub(checkpoints: Path, folder: Path, port: int) -> dict[str, str]:
    return qwen_environment(
        checkpoints,
        LLM_DIT_QWEN_IMAGE__MODEL_PATH=LAYERED_MODEL,
        HF_ENDPOINT=f"http://127.0.0.1:{port}",
        HF_HOME=str(folder / "home"),
        HF_HUB_DOWNLOAD_TIMEOUT="1",
        HF_HUB_ETAG_TIMEOUT="1",
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _decompose(service: Running) -> Answer:
    return post(service, DECOMPOSE, {"image": PICTURE, "prompt": "a house", "layer_num": 1, "steps": 1})


def faults(checkpoints: Path) -> list[Fault]:
    """Return the faults, on tiny checkpoints that `tests.kit.checkpoints` has written."""

    def on(case: Callable[[Path, Path, int], float]) -> Callable[[Path, int], float]:
        return lambda folder, time: case(checkpoints, folder, time)

    return [
        Fault(number=20, name="hub refuses, stalls, fails", required="503 and why; tried again", inject=on(hub_away)),
        Fault(number=21, name="partial snapshot", required="503 and why; tried again", inject=on(partial_snapshot)),
        Fault(number=22, name="cut, pointer, web page", required="503 and which file", inject=on(damaged_weights)),
        Fault(number=28, name="layer without alpha", required="200, alpha the same", inject=on(transparent_layer)),
    ]
