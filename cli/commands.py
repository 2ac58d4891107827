"""The command line, `llm-dit`: parse, build the pipeline, run it, save.

Exit codes: 0 done, 2 invalid input, 3 the engine or the service cannot run, 4 some of many pictures failed,
130 interrupted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from PIL import Image

import llm_dit
from cli import folders, mcp, upkeep
from cli.folders import (
    EngineWork,
    Guidance,
    LayerCount,
    Loras,
    Speed,
    Steps,
    Task,
    hash_of,
    named,
    pictures_in,
    run_many,
    sampling,
    stacks_in,
)
from cli.terminal import (
    boxes_in,
    counted,
    explained,
    mask_beside,
    named_box,
    numbers,
    open_image,
    options_like,
    progress_bar,
    read_stack,
    region_of,
    require_png,
    surroundings_in,
    write_folder,
    writing,
)
from cli.upkeep import Config, Engine, Profile, settings_of
from llm_dit import options
from llm_dit.color import read_color
from llm_dit.decoding.opening import FORMAT_NAMES
from llm_dit.errors import InputError
from llm_dit.exports.formats import EXPORT_FORMATS, SUFFIXES, ExportName, TextForm, export_name
from llm_dit.exports.formats import export as export_stack
from llm_dit.images import Picture, encode_png
from llm_dit.layers import Decomposition, Layer, canvas_size, composite
from llm_dit.options import (
    SAMPLING,
    DecomposeOptions,
    EditOptions,
    NamedBox,
    Recipe,
    RunDefaults,
    chosen_seed,
    help_of,
    recipe_of,
    with_recipe,
)
from llm_dit.runs import LAYER_ALONE, LayerPipeline, ProgressCallback, RegionLike
from server.engines import Engine as ChosenEngine
from server.engines import choose_engine, load_pipeline
from server.storage.database import require_free

app = typer.Typer(
    name="llm-dit",
    epilog="Exit codes: 0 done · 2 invalid input · 3 the engine or service cannot run · "
    "4 some of many pictures failed · 130 interrupted",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Fit = Annotated[bool, typer.Option("--fit", help="Scale a picture down if it is too large, instead of refusing it.")]
Seed = Annotated[
    int | None,
    typer.Option(min=0, help="The same seed gives the same result; default: a random seed, which is printed."),
]
Out = Annotated[
    Path | None, typer.Option(help="Output folder for many sources; skips those that its report.json lists as done.")
]
Again = Annotated[bool, typer.Option("--again", help="With --out: repeat sources that are done and unchanged.")]
Like = Annotated[
    Path | None,
    typer.Option(help="Repeat the run that made this file: the PNG of an edit or of a layer, or a manifest.json."),
]
Sources = Annotated[
    list[Path],
    typer.Argument(help="A folder of layers, a ZIP, PSD, ORA, SVG or project file, or pictures, bottom first."),
]


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(llm_dit.__version__)
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Split pictures into RGBA layers, edit a layer by an instruction, and composite the layers again."""


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; 0.0.0.0 for the whole network.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    token: Annotated[
        str | None,
        typer.Option(help="The token that browsers and programs must send; required for access from other machines."),
    ] = None,
    insecure: Annotated[bool | None, typer.Option("--insecure", help="Admit other machines without a token.")] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A further name of this service in browsers; repeatable.")
    ] = None,
    config: Config = None,
    profile: Profile = None,
    engine: Engine = None,
) -> None:
    """Serve the page and the HTTP API until Ctrl-C.

    Example: llm-dit serve --host 0.0.0.0 --port 8080 --token=SECRET
    """
    # HTTP's libraries take half a second, for which no other command should wait.
    from cli import serving

    with explained():
        door = {"token": token, "insecure": insecure, "allowed_hosts": allow_host or None}
        settings = settings_of(config, profile, engine, {"host": host, "port": port, **door})
        serving.require_token(settings.server)
        require_free(settings.server.data_dir)
        chosen = choose_engine(settings)
        listener = serving.listen(settings.server.host, settings.server.port)
        serving.show_addresses(settings.server, listener.getsockname()[1])
        serving.show_engine(chosen)
        serving.serve_forever(listener, settings)


