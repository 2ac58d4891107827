"""Files to save, under a name that every system takes."""

import unicodedata
from urllib.parse import quote

from llm_dit.file_names import file_stem


def saved_as(stem: str, suffix: str) -> dict[str, str]:
    """Return the header that gives a file its name; one beyond ASCII goes by RFC 6266 and RFC 8187."""
    ascii_stem = file_stem(unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode(), "file")
    disposition = f'attachment; filename="{ascii_stem}{suffix}"'
    if ascii_stem != stem:
        disposition += f"; filename*=UTF-8''{quote(stem + suffix, safe='')}"
    return {"Content-Disposition": disposition}
