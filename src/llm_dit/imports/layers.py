"""The one door for files of layers: what a file is, its content says, never its name."""

from pathlib import Path
from typing import IO

from llm_dit.errors import LayerFileError
from llm_dit.exports.bundle import MANIFEST_NAME
from llm_dit.imports.archive import Archive
from llm_dit.imports.bundle import PROJECT_NAME, FolderMembers, read_bundle, read_project_layers
from llm_dit.imports.layer_file import FileKind, FileLimits, LayerFile

PSD_SIGNATURE, ZIP_SIGNATURE = b"8BPS", b"PK"
NOT_ONE = (
    "This is not a file of layers: open a project file, a ZIP of layers, an OpenRaster file (ORA) or a Photoshop file "
    "(PSD)."
)


def kind_of(file: IO[bytes]) -> FileKind | None:
    """Return what a file of layers is by its content, None for anything else.

    Raises `InputError` for an archive that is damaged or holds no layers.
    """
    file.seek(0)
    signature = file.read(4)
    if signature == PSD_SIGNATURE:
        return "psd"
    if not signature.startswith(ZIP_SIGNATURE):
        return None
    archive = Archive(file)
    if PROJECT_NAME in archive:
        return "project"
    if "stack.xml" in archive:
        return "ora"
    if _bundle_prefix(archive) is None:
        raise LayerFileError(NOT_ONE)
    return "zip"


def read_layers(source: IO[bytes] | Path, limits: FileLimits | None = None) -> LayerFile:
    """Return the stack of a project file, a ZIP of layers, an ORA or a PSD, or of a folder as `decompose` writes.

    The file stays open while layers are read. Raises `InputError`, also while layers are read.
    """
    limits = limits or FileLimits()
    if isinstance(source, Path):
        return read_bundle(FolderMembers(source), limits)
    kind = kind_of(source)
    if kind == "psd":
        from llm_dit.imports.psd import read_psd

        return read_psd(source, limits)
    if kind is None:
        raise LayerFileError(NOT_ONE)
    archive = Archive(source)
    if kind == "project":
        return read_project_layers(archive, limits)
    if kind == "ora":
        from llm_dit.imports.ora import read_ora

        return read_ora(archive, limits)
    return read_bundle(archive, limits, _bundle_prefix(archive) or "")


def _bundle_prefix(archive: Archive) -> str | None:
    """Return what stands before the names of a bundle's files: a folder, where somebody has zipped one."""
    found = [name.removesuffix(MANIFEST_NAME) for name in archive.names if name.endswith(MANIFEST_NAME)]
    folders = [prefix for prefix in found if prefix.count("/") <= 1 and (not prefix or prefix.endswith("/"))]
    return min(folders, key=len) if folders else None
