"""`/api/qwen-image/composite`, `/export`, `/import` and `/select`: a stack as a picture or file, and its things."""

import contextlib
import dataclasses
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response

from llm_dit.color import read_color
from llm_dit.exports.formats import EXPORT_FORMATS
from llm_dit.names import file_stem
from server.pool.tasks import GivenStack
from server.storage.images import take_out
from web.bodies.limits import Size, takes
from web.bodies.reading import UPLOAD, JsonRoute, layer_limits, received, require_file
from web.images import Inlined, Picture, file_answer, saved_as, stack_limits
from web.openapi import problems
from web.responses import ImageResponse, ImportedLayer, ImportResponse, SelectLayerResponse, SelectResponse
from web.schemas import CompositeRequest, ExportRequest, SelectLayerRequest, SelectRequest
from web.state import State, StateDep, unless_left

router = APIRouter(prefix="/api/qwen-image", tags=["Layers"], route_class=JsonRoute)

REFUSALS = problems(400, 413, 415, 422, 503)
FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {format.media_type: {} for format in EXPORT_FORMATS.values()},
        "description": "The file, to be saved as `name` and the format's suffix. A ZIP holds composite.png, a PNG for "
        "each layer and manifest.json with all that is said of them; PSD and OpenRaster keep layers, groups and blend "
        "modes, a presentation (pptx) has a picture for each layer; png, jpeg and webp are flat.",
    }
}


@router.post("/composite", response_model=ImageResponse, responses=REFUSALS)
@takes(Size.PICTURES)
async def composite_layers(body: CompositeRequest, request: Request, state: StateDep) -> Response:
    """Put layers over each other, bottom first, and return one image."""
    async with _stack_of(body, state) as stack:
        width, height = await unless_left(request, state["pictures"].composite(stack))
        file = take_out(stack.target)
    inlined = Inlined()
    answer = ImageResponse(image=inlined.url("composite"), width=width, height=height)
    return inlined.answer(answer, {"composite": file})


@router.post("/export", response_class=Response, responses={**FILE, **REFUSALS})
@takes(Size.PICTURES)
async def export_layers(body: ExportRequest, request: Request, state: StateDep) -> Response:
    """Return a stack of layers as a file."""
    kind = EXPORT_FORMATS[body.format]
    stem = file_stem(body.name, "layers" if kind.layered else "composite")
    async with _stack_of(body, state) as stack:
        await unless_left(request, state["pictures"].export(stack, body.format, body.name))
        file = take_out(stack.target)
    return file_answer(file, kind.media_type, saved_as(stem, kind.suffix))


@contextlib.asynccontextmanager
async def _stack_of(body: CompositeRequest, state: State) -> AsyncGenerator[GivenStack]:
    """Lend the stack of a request, with its pictures in a folder that is gone afterwards."""
    async with state["transit"].folder() as folder:
        yield await state["offload"](lambda: _given(body, state, folder))


def _given(body: CompositeRequest, state: State, folder: Path) -> GivenStack:
    layers = [layer.given(picture.given(folder)) for layer, picture in zip(body.layers, body.pictures, strict=True)]
    return GivenStack(
        layers=tuple(layers),
        width=body.width,
        height=body.height,
        background=None if body.background is None else read_color(body.background),
        data_dir=state["store"].data_dir,
        limits=stack_limits(state["settings"].server),
        target=folder / "made",
    )


@router.post("/select", response_model=SelectResponse, responses=REFUSALS)
@takes(Size.PICTURES)
async def select_thing(body: SelectRequest, request: Request, state: StateDep) -> Response:
    """Return the mask of one thing that is pointed at in what a stack shows; it waits for no run."""
    async with _stack_of(body, state) as stack:
        found = await unless_left(request, state["pictures"].select(stack, body.hints))
        file = take_out(stack.target)
    inlined = Inlined()
    answer = SelectResponse(mask=inlined.url("mask"), **dataclasses.asdict(found))
    return inlined.answer(answer, {"mask": file})


@router.post("/select/layer", responses=REFUSALS)
@takes(Size.PICTURES)
async def select_layer(body: SelectLayerRequest, request: Request, state: StateDep) -> SelectLayerResponse:
    """Make a layer of what a stack shows where a mask is, and fill what is behind it; the composite stays."""
    async with _stack_of(body, state) as stack:
        mask = await state["offload"](lambda: Picture(body.mask, "mask").given(stack.target.parent))
        cut = await unless_left(request, state["pictures"].cut_out(stack, mask, body.name))
    return SelectLayerResponse.of(cut)


@router.post("/import", openapi_extra=UPLOAD, responses=problems(413, 415, 422, 503))
@takes(Size.FILE)
async def import_layers(request: Request, state: StateDep) -> ImportResponse:
    """Return the layers of a file: a project file, a ZIP of layers, OpenRaster (ORA) or Photoshop (PSD)."""
    require_file(request)
    limits = layer_limits(state["settings"].server)
    async with received(request, state) as file:
        kept = await state["pictures"].read_layers(file, limits)
    return ImportResponse(
        kind=kept.kind,
        width=kept.width,
        height=kept.height,
        layers=[ImportedLayer.of(layer) for layer in kept.layers],
        warnings=kept.warnings,
    )
