"""The document of a project in a request, which becomes text without being objects in the service.

Parsing a few megabytes keeps the interpreter for as long as a picture takes, and threads do not help: what is not small
is read in a process of the pool. Nothing here may be heavy to import.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydantic_core import from_json

from server.pool.process import Budget
from server.projects.projects import DocumentText
from web.prefix import set_prefix, without_prefix

DOCUMENT = "document"
MOST_OTHER = 65_536
"""Bytes of JSON that a request may have beside its document."""
BUDGET = Budget(cpu_s=10, memory=256 << 20, wall_s=60)


@dataclass(frozen=True, kw_only=True)
class ReadRequest:
    """What a request says: its `fields`, and apart from them how many layers its document has, if that is an object.

    `fault` is "complex" when there is more than any project has, "json" when it is no JSON.
    """

    fields: Any = None
    layer_count: int | None = None
    fault: str = ""


def read_request(content: bytes) -> tuple[ReadRequest, str]:
    """Return what a request says, and the text of its document."""
    try:
        # In a process of the pool, its memory is the bound for what is large; what is small cannot become large.
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
