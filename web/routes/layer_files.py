"""`/api/qwen-image/import`: the layers of a file of this or another program."""

import dataclasses
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from llm_dit.blending import BlendMode
from llm_dit.imports.layer_file import FileKind
from server.pool.layer_files import KeptLayer, keep_layers, run_on_file
from web.bodies.files import UPLOAD, layer_limits, received, require_file
from web.bodies.limits import Size, takes
from web.images import address_of
from web.openapi import problems
from web.state import StateDep

router = APIRouter(prefix="/api/qwen-image", tags=["Layers"])


class ImportedLayer(BaseModel):
    """A layer as export requests take it, with the size and the coverage of its picture."""

    image: str = Field(description="`/api/images/{sha256}.png`")
    width: int
    height: int
    coverage: float = Field(description="Mean alpha, 0–1.")
    name: str
    opacity: float
    visible: bool
    x: int
    y: int
    blend: BlendMode
    scale: float
    flip_x: bool
    flip_y: bool
    group: str = Field(description="Nested groups as a path, such as `Figure / Shadows`.")

    @classmethod
    def of(cls, layer: KeptLayer) -> "ImportedLayer":
        fields: dict[str, Any] = dataclasses.asdict(layer)
        return cls(image=address_of(fields.pop("sha256")), **fields)


class ImportResponse(BaseModel):
    kind: FileKind = Field(description="What the file is, by its content.")
    width: int
    height: int
    layers: list[ImportedLayer] = Field(description="Bottom first.")
    warnings: list[str] = Field(description="What does not come along, in a sentence each.")


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
