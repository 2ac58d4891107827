"""What every request can reach, how routes ask for it, and whose request it is."""

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Annotated, TypeVar, cast

import anyio.to_thread
from fastapi import Depends, Request, Response

from server.jobs.job import Job
from server.service import Service
from web.door.tokens import Attempts, source_of
from web.following import Streams
from web.prefix import cookie_path

T = TypeVar("T")


class Offload:
    """Runs work on pixels and large bodies in a few threads, away from the event loop."""

    def __init__(self, threads: int = 2) -> None:
        self._limiter = anyio.CapacityLimiter(threads)

    async def __call__(self, work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work, limiter=self._limiter)


# Identifies a client for its job list and its turn. This is not authentication.

COOKIE = "llm_dit_client"
COOKIE_S = 365 * 24 * 3600
_ID = re.compile(r"[A-Za-z0-9_-]{22}")
RANDOM_BYTES, SEAL_BYTES = 10, 6
"""Of an ID: what nobody can guess, and by what the server knows that it has given the ID out."""
NEW_BROWSERS = 100
"""Browsers of one address that get an ID within an hour; more count as one client, as programs of the address do."""
HOUR_S = 3600


class Clients:
    """Tells clients apart by a cookie that only this server can have given them, or else by their address.

    A program that drops its cookie, or makes one up, is no new client each time.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._given = Attempts(most=NEW_BROWSERS, span_s=HOUR_S)

    def of(self, request: Request) -> str:
        """Return `browser:ID` for a browser that has opened the page, else `address:IP`."""
        given = request.cookies.get(COOKIE, "")
        if _ID.fullmatch(given):
            content = urlsafe_b64decode(f"{given}==")
            if hmac.compare_digest(self._seal(content[:RANDOM_BYTES]), content[RANDOM_BYTES:]):
                return f"browser:{given}"
        return f"address:{_address_of(request)}"

    def recognize(self, request: Request, response: Response) -> None:
        """Give a browser that opens the page an ID, if it has none of this server."""
        address = _address_of(request)
        if self.of(request).startswith("address:") and not self._given.wait_s(address):
            self._given.add(address)
            content = secrets.token_bytes(RANDOM_BYTES)
            value = urlsafe_b64encode(content + self._seal(content)).decode().rstrip("=")
            secure = request.url.scheme == "https"
            response.set_cookie(COOKIE, value, max_age=COOKIE_S, path=cookie_path(), secure=secure, httponly=True)

    def _seal(self, content: bytes) -> bytes:
        return hmac.digest(self._key, content, hashlib.sha256)[:SEAL_BYTES]


def client_of(request: Request) -> str:
    """Return who sends a request; see `Clients.of`."""
    return cast(Clients, request.scope["state"]["clients"]).of(request)


def _address_of(request: Request) -> str:
    return source_of(request.client.host) if request.client else "local"


class State(Service):
    """The parts of the service, and what the web keeps beside them."""

    clients: Clients
    offload: Offload
    streams: Streams


def state_of(request: Request) -> State:
    return cast(State, request.scope["state"])


def engine_label(state: State) -> str:
    """Return what people call the engine, with its device as soon as that is known."""
    status = state["host"].status
    return state["engine"].label_on(status.device if status else None)


# FastAPI runs a dependency that is no coroutine in a thread, of which files on a slow disk may hold all.
async def _state(request: Request) -> State:
    return state_of(request)


async def _job(request: Request, job_id: str) -> Job:
    return state_of(request)["jobs"].roster.get(job_id)


StateDep = Annotated[State, Depends(_state)]
JobDep = Annotated[Job, Depends(_job)]
