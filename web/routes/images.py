"""`/api/images`: pictures as files instead of base64."""

from typing import Any

from fastapi import APIRouter, Request, Response

from llm_dit.decoding.formats import PICTURE_FORMATS
from llm_dit.images import read_image
from llm_dit.png import encode_png
from web.answers import ImageResponse
from web.bodies import Size, takes
from web.body import media_type
from web.errors import UnsupportedMediaTypeError
from web.images import address_of, image_limits
from web.openapi import problems
from web.state import StateDep

router = APIRouter(prefix="/api/images", tags=["Images"])

UPLOAD_TYPES = (*(format.media_types[0] for format in PICTURE_FORMATS), "application/octet-stream")
"""What to name; any `image/…` is taken, since the bytes alone tell what a file is."""
UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {name: {"schema": {"type": "string", "format": "binary"}} for name in UPLOAD_TYPES},
    }
}


@router.post("", status_code=201, openapi_extra=UPLOAD, responses=problems(413, 415, 422))
@takes(Size.PICTURES)
async def keep_image(request: Request, response: Response, state: StateDep) -> ImageResponse:
    """Keep a picture, upright and as RGBA; its address is taken wherever a request takes an image."""
    _check_type(request)
    content = await request.body()

    def keep() -> ImageResponse:
        image = read_image(content, image_limits(state["settings"].server))
        sha256 = state["store"].put(encode_png(image))
        return ImageResponse(image=address_of(sha256), width=image.width, height=image.height)

    kept = await state["offload"](keep)
    response.headers["Location"] = kept.image
    return kept


def _check_type(request: Request) -> None:
    """Refuse what a form or a script of a foreign page can send unasked; which picture it is the bytes tell."""
    named = media_type(request) if "content-type" in request.headers else ""
    if not named.startswith("image/") and named != "application/octet-stream":
        raise UnsupportedMediaTypeError(", ".join(UPLOAD_TYPES))


@router.get(
    "/{sha256}.png",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}, "description": "The picture."}, **problems(404)},
)
async def show_image(sha256: str, request: Request, state: StateDep) -> Response:
    """Return a picture that this server holds."""
    headers = {"ETag": f'"{sha256}"', "Cache-Control": "private, max-age=31536000, immutable"}
    if request.headers.get("if-none-match") == headers["ETag"] and sha256 in state["store"]:
        return Response(status_code=304, headers=headers)
    content = await state["offload"](lambda: state["store"].read(sha256))
    return Response(content, headers=headers, media_type="image/png")
