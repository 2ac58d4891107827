"""Places that are kept for those who were told to come back: fairness at a full queue, on a simulated clock."""

import heapq
import random
import statistics
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from server.jobs.fair_queue import BODY_S, LATE_S, MOST_TICKETS, Refusal, Tickets


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Door:
    """A queue whose places open as the test says."""

    places: int
    most: int = 100
    run_s: float = 10.0
    clock: Clock = field(default_factory=Clock)
    waiting: Counter[str] = field(default_factory=Counter[str])
    idle: bool = False

    def __post_init__(self) -> None:
        self.tickets = Tickets(self.places, self.most, self.clock)

    def comes(self, client: str, key: str | None = None) -> Refusal | None:
        """Let a client in when there is a place for it."""
        refusal = self.tickets.ask(
            client, key, self.waiting, idle=self.idle, opens_in_s=lambda places: places * self.run_s
        )
        if refusal is None:
            self.tickets.use(client, key)
            self.waiting[client] += 1
        return refusal

    def told(self, client: str, key: str | None = None) -> int:
        refusal = self.comes(client, key)
        assert refusal is not None
        return refusal.retry_after_s

    def starts(self, client: str) -> None:
        self.waiting -= Counter([client])


@pytest.fixture
def full() -> Door:
    door = Door(places=2)
    assert door.comes("x") is None and door.comes("y") is None
    return door


def test_a_place_is_kept_for_who_was_told_to_come_back(full: Door) -> None:
    assert full.told("a") == 10
    full.clock.now = 5
    full.starts("x")
    assert full.told("new") == 10, "the place that is free is kept, the next one is not yet"
    full.clock.now = 10 * 1.5
    assert full.comes("a") is None
    assert full.told("newer") == 20, "one place for who came before"


def test_each_who_waits_is_told_when_its_own_turn_comes(full: Door) -> None:
    assert [full.told(client) for client in "abcd"] == [10, 20, 30, 40]


def test_who_comes_first_again_does_not_overtake_those_before(full: Door) -> None:
    assert [full.told(client) for client in "abc"] == [10, 20, 30]
    full.clock.now = 30
    full.starts("x")
    assert full.told("c") > 0, "the one place is for b, who may come any moment"
    assert full.comes("b") is None


def test_who_comes_early_keeps_the_place_and_gains_nothing(full: Door) -> None:
    full.told("a")
    full.told("b", "key")
    for now in range(1, 20):
        full.clock.now = now
        assert full.told("b", "key") == 20 - now
    full.starts("x")
    full.clock.now = 19.5
    assert full.told("b", "key") == 1, "a is late, but not too late"
    assert full.comes("a") is None
    full.starts("y")
    assert full.comes("b", "key") is None, "b has nobody before it"


def test_who_never_comes_holds_a_place_for_a_little_while(full: Door) -> None:
    full.told("a")
    full.starts("x")
    full.clock.now = 10 * 1.5 + LATE_S - 0.1
    assert full.told("new") > 0
    full.clock.now += 0.2
    assert full.comes("new") is None


def test_an_idle_engine_waits_for_nobody(full: Door) -> None:
    for client in "abcdef":
        full.told(client)
    full.waiting.clear()
    full.idle, full.clock.now = True, 60
    assert full.comes("f") is None


def test_who_asks_often_stands_behind_everybody_who_asks_once() -> None:
    door = Door(places=4)
    for client in "wxyz":
        door.comes(client)
    for _ in range(1000):
        door.told("flood")
    assert len(door.tickets) == 4 * 4 // 5
    assert door.told("a") == 20, "only the first of the flood stands before it"


def test_a_client_has_no_more_tickets_than_its_share() -> None:
    alone, limited, among_many = Door(places=1), Door(places=1, most=2), Door(places=1)
    for door in (alone, limited, among_many):
        door.comes("a")
    for number in range(9):
        among_many.told(f"client {number}")
    for door, share in ((alone, 4), (limited, 2), (among_many, 1)):
        refusals = [door.comes("a") for _ in range(5)]
        assert [refusal and refusal.kept for refusal in refusals] == [True] * share + [False] * (5 - share)


def test_the_tickets_of_all_clients_together_are_bounded(full: Door) -> None:
    for number in range(MOST_TICKETS + 10):
        full.told(f"client {number}")
    assert len(full.tickets) == MOST_TICKETS


def test_a_body_that_does_not_come_does_not_hold_its_place_for_ever(full: Door) -> None:
    full.told("a", "key")
    full.starts("x")
    full.clock.now = 10
    opens: Callable[[int], float] = float
    while full.clock.now < 10 + BODY_S:
        assert full.tickets.ask("a", "key", full.waiting, idle=False, opens_in_s=opens) is None
        assert full.comes("new", "key") is not None
        full.clock.now += 7
    assert full.comes("new", "key") is None


@pytest.mark.parametrize("late", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("run_s", [0.01, 0.05, 0.3, 2, 60])
@pytest.mark.parametrize("places", [1, 2, 8, 32])
def test_nobody_waits_three_times_as_long_as_half_of_all(places: int, run_s: float, late: float) -> None:
    waits = simulate(places, run_s, late, clients=32, requests=10)
    assert len(waits) == 32 * 10
    assert max(waits) <= 3 * statistics.median(waits)


def simulate(places: int, run_s: float, late: float, *, clients: int, requests: int) -> list[float]:
    """Return the seconds from the first try to the result of each request of clients that come again as told.

    Each comes up to the share `late` after the time that it was told, and sends its next request after its result.
    """
    chance = random.Random(0)
    door, line, waits = Door(places, run_s=run_s), list[tuple[str, float]](), list[float]()
    events = [(chance.uniform(0, 0.05), number, f"client {number}", -1.0) for number in range(clients)]
    left = Counter({client: requests for _, _, client, _ in events})
    ends_at: float | None = None
    while events:
        now, number, client, since = heapq.heappop(events)
        door.clock.now = now
        if client == "end":
            served, began = line.pop(0)
            waits.append(now - began)
            left[served] -= 1
            if left[served]:
                heapq.heappush(events, (now + 0.002, number, served, -1.0))
            ends_at = None
        else:
            began = now if since < 0 else since
            door.idle = not line
            door.waiting = Counter(each for each, _ in line[1:])
            until_next = (ends_at or now) - now
            refusal = door.tickets.ask(
                client,
                None,
                door.waiting,
                idle=door.idle,
                opens_in_s=lambda many: until_next + (many - 1) * run_s,  # noqa: B023
            )
            if refusal is None:
                door.tickets.use(client, None)
                line.append((client, began))
            else:
                wait_s = refusal.retry_after_s * chance.uniform(1, 1 + late)
                heapq.heappush(events, (now + wait_s, number, client, began))
        if line and ends_at is None:
            ends_at = now + run_s
            heapq.heappush(events, (ends_at, clients, "end", 0.0))
    return waits