@app.command()
def decompose(
    images: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGE...", help=f"Picture: {FORMAT_NAMES}; with --out, several pictures or folders."),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder to write; default: IMAGE_layers.")
    ] = None,
    out: Out = None,
    layers: LayerCount = None,
    size: Annotated[
        options.OutputSize | None,
        typer.Option(metavar=named(options.OutputSize), help=f"{help_of(options.OutputSize)} Default: original."),
    ] = None,
    resolution: Annotated[int | None, typer.Option(help=help_of(options.Resolution))] = None,
    region: Annotated[
        list[str] | None,
        typer.Option(help="LEFT,TOP,RIGHT,BOTTOM=NAME: a thing that becomes a layer of its own; repeatable."),
    ] = None,
    prompt: Annotated[str | None, typer.Option(help=help_of(options.Prompt))] = None,
    language: Annotated[
        options.LayerLanguage | None,
        typer.Option(
            metavar=named(options.LayerLanguage),
            help=f"{help_of(options.LayerLanguage)} Default: {DecomposeOptions.language}.",
        ),
    ] = None,
    steps: Steps = None,
    cfg_scale: Guidance = None,
    speed: Speed = None,
    lora: Loras = None,
    seed: Seed = None,
    like: Like = None,
    fit: Fit = False,
    again: Again = False,
    config: Config = None,
    profile: Profile = None,
    engine: Engine = None,
) -> None:
    """Split a picture into layers: a folder with composite.png, a PNG per layer and manifest.json.

    Example: llm-dit decompose poster.png --layers 5 -o poster

    Several: llm-dit decompose *.png --out layers
    """
    with explained():
        settings = settings_of(config, profile, engine)
        chosen = choose_engine(settings)
        given = {
            "layer_num": layers,
            "resolution": resolution,
            **sampling(steps, cfg_scale, speed, lora, seed),
            "prompt": prompt,
            "output_size": size,
            "language": language,
        }
        single = _single(images, output, out)
        first = open_image(single, fit=fit) if single else None
        usual = {"output_size": settings.qwen_image.output_size or "original"}
        asked = _given(usual | options_like(like, "decompose"), given)
        defaults = chosen.defaults_of_run("decompose", asked.get("loras"))
        asked |= defaults.fill({name: asked.get(name) for name in RunDefaults._fields})
        in_recipe = boxes_in(asked.pop("regions", []))

        def boxes_on(picture: Picture) -> list[NamedBox]:
            return [named_box(text, picture) for text in region] if region else in_recipe

        def take_apart(
            pipeline: LayerPipeline, task: Task, progress: ProgressCallback
        ) -> tuple[str, Mapping[str, Any]]:
            picture = first or open_image(task.source, fit=fit)
            boxes = boxes_on(picture)
            result = pipeline.decompose(picture.image, regions=boxes, **asked, progress=progress)
            return _keep_layers(
                pipeline, result, {**asked, "regions": [asdict(box) for box in boxes] or None}, task.target
            )

        if out:
            boxes = region or [asdict(box) for box in in_recipe]
            marks = {"command": "decompose", **asked, "regions": boxes, "fit": fit}
            run_many(pictures_in(images), out, "{}_layers", marks, take_apart, chosen, again=again)
        elif single and first:
            boxes_on(first)
            task = Task(source=single, target=output or single.with_name(f"{single.stem}_layers"))
            said, about = _run_one(chosen, take_apart, task)
            typer.echo(f"{task.target}: {said}")
            if about["score"]:
                typer.echo(f"{about['score']['sentence']} The stack {about['figures']}.")


