"""A project as one file: a ZIP of `project.json` and the pictures that it uses, `images/{sha256}.png`."""

import json
import re
import tempfile
import zipfile
from dataclasses import dataclass
from typing import IO, Any, cast

from llm_dit.errors import ImageError, InputError
from llm_dit.images import ImageLimits, read_image
from llm_dit.png import encode_png
from server.projects import ADDRESS, MAX_DOCUMENT_BYTES, Project, ProjectDraft, images_in
from server.store import ImageStore, disk_full_told

FORMAT = "llm-dit project"
MAX_IMAGES = 5000
NOT_ONE = "This is not a project file: export one from a project, and send it as it is."
_PICTURE = re.compile(r"images/([0-9a-f]{64})\.png")


@dataclass(frozen=True, kw_only=True)
class FileLimits:
    """The largest picture in a file, and the bytes that all pictures may have together when unpacked."""

    image: ImageLimits
    total_bytes: int


def write_project(project: Project, store: ImageStore) -> IO[bytes]:
    """Return a project as an open temporary file, at its start; closing removes it."""
    file = tempfile.TemporaryFile(dir=store.folder)  # noqa: SIM115 - whoever sends it closes it
    about = {
        "format": FORMAT,
        "version": 1,
        "name": project.name,
        "thumbnail": project.thumbnail,
        "document": project.document,
    }
    # PNG does not get smaller.
    with disk_full_told(), zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("project.json", json.dumps(about, ensure_ascii=False))
        for sha256 in project.images:
            archive.writestr(f"images/{sha256}.png", store.read(sha256))
    file.seek(0)
    return file


def read_project(file: IO[bytes], store: ImageStore, limits: FileLimits) -> ProjectDraft:
    """Put the pictures of a project file into the store and return what the project is to hold.

    Every picture is decoded and written anew, so that nothing else comes in with it. Raises `InputError`.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            about = _about(archive)
            _check_size(archive, limits)
            document = json.dumps(about["document"], ensure_ascii=False)
            thumbnail = about.get("thumbnail")
            for sha256 in {*images_in(document), *([thumbnail] if thumbnail else [])}:
                kept = _keep(archive, sha256, store, limits.image)
                document = document.replace(sha256, kept)
                thumbnail = kept if thumbnail == sha256 else thumbnail
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, EOFError, OSError):
        raise InputError(NOT_ONE, param="file") from None
    return ProjectDraft(name=about["name"], document=json.loads(document), thumbnail=thumbnail)


def _about(archive: zipfile.ZipFile) -> dict[str, Any]:
    """Return what `project.json` says, with its parts of the right kind."""
    if "project.json" not in archive.namelist() or archive.getinfo("project.json").file_size > 2 * MAX_DOCUMENT_BYTES:
        raise InputError(NOT_ONE, param="file")
    try:
        about: object = json.loads(archive.read("project.json"))
    except (ValueError, RecursionError):
        raise InputError(NOT_ONE, param="file") from None
    if not isinstance(about, dict):
        raise InputError(NOT_ONE, param="file")
    fields = cast(dict[str, Any], about)
    name, document, thumbnail = fields.get("name"), fields.get("document"), fields.get("thumbnail")
    well_formed = isinstance(name, str) and 0 < len(name) <= 200 and isinstance(document, dict)
    picture = thumbnail is None or (isinstance(thumbnail, str) and ADDRESS.fullmatch(f"/api/images/{thumbnail}.png"))
    if fields.get("format") != FORMAT or not well_formed or not picture:
        raise InputError(NOT_ONE, param="file")
    return fields


def _check_size(archive: zipfile.ZipFile, limits: FileLimits) -> None:
    pictures = [entry for entry in archive.infolist() if _PICTURE.fullmatch(entry.filename)]
    if len(pictures) > MAX_IMAGES or sum(entry.file_size for entry in pictures) > limits.total_bytes:
        most = f"{MAX_IMAGES} pictures or {limits.total_bytes / 1e6:.0f} MB of them"
        raise InputError(f"The project file holds more than {most}: export it without old versions.", param="file")


def _keep(archive: zipfile.ZipFile, sha256: str, store: ImageStore, limits: ImageLimits) -> str:
    """Return the SHA-256 under which the store holds a picture of the file."""
    if sha256 in store:
        return sha256
    try:
        entry = archive.getinfo(f"images/{sha256}.png")
    except KeyError:
        raise InputError("The project file lacks a picture that its document names.", param="file") from None
    try:
        return store.put(encode_png(read_image(archive.read(entry), limits)))
    except ImageError as error:
        raise InputError(f"A picture of the project file will not do. {error.message}", param="file") from None
