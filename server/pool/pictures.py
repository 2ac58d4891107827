"""The service's tasks on pictures, stacks and projects, each with its lane and budget."""

import asyncio
import contextlib
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from llm_dit.errors import ImageError
from llm_dit.exports.formats import ExportName, TextForm
from llm_dit.images import ImageLimits, check_dimensions
from llm_dit.imports.layer_file import FileLimits
from llm_dit.layer import Box
from server.errors import TaskLostError, TaskMemoryError, TaskTimeError
from server.jobs.inputs import DecomposeInput, JobResult, restore_layers
from server.pool.pool import Lane, Pool
from server.pool.tasks import (
    NOT_HELD,
    CutStack,
    Flat,
    GivenPicture,
    GivenStack,
    HarmonizedStack,
    Hints,
    Intake,
    KeptPicture,
    Selection,
    keep_cut,
    keep_harmonized,
    keep_picture,
    keep_surroundings,
    named,
    write_composite,
    write_export,
    write_flat,
    write_selection,
)
from server.processes import Budget
from server.projects.files import KeptStack, ReadProject, keep_layers, read_as_project, write_project
from server.projects.projects import Project
from server.storage.images import ImageStore

P = ParamSpec("P")
T = TypeVar("T")

SMALL_BYTES = 262_144
"""A file up to this size is probably small, and is tried in the quick lane first."""
QUICK_COPY_BYTES = 8_000_000
"""Most pictures of a project that the quick lane copies into its file."""
MB = 1 << 20
QUICK = Budget(cpu_s=1.0, memory=160 * MB, wall_s=30)
MEMORY = 512 * MB
STACK = Budget(cpu_s=300, memory=768 * MB, wall_s=1800)
"""For a composite or a file of the largest stack."""
FILE = Budget(cpu_s=600, memory=768 * MB, wall_s=1800)
"""For the largest file."""
FILE_CPU_S, FILE_CPU_S_A_MB = 3.0, 30.0
"""The budget of any file, and more per million bytes: an empty layer of 16 megapixels has 47 kB and takes 1 s."""
SELECTION = Budget(cpu_s=60, memory=768 * MB, wall_s=300, kept=448 * MB)
"""For a selection in the largest stack; in a usual picture it takes a second or two.

A process keeps 350 MB afterwards: OpenCV holds the network, so that the next click finds it loaded.
"""
RESTORING = Budget(cpu_s=300, memory=2048 * MB, wall_s=1800)
"""For restoring ten layers at 16 megapixels; five layers of 12 megapixels take half of the memory and ten seconds."""
HARMONY = Budget(cpu_s=120, memory=1536 * MB, wall_s=600, kept=448 * MB)
"""For harmonizing a layer of the largest stack."""
CUT_BYTES = 60
"""Bytes per pixel of the canvas when a layer is cut from it."""
TOO_LONG = "The picture takes too long to decode: scale it down, or save it as PNG or as a plain JPEG."
TOO_MUCH = "The picture takes too much memory to decode: scale it down, or save it as JPEG."
UNREADABLE = "The picture cannot be decoded: it may be damaged. Save it again as PNG or JPEG."


def picture_budget(size: int) -> Budget:
    """Return the budget for decoding and re-encoding a file of this size in bytes.

    A photo of 16 million pixels takes 3 s on a slow core. Small files, of which anybody can send many, get less than
    3 s in all; larger ones take their sender effort, too.
    """
    cpu_s = 2.3 if size <= 1_000_000 else min(30.0, 8 + size / MB)
    return Budget(cpu_s=cpu_s, memory=MEMORY, wall_s=60 + 10 * cpu_s)


def file_budget(size: int) -> Budget:
    """Return the budget for reading a layered file of this size in bytes; a small file that needs much is an attack."""
    return replace(FILE, cpu_s=min(FILE.cpu_s, FILE_CPU_S + FILE_CPU_S_A_MB * size / 1_000_000))


@contextlib.contextmanager
def explained(param: str) -> Generator[None]:
    """Turn the end of a process into an error about the picture in a field."""
    try:
        yield
    except TaskTimeError:
        raise ImageError(TOO_LONG, param=param) from None
    except TaskMemoryError:
        raise ImageError(TOO_MUCH, param=param) from None
    except TaskLostError:
        raise ImageError(UNREADABLE, param=param) from None


