"""The state of the service, its capabilities and limits: for the page, for operators and for Prometheus."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request, Response

from llm_dit.options import RunDefaults, http_name
from llm_dit.qwen.loading.loras import Spec
from llm_dit.runs import PipelineStatus
from server.engines import Engine
from server.errors import StoppingError
from server.jobs.job import describe_loading
from server.jobs.queue import STOPPING
from server.processes import memory_of
from web.errors import RETRY_AFTER_S, problem_response, problems, retry_after_s
from web.responses import (
    BesideResponse,
    CapabilitiesResponse,
    ConfigResponse,
    DefaultsResponse,
    EditStatusResponse,
    LimitsResponse,
    LiveResponse,
    LoraResponse,
    LorasResponse,
    MemoryResponse,
    QueueResponse,
    ReadyResponse,
    SamplingResponse,
    StatusResponse,
    forward_response,
)
from web.state import StateDep, engine_label

router = APIRouter(tags=["Service"])


@router.get("/api/qwen-image/status")
async def status(state: StateDep) -> StatusResponse:
    """Return the running engine, its loaded models, and the length of the queue."""
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
        loras=list(loaded.loras) if loaded else [],
        forward=forward_response(loaded.forward if loaded else None),
        edit_available=host.state != "failed",
        reason=engine.reason,
        hint=engine.hint,
        queue=QueueResponse(length=jobs.length, running=jobs.running, max_length=state["settings"].server.max_queue),
    )


@router.get("/api/qwen-image/config")
async def config(state: StateDep) -> ConfigResponse:
    """Return the engine's capabilities, and the defaults and limits of requests."""
    limits, engine, spare = state["settings"].server, state["engine"], state["spare"]
    return ConfigResponse(
        engine=engine.name,
        capabilities=_capabilities(engine),
        beside=spare and BesideResponse(engine=spare.name, label=spare.label, capabilities=_capabilities(spare)),
        defaults=DefaultsResponse.model_validate(_named(engine.defaults_of_run("decompose"))),
        edit_defaults=SamplingResponse.model_validate(_named(engine.defaults_of_run("edit"))),
        loras=LorasResponse(
            decompose=_listed(engine.loras.get("decompose", ())), edit=_listed(engine.loras.get("edit", ()))
        ),
        limits=LimitsResponse(
            max_body_mb=limits.max_body_mb,
            max_pixels=limits.max_pixels,
            max_side=limits.max_side,
            max_stack_pixels=limits.stack_pixels,
        ),
    )


def _capabilities(engine: Engine) -> CapabilitiesResponse:
    return CapabilitiesResponse(
        decompose=list(map(http_name, engine.decompose_takes)),
        edit=list(map(http_name, engine.edit_takes)),
        speeds=list(engine.speeds),
        any_instruction=engine.any_instruction,
        any_size=engine.any_size,
        references=engine.references,
        photographs=engine.photographs,
    )


def _named(defaults: RunDefaults) -> dict[str, Any]:
    return {http_name(name): value for name, value in defaults._asdict().items()}


def _listed(loras: Sequence[Spec]) -> list[LoraResponse]:
    return [LoraResponse(name=lora.name, weight=lora.weight) for lora in loras]


@router.get("/api/qwen-image/edit-status")
async def edit_status(state: StateDep) -> EditStatusResponse:
    """Return whether layers can be edited, and whether the edit model is loaded."""
    loaded = state["host"].loaded
    return EditStatusResponse(
        available=state["host"].state != "failed",
        edit_model_loaded=loaded is not None and loaded.has_edit_model,
        edit_model_path=state["engine"].edit_model_path,
        license=state["engine"].license,
    )


def _device_memory(loaded: PipelineStatus | None) -> MemoryResponse | None:
    if loaded is None or loaded.device_used_bytes is None or loaded.device_total_bytes is None:
        return None
    return MemoryResponse(used_bytes=loaded.device_used_bytes, total_bytes=loaded.device_total_bytes)


@router.get("/livez")
async def livez() -> LiveResponse:
    """Return 200 while the service answers."""
    return LiveResponse()


@router.get("/readyz", response_model=ReadyResponse, responses=problems(503))
async def readyz(request: Request, state: StateDep) -> ReadyResponse | Response:
    """Return 200 if jobs can run, otherwise 503 with the reason."""
    engine, host, jobs = state["engine"], state["host"], state["jobs"]
    problem = await state["storage"].look()
    if jobs.ready and problem is None:
        return ReadyResponse(
            engine=engine.name,
            engine_label=engine_label(state),
            reason=engine.reason,
            warnings=state["storage"].warnings,
        )
    loading = f"The engine {engine.label} is {describe_loading(host.loading)}: try again in a moment."
    error = StoppingError(STOPPING) if jobs.stopping else problem or host.error
    return problem_response(
        request.state.request_id,
        503,
        error.message if error else loading,
        code=error.code if error else "loading",
        headers={"Retry-After": str(retry_after_s(error) if error else RETRY_AFTER_S)},
    )


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus's text format."}},
)
async def metrics(state: StateDep) -> Response:
    """Return counts and durations of jobs, steps, models and requests, and the state of the service."""
    content, media_type = state["metrics"].render()
    return Response(content, media_type=media_type)
