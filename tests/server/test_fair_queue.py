"""Turns in the queue, whatever the order of arrival."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from server.jobs.fair_queue import FairLine
from server.jobs.job import Job
from tests.server.inputs import EDIT


def filled(clients: Sequence[str]) -> FairLine:
    line = FairLine()
    for client in clients:
        line.add(Job(job_input=EDIT, client=client))
    return line


def served(line: FairLine) -> str:
    return "".join(line.pop().client for _ in range(len(line)))


def test_clients_take_turns() -> None:
    assert served(filled("aaaabb")) == "abab" + "aa"
    assert served(filled("abcabc")) == "abcabc"


def test_who_comes_new_is_next_and_not_before_those_who_were_new_before() -> None:
    line = filled("aaa")
    assert line.pop().client == "a"
    for client in "bc":
        line.add(Job(job_input=EDIT, client=client))
    assert served(line) == "bcaa"


def test_a_client_cannot_gain_by_leaving_and_coming_back() -> None:
    line = filled("ab")
    assert [line.pop().client, line.pop().client] == ["a", "b"]
    for client in "aab":
        line.add(Job(job_input=EDIT, client=client))
    assert served(line) == "aba"


@given(arrivals=st.lists(st.sampled_from("abcd"), max_size=30), taken=st.lists(st.booleans(), max_size=30))
def test_nothing_is_lost_and_each_client_keeps_its_order(arrivals: list[str], taken: list[bool]) -> None:
    line = FairLine()
    jobs: list[Job] = []
    started: list[Job] = []
    for index, client in enumerate(arrivals):
        jobs.append(Job(job_input=EDIT, client=client))
        line.add(jobs[-1])
        if index < len(taken) and taken[index]:
            first = next(iter(line))
            started.append(line.pop())
            assert started[-1] is first
    started += [line.pop() for _ in range(len(line))]
    assert sorted(map(id, started)) == sorted(map(id, jobs))
    for client in "abcd":
        assert [job for job in started if job.client == client] == [job for job in jobs if job.client == client]


@given(arrivals=st.lists(st.sampled_from("abc"), min_size=1, max_size=30))
def test_no_client_is_ever_a_whole_turn_ahead_of_one_that_waits(arrivals: list[str]) -> None:
    order = served(filled(arrivals))
    for index, client in enumerate(order):
        own = order[: index + 1].count(client)
        assert all(order[:index].count(other) <= own for other in set(order[:index]))
