"""`/api/qwen-image/status`, `/config` and `/edit-status`: what runs here, and what it takes."""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from llm_dit.blending import BLEND_MODES, BlendMode
from llm_dit.decoding.formats import PICTURE_FORMATS
from llm_dit.exports.formats import EXPORT_NAMES, ExportName
from llm_dit.layer import MAX_LAYERS, Offset, Scale
from llm_dit.options import EngineName, Guidance, LayerNum, Resolution, Seed, Steps, bounds, choices
from llm_dit.pipelines.base import PipelineStatus
from server.worker.host import HostState
from server.worker.messages import memory_of
from web.errors import http_name
from web.responses import Computed, forward_response
from web.state import StateDep, engine_label

router = APIRouter(prefix="/api/qwen-image", tags=["Service"])


class MemoryResponse(BaseModel):
    used_bytes: int
    total_bytes: int


class QueueResponse(BaseModel):
    length: int = Field(description="Jobs that wait.")
    running: int = Field(description="Jobs that run: 0 or 1.")
    max_length: int


class StatusResponse(BaseModel):
    engine: EngineName
    engine_label: str
    device: str
    state: HostState = Field(description="`loading`, `ready`, `unloaded` (the next job loads it again) or `failed`.")
    error: str | None = Field(description="What keeps the engine from loading, and what to do.")
    memory: MemoryResponse | None = Field(description="Of the worker process; null when it is not known.")
    device_memory: MemoryResponse | None = Field(description="Of the accelerator, after the latest run.")
    loaded_models: list[str]
    placement: str = Field(description="Where the weights are, and why.")
    forward: Computed
    edit_available: bool
    reason: str = Field(description="Why this engine runs.")
    hint: str = Field(description="What to do to get the other engine.")
    queue: QueueResponse


class DefaultsResponse(BaseModel):
    layer_num: int
    resolution: int
    steps: int
    cfg_scale: float


class LimitsResponse(BaseModel, json_schema_serialization_defaults_required=True):
    layer_num: tuple[int, int] = bounds(LayerNum)
    resolution: tuple[int, ...] = choices(Resolution)
    steps: tuple[int, int] = bounds(Steps)
    cfg_scale: tuple[float, float] = bounds(Guidance)
    seed: tuple[int, int] = bounds(Seed)
    max_body_mb: float
    max_pixels: int
    max_side: int
    max_layers: int = Field(default=MAX_LAYERS, description="Of a stack, exported or imported.")
    max_stack_pixels: int = Field(description="Of the canvas that the layers of a stack show together.")
    image_formats: list[str] = [format.name.lower() for format in PICTURE_FORMATS]
    export_formats: tuple[ExportName, ...] = EXPORT_NAMES
    blend_modes: tuple[BlendMode, ...] = BLEND_MODES
    scale: tuple[float, float] = bounds(Scale)
    offset: tuple[int, int] = bounds(Offset)


class CapabilitiesResponse(BaseModel):
    decompose: list[str] = Field(description="The fields that change what decompose gives.")
    edit: list[str] = Field(description="The fields that change what an edit gives.")
    any_instruction: bool = Field(description="Takes instructions in any words, not only the documented ones.")
    any_size: bool = Field(description="Works at the image's own size; else at 640² or 1024² pixels.")


class ConfigResponse(BaseModel):
    engine: EngineName
    capabilities: CapabilitiesResponse = Field(description="What this engine makes use of.")
    defaults: DefaultsResponse
    limits: LimitsResponse


class EditStatusResponse(BaseModel):
    available: bool
    edit_model_loaded: bool
    edit_model_path: str = Field(description="Where the edit model comes from; empty when there is none.")


@router.get("/status")
async def status(state: StateDep) -> StatusResponse:
    """Say which engine runs, what it has loaded, and how long the queue is."""
    engine, host, jobs = state["engine"], state["host"], state["jobs"]
    known, loaded = host.status, host.loaded
    memory = memory_of(host.worker_pid) if host.worker_pid else None
    return StatusResponse(
        engine=engine.name,
        engine_label=engine_label(state),
        device=known.device if known else "",
        state=host.state,
        error=host.error.message if host.error else None,
        memory=MemoryResponse(used_bytes=memory.used_bytes, total_bytes=memory.total_bytes) if memory else None,
        device_memory=_device_memory(loaded),
        loaded_models=list(loaded.models) if loaded else [],
        placement=loaded.placement if loaded else "",
        forward=forward_response(loaded.forward if loaded else None),
        edit_available=host.state != "failed",
        reason=engine.reason,
        hint=engine.hint,
        queue=QueueResponse(length=jobs.length, running=jobs.running, max_length=state["settings"].server.max_queue),
    )


@router.get("/config")
async def config(state: StateDep) -> ConfigResponse:
    """Say what a request gets for the fields that it leaves out, and between which bounds each may lie."""
    limits, engine = state["settings"].server, state["engine"]
    return ConfigResponse(
        engine=engine.name,
        capabilities=CapabilitiesResponse(
            decompose=list(map(http_name, engine.decompose_takes)),
            edit=list(map(http_name, engine.edit_takes)),
            any_instruction=engine.any_instruction,
            any_size=engine.any_size,
        ),
        defaults=DefaultsResponse(**{http_name(name): value for name, value in engine.defaults._asdict().items()}),
        limits=LimitsResponse(
            max_body_mb=limits.max_body_mb,
            max_pixels=limits.max_pixels,
            max_side=limits.max_side,
            max_stack_pixels=limits.stack_pixels,
        ),
    )


@router.get("/edit-status")
async def edit_status(state: StateDep) -> EditStatusResponse:
    """Say whether layers can be edited, and whether that can start at once."""
    loaded = state["host"].loaded
    return EditStatusResponse(
        available=state["host"].state != "failed",
        edit_model_loaded=loaded is not None and loaded.has_edit_model,
        edit_model_path=state["engine"].edit_model_path,
    )


def _device_memory(loaded: PipelineStatus | None) -> MemoryResponse | None:
    if loaded is None or loaded.device_used_bytes is None or loaded.device_total_bytes is None:
        return None
    return MemoryResponse(used_bytes=loaded.device_used_bytes, total_bytes=loaded.device_total_bytes)
