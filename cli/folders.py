"""Commands on many pictures, in which one failure does not stop the others; comparison with known layers."""

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import reduce
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from PIL import Image

from cli.terminal import EXIT_SOME, Stack, bar_on_console, console, counted, explained, read_stack, writing
from cli.upkeep import Config, Engine, Profile, settings_of
from llm_dit import options
from llm_dit.decoding.opening import PICTURE_FORMATS
from llm_dit.errors import DeviceLostError, InputError, LayerFileError, LLMDiTError
from llm_dit.evaluation import Likeness, compare, mean_of, score_of
from llm_dit.exports.formats import MANIFEST_NAME
from llm_dit.layer import shows
from llm_dit.layers import canvas_size, composite
from llm_dit.options import RunDefaults, bounds, help_of
from llm_dit.runs import Progress, ProgressCallback
from server import engines
from server.engines import choose_engine, load_pipeline


def layer_count(text: str) -> int | str:
    """Parse a number of layers, or "auto"; raises `typer.BadParameter`."""
    if text != "auto" and not text.lstrip("+-").isdecimal():
        raise typer.BadParameter(f"{text!r} is neither a number nor auto.")
    return text if text == "auto" else int(text)


def named(option: Any) -> str:
    """Return the values of a choice for the help, in which typer would show the type's own text."""
    return "|".join(map(str, options.choices(option)))


LayerCount = Annotated[
    Any,
    typer.Option(
        parser=layer_count,
        metavar="INTEGER|auto",
        help=f"{help_of(options.LayerNum)} auto: the engine chooses. "
        f"Default: {options.USUAL_LAYERS}; for evaluate, as many as the truth has.",
    ),
]
Steps = Annotated[int | None, typer.Option(help=help_of(options.Steps))]
Guidance = Annotated[float | None, typer.Option("--cfg-scale", help=help_of(options.Guidance))]
Speed = Annotated[options.Speed | None, typer.Option(metavar=named(options.Speed), help=help_of(options.Speed))]
Loras = Annotated[list[str] | None, typer.Option("--lora", help=help_of(options.Loras))]


def sampling(
    steps: int | None, cfg_scale: float | None, speed: options.Speed | None, lora: list[str] | None, seed: int | None
) -> dict[str, Any]:
    """Return the options that all engine commands share, by the names of `SamplingOptions`."""
    return {"num_inference_steps": steps, "cfg_scale": cfg_scale, "speed": speed, "loras": lora, "seed": seed}


app = typer.Typer()
LAYER_SUFFIXES = (".psd", ".psb", ".ora", ".svg", ".zip")
REPORT_NAME = "report.json"
EVALUATION_SIDE = 1024


