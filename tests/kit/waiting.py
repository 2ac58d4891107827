"""Waiting for what other processes do."""

import time
from collections.abc import Callable

PATIENCE_S = 240.0
"""How long anything may take to come on a machine that others use as well. No test is about this time."""
SELDOM_S = 0.1
"""The longest pause between two looks."""


def wait_until(condition: Callable[[], object], what: str = "the condition", *, every_s: float = 0.01) -> float:
    """Return the seconds until `condition()` is true, which is looked at `every_s`, and less often where it is long in
    coming: to look is a request as a rule, which takes a processor away from what is waited for.

    Raises `TimeoutError` after `PATIENCE_S`.
    """
    begun = time.monotonic()
    while not condition():
        waited = time.monotonic() - begun
        if waited > PATIENCE_S:
            raise TimeoutError(f"waited {PATIENCE_S:g} s for {what}, which did not come")
        time.sleep(max(every_s, min(waited / 10, SELDOM_S)))
    return time.monotonic() - begun
