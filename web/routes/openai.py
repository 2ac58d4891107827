"""OpenAI's API for editing pictures, for clients that speak it, and that of Hugging Face: docs/openai.md."""

import asyncio
import base64
import contextlib
import json
import re
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi.sse import format_sse_event
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse

from llm_dit.color import read_color
from llm_dit.errors import InputError, LLMDiTError
from llm_dit.images import size_of
from server.errors import ModelNotFoundError, NotFoundError
from server.jobs.inputs import JobResult, StoredImage
from server.jobs.job import Job, Submission
from server.jobs.queue import JobQueue
from server.pool.tasks import Flat, GivenPicture
from server.storage.images import address_of as stored_at
from server.storage.images import take_out
from web.bodies.limits import Size, takes
from web.bodies.reading import FORM_TYPE, Form, FormFile, JobRoute, read_form
from web.errors import error_body, problems
from web.images import Inlined, Picture, address_of, file_answer, image_limits
from web.openai_wire import (
    MODELS,
    EditForm,
    ImageData,
    ImageLayer,
    ImagesResponse,
    ModelResponse,
    ModelsResponse,
    Usage,
    read_texts,
    validated,
)
from web.routes.layers import submission_of, submit
from web.schemas import EXAMPLE_IMAGE, MAX_TEXT, ImageField
from web.state import State, StateDep, client_of, result_of, retries_of, unless_left

router = APIRouter(prefix="/v1", tags=["OpenAI"])
PICTURES = ("image", "url")
MASKS = ("mask", "mask_image")
"""Parts of a form that are pictures: files, base64, data URLs, or addresses of pictures that this service holds."""
OWN_ADDRESS = re.compile(r"(?:https?://[^/\s]+)?\S{0,200}?/api/images/([0-9a-f]{64})\.png")
MAX_ADDRESS = 400
OVER_WHITE = read_color("#ffffff")
PING_S = 15.0
"""Seconds of silence after which a stream says that it is alive, for proxies on the way."""
GENERATIONS = (
    "This service edits pictures and makes none from words alone: send a picture to /v1/images/edits, as "
    "client.images.edit does."
)
FORM = {
    "requestBody": {
        "required": True,
        "content": {
            FORM_TYPE: {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {
                        "image": {
                            "type": "string",
                            "format": "binary",
                            "description": "The picture, also as `image[]` or, as a data URL, as `url`; further ones "
                            "are references. Nothing is fetched from other hosts.",
                        },
                        "mask": {
                            "type": "string",
                            "format": "binary",
                            "description": "Where the picture may change: where this one, of the same size, is "
                            "transparent, or white if it is opaque everywhere.",
                        },
                        **EditForm.model_json_schema(by_alias=False)["properties"],
                    },
                }
            }
        },
    }
}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a request asks for: the runs, and how what they make comes back."""

    form: EditForm
    submissions: Sequence[Submission]
    warnings: Sequence[str]


@router.get("/models")
async def list_models(state: StateDep) -> ModelsResponse:
    """Return the models that run here."""
    return ModelsResponse(data=[ModelResponse(id=name) for name in _models(state)])


@router.post("/images/generations", include_in_schema=False)
async def generate_images() -> None:
    """There is no model here that makes pictures from words alone."""
    raise NotFoundError(GENERATIONS)


@router.post(
    "/images/edits",
    response_model=ImagesResponse,
    openapi_extra=FORM,
    responses=problems(400, 404, 409, 413, 415, 422, 429, 503),
)
@takes(Size.PICTURES)
async def edit_images(request: Request, state: StateDep) -> Response:
    """Edit a picture as OpenAI's clients ask for it; with `layers`, take it apart into so many."""
    if not retries_of(request):
        state["jobs"].require_room(client_of(request))
    async with state["transit"].folder() as folder:
        form = await read_form(request, folder, (*PICTURES, *MASKS))
        asked = await _asked(form, request, state)
    if asked.form.stream:
        events = _events(asked, request, state)
        first = await anext(events)  # what is refused before a run begins is an answer of its own
        return StreamingResponse(_after(first, events), media_type="text/event-stream")
    async with state["retries"].jobs_for(asked.submissions, request, state["jobs"]) as jobs:
        results = await unless_left(request, _results(jobs, state["jobs"]))
    return await _answer(asked, results, request, state)