@dataclass(frozen=True, kw_only=True)
class Task:
    """A source file or folder, and the target for its result."""

    source: Path
    target: Path


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of a task: `said` is a short summary, `about` the details for the report."""

    task: Task
    status: Literal["done", "skipped", "failed"]
    said: str
    about: Mapping[str, Any] = field(default_factory=dict[str, Any])


Work = Callable[[Task, ProgressCallback], tuple[str, Mapping[str, Any]]]
"""Runs a task, and returns a summary and the details for the report; raises `LLMDiTError`."""


def each(tasks: Sequence[Task], begin: Callable[[ProgressCallback], Work]) -> Iterator[Outcome]:
    """Run tasks one after another with one progress bar; `begin` loads the engine.

    A failed task is reported at once and the next one follows; only a lost device ends the run.
    """
    with bar_on_console() as bar:
        row = bar.add_task("loading", total=len(tasks))
        work = begin(lambda progress: bar.update(row, description=progress.phase))
        for number, task in enumerate(tasks):

            def show(progress: Progress, name: str = task.source.name, number: int = number) -> None:
                share = progress.step / progress.total if progress.total and not progress.is_loading else 0
                bar.update(row, description=f"{name}: {progress.phase}", completed=number + share)

            bar.update(row, description=task.source.name, completed=number)
            outcome = _outcome(task, work, show)
            if outcome.status == "failed":
                told = outcome.said.removeprefix(f"{task.source} ")
                console.print(f"error: {task.source}: {told}", style="red", markup=False, soft_wrap=True)
            yield outcome


def _outcome(task: Task, work: Work, show: ProgressCallback) -> Outcome:
    try:
        said, about = work(task, show)
    except DeviceLostError:
        raise
    except LLMDiTError as error:
        return Outcome(task=task, status="failed", said=error.message.removeprefix(f"{task.source}: "))
    except Exception as error:  # noqa: BLE001 - no picture may end the run
        return Outcome(task=task, status="failed", said=f"failed unexpectedly ({type(error).__name__})")
    return Outcome(task=task, status="done", said=said, about=about)


EngineWork = Callable[[Any, Task, ProgressCallback], tuple[str, Mapping[str, Any]]]
"""A `Work` of a pipeline, which comes first; None where it needs none."""


def run_many(
    sources: Sequence[Path],
    out: Path,
    name: str,
    asked: Mapping[str, Any],
    work: EngineWork,
    chosen: engines.Engine | None = None,
    *,
    again: bool,
) -> None:
    """Do the same with every source into the folder `out`, and close; `name` has "{}" for the source's own name.

    A report in the folder is rewritten after each: what it has as done, with the same bytes, `asked` for the same
    of the same engine, is skipped as long as its result is there, unless `again`.
    """
    tasks = [Task(source=source, target=out / name.format(_name_of(source))) for source in sources]
    for first, second in itertools.combinations(tasks, 2):
        if first.target == second.target:
            raise InputError(
                f"{first.source} and {second.source} would both be {first.target}: use separate --out folders.",
                param="out",
            )

    def begin(progress: ProgressCallback) -> Work:
        pipeline = chosen and load_pipeline(chosen.pipeline, chosen.options, progress)
        return lambda task, progress: work(pipeline, task, progress)

    if chosen:
        loaded = json.dumps([chosen.pipeline, chosen.options], sort_keys=True)
        asked = {**asked, "engine": chosen.name, "loaded": hashlib.sha256(loaded.encode()).hexdigest()}
    asked = json.loads(json.dumps(asked))
    report = _Report(out / REPORT_NAME)
    marks = {task: {"asked": asked, "sha256": hash_of(task.source)} for task in tasks}
    skipped = {task for task in tasks if not again and report.has(task, marks[task])}
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    outcomes = {
        task: Outcome(task=task, status="skipped", said=f"{task.target}: done before, and unchanged")
        for task in skipped
    }
    for outcome in each([task for task in tasks if task not in skipped], begin):
        outcomes[outcome.task] = outcome
        with writing(report.path):
            report.keep(outcome, marks[outcome.task])
    close([outcomes[task] for task in tasks], report.path)


class _Report:
    """What has become of the sources of a folder of results, by the names of these."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._entries: dict[str, Any] = {
                entry["target"]: entry for entry in json.loads(path.read_text(encoding="utf-8"))["pictures"]
            }
        except (OSError, ValueError, LookupError, TypeError):
            self._entries = {}

    def has(self, task: Task, mark: Mapping[str, Any]) -> bool:
        """Whether a task is done, of the same and in the same way."""
        entry = self._entries.get(task.target.name, {})
        same = all(entry.get(key) == value for key, value in mark.items())
        return same and mark["sha256"] is not None and entry.get("status") == "done" and task.target.exists()

    def keep(self, outcome: Outcome, mark: Mapping[str, Any]) -> None:
        """Write down what has come of a task; raises `OSError`."""
        task = outcome.task
        about = dict(outcome.about) if outcome.status == "done" else {"error": outcome.said}
        self._entries[task.target.name] = {
            "source": str(task.source),
            "target": task.target.name,
            "status": outcome.status,
            **about,
            **mark,
        }
        content = {"format": "llm-dit-report", "version": 1, "pictures": list(self._entries.values())}
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        new.replace(self.path)


def hash_of(source: Path) -> str | None:
    """Return a hash of a file, or of the files of a folder and their names; None where one cannot be read."""
    digest = hashlib.sha256()
    try:
        for file in sorted(source.iterdir()) if source.is_dir() else [source]:
            if file.is_file():
                digest.update(f"{file.name}\0{file.stat().st_size}\0".encode() if source.is_dir() else b"")
                digest.update(file.read_bytes())
    except OSError:
        return None
    return digest.hexdigest()


