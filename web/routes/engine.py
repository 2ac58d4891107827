"""`/api/qwen-image/status`, `/config` and `/edit-status`: what runs here, and what it takes."""

from fastapi import APIRouter

from llm_dit.pipelines.base import PipelineStatus
from server.worker.messages import memory_of
from web.errors import http_name
from web.responses import (
    CapabilitiesResponse,
    ConfigResponse,
    DefaultsResponse,
    EditStatusResponse,
    LimitsResponse,
    MemoryResponse,
    QueueResponse,
    StatusResponse,
    forward_response,
)
from web.state import StateDep, engine_label

router = APIRouter(prefix="/api/qwen-image", tags=["Service"])


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
