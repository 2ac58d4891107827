"""Servers that speak OpenAI's API for images as a pipeline: vLLM-Omni and SGLang Diffusion, each with one model.

Written to the sources of vllm-omni 0.30.0 and sglang 0.5.23. Such a server answers when a run has ended, so the steps
of a run and previews are unknown. An edit goes through the canvas of an edit model, as on this computer.
"""

import base64
import logging
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple, Unpack
from urllib.parse import urlsplit

import anyio
import httpx2
from anyio.from_thread import start_blocking_portal
from PIL import Image

from llm_dit.client import LONGEST_WAIT_S, PATIENCE_S, UNREACHABLE
from llm_dit.errors import EditOnlyError, EngineError, ImageError, InputError, OutOfMemoryError, ServiceError
from llm_dit.evaluation import thinned
from llm_dit.images import encode_png, read_picture
from llm_dit.layers import Decomposition
from llm_dit.names import VOCABULARIES
from llm_dit.options import (
    DecomposeArguments,
    DecomposeOptions,
    EditArguments,
    EditOptions,
    NamedBox,
    SamplingOptions,
    Source,
    chosen_seed,
)
from llm_dit.pipelines.remote import WAITING, in_thread
from llm_dit.qwen.editors import EDITORS, FIRST, Editor
from llm_dit.runs import (
    NO_REGIONS,
    QWEN_CROP,
    QWEN_MAX_ASPECT,
    TRIED_LAYERS,
    PipelineStatus,
    PreviewCallback,
    Progress,
    ProgressCallback,
    RegionLike,
    check_aspect,
    check_image,
)
from llm_dit.surroundings import SurroundingsLike, read_surroundings

logger = logging.getLogger(__name__)

CONNECT_S = 10.0
TIMEOUT_S = 1800.0
"""How long a run may take by default."""
DRAWING = Progress(phase="denoising", step=0, total=0)
"""The phase of a run on such a server, whose steps are unknown."""
LEAST_LAYERS = 2
"""The fewest layers that vLLM-Omni makes."""
NO_EDITS = "This server has no edit model: set edit_url under [default.remote] to the server of one."
NO_LAYERS = "This server has an edit model alone: set url under [default.remote] to a server of Qwen-Image-Layered."
OTHER_MODEL = "The server runs another model than when this service started: restart this service."
WRONG_KEY = "The server refuses the key: set token under [default.remote] to its API key."
UNAUTHORIZED = '{"error":"Unauthorized"}'
"""What vLLM's servers answer to a wrong key; a service of this kind has its own error."""
RENAMED = {"layers": "layer_num", "num_frames": "layer_num", "true_cfg_scale": "cfg_scale", "size": "image"}
"""The Python names of fields that have another name here."""
FIELD = re.compile(
    r"\b(image|layers|negative_prompt|num_frames|num_inference_steps|prompt|resolution|seed|size|true_cfg_scale)\b"
)
"""The fields that are sent, as servers name them in their errors."""


@dataclass(frozen=True, kw_only=True)
class ModelServer:
    """A server of one model: its address before `/v1`, the model's id, and the path or hub id behind that."""

    url: str
    model: str
    root: str
    software: Literal["vLLM-Omni", "SGLang"]

    @property
    def layers(self) -> str:
        """The field with the number of layers."""
        return "layers" if self.software == "vLLM-Omni" else "num_frames"

    @property
    def has_layers(self) -> bool:
        return "layered" in f"{self.model} {self.root}".lower()

    @property
    def editor(self) -> Editor:
        """The edit model, by the longest hub id that the model's name or path contains."""
        name = f"{self.model} {self.root}".lower()
        known = [(hub.rpartition("/")[2].lower(), editor) for editor in EDITORS.values() for hub in editor.hub]
        found = [(len(hub), editor) for hub, editor in known if hub in name]
        return max(found, key=lambda each: each[0])[1] if found else FIRST


class Models(NamedTuple):
    """The server of each kind of run; None without one."""

    layered: ModelServer | None
    edit: ModelServer | None


def find_models(url: str, edit_url: str, token: str, patience_s: float = PATIENCE_S) -> Models | None:
    """Return the servers at these addresses; None if there is a service of this kind at `url`.

    One address alone serves what its model is for. Raises `ServiceError`, and `EngineError` for two addresses of which
    one has no such server, or layers in place of edits.
    """
    if not edit_url:
        one = _ask(url, token, patience_s)
        return one and (Models(one, None) if one.has_layers else Models(None, one))
    edit = _ask(edit_url, token, patience_s)
    layered = _ask(url, token, patience_s) if url else None
    if edit is None or (url and layered is None):
        raise EngineError("url and edit_url are for two servers of one model each: leave edit_url out for a service.")
    if edit.has_layers:
        raise EngineError("edit_url is a server of Qwen-Image-Layered: set it as url.")
    return Models(layered, edit)


