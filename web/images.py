"""Pictures in requests and responses: base64, data URLs, addresses of stored pictures, and downloads."""

import base64
import binascii
import dataclasses
import io
import os
import re
import secrets
import unicodedata
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote

import anyio.to_thread
from fastapi import Response
from PIL import Image
from pydantic import BaseModel
from starlette.responses import StreamingResponse

from llm_dit.images import ImageLimits
from llm_dit.names import file_stem
from server.engines import Engine
from server.pool.tasks import GivenPicture, StackLimits
from server.projects.projects import ADDRESS
from server.settings import ServerSettings
from web.bodies.large_json import LongText
from web.door.hosts import located

MIN_JOB_SIDE = 2
"""Pixels; in a line or a dot there is nothing to decompose or to edit."""


@dataclass(frozen=True)
class Picture:
    """A picture of a request; `param` is its field."""

    source: str | LongText
    param: str = "image"

    def given(self, folder: Path) -> GivenPicture:
        """Return the picture for a pool process; uploaded data goes into a file in `folder`."""
        file = folder / self.param
        if isinstance(self.source, LongText):
            self.source.write_to(file)
        elif address := ADDRESS.fullmatch(self.source):
            return GivenPicture(sha256=address[1], param=self.param)
        else:
            file.write_text(self.source, "utf-8", "replace")
        return GivenPicture(file=file, as_text=True, param=self.param)


def image_limits(settings: ServerSettings) -> ImageLimits:
    return ImageLimits(max_pixels=settings.max_pixels, max_side=settings.max_side)


def job_limits(settings: ServerSettings, engine: Engine, output_size: str) -> ImageLimits:
    """Return the engine's limits, so that pictures are refused before they wait in the queue."""
    max_aspect = engine.max_model_aspect if output_size == "model" else engine.max_aspect
    return dataclasses.replace(image_limits(settings), min_side=MIN_JOB_SIDE, max_aspect=max_aspect)


def stack_limits(settings: ServerSettings) -> StackLimits:
    return StackLimits(image=image_limits(settings), total_pixels=settings.stack_pixels)


def address_of(sha256: str) -> str:
    return located(f"/api/images/{sha256}.png")


def sample_data_url() -> str:
    """Return a tiny picture for the examples of the documentation."""
    buffer = io.BytesIO()
    Image.new("RGB", (2, 2), "white").save(buffer, "PNG")
    return DATA_URL + base64.b64encode(buffer.getvalue()).decode("ascii")


# Responses are read from files while they are sent: a slow client holds a few pieces in memory, not whole pictures.

PIECE = 98_304
"""Bytes to read at a time, a multiple of three for base64."""
DATA_URL = "data:image/png;base64,"


class Inlined:
    """Placeholders for pictures in a JSON response, replaced by data URLs while it is sent: `prefix` and base64."""

    def __init__(self, prefix: str = DATA_URL) -> None:
        self._prefix = prefix.encode()
        # Nobody can guess it, so text in the response, such as a prompt, cannot contain a placeholder.
        self._mark = secrets.token_hex(16)

    def url(self, name: str) -> str:
        """Return the placeholder of a picture; `name` is its SHA-256, or another word of letters and digits."""
        return f"{self._mark}:{name};"

    def answer(self, content: BaseModel, files: Mapping[str, Path | IO[bytes]]) -> Response:
        """Return the response; `files` are the files of its placeholders, open or to be opened in their turn.

        Raises `OSError` if one is missing.
        """
        parts = re.split(f"{self._mark}:([0-9A-Za-z]+);", content.model_dump_json())
        words, names = [part.encode() for part in parts[::2]], parts[1::2]
        encoded = (len(self._prefix) + 4 * ((_size(files[name]) + 2) // 3) for name in names)
        length = sum(map(len, words)) + sum(encoded)

        async def pieces() -> AsyncGenerator[bytes]:
            yield words[0]
            for name, after in zip(names, words[1:], strict=True):
                yield self._prefix
                async for piece in read_pieces(files[name]):
                    yield binascii.b2a_base64(piece, newline=False)
                yield after

        return StreamingResponse(pieces(), headers={"Content-Length": str(length)}, media_type="application/json")


def file_answer(file: IO[bytes], media_type: str, headers: Mapping[str, str]) -> Response:
    """Return an open file as a response, which closes it."""
    length = {"Content-Length": str(_size(file))}
    return StreamingResponse(read_pieces(file), headers={**headers, **length}, media_type=media_type)


async def read_pieces(file: Path | IO[bytes]) -> AsyncGenerator[bytes]:
    """Yield a file in pieces, and close it."""
    with await anyio.to_thread.run_sync(file.open, "rb") if isinstance(file, Path) else file as opened:
        while piece := await anyio.to_thread.run_sync(opened.read, PIECE):
            yield piece


def _size(file: Path | IO[bytes]) -> int:
    return file.stat().st_size if isinstance(file, Path) else os.fstat(file.fileno()).st_size


# Downloads, with names that every system accepts.


def saved_as(stem: str, suffix: str) -> dict[str, str]:
    """Return the header with a file's name; names beyond ASCII follow RFC 6266 and RFC 8187."""
    ascii_stem = file_stem(unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode(), "file")
    disposition = f'attachment; filename="{ascii_stem}{suffix}"'
    if ascii_stem != stem:
        disposition += f"; filename*=UTF-8''{quote(stem + suffix, safe='')}"
    return {"Content-Disposition": disposition}
