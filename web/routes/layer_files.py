"""`/api/qwen-image/import`: the layers of a file of this or another program."""

from fastapi import APIRouter, Request

from server.pool.layer_files import keep_layers, run_on_file
from web.bodies.files import UPLOAD, layer_limits, received, require_file
from web.bodies.limits import Size, takes
from web.openapi import problems
from web.responses import ImportedLayer, ImportResponse
from web.state import StateDep

router = APIRouter(prefix="/api/qwen-image", tags=["Layers"])


@router.post("/import", openapi_extra=UPLOAD, responses=problems(413, 415, 422, 503))
@takes(Size.FILE)
async def import_layers(request: Request, state: StateDep) -> ImportResponse:
    """Return the layers of a file: a project file, a ZIP of layers, OpenRaster (ORA) or Photoshop (PSD)."""
    require_file(request)
    settings = state["settings"].server
    async with received(request, state) as file:
        kept = await run_on_file(state["pool"], keep_layers, file, settings.data_dir, layer_limits(settings))
    return ImportResponse(
        kind=kept.kind,
        width=kept.width,
        height=kept.height,
        layers=[ImportedLayer.of(layer) for layer in kept.layers],
        warnings=kept.warnings,
    )
