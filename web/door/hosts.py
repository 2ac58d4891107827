"""The service's names and path, cross-site requests, and trusted proxies.

A foreign page can let its own name resolve to this machine (DNS rebinding) and then counts as same-origin. The Host
header, which only the browser writes, reveals it.
"""

import re
import socket
from collections.abc import Sequence
from contextvars import ContextVar
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from server.settings import ServerSettings, bracketed, parse_ip, path_prefix

# Addresses that other machines can reach, and the names of this one.


def is_loopback(host: str) -> bool:
    """Return whether `host` is a loopback address; the only known name is `localhost`."""
    address = parse_ip(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def is_any_address(host: str) -> bool:
    """Return whether listening on `host` means all addresses of this machine."""
    address = parse_ip(host)
    return host == "" if address is None else address.is_unspecified


def is_exposed(host: str) -> bool:
    """Return whether other machines can reach a server on `host`; a name is resolved to its addresses."""
    if is_any_address(host):
        return True
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False  # no server can listen there
    return not all(is_loopback(str(address[4][0])) for address in found)


def lan_address() -> str:
    """Return this machine's address on its network, or loopback without one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Connecting a datagram socket sends nothing; it only selects the interface.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def own_names() -> frozenset[str]:
    """Return the names of this machine on its network: its host name, alone and in mDNS."""
    name = socket.gethostname().lower()
    return frozenset({name, f"{name.partition('.')[0]}.local"})


# The Host header of a request, and its valid names.

LONGEST = 260
_HEADER = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?)(?::([0-9]{1,5}))?")


class Host(NamedTuple):
    """A Host header in lower case: the name, and the port if there is one."""

    name: str
    port: int | None


def host_of(scope: Scope) -> Host | None:
    """Return the request's Host header; None if it is missing, repeated, or not a plain host."""
    headers = [value for name, value in scope["headers"] if name == b"host"]
    if len(headers) != 1 or len(headers[0]) > LONGEST:
        return None
    match = _HEADER.fullmatch(headers[0].decode("latin-1").lower())
    return Host(match[1], int(match[2]) if match[2] else None) if match else None


def is_secure_context(scope: Scope) -> bool:
    """Return whether a browser treats this origin as secure: HTTPS or loopback."""
    host = host_of(scope)
    return scope["scheme"] == "https" or (host is not None and is_loopback(host.name.strip("[]")))


class Hosts:
    """The names of this service."""

    def __init__(self, settings: ServerSettings) -> None:
        self._answers_others = bool(settings.token.get_secret_value()) or settings.insecure
        self._names = {"localhost", "127.0.0.1", "[::1]", *settings.allowed_hosts}
        if not is_any_address(settings.host):
            self._names.add(bracketed(settings.host.lower()))
        if self._answers_others:
            self._names |= own_names()

    def admit(self, scope: Scope) -> bool:
        """Return whether the Host header is a name of this service, or the address at which the connection arrived."""
        host = host_of(scope)
        if host is None:
            return False
        return host.name in self._names or (self._answers_others and host.name == _local_address(scope))


def _local_address(scope: Scope) -> str | None:
    address = parse_ip(scope["server"][0]) if scope.get("server") else None
    return None if address is None or address.is_unspecified else bracketed(str(address))


# Requests that a browser sends for other sites; programs such as curl send none of these headers.
#
# Rules as in Fetch Metadata's resource isolation policy (https://web.dev/articles/fetch-metadata), except that a
# same-site origin, such as another port of the same host, counts as foreign.

READING = {"GET", "HEAD", "OPTIONS"}
OWN = {"same-origin", "none"}


def is_foreign(scope: Scope) -> bool:
    """Return whether another site's page sends this request, unless a user only follows a link."""
    headers = Headers(scope=scope)
    foreign = not OWN.issuperset(headers.getlist("sec-fetch-site"))
    if scope["method"] in READING:
        return foreign and not _is_visit(headers)
    host = headers.get("host", "").lower()
    own = {f"http://{host}", f"https://{host}"}  # behind a proxy the scheme may be unknown
    origins = headers.getlist("origin")
    return foreign or len(origins) > 1 or any(origin.lower() not in own for origin in origins)


def _is_visit(headers: Headers) -> bool:
    return headers.getlist("sec-fetch-mode") == ["navigate"] and headers.getlist("sec-fetch-dest") == ["document"]


# Headers of proxies, and which proxies are trusted.

OWN_PATHS = frozenset({"api", "docs", "livez", "login", "logout", "metrics", "p", "readyz", "static", "v1"})
"""The first parts of this service's addresses: a prefix with the same name must be removed by the proxy."""

_PORT = re.compile(r"^(?:\[([^]]*)\]|([^:]*))(?::\d*)?$")


class Proxies:
    """Replaces the connection's data by the headers of a trusted proxy, and removes the prefix from the path.

    `X-Forwarded-For`, `-Proto` and `-Host` are trusted only from `trusted_proxies`. `X-Forwarded-Prefix` is trusted
    from this machine as well: it grants no access, and changes only the sender's own page.
    """

    def __init__(self, app: ASGIApp, *, settings: ServerSettings) -> None:
        self._app = app
        self._trusted = settings.trusted_proxies
        self._root_path = settings.root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = self._forwarded(scope)
        await self._app(scope, receive, send)

    def _forwarded(self, scope: Scope) -> Scope:
        headers = Headers(scope=scope)
        peer = scope["client"][0] if scope.get("client") else ""
        trusted = self._trusts(peer)
        given = headers.getlist("x-forwarded-prefix") if trusted or is_loopback(peer) else []
        prefix = _told_prefix(given) or scope.get("root_path", "") or self._root_path
        set_prefix(prefix)
        scope = {**scope, "root_path": "", **_without(prefix, scope)}
        return self._told(scope, headers) if trusted else scope

    def _told(self, scope: Scope, headers: Headers) -> Scope:
        """Return the request as its client sent it to the proxy."""
        hops = _hops(headers)
        # Each proxy appends its peer: the last address that is not a trusted proxy is the client.
        client = next((hop for hop in reversed(hops) if not self._trusts(hop)), hops[0] if hops else "")
        if parse_ip(client) is not None:
            scope["client"] = (client, 0)
        scheme = _values(headers, "x-forwarded-proto")[-1:]
        if scheme and scheme[0].lower() in {"http", "https"}:
            scope["scheme"] = scheme[0].lower()
        if host := _values(headers, "x-forwarded-host")[-1:]:
            others = [(name, value) for name, value in scope["headers"] if name != b"host"]
            scope["headers"] = [*others, (b"host", host[0].encode("latin-1"))]
        return scope

    def _trusts(self, address: str) -> bool:
        ip = parse_ip(address)
        return ip is not None and any(ip in network for network in self._trusted)


def comes_through_proxy(scope: Scope) -> bool:
    """Return whether the request claims to be forwarded for another machine.

    An unknown proxy on this machine is not trusted about its client, but its client does not count as local.
    """
    return any(not is_loopback(hop) for hop in _hops(Headers(scope=scope)))


def _without(prefix: str, scope: Scope) -> dict[str, object]:
    """Return the paths of a request without its prefix, which most proxies have already removed."""
    path: str = scope["path"]
    if not prefix or prefix.split("/")[1] in OWN_PATHS or not f"{path}/".startswith(f"{prefix}/"):
        return {}
    raw_path: bytes = scope.get("raw_path") or path.encode()
    return {"path": path[len(prefix) :] or "/", "raw_path": raw_path.removeprefix(prefix.encode()) or b"/"}


def _told_prefix(given: Sequence[str]) -> str:
    """Return a proxy's prefix, or "" if it is invalid."""
    try:
        return path_prefix(given[0]) if len(given) == 1 else ""
    except ValueError:
        return ""


def _hops(headers: Headers) -> Sequence[str]:
    """Return the addresses of `X-Forwarded-For`, without the ports that some proxies add."""
    return [_PORT.sub(r"\1\2", hop) for hop in _values(headers, "x-forwarded-for")]


def _values(headers: Headers, name: str) -> Sequence[str]:
    """Return the items of a list in one or several headers."""
    items = [item.strip() for value in headers.getlist(name) for item in value.split(",")]
    return [item for item in items if item]


# The path of this service for a client: "" at the root, or for example `/studio` behind a proxy.
#
# Routes, logs and stored data use paths without the prefix. Responses add it and requests remove it, so that a project
# opens under any address of the service.


_IMAGE = re.compile(rb'"(/api/images/[0-9a-f]{64}\.png")')
_prefix: ContextVar[str] = ContextVar("prefix", default="")


def set_prefix(prefix: str) -> None:
    """Set the prefix of the current request."""
    _prefix.set(prefix)


def current_prefix() -> str:
    """Return the prefix of the current request."""
    return _prefix.get()


def located(path: str) -> str:
    """Return a path of this service with the prefix of the current request."""
    return _prefix.get() + path


def cookie_path() -> str:
    """Return the path of this service's cookies, so that other services of the host do not get them."""
    return _prefix.get() or "/"


def with_prefix(content: bytes) -> bytes:
    """Return JSON with the prefix of the current request added to the addresses of pictures."""
    prefix = _prefix.get().encode()
    return _IMAGE.sub(b'"' + prefix + rb"\1", content) if prefix else content


def without_prefix(content: bytes) -> bytes:
    """Return JSON with the prefix removed from the addresses of pictures."""
    prefix = _prefix.get().encode()
    return re.sub(b'"' + re.escape(prefix) + _IMAGE.pattern[1:], rb'"\1', content) if prefix else content
