"""What the command line shows on a terminal: progress, and errors in one line."""

import contextlib
import sys
from collections.abc import Generator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBar

from llm_dit.errors import InputError, LLMDiTError
from llm_dit.runs import Progress, ProgressCallback
from server.errors import SettingsError

EXIT_INPUT = 2
EXIT_ENGINE = 3
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


@contextlib.contextmanager
def progress_bar(title: str) -> Generator[ProgressCallback]:
    """Show a bar while the block runs; it yields the callback that a pipeline takes."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with ProgressBar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
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
