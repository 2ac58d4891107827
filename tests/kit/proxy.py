"""A proxy that has a service below a path of its own, as nginx's `location /studio/` with `proxy_pass http://…/;`."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

PIECE = 65_536


@contextlib.contextmanager
def proxied(url: str, prefix: str) -> Iterator[str]:
    """Yield the address below which a proxy on a free port has the service at `url`, until the block ends."""
    service = urlsplit(url)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, (service.hostname, service.port), prefix), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}{prefix}"
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, service: tuple[str, int], prefix: str) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_pass_on, args=(client, service, prefix.encode()), daemon=True).start()


def _pass_on(client: socket.socket, service: tuple[str, int], prefix: bytes) -> None:
    """Pass one request on without the prefix; what lies outside of the prefix is another site's."""
    with client, contextlib.suppress(OSError):
        head = b""
        while b"\r\n\r\n" not in head:
            if not (piece := client.recv(PIECE)):
                return
            head += piece
        head, _, body = head.partition(b"\r\n\r\n")
        line, *headers = head.split(b"\r\n")
        method, path, version = line.split(b" ")
        if not path.startswith(prefix + b"/"):
            client.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        kept = [header for header in headers if not header.lower().startswith(b"connection:")]
        own = [b"Connection: close", b"X-Forwarded-Prefix: " + prefix]
        with socket.create_connection(service) as upstream:
            request = b" ".join((method, path.removeprefix(prefix), version))
            upstream.sendall(b"\r\n".join([request, *kept, *own, b"", b""]) + body)
            threading.Thread(target=_pump, args=(client, upstream), daemon=True).start()
            _pump(upstream, client)
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(PIECE):
            target.sendall(piece)
