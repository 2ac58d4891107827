"""The webhook: a POST to the operator's address when a job ends.

Only the configuration names the address, and redirects are not followed, so no client chooses where the service sends
something. A message has the job's id and its outcome, none of the client's texts or pictures. It is signed as in
Standard Webhooks (https://www.standardwebhooks.com), for which many languages have libraries.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import logging
import queue
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from importlib.metadata import version
from typing import Any, Literal

from server.jobs.job import Job
from server.settings import WebhookSettings

logger = logging.getLogger("llm_dit.server")

Outcome = Literal["delivered", "failed", "dropped"]

TIMEOUT_S = 10.0
"""Seconds to connect, and for the receiver's answer."""
PAUSES_S = (1.0, 5.0, 25.0)
"""Pauses before the second, third and fourth attempt."""
MOST_WAITING = 1000
"""Most messages that wait for a receiver that is slow or down; further ones are dropped."""
STOP_S = 5.0
"""Seconds for the messages that still wait when the service stops."""


class Webhook:
    """Sends a message for each job that ends, one after another, in a thread that no job waits for.

    `count` is called in the event loop with the outcome of each message. Without a URL nothing is sent.
    """

    def __init__(self, settings: WebhookSettings, count: Callable[[Outcome], None]) -> None:
        self._url = settings.url.get_secret_value()
        self._key = settings.key
        self._count = count
        self._loop = asyncio.get_running_loop()
        self._waiting: queue.Queue[tuple[str, str, bytes] | None] = queue.Queue()
        self._stopping = threading.Event()
        self._opener = urllib.request.build_opener(_NoRedirects)
        self._thread = threading.Thread(target=self._send_all, name="webhook", daemon=True)
        if self._url:
            self._thread.start()

    def announce(self, job: Job) -> None:
        """Send the outcome of a finished job; returns at once."""
        if not self._url:
            return
        if self._waiting.qsize() >= MOST_WAITING:
            logger.warning("the webhook dropped a message, because too many wait", extra={"job_id": job.id})
            self._count("dropped")
            return
        body: dict[str, Any] = {
            "type": f"job.{job.status}",
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(job.finished_at)),
            "data": {
                "id": job.id,
                "kind": job.job_input.kind,
                "status": job.status,
                "code": job.error.code if job.error else None,
                "seconds": round(job.run_s, 3),
            },
        }
        # The id stays the same when the message is repeated.
        self._waiting.put((job.id, f"{job.id}.{job.status}", json.dumps(body).encode()))

    async def stop(self) -> None:
        """Send what waits within a few seconds, one attempt each, and end."""
        if self._url:
            self._waiting.put(None)
            self._stopping.set()
            await asyncio.to_thread(self._thread.join, STOP_S)

    def _send_all(self) -> None:
        while (message := self._waiting.get()) is not None:
            outcome: Outcome = "delivered" if self._deliver(*message) else "failed"
            with contextlib.suppress(RuntimeError):  # the service has ended meanwhile
                self._loop.call_soon_threadsafe(self._count, outcome)

    def _deliver(self, job_id: str, message_id: str, body: bytes) -> bool:
        for attempt, pause_s in enumerate((*PAUSES_S, None), start=1):
            problem = self._post(message_id, body)
            if problem is None:
                return True
            logger.warning("the webhook failed", extra={"job_id": job_id, "attempt": attempt, "problem": problem})
            if pause_s is None or self._stopping.wait(pause_s):
                break
        return False

    def _post(self, message_id: str, body: bytes) -> str | None:
        """Send a message; return what went wrong, without the address, which may contain a secret."""
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"llm-dit/{version('llm-dit')}",
            **signed(self._key, message_id, int(time.time()), body),
        }
        request = urllib.request.Request(self._url, body, headers, method="POST")
        try:
            with self._opener.open(request, timeout=TIMEOUT_S):
                return None
        except urllib.error.HTTPError as error:
            error.close()
            return f"status {error.code}"
        except urllib.error.URLError as error:
            return type(error.reason).__name__
        except (OSError, HTTPException, ValueError) as error:
            return type(error).__name__


def signed(key: bytes | None, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers of Standard Webhooks; without a `key` there is no signature."""
    headers = {"Webhook-Id": message_id, "Webhook-Timestamp": str(timestamp)}
    if key is not None:
        digest = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
        headers["Webhook-Signature"] = f"v1,{base64.b64encode(digest).decode()}"
    return headers


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: object, fp: object, code: int, msg: str, headers: object, newurl: str) -> None:
        """Follow no redirect: the status then counts as a failure."""
