"""Pictures and stacks on disk, for the command line."""

import contextlib
import os
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from cli.terminal import console
from llm_dit.errors import ImageError, InputError
from llm_dit.exports.archives import remove_bundle, write_bundle
from llm_dit.exports.formats import EXPORT_FORMATS, ExportName
from llm_dit.images import read_picture
from llm_dit.imports.layers import kind_of, read_layers
from llm_dit.layers import Layer

SUFFIXES = ", ".join(format.suffix for format in EXPORT_FORMATS.values())


def export_name(target: Path) -> ExportName:
    """Return the format that a file's suffix stands for; raises `InputError` that lists those there are."""
    suffix = ".jpg" if target.suffix.lower() == ".jpeg" else target.suffix.lower()
    for name, format in EXPORT_FORMATS.items():
        if format.suffix == suffix:
            return name
    raise InputError(f"{target} names no format that can be written: end it with {SUFFIXES}.", param="output")


def require_png(target: Path) -> None:
    """Raise `InputError`, before the work begins, for a file that no PNG can go into."""
    if target.suffix.lower() != ".png":
        raise InputError(
            f"{target} would be a PNG file: end its name with .png. `llm-dit export` writes other formats.",
            param="output",
        )
    if not target.parent.is_dir():
        raise InputError(f"{target} cannot be written: there is no folder {target.parent}.", param="output")


def open_image(path: Path, *, fit: bool = False) -> Image.Image:
    """Return a picture as RGBA; raises `ImageError` that names the file when it is not valid.

    With `fit`, one that is too large is scaled down, which is said on standard error.
    """
    try:
        picture = read_picture(path.read_bytes(), fit=fit)
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {_reason(error)}.") from None
    except ImageError as error:
        hint = " Or add --fit, which scales it to that." if "scale it down" in error.message and not fit else ""
        raise ImageError(f"{path}: {error.message}{hint}") from None
    if picture.scaled_from is not None:
        before, after = picture.scaled_from, picture.image.size
        console.print(f"{path}: scaled from {before[0]}×{before[1]} to {after[0]}×{after[1]} pixels.", markup=False)
    return picture.image


def read_stack(sources: Sequence[Path]) -> tuple[list[Layer], int | None, int | None]:
    """Return layers, bottom first, and the canvas where a file gives one.

    One source that is a folder or a file of layers is read as such; otherwise every source is a picture.
    """
    if len(sources) == 1:
        with contextlib.ExitStack() as stack:
            try:
                source = sources[0] if sources[0].is_dir() else stack.enter_context(sources[0].open("rb"))
            except OSError as error:
                raise InputError(f"{sources[0]} cannot be read: {_reason(error)}.", param="layers") from None
            if isinstance(source, Path) or kind_of(source) is not None:
                file = read_layers(source)
                return list(file.layers), file.width, file.height
    return [Layer(image=open_image(path), name=path.stem) for path in sources], None, None


def write_folder(
    folder: Path, stack: Sequence[Layer], width: int, height: int, about: Mapping[str, Any] | None = None
) -> None:
    """Write layers into a folder, which is made, in the place of those that it holds; raises `OSError`."""
    folder.mkdir(parents=True, exist_ok=True)
    remove_bundle(folder)
    write_bundle(stack, lambda name: (folder / name).open("wb"), width=width, height=height, about=about or {})


def numbers(text: str, count: int, param: str) -> list[float]:
    """Return `count` numbers between commas; raises `InputError`."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != count:
        raise InputError(f"--{param} must be {count} numbers between commas, in pixels.", param=param)
    return values


@contextlib.contextmanager
def writing(target: Path) -> Generator[None]:
    """Turn a failure to write below `target` into an error that says which file and why."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{target} cannot be written: {_reason(error)}.", param="output") from None


def _reason(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else "it is not a file"
