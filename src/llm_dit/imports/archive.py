"""ZIP archives from outside: read as far as they are what they say, in bounded pieces, and refused otherwise.

What a member says of its size is not believed. Members are stored or deflated: the other methods of ZIP turn a few
bytes into gigabytes within one piece. Nothing is ever unpacked to a path.
"""

import io
import stat
import zipfile
import zlib
from pathlib import PurePosixPath
from typing import IO

from llm_dit.errors import LayerFileError

END_RECORD = b"PK\x05\x06"
END_RECORD_BYTES = 22
END_64_LOCATOR, END_64_RECORD = b"PK\x06\x07", b"PK\x06\x06"
MAX_COMMENT_BYTES = 65_535
MAX_DIRECTORY_BYTES = 2_000_000
"""Of the list of contents: some ten thousand pictures."""
LOCAL_HEADER_BYTES = 30
ENCRYPTED = 0x1
PIECE_BYTES = 262_144
DISHONEST = "The file is damaged or not what it says: export it again."

DAMAGED = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
)
"""What Python's archive reader is known to raise on files that are damaged or made to harm."""


class Archive:
    """The members of a ZIP archive by name. Raises `LayerFileError` for what is no honest archive."""

    def __init__(self, file: IO[bytes]) -> None:
        _check_directory(file)
        try:
            self._archive = zipfile.ZipFile(file)
        except DAMAGED:
            raise LayerFileError(DISHONEST) from None
        members = self._archive.infolist()
        if not all(map(_is_plain, members)) or _overlap(members, self._archive.start_dir):
            raise LayerFileError(DISHONEST)
        self._members = {member.filename: member for member in members if not member.is_dir()}
        if len({member.filename for member in members}) < len(members):
            raise LayerFileError(DISHONEST)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    @property
    def names(self) -> list[str]:
        return list(self._members)

    def read(self, name: str, most: int) -> bytes:
        """Return a member of at most `most` bytes; raises `LayerFileError` where it is larger, damaged or missing."""
        member = self._members.get(name)
        if member is None or member.file_size > most:
            raise LayerFileError(DISHONEST)
        content = io.BytesIO()
        try:
            with self._archive.open(member) as stream:
                while piece := stream.read(PIECE_BYTES):
                    content.write(piece)
                    if content.tell() > most:
                        raise LayerFileError(DISHONEST)
        except DAMAGED:
            raise LayerFileError(DISHONEST) from None
        return content.getvalue()


def _check_directory(file: IO[bytes]) -> None:
    """Refuse a list of contents too long to be honest before it is read into memory (APPNOTE.TXT 4.3.14 to 4.3.16)."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - END_RECORD_BYTES - MAX_COMMENT_BYTES))
    end = file.read()
    at = end.rfind(END_RECORD)
    if at < 0 or len(end) < at + END_RECORD_BYTES:
        raise LayerFileError(DISHONEST)
    directory_bytes = int.from_bytes(end[at + 12 : at + 16], "little")
    if at >= 20 and end[at - 20 : at - 16] == END_64_LOCATOR:
        file.seek(min(int.from_bytes(end[at - 12 : at - 4], "little"), size))
        record = file.read(56)
        if len(record) < 56 or not record.startswith(END_64_RECORD):
            raise LayerFileError(DISHONEST)
        directory_bytes = int.from_bytes(record[40:48], "little")
    if directory_bytes > MAX_DIRECTORY_BYTES:
        raise LayerFileError(DISHONEST)
    file.seek(0)


def _is_plain(member: zipfile.ZipInfo) -> bool:
    """Return whether a member is a file or folder that lies within its archive, and can be read in pieces."""
    path = PurePosixPath(member.filename)
    return (
        member.compress_type in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
        and not member.flag_bits & ENCRYPTED
        and not path.is_absolute()
        and ".." not in path.parts
        and "\\" not in member.filename
        and not stat.S_ISLNK(member.external_attr >> 16)
    )


def _overlap(members: list[zipfile.ZipInfo], end: int) -> bool:
    """Return whether two members share bytes, with which a small archive can hold any number of large ones."""
    for member in sorted(members, key=lambda one: one.header_offset, reverse=True):
        if member.header_offset + LOCAL_HEADER_BYTES + member.compress_size > end:
            return True
        end = member.header_offset
    return False
