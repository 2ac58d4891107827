"""Properties that hold for whatever comes in."""

import json

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.web.bodies import bodies
from tests.web.corpus import COMPOSITE, DECOMPOSE, EDIT, EXPORT, LEAK
from tests.web.mutants import mutants, try_gate


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from([DECOMPOSE, EDIT, COMPOSITE, EXPORT]), body=bodies)
def test_every_body_is_answered_or_refused(client: httpx.Client, path: str, body: object) -> None:
    answer = client.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code in {200, 422}, answer.text
    if answer.status_code == 422:
        assert len(answer.content) <= 4096
        assert LEAK.search(answer.text) is None


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_every_damaged_image_is_read_or_refused(seed: int) -> None:
    for mutant in mutants(seed, 50):
        try_gate(mutant)