@app.command()
def edit(
    layer: Annotated[
        Path, typer.Argument(help=f"Layer to edit: {FORMAT_NAMES}; with --out, several pictures or folders.")
    ],
    rest: Annotated[
        list[str] | None,
        typer.Argument(metavar="[INSTRUCTION]", help='What to change, such as "make it blue and slightly darker".'),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="PNG to write; default: LAYER_edited.png.")
    ] = None,
    out: Out = None,
    shape: Annotated[
        options.Shape | None,
        typer.Option(metavar=named(options.Shape), help=f"{help_of(options.Shape)} Default: {EditOptions.shape}."),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(
            help="The area that may change: LEFT,TOP,RIGHT,BOTTOM in pixels, or a mask, a picture of the layer's size."
        ),
    ] = None,
    reference: Annotated[
        list[Path] | None,
        typer.Option(help="A reference picture, called “Picture 2” and so on in the instruction; repeatable."),
    ] = None,
    context: Annotated[
        Path | None,
        typer.Option(
            help="The stack that the layer is of: a folder, ZIP, PSD, ORA or project file, or a picture of the layer's "
            "size. The model sees the layer over it, not on a plain ground; only the layer changes."
        ),
    ] = None,
    steps: Steps = None,
    cfg_scale: Guidance = None,
    speed: Speed = None,
    lora: Loras = None,
    seed: Seed = None,
    like: Like = None,
    fit: Fit = False,
    again: Again = False,
    config: Config = None,
    profile: Profile = None,
    engine: Engine = None,
) -> None:
    """Edit one layer by an instruction; its alpha does not change unless you pass --shape new.

    Example: llm-dit edit poster_layers/03-Red.png "change the color to blue"

    Several: llm-dit edit *.png "make it blue" --out blue
    """
    with explained():
        chosen = choose_engine(settings_of(config, profile, engine))
        words, instruction = list(rest or []), None
        # The last word is the instruction if it is no existing file.
        if words and (out is None or not Path(words[-1]).exists()):
            instruction = words.pop()
        layers = [layer, *map(Path, words)]
        single = _single(layers, output, out)
        task = Task(source=layer, target=output or layer.with_name(f"{layer.stem}_edited.png"))
        if single:
            require_png(task.target)
        first = open_image(layer, fit=fit) if single else None
        given = {"instruction": instruction, **sampling(steps, cfg_scale, speed, lora, seed), "shape": shape}
        asked = _given(options_like(like, "edit"), given)
        if "instruction" not in asked:
            raise InputError("Say what to change, such as “make it blue”, or pass --like.", param="instruction")
        in_recipe: Any = asked.pop("region", None)
        if like and isinstance(in_recipe, str) and region is None:
            region = str(mask_beside(like, in_recipe))
        known: RegionLike | None = None if isinstance(in_recipe, str) else in_recipe
        references = [open_image(file, fit=fit).image for file in reference or []]
        if asked.get("context") and context is None:
            raise InputError(f"{like} was made in context: give its stack by --context.", param="context")
        asked["context"] = context is not None
        if context and "context" not in chosen.edit_takes:
            raise InputError(LAYER_ALONE, param="context")
        stack = None if context is None else read_stack([context])
        defaults = chosen.defaults_of_run("edit", asked.get("loras"))
        asked |= defaults.fill({name: asked.get(name) for name in SAMPLING})

        def region_on(picture: Picture) -> RegionLike | None:
            return known if region is None else region_of(region, picture, fit=fit)

        def change(pipeline: LayerPipeline, task: Task, progress: ProgressCallback) -> tuple[str, Mapping[str, Any]]:
            picture = first or open_image(task.source, fit=fit)
            where = region_on(picture)
            run: dict[str, Any] = asked | {"seed": chosen_seed(asked.get("seed"))}
            around = stack and surroundings_in(stack, picture.image, task.source)
            edited = pipeline.edit_layer(
                picture.image, **run, region=where, references=references, surroundings=around, progress=progress
            )
            run["context"] = run["context"] or None
            run["region"] = Path(region).name if region and isinstance(where, Image.Image) else where
            with writing(task.target):
                task.target.write_bytes(with_recipe(encode_png(edited), _recipe(pipeline, "edit", run)))
            by = _computed_by(pipeline)
            return f"seed {run['seed']}{by and f'; {by}'}", {"seed": run["seed"]}

        if out:
            # Masks, stacks and references are identified by their content.
            beside = [path and hash_of(Path(path)) for path in [region, context, *(reference or [])]]
            marks = {"command": "edit", **asked, "region": region or in_recipe, "beside": beside, "fit": fit}
            run_many(pictures_in(layers), out, "{}_edited.png", marks, change, chosen, again=again)
        elif first:
            region_on(first)
            if stack:
                surroundings_in(stack, first.image, layer)
            said, _ = _run_one(chosen, change, task)
            typer.echo(f"{task.target}: {said}")


