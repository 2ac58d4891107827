"""Clients of a remote service, with the methods of a pipeline: `Client`, and `AsyncClient` for asyncio.

They need the extra `client` (httpx2). A run is a job of the service: progress and previews arrive as server-sent
events, a broken connection is resumed, and an abandoned call cancels its job.
"""

import functools
import json
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, aclosing
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, Unpack
from urllib.parse import urlsplit

import anyio
import httpx2
from anyio.from_thread import start_blocking_portal
from PIL import Image

from llm_dit.errors import InputError, InstructionError, LLMDiTError, ServiceError
from llm_dit.exports.formats import ExportName, export_name
from llm_dit.images import bytes_of, encode_png, read_picture
from llm_dit.layer import NO_GROUPS, Groups, KeptLayer, Layer, Placing
from llm_dit.layers import Decomposition
from llm_dit.options import HTTP_NAMES, DecomposeArguments, EditArguments, NamedBox, http_name
from llm_dit.runs import PreviewCallback, Progress, ProgressCallback, RegionLike
from llm_dit.surroundings import SurroundingsLike, read_surroundings

T = TypeVar("T")
Json = dict[str, Any]

PATIENCE_S = 120.0
"""Seconds for which a service may be unreachable or temporarily refuse before a call fails."""
SILENCE_S = 60.0
"""Most seconds without data; a service sends a sign of life every 15 s."""
LONGEST_WAIT_S = 10.0
SOON_S = 30.0
"""A longer Retry-After than this means that somebody must fix the service."""
DEFAULT_URL = "http://127.0.0.1:8000"
UNREACHABLE = "The service cannot be reached: check its address, and whether it runs."


