"""How routes read a body: JSON off the event loop, files and forms straight to disk; needless ones are refused."""

import contextlib
import email.message
import re
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import anyio.to_thread
from fastapi import Request, Response
from fastapi.routing import APIRoute
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException

from llm_dit.images import ImageLimits
from llm_dit.imports.layer_file import FileLimits
from server.errors import TaskMemoryError
from server.pool.pool import Lane
from server.projects.projects import DocumentText
from server.settings import ServerSettings
from server.storage.images import disk_full_told
from web.bodies.large_json import (
    BUDGET,
    DOCUMENT,
    JsonLimits,
    JsonSieve,
    ReadRequest,
    TooComplexError,
    read_request,
    read_request_file,
)
from web.bodies.limits import Size
from web.door.hosts import current_prefix, without_prefix
from web.errors import UnsupportedMediaTypeError
from web.state import State, client_of, state_of

TOO_COMPLEX = (
    "The request's JSON has more values, or longer texts, than anything that this address takes: send pictures as one "
    "string each, and nothing that is not asked for."
)
SMALL_BODY = 65_536
"""Most bytes to parse on the event loop; a thread would take longer to start."""
PIECE = 262_144
"""Bytes to collect before a thread is worth its time."""
LIMITS = {
    Size.SMALL: JsonLimits(structure=16_384, text=65_536),
    Size.PICTURES: JsonLimits(structure=131_072, text=8_000_000),
}
"""256 layers with all fields have up to 110 kB of structure."""


async def gathered(body: AsyncIterator[bytes], size: int) -> AsyncGenerator[bytes]:
    """Yield a body in pieces of at least `size` bytes, and what is left in the end."""
    buffer = bytearray()
    async for piece in body:
        buffer += piece
        if len(buffer) >= size:
            yield bytes(buffer)
            buffer.clear()
    if buffer:
        yield bytes(buffer)


class JsonRequest(Request):
    """A request whose JSON is parsed by pydantic: no NaN, no lone surrogates, limited depth.

    It is filtered while it arrives, so that pictures are never in memory and nothing large is parsed.
    """

    def __init__(self, request: Request, size: Size) -> None:
        super().__init__(request.scope, request.receive)
        self._sieve = JsonSieve(LIMITS[size], self._new_file)

    async def body(self) -> bytes:
        """Return a non-empty value if there is a body: FastAPI checks this before it asks for the JSON."""
        with disk_full_told():
            async for piece in gathered(self.stream(), PIECE):
                await self._feed(piece)
        return b"{" if self._sieve.size else b""

    async def json(self) -> Any:
        self._sieve.replace(without_prefix)
        try:
            if self._sieve.size <= SMALL_BODY:
                return self._sieve.value()
            return await state_of(self)["offload"](self._sieve.value)
        except ValueError:
            raise HTTPException(400) from None

    def close_file(self) -> None:
        self._sieve.close()

    async def _feed(self, piece: bytes) -> None:
        try:
            if len(piece) <= SMALL_BODY:
                self._sieve.feed(piece)
            else:
                await anyio.to_thread.run_sync(self._sieve.feed, piece)
        except TooComplexError:
            raise HTTPException(422, TOO_COMPLEX) from None
        except ValueError:
            raise HTTPException(400) from None

    def _new_file(self) -> IO[bytes]:
        return tempfile.TemporaryFile(dir=state_of(self)["settings"].server.data_dir)