class Pictures:
    """Stores pictures, and reads and writes files of stacks and projects."""

    def __init__(self, pool: Pool, store: ImageStore) -> None:
        self._pool = pool
        self._store = store

    async def keep(self, given: GivenPicture, limits: ImageLimits, *, fit: bool = False) -> KeptPicture:
        """Store the picture, if necessary, and return it.

        Raises `ImageError`, `PoolFullError` and `DiskFullError`, also for a stored picture beyond `limits`.
        """
        if given.sha256 is not None:
            kept = await asyncio.to_thread(self._held, given.sha256, given.param, limits, fit)
            if kept is not None:
                return kept
        intake = Intake(data_dir=self._store.data_dir, limits=limits, fit=fit)
        size = await asyncio.to_thread(self._size, given)
        with explained(given.param):
            if size <= SMALL_BYTES:
                small = replace(intake, only_small=True)
                kept = await self._pool.run(Lane.QUICK, QUICK, keep_picture, given, small)
                if kept is not None:
                    return kept
            kept = await self._pool.run(Lane.PICTURES, picture_budget(size), keep_picture, given, intake)
        assert kept is not None
        return kept

    async def composite(self, stack: GivenStack) -> tuple[int, int]:
        """Write a stack as one PNG picture to its target and return the size; raises `InputError`, `TaskError`."""
        if self._may_be_small(stack):
            small = replace(stack, only_small=True)
            size = await self._pool.run(Lane.QUICK, QUICK, write_composite, small)
            if size is not None:
                return size
        size = await self._pool.run(Lane.FILES, STACK, write_composite, stack)
        assert size is not None
        return size

    async def export(self, stack: GivenStack, format: ExportName, title: str, text: TextForm) -> None:
        """Write a stack as a file to its target; raises `InputError`, `TaskError`."""
        reads = text != "picture"
        if self._may_be_small(stack) and not reads:
            small = replace(stack, only_small=True)
            if await self._pool.run(Lane.QUICK, QUICK, write_export, small, format, title, text):
                return
        budget = replace(STACK, kept=SELECTION.kept) if reads else STACK
        await self._pool.run(Lane.FILES, budget, write_export, stack, format, title, text)

    async def write(self, sha256: str, how: Flat, target: Path) -> None:
        """Write a picture of the store as a file; raises `InputError`, `TaskError`."""
        arguments = (sha256, how, self._store.data_dir, target)
        if self._store.size(sha256) <= SMALL_BYTES:
            with contextlib.suppress(TaskTimeError, TaskMemoryError):
                await self._pool.run(Lane.QUICK, QUICK, write_flat, *arguments)
                return
        await self._pool.run(Lane.FILES, STACK, write_flat, *arguments)

    async def surroundings(self, stack: GivenStack, index: int, size: tuple[int, int]) -> tuple[str, Box]:
        """Keep what the other layers show around the one at `index`, whose picture has that `size`.

        Raises `InputError`, `DiskFullError`, `TaskError`.
        """
        return await self._pool.run(Lane.FILES, STACK, keep_surroundings, stack, index, size)

    async def select(self, stack: GivenStack, hints: Hints) -> Selection:
        """Write the mask of a selection to the stack's target; raises `InputError`, `TaskError`."""
        return await self._pool.run(Lane.SELECTION, SELECTION, write_selection, stack, hints)

    async def harmonize(self, stack: GivenStack, index: int, name: str | None) -> HarmonizedStack:
        """Harmonize a layer of a stack as `keep_harmonized` does; raises `InputError`, `DiskFullError`, `TaskError`."""
        return await self._pool.run(Lane.SELECTION, HARMONY, keep_harmonized, stack, index, name)

    async def cut_out(self, stack: GivenStack, mask: GivenPicture, name: str) -> CutStack:
        """Make a layer of the masked part of a stack; raises `InputError`, `DiskFullError`, `TaskError`."""
        most = stack.limits.image.max_pixels
        pixels = most if stack.width is None or stack.height is None else min(most, stack.width * stack.height)
        budget = replace(SELECTION, memory=SELECTION.memory + CUT_BYTES * pixels)
        return await self._pool.run(Lane.SELECTION, budget, keep_cut, stack, mask, name)

    async def restore(self, job_input: DecomposeInput, result: JobResult) -> JobResult:
        """Restore the layers of a run at the picture's size; raises `DiskFullError`, `TaskError`."""
        return await self._pool.run(Lane.LAYERS, RESTORING, restore_layers, job_input, result, self._store.data_dir)

    async def read_layers(self, file: Path, limits: FileLimits) -> KeptStack:
        """Import the layers of a file; raises `InputError`, `DiskFullError`, `TaskError`."""
        return await self._read(file, keep_layers, self._store.data_dir, limits)

    async def read_project(self, file: Path, limits: FileLimits, name: str) -> ReadProject:
        """Import a project like `read_as_project`; raises `InputError`, `DiskFullError`, `TaskError`."""
        return await self._read(file, read_as_project, self._store.data_dir, limits, name)

    async def write_project(self, project: Project, target: Path) -> list[str]:
        """Write a project as a file, and return the SHA-256 of missing pictures; raises `TaskError`."""
        size = await asyncio.to_thread(lambda: sum(map(self._store.size, project.images)))
        lane = Lane.QUICK if size <= QUICK_COPY_BYTES else Lane.FILES
        return await self._pool.run(lane, FILE, write_project, project, self._store.data_dir, target)

    async def _read(
        self, file: Path, function: Callable[Concatenate[Path, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a function on a file; small files do not wait for large ones."""
        size = file.stat().st_size
        if size <= SMALL_BYTES:
            with contextlib.suppress(TaskTimeError, TaskMemoryError):
                return await self._pool.run(Lane.QUICK, QUICK, function, file, *args, **kwargs)
        return await self._pool.run(Lane.FILES, file_budget(size), function, file, *args, **kwargs)

    def _may_be_small(self, stack: GivenStack) -> bool:
        return sum(self._size(layer.picture) for layer in stack.layers) <= SMALL_BYTES

    def _held(self, sha256: str, param: str, limits: ImageLimits, fit: bool) -> KeptPicture | None:
        """Return a stored picture, or None if it must be scaled first."""
        with named(param):
            if not self._store.use(sha256):
                raise ImageError(NOT_HELD)
            width, height = self._store.dimensions(sha256)
            try:
                check_dimensions((width, height), limits)
            except ImageError:
                if fit:
                    return None
                raise
            return KeptPicture(sha256=sha256, width=width, height=height)

    def _size(self, given: GivenPicture) -> int:
        """Return the size of a picture's file in bytes; 0 if it is missing, which a process will report."""
        if given.sha256 is not None:
            return self._store.size(given.sha256)
        return given.file.stat().st_size if given.file else 0
