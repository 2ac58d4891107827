"""What the command line shows on a terminal, the pictures and stacks that it reads and writes, what options name."""

import contextlib
import os
import re
import sys
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from PIL import Image
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBar

from llm_dit.errors import ImageError, InputError, LLMDiTError
from llm_dit.exports.formats import remove_bundle, write_bundle
from llm_dit.images import Picture, read_picture
from llm_dit.imports.layers import kind_of, read_layers
from llm_dit.layer import NO_GROUPS, Groups, Layer
from llm_dit.names import file_stem, shortened
from llm_dit.options import DecomposeOptions, EditOptions, NamedBox, options_of, read_recipe
from llm_dit.runs import Progress, ProgressCallback, RegionLike, region_box
from llm_dit.surroundings import Surroundings, surroundings_of
from server.errors import SettingsError

EXIT_INPUT = 2
EXIT_ENGINE = 3
EXIT_SOME = 4
EXIT_INTERRUPTED = 130
OPTIONS = {
    "layer_num": "--layers",
    "num_inference_steps": "--steps",
    "cfg_scale": "--cfg-scale",
    "seed": "--seed",
    "resolution": "--resolution",
    "background": "--background",
}
"""Options whose names are not those of the arguments that they become."""

console = Console(stderr=True, highlight=False)


@contextlib.contextmanager
def explained() -> Generator[None]:
    """Turn an error into one line on standard error and an exit code; Ctrl-C ends quietly."""
    try:
        yield
    except LLMDiTError as error:
        console.print(f"error: {_with_options(error)}", style="red", markup=False, soft_wrap=True)
        sys.exit(EXIT_INPUT if isinstance(error, InputError | SettingsError) else EXIT_ENGINE)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


def counted(number: int, noun: str) -> str:
    """Return "1 layer" or "5 layers"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _with_options(error: LLMDiTError) -> str:
    """Return the message with the name of an argument as it is typed here."""
    if isinstance(error, InputError) and error.param in OPTIONS:
        return error.message.replace(error.param, OPTIONS[error.param])
    return error.message


def bar_on_console() -> ProgressBar:
    """Return a progress bar, visible only on a terminal and removed at the end of its block."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return ProgressBar(*columns, console=console, transient=True, disable=not console.is_terminal)


@contextlib.contextmanager
def progress_bar(title: str) -> Generator[ProgressCallback]:
    """Show a progress bar during the block; yields the progress callback for a pipeline."""
    with bar_on_console() as bar:
        task = bar.add_task(title, total=None)

        def show(progress: Progress) -> None:
            in_bytes = progress.phase == "downloading"
            unit = 1_000_000 if in_bytes else 1
            bar.update(
                task,
                description=f"{progress.phase}, MB" if in_bytes else progress.phase,
                completed=progress.step // unit,
                total=progress.total // unit,
            )

        yield show


# Pictures and stacks on disk.


def require_png(target: Path) -> None:
    """Raise `InputError`, before the work begins, unless `target` can be written as a PNG."""
    if target.suffix.lower() != ".png":
        raise InputError(
            f"{target} must end with .png, because it will be a PNG. `llm-dit export` writes other formats.",
            param="output",
        )
    if not target.parent.is_dir():
        raise InputError(f"{target} cannot be written: there is no folder {target.parent}.", param="output")


def open_image(path: Path, *, fit: bool = False) -> Picture:
    """Return a picture; raises an `ImageError` that names the file.

    With `fit`, a picture that is too large is scaled down, with a note on standard error.
    """
    try:
        picture = read_picture(path.read_bytes(), fit=fit)
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {_reason(error)}.") from None
    except ImageError as error:
        hint = " Or add --fit, which scales it down." if "scale it down" in error.message and not fit else ""
        raise ImageError(f"{path}: {error.message}{hint}") from None
    if picture.scaled_from is not None:
        before, after = picture.scaled_from, picture.image.size
        console.print(f"{path}: scaled from {before[0]}×{before[1]} to {after[0]}×{after[1]} pixels.", markup=False)
    return picture


class Stack(NamedTuple):
    """Layers, bottom first, the canvas if a file has one, and the appearance of groups."""

    layers: list[Layer]
    width: int | None
    height: int | None
    groups: Groups


def read_stack(sources: Sequence[Path]) -> Stack:
    """Return the layers of files.

    A single folder or layered file is read as such; otherwise every source is a picture.
    """
    if len(sources) == 1:
        with contextlib.ExitStack() as stack:
            try:
                source = sources[0] if sources[0].is_dir() else stack.enter_context(sources[0].open("rb"))
            except OSError as error:
                raise InputError(f"{sources[0]} cannot be read: {_reason(error)}.", param="layers") from None
            if isinstance(source, Path) or kind_of(source) is not None:
                file = read_layers(source)
                return Stack(list(file.layers), file.width, file.height, file.groups)
    return Stack([Layer(image=open_image(path).image, name=path.stem) for path in sources], None, None, NO_GROUPS)


