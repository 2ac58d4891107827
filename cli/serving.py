"""Starting the service from the command line: the socket, the server, and where the page is."""

import asyncio
import os
import secrets
import shlex
import shutil
import socket
import sys
from pathlib import Path
from types import FrameType

import segno
import uvicorn

from cli.connections import AT_ONCE, WAITING, LoopErrors, most_connections, protocol_within
from cli.terminal import console
from server.addresses import bracketed, is_any_address, is_exposed, is_loopback, lan_address
from server.engines import Engine
from server.errors import SettingsError
from server.logs import configure
from server.settings import ServerSettings, Settings
from web.app import create_app

DRAIN_S = 1
"""Seconds that open event streams and answers have to end after a signal to stop."""
TOKEN_BYTES = 12
"""Randomness of a suggested token: 16 characters, which can still be typed on a phone."""


class Server(uvicorn.Server):
    """Ends with 0 on a signal that comes before `StopSignals` listens, too; uvicorn by itself ends by the signal."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().set_exception_handler(LoopErrors())
        await super().startup(sockets)
        for each in sockets or []:
            each.listen(WAITING)  # asyncio has one number for this and for how many it takes at once

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True


def require_token(settings: ServerSettings) -> None:
    """Raise `SettingsError`, with a command that works, when other machines could come in without a token."""
    if settings.token.get_secret_value() or settings.insecure or not is_exposed(settings.host):
        return
    token = secrets.token_urlsafe(TOKEN_BYTES)
    program = Path(sys.argv[0]).name
    command = [program if shutil.which(program) == sys.argv[0] else sys.argv[0], *sys.argv[1:]]
    raise SettingsError(
        f"other machines can reach {settings.host or 'all addresses'}, so the service needs a token. Here is a new one:"
        f"\n\n  {shlex.join([*command, f'--token={token}'])}\n\n"
        "In the environment, as LLM_DIT_SERVER__TOKEN, it is out of the process list; in config.toml it is `token`. "
        "With --insecure anyone who reaches the address can use the service."
    )


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


def serve_forever(listener: socket.socket, settings: Settings) -> None:
    """Serve the application until a signal ends it."""
    configure(settings.server.log_format)
    config = uvicorn.Config(
        create_app(settings),
        http=protocol_within(settings.server.client_timeout_s, most_connections()),
        backlog=AT_ONCE,
        ws="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # `web.door.hosts` is stricter about whom it believes
        timeout_graceful_shutdown=DRAIN_S,
    )
    Server(config).run(sockets=[listener])


def show_addresses(settings: ServerSettings, port: int) -> None:
    """Say where the page is; beyond loopback also with a QR code of the LAN address, and with what keeps it shut."""
    host = settings.host
    if is_loopback(host):
        console.print(f"The page is on http://{bracketed(host)}:{port}")
        return
    address = f"http://{bracketed(lan_address() if is_any_address(host) else host)}:{port}"
    console.print(f"The page is on {address}")
    if sys.stderr.isatty():
        segno.make(address, error="l").terminal(out=sys.stderr, compact=True)
    if settings.token.get_secret_value():
        console.print("It asks for the token once on every device.")


def show_engine(engine: Engine) -> None:
    """Say which engine runs, why, and how to get the other one."""
    console.print(f"The engine is {engine.label}. {engine.reason} {engine.hint}", markup=False)
