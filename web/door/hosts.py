"""Which names the service answers to.

A foreign page can have its own name point to this machine (DNS rebinding) and then counts as of the same origin; what
gives it away is the Host header, which only the browser writes.
"""

import re
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.types import Scope

from server.addresses import bracketed, is_any_address, is_loopback, own_names, parse_ip
from server.settings import ServerSettings

LONGEST = 260
_HEADER = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?)(?::([0-9]{1,5}))?")


class Host(NamedTuple):
    """A Host header in lower case: the name as it stands there, and the port where there is one."""

    name: str
    port: int | None


def host_of(scope: Scope) -> Host | None:
    """Return the request's Host header; None when there is none, more than one, or one that is no plain host."""
    headers = [value for name, value in scope["headers"] if name == b"host"]
    if len(headers) != 1 or len(headers[0]) > LONGEST:
        return None
    match = _HEADER.fullmatch(headers[0].decode("latin-1").lower())
    return Host(match[1], int(match[2]) if match[2] else None) if match else None


def is_secure_context(scope: Scope) -> bool:
    """Say whether a browser trusts what it gets here as much as over HTTPS, as it does on loopback."""
    host = host_of(scope)
    return scope["scheme"] == "https" or (host is not None and is_loopback(host.name.strip("[]")))


class Hosts:
    """The names that this service goes by."""

    def __init__(self, settings: ServerSettings) -> None:
        self._answers_others = bool(settings.token.get_secret_value()) or settings.insecure
        self._names = {"localhost", "127.0.0.1", "[::1]", *settings.allowed_hosts}
        if not is_any_address(settings.host):
            self._names.add(bracketed(settings.host.lower()))
        if self._answers_others:
            self._names |= own_names()

    def admit(self, scope: Scope) -> bool:
        """Say whether the Host header is a name of this service, or the address that the connection came in by."""
        host = host_of(scope)
        if host is None:
            return False
        return host.name in self._names or (self._answers_others and host.name == _local_address(scope))


def _local_address(scope: Scope) -> str | None:
    address = parse_ip(scope["server"][0]) if scope.get("server") else None
    return None if address is None or address.is_unspecified else bracketed(str(address))


# What a browser sends on behalf of other sites; programs such as curl send none of these headers.
#
# Rules as in Fetch Metadata's resource isolation policy (https://web.dev/articles/fetch-metadata), for which a sister
# site, another port of the same machine say, is as foreign as any.


READING = {"GET", "HEAD", "OPTIONS"}
OWN = {"same-origin", "none"}


def is_foreign(scope: Scope) -> bool:
    """Say whether another site's page wants this, unless somebody only follows a link to here."""
    headers = Headers(scope=scope)
    foreign = not OWN.issuperset(headers.getlist("sec-fetch-site"))
    if scope["method"] in READING:
        return foreign and not _is_visit(headers)
    host = headers.get("host", "").lower()
    own = {f"http://{host}", f"https://{host}"}  # behind a proxy the scheme may not be known
    origins = headers.getlist("origin")
    return foreign or len(origins) > 1 or any(origin.lower() not in own for origin in origins)


def _is_visit(headers: Headers) -> bool:
    return headers.getlist("sec-fetch-mode") == ["navigate"] and headers.getlist("sec-fetch-dest") == ["document"]
