"""Projects: a picture with its layers and their history, as a document that the page writes."""

import asyncio
import json
import re
import secrets
import time
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from sqlite3 import Row
from typing import Any, NamedTuple, cast

from llm_dit.errors import InputError
from server.errors import DamagedError, NotFoundError, ProjectChangedError, QuotaError
from server.storage.database import Database
from server.storage.images import ImageStore
from server.storage.tables import checksum_of

Document = Mapping[str, Any]
MAX_DOCUMENT_BYTES = 4_000_000
DOCUMENT_FORMAT = 2
"""The newest `format` of documents that the page supports (static/js/state/snapshot.js)."""
ADDRESS = re.compile(r"/api/images/([0-9a-f]{64})\.png")

COLUMNS = "id, name, version, thumbnail, layer_count, created_at, updated_at, deleted_at"
LIST = f"SELECT {COLUMNS} FROM projects WHERE deleted_at IS NULL ORDER BY updated_at DESC, rowid DESC"
LIST_DELETED = f"SELECT {COLUMNS} FROM projects WHERE deleted_at IS NOT NULL ORDER BY deleted_at DESC, rowid DESC"
GET = f"SELECT {COLUMNS}, checksum, document FROM projects WHERE id = :id AND deleted_at IS NULL"
# Deleted projects do not count: MAKE_ROOM removes them first.
HAS_ROOM = """(SELECT count(*) FROM projects WHERE deleted_at IS NULL AND id != :id) < :most
AND :bytes + (SELECT coalesce(sum(bytes), 0) FROM projects WHERE deleted_at IS NULL AND id != :id) <= :most_bytes"""
ADD = f"""INSERT INTO projects
(id, name, version, thumbnail, layer_count, created_at, updated_at, bytes, checksum, document)
SELECT :id, :name, 1, :thumbnail, :layer_count, :now, :now, :bytes, :checksum, :document WHERE {HAS_ROOM}"""
SAVE = f"""UPDATE projects SET name = :name, version = version + 1, thumbnail = :thumbnail, layer_count = :layer_count,
updated_at = :now, bytes = :bytes, checksum = :checksum, document = :document
WHERE id = :id AND version = :version AND deleted_at IS NULL AND (:bytes <= bytes OR ({HAS_ROOM}))"""
DELETE = "UPDATE projects SET deleted_at = ? WHERE id = ? AND deleted_at IS NULL"
RESTORE = """UPDATE projects SET deleted_at = NULL WHERE id = :id AND deleted_at IS NOT NULL
AND (SELECT count(*) FROM projects WHERE deleted_at IS NULL) < :most
AND bytes + (SELECT coalesce(sum(bytes), 0) FROM projects WHERE deleted_at IS NULL) <= :most_bytes"""
MAKE_ROOM = """DELETE FROM projects WHERE deleted_at IS NOT NULL AND id IN (
    SELECT id FROM (
        SELECT id, row_number() OVER places AS place, sum(bytes) OVER places AS held FROM projects
        WINDOW places AS (ORDER BY deleted_at IS NULL DESC, deleted_at DESC, rowid ROWS UNBOUNDED PRECEDING)
    ) WHERE place > :most OR held > :most_bytes
)"""
GONE = "There is no such project: it never existed here, or it was deleted."
CHANGED = "The project was changed elsewhere since you loaded it: reload it, or keep yours as a copy."
DAMAGED = "This project was damaged on the server's disk: restore it from a backup, or delete it."


@dataclass(frozen=True, kw_only=True)
class Quota:
    """The most projects, and the most bytes of their documents and pictures together."""

    projects: int
    bytes: float

    @property
    def parameters(self) -> dict[str, float]:
        return {"most": self.projects, "most_bytes": self.bytes}

    def refusal(self) -> QuotaError:
        return QuotaError(
            f"The server keeps at most {self.projects} projects of {self.bytes / 1e9:g} GB together: delete some first."
        )


class DocumentText(NamedTuple):
    """A document as stored: the text of a JSON object, and its number of layers."""

    text: str
    layer_count: int

    @classmethod
    def of(cls, document: Document) -> "DocumentText":
        return cls(text=json.dumps(document, ensure_ascii=False), layer_count=_layer_count(document))


