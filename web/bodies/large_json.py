"""Incremental reading of JSON that never builds large objects; this module must stay cheap to import.

A parser builds objects many times larger than its input, and blocks the interpreter meanwhile. So long strings go to a
file, the rest is parsed only if it is small, and a project's document stays text.
"""

import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from pydantic_core import from_json

from server.processes import Budget
from server.projects.projects import DocumentText
from web.door.hosts import set_prefix, without_prefix

LONG = 65_536
"""The longest text of a request is shorter than this many bytes, including escapes."""
DEEPEST = 200
"""Most levels that the parser accepts."""
STRETCH = 16_384
"""Bytes after which levels are counted; fewer are left to the parser."""
PIECE = 1 << 20
_SPACE = re.compile(rb"[ \t\r\n]+")
_TEXT = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_ESCAPES = {b"\\/": b"/", b"\\n": b"\n", b"\\r": b"\r", b"\\t": b"\t"}


class TooComplexError(Exception):
    """The JSON has more values or longer texts than any request."""


@dataclass(frozen=True, kw_only=True)
class JsonLimits:
    """The most bytes: `structure` outside of strings, `text` in short strings; from `long` on a string is long."""

    structure: int
    text: int
    long: int = LONG


@dataclass(frozen=True, eq=False)
class LongText:
    """A long string of a request, in the request's file: a picture, or a text that is too long."""

    file: IO[bytes]
    start: int
    length: int

    def write_to(self, path: Path) -> None:
        """Write the text to a new file, without the escapes that base64 and data URLs may contain."""
        with path.open("wb") as target:
            left, carried = self.length, b""
            self.file.seek(self.start)
            while left and (piece := self.file.read(min(PIECE, left))):
                left -= len(piece)
                piece, carried = _unescaped(carried + piece, last=left == 0)
                target.write(piece)

    def read(self) -> str:
        """Return the text as `write_to` writes it."""
        self.file.seek(self.start)
        return _unescaped(self.file.read(self.length), last=True)[0].decode("utf-8", "replace")


class JsonSieve:
    """Reads a document in pieces; `value` is its content, with a `LongText` in place of each long string."""

    def __init__(self, limits: JsonLimits, new_file: Callable[[], IO[bytes]]) -> None:
        self._limits = limits
        self._new_file = new_file
        self._file: IO[bytes] | None = None
        self._kept = bytearray()
        self._structure = self._text = self._depth = 0
        self._string: bytearray | None = None
        """The current string; None outside of one; of a long one, the part that is not yet in the file."""
        self._escaped = False
        self._long_at: int | None = None
        self._longs: dict[str, tuple[int, int]] = {}
        self._mark = secrets.token_hex(16)

    def feed(self, piece: bytes) -> None:
        """Read the next bytes; raises `TooComplexError`, or `ValueError` for too many levels, as early as possible."""
        at = 0
        while at < len(piece):
            at = self._feed_structure(piece, at) if self._string is None else self._feed_string(piece, at)

    def value(self) -> Any:
        """Return the document; raises `ValueError` if it is not JSON."""
        if self._string is not None:
            raise ValueError("a string does not end")
        return self._with_longs(from_json(bytes(self._kept), allow_inf_nan=False))

    @property
    def size(self) -> int:
        """Bytes that are parsed."""
        return len(self._kept)

    def replace(self, change: Callable[[bytes], bytes]) -> None:
        """Replace the bytes in memory before they are parsed."""
        self._kept = bytearray(change(bytes(self._kept)))

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _feed_structure(self, piece: bytes, at: int) -> int:
        most = min(len(piece), at + STRETCH)
        quote = piece.find(b'"', at, most)
        end = most if quote < 0 else quote
        outside = _SPACE.sub(b" ", piece[at:end])
        if outside == b" " and self._kept.endswith(b" "):
            outside = b""
        self._kept += outside
        self._depth += sum(map(outside.count, b"[{")) - sum(map(outside.count, b"]}"))
        if self._depth > DEEPEST:
            raise ValueError("too deep")
        self._structure += len(outside)
        if self._structure > self._limits.structure:
            raise TooComplexError
        if quote < 0:
            return end
        self._string = bytearray()
        return end + 1

    def _feed_string(self, piece: bytes, at: int) -> int:
        assert self._string is not None
        begin = at
        if self._escaped:
            at += 1
            self._escaped = False
        match = _TEXT.match(piece, at)
        assert match is not None
        end = match.end()
        closed = piece[end : end + 1] == b'"'
        self._escaped = piece[end : end + 1] == b"\\"  # the piece ends inside an escape
        self._string += piece[begin : end if closed else len(piece)]
        if len(self._string) > self._limits.long or (self._long_at is not None and closed):
            self._write()
        if closed:
            self._close_string()
        return end + 1 if closed else len(piece)

    def _write(self) -> None:
        assert self._string is not None
        if self._file is None:
            self._file = self._new_file()
        if self._long_at is None:
            self._long_at = self._file.tell()
        self._file.write(self._string)
        self._string.clear()

    def _close_string(self) -> None:
        assert self._string is not None
        text = bytes(self._string)
        if self._long_at is not None:
            assert self._file is not None
            mark = f"{self._mark}{len(self._longs)}"
            self._longs[mark] = (self._long_at, self._file.tell() - self._long_at)
            text, self._long_at = mark.encode(), None
        self._text += len(text)
        self._structure += 2
        if self._text > self._limits.text:
            raise TooComplexError
        self._kept += b'"' + text + b'"'
        self._string = None

    def _with_longs(self, value: Any) -> Any:
        if not self._longs:
            return value
        if isinstance(value, dict):
            return {key: self._with_longs(item) for key, item in cast(dict[str, Any], value).items()}
        if isinstance(value, list):
            return [self._with_longs(item) for item in cast(list[Any], value)]
        if isinstance(value, str) and value in self._longs:
            assert self._file is not None
            return LongText(self._file, *self._longs[value])
        return value