def write_folder(
    folder: Path,
    stack: Sequence[Layer],
    width: int,
    height: int,
    *,
    groups: Groups = NO_GROUPS,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Write layers into a folder, replacing the layers in it; creates the folder; raises `OSError`."""
    folder.mkdir(parents=True, exist_ok=True)
    remove_bundle(folder)
    write_bundle(stack, lambda name: (folder / name).open("wb"), width=width, height=height, groups=groups, about=about)


@contextlib.contextmanager
def writing(target: Path) -> Generator[None]:
    """Turn an `OSError` while writing `target` into an `InputError` that names the file and the reason."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{target} cannot be written: {_reason(error)}.", param="output") from None


def _reason(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else "it is not a file"


# What options name: boxes, masks, and recipes of earlier runs.

NAMED_BOXES = TypeAdapter(list[NamedBox])


def numbers(text: str, count: int, param: str) -> list[float]:
    """Parse `count` comma-separated numbers; raises `InputError`."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != count:
        raise InputError(f"--{param} must be {count} comma-separated numbers, in pixels.", param=param)
    return values


def named_box(text: str, picture: Picture) -> NamedBox:
    """Parse LEFT,TOP,RIGHT,BOTTOM[=NAME] in pixels of the file; return the box in pixels of the opened picture."""
    sides, _, name = text.partition("=")
    left, top, right, bottom = numbers(sides, 4, "region")
    width, height = picture.scaled_from or picture.image.size
    box = NamedBox(box=(left, top, right, bottom), name=shortened(name.strip()))
    return box.scaled(picture.image.width / width, picture.image.height / height)


def region_of(text: str, picture: Picture, *, fit: bool) -> RegionLike:
    """Return a box, converted from pixels of the file to pixels of the opened picture, or the mask in another file."""
    if not re.fullmatch(r"[-\d., ]+", text):
        return open_image(Path(text), fit=fit).image
    return region_box(numbers(text, 4, "region"), picture.image.size, picture.scaled_from)


def surroundings_in(stack: Stack, layer: Image.Image, source: Path) -> Surroundings | Image.Image:
    """Return what is around a layer in its stack, where it is known by its pixels, or by its file's name."""
    layers, width, height, groups = stack
    if width is None:  # a picture, and no file of layers
        return layers[0].image
    index = _place_in(stack, layer, source)
    return surroundings_of(layers, index, width, height, groups)


def _place_in(stack: Stack, layer: Image.Image, source: Path) -> int:
    """Return which layer of a stack a picture is: the one with its pixels, or with its file's name."""
    same = [number for number, each in enumerate(stack.layers) if each.image.size == layer.size]
    pixels = layer.convert("RGBA").tobytes()
    found = [number for number in same if stack.layers[number].image.convert("RGBA").tobytes() == pixels]
    # As the files of a folder of layers are called.
    stem = re.sub(r"^\d+-|_edited$", "", source.stem)
    found = found or [number for number in same if file_stem(stack.layers[number].name, "") == stem]
    if not found:
        raise InputError(
            f"{source} is no layer of the stack: none has its pixels or its name and size.", param="context"
        )
    return found[0]


def options_like(file: Path | None, kind: Literal["decompose", "edit"]) -> dict[str, Any]:
    """Return the options of the recipe in a file, {} without a file; raises `InputError`.

    Unknown options of a later version are left out.
    """
    if file is None:
        return {}
    try:
        recipe = read_recipe(file.read_bytes())
    except OSError:
        raise InputError(f"{file} cannot be read.", param="like") from None
    if recipe.kind != kind:
        raise InputError(f"{file} was made by `llm-dit {recipe.kind}`, not by {kind}.", param="like")
    known = {*options_of(DecomposeOptions if kind == "decompose" else EditOptions), "region", "regions"}
    return {name: value for name, value in recipe.options.items() if name in known}


def mask_beside(like: Path, name: str) -> Path:
    """Return the mask that a recipe names, beside the recipe's file or in the current folder."""
    for folder in (like.absolute().parent, Path.cwd()):
        if (folder / Path(name).name).is_file():
            return folder / Path(name).name
    raise InputError(
        f"{like} was made within the mask {Path(name).name}, which is not beside it: pass it with --region.",
        param="region",
    )


def boxes_in(regions: object) -> list[NamedBox]:
    try:
        return NAMED_BOXES.validate_python(regions)
    except ValidationError:
        raise InputError("The recipe's regions are unreadable: leave --like out.", param="like") from None
