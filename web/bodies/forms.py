"""Forms with files, `multipart/form-data`: pictures go straight to disk, and texts are short."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import anyio.to_thread
from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException

from server.storage.images import disk_full_told
from web.bodies.reading import PIECE, media_type
from web.errors import UnsupportedMediaTypeError

FORM_TYPE = "multipart/form-data"
MAX_PARTS = 128
MAX_TEXT_BYTES = 16_384
"""Of one text field: a prompt of 4,000 characters takes no more."""
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}(\[\])?")


class FormError(HTTPException):
    """A form that cannot be read."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(status, message)


@dataclass(frozen=True)
class FormFile:
    """A part that is a picture: a file, or `as_text` base64, a data URL or an address."""

    name: str
    path: Path
    as_text: bool


@dataclass
class Form:
    """The parts of a form in the order in which they came; of a text that comes twice, the last one counts."""

    texts: dict[str, str] = field(default_factory=dict[str, str])
    files: list[FormFile] = field(default_factory=list[FormFile])


async def read_form(request: Request, folder: Path, pictures: Collection[str]) -> Form:
    """Return the form in a request's body; raises `HTTPException` when it is not one, or is beyond the bounds.

    Parts whose name is in `pictures`, with or without `[]`, and all others that are files, are written to `folder`.
    """
    if media_type(request) != FORM_TYPE:
        raise UnsupportedMediaTypeError(FORM_TYPE)
    boundary = parse_options_header(request.headers["content-type"])[1].get(b"boundary", b"")
    reader = _Reader(boundary, folder, pictures)
    gathered = bytearray()
    try:
        with disk_full_told():
            async for piece in request.stream():
                gathered += piece
                if len(gathered) >= PIECE:
                    await anyio.to_thread.run_sync(reader.write, bytes(gathered))
                    gathered.clear()
            await anyio.to_thread.run_sync(reader.write, bytes(gathered))
    except FormParserError:
        raise FormError(f"The body is no valid {FORM_TYPE}: let your HTTP library write it.") from None
    finally:
        reader.close()
    if not reader.complete:
        raise FormError(f"The {FORM_TYPE} body ends too early: send it whole, and let your HTTP library write it.")
    return reader.form


class _Reader:
    def __init__(self, boundary: bytes, folder: Path, pictures: Collection[str]) -> None:
        if not boundary:
            raise FormError(f"Content-Type: {FORM_TYPE} needs its boundary: let your HTTP library write it.")
        self.form = Form()
        self.complete = False
        self._folder = folder
        self._pictures = pictures
        self._parts = 0
        self._header, self._value, self._disposition = bytearray(), bytearray(), b""
        self._name = ""
        self._text = bytearray()
        self._file: IO[bytes] | None = None
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                "on_header_end": self._end_header,
                "on_headers_finished": self._open,
                "on_part_data": self._take,
                "on_part_end": self._end,
                "on_end": self._finish,
            },
        )

    def write(self, piece: bytes) -> None:
        self._parser.write(piece)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise FormError(f"A form may have at most {MAX_PARTS} parts: leave some out.", 422)
        self._disposition = b""

    def _end_header(self) -> None:
        if bytes(self._header).lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _open(self) -> None:
        options = parse_options_header(self._disposition)[1]
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if not _PLAIN_NAME.fullmatch(name):
            raise FormError("Each part of the form needs a name of letters, digits and _.")
        self._name = name.removesuffix("[]")
        self._text.clear()
        has_file = b"filename" in options
        if has_file or self._name in self._pictures:
            # A client's name for a file goes nowhere near the disk.
            part = FormFile(self._name, self._folder / f"part{self._parts}", as_text=not has_file)
            self.form.files.append(part)
            self._file = part.path.open("wb")

    def _take(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(data[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > MAX_TEXT_BYTES:
            raise FormError(f"{self._name} is longer than {MAX_TEXT_BYTES} bytes: shorten it.", 422)

    def _end(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        else:
            self.form.texts[self._name] = self._text.decode("utf-8", "replace")

    def _finish(self) -> None:
        self.complete = True