@dataclass(frozen=True, kw_only=True)
class ProjectDraft:
    """The new content of a project; `thumbnail` is the SHA-256 of a stored picture.

    `lost` are missing pictures to which it may refer.
    """

    name: str
    document: Document | DocumentText
    thumbnail: str | None = None
    lost: Collection[str] = ()


@dataclass(frozen=True, kw_only=True)
class ProjectSummary:
    """A project in a list; `version` counts its saves, times are seconds since 1970."""

    id: str
    name: str
    version: int
    thumbnail: str | None
    layer_count: int
    created_at: float
    updated_at: float
    deleted_at: float | None


@dataclass(frozen=True, kw_only=True)
class Project(ProjectSummary):
    """A project with its document, the text of a JSON object."""

    document: str

    @property
    def images(self) -> list[str]:
        """The SHA-256 of each picture of the project, without duplicates."""
        return _images_of(self.document, self.thumbnail)


class Projects:
    """The table of projects. A save names the version on which it builds, so that no save silently undoes another."""

    def __init__(self, database: Database, store: ImageStore, quota: Quota) -> None:
        self._database = database
        self._store = store
        self._quota = quota
        self.freed = asyncio.Event()
        """Set when projects were removed permanently, so that their pictures can go, too."""

    async def all(self, *, deleted: bool = False) -> list[ProjectSummary]:
        """Return the projects, or the deleted ones, the most recently changed first."""
        rows = await self._database.rows(LIST_DELETED if deleted else LIST)
        return [ProjectSummary(**dict(row)) for row in rows]

    async def get(self, project_id: str) -> Project:
        """Return a project; raises `NotFoundError`, and `DamagedError` if its document is damaged."""
        rows = await self._database.rows(GET, {"id": project_id})
        if not rows:
            raise NotFoundError(GONE)
        return await asyncio.to_thread(_project, rows[0])

    async def add(self, draft: ProjectDraft) -> Project:
        """Create a project; raises `InputError` for an invalid document, `QuotaError` at the limit."""
        values = await asyncio.to_thread(self._values, draft)
        self._require_all({sha256: param for sha256, param in values.missing.items() if sha256 not in draft.lost})
        return await self._add(values.row)

    async def duplicate(self, project_id: str, name: str) -> Project:
        """Copy a project; the copy lacks the same pictures."""
        project = await self.get(project_id)
        values = await asyncio.to_thread(
            self._values_of, name, project.thumbnail, project.layer_count, project.document
        )
        return await self._add(values.row)

    async def save(self, project_id: str, draft: ProjectDraft, version: int) -> Project:
        """Save a draft over `version`; raises `ProjectChangedError` if that is no longer the current one.

        Pictures to which the project already referred may be missing: the rest can still be saved.
        """
        values = await asyncio.to_thread(self._values, draft)
        if values.missing:
            known = await self._images(project_id)
            self._require_all({sha256: param for sha256, param in values.missing.items() if sha256 not in known})
        named = {**values.row, **self._quota.parameters, "id": project_id, "version": version}
        if not await self._database.change(SAVE, named):
            current = await self.get(project_id)
            raise self._quota.refusal() if current.version == version else ProjectChangedError(CHANGED)
        await self._make_room()
        return await self.get(project_id)

    async def delete(self, project_id: str) -> None:
        """Delete a project; it can be restored until the clean-up, or until others need its place."""
        if not await self._database.change(DELETE, [time.time(), project_id]):
            raise NotFoundError(GONE)
        await self._make_room()

    async def delete_for_good(self, project_id: str) -> None:
        """Remove a project permanently, deleted or not; the next clean-up removes its pictures."""
        images = await self._images(project_id)
        if not await self._database.change("DELETE FROM projects WHERE id = ?", [project_id]):
            raise NotFoundError(GONE)
        await asyncio.to_thread(self._store.release, images)
        self.freed.set()

    async def restore(self, project_id: str) -> Project:
        """Restore a deleted project; another one does not change. Raises `QuotaError`."""
        if not await self._database.change(RESTORE, {**self._quota.parameters, "id": project_id}):
            rows = await self._database.rows("SELECT deleted_at FROM projects WHERE id = ?", [project_id])
            if rows and rows[0]["deleted_at"] is not None:
                raise self._quota.refusal()
        return await self.get(project_id)

    async def images(self) -> AsyncIterator[list[str]]:
        """Yield the SHA-256 of the pictures of each project, including deleted ones."""
        for row in await self._database.rows("SELECT id FROM projects"):
            yield await self._images(row["id"])

    async def purge(self, deleted_before: float) -> None:
        """Permanently remove projects that were deleted before a time in seconds since 1970."""
        await self._database.change("DELETE FROM projects WHERE deleted_at < ?", [deleted_before])

    async def _add(self, row: Mapping[str, object]) -> Project:
        project_id = secrets.token_urlsafe(9)
        if not await self._database.change(ADD, {**row, **self._quota.parameters, "id": project_id}):
            raise self._quota.refusal()
        await self._make_room()
        return await self.get(project_id)

    async def _make_room(self) -> None:
        if await self._database.change(MAKE_ROOM, self._quota.parameters):
            self.freed.set()

    async def _images(self, project_id: str) -> list[str]:
        rows = await self._database.rows("SELECT document, thumbnail FROM projects WHERE id = ?", [project_id])
        return await asyncio.to_thread(_images_of, *rows[0]) if rows else []

    def _values(self, draft: ProjectDraft) -> "_Values":
        document = draft.document if isinstance(draft.document, DocumentText) else DocumentText.of(draft.document)
        return self._values_of(draft.name, draft.thumbnail, document.layer_count, document.text)

    def _values_of(self, name: str, thumbnail: str | None, layer_count: int, document: str) -> "_Values":
        if len(document.encode()) > MAX_DOCUMENT_BYTES:
            most = f"{MAX_DOCUMENT_BYTES / 1e6:.0f} MB"
            raise InputError(f"The project's document is larger than {most}: delete old versions.", param="document")
        used = dict.fromkeys(images_in(document), "document")
        used |= {thumbnail: "thumbnail"} if thumbnail else {}
        # Mark all of them, even after a missing one, so that the clean-up does not remove them meanwhile.
        missing = {sha256: param for sha256, param in used.items() if not self._store.use(sha256)}
        row = {
            "name": name,
            "thumbnail": thumbnail,
            "layer_count": layer_count,
            "now": time.time(),
            "bytes": size_of_project(document, self._store),
            "checksum": checksum_of(document),
            "document": document,
        }
        return _Values(row=row, missing=missing)

    @staticmethod
    def _require_all(missing: Mapping[str, str]) -> None:
        for param in missing.values():
            raise InputError(
                f"The {param} refers to a picture that is not on this server: upload it with POST /api/images first.",
                param=param,
            )


@dataclass(frozen=True, kw_only=True)
class _Values:
    """The values of a row, and its missing pictures, each with the field that refers to it."""

    row: Mapping[str, object]
    missing: Mapping[str, str]


def size_of_project(document: str, store: ImageStore) -> int:
    """Return the size of a project in bytes: its document and its existing pictures."""
    return len(document.encode()) + sum(map(store.size, images_in(document)))


def images_in(document: str) -> list[str]:
    """Return the SHA-256 of each picture in the text of a document, without duplicates."""
    return list(dict.fromkeys(ADDRESS.findall(document)))


def _images_of(document: str, thumbnail: str | None) -> list[str]:
    return list(dict.fromkeys([*images_in(document), *([thumbnail] if thumbnail else [])]))


def _layer_count(document: Document) -> int:
    layers = document.get("layers")
    return len(cast(list[object], layers)) if isinstance(layers, list) else 0


def _project(row: Row) -> Project:
    fields: dict[str, Any] = dict(row)
    if fields.pop("checksum") != checksum_of(fields["document"]):
        raise DamagedError(DAMAGED)
    return Project(**fields)
