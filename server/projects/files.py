"""Project files, a ZIP of `project.json` and the project's pictures, `images/{sha256}.png`; and layered files.

A process of the pool reads them, and stores their pictures.
"""

import json
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from pydantic_core import from_json

from llm_dit.errors import InputError
from llm_dit.images import encode_png
from llm_dit.imports.layer_file import Archive, FileKind, FileLimits, decoded, picture_size
from llm_dit.imports.layers import kind_of, read_layers
from llm_dit.layer import Groups
from llm_dit.layers import Painting
from llm_dit.names import shortened
from server.errors import NotFoundError
from server.pool.tasks import StoredLayer, kept_layer
from server.projects.projects import (
    ADDRESS,
    DOCUMENT_FORMAT,
    MAX_DOCUMENT_BYTES,
    DocumentText,
    Project,
    ProjectDraft,
    images_in,
)
from server.storage.images import SHA256, ImageStore, address_of, disk_full_told

FORMAT, VERSION = "llm-dit project", 1
PROJECT_NAME = "project.json"
TOO_LARGE = "The project file has more or larger pictures than the limits allow: export it without old versions."
NEWER = "A newer version of llm-dit wrote this project file: open it with that version."
NOT_ONE = "This is not a project file: export one from a project, and send it unchanged."


def write_project(project: Project, data_dir: Path, target: Path) -> list[str]:
    """Write a project as a file, and return the SHA-256 of pictures missing in the store in `data_dir`."""
    store = ImageStore(data_dir)
    missing: list[str] = []
    # PNG does not compress further.
    with disk_full_told(), zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for sha256 in project.images:
            try:
                archive.write(store.checked_path(sha256), f"images/{sha256}.png")
            except (NotFoundError, FileNotFoundError):
                missing.append(sha256)
        about = {"format": FORMAT, "version": VERSION, "name": project.name, "thumbnail": project.thumbnail}
        about |= {"missing": missing} if missing else {}
        # The document is copied from the database unchanged.
        content = f'{json.dumps(about, ensure_ascii=False)[:-1]}, "document": {project.document}}}'
        archive.writestr("project.json", content)
    return missing


def read_project(file: IO[bytes], store: ImageStore, limits: FileLimits) -> ProjectDraft:
    """Store the pictures of a project file and return the new project's draft.

    Every picture is decoded and re-encoded, so that it contains nothing else. Raises `InputError`.
    """
    archive = Archive(file)
    about = _about(archive)
    document, thumbnail = json.dumps(about["document"], ensure_ascii=False), about.get("thumbnail")
    lost: list[str] = about.get("missing", [])
    named = [*images_in(document), *([thumbnail] if thumbnail else [])]
    kept = _keep([name for name in named if name not in lost], archive, store, limits)
    document = ADDRESS.sub(lambda address: address_of(kept.get(address[1], address[1])), document)
    return ProjectDraft(
        name=shortened(about["name"]),
        document=json.loads(document),
        thumbnail=kept.get(thumbnail) if thumbnail else None,
        lost=lost,
    )


def _about(archive: Archive) -> dict[str, Any]:
    """Return the validated content of `project.json`."""
    if PROJECT_NAME not in archive:
        raise InputError(NOT_ONE, param="file")
    try:
        # As strict as for requests: no NaN, no lone surrogates, limited depth.
        about: object = from_json(archive.read(PROJECT_NAME, 2 * MAX_DOCUMENT_BYTES), allow_inf_nan=False)
    except ValueError:
        raise InputError(NOT_ONE, param="file") from None
    if not isinstance(about, dict):
        raise InputError(NOT_ONE, param="file")
    fields = cast(dict[str, Any], about)
    name, document, thumbnail = fields.get("name"), fields.get("document"), fields.get("thumbnail")
    well_formed = isinstance(name, str) and bool(name.strip()) and isinstance(document, dict)
    picture = thumbnail is None or (isinstance(thumbnail, str) and SHA256.fullmatch(thumbnail) is not None)
    missing = fields.get("missing", [])
    told = isinstance(missing, list) and all(isinstance(name, str) for name in cast(list[object], missing))
    version = fields.get("version")
    if fields.get("format") == FORMAT and (
        _is_newer(version, VERSION) or _is_newer(_format_of(fields), DOCUMENT_FORMAT)
    ):
        raise InputError(NEWER, param="file")
    if fields.get("format") != FORMAT or version != VERSION or not well_formed or not picture or not told:
        raise InputError(NOT_ONE, param="file")
    return fields


