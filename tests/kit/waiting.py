"""Waiting for what other processes do."""

import time
from collections.abc import Callable

PATIENCE_S = 240.0
"""How long anything may take to come on a machine that others use as well. No test is about this time."""


def wait_until(condition: Callable[[], object], what: str = "the condition", *, every_s: float = 0.01) -> float:
    """Return the seconds until `condition()` is true, which is looked at `every_s`.

    Raises `TimeoutError` after `PATIENCE_S`.
    """
    begun = time.monotonic()
    while not condition():
        if time.monotonic() > begun + PATIENCE_S:
            raise TimeoutError(f"waited {PATIENCE_S:g} s for {what}, which did not come")
        time.sleep(every_s)
    return time.monotonic() - begun
