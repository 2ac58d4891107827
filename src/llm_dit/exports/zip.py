"""A stack of layers as a ZIP archive: the bundle of `exports/bundle.py` in one file."""

import zipfile
from collections.abc import Iterable, Mapping
from typing import IO

from llm_dit.exports.bundle import write_bundle
from llm_dit.layer import Layer


def export_zip(
    layers: Iterable[Layer], target: IO[bytes], *, width: int, height: int, about: Mapping[str, object] | None = None
) -> None:
    """Write the archive. Its members carry a fixed date, so that equal layers give equal bytes."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:  # PNG does not compress again

        def create(name: str) -> IO[bytes]:
            return archive.open(zipfile.ZipInfo(name), "w")

        write_bundle(layers, create, width=width, height=height, about=about)
