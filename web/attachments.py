"""Files to save: the answer that carries one, under a name that every system takes."""

import re
import unicodedata
from urllib.parse import quote

from fastapi import Response

MAX_STEM_BYTES = 150
"""File systems end at 255 bytes a name; some of it is for the suffix and for "(1)"."""

# Joiners are invisible as well, but scripts and emoji are spelled with them.
_JOINERS = "\u200c\u200d"
_INVISIBLE = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}
_SEPARATORS = re.compile(r'[/\\:*?"<>|]+')
_DEVICES = re.compile(r"(CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9])(\.|$)", re.IGNORECASE)


def attachment(content: bytes, media_type: str, *, stem: str, suffix: str) -> Response:
    """Return a file to save as `stem` + `suffix`."""
    return Response(content, headers=saved_as(stem, suffix), media_type=media_type)


def saved_as(stem: str, suffix: str) -> dict[str, str]:
    """Return the header that gives a file its name; one beyond ASCII goes by RFC 6266 and RFC 8187."""
    ascii_stem = file_stem(unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode(), "file")
    disposition = f'attachment; filename="{ascii_stem}{suffix}"'
    if ascii_stem != stem:
        disposition += f"; filename*=UTF-8''{quote(stem + suffix, safe='')}"
    return {"Content-Disposition": disposition}


def file_stem(name: str, default: str) -> str:
    """Return what people call a thing as a file's name without suffix; `default` when nothing of it can stay.

    Letters of any script stay. Separators of paths, signs that Windows refuses and its devices' names, and what
    cannot be seen, such as marks that turn the direction of text, do not.
    """
    seen = "".join(sign for sign in name if sign in _JOINERS or unicodedata.category(sign) not in _INVISIBLE)
    stem = " ".join(_SEPARATORS.sub("-", seen).split()).strip(" .-" + _JOINERS)
    stem = stem.encode()[:MAX_STEM_BYTES].decode(errors="ignore").rstrip(" .-" + _JOINERS)
    return f"_{stem}" if _DEVICES.match(stem) else stem or default
