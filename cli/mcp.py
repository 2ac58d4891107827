"""`llm-dit mcp`: a server of the Model Context Protocol, by which an assistant works on pictures in one folder.

It needs the extra `mcp`, and a service that does the runs.
"""

import math
import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import anyio
import typer
from PIL import Image

from cli.terminal import explained, open_image, read_stack, write_folder
from llm_dit.errors import InputError, LLMDiTError
from llm_dit.exports.formats import SUFFIXES
from llm_dit.images import encode_png
from llm_dit.layer import Layer
from llm_dit.options import Instruction, LayerNum, Prompt, Seed, Shape, Steps
from llm_dit.runs import Progress, ProgressCallback
from server.settings import ServerSettings

if TYPE_CHECKING:
    from mcp.server.mcpserver import Context, MCPServer


T = TypeVar("T")
URL = f"http://127.0.0.1:{ServerSettings().port}"
app = typer.Typer()

SHOWN_SIDE = 512
"""Pixels of the longer side of the pictures that an assistant sees; the files have their full size."""
INSTRUCTIONS = (
    "Takes pictures apart into RGBA layers, edits one layer by an instruction, and puts them together again. "
    "Files are named relative to the folder that the server was started with."
)


@app.command("mcp")
def serve_mcp(
    url: Annotated[str, typer.Option(help="Address of the service that does the runs.")] = URL,
    token: Annotated[str, typer.Option(help="Its token.", envvar="LLM_DIT_SERVER__TOKEN")] = "",
    folder: Annotated[
        Path, typer.Option(help="Folder whose files the assistant may read and write.", file_okay=False, exists=True)
    ] = Path(),
) -> None:
    """Serve the Model Context Protocol on standard input and output, for assistants."""
    with explained():
        make_server(url, token, folder).run("stdio")


def make_server(url: str, token: str, folder: Path, *, patience_s: float = 10.0) -> "MCPServer":
    """Return the server, which waits `patience_s` for a service; raises `InputError` without the extra `mcp`."""
    try:
        from mcp.server.mcpserver import Context, MCPServer
        from mcp.server.mcpserver import Image as Shown

        from llm_dit.client import AsyncClient
    except ImportError:
        raise InputError("The MCP server is not installed: run `llm-dit install mcp`.", param="mcp") from None

    desk = Desk(folder)
    server = MCPServer("llm-dit", instructions=INSTRUCTIONS)

    async def asked(context: Context, work: Callable[[AsyncClient, ProgressCallback], Awaitable[T]]) -> T:
        """Do work on the service, and tell the assistant how far it is."""
        async with AsyncClient(url, token=token, patience_s=patience_s) as client:
            return await told(context, lambda progress: work(client, progress))

    @server.tool(structured_output=False)
    async def decompose(
        context: Context,
        picture: Annotated[str, "Picture file."],
        layers: LayerNum | Literal["auto"] = 4,
        prompt: Prompt = "",
        seed: Seed | None = None,
        steps: Steps | None = None,
    ) -> list[Any]:
        """Take a picture apart into RGBA layers, which become PNG files in a folder beside it, with a manifest.json."""
        source = desk.file(picture)
        image = (await desk.run(open_image, source)).image
        made = await asked(
            context,
            lambda client, progress: client.decompose(
                image,
                prompt,
                layer_num=layers,
                output_size="original",
                seed=seed,
                num_inference_steps=steps,
                progress=progress,
            ),
        )
        stack = [Layer(image=layer, name=name) for layer, name in zip(made[1:], made.names[1:], strict=True)]
        target = source.with_name(f"{source.stem}_layers")
        await desk.run(write_folder, target, stack, image.width, image.height, about={"seed": made.seed})
        rows = [f"{number}: {layer.name}" for number, layer in enumerate(stack, start=1)]
        text = f"{desk.name(target)} has {len(stack)} layers, bottom first (seed {made.seed}):\n" + "\n".join(rows)
        if made.score is not None:
            text += f"\n{made.score.sentence}"
        return [text, *(Shown(data=small(layer.image), format="png") for layer in stack)]

    @server.tool(structured_output=False)
    async def edit_layer(
        context: Context,
        picture: Annotated[str, "Picture file of the layer, such as poster_layers/02-Sun.png."],
        instruction: Instruction,
        output: Annotated[str, "PNG file to write; empty: the layer's own file."] = "",
        shape: Shape = "keep",
        seed: Seed | None = None,
    ) -> list[Any]:
        """Edit one layer by an instruction; its alpha stays as it is unless `shape` is "new"."""
        source = desk.file(picture)
        target = desk.file(output or picture)
        if target.suffix.lower() != ".png":
            raise tool_error("The output must end with .png.")
        layer = (await desk.run(open_image, source)).image
        edited = await asked(
            context,
            lambda client, progress: client.edit_layer(layer, instruction, shape=shape, seed=seed, progress=progress),
        )
        await desk.run(target.write_bytes, encode_png(edited))
        return [f"Wrote {desk.name(target)}.", Shown(data=small(edited), format="png")]

    @server.tool(structured_output=False)
    async def composite(
        context: Context,
        layers: Annotated[list[str], "A folder of layers or a file of layers; or pictures, bottom first."],
        output: Annotated[str, "PNG file to write."],
    ) -> list[Any]:
        """Put layers together again as one picture."""
        target = desk.file(output)
        stack = await desk.run(read_stack, [desk.file(name) for name in layers])
        whole = await asked(
            context, lambda client, _: client.composite(stack.layers, stack.width, stack.height, groups=stack.groups)
        )
        await desk.run(target.write_bytes, encode_png(whole))
        return [f"Wrote {desk.name(target)}.", Shown(data=small(whole), format="png")]

    @server.tool(description=f"Write layers as a file that other programs open: {SUFFIXES}.", structured_output=False)
    async def export(
        context: Context,
        layers: Annotated[list[str], "A folder of layers or a file of layers; or pictures, bottom first."],
        output: Annotated[str, "File to write; its suffix is the format."],
    ) -> str:
        target = desk.file(output)
        stack = await desk.run(read_stack, [desk.file(name) for name in layers])
        await asked(
            context,
            lambda client, _: client.export(
                stack.layers, target, width=stack.width, height=stack.height, groups=stack.groups
            ),
        )
        return f"Wrote {desk.name(target)}."

    return server


