"""Files on their way between the service and its pool, which gets paths and no pixels."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import BinaryIO

from server.storage.images import disk_full_told


class Transit:
    """A folder below the data folder with one folder for each request that is being worked on."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "transit"

    @contextlib.asynccontextmanager
    async def folder(self) -> AsyncGenerator[Path]:
        """Lend a folder that is removed with all that is in it; raises `DiskFullError`, also for the block."""
        with disk_full_told():
            path = await asyncio.to_thread(self._new)
            try:
                yield path
            finally:
                # Windows keeps what is still open; `clean` has it then.
                await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)

    def clean(self, before: float) -> None:
        """Remove what a process left that ended in the middle of a request, before a time in seconds since 1970."""
        for path in self._folder.glob("*"):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < before:
                    shutil.rmtree(path)

    def _new(self) -> Path:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=self._folder))


def take_out(path: Path) -> BinaryIO:
    """Open a file that outlives its folder: on POSIX a file lives as long as it is open."""
    file = path.open("rb")
    with contextlib.suppress(OSError):
        path.unlink()
    return file
