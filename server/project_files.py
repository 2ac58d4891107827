"""A project as one file: a ZIP of `project.json` and the pictures that it uses, `images/{sha256}.png`."""

import io
import json
import lzma
import tempfile
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO, Any, cast

from pydantic_core import from_json

from llm_dit.errors import ImageError, InputError
from llm_dit.images import ImageLimits, read_image
from llm_dit.png import encode_png
from server.errors import NotFoundError
from server.projects import ADDRESS, MAX_DOCUMENT_BYTES, Project, ProjectDraft, images_in
from server.store import SHA256, ImageStore, disk_full_told

FORMAT, VERSION = "llm-dit project", 1
END_RECORD_BYTES = 65_536 + 22
"""The end record of a ZIP with the longest comment."""
MAX_DIRECTORY_BYTES = 2_000_000
"""Of the list of contents: some ten thousand pictures."""
DAMAGED = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
)
TOO_LARGE = "The project file holds more pictures, or larger ones, than are taken in: export it without old versions."
NEWER = "A newer version of llm-dit has written this project file: open it with that version."
NOT_ONE = "This is not a project file: export one from a project, and send it as it is."


@dataclass(frozen=True, kw_only=True)
class FileLimits:
    """The largest picture in a file, in pixels and in bytes, and what all pictures may have together."""

    image: ImageLimits
    image_bytes: int
    total_bytes: int
    total_pixels: int


def write_project(project: Project, store: ImageStore) -> tuple[IO[bytes], list[str]]:
    """Return a project as an open temporary file, at its start, and the SHA-256 of pictures that the store has lost.

    Closing the file removes it.
    """
    file = tempfile.TemporaryFile(dir=store.data_dir)  # noqa: SIM115 - whoever sends it closes it
    missing: list[str] = []
    # PNG does not get smaller.
    with disk_full_told(), zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for sha256 in project.images:
            try:
                archive.writestr(f"images/{sha256}.png", store.read(sha256))
            except NotFoundError:
                missing.append(sha256)
        about = {"format": FORMAT, "version": VERSION, "name": project.name, "thumbnail": project.thumbnail}
        about |= {"missing": missing} if missing else {}
        # The document goes from the database into the file as it stands.
        content = f'{json.dumps(about, ensure_ascii=False)[:-1]}, "document": {project.document}}}'
        archive.writestr("project.json", content)
    file.seek(0)
    return file, missing


def read_project(file: IO[bytes], store: ImageStore, limits: FileLimits) -> ProjectDraft:
    """Put the pictures of a project file into the store and return what the project is to hold.

    Every picture is decoded and written anew, so that nothing else comes in with it. Raises `InputError`.
    """
    try:
        _check_directory(file)
        with zipfile.ZipFile(file) as archive:
            about = _about(archive)
            document, thumbnail = json.dumps(about["document"], ensure_ascii=False), about.get("thumbnail")
            lost: list[str] = about.get("missing", [])
            named = [*images_in(document), *([thumbnail] if thumbnail else [])]
            kept = _Pictures(archive, store, limits).keep(name for name in named if name not in lost)
    except DAMAGED:
        raise InputError(NOT_ONE, param="file") from None
    document = ADDRESS.sub(lambda address: f"/api/images/{kept.get(address[1], address[1])}.png", document)
    return ProjectDraft(
        name=about["name"],
        document=json.loads(document),
        thumbnail=kept.get(thumbnail) if thumbnail else None,
        lost=lost,
    )


def _check_directory(file: IO[bytes]) -> None:
    """Refuse a list of contents too long to be ours before it is read into memory (APPNOTE.TXT 4.3.16)."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - END_RECORD_BYTES))
    end = file.read()
    at = end.rfind(b"PK\x05\x06")
    if at < 0 or len(end) < at + 16 or int.from_bytes(end[at + 12 : at + 16], "little") > MAX_DIRECTORY_BYTES:
        raise InputError(NOT_ONE, param="file")
    file.seek(0)


def _about(archive: zipfile.ZipFile) -> dict[str, Any]:
    """Return what `project.json` says, with its parts of the right kind."""
    if "project.json" not in archive.namelist() or archive.getinfo("project.json").file_size > 2 * MAX_DOCUMENT_BYTES:
        raise InputError(NOT_ONE, param="file")
    # As strict as with requests: no NaN, no lone surrogates, no endless depth.
    about: object = from_json(archive.read("project.json"), allow_inf_nan=False)
    if not isinstance(about, dict):
        raise InputError(NOT_ONE, param="file")
    fields = cast(dict[str, Any], about)
    name, document, thumbnail = fields.get("name"), fields.get("document"), fields.get("thumbnail")
    well_formed = isinstance(name, str) and 0 < len(name.strip()) <= len(name) <= 200 and isinstance(document, dict)
    picture = thumbnail is None or (isinstance(thumbnail, str) and SHA256.fullmatch(thumbnail) is not None)
    missing = fields.get("missing", [])
    told = isinstance(missing, list) and all(isinstance(name, str) for name in cast(list[object], missing))
    version = fields.get("version")
    if fields.get("format") == FORMAT and isinstance(version, int) and version > VERSION:
        raise InputError(NEWER, param="file")
    if fields.get("format") != FORMAT or version != VERSION or not well_formed or not picture or not told:
        raise InputError(NOT_ONE, param="file")
    return fields


class _Pictures:
    """The pictures of one file on their way into the store, within limits for one and for all of them."""

    def __init__(self, archive: zipfile.ZipFile, store: ImageStore, limits: FileLimits) -> None:
        self._archive = archive
        self._store = store
        self._limits = limits
        self._bytes = self._pixels = 0

    def keep(self, names: Iterable[str]) -> dict[str, str]:
        """Return under which SHA-256 the store holds each picture that a document names."""
        return {name: name if self._store.use(name) else self._keep(name) for name in dict.fromkeys(names)}

    def _keep(self, name: str) -> str:
        try:
            entry = self._archive.getinfo(f"images/{name}.png")
        except KeyError:
            raise InputError("The project file lacks a picture that its document names.", param="file") from None
        self._bytes += entry.file_size
        if entry.file_size > self._limits.image_bytes or self._bytes > self._limits.total_bytes:
            raise InputError(TOO_LARGE, param="file")
        try:
            image = read_image(self._archive.read(entry), self._limits.image)
        except ImageError as error:
            raise InputError(f"A picture of the project file will not do. {error.message}", param="file") from None
        self._pixels += image.width * image.height
        if self._pixels > self._limits.total_pixels:
            raise InputError(TOO_LARGE, param="file")
        return self._store.put(encode_png(image))
