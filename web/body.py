"""Routes that read a JSON body off the event loop, and refuse what they need not read."""

import email.message
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic_core import from_json
from starlette.exceptions import HTTPException

from web.clients import client_of
from web.errors import UnsupportedMediaTypeError
from web.prefix import without_prefix
from web.state import state_of

SMALL_BODY = 65_536
"""Bytes that are parsed where they are; a thread would take longer to start."""


class JsonRequest(Request):
    """A request whose JSON is read by pydantic's parser: no NaN, no lone surrogates, no endless depth."""

    async def json(self) -> Any:
        body = without_prefix(await self.body())
        try:
            if len(body) <= SMALL_BODY:
                return from_json(body, allow_inf_nan=False)
            return await state_of(self)["offload"](lambda: from_json(body, allow_inf_nan=False))
        except ValueError:
            raise HTTPException(400) from None


class JsonRoute(APIRoute):
    """A route that takes `application/json` and nothing else: a foreign web page can send other types unasked."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            if self.body_field is not None:
                self.check(request)
            return await handler(JsonRequest(request.scope, request.receive))

        return handle

    def check(self, request: Request) -> None:
        if media_type(request) != "application/json":
            raise UnsupportedMediaTypeError("application/json")


class JobRoute(JsonRoute):
    """A route that takes a job in: with a full queue it answers before it has read the body."""

    def check(self, request: Request) -> None:
        super().check(request)
        state_of(request)["jobs"].require_room(client_of(request), request.headers.get("idempotency-key"))


def media_type(request: Request) -> str:
    """Return the request's content type without its parameters, in lower case."""
    message = email.message.Message()
    message["content-type"] = request.headers.get("content-type", "application/octet-stream")
    return message.get_content_type()
