"""`/api/images`: pictures as files instead of base64."""

from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse

from llm_dit.decoding.formats import PICTURE_FORMATS
from server.pool.tasks import GivenPicture
from web.bodies.limits import Size, takes
from web.bodies.reading import media_type, receive, upload
from web.errors import UnsupportedMediaTypeError
from web.following import unless_left
from web.images import address_of, image_limits
from web.openapi import problems
from web.responses import KeptImageResponse
from web.state import StateDep

router = APIRouter(prefix="/api/images", tags=["Images"])

UPLOAD_TYPES = (*(format.media_types[0] for format in PICTURE_FORMATS), "application/octet-stream")
"""What to name; any `image/…` is taken, since the bytes alone tell what a file is."""


@router.post("", status_code=201, openapi_extra=upload(UPLOAD_TYPES), responses=problems(413, 415, 422, 503))
@takes(Size.PICTURES)
async def keep_image(
    request: Request,
    response: Response,
    state: StateDep,
    fit: Annotated[bool, Query(description="Scale a picture beyond the limits down to them; else refuse it.")] = True,
) -> KeptImageResponse:
    """Keep a picture, upright and as RGBA; its address is taken wherever a request takes an image."""
    _check_type(request)
    async with state["transit"].folder() as folder:
        given = GivenPicture(file=folder / "picture")
        await receive(request.stream(), folder / "picture")
        limits = image_limits(state["settings"].server)
        kept = await unless_left(request, state["pictures"].keep(given, limits, fit=fit))
    address = address_of(kept.sha256)
    response.headers["Location"] = address
    return KeptImageResponse(image=address, width=kept.width, height=kept.height, scaled_from=kept.scaled_from)


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
    path = await anyio.to_thread.run_sync(state["store"].checked_path, sha256)
    return FileResponse(path, headers=headers, media_type="image/png")
