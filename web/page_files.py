"""The files of the page, as small as they can be without a build."""

import os
from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import ClassVar

from fastapi import Response
from fastapi.staticfiles import StaticFiles
from rcssmin import cssmin
from rjsmin import jsmin
from starlette.datastructures import Headers
from starlette.staticfiles import NotModifiedResponse
from starlette.types import Scope

STATIC = Path(__file__).parents[1] / "static"


class PageFiles(StaticFiles):
    """The files of the page. They carry an ETag and are asked for again each time, so an update shows at once.

    Modules and style sheets go out without the comments and the white space that only readers of the source need. Names
    stay as they are written, so what a browser's tools show is the source.
    """

    # What a system's own table calls a module decides whether a browser runs it.
    TYPES: ClassVar[dict[str, str]] = {
        ".js": "text/javascript; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".svg": "image/svg+xml",
        ".webp": "image/webp",
        ".webmanifest": "application/manifest+json",
    }
    SHORTENERS: ClassVar[dict[str, Callable[[str], str]]] = {".js": jsmin, ".css": cssmin}

    def __init__(self) -> None:
        super().__init__(directory=STATIC)

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        if Path(full_path).suffix not in self.SHORTENERS:
            return super().file_response(full_path, stat_result, scope, status_code)
        body = shortened(Path(full_path), stat_result.st_mtime_ns)
        response = Response(body, status_code, {"ETag": f'"{sha256(body).hexdigest()[:32]}"'})
        if self.is_not_modified(response.headers, Headers(scope=scope)):
            return NotModifiedResponse(response.headers)
        return response

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        if response.status_code == 200 and Path(path).suffix in self.TYPES:
            response.headers["Content-Type"] = self.TYPES[Path(path).suffix]
        return response


@lru_cache(maxsize=512)
def shortened(path: Path, changed: int) -> bytes:
    """A module or a style sheet without comments and white space; `changed` is when, so an update is read again."""
    return PageFiles.SHORTENERS[path.suffix](path.read_text(encoding="utf-8")).encode()
