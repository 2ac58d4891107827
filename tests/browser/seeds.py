"""Projects as the page keeps them, made over HTTP: where taking a picture apart is not what is tested."""

from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from tests.kit.jobs import ASYNC, DECOMPOSE, wait_for
from tests.kit.service import connect

PLAIN = {
    "x": 0,
    "y": 0,
    "scale": 1,
    "flipX": False,
    "flipY": False,
    "opacity": 1,
    "visible": True,
    "blend": "normal",
    "group": "",
}


class Seeds:
    """Each picture is taken apart once for each number of layers; every project is a copy of its own."""

    def __init__(self) -> None:
        self._documents: dict[tuple[str, Path, int], dict[str, Any]] = {}

    def plant(self, url: str, picture: Path, layers: int) -> str:
        """Return the path of a new project in which a picture was opened and taken apart into so many layers."""
        with connect(url) as client:
            key = (url, picture, layers)
            if key not in self._documents:
                self._documents[key] = _take_apart(client, picture, layers)
            content = {"name": picture.stem, "document": self._documents[key]}
            answer = client.post("/api/projects", json=content).raise_for_status()
            return f"/p/{answer.json()['id']}"


def _take_apart(client: httpx.Client, path: Path, layers: int) -> dict[str, Any]:
    """Return what the page keeps of a project once it has decomposed its picture, as `state/snapshot.js` writes it."""
    sent = client.post("/api/images", content=path.read_bytes(), headers={"Content-Type": "image/png"})
    with Image.open(path) as image:
        width, height = image.size
    picture = {"name": path.stem, "image": sent.raise_for_status().json()["image"], "width": width, "height": height}
    asked = {"image": picture["image"], "layer_num": layers, "output_size": "original", "language": "en"}
    answer = client.post(DECOMPOSE, json=asked, headers=ASYNC).raise_for_status()
    job = wait_for(client, answer.headers["location"], "succeeded")
    result: Any = job["result"]
    composite, *found = result["layers"]
    made = [_layer(layer, f"{job['id']}-{layer['index']}", result) for layer in found]
    empty = {"picture": None, "layers": [], "width": 0, "height": 0, "composite": None, "made": []}
    empty |= {"seed": None, "prompt": ""}
    opened = empty | {"picture": picture, "width": width, "height": height}
    doc = opened | {"layers": list(range(len(made))), "composite": composite["image"]}
    doc |= {"made": [layer["id"] for layer in made], "seed": result["seed"], "prompt": result["prompt"]}
    past = [
        {"title": "command.picture", "about": {}, "gesture": None, "doc": empty},
        {"title": "command.decompose", "about": {}, "gesture": None, "doc": opened},
    ]
    return {
        "format": 1,
        "doc": doc,
        "past": past,
        "future": [],
        "layers": doc["layers"],
        "table": [{key: value for key, value in layer.items() if key != "versions"} for layer in made],
        "versions": {layer["id"]: layer["versions"] for layer in made},
        "settings": {"layerNum": layers},
        "edits": {},
        "jobs": {},
        "selected": made[-1]["id"],
        "folded": [],
    }


def _layer(found: dict[str, Any], identifier: str, result: dict[str, Any]) -> dict[str, Any]:
    first = {"image": found["image"], "coverage": found["coverage"], "instruction": "", "seed": result["seed"]}
    first |= {"shape": None, "engine": result["engine"], "at": None, "from": None, "seconds": None}
    about = {key: found[key] for key in ("name", "image", "width", "height", "coverage")}
    return {**PLAIN, "id": identifier, **about, "versions": [first], "current": 0, "discarded": []}