def _keep(names: Iterable[str], archive: Archive, store: ImageStore, limits: FileLimits) -> dict[str, str]:
    """Store each picture of a document, and return its SHA-256 in the store."""
    members = {name: f"images/{name}.png" for name in dict.fromkeys(names) if not store.use(name)}
    if any(member not in archive for member in members.values()):
        raise InputError("The project file lacks a picture that its document names.", param="file")
    # All headers are checked before the first picture is decoded.
    sizes = [picture_size(archive.read(member, limits.image_bytes), limits.image) for member in members.values()]
    if sum(width * height for width, height in sizes) > limits.pixels:
        raise InputError(TOO_LARGE, param="file")
    kept: dict[str, str] = {}
    for name, member in members.items():
        kept[name] = store.put(encode_png(decoded(archive.read(member, limits.image_bytes), limits.image)))
    return kept


def _is_newer(version: object, known: int) -> bool:
    return isinstance(version, int) and version > known


def _format_of(fields: dict[str, Any]) -> object:
    document: object = fields.get("document")
    return cast(dict[str, Any], document).get("format") if isinstance(document, dict) else None


# Importing layered files, as layers or as a new project.


@dataclass(frozen=True, kw_only=True)
class KeptStack:
    """The layers of a file, bottom first, its canvas in pixels, and warnings about what was not imported."""

    kind: FileKind
    width: int
    height: int
    layers: list[StoredLayer]
    groups: Groups
    warnings: list[str]
    merged: str | None = None
    """The SHA-256 of their composite."""


@dataclass(frozen=True, kw_only=True)
class ReadProject:
    """The parts of a new project from a file; see `ProjectDraft`."""

    name: str
    document: dict[str, Any]
    thumbnail: str | None
    lost: list[str]
    warnings: list[str]

    @property
    def draft(self) -> ProjectDraft:
        return ProjectDraft(name=self.name, document=self.document, thumbnail=self.thumbnail, lost=self.lost)


def read_as_project(file: Path, data_dir: Path, limits: FileLimits, name: str) -> ReadProject:
    """Return the project of a project file; from another layered file, make one called `name`.

    Raises `InputError`, `DiskFullError`.
    """
    with file.open("rb") as content:
        if kind_of(content) in {"project", None}:
            draft = read_project(content, ImageStore(data_dir), limits)
            assert not isinstance(draft.document, DocumentText)  # because it was read from a file
            return ReadProject(
                name=draft.name,
                document=dict(draft.document),
                thumbnail=draft.thumbnail,
                lost=list(draft.lost),
                warnings=[],
            )
    stack = keep_layers(file, data_dir, limits, merge=True)
    return ReadProject(name=name, document=_document(stack), thumbnail=None, lost=[], warnings=stack.warnings)


def keep_layers(file: Path, data_dir: Path, limits: FileLimits, *, merge: bool = False) -> KeptStack:
    """Store the layers of a file in `data_dir`, one at a time, and with `merge` also their composite.

    Raises `InputError`, `DiskFullError`.
    """
    store = ImageStore(data_dir)
    with file.open("rb") as content:
        read = read_layers(content, limits)
        layers: list[StoredLayer] = []
        with Painting(read.width, read.height, groups=read.groups) as painting:
            for layer in read.layers:
                layers.append(kept_layer(layer, store))
                if merge:
                    painting.add(layer)
            merged = store.put(encode_png(painting.picture())) if merge else None
    return KeptStack(
        kind=read.kind,
        width=read.width,
        height=read.height,
        layers=layers,
        groups=read.groups,
        warnings=read.warnings,
        merged=merged,
    )


def _document(stack: KeptStack) -> dict[str, Any]:
    """Return a document that contains only a stack; the page completes it."""
    layers: list[dict[str, Any]] = []
    for layer in stack.layers:
        fields = layer.model_dump()
        layers.append({"image": address_of(fields.pop("sha256")), **fields})
    picture = address_of(stack.merged) if stack.merged else None
    groups = {label: group.model_dump() for label, group in stack.groups.items()}
    return {"width": stack.width, "height": stack.height, "picture": picture, "layers": layers, "groups": groups}
