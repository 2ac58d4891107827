"""Projects: a picture with its layers and what was done to them, as a document that the page writes."""

import asyncio
import json
import re
import secrets
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, replace
from sqlite3 import Row
from typing import Any, cast

from llm_dit.errors import InputError
from server.database import Database
from server.errors import NotFoundError, ProjectChangedError
from server.store import ImageStore

Document = Mapping[str, Any]
MAX_DOCUMENT_BYTES = 4_000_000
ADDRESS = re.compile(r"/api/images/([0-9a-f]{64})\.png")

COLUMNS = "id, name, version, thumbnail, layer_count, created_at, updated_at"
LIST = f"SELECT {COLUMNS} FROM projects WHERE deleted_at IS NULL ORDER BY updated_at DESC, rowid DESC"
GET = f"SELECT {COLUMNS}, document FROM projects WHERE id = ? AND deleted_at IS NULL"
ADD = """INSERT INTO projects (name, thumbnail, layer_count, updated_at, document, version, id, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""
SAVE = """UPDATE projects SET name = ?, thumbnail = ?, layer_count = ?, updated_at = ?, document = ?,
version = version + 1 WHERE id = ? AND version = ? AND deleted_at IS NULL"""
DELETE = "UPDATE projects SET deleted_at = ? WHERE id = ? AND deleted_at IS NULL"
RESTORE = "UPDATE projects SET deleted_at = NULL WHERE id = ?"
GONE = "There is no such project: it was never here, or it was deleted."
CHANGED = "The project was changed elsewhere since you loaded it: load it anew, or keep yours as a copy."


@dataclass(frozen=True, kw_only=True)
class ProjectDraft:
    """What a project is to hold; `thumbnail` is the SHA-256 of a picture in the store."""

    name: str
    document: Document
    thumbnail: str | None = None


@dataclass(frozen=True, kw_only=True)
class ProjectSummary:
    """A project as lists show it; `version` counts its saves, times are seconds since 1970."""

    id: str
    name: str
    version: int
    thumbnail: str | None
    layer_count: int
    created_at: float
    updated_at: float


@dataclass(frozen=True, kw_only=True)
class Project(ProjectSummary):
    document: Document

    @property
    def draft(self) -> ProjectDraft:
        return ProjectDraft(name=self.name, document=self.document, thumbnail=self.thumbnail)

    @property
    def images(self) -> list[str]:
        """The SHA-256 of every picture that the project uses, each once."""
        used = images_in(json.dumps(self.document))
        return list(dict.fromkeys([*used, *([self.thumbnail] if self.thumbnail else [])]))


class Projects:
    """The table of projects. A save names the version it builds on, so that no save undoes another unseen."""

    def __init__(self, database: Database, store: ImageStore) -> None:
        self._database = database
        self._store = store

    async def all(self) -> list[ProjectSummary]:
        """Return the projects, the one that was changed last first."""
        return [ProjectSummary(**dict(row)) for row in await self._database.rows(LIST)]

    async def get(self, project_id: str) -> Project:
        """Return a project; raises `NotFoundError`."""
        rows = await self._database.rows(GET, [project_id])
        if not rows:
            raise NotFoundError(GONE)
        return await asyncio.to_thread(_project, rows[0])

    async def add(self, draft: ProjectDraft) -> Project:
        """Keep a new project; raises `InputError` when its document will not do."""
        now, project_id = time.time(), secrets.token_urlsafe(9)
        values = await asyncio.to_thread(self._values, draft, now)
        await self._database.change(ADD, [*values, 1, project_id, now])
        return await self.get(project_id)

    async def save(self, project_id: str, draft: ProjectDraft, version: int) -> Project:
        """Put a draft in place of `version`; raises `ProjectChangedError` when that is not the current one any more."""
        values = await asyncio.to_thread(self._values, draft, time.time())
        if not await self._database.change(SAVE, [*values, project_id, version]):
            await self.get(project_id)
            raise ProjectChangedError(CHANGED)
        return await self.get(project_id)

    async def delete(self, project_id: str) -> None:
        """Take a project out of the list; it can be restored until the clean-up of old things."""
        if not await self._database.change(DELETE, [time.time(), project_id]):
            raise NotFoundError(GONE)

    async def restore(self, project_id: str) -> Project:
        await self._database.change(RESTORE, [project_id])
        return await self.get(project_id)

    async def images(self) -> AsyncIterator[list[str]]:
        """Yield the SHA-256 of the pictures of each project, deleted ones too."""
        for row in await self._database.rows("SELECT id FROM projects"):
            for content in await self._database.rows("SELECT document, thumbnail FROM projects WHERE id = ?", [row[0]]):
                yield [*await asyncio.to_thread(images_in, content[0]), content[1] or ""]

    async def duplicate(self, project_id: str, name: str) -> Project:
        project = await self.get(project_id)
        return await self.add(replace(project.draft, name=name))

    async def purge(self, deleted_before: float) -> None:
        """Remove for good what was deleted before a time, in seconds since 1970."""
        await self._database.change("DELETE FROM projects WHERE deleted_at < ?", [deleted_before])

    def _values(self, draft: ProjectDraft, now: float) -> list[object]:
        content = json.dumps(draft.document, ensure_ascii=False)
        if len(content.encode()) > MAX_DOCUMENT_BYTES:
            most = f"{MAX_DOCUMENT_BYTES / 1e6:.0f} MB"
            raise InputError(f"The project's document is larger than {most}: delete old versions.", param="document")
        self._require(images_in(content), "document")
        self._require([draft.thumbnail] if draft.thumbnail else [], "thumbnail")
        return [draft.name, draft.thumbnail, _layer_count(draft.document), now, content]

    def _require(self, images: Iterable[str], param: str) -> None:
        if not all(self._store.use(sha256) for sha256 in images):
            raise InputError(
                f"The {param} names a picture that this server does not hold: upload it with POST /api/images first.",
                param=param,
            )


def images_in(document: str) -> list[str]:
    """Return the SHA-256 of every picture that the text of a document names, each once."""
    return list(dict.fromkeys(ADDRESS.findall(document)))


def _layer_count(document: Document) -> int:
    layers = document.get("layers")
    return len(cast(list[object], layers)) if isinstance(layers, list) else 0


def _project(row: Row) -> Project:
    fields: dict[str, Any] = dict(row)
    fields["document"] = json.loads(fields["document"])
    return Project(**fields)