@app.command("composite")
def composite_layers(
    sources: Sources,
    output: Annotated[Path, typer.Option("-o", "--output", help="PNG to write.")] = Path("composite.png"),
) -> None:
    """Composite layers from a folder, ZIP, PSD, ORA, SVG or project file, or from single pictures, bottom first.

    Example: llm-dit composite poster_layers -o poster.png
    """
    with explained():
        require_png(output)
        stack, width, height, groups = read_stack(sources)
        with writing(output):
            output.write_bytes(encode_png(composite(stack, width, height, groups=groups)))
        typer.echo(f"{output}: {counted(len(stack), 'layer')}")


@app.command()
def export(
    sources: Sources,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help=f"File to write; its suffix is the format: {SUFFIXES}.")
    ] = None,
    out: Out = None,
    format: Annotated[
        ExportName | None, typer.Option(help="With --out: the format of the files, one per source.")
    ] = None,
    background: Annotated[
        str | None, typer.Option(help="Background #rrggbb of png, webp, avif and jpg; white by default for jpg.")
    ] = None,
    text: Annotated[
        TextForm, typer.Option(help="Lines of text in a pptx: pictures, editable text, or both with hidden pictures.")
    ] = "picture",
    again: Again = False,
) -> None:
    """Write layers as one file for another program: Photoshop, OpenRaster, a presentation, or a flat picture.

    Example: llm-dit export poster_layers -o poster.psd

    Several: llm-dit export *_layers --out files --format psd
    """
    with explained():
        if (output is None) == (out is None) or (format is None) != (out is None):
            raise InputError("Pass a file with -o, or a folder with --out and a format with --format.", param="output")
        color = None if background is None else read_color(background)

        def write(sources: Sequence[Path], kind: ExportName, output: Path) -> str:
            stack, width, height, groups = read_stack(sources)
            width, height = canvas_size(stack, width, height)
            content = export_stack(
                stack, kind, width=width, height=height, background=color, groups=groups, title=output.stem, text=text
            )
            with writing(output):
                output.write_bytes(content)
            return counted(len(stack), "layer")

        if output:
            typer.echo(f"{output}: {write(sources, export_name(output), output)}")
        elif out and format:
            marks = {"command": "export", "format": format, "background": color, "text": text}
            name = f"{{}}{EXPORT_FORMATS[format].suffix}"

            def export_each(_: object, task: Task, __: ProgressCallback) -> tuple[str, Mapping[str, Any]]:
                return write([task.source], format, task.target), {}

            run_many(stacks_in(sources), out, name, marks, export_each, again=again)


@app.command("select")
def select_thing(
    sources: Sources,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write.")] = Path("selected_layers"),
    box: Annotated[str | None, typer.Option(help="LEFT,TOP,RIGHT,BOTTOM around the thing, in pixels.")] = None,
    point: Annotated[list[str] | None, typer.Option(help="X,Y on the thing, in pixels; repeatable.")] = None,
    without: Annotated[list[str] | None, typer.Option(help="X,Y that is not on the thing; repeatable.")] = None,
    name: Annotated[str, typer.Option(help="The name of the new layer.")] = "Object",
) -> None:
    """Make a layer of one thing in a picture or a stack and fill the area behind it; writes a folder like decompose.

    Example: llm-dit select poster.png --box 20,20,200,180 -o poster_layers
    """
    from llm_dit.classical.cutting import cut_out
    from llm_dit.classical.selecting import select

    with explained():
        left, top, right, bottom = numbers(box, 4, "box") if box is not None else (0.0,) * 4
        around = (left, top, right, bottom) if box is not None else None
        on, off = (
            [(x, y) for x, y in (numbers(text, 2, "point") for text in texts or [])] for texts in (point, without)
        )
        stack, width, height, groups = read_stack(sources)
        width, height = canvas_size(stack, width, height)
        mask = select(composite(stack, width, height, groups=groups), points=on, without=off, box=around)
        made = cut_out(stack, width, height, mask, name, groups)
        with writing(output):
            write_folder(output, made, width, height, groups=groups)
        typer.echo(f"{output}: {counted(len(made), 'layer')}")


