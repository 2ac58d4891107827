"""Clients that leave, SIGTERM at any moment, SIGKILL among jobs, each once or twice."""

from tests.stress import stops


def test_a_client_that_leaves_the_queue_never_has_its_job_run() -> None:
    figures = stops.leaving(2)
    assert figures["wrong"] == []
    assert figures["never_started"] == 2


def test_sigterm_ends_a_service_with_0_in_any_state() -> None:
    figures = stops.sigterm(1)
    assert figures["wrong"] == []
    assert figures["stops"] == 2


def test_sigkill_loses_no_accepted_job() -> None:
    figures = stops.sigkill(2)
    assert figures["wrong"] == []
    assert figures["kills"] == 2
