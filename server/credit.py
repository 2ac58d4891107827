"""How slow the other end of a connection may be."""

SLOWEST_BYTES_PER_S = 32_000


class Credit:
    """Time that somebody has, in seconds: `span_s` at first and at most, and a second more for each 32 kB that move.

    So neither a pause of `span_s` is allowed nor a pace that is below 32 kB/s for longer, whatever went before.
    """

    def __init__(self, span_s: float, now: float) -> None:
        self._span_s = span_s
        self._deadline = now + span_s

    @property
    def deadline(self) -> float:
        return self._deadline

    def earn(self, count: int, now: float) -> None:
        """Take in that `count` bytes have moved by `now`."""
        self._deadline = min(self._deadline + count / SLOWEST_BYTES_PER_S, now + self._span_s)

    def pause(self, seconds: float) -> None:
        """Leave out a time in which it was not the other end that was waited for."""
        self._deadline += seconds
