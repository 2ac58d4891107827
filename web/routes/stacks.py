"""`/api/qwen-image/composite` and `/export`: a stack of layers as one picture or as a file."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Response
from PIL import Image

from llm_dit.errors import InputError
from llm_dit.exports.zip import export_zip
from llm_dit.layers import Layer, composite
from llm_dit.png import encode_png
from server.settings import ServerSettings
from web.answers import ImageResponse
from web.body import JsonRoute
from web.images import data_url, load_stack
from web.openapi import problems
from web.schemas import CompositeRequest, ExportRequest
from web.state import State, StateDep

router = APIRouter(prefix="/api/qwen-image", tags=["Layers"], route_class=JsonRoute)

REFUSALS = problems(400, 413, 415, 422)
FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"application/zip": {}, "image/png": {}},
        "description": "The file. A ZIP holds composite.png, a PNG for each layer and manifest.json.",
    }
}


@router.post("/composite", response_model=ImageResponse, responses=REFUSALS)
async def composite_layers(body: CompositeRequest, state: StateDep) -> Response:
    """Put layers over each other, bottom first, and return one image."""

    def work() -> str:
        image = _flatten(body, _stack(body, state), state)
        answer = ImageResponse(image=data_url(encode_png(image)), width=image.width, height=image.height)
        return answer.model_dump_json()

    return Response(await state["offload"](work), media_type="application/json")


@router.post("/export", response_class=Response, responses={**FILE, **REFUSALS})
async def export_layers(body: ExportRequest, state: StateDep) -> Response:
    """Return a stack of layers as a file."""

    def work() -> Response:
        stack = _stack(body, state)
        if body.format == "png":
            return _attachment(encode_png(_flatten(body, stack, state)), "composite.png", "image/png")
        width, height = _canvas(body, stack, state["settings"].server)
        return _attachment(export_zip(stack, width=width, height=height), "layers.zip", "application/zip")

    return await state["offload"](work)


def _stack(body: CompositeRequest, state: State) -> list[Layer]:
    images = load_stack(body.pictures, state["store"], state["settings"].server)
    return [layer.to_layer(image) for layer, image in zip(body.layers, images, strict=True)]


def _flatten(body: CompositeRequest, stack: Sequence[Layer], state: State) -> Image.Image:
    width, height = _canvas(body, stack, state["settings"].server)
    return composite(stack, width, height, _rgba(body.background))


def _canvas(body: CompositeRequest, stack: Sequence[Layer], settings: ServerSettings) -> tuple[int, int]:
    """Return the canvas's size; raises `InputError` when there is nothing of it, or too much."""
    width = body.width or max(layer.x + layer.image.width for layer in stack)
    height = body.height or max(layer.y + layer.image.height for layer in stack)
    if width < 1 or height < 1:
        raise InputError("Every layer lies off the canvas: give a width and a height, or move a layer.", param="layers")
    if max(width, height) > settings.max_side or width * height > settings.max_pixels:
        raise InputError(
            f"The canvas would be {width}×{height} pixels; at most {settings.max_pixels / 1e6:.1f} million and "
            f"{settings.max_side} on the longer side will do: give a smaller width and height.",
            param="width",
        )
    return width, height


def _rgba(background: str | None) -> tuple[int, int, int, int] | None:
    if background is None:
        return None
    red, green, blue, alpha = bytes.fromhex(background.removeprefix("#").ljust(8, "f"))
    return red, green, blue, alpha


def _attachment(content: bytes, name: str, media_type: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, headers=headers, media_type=media_type)
