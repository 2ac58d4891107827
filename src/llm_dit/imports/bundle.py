"""Reading the bundles that `exports/bundle.py` writes: a ZIP, a folder, or such a folder that somebody has zipped."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from llm_dit.errors import LayerFileError
from llm_dit.exports.bundle import MANIFEST_NAME, Manifest, ManifestLayer, is_newer
from llm_dit.imports.layer_file import FileLimits, LayerFile, check_sizes
from llm_dit.imports.pictures import decoded, picture_size
from llm_dit.layer import Layer

MAX_MANIFEST_BYTES = 1_000_000
NOT_A_BUNDLE = "This is not a layer bundle: expected a manifest.json beside the layers, as `llm-dit decompose` writes."
NEWER = "A newer version of llm-dit has written this layer bundle: open it with that version."
DAMAGED = "This layer bundle lacks a picture or has a damaged one: export it again."


class Members(Protocol):
    """Named files, each read whole up to a size; raises `InputError` where one is larger or missing."""

    def read(self, name: str, most: int) -> bytes: ...


class FolderMembers:
    """The files of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str, most: int) -> bytes:
        try:
            with (self._folder / name).open("rb") as file:
                content = file.read(most + 1)
        except OSError:
            raise LayerFileError(NOT_A_BUNDLE if name == MANIFEST_NAME else DAMAGED) from None
        if len(content) > most:
            raise LayerFileError(DAMAGED)
        return content


def read_bundle(members: Members, limits: FileLimits, prefix: str = "") -> LayerFile:
    """Return the stack of a bundle whose files' names begin with `prefix`; raises `InputError` when it is none."""
    try:
        manifest = Manifest.model_validate_json(members.read(prefix + MANIFEST_NAME, MAX_MANIFEST_BYTES))
    except ValidationError as error:
        newer = any(problem["loc"] == ("version",) and is_newer(problem["input"]) for problem in error.errors())
        raise LayerFileError(NEWER if newer else NOT_A_BUNDLE) from None

    def content(entry: ManifestLayer) -> bytes:
        return members.read(prefix + entry.file, limits.image_bytes)

    sizes = [picture_size(content(entry), limits.image) for entry in manifest.layers[: limits.layers + 1]]
    check_sizes(sizes, (manifest.width, manifest.height), limits)

    def layers() -> Iterator[Layer]:
        for entry in manifest.layers:
            yield Layer(image=decoded(content(entry), limits.image), **entry.model_dump(exclude={"file"}))

    return LayerFile(
        kind="zip",
        width=manifest.width,
        height=manifest.height,
        layers=layers(),
        about=manifest.model_extra or {},
    )