def _name_of(source: Path) -> str:
    return (source.name if source.is_dir() else source.stem).removesuffix("_layers")


def pictures_in(sources: Sequence[Path]) -> list[Path]:
    """Return the given files, with each folder replaced by the pictures in it; raises `InputError`."""
    suffixes = {suffix for format in PICTURE_FORMATS for suffix in format.suffixes}
    return _all_in(sources, lambda path: path.suffix.lower() in suffixes, "pictures")


def stacks_in(sources: Sequence[Path]) -> list[Path]:
    """Return the given layered files and folders of layers, with each other folder replaced by those in it."""
    return _all_in(
        sources,
        lambda path: path.suffix.lower() in LAYER_SUFFIXES or (path / MANIFEST_NAME).is_file(),
        f"layers: pass a folder of {', '.join(LAYER_SUFFIXES)} files",
    )


def _all_in(sources: Sequence[Path], fits: Callable[[Path], bool], what: str) -> list[Path]:
    found: list[Path] = []
    for source in sources:
        inside = [source] if not source.is_dir() or fits(source) else sorted(filter(fits, source.iterdir()))
        if not inside:
            raise InputError(f"{source} contains no {what}.", param="sources")
        found += inside
    return found


def close(outcomes: Iterable[Outcome], report: Path) -> None:
    """Print a line per task and the totals, and exit with `EXIT_SOME` if a task failed."""
    rows = [(str(outcome.task.source), outcome.status, outcome.said) for outcome in outcomes]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    for name, status, said in rows:
        typer.echo(f"{name:{widths[0]}}  {status:{widths[1]}}  {said}")
    counts = {status: sum(row[1] == status for row in rows) for status in ("done", "skipped", "failed")}
    typer.echo(f"{', '.join(f'{count} {status}' for status, count in counts.items() if count)}; {report}")
    if counts["failed"]:
        raise typer.Exit(EXIT_SOME)


# Compare the results of an engine or a LoRA with known layers.


