"""Files of layers that come in, read by a process of the pool: their pictures go into the store."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from llm_dit.images import encode_png
from llm_dit.imports.layer_file import FileKind, FileLimits
from llm_dit.imports.layers import kind_of, read_layers
from llm_dit.layer import KeptLayer, Layer, kept_fields
from llm_dit.layers import Painting, coverage
from server.errors import TaskMemoryError, TaskTimeError
from server.pool.pool import Lane, Pool
from server.pool.process import Budget
from server.projects.files import read_project
from server.projects.projects import DocumentText, Project, ProjectDraft
from server.storage.images import ImageStore

MB = 1_000_000
SMALL_BYTES = 262_144
"""A file of so many bytes most likely holds little, and is tried in the quick lane first."""
QUICK = Budget(cpu_s=1.0, memory=160 << 20, wall_s=30)
BUDGET = Budget(cpu_s=600, memory=768 << 20, wall_s=1800)
"""Of the largest file that is taken in."""
CPU_S, CPU_S_A_MB = 3.0, 30.0
"""What a file may take, and more for each million bytes: an empty layer of 16 megapixels has 47 kB and takes 1 s."""

QUICK_COPY_BYTES = 8_000_000

P = ParamSpec("P")
T = TypeVar("T")


class StoredLayer(KeptLayer, frozen=True):
    """A layer whose picture the store holds; `coverage` is its mean alpha, 0–1."""

    sha256: str
    width: int
    height: int
    coverage: float


@dataclass(frozen=True, kw_only=True)
class KeptStack:
    """The layers of a file, bottom first, on a canvas in pixels, and what did not come along, in sentences."""

    kind: FileKind
    width: int
    height: int
    layers: list[StoredLayer]
    warnings: list[str]
    merged: str | None = None
    """The SHA-256 of what they show together."""


@dataclass(frozen=True, kw_only=True)
class ReadProject:
    """What a file gives a new project; see `ProjectDraft`."""

    name: str
    document: dict[str, Any]
    thumbnail: str | None
    lost: list[str]
    warnings: list[str]

    @property
    def draft(self) -> ProjectDraft:
        return ProjectDraft(name=self.name, document=self.document, thumbnail=self.thumbnail, lost=self.lost)


async def run_on_file(
    pool: Pool, function: Callable[Concatenate[Path, P], T], file: Path, *args: P.args, **kwargs: P.kwargs
) -> T:
    """Run a function on a file in the pool, one on a small file without waiting for large ones."""
    if file.stat().st_size <= SMALL_BYTES:
        with contextlib.suppress(TaskTimeError, TaskMemoryError):
            return await pool.run(Lane.QUICK, QUICK, function, file, *args, **kwargs)
    return await pool.run(Lane.FILES, budget_of(file.stat().st_size), function, file, *args, **kwargs)


def lane_for(project: Project, store: ImageStore) -> Lane:
    """Return where the file of a project is written, by the bytes of its pictures, which are copied as they are."""
    return Lane.QUICK if sum(map(store.size, project.images)) <= QUICK_COPY_BYTES else Lane.FILES


def budget_of(size: int) -> Budget:
    """Return what reading a file of so many bytes may take; small ones that ask for much are made to harm."""
    return replace(BUDGET, cpu_s=min(BUDGET.cpu_s, CPU_S + CPU_S_A_MB * size / MB))


def read_as_project(file: Path, data_dir: Path, limits: FileLimits, name: str) -> ReadProject:
    """Return the project of a project file; of another file of layers, a new one of them that is called `name`.

    Raises `InputError`, `DiskFullError`.
    """
    with file.open("rb") as content:
        if kind_of(content) in {"project", None}:
            draft = read_project(content, ImageStore(data_dir), limits)
            assert not isinstance(draft.document, DocumentText)  # it was read from a file
            return ReadProject(
                name=draft.name,
                document=dict(draft.document),
                thumbnail=draft.thumbnail,
                lost=list(draft.lost),
                warnings=[],
            )
    stack = keep_layers(file, data_dir, limits, merge=True)
    return ReadProject(name=name, document=_document(stack), thumbnail=None, lost=[], warnings=stack.warnings)


def keep_layers(file: Path, data_dir: Path, limits: FileLimits, *, merge: bool = False) -> KeptStack:
    """Put the layers of a file into the store in `data_dir`, one at a time, and with `merge` also what they show.

    Raises `InputError`, `DiskFullError`.
    """
    store = ImageStore(data_dir)
    with file.open("rb") as content:
        read = read_layers(content, limits)
        layers: list[StoredLayer] = []
        with Painting(read.width, read.height) as painting:
            for layer in read.layers:
                layers.append(kept_layer(layer, store))
                if merge:
                    painting.add(layer)
            merged = store.put(encode_png(painting.picture())) if merge else None
    return KeptStack(
        kind=read.kind, width=read.width, height=read.height, layers=layers, warnings=read.warnings, merged=merged
    )


def kept_layer(layer: Layer, store: ImageStore) -> StoredLayer:
    """Put the picture of a layer into the store; raises `DiskFullError`."""
    return StoredLayer(
        sha256=store.put(encode_png(layer.image)),
        width=layer.image.width,
        height=layer.image.height,
        coverage=round(coverage(layer.image), 4),
        **kept_fields(layer),
    )


def _document(stack: KeptStack) -> dict[str, Any]:
    """Return a project's document that is a stack and nothing else: the page takes it from there."""
    layers: list[dict[str, Any]] = []
    for layer in stack.layers:
        fields = layer.model_dump()
        layers.append({"image": _address(fields.pop("sha256")), **fields})
    picture = _address(stack.merged) if stack.merged else None
    return {"width": stack.width, "height": stack.height, "picture": picture, "layers": layers}


def _address(sha256: str) -> str:
    return f"/api/images/{sha256}.png"