def _ask(url: str, token: str, patience_s: float) -> ModelServer | None:
    """Return a server of one model as it describes itself; None if the address has something else."""
    base = url.rstrip("/").removesuffix("/v1")
    deadline = time.monotonic() + patience_s
    with httpx2.Client(base_url=base, headers=_headers(token), timeout=CONNECT_S) as client:
        while True:
            try:
                told = client.get("/v1/models")
                ready = client.get("/health").status_code == 200
            except httpx2.TransportError:
                error = ServiceError(UNREACHABLE)
            else:
                if told.status_code == 401 and told.text == UNAUTHORIZED:
                    raise ServiceError(WRONG_KEY)
                if (found := _read_card(base, told)) is None or ready:
                    return found
                error = ServiceError("The server is not ready: wait until its model is loaded.", temporary=True)
            if time.monotonic() > deadline:
                raise error
            time.sleep(0.2)


def _read_card(base: str, told: httpx2.Response) -> ModelServer | None:
    try:
        card = told.raise_for_status().json()["data"][0]
        model, owner = str(card["id"]), card["owned_by"]
    except (httpx2.HTTPStatusError, ValueError, LookupError, TypeError):
        return None
    if owner == "llm-dit":
        return None
    root = " ".join(str(card.get(name) or "") for name in ("root", "pipeline_class"))
    return ModelServer(url=base, model=model, root=root, software="SGLang" if owner == "sglang" else "vLLM-Omni")


def _headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


class OpenAIImagesPipeline:
    """Decomposes at `url` and edits at `edit_url`, or does at `url` what its model is for."""

    engine = "remote"
    any_size = False

    def __init__(
        self,
        url: str,
        edit_url: str = "",
        token: str = "",
        timeout_s: float = TIMEOUT_S,
        progress: ProgressCallback | None = None,
    ) -> None:
        """Raises `ServiceError` if a server is unreachable, and `EngineError` if it is something else."""
        found = find_models(url, edit_url, token)
        if found is None:
            raise EngineError("There is no server of vLLM-Omni or SGLang Diffusion at this address.")
        self._models = found
        self._timeout_s = timeout_s
        self._headers = _headers(token)

    @property
    def has_edit_model(self) -> bool:
        return self._models.edit is not None

    def load_edit_model(self) -> None:
        """Do nothing: the server has it loaded."""

    def status(self) -> PipelineStatus:
        servers = {kind: server for kind, server in self._models._asdict().items() if server is not None}
        places = (f"{each.software} at {urlsplit(each.url).hostname or each.url}" for each in servers.values())
        return PipelineStatus(
            models=tuple(server.model for server in servers.values()),
            has_edit_model=self.has_edit_model,
            device=" and ".join(dict.fromkeys(places)),
            sources={
                "decompose" if kind == "layered" else kind: Source(server.model) for kind, server in servers.items()
            },
        )

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
        """See `LayerPipeline.decompose`. There are no previews, and a description that the model wrote is unknown."""
        check_image(image, "image")
        check_aspect(image, QWEN_MAX_ASPECT, QWEN_CROP, "image")
        if regions:
            raise InputError(NO_REGIONS, param="regions")
        asked = DecomposeOptions(prompt=prompt, **options)
        server = self._models.layered
        if server is None:
            raise EditOnlyError(NO_LAYERS)
        count = TRIED_LAYERS if asked.layer_num == "auto" else asked.layer_num
        if server.software == "vLLM-Omni" and count < LEAST_LAYERS:
            raise InputError(f"This server makes at least {LEAST_LAYERS} layers.", param="layer_num")
        if server.software == "SGLang" and asked.resolution != DecomposeOptions.resolution:
            raise InputError(
                "This server's resolution is set where it starts: leave resolution out.", param="resolution"
            )
        seed = chosen_seed(asked.seed)
        # An empty field counts as missing there; of a blank one the model writes a description.
        form = _sampled(asked, seed) | {"prompt": prompt.strip() or " ", server.layers: count}
        if server.software == "vLLM-Omni":
            form["resolution"] = asked.resolution
        picture = image.convert("RGBA")
        layers = [drawn.convert("RGBA") for drawn in self._run(server, [picture], form, count, progress)]
        if asked.layer_num == "auto":
            layers = thinned(picture, layers)
        if asked.output_size == "original":
            from llm_dit.full_size import restore

            layers = restore(picture, layers)
        names = VOCABULARIES[asked.language].numbered(len(layers))
        return Decomposition(layers, seed=seed, prompt=prompt, names=names, picture=picture)

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
        """See `LayerPipeline.edit_layer`. There are no previews."""
        from llm_dit.editing.region import read_region

        for name, pictures in (("layer_image", [layer_image]), ("references", references)):
            for picture in pictures:
                check_image(picture, name)
                check_aspect(picture, QWEN_MAX_ASPECT, QWEN_CROP, name)
        server = self._models.edit
        if server is None:
            raise EngineError(NO_EDITS)
        editor = server.editor
        editor.check_references(len(references))
        asked = EditOptions(instruction=instruction, **options)
        layer = layer_image.convert("RGBA")
        where = None if region is None else read_region(region, layer, asked.shape)
        framing = editor.frame(layer, asked, where, read_surroundings(surroundings, layer, context=asked.context))
        shown = [framing.canvas.image, *map(editor.reference, references)]
        width, height = framing.size
        form = _sampled(asked, chosen_seed(asked.seed))
        form |= {"prompt": editor.worded(instruction, len(shown)), "size": f"{width}x{height}"}
        (edited,) = self._run(server, shown, form, 1, progress)
        return framing.finish(edited)[0]

    def _run(
        self,
        server: ModelServer,
        pictures: Sequence[Image.Image],
        form: Mapping[str, object],
        count: int,
        progress: ProgressCallback | None,
    ) -> list[Image.Image]:
        """Return `count` pictures of a run, in their order."""
        texts = {name: str(value) for name, value in {**form, "model": server.model}.items()}
        files = [("image", (f"{n}.png", encode_png(each), "image/png")) for n, each in enumerate(pictures, start=1)]
        work = partial(self._post, f"{server.url}/v1/images/edits", texts, files)
        with start_blocking_portal() as portal:
            answer = in_thread(portal, work, progress, None)
        drawn = _pictures(answer)
        if len(drawn) != count:
            raise ServiceError(f"The server's answer has {len(drawn)} pictures instead of {count}.")
        return drawn

    async def _post(
        self,
        address: str,
        texts: Mapping[str, str],
        files: Sequence[tuple[str, tuple[str, bytes, str]]],
        *,
        progress: ProgressCallback,
        preview: PreviewCallback | None,
    ) -> httpx2.Response:
        """Send a form; the connection ends with the call, which is how these servers hear of a cancel."""
        deadline, timeout = time.monotonic() + PATIENCE_S, httpx2.Timeout(self._timeout_s, connect=CONNECT_S)
        while True:
            progress(DRAWING)
            try:
                async with httpx2.AsyncClient(headers=self._headers, timeout=timeout) as client:
                    answer = await client.post(address, data=texts, files=files)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                error, wait_s = ServiceError(UNREACHABLE, temporary=True), 1.0
            except httpx2.TimeoutException:
                late = (
                    f"The server has not answered within {self._timeout_s:g} s: take fewer steps, or raise timeout_s."
                )
                raise ServiceError(late) from None
            except httpx2.TransportError:
                raise ServiceError("The server broke the connection during the run.", temporary=True) from None
            else:
                if answer.status_code == 200:
                    return answer
                error = _error_of(answer)
                wait_s = _retry_after_s(answer)
            if not (isinstance(error, ServiceError) and error.temporary) or time.monotonic() + wait_s > deadline:
                raise error
            progress(WAITING)
            await anyio.sleep(wait_s)


