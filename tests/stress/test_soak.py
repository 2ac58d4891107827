"""Mixed traffic for some seconds gets what it should and leaves nothing."""

from tests.stress import soak


def test_mixed_traffic_leaves_nothing_behind() -> None:
    figures = soak.measure(seconds=15, every_s=0.5)
    assert figures["traffic"]["wrong"] == []
    assert sum(count for name, count in figures["traffic"].items() if isinstance(count, int)) > 4
    for name in ("service files", "service threads", "worker files", "worker threads"):
        # Seconds are too short for a slope of memory, and long enough for a file a request.
        assert figures[name]["most"] < 40, name


def test_a_leak_is_told_from_peaks() -> None:
    def samples(held: list[float]) -> list[soak.Sample]:
        return [soak.Sample(at_s=n, worker=1, held={"service memory_mb": value}) for n, value in enumerate(held)]

    peaks = [90.0 + (60 if n % 5 == 0 else 0) for n in range(100)]
    assert soak.trends(samples(peaks))["service memory_mb"]["passed"]
    leak = [90.0 + 0.3 * n + (60 if n % 5 == 0 else 0) for n in range(100)]
    assert not soak.trends(samples(leak))["service memory_mb"]["passed"]
