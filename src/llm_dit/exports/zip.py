"""A stack of layers as a ZIP archive: the bundle of `exports/bundle.py` in one file."""

import io
import zipfile
from collections.abc import Mapping, Sequence

from llm_dit.exports.bundle import bundle_files
from llm_dit.layer import Layer


def export_zip(layers: Sequence[Layer], *, width: int, height: int, about: Mapping[str, object] | None = None) -> bytes:
    """Return the archive. Its members carry a fixed date, so that equal layers give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:  # PNG does not compress again
        for name, content in bundle_files(layers, width=width, height=height, about=about):
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()
