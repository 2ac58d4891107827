"""The server of the Model Context Protocol, by the protocol's own client."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from PIL import Image

from cli.mcp import make_server
from tests.kit.pictures import disc
from tests.kit.running import LLM_DIT
from tests.kit.service import Service

if TYPE_CHECKING:  # every process that collects tests would take a second to import it
    from mcp import Client


@asynccontextmanager
async def assistant(folder: Path, url: str) -> AsyncIterator["Client"]:
    from mcp import Client, StdioServerParameters

    arguments = [*LLM_DIT, "mcp", "--url", url, "--folder", str(folder)]
    async with Client(StdioServerParameters(command=sys.executable, args=arguments, cwd=str(folder))) as client:
        yield client


def text_of(result: Any) -> str:
    return "\n".join(part.text for part in result.content if part.type == "text")


def test_an_assistant_takes_a_picture_apart_and_together_again(tmp_path: Path, service: Service) -> None:
    disc().save(tmp_path / "disc.png")
    steps: list[float] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        steps.append(progress)

    async def work() -> None:
        async with assistant(tmp_path, service.url) as client:
            tools = {tool.name for tool in (await client.list_tools()).tools}
            assert tools == {"decompose", "edit_layer", "composite", "export"}
            made = await client.call_tool(
                "decompose", {"picture": "disc.png", "layers": 2, "seed": 1}, progress_callback=on_progress
            )
            assert "disc_layers has 2 layers" in text_of(made)
            assert [part.type for part in made.content] == ["text", "image", "image"]
            top = min(path.name for path in (tmp_path / "disc_layers").glob("02-*.png"))
            edit = {"picture": f"disc_layers/{top}", "instruction": "make it blue"}
            assert text_of(await client.call_tool("edit_layer", edit)) == f"Wrote disc_layers/{top}."
            stack = {"layers": ["disc_layers"], "output": "whole.png"}
            await client.call_tool("composite", stack)
            await client.call_tool("export", {**stack, "output": "whole.psd"})
            for name, arguments in [
                ("decompose", {"picture": "../elsewhere.png"}),
                ("decompose", {"picture": "missing.png"}),
                ("edit_layer", {**edit, "instruction": "frobnicate"}),
                ("edit_layer", {**edit, "output": "x.jpg"}),
                ("export", {**stack, "output": "whole.xyz"}),
            ]:
                refused = await client.call_tool(name, arguments)
                assert refused.is_error, name
                assert text_of(refused).endswith((".", "does."))
                assert str(tmp_path) not in text_of(refused)

    anyio.run(work)
    assert steps
    with Image.open(tmp_path / "whole.png") as whole:
        assert whole.size == disc().size
    assert (tmp_path / "whole.psd").read_bytes().startswith(b"8BPS")


def test_without_a_service_the_assistant_is_told(tmp_path: Path) -> None:
    from mcp import Client

    disc().save(tmp_path / "disc.png")

    async def work() -> None:
        async with Client(make_server("http://127.0.0.1:9", "", tmp_path, patience_s=0)) as client:
            refused = await client.call_tool("decompose", {"picture": "disc.png"})
            assert refused.is_error
            assert "cannot be reached" in text_of(refused)

    anyio.run(work)
