"""Pictures in requests and answers: base64, data URLs, and the addresses of those this server holds."""

import base64
import dataclasses
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from llm_dit.images import ImageLimits
from server.engines import Engine
from server.pool.intake import GivenPicture
from server.pool.stacks import StackLimits
from server.projects.projects import ADDRESS
from server.settings import ServerSettings
from web.bodies.sieve import LongText
from web.prefix import located
from web.streams import DATA_URL

MIN_JOB_SIDE = 2
"""Pixels; a line or a dot has nothing to take apart and nothing to edit."""


@dataclass(frozen=True)
class Picture:
    """A picture as a request names it; `param` is the field that names it."""

    source: str | LongText
    param: str = "image"

    def given(self, folder: Path) -> GivenPicture:
        """Return the picture for a process of the pool; what was sent goes into a file in `folder`."""
        file = folder / self.param
        if isinstance(self.source, LongText):
            self.source.write_to(file)
        elif address := ADDRESS.fullmatch(self.source):
            return GivenPicture(sha256=address[1], param=self.param)
        else:
            file.write_text(self.source, "utf-8", "replace")
        return GivenPicture(file=file, as_text=True, param=self.param)


def image_limits(settings: ServerSettings) -> ImageLimits:
    return ImageLimits(max_pixels=settings.max_pixels, max_side=settings.max_side)


def job_limits(settings: ServerSettings, engine: Engine, output_size: str) -> ImageLimits:
    """Return what the engine takes, so that what it would refuse is refused before it waits in the queue."""
    max_aspect = engine.max_model_aspect if output_size == "model" else engine.max_aspect
    return dataclasses.replace(image_limits(settings), min_side=MIN_JOB_SIDE, max_aspect=max_aspect)


def stack_limits(settings: ServerSettings) -> StackLimits:
    return StackLimits(image=image_limits(settings), total_pixels=settings.stack_pixels)


def address_of(sha256: str) -> str:
    return located(f"/api/images/{sha256}.png")


def sample_data_url() -> str:
    """Return a picture of a few bytes for the examples of the documentation."""
    buffer = io.BytesIO()
    Image.new("RGB", (2, 2), "white").save(buffer, "PNG")
    return DATA_URL + base64.b64encode(buffer.getvalue()).decode("ascii")