class DocumentRequest(Request):
    """A request whose JSON contains a project's document, which becomes a `DocumentText`."""

    def __init__(self, request: Request) -> None:
        super().__init__(request.scope, request.receive)

    async def json(self) -> Any:
        content = await self.body()
        read, text = await (self._read_apart(content) if len(content) > SMALL_BODY else self._read(content))
        if read.fault:
            raise HTTPException(422, TOO_COMPLEX) if read.fault == "complex" else HTTPException(400)
        if read.layer_count is None:
            return read.fields
        return {**read.fields, DOCUMENT: DocumentText(text=text, layer_count=read.layer_count)}

    async def _read(self, content: bytes) -> tuple[ReadRequest, str]:
        return read_request(content)

    async def _read_apart(self, content: bytes) -> tuple[ReadRequest, str]:
        state = state_of(self)
        async with state["transit"].folder() as folder:
            await anyio.to_thread.run_sync((folder / "body").write_bytes, content)
            try:
                read = await state["pool"].run(Lane.QUICK, BUDGET, read_request_file, folder, current_prefix())
            except TaskMemoryError:
                return ReadRequest(fault="complex"), ""
            text = await anyio.to_thread.run_sync(lambda: (folder / DOCUMENT).read_text(encoding="utf-8"))
        return read, text


class JsonRoute(APIRoute):
    """A route that accepts only `application/json`, because a foreign web page can send other types."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            if self.body_field is None:
                return await handler(request)
            self.check(request)
            size = getattr(self.endpoint, "takes", Size.SMALL)
            if size is Size.DOCUMENT:
                return await handler(DocumentRequest(request))
            given = JsonRequest(request, size)
            try:
                return await handler(given)
            finally:
                given.close_file()

        return handle

    def check(self, request: Request) -> None:
        if media_type(request) != "application/json":
            raise UnsupportedMediaTypeError("application/json")


class JobRoute(JsonRoute):
    """A route that accepts a job: if the queue is full it answers before reading the body."""

    def check(self, request: Request) -> None:
        super().check(request)
        state_of(request)["jobs"].require_room(client_of(request), request.headers.get("idempotency-key"))


def media_type(request: Request) -> str:
    """Return the request's content type without its parameters, in lower case."""
    message = email.message.Message()
    message["content-type"] = request.headers.get("content-type", "application/octet-stream")
    return message.get_content_type()


# Layered files and project files: accepted types, sizes, and reading.

ZIP_TYPE = "application/zip"
FILE_TYPES = (
    ZIP_TYPE,
    "application/x-zip-compressed",
    "image/openraster",
    "image/vnd.adobe.photoshop",
    "image/x-photoshop",
    "image/svg+xml",
    "application/octet-stream",
)
"""The types that browsers and programs send for such files; only the content determines the format."""


def upload(types: Sequence[str]) -> dict[str, Any]:
    """Return the OpenAPI description of a route with a file as its body."""
    content = {name: {"schema": {"type": "string", "format": "binary"}} for name in types}
    return {"requestBody": {"required": True, "content": content}}


UPLOAD = upload(FILE_TYPES)
MAX_FILE_STACKS = 4
"""A file may contain as many pixels as this many of the largest stacks: layers with their versions."""


def require_file(request: Request) -> None:
    """Refuse the types that a foreign web page can send: forms and plain text."""
    if media_type(request) not in FILE_TYPES:
        raise UnsupportedMediaTypeError(", ".join(FILE_TYPES))


@contextlib.asynccontextmanager
async def received(request: Request, state: State) -> AsyncGenerator[Path]:
    """Provide a body as a temporary file."""
    async with state["transit"].folder() as folder:
        await receive(request.stream(), folder / "file")
        yield folder / "file"


def layer_limits(settings: ServerSettings) -> FileLimits:
    return FileLimits(
        image=ImageLimits(max_pixels=settings.max_pixels, max_side=settings.max_side),
        image_bytes=int(settings.max_body_mb * 1024 * 1024),
        pixels=MAX_FILE_STACKS * settings.stack_pixels,
    )


FILE_PIECE = 1 << 20
"""Bytes to collect before a thread is worth its time."""


async def receive(body: AsyncIterator[bytes], path: Path) -> None:
    """Write a body to a new file."""
    with path.open("wb") as file:
        async for piece in gathered(body, FILE_PIECE):
            await anyio.to_thread.run_sync(file.write, piece)


# Forms with files, `multipart/form-data`: pictures go straight to disk, and texts are short.


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
    try:
        with disk_full_told():
            async for piece in gathered(request.stream(), PIECE):
                await anyio.to_thread.run_sync(reader.write, piece)
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
