"""Which names and path the service answers to, which sites may ask it, and which proxies it believes.

A foreign page can have its own name point to this machine (DNS rebinding) and then counts as of the same origin; what
gives it away is the Host header, which only the browser writes.
"""

import re
import socket
from collections.abc import Sequence
from contextvars import ContextVar
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from server.settings import ServerSettings, bracketed, parse_ip, path_prefix

# Which addresses other machines reach, and what this one is called.


def is_loopback(host: str) -> bool:
    """Say whether `host` is this machine's loopback address; of names only `localhost` is known."""
    address = parse_ip(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def is_any_address(host: str) -> bool:
    """Say whether listening on `host` means all addresses of this machine."""
    address = parse_ip(host)
    return host == "" if address is None else address.is_unspecified


def is_exposed(host: str) -> bool:
    """Say whether other machines reach what listens on `host`; a name counts by the addresses it stands for."""
    if is_any_address(host):
        return True
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False  # nothing can listen there
    return not all(is_loopback(str(address[4][0])) for address in found)


def lan_address() -> str:
    """Return this machine's address on its network, or loopback when it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Connecting a datagram socket sends nothing; it only picks the interface that would be used.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def own_names() -> frozenset[str]:
    """Return the names by which a network may know this machine: its host name, alone and in mDNS."""
    name = socket.gethostname().lower()
    return frozenset({name, f"{name.partition('.')[0]}.local"})


# The Host header of a request, and the names that it may have.

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


# What a proxy in front says about its clients, and which proxy is believed.

OWN_PATHS = frozenset({"api", "docs", "livez", "login", "logout", "metrics", "p", "readyz", "static", "v1"})
"""Where addresses of this service begin: a prefix of the same name is not taken off, a proxy has to do it."""

_PORT = re.compile(r"^(?:\[([^]]*)\]|([^:]*))(?::\d*)?$")


class Proxies:
    """Puts what a trusted proxy says in the place of what the connection says, and takes the prefix off the path.

    `X-Forwarded-For`, `-Proto` and `-Host` count from `trusted_proxies` alone. `X-Forwarded-Prefix` counts from this
    machine as well: it lets nobody in, and who can set it sees nothing but their own page change.
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
        """Return the request as its client has sent it to the proxy."""
        hops = _hops(headers)
        # Each proxy adds whom it got the request from: the last one that is no proxy of ours is the client.
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
    """Say whether somebody claims to have passed this request on for another machine.

    An unknown proxy on this machine is not believed who its client is, but neither is its client this machine.
    """
    return any(not is_loopback(hop) for hop in _hops(Headers(scope=scope)))


def _without(prefix: str, scope: Scope) -> dict[str, object]:
    """Return the paths of a request without its prefix, which most proxies have taken off already."""
    path: str = scope["path"]
    if not prefix or prefix.split("/")[1] in OWN_PATHS or not f"{path}/".startswith(f"{prefix}/"):
        return {}
    raw_path: bytes = scope.get("raw_path") or path.encode()
    return {"path": path[len(prefix) :] or "/", "raw_path": raw_path.removeprefix(prefix.encode()) or b"/"}


def _told_prefix(given: Sequence[str]) -> str:
    """Return what a proxy says, unless it is no prefix."""
    try:
        return path_prefix(given[0]) if len(given) == 1 else ""
    except ValueError:
        return ""


def _hops(headers: Headers) -> Sequence[str]:
    """Return the addresses of `X-Forwarded-For`, without the ports that some proxies add."""
    return [_PORT.sub(r"\1\2", hop) for hop in _values(headers, "x-forwarded-for")]


def _values(headers: Headers, name: str) -> Sequence[str]:
    """Return the items of a list that may stand in one header or in several."""
    items = [item.strip() for value in headers.getlist(name) for item in value.split(",")]
    return [item for item in items if item]


# Under which path of its host a client sees this service: "" at the root, `/studio` behind a proxy that says so.
#
# Routes, logs and what is stored know paths without the prefix. It is put before an address on the way out and taken
# off on the way in, so that a project opens under whatever address the service has that day.


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
