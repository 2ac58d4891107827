"""`/livez` and `/readyz`: for those who watch over the service."""

from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from server.errors import StoppingError
from server.jobs.job import describe_loading
from server.jobs.queue import STOPPING
from web.errors import RETRY_AFTER_S, retry_after_s
from web.openapi import problems
from web.problems import problem_response
from web.state import StateDep, engine_label

router = APIRouter(tags=["Service"])


class LiveResponse(BaseModel):
    status: Literal["alive"] = "alive"


class ReadyResponse(BaseModel):
    status: Literal["ready"] = "ready"
    engine: str
    engine_label: str
    reason: str = Field(description="Why this engine runs, and not the other one.")
    warnings: list[str] = Field(description="What was lost when a damaged database was rebuilt, in a sentence each.")


@router.get("/livez")
async def livez() -> LiveResponse:
    """Say that the service answers."""
    return LiveResponse()


@router.get("/readyz", response_model=ReadyResponse, responses=problems(503))
async def readyz(request: Request, state: StateDep) -> ReadyResponse | Response:
    """Say that jobs can run, or why they cannot yet."""
    engine, host, jobs = state["engine"], state["host"], state["jobs"]
    problem = await state["storage"].look()
    if jobs.ready and problem is None:
        return ReadyResponse(
            engine=engine.name,
            engine_label=engine_label(state),
            reason=engine.reason,
            warnings=state["storage"].warnings,
        )
    loading = f"The engine {engine.label} is {describe_loading(host.loading)}: ask again in a moment."
    error = StoppingError(STOPPING) if jobs.stopping else problem or host.error
    return problem_response(
        request.state.request_id,
        503,
        error.message if error else loading,
        code=error.code if error else "loading",
        headers={"Retry-After": str(retry_after_s(error) if error else RETRY_AFTER_S)},
    )