@app.command("harmonize")
def harmonize_layer(
    sources: Sources,
    layer: Annotated[str, typer.Option(help="The layer: its name, or its number, 1 at the bottom.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write.")] = Path("harmonized_layers"),
    shadow: Annotated[bool, typer.Option("--shadow", help="Also add a layer with a shadow where it stands.")] = False,
) -> None:
    """Fit the color and light of a layer to the picture around it; writes a folder like decompose.

    Example: llm-dit harmonize poster_layers --layer 2 -o fitted
    """
    from llm_dit.classical.harmonizing import harmonize

    with explained():
        stack, width, height, groups = read_stack(sources)
        names = [each.name for each in stack]
        index = names.index(layer) if layer in names else int(layer) - 1 if layer.isdecimal() else -1
        if not 0 <= index < len(stack):
            raise InputError(f"The stack has no layer {layer}: give a name or 1–{len(stack)}.", param="layer")
        made = harmonize(stack, index, width, height, groups, shadow=shadow)
        width, height = canvas_size(stack, width, height)
        with writing(output):
            write_folder(output, made, width, height, groups=groups)
        said = f"changed by {made.strength:.0%}" if made.strength else "unchanged: nothing around it says what fits"
        typer.echo(f"{output}: {counted(len(made), 'layer')}, {made[made.place].name or layer} {said}")


# Added last, because `--help` lists the commands in this order.
app.add_typer(folders.app)
app.add_typer(mcp.app)
app.add_typer(upkeep.app)
app.add_typer(upkeep.models, name="models")


def _single(sources: Sequence[Path], output: Path | None, out: Path | None) -> Path | None:
    """Return the only source, or None with --out, which takes any number; raises `InputError`."""
    if out is not None and output is not None:
        raise InputError("-o is for one picture, --out for several: pass one of them.", param="output")
    if out is None and len(sources) > 1:
        raise InputError("Several pictures need --out, a folder for the results.", param="out")
    return sources[0] if out is None else None


def _run_one(chosen: ChosenEngine, work: EngineWork, task: Task) -> tuple[str, Mapping[str, Any]]:
    """Load the engine and run a task, with one progress bar."""
    with progress_bar("loading") as progress:
        return work(load_pipeline(chosen.pipeline, chosen.options, progress), task, progress)


def _keep_layers(
    pipeline: LayerPipeline, result: Decomposition, asked: Mapping[str, Any], folder: Path
) -> tuple[str, Mapping[str, Any]]:
    """Write the layers of a run into a folder, and return a summary and the entry for a report."""
    used = {"seed": result.seed, "prompt": result.prompt}
    recipe = _recipe(pipeline, "decompose", {**asked, **used})
    stack = [
        Layer(image=layer, name=name, recipe=recipe) for layer, name in zip(result[1:], result.names[1:], strict=True)
    ]
    by, score = _computed_by(pipeline), result.score
    about = {**used, **({"forward": by} if by else {}), **({"score": score.as_json()} if score else {})}
    with writing(folder):
        write_folder(folder, stack, *result[0].size, about=about)
    said = f"{counted(len(stack), 'layer')}, seed {result.seed}{by and f'; {by}'}"
    return said, {
        "layers": len(stack),
        "seed": result.seed,
        "score": score and score.as_json(),
        "figures": score and score.figures,
    }


def _given(known: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return `known`, overridden by the values of `given` that are not None."""
    return {**known, **{name: value for name, value in given.items() if value is not None}}


def _recipe(pipeline: LayerPipeline, kind: Literal["decompose", "edit"], options: Mapping[str, Any]) -> Recipe:
    return recipe_of(kind, pipeline.engine, pipeline.status(), options)


def _computed_by(pipeline: LayerPipeline) -> str:
    """Return the blocks, kernels and attention of a run; "" for an engine without a choice."""
    forward = pipeline.status().forward
    return str(forward) if forward else ""
