"""The files of the page, compressed once."""

import gzip
import os
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import ClassVar

from fastapi import Response
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import Headers
from starlette.staticfiles import NotModifiedResponse
from starlette.types import Scope

STATIC = Path(__file__).parents[1] / "static"


class PageFiles(StaticFiles):
    """The files of the page. They carry an ETag and are asked for again each time, so an update shows at once.

    Text is compressed for clients that accept gzip, and not minified: a browser's tools show the source.
    """

    # What a system's own table calls a module decides whether a browser runs it.
    TYPES: ClassVar[dict[str, str]] = {
        ".js": "text/javascript; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".json": "application/json",
        ".svg": "image/svg+xml",
        ".webp": "image/webp",
        ".webmanifest": "application/manifest+json",
    }
    TEXT: ClassVar[frozenset[str]] = frozenset(TYPES) - {".webp"}

    def __init__(self) -> None:
        super().__init__(directory=STATIC)

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        path, asked = Path(full_path), Headers(scope=scope)
        if path.suffix not in self.TEXT:
            return super().file_response(full_path, stat_result, scope, status_code)
        if "gzip" in asked.get("accept-encoding", ""):
            body, headers = compressed(path, stat_result.st_mtime_ns), {"Content-Encoding": "gzip"}
        else:
            body, headers = path.read_bytes(), {}
        headers |= {"ETag": f'"{sha256(body).hexdigest()[:32]}"', "Vary": "Accept-Encoding"}
        response = Response(body, status_code, headers)
        if self.is_not_modified(response.headers, asked):
            return NotModifiedResponse(response.headers)
        return response

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        if response.status_code == 200 and Path(path).suffix in self.TYPES:
            response.headers["Content-Type"] = self.TYPES[Path(path).suffix]
        return response


@lru_cache(maxsize=512)
def compressed(path: Path, changed: int) -> bytes:
    """A file in gzip's form; `changed` is when, so an update is read again."""
    return gzip.compress(path.read_bytes(), mtime=0)
