"""What the door lets in and what it does not: names, origins, and every route without the token."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR4nGP4z8AARAwQCgAf7gP9i18U1AAAAABJRU5ErkJggg=="

ALLOWED_HOST = "studio.lan"
RIGHT_HOSTS = ["127.0.0.1:{port}", "localhost:{port}", "[::1]:{port}", "LocalHost", ALLOWED_HOST, "Studio.LAN:443"]
WRONG_HOSTS: dict[str, list[str]] = {
    "another name": ["Host: evil.example"],
    "another name, our port": ["Host: evil.example:{port}"],
    "a name that begins like ours": ["Host: localhost.evil.example"],
    "an address that begins like ours": ["Host: 127.0.0.1.evil.example"],
    "a subdomain of ours": ["Host: a.localhost"],
    "a trailing dot": ["Host: localhost.:{port}"],
    "any address": ["Host: 0.0.0.0:{port}"],
    "any address, IPv6": ["Host: [::]:{port}"],
    "an address of the network": ["Host: 192.168.66.6"],
    "another loopback address": ["Host: 127.0.0.2:{port}"],
    "a short address": ["Host: 127.1"],
    "an address as a number": ["Host: 2130706433"],
    "an IPv4 address in IPv6": ["Host: [::ffff:127.0.0.1]"],
    "a user": ["Host: localhost@evil.example"],
    "ours after a user": ["Host: evil.example@localhost"],
    "a list": ["Host: localhost, evil.example"],
    "a port that is none": ["Host: localhost:evil"],
    "two ports": ["Host: localhost:{port}:{port}"],
    "a path": ["Host: localhost/evil"],
    "a star": ["Host: *"],
    "empty": ["Host: "],
    "none": [],
    "two": ["Host: localhost", "Host: evil.example"],
    "two alike": ["Host: localhost", "Host: localhost"],
    "very long": ["Host: " + "a" * 5000],
}


@dataclass(frozen=True)
class Change:
    """A request that would change something, as a page of another site can have a browser send it."""

    method: str
    path: str
    content_type: str
    headers: tuple[str, ...]

    @property
    def body(self) -> bytes:
        return json.dumps({"image": PIXEL, "steps": 1, "layer_num": 1}).encode()

    def lines(self, host: str) -> list[str]:
        own = f"Host: {host}", f"Content-Type: {self.content_type}", "Prefer: respond-async"
        return [f"{self.method} {self.path} HTTP/1.1", *own, *self.headers, f"Content-Length: {len(self.body)}"]


FOREIGN: list[tuple[str, ...]] = [
    ("Origin: https://evil.example",),
    ("Origin: null",),
    ("Origin: http://localhost:1",),
    ("Origin: http://127.0.0.1.evil.example",),
    ("Origin: http://{host}", "Origin: https://evil.example"),
    ("Origin: http://{host}", "Sec-Fetch-Site: cross-site"),
    ("Sec-Fetch-Site: same-site",),
    ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"),
]
OWN: list[tuple[str, ...]] = [(), ("Origin: http://{host}", "Sec-Fetch-Site: same-origin"), ("Sec-Fetch-Site: none",)]
CHANGES = [("POST", "/api/qwen-image/decompose"), ("POST", "/api/images"), ("DELETE", "/api/jobs/x"), ("PUT", "/")]
# What a foreign page can send without asking first, and what it cannot.
CONTENT_TYPES = ["text/plain", "application/x-www-form-urlencoded", "image/png", "application/json"]


def foreign_changes(host: str) -> Iterator[Change]:
    """Yield every combination of a foreign origin, a content type and a method."""
    for headers in FOREIGN:
        for content_type in CONTENT_TYPES:
            for method, path in CHANGES:
                yield Change(method, path, content_type, tuple(line.format(host=host) for line in headers))


def own_changes(host: str) -> Iterator[Change]:
    """Yield a change as the service's own page and as programs send it."""
    for headers in OWN:
        lines = tuple(line.format(host=host) for line in headers)
        yield Change("POST", "/api/qwen-image/decompose", "application/json", lines)


METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "QUERY")


def addresses(app: FastAPI) -> list[str]:
    """Return an address of every route and of every mount of the service, and some that are not there."""
    paths = {str(route.path): route for route in iter_route_contexts(app.routes)}
    filled = [path.replace("{", "").replace("}", "") for path in paths]
    inside = ["/static/js/main.js", "/static/css/tokens.css"]
    tricks = ["/nothing", "//livez", "/livez/", "/LIVEZ", "/livez/../readyz", "/readyz?token={token}", "/x%2flivez"]
    return [*filled, *inside, *tricks, "/api/qwen-image/status?access_token={token}"]


def is_open(method: str, path: str) -> bool:
    """Say whether an address answers without the token."""
    return path == "/livez" or (method, path) == ("POST", "/login")
