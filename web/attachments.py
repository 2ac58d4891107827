"""Files to save: the answer that carries one, under a name that every system takes."""

import unicodedata
from collections.abc import AsyncIterator
from typing import IO
from urllib.parse import quote

from llm_dit.file_names import file_stem
from web.state import State

CHUNK_BYTES = 1 << 20


def saved_as(stem: str, suffix: str) -> dict[str, str]:
    """Return the header that gives a file its name; one beyond ASCII goes by RFC 6266 and RFC 8187."""
    ascii_stem = file_stem(unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode(), "file")
    disposition = f'attachment; filename="{ascii_stem}{suffix}"'
    if ascii_stem != stem:
        disposition += f"; filename*=UTF-8''{quote(stem + suffix, safe='')}"
    return {"Content-Disposition": disposition}


async def sent(file: IO[bytes], state: State) -> AsyncIterator[bytes]:
    """Yield an open file in pieces, and close it."""
    with file:
        while chunk := await state["offload"](lambda: file.read(CHUNK_BYTES)):
            yield chunk
