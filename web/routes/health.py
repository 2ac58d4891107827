"""`/livez` and `/readyz`: for those who watch over the service."""

from fastapi import APIRouter, Request, Response

from server.errors import StoppingError
from server.jobs.job import describe_loading
from server.jobs.queue import STOPPING
from web.errors import RETRY_AFTER_S, retry_after_s
from web.openapi import problems
from web.problems import problem_response
from web.responses import LiveResponse, ReadyResponse
from web.state import StateDep, engine_label

router = APIRouter(tags=["Service"])


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