@app.command()
def evaluate(
    truth: Annotated[Path, typer.Argument(help="A folder of PSD, ORA and ZIP files, or of folders of layers.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="JSON file to write.")] = Path("evaluation.json"),
    against: Annotated[
        Path | None,
        typer.Option(help="A folder of existing decompositions, each NAME or NAME_layers; default: run the engine."),
    ] = None,
    layers: LayerCount = None,
    resolution: Annotated[int | None, typer.Option(help=help_of(options.Resolution))] = None,
    steps: Steps = None,
    cfg_scale: Guidance = None,
    speed: Speed = None,
    lora: Loras = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of every run; default: 0.")] = None,
    side: Annotated[
        int, typer.Option(min=16, help="Larger stacks are scaled down to this many pixels on the longer side.")
    ] = EVALUATION_SIDE,
    config: Config = None,
    profile: Profile = None,
    engine: Engine = None,
) -> None:
    """Compare decompositions with known layers: RGB L1 (0 is best) and alpha soft IoU (1 is best).

    Example: llm-dit evaluate truth --engine classical --out classical.json
    """
    given = {"layer_num": layers, "resolution": resolution, **sampling(steps, cfg_scale, speed, lora, seed)}
    asked: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    with explained():
        if against is not None and (asked or engine):
            raise InputError("--against compares existing layers: leave the engine's options out.", param="against")
        tasks = [Task(source=source, target=out) for source in stacks_in([truth])]
        about: dict[str, Any] = {"against": str(against)}
        if against is None:
            chosen = choose_engine(settings_of(config, profile, engine))
            defaults = chosen.defaults_of_run("decompose", lora)
            asked = {"seed": 0, **asked}
            about = {"engine": chosen.name, "options": dict(asked)}
            asked |= defaults.fill({name: asked.get(name) for name in RunDefaults._fields if name != "layer_num"})

            def begin(progress: ProgressCallback) -> Work:
                pipeline = load_pipeline(chosen.pipeline, chosen.options, progress)
                most = bounds(options.LayerNum)[1]

                def made(_: Task, known: Truth, progress: ProgressCallback) -> list[Image.Image]:
                    run: dict[str, Any] = {
                        "layer_num": min(len(known.layers), most),
                        **asked,
                        "output_size": "original",
                    }
                    return pipeline.decompose(known.picture, **run, progress=progress)[1:]

                return _measuring(made, side)
        else:

            def begin(progress: ProgressCallback) -> Work:
                return _measuring(lambda task, known, _: _decomposition_of(task.source, against), side)

        outcomes = list(each(tasks, begin))
        found = [outcome for outcome in outcomes if outcome.status == "done"]
        mean = mean_of([[Likeness(**level) for level in outcome.about["edits"]] for outcome in found])
        report = {
            "format": "llm-dit-evaluation",
            "version": 1,
            **about,
            "side": side,
            "mean": [asdict(level) for level in mean],
            "pictures": [
                {"name": outcome.task.source.name, "status": outcome.status}
                | (dict(outcome.about) if outcome.status == "done" else {"error": outcome.said})
                for outcome in outcomes
            ],
        }
        with writing(out):
            out.write_text(json.dumps(report, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        typer.echo("merges  RGB L1  alpha soft IoU")
        for level in mean:
            typer.echo(f"{level.edits:6}  {level.rgb_l1:6.4f}  {level.alpha_iou:14.4f}")
        close(outcomes, out)


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The layers of a stack that show, bottom first, RGBA and as large as its picture, and that."""

    layers: Sequence[Image.Image]
    picture: Image.Image


def _measuring(made: Callable[[Task, Truth, ProgressCallback], Sequence[Image.Image]], side: int) -> Work:
    """Return what measures the layers that are made of a picture."""

    def work(task: Task, progress: ProgressCallback) -> tuple[str, Mapping[str, Any]]:
        known = _shown(read_stack([task.source]))
        if len(known.layers) < 2:
            raise LayerFileError("Fewer than two layers are visible: there is nothing to find.")
        found = [_resized(layer, known.picture.size) for layer in made(task, known, progress)]
        if not found:
            raise LayerFileError("The decomposition has no visible layer.")
        score = score_of(known.picture, reduce(Image.alpha_composite, found), found, [""] * len(found))
        share = min(1, side / max(known.picture.size))
        size = (max(1, round(known.picture.width * share)), max(1, round(known.picture.height * share)))
        levels = compare([_resized(layer, size) for layer in found], [_resized(layer, size) for layer in known.layers])
        first, last = levels[0], levels[-1]
        said = f"RGB L1 {first.rgb_l1:.4f}, alpha soft IoU {first.alpha_iou:.4f}"
        if last is not first:
            said += f"; after {counted(last.edits, 'merge')} {last.rgb_l1:.4f}, {last.alpha_iou:.4f}"
        return said, {
            "layers": len(known.layers),
            "found": len(found),
            "useful": score.useful,
            "psnr": score.psnr,
            "edits": [asdict(level) for level in levels],
        }

    return work


def _shown(stack: Stack) -> Truth:
    width, height = canvas_size(stack.layers, stack.width, stack.height)
    each = [
        composite([layer], width, height, groups=stack.groups)
        for layer in stack.layers
        if shows(layer, stack.groups) and layer.opacity > 0
    ]
    return Truth(
        layers=[layer for layer in each if layer.getbbox()],
        picture=composite(stack.layers, width, height, groups=stack.groups),
    )


def _decomposition_of(source: Path, folder: Path) -> Sequence[Image.Image]:
    """Return the layers that a folder has for a stack, by its name."""
    name = _name_of(source)
    names = [f"{name}{part}{suffix}" for part in ("", "_layers") for suffix in ("", *LAYER_SUFFIXES)]
    found = next((folder / each for each in names if (folder / each).exists()), None)
    if found is None:
        raise InputError(f"{folder} has no decomposition of this file, such as {name}_layers.", param="against")
    return _shown(read_stack([found])).layers


def _resized(layer: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return an RGBA image at another size; Pillow resizes it premultiplied."""
    return layer if layer.size == size else layer.resize(size, Image.Resampling.LANCZOS)