async def _asked(form: Form, request: Request, state: State) -> Asked:
    """Put the pictures of a form into the store, and return what it asks for."""
    wanted, warnings = read_texts(form.texts)
    _require_model(wanted.model, state)
    pictures = [part for part in form.files if part.name in PICTURES]
    masks = [part for part in form.files if part.name in MASKS]
    if len(pictures) + len(masks) < len(form.files):
        others = sorted({part.name for part in form.files} - {*PICTURES, *MASKS})
        raise InputError("This file is for nothing: send pictures as image and mask.", param=others[0])
    if not pictures:
        raise InputError("image is missing: send the picture as a file of the form.", param="image")
    if len(masks) > 1:
        raise InputError("There is more than one mask: send one.", param="mask")
    if not (wanted.decomposes or wanted.prompt):
        raise InputError("prompt is missing: say what to change, or send layers for so many layers.", param="prompt")
    _check_output(wanted, state)
    kept = [await _kept(part, request, state) for part in pictures]
    mask = await _kept(masks[0], request, state) if masks else None
    submissions = [await submission_of(body, request, state) for body in wanted.bodies(kept, mask)]
    return Asked(form=wanted, submissions=submissions, warnings=warnings)


def _require_model(name: str, state: State) -> None:
    if name in MODELS and name not in _models(state):
        raise ModelNotFoundError("This model does not run here: leave model out, or take one that /v1/models lists.")


def _models(state: State) -> list[str]:
    running = {engine.name for engine in (state["engine"], state["spare"]) if engine is not None}
    return [name for name, engine in MODELS.items() if engine in running]


def _check_output(form: EditForm, state: State) -> None:
    settings = state["settings"].server
    if form.pixels is not None:
        width, height = form.pixels
        if max(width, height) > settings.max_side or width * height > settings.max_pixels:
            most = f"{settings.max_pixels / 1e6:.1f} million pixels and {settings.max_side} on the longer side"
            raise InputError(f"A result has at most {most}: take a smaller size, or auto.", param="size")
    if form.response_format == "url" and form.output_format != "png":
        raise InputError(
            "The address of a result is that of a PNG file: take b64_json for others.", param="response_format"
        )


async def _kept(part: FormFile, request: Request, state: State) -> str:
    """Put a picture into the store and return its address there; raises `ImageError`."""
    param = "image" if part.name in PICTURES else "mask"
    given = GivenPicture(file=part.path, as_text=part.as_text, clear_is_white=param == "mask", param=param)
    text = await state["offload"](lambda: _short_text(part))
    if address := OWN_ADDRESS.fullmatch(text):
        given = GivenPicture(sha256=address[1], param=param)
    elif text.startswith(("http:", "https:")):
        raise InputError("Nothing is fetched from other addresses: send the picture itself.", param=param)
    picture = await unless_left(request, state["pictures"].keep(given, image_limits(state["settings"].server)))
    return stored_at(picture.sha256)


def _short_text(part: FormFile) -> str:
    """Return a part that may be an address, "" for a file and for longer texts."""
    if not part.as_text or part.path.stat().st_size > MAX_ADDRESS:
        return ""
    return part.path.read_text("utf-8", "replace").strip()


# What comes back.


async def _results(jobs: Sequence[Job], queue: JobQueue) -> list[JobResult]:
    tasks = [asyncio.create_task(queue.result_of(job)) for job in jobs]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


def _pictures(form: EditForm, results: Sequence[JobResult]) -> list[StoredImage]:
    """Return the pictures that a client gets: edits, or the layers without their composite."""
    return list(results[0].images[1:]) if form.decomposes else [result.images[0] for result in results]


def _flat(form: EditForm, state: State) -> Flat | None:
    """Return how a result is written as another file than the one that the store holds; None when it is not."""
    opaque = form.background == "opaque"
    if form.output_format == "png" and form.pixels is None and not opaque:
        return None
    return Flat(
        format=form.output_format,
        limits=image_limits(state["settings"].server),
        size=form.pixels,
        background=OVER_WHITE if opaque else None,
    )


