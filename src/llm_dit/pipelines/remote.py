"""A remote service as a pipeline, so that one computer's page can use another one's GPU."""

import queue
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar, Unpack
from urllib.parse import urlsplit

from anyio.from_thread import BlockingPortal
from PIL import Image
from pydantic import TypeAdapter

from llm_dit.client import Client
from llm_dit.layers import Decomposition
from llm_dit.options import DecomposeArguments, EditArguments, NamedBox
from llm_dit.runs import Forward, PipelineStatus, PreviewCallback, Progress, ProgressCallback, RegionLike
from llm_dit.surroundings import SurroundingsLike

T = TypeVar("T")
FORWARD: TypeAdapter[Forward | None] = TypeAdapter(Forward | None)

BEAT_S = 0.5
"""Seconds between calls of `progress` while the service is silent, so that it can cancel."""
WAITING = Progress(phase="waiting", step=0, total=0)
"""The phase of a run in the service's queue."""


def describe(url: str, token: str, patience_s: float) -> Mapping[str, Any]:
    """Return `/config` of a service; raises `LLMDiTError`."""
    with Client(url, token=token, patience_s=patience_s) as client:
        return client.config()


class RemotePipeline:
    """Runs everything on a service; `status` has its engine, models and device."""

    engine = "remote"
    any_size = True

    def __init__(self, url: str, token: str = "", progress: ProgressCallback | None = None) -> None:
        """Raises `LLMDiTError` if the service is unreachable."""
        self._host = urlsplit(url).hostname or url
        self._client = Client(url, token=token)
        self._status = self._read_status()

    @property
    def has_edit_model(self) -> bool:
        return self._status.has_edit_model

    def load_edit_model(self) -> None:
        """Do nothing: the service loads the model with the first edit."""

    def status(self) -> PipelineStatus:
        return self._status

    def decompose(
        self,
        image: Image.Image,
        prompt: str = "",
        *,
        regions: Sequence[NamedBox] = (),
        progress: ProgressCallback | None = None,
        preview: PreviewCallback | None = None,
        **options: Unpack[DecomposeArguments],
    ) -> Decomposition:
        """See `LayerPipeline.decompose`."""
        work = partial(self._client.asynchronous.decompose, image, prompt, regions=regions, **options)
        return self._run(work, progress, preview)

    def edit_layer(
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
        """See `LayerPipeline.edit_layer`."""
        edit = self._client.asynchronous.edit_layer
        given = {"region": region, "references": references, "surroundings": surroundings}
        work = partial(edit, layer_image, instruction, **given, **options)
        return self._run(work, progress, preview)

    def _run(
        self,
        work: Callable[..., Coroutine[Any, Any, T]],
        progress: ProgressCallback | None,
        preview: PreviewCallback | None,
    ) -> T:
        made = in_thread(self._client.portal, work, progress, preview)
        self._status = self._read_status()
        return made

    def _read_status(self) -> PipelineStatus:
        told = self._client.status()
        memory = told["device_memory"] or {}
        return PipelineStatus(
            models=tuple(told["loaded_models"]),
            has_edit_model=told["edit_available"],
            device=f"{told['device']} at {self._host}",
            placement=told["placement"],
            loras=tuple(told["loras"]),
            forward=FORWARD.validate_python(told["forward"]),
            device_used_bytes=memory.get("used_bytes"),
            device_total_bytes=memory.get("total_bytes"),
        )


def in_thread(
    portal: BlockingPortal,
    work: Callable[..., Coroutine[Any, Any, T]],
    progress: ProgressCallback | None,
    preview: PreviewCallback | None,
) -> T:
    """Run a coroutine in the portal's thread, and call `progress` and `preview` in this one.

    An exception of either cancels the coroutine.
    """
    heard: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
    last = WAITING

    def on_progress(stepped: Progress) -> None:
        nonlocal last
        last = stepped
        heard.put(partial(progress or ignore, stepped))

    def on_preview(layer: int, picture: Image.Image) -> None:
        heard.put(partial(preview or ignore, layer, picture))

    future = portal.start_task_soon(partial(work, progress=on_progress, preview=on_preview if preview else None))
    future.add_done_callback(lambda _: heard.put(ignore))
    try:
        while not future.done():
            try:
                heard.get(timeout=BEAT_S)()
            except queue.Empty:
                (progress or ignore)(last)
        while not heard.empty():
            heard.get()()
        return future.result()
    finally:
        future.cancel()


def ignore(*_: object) -> None:
    """Take in nothing."""
