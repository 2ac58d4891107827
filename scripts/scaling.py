"""How many replicas a rate of jobs needs, by simulation: the table of docs/scaling.md.

    python -m scripts.scaling 45          # seconds that a replica works on one job

Jobs arrive independently of each other, wait in one line and take the first free replica, as in `server/jobs/queue.py`.
`tests/stress/test_ray.py` holds the simulation against two replicas.
"""

import argparse
import heapq
import itertools
import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

RATES = (0.02, 0.1, 1.0, 10.0)
BUSY = 0.7
"""The planned share of the time in which a replica works."""
JOBS = 40_000


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Jobs per second from the first arrival to the last end, and the seconds that each job waited."""

    throughput: float
    waits_s: Sequence[float]

    @property
    def mean_wait_s(self) -> float:
        return sum(self.waits_s) / len(self.waits_s)

    def wait_of(self, share: float) -> float:
        """Return the seconds within which this share of the jobs has started."""
        return sorted(self.waits_s)[math.ceil(share * len(self.waits_s)) - 1]


def arrivals(rate: float, count: int, seed: int) -> list[float]:
    """Return the seconds at which `count` independent jobs arrive, `rate` of them per second."""
    gaps = random.Random(seed)
    times = [0.0]
    while len(times) < count:
        times.append(times[-1] + gaps.expovariate(rate))
    return times


def simulate(times: Iterable[float], jobs_s: Iterable[float], replicas: int) -> Outcome:
    """Return what comes of jobs that arrive at `times` and take the seconds `jobs_s`."""
    free_at, waits_s, end, count = [0.0] * replicas, list[float](), 0.0, 0
    for time, job_s in zip(times, jobs_s):  # noqa: B905 - one may go on forever
        start = max(time, free_at[0])
        heapq.heapreplace(free_at, start + job_s)
        waits_s.append(start - time)
        end, count = max(end, start + job_s), count + 1
    return Outcome(throughput=count / end, waits_s=waits_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job_s", type=float, help="seconds that a replica works on one job")
    job_s = parser.parse_args().job_s
    print("| jobs/s | jobs/day | replicas | busy | mean wait | 95 % start within |")
    print("|---|---|---|---|---|---|")
    for rate in RATES:
        replicas = max(2, math.ceil(rate * job_s / BUSY))
        outcome = simulate(arrivals(rate, JOBS, seed=0), itertools.repeat(job_s), replicas)
        busy = rate * job_s / replicas
        print(
            f"| {rate:g} | {rate * 86_400:,.0f} | {replicas:,} | {busy:.0%} "
            f"| {outcome.mean_wait_s:.1f} s | {outcome.wait_of(0.95):.1f} s |"
        )


if __name__ == "__main__":
    main()