def _sampled(asked: SamplingOptions, seed: int) -> dict[str, object]:
    """Return the fields of both kinds of runs; raises `InputError` for options that these servers do not have."""
    if asked.speed not in {None, "exact"}:
        raise InputError("This server has one speed: leave speed out.", param="speed")
    if asked.loras:
        raise InputError("This server's LoRAs are set where it starts: leave loras out.", param="loras")
    form = {
        "seed": seed,
        "num_inference_steps": asked.num_inference_steps,
        "true_cfg_scale": asked.cfg_scale,
        "negative_prompt": asked.negative_prompt or " ",
        "output_format": "png",
    }
    return {name: value for name, value in form.items() if value is not None}


def _pictures(answer: httpx2.Response) -> list[Image.Image]:
    try:
        return [read_picture(base64.b64decode(each["b64_json"])).image for each in answer.json()["data"]]
    except (ValueError, LookupError, TypeError, ImageError):
        raise ServiceError("The server's answer has no pictures that can be read.") from None


def _retry_after_s(answer: httpx2.Response) -> float:
    given = answer.headers.get("retry-after", "")
    return min(float(given), LONGEST_WAIT_S) if given.isdecimal() else 1.0


def _error_of(answer: httpx2.Response) -> InputError | OutOfMemoryError | ServiceError:
    """Return the error of a response. What the server says may be an exception's text, so only the log gets it."""
    status, said, param = answer.status_code, answer.text, None
    try:
        told = answer.json()
        named = told.get("error", told.get("detail"))
        if isinstance(named, dict):
            said, param = str(named["message"]), named.get("param")
        else:
            said = str(named)
    except (ValueError, LookupError, AttributeError):
        pass
    logger.warning("%s answers %d: %.500s", answer.url.host, status, said)
    if status in {401, 403}:
        return ServiceError(WRONG_KEY)
    if status == 404 or said.startswith("Model mismatch"):
        return ServiceError(OTHER_MODEL)
    if status == 413:
        return ImageError("The picture is too large for the server: scale it down.")
    if status in {400, 422} and (found := FIELD.search(str(param or said))):
        return InputError(
            "The server does not accept this value; its log says why.", param=RENAMED.get(found[1], found[1])
        )
    if "out of memory" in said.lower():
        return OutOfMemoryError("The server has too little memory for this run: try fewer layers, or resolution 640.")
    if status in {429, 502, 503, 504}:
        return ServiceError("The server is busy or not ready: try again later.", temporary=True)
    return ServiceError(f"The server failed with status {status}; its log says why.")