class Desk:
    """The files that an assistant may use: those in one folder, by their names in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    def file(self, name: str) -> Path:
        """Return the file of a name; raises the protocol's error for one that lies elsewhere."""
        path = (self._folder / name).resolve()
        if not name or not path.is_relative_to(self._folder):
            raise tool_error("Name a file in the folder that the server was started with.")
        return path

    def name(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()

    async def run(self, work: Callable[..., T], *arguments: Any, **more: Any) -> T:
        """Return what work on files comes to; raises the protocol's error with a sentence."""
        try:
            return await anyio.to_thread.run_sync(partial(work, *arguments, **more))
        except LLMDiTError as error:
            raise tool_error(error.message.replace(f"{self._folder}{os.sep}", "")) from None
        except OSError as error:
            raise tool_error(f"A file cannot be read or written: {error.strerror}.") from None


def small(image: Image.Image) -> bytes:
    """Return a picture as an assistant sees it, as a PNG file."""
    seen = image.copy()
    seen.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
    return encode_png(seen)


def tool_error(message: str) -> Exception:
    """Return the protocol's error, whose message the assistant reads."""
    from mcp.server.mcpserver.exceptions import ToolError

    return ToolError(message)


async def told(context: "Context", work: Callable[[ProgressCallback], Awaitable[T]]) -> T:
    """Return what work comes to, and report its progress; raises the protocol's error with a sentence."""
    send, receive = anyio.create_memory_object_stream[Progress](math.inf)

    async def report() -> None:
        async for step in receive:
            await context.report_progress(step.step, step.total or None, step.phase)

    failure: LLMDiTError | None = None
    result: list[T] = []
    async with receive, anyio.create_task_group() as group:
        group.start_soon(report)
        with send:
            try:
                result.append(await work(send.send_nowait))
            except LLMDiTError as error:
                failure = error
    if failure is not None:
        raise tool_error(failure.message)
    return result[0]
