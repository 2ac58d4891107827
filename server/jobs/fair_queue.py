"""Who is next, and which jobs there are.

Clients take turns in the queue, and a full queue keeps places for those whom it told to come back.
"""

import contextlib
import itertools
import math
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from llm_dit.errors import LLMDiTError
from server.errors import KeyReusedError, NotFoundError
from server.jobs.job import Job, JobRecords, Submission


class FairLine:
    """The waiting jobs, in the order in which they will start.

    This is start-time fair queueing (Goyal, Vin and Cheng, 1996) with jobs of equal weight: a job's turn is one after
    the turn of its client's job before it, and a client without waiting jobs joins at the current turn.
    """

    def __init__(self) -> None:
        self._arrived: list[Job] = []
        self._turn = 0
        self._next_turns: dict[str, int] = {}
        """The earliest turn of the next job, for clients that were served beyond the current turn."""

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
        """Remove and return the next job; raises `IndexError` if none waits."""
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
        return sorted(turns, key=lambda turn: turn[0])  # a stable sort: jobs of one turn keep the order of arrival


MOST_TICKETS = 1000
MOST_FOR_EACH_PLACE = 4
"""Places that the present clients share, while each has one: many requests may come from one address."""
LATE_SHARE, LATE_S = 0.5, 5.0
"""How long a ticket lasts beyond the announced time: clients add up to half of it, and some seconds."""
CROWD = 2
"""Most clients per place that are told to return within one second, however fast jobs run: only as many as there are
places succeed."""
BODY_S = 60.0
"""Seconds for the body of an admitted request."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """There is no place: retry in `retry_after_s` seconds; `kept`: a place is reserved until then."""

    retry_after_s: int
    kept: bool


@dataclass(kw_only=True, eq=False)
class _Ticket:
    client: str
    key: str | None
    due_at: float = 0.0
    expires_at: float = 0.0
    called: bool = False
    """Whether its holder was admitted, and may be sending the body now."""

    def last(self, now: float, wait_s: float) -> None:
        self.due_at, self.called = now + wait_s, False
        self.expires_at = self.due_at + wait_s * LATE_SHARE + LATE_S

    def call(self, now: float) -> None:
        if not self.called:
            self.due_at, self.expires_at, self.called = min(self.due_at, now), now + BODY_S, True


class Tickets:
    """Assigns the queue's `places`; a refused client gets a ticket until it is due to return.

    Tickets are in the order of the first refusals, but a client's second ticket comes after everybody's first, as in
    `FairLine`. A client has at most its share of the tickets, and never more than `most`. A new client is admitted if
    more places are free than there are tickets before it. Returning clients are admitted in ticket order; but the
    later half of the places, and an idle engine, do not wait for clients that have not returned yet.

    An Idempotency-Key identifies the returning request of a client. Without one it is the oldest due request, so that
    a new request cannot take a place that was promised to an earlier one.
    """

    def __init__(self, places: int, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._places = places
        self._most = most
        self._clock = clock
        self._tickets: list[_Ticket] = []

    def __len__(self) -> int:
        return len(self._tickets)

    def ask(
        self, client: str, key: str | None, waiting: Counter[str], *, idle: bool, opens_in_s: Callable[[int], float]
    ) -> Refusal | None:
        """Return None if there is a place for a request of `client`, which then has a minute to send it.

        `waiting` counts the jobs of each client; `idle`: a job would start at once. `opens_in_s` returns the seconds
        until that many more places are free.
        """
        now = self._clock()
        self._tickets = [ticket for ticket in self._tickets if ticket.expires_at > now]
        free = self._places - waiting.total()
        ticket, before = self._find(client, key, now), self._before(client, None, waiting)
        held = len(before)
        if ticket is not None:
            before = self._before(client, ticket, waiting)
            held = len(before)
            if ticket.due_at <= now:
                held = 0 if idle else min(sum(other.due_at <= now for other in before), self._places // 2)
        if free > held:
            if ticket is not None:
                ticket.call(now)
            return None
        opens_s = opens_in_s(max(1, len(before) + 1 - free))
        wait_s = max(math.ceil(opens_s), 1 + len(before) // (CROWD * self._places))
        if ticket is not None and ticket.due_at > now and key is not None:
            return Refusal(retry_after_s=math.ceil(ticket.due_at - now), kept=True)
        if ticket is None or ticket.due_at > now:
            ticket = self._issue(client, key, waiting)
        if ticket is not None:
            ticket.last(now, wait_s)
        return Refusal(retry_after_s=wait_s, kept=ticket is not None)

    def use(self, client: str, key: str | None) -> None:
        """Remove the ticket of an admitted request, if it had one."""
        ticket = self._find(client, key, self._clock())
        if ticket is not None:
            self._tickets.remove(ticket)

    def _find(self, client: str, key: str | None, now: float) -> _Ticket | None:
        own = [ticket for ticket in self._tickets if (ticket.client, ticket.key) == (client, key)]
        return next((ticket for ticket in own if ticket.due_at <= now), own[0] if len(own) == 1 else None)

    def _before(self, client: str, ticket: _Ticket | None, waiting: Counter[str]) -> Sequence[_Ticket]:
        """Return the tickets before this one, or before a request without one."""
        turns = waiting.copy()
        placed: list[tuple[int, _Ticket]] = []
        for each in self._tickets:
            placed.append((turns[each.client], each))
            turns[each.client] += 1
        placed.append((turns[client], _Ticket(client=client, key=None)))
        ordered = [each for _, each in sorted(placed, key=lambda place: place[0])]
        end = placed[-1][1] if ticket is None else ticket
        return list(itertools.takewhile(lambda each: each is not end, ordered))

    def _issue(self, client: str, key: str | None, waiting: Counter[str]) -> _Ticket | None:
        present = {client, *+waiting, *(ticket.client for ticket in self._tickets)}
        share = max(1, min(self._most, MOST_FOR_EACH_PLACE * self._places // len(present)))
        own = sum(ticket.client == client for ticket in self._tickets)
        if own >= share or len(self._tickets) >= MOST_TICKETS:
            return None
        self._tickets.append(_Ticket(client=client, key=key))
        return self._tickets[-1]


# Which jobs there are, those included that have ended.

KEY_REUSED = "This Idempotency-Key belongs to a different request: use a new one."


class Roster:
    """Finds current and recently finished jobs by id, client or request.

    Beyond its limit it forgets the oldest finished job of the client with the most, so that a busy client does not
    displace the results of others.
    """

    def __init__(self, records: JobRecords, max_finished: int) -> None:
        self._records = records
        self._max_finished = max_finished
        self._jobs: dict[str, Job] = {}
        self._finished: deque[Job] = deque()
        self._counts: Counter[str] = Counter()
        """The number of finished jobs of each client."""

    def add(self, job: Job) -> None:
        self._jobs[job.id] = job

    def discard(self, job: Job) -> None:
        """Remove a job that could not be stored."""
        del self._jobs[job.id]

    def get(self, job_id: str) -> Job:
        """Return a job by its id; raises `NotFoundError`."""
        if job_id not in self._jobs:
            raise NotFoundError("There is no such job: it never existed here, or it ended long ago.")
        return self._jobs[job_id]

    def of_client(self, client: str) -> list[Job]:
        """Return the jobs of a client, the newest first."""
        return [job for job in reversed(self._jobs.values()) if job.client == client]

    def keyed(self, client: str, key: str) -> Job | None:
        """Return the job of a key, unless it failed or was canceled: then the next request tries again."""
        job = next((job for job in self.of_client(client) if job.key == key), None)
        return None if job is None or job.error is not None or job.cancel_wanted else job

    def answering(self, submission: Submission) -> Job | None:
        """Return the existing job of a repeated submission, or None; raises `KeyReusedError`."""
        if submission.key is not None and (job := self.keyed(submission.client, submission.key)) is not None:
            if job.fingerprint != submission.fingerprint:
                raise KeyReusedError(KEY_REUSED, param="Idempotency-Key")
            return job
        if not submission.seed_given:
            return None
        at_hand = (job for job in self.of_client(submission.client) if not (job.finished or job.cancel_wanted))
        return next((job for job in at_hand if job.fingerprint == submission.fingerprint), None)

    async def remember(self, job: Job) -> None:
        """Add a job to the finished ones."""
        self._finished.append(job)
        self._counts[job.client] += 1
        while len(self._finished) > self._max_finished:
            most = max(self._counts.values())
            await self._forget(next(job for job in self._finished if self._counts[job.client] == most))

    async def forget_before(self, finished_at: float) -> None:
        """Forget jobs that ended before a time in seconds since 1970."""
        while self._finished and (self._finished[0].finished_at or 0) < finished_at:
            await self._forget(self._finished[0])

    async def _forget(self, job: Job) -> None:
        self._finished.remove(job)
        self._counts -= Counter([job.client])
        del self._jobs[job.id]
        with contextlib.suppress(LLMDiTError):  # the database has logged it
            await self._records.forget(job)
