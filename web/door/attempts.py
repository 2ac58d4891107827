"""Wrong tokens at the login form: who sends too many of them has to wait."""

import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from server.addresses import parse_ip

MOST_ADDRESSES = 1000
"""Addresses that are remembered; the one that was wrong longest ago is forgotten first."""


class Attempts:
    """Counts the wrong tokens of each address: `most` of them in `span_s` seconds are too many."""

    def __init__(self, *, most: int = 10, span_s: float = 60, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._span_s = span_s
        self._clock = clock
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._wrong)

    def wait_s(self, address: str) -> int:
        """Return the seconds until the address may try again, 0 for at once."""
        times = self._wrong.get(source_of(address))
        if times is None or len(times) < self._most:
            return 0
        return max(0, math.ceil(times[0] + self._span_s - self._clock()))

    def add(self, address: str) -> None:
        """Remember that a wrong token came from the address."""
        source = source_of(address)
        self._wrong.setdefault(source, deque(maxlen=self._most)).append(self._clock())
        self._wrong.move_to_end(source)
        if len(self._wrong) > MOST_ADDRESSES:
            self._wrong.popitem(last=False)


def source_of(address: str) -> str:
    """Return whom an address belongs to: one machine has 2⁶⁴ of IPv6."""
    ip = parse_ip(address)
    return str(ip) if ip is None or ip.version == 4 else ip.exploded[:19]
