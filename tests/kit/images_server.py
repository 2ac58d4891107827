"""Servers that answer as those of vLLM-Omni and SGLang Diffusion do, with one model each that is a few lines.

The fields with their bounds, the answers and the errors are those of vllm-omni 0.30.0 with vLLM's handlers of errors
and its API key, and of sglang 0.5.23. Layers are plain; an edit turns what is red blue. `prompt` says what else
happens: "hold" runs until `go`, "oom" fails as a device without memory does, "crash" fails, "busy" is refused once,
"break" ends the connection, "one" makes one layer, and "nonsense" no pictures.
"""

import asyncio
import base64
import contextlib
import io
import re
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated, Any, Literal

import uvicorn
from fastapi import FastAPI, File, Form, HTTPException, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from PIL import Image
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from llm_dit.editing import prepare
from llm_dit.pipelines.openai_images import OpenAIImagesPipeline
from llm_dit.runs import model_size
from tests.kit.waiting import wait_until

Files = list[UploadFile] | None
Texts = list[str] | None
LAYERED, EDIT = "Qwen/Qwen-Image-Layered", "Qwen/Qwen-Image-Edit-2511"


@dataclass
class ImagesServer:
    """A running server: what it was asked for, and what it does."""

    kind: Literal["vllm-omni", "sglang"]
    model: str
    key: str = ""
    ready: bool = True
    url: str = ""
    forms: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """The texts of each form that began a run, and `images`, the pictures."""
    left: threading.Event = field(default_factory=threading.Event)
    """Set when a client has closed its connection during a run."""
    go: threading.Event = field(default_factory=threading.Event)
    refused: bool = False

    async def run(self, request: Request, images: list[UploadFile], texts: Mapping[str, Any], layers: int) -> list[str]:
        """Return the files of a run in base64."""
        pictures = [Image.open(io.BytesIO(await image.read())) for image in images]
        self.forms.append({"images": pictures, **{name: value for name, value in texts.items() if value is not None}})
        match texts["prompt"]:
            case "hold":
                while not self.go.is_set():
                    if await request.is_disconnected():
                        self.left.set()
                    await asyncio.sleep(0.01)
            case "oom":
                raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB at /secret/path")
            case "crash":
                raise RuntimeError("/secret/path is at fault")
            case "break":
                raise ConnectionError
            case "nonsense":
                return ["bm9uc2Vuc2U="] * layers
            case "one":
                layers = 1
            case "busy" if not self.refused:
                self.refused = True
                raise HTTPException(503, "No engine is free.")
        if "Layered" in self.model:
            made = _layers(pictures[0], texts.get("resolution") or 640, layers)
        else:
            made = [_recolored(pictures[0], texts["size"])]
        return [_encoded(picture, texts["output_format"]) for picture in made]


