"""The project API of the contract, in memory, for a service that does not have one yet."""

import io
import itertools
import json
import zipfile
from dataclasses import dataclass, field
from typing import Any

import httpx
from playwright.sync_api import BrowserContext, Request, Route

MOMENT = "2026-01-01T00:00:00Z"


@dataclass
class FakeProjects:
    """One server's projects; every browser profile that asks it sees the same."""

    url: str
    kept: dict[str, dict[str, Any]] = field(default_factory=dict)
    deleted: dict[str, dict[str, Any]] = field(default_factory=dict)
    ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def install(self, context: BrowserContext) -> None:
        context.route("**/api/projects**", self._answer)
        context.route("**/p/*", lambda route: route.fulfill(response=route.fetch(url=self.url + "/")))

    def _answer(self, route: Route, request: Request) -> None:
        path = httpx.URL(request.url).path.removeprefix("/api/projects").strip("/").split("/")
        status, body = self._respond(request.method, path, request)
        if isinstance(body, bytes):
            route.fulfill(status=status, body=body, content_type="application/zip")
        else:
            route.fulfill(status=status, json=body)

    def _respond(self, method: str, path: list[str], request: Request) -> tuple[int, Any]:
        match method, path:
            case "GET", [""]:
                return 200, {"projects": [_summary(project) for project in reversed(self.kept.values())]}
            case "POST", [""]:
                return 201, self._keep(request.post_data_json)
            case "POST", ["import"]:
                content = zipfile.ZipFile(io.BytesIO(request.post_data_buffer or b"")).read("project.json")
                return 201, self._keep(json.loads(content))
            case "POST", [id, "restore"] if id in self.deleted:
                self.kept[id] = self.deleted.pop(id)
                return 200, self.kept[id]
            case (_, [id, *_]) if id not in self.kept:
                return 404, {"detail": "There is no such project.", "code": "not_found"}
            case "GET", [id]:
                return 200, self.kept[id]
            case "PUT", [id]:
                return self._write(self.kept[id], request.post_data_json)
            case "DELETE", [id]:
                self.deleted[id] = self.kept.pop(id)
                return 204, None
            case "POST", [id, "duplicate"]:
                return 201, self._keep(self.kept[id] | {"name": f"{self.kept[id]['name']} (copy)"})
            case "GET", [id, "file"]:
                return 200, _zip(self.kept[id])
        return 405, {"detail": "No."}

    def _keep(self, content: dict[str, Any]) -> dict[str, Any]:
        id = f"project{next(self.ids)}"
        self.kept[id] = {"thumbnail": None, **content, "id": id, "version": 1}
        return self.kept[id]

    def _write(self, project: dict[str, Any], content: dict[str, Any]) -> tuple[int, Any]:
        if content["version"] != project["version"]:
            return 409, {"detail": "The project has changed.", "code": "project_changed"}
        project |= content | {"version": project["version"] + 1}
        self.kept[project["id"]] = self.kept.pop(project["id"])
        return 200, project


def _summary(project: dict[str, Any]) -> dict[str, Any]:
    document = project["document"]
    about = {name: project[name] for name in ("id", "name", "version", "thumbnail")}
    return about | {"created_at": MOMENT, "updated_at": MOMENT, "layer_count": len(document["doc"]["layers"])}


def _zip(project: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("project.json", json.dumps(project))
    return buffer.getvalue()
