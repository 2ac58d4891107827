"""Requests made from the service's own description, and damaged pictures."""

import httpx

from tests.kit.service import Service
from tests.stress.bad_input import Answers, measure_pictures, send_described


def test_requests_made_from_the_description_are_answered(client: httpx.Client, stepping_service: Service) -> None:
    answers = Answers(client)
    send_described(stepping_service.url, answers, count=500, first_seed=1)
    assert answers.misses == []
    assert answers.sent["schemathesis"] > 300
    assert {200, 422} <= set(answers.statuses)


def test_damaged_pictures_break_no_process() -> None:
    figures = measure_pictures(4000, first_seed=7)
    assert figures["misses"] == []
    assert figures["tried"] == 4000
    assert figures["results"]["read"] > 100