class BreaksOff(Response):
    """Ends the connection before its body."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})


def pipeline(**options: Any) -> OpenAIImagesPipeline:
    """Build the pipeline for such servers, for the worker of a service, with small pictures for edits.

    To make the picture that a model is shown, and to read its answer, takes ten times as long as all else.
    """
    assert prepare.__kwdefaults__
    prepare.__kwdefaults__["target_area"] //= 16
    return OpenAIImagesPipeline(**options)


def _layers(picture: Image.Image, resolution: int, count: int) -> list[Image.Image]:
    size = model_size(picture.size, resolution)
    layers = [Image.new("RGBA", size) for _ in range(count)]
    layers[0] = picture.convert("RGBA").resize(size)
    for number, layer in enumerate(layers[1:], start=1):
        layer.paste((number, 255 - number, 0, 255), (20 * number, 20, 20 * number + 15, 200))
    return layers


def _recolored(picture: Image.Image, size: str) -> Image.Image:
    red, green, blue = picture.convert("RGB").split()
    return Image.merge("RGB", (blue, green, red)).resize(_read_size(size) or picture.size)


def _encoded(picture: Image.Image, format: str | None) -> str:
    # Both make JPEG of what they do not know.
    kind = {"png": "PNG", "webp": "WEBP"}.get((format or "").lower(), "JPEG")
    buffer = io.BytesIO()
    (picture if kind != "JPEG" else picture.convert("RGB")).save(buffer, kind)
    return base64.b64encode(buffer.getvalue()).decode()


def _read_size(size: str | None) -> tuple[int, int] | None:
    if size is None or size.lower() == "auto":
        return None
    if not (match := re.fullmatch(r"(\d+)x(\d+)", size)):
        raise HTTPException(400, f"Invalid size format: '{size}'.")
    return int(match[1]), int(match[2])


def vllm_omni(server: ImagesServer) -> ASGIApp:
    app = FastAPI(openapi_url=None)
    app.add_exception_handler(ConnectionError, lambda *_: BreaksOff())

    def error(status: int, message: str) -> JSONResponse:
        told = {"message": message, "type": HTTPStatus(status).phrase, "param": None, "code": status}
        return JSONResponse({"error": told}, status)

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, problem: HTTPException) -> Response:
        return error(problem.status_code, str(problem.detail))

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, problem: RequestValidationError) -> Response:
        return error(400, f"{len(problem.errors())} validation error: {problem.errors()}")

    @app.get("/health")
    async def health() -> Response:
        told = {"status": "healthy"} if server.ready else {"status": "unhealthy"}
        return JSONResponse(told, 200 if server.ready else 503)

    @app.get("/v1/models")
    async def models() -> Response:
        card = {"id": server.model, "object": "model", "created": int(time.time()), "owned_by": "vllm"}
        more = {"root": server.model, "parent": None, "max_model_len": None, "permission": []}
        return JSONResponse({"object": "list", "data": [card | more]})

    @app.post("/v1/images/edits")
    async def edits(
        request: Request,
        prompt: Annotated[str, Form()],
        image: Annotated[Files, File()] = None,
        image_array: Annotated[Files, File(alias="image[]")] = None,
        url: Annotated[Texts, Form()] = None,
        model: Annotated[str | None, Form()] = None,
        n: Annotated[int, Form()] = 1,
        size: Annotated[str, Form()] = "auto",
        response_format: Annotated[str, Form()] = "b64_json",
        output_format: Annotated[str | None, Form()] = "png",
        output_compression: Annotated[int, Form(ge=0, le=100)] = 100,
        stream: Annotated[bool, Form()] = False,
        negative_prompt: Annotated[str | None, Form()] = None,
        num_inference_steps: Annotated[int | None, Form()] = None,
        true_cfg_scale: Annotated[float | None, Form()] = None,
        seed: Annotated[int | None, Form()] = None,
        layers: Annotated[int | None, Form()] = None,
        resolution: Annotated[int | None, Form()] = None,
    ) -> Response:
        if model is not None and model != server.model:
            raise HTTPException(
                400, f"Model mismatch: request specifies '{model}' but server is running '{server.model}'."
            )
        if response_format != "b64_json":
            raise HTTPException(400, "Only response_format 'b64_json' is supported now.")
        if stream:
            raise HTTPException(400, "stream=true is only supported for multi-stage image editing pipelines.")
        images = [*(image or image_array or [])]
        if not images and not url:
            raise HTTPException(422, "Field 'image' or 'url' is required")
        if len(images) > 1 and "Layered" in server.model:
            raise HTTPException(400, "Received multiple input images. Only a single image is supported by this model.")
        if resolution is not None and resolution not in (640, 1024):
            raise HTTPException(400, f"Invalid resolution {resolution}. Supported resolutions: (640, 1024).")
        if layers is not None and not 2 <= layers <= 10:
            raise HTTPException(400, f"Invalid layers value {layers}. layers must be between 2 and 10 inclusive.")
        if resolution is not None and size.lower() != "auto":
            raise HTTPException(400, "Cannot specify both 'resolution' and 'size'.")
        _read_size(size)
        texts = {"prompt": prompt, "negative_prompt": negative_prompt, "size": size, "output_format": output_format}
        texts |= {"steps": num_inference_steps, "scale": true_cfg_scale, "seed": seed, "layers": layers}  # type: ignore[dict-item]
        try:
            data = await server.run(request, images, texts | {"resolution": resolution}, layers or 4)
        except RuntimeError as problem:
            raise HTTPException(500, f"Image edit failed: {problem}") from None
        told = [{"b64_json": each, "url": None, "revised_prompt": None} for each in data]
        metrics = {"stage_durations": None, "peak_memory_mb": None}
        answer = {"created": int(time.time()), "data": told, "output_format": output_format, "size": size}
        return JSONResponse({**answer, "cot_output": None, "metrics": metrics})

    async def with_key(scope: Scope, receive: Receive, send: Send) -> None:
        given = dict(scope.get("headers", ())).get(b"authorization", b"").decode()
        refused = server.key and scope["path"].startswith("/v1") and given != f"Bearer {server.key}"
        await (JSONResponse({"error": "Unauthorized"}, 401) if refused else app)(scope, receive, send)

    return with_key


def sglang(server: ImagesServer) -> ASGIApp:
    app = FastAPI(openapi_url=None)
    app.add_exception_handler(ConnectionError, lambda *_: BreaksOff())

    @app.get("/health")
    async def health() -> Response:
        return JSONResponse({"status": "ok"}) if server.ready else Response(status_code=503)

    @app.get("/v1/models")
    async def models() -> Response:
        layered = "Layered" in server.model
        pipeline = "QwenImageLayeredPipeline" if layered else "QwenImageEditPlusPipeline"
        card = {"id": server.model, "object": "model", "created": int(time.time()), "owned_by": "sglang"}
        more = {"root": server.model, "num_gpus": 1, "task_type": "I2I", "pipeline_class": pipeline}
        return JSONResponse({"object": "list", "data": [card | more]})

    @app.post("/v1/images/edits")
    async def edits(
        request: Request,
        prompt: Annotated[str, Form()],
        image: Annotated[Files, File()] = None,
        image_array: Annotated[Files, File(alias="image[]")] = None,
        url: Annotated[Texts, Form()] = None,
        n: Annotated[int | None, Form()] = 1,
        response_format: Annotated[str | None, Form()] = None,
        size: Annotated[str | None, Form()] = None,
        output_format: Annotated[str | None, Form()] = None,
        seed: Annotated[int | None, Form()] = None,
        negative_prompt: Annotated[str | None, Form()] = None,
        true_cfg_scale: Annotated[float | None, Form()] = None,
        num_inference_steps: Annotated[int | None, Form()] = None,
        num_frames: Annotated[int, Form()] = 1,
    ) -> Response:
        if (response_format or "b64_json") != "b64_json":
            raise HTTPException(400, "response_format='url' requires cloud storage to be configured.")
        images = [*(image or image_array or [])]
        if not images and not url:
            raise HTTPException(422, "Field 'image' or 'url' is required")
        _read_size(size)
        for name, value in (("num_frames", num_frames), ("num_inference_steps", num_inference_steps)):
            if value is not None and value < 1:
                raise HTTPException(400, f"{name} must be a positive integer, got {value}")
        texts = {"prompt": prompt, "negative_prompt": negative_prompt, "size": size, "output_format": output_format}
        texts |= {"steps": num_inference_steps, "scale": true_cfg_scale, "seed": seed, "num_frames": num_frames}  # type: ignore[dict-item]
        data = await server.run(request, images, texts, num_frames)  # what fails in it is answered with 500 and no more
        told = [{"b64_json": each, "revised_prompt": prompt, "url": None, "file_path": None} for each in data]
        return JSONResponse({"id": "1", "created": int(time.time()), "data": told, "inference_time_s": 0.1})

    return app


@contextlib.contextmanager
def serve_images(kind: Literal["vllm-omni", "sglang"], model: str, **how: Any) -> Iterator[ImagesServer]:
    """Run such a server on a port of its own until the block ends."""
    server = ImagesServer(kind=kind, model=model, **how)
    app = vllm_omni(server) if kind == "vllm-omni" else sglang(server)
    listener = socket.create_server(("127.0.0.1", 0))
    server.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    running = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        wait_until(lambda: running.started, "the images server")
        yield server
    finally:
        server.go.set()
        running.should_exit = running.force_exit = True
        thread.join()
