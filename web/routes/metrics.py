"""`/metrics`: figures for Prometheus."""

from fastapi import APIRouter, Response

from web.state import StateDep

router = APIRouter(tags=["Service"])


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus's text format."}},
)
async def metrics(state: StateDep) -> Response:
    """Return counts and times of jobs, steps, models and requests, and how the service stands."""
    content, media_type = state["metrics"].render()
    return Response(content, media_type=media_type)