class AsyncClient:
    """A service at `url`; `token` is its token, if it has one.

    Every method raises `LLMDiTError`: the class of the service's error if it exists here, otherwise `ServiceError`.
    Use it as a context manager, or call `close`.
    """

    def __init__(self, url: str = DEFAULT_URL, *, token: str = "", patience_s: float = PATIENCE_S) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._patience_s = patience_s
        self._prefix = urlsplit(url).path.rstrip("/")
        """The path prefix of the service, which its addresses include."""
        self._http = httpx2.AsyncClient(base_url=url.rstrip("/"), headers=headers, timeout=SILENCE_S)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def decompose(
        self,
        image: Image.Image,
        prompt: str = "",
        *,
        regions: Sequence[NamedBox] = (),
        progress: ProgressCallback | None = None,
        preview: PreviewCallback | None = None,
        **options: Unpack[DecomposeArguments],
    ) -> Decomposition:
        """Return `[composite, bottom, …, top]`; see `LayerPipeline.decompose`."""
        body = {"image": await self.upload(image), "prompt": prompt, **_wire(options)}
        if regions:
            body["regions"] = [{"box": list(region.box), "name": region.name} for region in regions]
        result = await self._run("decompose", body, progress, preview)
        layers = [await self.picture(layer["image"]) for layer in result["layers"][1:]]
        names = [layer["name"] for layer in result["layers"][1:]]
        return Decomposition(layers, seed=result["seed"], prompt=result["prompt"], names=names, picture=image)

    async def edit_layer(
        self,
        layer_image: Image.Image,
        instruction: str,
        *,
        region: RegionLike | None = None,
        references: Sequence[Image.Image] = (),
        surroundings: SurroundingsLike | None = None,
        progress: ProgressCallback | None = None,
        preview: PreviewCallback | None = None,
        **options: Unpack[EditArguments],
    ) -> Image.Image:
        """Return the edited RGBA layer; see `LayerPipeline.edit_layer`."""
        body = {"image": await self.upload(layer_image), "instruction": instruction, **_wire(options)}
        if isinstance(region, Image.Image):
            body["region"] = {"mask": await self.upload(region)}
        elif region is not None:
            body["region"] = {"box": list(region)}
        around = read_surroundings(surroundings, layer_image, context=options.get("context", False))
        if around is not None:
            left, top, right, bottom = around.box
            shown = await self.upload(around.image.resize((right - left, bottom - top)))
            # A canvas begins at its left and top: what lies beyond those of the layer moves the layer.
            x, y = max(-left, 0), max(-top, 0)
            stack = [{"image": shown, "x": left + x, "y": top + y}, {"image": body["image"], "x": x, "y": y}]
            body["surroundings"] = {"layers": stack, "index": 1}
        if references:
            body["references"] = [await self.upload(reference) for reference in references]
        return await self.picture((await self._run("edit-layer", body, progress, preview))["image"])

    async def composite(
        self,
        layers: Iterable[Layer],
        width: int | None = None,
        height: int | None = None,
        *,
        background: str | None = None,
        groups: Groups = NO_GROUPS,
    ) -> Image.Image:
        """Return the composite of a stack, bottom first, on `background`, #rrggbb or #rrggbbaa; see `composite`."""
        body = await self._stack(layers, width, height, background, groups, named=False)
        answer = await self.request("POST", "/api/qwen-image/composite", json=body)
        return await self.picture(answer.json()["image"])

    async def export(
        self,
        layers: Iterable[Layer],
        file: Path | str,
        format: ExportName | None = None,
        *,
        width: int | None = None,
        height: int | None = None,
        background: str | None = None,
        groups: Groups = NO_GROUPS,
    ) -> None:
        """Write a stack, bottom first, as a file; the default `format` is that of its suffix."""
        path = Path(file)
        body = await self._stack(layers, width, height, background, groups, named=True)
        body |= {"format": format or export_name(path), "name": path.stem}
        answer = await self.request("POST", "/api/qwen-image/export", json=body)
        await anyio.Path(path).write_bytes(answer.content)

    async def status(self) -> Json:
        """Return `GET /api/qwen-image/status`: the engine, its models and its queue."""
        return (await self.request("GET", "/api/qwen-image/status")).json()

    async def config(self) -> Json:
        """Return `GET /api/qwen-image/config`: capabilities, defaults and limits."""
        return (await self.request("GET", "/api/qwen-image/config")).json()

    async def jobs(self) -> list[Json]:
        """Return this client's jobs, the newest first."""
        return (await self.request("GET", "/api/jobs")).json()["jobs"]

    async def cancel(self, job_id: str) -> Json:
        """Cancel a job, and return it."""
        return (await self.request("DELETE", f"/api/jobs/{job_id}")).json()

    async def upload(self, image: Image.Image) -> str:
        """Upload a picture, and return its address on the service for other requests."""
        content = await anyio.to_thread.run_sync(encode_png, image.convert("RGBA"))
        headers = {"Content-Type": "image/png"}
        answer = await self.request("POST", "/api/images?fit=false", content=content, headers=headers)
        return str(answer.json()["image"])

    async def picture(self, source: str) -> Image.Image:
        """Return the picture at an address of the service, or in a data URL."""
        own = source.removeprefix(self._prefix)
        content = bytes_of(source) if source.startswith("data:") else (await self.request("GET", own)).content
        return (await anyio.to_thread.run_sync(read_picture, content)).image

    async def request(self, method: str, path: str, **how: Any) -> httpx2.Response:
        """Send a request, and retry if the service is unreachable or temporarily refuses; raises `LLMDiTError`."""
        deadline = time.monotonic() + self._patience_s
        wait_s = 0.1
        while True:
            try:
                answer = await self._http.request(method, path, **how)
            except httpx2.TransportError:
                if time.monotonic() > deadline:
                    raise ServiceError(UNREACHABLE) from None
            else:
                if answer.status_code < 400:
                    return answer
                error = _error_of(answer)
                if not error.temporary or time.monotonic() > deadline:
                    raise error
                wait_s = min(float(answer.headers.get("retry-after", 0)) or wait_s, LONGEST_WAIT_S)
            await anyio.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    async def _run(
        self, route: str, body: Json, progress: ProgressCallback | None, preview: PreviewCallback | None
    ) -> Json:
        """Run a job on the service and return its result; an abandoned run is canceled."""
        # With the key, a retry after a broken connection finds the job of the first request.
        headers = {"Prefer": "respond-async", "Idempotency-Key": uuid.uuid4().hex}
        answer = await self.request("POST", f"/api/qwen-image/{route}", json=body, headers=headers)
        job: Json = answer.json()
        try:
            async with aclosing(self._events(job["id"])) as events:
                async for name, content in events:
                    if name == "preview":
                        if preview is not None:
                            await self._show(content, preview)
                        continue
                    job = content
                    if progress is not None and job["phase"]:
                        progress(Progress(phase=job["phase"], step=job["step"], total=job["total"]))
        except BaseException:
            with anyio.move_on_after(LONGEST_WAIT_S, shield=True):
                await self.cancel(job["id"])
            raise
        if job["error"]:
            raise _error(job["error"])
        return job["result"]

    async def _show(self, content: Json, preview: PreviewCallback) -> None:
        try:
            picture = await self.picture(content["url"])
        except LLMDiTError:
            return  # the job has ended meanwhile
        preview(content["layer"], picture)

    async def _events(self, job_id: str) -> AsyncGenerator[tuple[str, Json]]:
        """Yield the events of a job up to its last one, reconnecting as necessary."""
        last_id = ""
        heard = time.monotonic()
        wait_s = 0.1
        while True:
            try:
                async with self._http.stream(
                    "GET", f"/api/jobs/{job_id}/events", headers={"Last-Event-ID": last_id}
                ) as answer:
                    if answer.status_code >= 400:
                        await answer.aread()
                        raise _error_of(answer)
                    async for event in _server_sent(answer):
                        heard, wait_s = time.monotonic(), 0.1
                        last_id = event["id"]
                        content: Json = json.loads(event["data"])
                        yield event["event"], content
                        if event["event"] in {"succeeded", "failed", "canceled"}:
                            return
            except httpx2.TransportError:
                if time.monotonic() - heard > self._patience_s:
                    raise ServiceError(UNREACHABLE) from None
            await anyio.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    async def _stack(
        self,
        layers: Iterable[Layer],
        width: int | None,
        height: int | None,
        background: str | None,
        groups: Groups,
        *,
        named: bool,
    ) -> Json:
        told: list[Json] = []
        for layer in layers:
            fields = {name: getattr(layer, name) for name in (KeptLayer if named else Placing).model_fields}
            if named and layer.recipe is not None:
                fields["recipe"] = layer.recipe.model_dump()
            told.append({"image": await self.upload(layer.image), "group": layer.group, **fields})
        shown = {label: group.model_dump() for label, group in groups.items()}
        return {"layers": told, "groups": shown} | {
            name: value
            for name, value in {"width": width, "height": height, "background": background}.items()
            if value is not None
        }


