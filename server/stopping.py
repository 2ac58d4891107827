"""What a signal to stop does: the first one drains, the second one stops now."""

import asyncio
import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Coroutine, Generator
from types import FrameType
from typing import Any

import uvicorn

logger = logging.getLogger("llm_dit.server")

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """Stands before the handlers of the server: signals reach them after the running job has ended.

    Until then the server answers, so that those who ask are told that it stops.
    """

    def __init__(self, drain: Callable[[], Coroutine[Any, Any, None]], hurry: Callable[[], None]) -> None:
        self._drain = drain
        self._hurry = hurry
        self._loop = asyncio.get_running_loop()
        self._draining: asyncio.Task[None] | None = None
        self._servers_own: dict[int, Any] = {}

    @contextlib.contextmanager
    def handled(self) -> Generator[None]:
        """Handle signals until the block ends; does nothing outside of the main thread, where Python has no signals."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._servers_own = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in self._servers_own.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._loop.call_soon_threadsafe(self._begin, number)

    def _begin(self, number: int) -> None:
        if self._draining is not None:
            logger.info("a second signal: stopping now")
            self._hurry()
            return
        logger.info("a signal to stop: nothing more is taken in, and the run under way gets its time")
        self._draining = asyncio.create_task(self._drain())
        self._draining.add_done_callback(lambda _: self._pass_on(number))

    def _pass_on(self, number: int) -> None:
        handler = self._servers_own[number]
        server = getattr(handler, "__self__", None)
        if isinstance(server, uvicorn.Server):
            # Its own handler would end the process by the signal itself, when all is done; this way it returns 0.
            server.should_exit = True
        elif callable(handler):
            handler(number, None)
