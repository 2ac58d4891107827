"""Files of layers and projects in requests: which types are taken, how large they may be, and taking them in."""

import contextlib
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import IO, Any

from fastapi import Request

from llm_dit.images import ImageLimits
from llm_dit.imports.layer_file import FileLimits
from server.settings import ServerSettings
from server.store import disk_full_told
from web.body import media_type
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
CHUNK_BYTES = 1 << 20


def require_file(request: Request) -> None:
    """Refuse what a foreign web page can send unasked: forms and plain text."""
    if media_type(request) not in FILE_TYPES:
        raise UnsupportedMediaTypeError(", ".join(FILE_TYPES))


@contextlib.asynccontextmanager
async def received(request: Request, state: State) -> AsyncGenerator[Path]:
    """Lend a body as a file, which is gone afterwards."""
    folder = state["settings"].server.data_dir
    with disk_full_told(), tempfile.NamedTemporaryFile(dir=folder, suffix=".part") as file:
        await _receive(request, file, state)
        yield Path(file.name)


async def _receive(request: Request, file: IO[bytes], state: State) -> None:
    """Write a body to a file as it comes, in pieces large enough to be worth a thread's time."""
    buffer = bytearray()
    async for piece in request.stream():
        buffer += piece
        if len(buffer) >= CHUNK_BYTES:
            await state["offload"](lambda content=bytes(buffer): file.write(content))
            buffer.clear()
    await state["offload"](lambda: file.write(buffer))
    await state["offload"](file.flush)


def layer_limits(settings: ServerSettings) -> FileLimits:
    return FileLimits(
        image=ImageLimits(max_pixels=settings.max_pixels, max_side=settings.max_side),
        image_bytes=int(settings.max_body_mb * 1024 * 1024),
        pixels=MAX_FILE_STACKS * settings.stack_pixels,
    )