P = ParamSpec("P")


def _waits(
    method: Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate["Client", P], T]:
    """Return a blocking version of a method of `AsyncClient`."""

    @functools.wraps(method)
    def wait(self: "Client", *args: P.args, **kwargs: P.kwargs) -> T:
        return self._wait(partial(method, self.asynchronous, *args, **kwargs))

    return wait


class Client:
    """`AsyncClient` for programs without asyncio: the same methods, blocking. Callbacks run in another thread."""

    def __init__(self, url: str = DEFAULT_URL, *, token: str = "", patience_s: float = PATIENCE_S) -> None:
        self.asynchronous = AsyncClient(url, token=token, patience_s=patience_s)
        """The client whose methods run in the thread of `portal`."""
        self._exit = ExitStack()
        self.portal = self._exit.enter_context(start_blocking_portal())
        self._exit.callback(self.portal.call, self.asynchronous.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._exit.close()

    def _wait(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        future = self.portal.start_task_soon(work)
        try:
            return future.result()
        finally:
            future.cancel()  # no effect on a finished call; ends a call that Ctrl-C interrupted

    decompose = _waits(AsyncClient.decompose)
    edit_layer = _waits(AsyncClient.edit_layer)
    composite = _waits(AsyncClient.composite)
    export = _waits(AsyncClient.export)
    status = _waits(AsyncClient.status)
    config = _waits(AsyncClient.config)
    jobs = _waits(AsyncClient.jobs)
    cancel = _waits(AsyncClient.cancel)
    upload = _waits(AsyncClient.upload)
    picture = _waits(AsyncClient.picture)


# Requests and responses.


def _wire(options: Mapping[str, Any]) -> Json:
    """Return options of a run with HTTP's names; None leaves an option to the service."""
    return {http_name(name): value for name, value in options.items() if value is not None}


def _error_of(answer: httpx2.Response) -> LLMDiTError:
    """Return the error of a response."""
    try:
        told: Json = answer.json()["error"]
    except (ValueError, LookupError, TypeError):
        told = {"message": f"The service's address answers with status {answer.status_code}.", "code": "service_failed"}
    wait_s = float(answer.headers.get("retry-after", LONGEST_WAIT_S))
    gone = answer.status_code in {502, 504} or (answer.status_code == 503 and wait_s <= SOON_S)
    return _error(told, temporary=gone)


def _error(told: Json, *, temporary: bool = False) -> LLMDiTError:
    """Return an error for a code: of its class, if that exists here."""
    message, code = str(told["message"]), str(told["code"])
    known = next((each for each in _family(LLMDiTError) if each.__dict__.get("code") == code), ServiceError)
    param = next((name for name, other in HTTP_NAMES.items() if other == told.get("param")), told.get("param"))
    if issubclass(known, InstructionError):
        return known(message, hint=told.get("hint"))
    if issubclass(known, InputError):
        return known(message, param=str(param))
    if known.__init__ is LLMDiTError.__init__ and known is not LLMDiTError:
        return known(message)
    return ServiceError(message, code=code, temporary=temporary)


def _family(error_class: type[LLMDiTError]) -> Iterator[type[LLMDiTError]]:
    yield error_class
    for child in error_class.__subclasses__():
        yield from _family(child)


async def _server_sent(answer: httpx2.Response) -> AsyncGenerator[dict[str, str]]:
    """Yield the events of a server-sent event stream: a line per field, and an empty line at the end."""
    event: dict[str, str] = {}
    async for line in answer.aiter_lines():
        name, colon, value = line.partition(": ")
        if colon and name:
            event[name] = value
        elif not line and "data" in event:
            yield event
            event = {}
