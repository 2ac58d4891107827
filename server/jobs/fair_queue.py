"""Who is next: clients take turns, and each client's jobs keep their order."""

from collections import defaultdict
from collections.abc import Iterator

from server.jobs.job import Job


class FairLine:
    """The jobs that wait, in the order in which they will start.

    This is start-time fair queueing (Goyal, Vin and Cheng, 1996) with jobs of equal weight: a job's turn is one after
    the turn of its client's job before it, and a client that had nothing waiting joins at the turn being served.
    """

    def __init__(self) -> None:
        self._arrived: list[Job] = []
        self._turn = 0
        self._next_turns: dict[str, int] = {}
        """Of clients that were served beyond the current turn, the earliest turn of their next job."""

    def __len__(self) -> int:
        return len(self._arrived)

    def __contains__(self, job: Job) -> bool:
        return job in self._arrived

    def __iter__(self) -> Iterator[Job]:
        yield from (job for _, job in self._ordered())

    def add(self, job: Job) -> None:
        self._arrived.append(job)

    def remove(self, job: Job) -> None:
        self._arrived.remove(job)

    def pop(self) -> Job:
        """Take out the job that is next; raises `IndexError` when none waits."""
        self._turn, job = self._ordered()[0]
        self._arrived.remove(job)
        self._next_turns[job.client] = self._turn + 1
        self._next_turns = {client: turn for client, turn in self._next_turns.items() if turn > self._turn}
        return job

    def _ordered(self) -> list[tuple[int, Job]]:
        before: defaultdict[str, int] = defaultdict(int)
        turns: list[tuple[int, Job]] = []
        for job in self._arrived:
            turns.append((self._next_turns.get(job.client, self._turn) + before[job.client], job))
            before[job.client] += 1
        return sorted(turns, key=lambda turn: turn[0])  # a stable sort: those of one turn keep the order of arrival
