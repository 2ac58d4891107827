"""Files of layers and projects in requests: which types are taken, how large they may be, and taking them in."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import anyio.to_thread
from fastapi import Request

from llm_dit.images import ImageLimits
from llm_dit.imports.layer_file import FileLimits
from server.settings import ServerSettings
from web.bodies.json_routes import media_type
from web.errors import UnsupportedMediaTypeError
from web.state import State

ZIP_TYPE = "application/zip"
FILE_TYPES = (
    ZIP_TYPE,
    "application/x-zip-compressed",
    "image/openraster",
    "image/vnd.adobe.photoshop",
    "image/x-photoshop",
    "application/octet-stream",
)
"""What browsers and programs call such files; the content alone decides what one is."""
UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {name: {"schema": {"type": "string", "format": "binary"}} for name in FILE_TYPES},
    }
}
MAX_FILE_STACKS = 4
"""A file may hold as many pixels as so many of the largest stacks: layers with their versions."""


def require_file(request: Request) -> None:
    """Refuse what a foreign web page can send unasked: forms and plain text."""
    if media_type(request) not in FILE_TYPES:
        raise UnsupportedMediaTypeError(", ".join(FILE_TYPES))


@contextlib.asynccontextmanager
async def received(request: Request, state: State) -> AsyncGenerator[Path]:
    """Lend a body as a file, which is gone afterwards."""
    async with state["transit"].folder() as folder:
        await receive(request.stream(), folder / "file")
        yield folder / "file"


def layer_limits(settings: ServerSettings) -> FileLimits:
    return FileLimits(
        image=ImageLimits(max_pixels=settings.max_pixels, max_side=settings.max_side),
        image_bytes=int(settings.max_body_mb * 1024 * 1024),
        pixels=MAX_FILE_STACKS * settings.stack_pixels,
    )


PIECE = 1 << 20
"""Bytes that are gathered before they are worth a thread's time."""


async def receive(body: AsyncIterator[bytes], path: Path) -> None:
    """Write a body to a new file."""
    buffer = bytearray()
    with path.open("wb") as file:
        async for piece in body:
            buffer += piece
            if len(buffer) >= PIECE:
                await anyio.to_thread.run_sync(file.write, bytes(buffer))
                buffer.clear()
        await anyio.to_thread.run_sync(file.write, bytes(buffer))
