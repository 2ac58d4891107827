"""Under which path of its host a client sees this service: "" at the root, `/studio` behind a proxy that says so.

Routes, logs and what is stored know paths without the prefix. It is put before an address on the way out and taken off
on the way in, so that a project opens under whatever address the service has that day.
"""

import re
from contextvars import ContextVar

_IMAGE = re.compile(rb'"(/api/images/[0-9a-f]{64}\.png")')
_prefix: ContextVar[str] = ContextVar("prefix", default="")


def set_prefix(prefix: str) -> None:
    """Have the current request be one that came in under `prefix`."""
    _prefix.set(prefix)


def current_prefix() -> str:
    """Return the prefix of the current request."""
    return _prefix.get()


def located(path: str) -> str:
    """Return a path of this service as the client of the current request has to ask for it."""
    return _prefix.get() + path


def cookie_path() -> str:
    """Return where a cookie of this service is sent to: not to what else its host has."""
    return _prefix.get() or "/"


def with_prefix(content: bytes) -> bytes:
    """Return JSON in which the addresses of pictures are those that the current client has to ask for."""
    prefix = _prefix.get().encode()
    return _IMAGE.sub(b'"' + prefix + rb"\1", content) if prefix else content


def without_prefix(content: bytes) -> bytes:
    """Return JSON in which the addresses of pictures are those that this service stores."""
    prefix = _prefix.get().encode()
    return re.sub(b'"' + re.escape(prefix) + _IMAGE.pattern[1:], rb'"\1', content) if prefix else content
