"""`/api/qwen-image/composite` and `/export`: a stack of layers as one picture or as a file."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Response

from llm_dit.colour import Colour, read_colour
from llm_dit.errors import InputError
from llm_dit.exports.formats import EXPORT_FORMATS, export
from llm_dit.file_names import file_stem
from llm_dit.layer import Layer
from llm_dit.layers import canvas_size, composite
from llm_dit.png import encode_png
from server.settings import ServerSettings
from web.answers import ImageResponse
from web.attachments import attachment
from web.bodies import Size, takes
from web.body import JsonRoute
from web.images import data_url, load_stack
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
        stack = _stack(body, state)
        width, height = _canvas(body, stack, state["settings"].server)
        image = composite(stack, width, height, _background(body))
        answer = ImageResponse(image=data_url(encode_png(image)), width=image.width, height=image.height)
        return answer.model_dump_json()

    return Response(await state["offload"](work), media_type="application/json")


@router.post("/export", response_class=Response, responses={**FILE, **REFUSALS})
@takes(Size.PICTURES)
async def export_layers(body: ExportRequest, state: StateDep) -> Response:
    """Return a stack of layers as a file."""

    def work() -> Response:
        stack = _stack(body, state)
        width, height = _canvas(body, stack, state["settings"].server)
        kind = EXPORT_FORMATS[body.format]
        stem = file_stem(body.name, "layers" if kind.layered else "composite")
        content = export(stack, body.format, width=width, height=height, background=_background(body), title=body.name)
        return attachment(content, kind.media_type, stem=stem, suffix=kind.suffix)

    return await state["offload"](work)


def _stack(body: CompositeRequest, state: State) -> list[Layer]:
    images = load_stack(body.pictures, state["store"], state["settings"].server)
    return [layer.to_layer(image) for layer, image in zip(body.layers, images, strict=True)]


def _canvas(body: CompositeRequest, stack: Sequence[Layer], settings: ServerSettings) -> tuple[int, int]:
    """Return the canvas's size; raises `InputError` when there is nothing of it, or too much."""
    width, height = canvas_size(stack, body.width, body.height)
    if max(width, height) > settings.max_side or width * height > settings.max_pixels:
        raise InputError(
            f"The canvas would be {width}×{height} pixels; at most {settings.max_pixels / 1e6:.1f} million and "
            f"{settings.max_side} on the longer side will do: give a smaller width and height.",
            param="width",
        )
    if sum(layer.area_within((0, 0, width, height)) for layer in stack) > settings.max_stack_pixels:
        raise InputError(
            f"At their scale the layers together cover more than {settings.max_stack_pixels / 1e6:.1f} million pixels "
            "of the canvas: scale them down, or give a smaller width and height.",
            param="layers",
        )
    return width, height


def _background(body: CompositeRequest) -> Colour | None:
    return None if body.background is None else read_colour(body.background)
