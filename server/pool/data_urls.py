"""Pictures as text: base64 and data URLs, in whatever form people's programs write them."""

import base64
import binascii
import re

# What stands before the data is a label: people's programs write anything there, so that only the bytes count.
_BASE64_LABEL = re.compile(r"data:[^,]{0,1000}?;\s*base64\s*,", re.IGNORECASE)
_LABEL = re.compile(r"data:[^,]{0,1000},", re.IGNORECASE)
_STANDARD = bytes.maketrans(b"-_", b"+/")
_SPACE = b" \t\r\n\f\v"


def bytes_of(source: str) -> bytes:
    """Return what base64 or a data URL holds; raises `ValueError`."""
    if label := _BASE64_LABEL.match(source):
        return _from_base64(_unescaped(source[label.end() :]))
    if label := _LABEL.match(source):
        return _unescaped(source[label.end() :])
    return _from_base64(source.encode("ascii"))


def _unescaped(text: str) -> bytes:
    """Undo percent-encoding, read as quoted-printable (the same with "="): that makes no list of ten million pieces."""
    escaped = text.encode("ascii")
    return binascii.a2b_qp(escaped.replace(b"=", b"=3D").replace(b"%", b"=")) if b"%" in escaped else escaped


def _from_base64(encoded: bytes) -> bytes:
    """Take either alphabet, lines of any length and missing padding; `base64 FILE` and many libraries write these."""
    digits = encoded.translate(_STANDARD, delete=_SPACE).rstrip(b"=")
    return base64.b64decode(digits + b"=" * (-len(digits) % 4), validate=True)