async def _file(picture: StoredImage, form: EditForm, state: State) -> Path | IO[bytes]:
    """Return the file of a result, as the client wants it."""
    flat = _flat(form, state)
    if flat is None:
        return state["store"].checked_path(picture.sha256)
    async with state["transit"].folder() as folder:
        await state["pictures"].write(picture.sha256, flat, folder / "made")
        return take_out(folder / "made")


async def _stored(picture: StoredImage, form: EditForm, state: State) -> str:
    """Return the SHA-256 of a result in the store, as the client wants it."""
    flat = _flat(form, state)
    if flat is None:
        return picture.sha256
    async with state["transit"].folder() as folder:
        await state["pictures"].write(picture.sha256, flat, folder / "made")
        made = GivenPicture(file=folder / "made", as_text=False, param="size")
        return (await state["pictures"].keep(made, flat.limits)).sha256


async def _answer(asked: Asked, results: Sequence[JobResult], request: Request, state: State) -> Response:
    form, pictures = asked.form, _pictures(asked.form, results)
    if form.response_format == "url":
        base = f"{request.url.scheme}://{request.url.netloc}"
        data = [ImageData(url=base + address_of(await _stored(picture, form, state))) for picture in pictures]
        return Response(_content(asked, results, data).model_dump_json(), media_type="application/json")
    files = {str(turn): await _file(picture, form, state) for turn, picture in enumerate(pictures)}
    inlined = Inlined(prefix="")
    content = _content(asked, results, [ImageData(b64_json=inlined.url(name)) for name in files])
    return await state["offload"](lambda: inlined.answer(content, files))


def _content(asked: Asked, results: Sequence[JobResult], data: list[ImageData]) -> ImagesResponse:
    form, pictures = asked.form, _pictures(asked.form, results)
    layers = [
        ImageLayer(
            index=index,
            name=picture.name,
            width=picture.width,
            height=picture.height,
            coverage=round(picture.coverage, 4),
        )
        for index, picture in enumerate(pictures, start=1)
    ]
    told = [warning for result in results for warning in result.warnings]
    return ImagesResponse(
        created=int(time.time()),
        data=data,
        **_shape_of(pictures[0], form),
        layers=layers if form.decomposes else [],
        seed=results[0].seed,
        engine=results[0].engine,
        generation_time=round(sum(result.generation_time_s for result in results), 3),
        warnings=list(dict.fromkeys([*told, *asked.warnings])),
    )


def _shape_of(picture: StoredImage, form: EditForm) -> dict[str, Any]:
    width, height = form.pixels or (picture.width, picture.height)
    opaque = form.background == "opaque" or form.output_format == "jpeg"
    return {
        "size": f"{width}x{height}",
        "background": "opaque" if opaque else "transparent",
        "output_format": form.output_format,
        "quality": "high",
    }


# The same as a stream of server-sent events.


async def _events(asked: Asked, request: Request, state: State) -> AsyncGenerator[bytes]:
    """Yield a comment once the runs are queued, then what they are going to be, and each result."""
    form, queue = asked.form, state["jobs"]
    async with state["retries"].jobs_for(asked.submissions, request, queue) as jobs:
        waiting = [asyncio.create_task(queue.result_of(job)) for job in jobs]
        try:
            yield b": queued\n\n"
            for job, work in zip(jobs, waiting, strict=True):
                async for event in _with_pings(_partials(job, form)):
                    yield event
                for index, picture in enumerate(_pictures(form, [await work]), start=1):
                    file = await _file(picture, form, state)
                    more = {"layer": index, "name": picture.name} if form.decomposes else {}
                    content = await state["offload"](lambda file=file: _read(file))
                    yield _event(
                        "completed", content, {**_shape_of(picture, form), "usage": Usage().model_dump(), **more}
                    )
        except LLMDiTError as error:
            told = {"error": error_body(error).model_dump()}
            yield format_sse_event(data_str=json.dumps(told), event="error")
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)