def _unescaped(text: bytes, *, last: bool) -> tuple[bytes, bytes]:
    """Return a text without its escapes, and the rest for the next piece."""
    carried = b"\\" if not last and text.endswith(b"\\") else b""
    text = text[: len(text) - len(carried)]
    if b"\\" in text:
        for escape, sign in _ESCAPES.items():
            text = text.replace(escape, sign)
    return text, carried


# The document of a project in a request.
#
# Parsing a few megabytes blocks the interpreter as long as a picture takes, and threads do not help, so larger
# documents are read in a process of the pool.

DOCUMENT = "document"
MOST_OTHER = 65_536
"""Most bytes of JSON besides the document in a request."""
BUDGET = Budget(cpu_s=10, memory=256 << 20, wall_s=60)


@dataclass(frozen=True, kw_only=True)
class ReadRequest:
    """The content of a request: its `fields`, and the number of layers in its document, if that is an object.

    `fault` is "complex" if it exceeds any project, "json" if it is not JSON.
    """

    fields: Any = None
    layer_count: int | None = None
    fault: str = ""


def read_request(content: bytes) -> tuple[ReadRequest, str]:
    """Return the content of a request, and the text of its document."""
    try:
        # In a pool process, its memory limit holds for large documents; small ones cannot become large.
        fields = from_json(without_prefix(content), allow_inf_nan=False)
    except ValueError:
        return ReadRequest(fault="json"), ""
    if not isinstance(fields, dict):
        return ReadRequest(fields=[]), ""
    given = cast(dict[str, Any], fields)
    document = given.pop(DOCUMENT, None)
    if len(json.dumps(given)) > MOST_OTHER:
        return ReadRequest(fault="complex"), ""
    if not isinstance(document, dict):
        return ReadRequest(fields={**given, DOCUMENT: []} if document is not None else given), ""
    read = DocumentText.of(cast(dict[str, Any], document))
    return ReadRequest(fields=given, layer_count=read.layer_count), read.text


def read_request_file(folder: Path, prefix: str) -> ReadRequest:
    """Read the file "body" of a folder, and write the document's text to its file "document"."""
    set_prefix(prefix)
    read, text = read_request((folder / "body").read_bytes())
    (folder / DOCUMENT).write_text(text, encoding="utf-8", newline="")
    return read
