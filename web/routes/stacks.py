"""`/api/qwen-image/composite` and `/export`: a stack of layers as one picture or as a file."""

import tempfile
from collections.abc import Iterator
from typing import IO, Any

from fastapi import APIRouter, Response
from starlette.responses import StreamingResponse

from llm_dit.colour import Colour, read_colour
from llm_dit.errors import InputError
from llm_dit.exports.formats import EXPORT_FORMATS, write_export
from llm_dit.file_names import file_stem
from llm_dit.layer import Layer, pixels_within
from llm_dit.layers import canvas_of
from llm_dit.painting import Painting
from llm_dit.png import encode_png
from server.store import disk_full_told
from web.answers import ImageResponse
from web.attachments import saved_as, sent
from web.bodies import Size, takes
from web.body import JsonRoute
from web.images import data_url, image_limits
from web.openapi import problems
from web.schemas import CompositeRequest, ExportRequest
from web.state import State, StateDep

router = APIRouter(prefix="/api/qwen-image", tags=["Layers"], route_class=JsonRoute)

REFUSALS = problems(400, 413, 415, 422)
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
async def composite_layers(body: CompositeRequest, state: StateDep) -> Response:
    """Put layers over each other, bottom first, and return one image."""

    def work() -> str:
        width, height = _canvas(body, state)
        with Painting(width, height, _background(body)) as painting:
            for layer in _layers(body, state):
                painting.add(layer)
            image = data_url(encode_png(painting.picture()))
        return ImageResponse(image=image, width=width, height=height).model_dump_json()

    return Response(await state["offload"](work), media_type="application/json")


@router.post("/export", response_class=Response, responses={**FILE, **REFUSALS})
@takes(Size.PICTURES)
async def export_layers(body: ExportRequest, state: StateDep) -> Response:
    """Return a stack of layers as a file."""

    def work() -> IO[bytes]:
        width, height = _canvas(body, state)
        file = tempfile.TemporaryFile(dir=state["store"].data_dir)  # noqa: SIM115 - whoever sends it closes it
        try:
            with disk_full_told():
                layers, background = _layers(body, state), _background(body)
                write_export(
                    layers, body.format, file, width=width, height=height, background=background, title=body.name
                )
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return file

    kind = EXPORT_FORMATS[body.format]
    headers = saved_as(file_stem(body.name, "layers" if kind.layered else "composite"), kind.suffix)
    file = await state["offload"](work)
    return StreamingResponse(sent(file, state), headers=headers, media_type=kind.media_type)


def _layers(body: CompositeRequest, state: State) -> Iterator[Layer]:
    """Yield the layers, each decoded when its turn comes."""
    limits = image_limits(state["settings"].server)
    for layer, picture in zip(body.layers, body.pictures, strict=True):
        yield layer.to_layer(picture.load(state["store"], limits))


def _canvas(body: CompositeRequest, state: State) -> tuple[int, int]:
    """Return the size of the canvas; raises `InputError` when there is nothing of it, or too much, before any work."""
    settings = state["settings"].server
    boxes = [(layer.box, layer.shown_box) for layer in _layers(body, state)]
    width, height = canvas_of([box for box, _ in boxes], body.width, body.height)
    if max(width, height) > settings.max_side or width * height > settings.max_pixels:
        raise InputError(
            f"The canvas would be {width}×{height} pixels; at most {settings.max_pixels / 1e6:.1f} million and "
            f"{settings.max_side} on the longer side will do: give a smaller width and height.",
            param="width",
        )
    if sum(pixels_within(shown, (0, 0, width, height)) for _, shown in boxes if shown) > settings.stack_pixels:
        raise InputError(
            f"At their scale the layers together show more than {settings.stack_pixels / 1e6:.1f} million pixels "
            "of the canvas: scale them down, merge some, or give a smaller width and height.",
            param="layers",
        )
    return width, height


def _background(body: CompositeRequest) -> Colour | None:
    return None if body.background is None else read_colour(body.background)
