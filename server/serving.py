"""Starting the service from the command line: the socket, the settings' way to the app, and where the page is."""

import os
import socket
import sys
from pathlib import Path

import segno
import uvicorn

from server.engines import Engine
from server.errors import SettingsError
from server.settings import Settings
from server.terminal import console

DRAIN_S = 5
"""Seconds that open event streams and answers have to end after a signal to stop."""
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
ANY_ADDRESS = {"0.0.0.0", "::"}


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; raises `SettingsError` when the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "unknown host"
        raise SettingsError(
            f"cannot listen on {host}:{port} ({reason}): choose another with --port or --host."
        ) from None


def hand_over(config: Path | None, profile: str | None, engine: str | None, settings: Settings) -> None:
    """Put the command line into the environment, where `web.server` finds it when it builds the app."""
    given = {
        "LLM_DIT_CONFIG": config,
        "LLM_DIT_PROFILE": profile,
        "LLM_DIT_ENGINE": engine,
        "LLM_DIT_SERVER__HOST": settings.server.host,
        "LLM_DIT_SERVER__PORT": settings.server.port,
    }
    os.environ.update({name: str(value) for name, value in given.items() if value is not None})


def serve_forever(listener: socket.socket) -> None:
    """Serve `web.server:app` until a signal ends it."""
    # `web.server` sets the log up, also when another server imports it.
    config = uvicorn.Config(
        "web.server:app", log_config=None, log_level="warning", access_log=False, timeout_graceful_shutdown=DRAIN_S
    )
    uvicorn.Server(config).run(sockets=[listener])


def show_addresses(host: str, port: int) -> None:
    """Say where the page is; beyond loopback also with a QR code of the LAN address, and with a warning."""
    if host in LOOPBACK:
        console.print(f"The page is on http://{bracketed(host)}:{port}")
        return
    address = f"http://{bracketed(lan_address() if host in ANY_ADDRESS else host)}:{port}"
    console.print(f"The page is on {address}")
    if sys.stderr.isatty():
        segno.make(address, error="l").terminal(out=sys.stderr, compact=True)
    console.print("There is no password: whoever reaches this address can use it.", style="yellow")


def show_engine(engine: Engine) -> None:
    """Say which engine runs, why, and how to get the other one."""
    console.print(f"The engine is {engine.label}. {engine.reason} {engine.hint}", markup=False)


def lan_address() -> str:
    """Return this machine's address on its network, or loopback when it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Connecting a datagram socket sends nothing; it only picks the interface that would be used.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def bracketed(host: str) -> str:
    """Return a host as it stands in a URL: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host else host