async def _partials(job: Job, form: EditForm) -> AsyncGenerator[bytes]:
    """Yield at most as many previews of an edit as are wanted, spread over its steps; ends with the job."""
    sent = 0
    async for event in job.follow():
        png = job.previews.get(1) if event.name == "preview" and not form.decomposes else None
        done = event.job.step / event.job.total if event.job.total else 0.0
        if png is not None and sent < form.partial_images and done * (form.partial_images + 1) >= sent + 1:
            width, height = size_of(png)
            shape = {"size": f"{width}x{height}", "background": "transparent", "output_format": "png"}
            yield _event("partial_image", png, {**shape, "quality": "low", "partial_image_index": sent})
            sent += 1


async def _with_pings(events: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Yield events, and a comment whenever there is none for a while."""
    coming = asyncio.ensure_future(anext(events, None))
    try:
        while True:
            done, _ = await asyncio.wait({coming}, timeout=PING_S)
            if not done:
                yield b": working\n\n"
            elif (event := coming.result()) is None:
                return
            else:
                yield event
                coming = asyncio.ensure_future(anext(events, None))
    finally:
        coming.cancel()


async def _after(first: bytes, events: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    async with contextlib.aclosing(events):
        yield first
        async for event in events:
            yield event


def _event(name: str, picture: bytes, more: dict[str, Any]) -> bytes:
    kind = f"image_edit.{name}"
    content = {
        "type": kind,
        "b64_json": base64.b64encode(picture).decode(),
        "created_at": int(time.time()),
        **more,
    }
    return format_sse_event(data_str=json.dumps(content), event=kind)


def _read(file: Path | IO[bytes]) -> bytes:
    with file.open("rb") if isinstance(file, Path) else file as opened:
        return opened.read()


# Hugging Face's inference client.


HUGGING_FACE: dict[str, Any] = {"examples": [{"inputs": EXAMPLE_IMAGE, "parameters": {"prompt": "Make it blue"}}]}


class TargetSize(BaseModel):
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]


class HuggingFaceParameters(BaseModel, extra="ignore"):
    prompt: Annotated[str, Field(min_length=1, max_length=MAX_TEXT, description="What to change.")]
    negative_prompt: str | None = None
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    seed: int | None = None
    target_size: TargetSize | None = None


class HuggingFaceRequest(BaseModel, extra="ignore", json_schema_extra=HUGGING_FACE):
    """What `InferenceClient.image_to_image` sends; parameters that are not known are ignored."""

    inputs: ImageField
    parameters: HuggingFaceParameters


hugging_face = APIRouter(prefix="/v1/hf", tags=["OpenAI"], route_class=JobRoute)


@hugging_face.post(
    "/image-to-image",
    response_class=Response,
    responses={
        200: {"content": {"image/png": {}}, "description": "The edited picture."},
        **problems(400, 409, 413, 415, 422, 429, 503),
    },
)
@takes(Size.PICTURES)
async def image_to_image(body: HuggingFaceRequest, request: Request, state: StateDep) -> Response:
    """Edit a picture as Hugging Face's `InferenceClient(model=".../v1/hf/image-to-image")` asks for it."""
    given = body.parameters
    size = given.target_size
    fields = {
        "prompt": given.prompt,
        "negative_prompt": given.negative_prompt,
        "steps": given.num_inference_steps,
        "cfg_scale": given.guidance_scale,
        "seed": given.seed,
        "size": f"{size.width}x{size.height}" if size else None,
    }
    form = validated(EditForm, {name: value for name, value in fields.items() if value is not None})
    _check_output(form, state)
    async with state["transit"].folder() as folder:
        picture = await state["offload"](lambda: Picture(body.inputs, "inputs").given(folder))
        kept = await unless_left(request, state["pictures"].keep(picture, image_limits(state["settings"].server)))
    (body_of_run,) = form.bodies([stored_at(kept.sha256)], None)
    job = await submit(body_of_run, request, state, None, kept=False)
    result = await result_of(job, request, state["jobs"])
    file = await _file(result.images[0], form, state)
    return file_answer(file.open("rb") if isinstance(file, Path) else file, "image/png", {})
