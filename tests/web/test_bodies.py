"""What a body may be: its size by route, its structure, and how it is read."""

import asyncio
import contextlib
import json
import random
import tempfile
from collections.abc import Generator, Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kit.jobs import DECOMPOSE, fields
from tests.kit.pictures import SQUARE_URL
from tests.web.corpus import assert_problem
from web.bodies.large_json import LONG, JsonLimits, JsonSieve, LongText, TooComplexError
from web.bodies.limits import Pot

JSON = {"Content-Type": "application/json"}
MB = 1_000_000
LIMITS = JsonLimits(structure=10_000, text=200_000)


@contextlib.contextmanager
def sieved(document: bytes, piece: int = 65_536, limits: JsonLimits = LIMITS) -> Generator[Any]:
    with contextlib.closing(JsonSieve(limits, tempfile.TemporaryFile)) as sieve:
        for start in range(0, len(document), piece):
            sieve.feed(document[start : start + piece])
        yield sieve.value()


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH"])
@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/api/projects/import", "/api/projects/x", "/api/projects", "/api/jobs/x", DECOMPOSE]
)
def test_only_routes_that_take_files_take_what_is_large(client: httpx.Client, method: str, path: str) -> None:
    if (method, path) == ("POST", "/api/projects/import"):
        return
    answer = client.request(method, path, content=b"[" * 34 * MB, headers=JSON)
    assert_problem(answer, 413, "too_large")


def test_a_project_takes_no_more_than_a_project_needs(client: httpx.Client) -> None:
    assert_problem(client.post("/api/projects", content=b" " * 6 * MB, headers=JSON), 413, "too_large")
    assert_problem(client.post("/login", content=b" " * 100_000, headers=JSON), 413, "too_large")


@pytest.mark.parametrize(
    "body",
    [
        b"{" + b",".join(b'"key%d":1' % number for number in range(100_000)) + b"}",
        b"[" * 300_000,
        b"[" + b"{}," * 100_000 + b"{}]",
        b"[" + b'"",' * 100_000 + b'""]',
        b'{"steps": ' + b"1" * 300_000 + b"}",
        b"[" + b"1 " * 100_000 + b"]",
    ],
)
def test_more_than_any_request_has_is_refused_unparsed(client: httpx.Client, body: bytes) -> None:
    for path in (DECOMPOSE, "/api/qwen-image/export"):
        answer = client.post(path, content=body, headers=JSON)
        assert_problem(answer, 400 if body.startswith(b"[[") else 422)
        assert len(answer.content) < 1000


@pytest.mark.parametrize("field", ["prompt", "negative_prompt", "language", "nothing"])
def test_a_long_text_is_taken_for_pictures_alone(client: httpx.Client, field: str) -> None:
    answer = client.post(DECOMPOSE, json={**fields(), field: "A" * (LONG + 1)})
    assert assert_problem(answer, 422, "invalid_input")["param"] == field
    long_name = client.post(DECOMPOSE, json={**fields(), "A" * (LONG + 1): 1})
    assert_problem(long_name, 422, "invalid_input")


def test_a_long_picture_arrives_whatever_stands_around_it(client: httpx.Client) -> None:
    picture = SQUARE_URL + "\n" * (LONG + 1)
    body = json.dumps(fields(image=picture)).replace("/", "\\/").encode()
    assert client.post(DECOMPOSE, content=b" \n" * 100_000 + body, headers=JSON).status_code == 200
    twice = {"layers": [{"image": picture}, {"image": SQUARE_URL}, {"image": picture}]}
    assert client.post("/api/qwen-image/composite", json=twice).status_code == 200


def test_many_wrong_fields_get_a_short_answer(client: httpx.Client) -> None:
    answer = client.post(DECOMPOSE, json={f"field{number}": 1 for number in range(2000)})
    assert_problem(answer, 422, "invalid_input")
    assert len(answer.content) < 1000


def values() -> st.SearchStrategy[Any]:
    plain = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
    return st.recursive(
        plain | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
    )


@given(value=values(), piece=st.integers(1, 40), ascii_only=st.booleans(), indent=st.none() | st.integers(0, 3))
def test_what_is_short_comes_out_as_it_went_in(value: Any, piece: int, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    with sieved(text.encode(), piece) as read:
        assert read == json.loads(text)


@pytest.mark.parametrize("piece", [1, 7, 64, 65_536])
def test_what_is_long_goes_to_the_file(piece: int) -> None:
    digits = random.Random(0).choices("ABCabc012+/", k=400)
    limits = JsonLimits(structure=1000, text=1000, long=100)
    document = {"image": "".join(digits), "short": 'a "quoted" \\ text', "more": ["".join(digits[:150]), "é"]}
    for text in (json.dumps(document), json.dumps(document).replace("/", "\\/")):
        with sieved(text.encode(), piece, limits) as read:
            image, more = read["image"], read["more"][0]
            assert isinstance(image, LongText) and isinstance(more, LongText)
            assert read == {"image": image, "short": document["short"], "more": [more, "é"]}
            assert [image.read(), more.read()] == [document["image"], document["more"][0]]


@pytest.mark.parametrize("text", [b'"', b'"abc', b'{"a": "\\', b"", b" ", b"{", b'"a" "b"', b"1 2", b'{"a":NaN}'])
def test_what_is_no_json_is_told(text: bytes) -> None:
    with pytest.raises(ValueError), sieved(text):
        pass


def test_structure_and_texts_have_limits_of_their_own() -> None:
    with sieved(b"[" + b" " * MB + b'"' + b"a" * 50_000 + b'"]') as read:
        assert read == ["a" * 50_000]
    for text in (b"[" + b'"%b",' % (b"a" * 50_000) * 5, b"[" + b"1," * 6000):
        with pytest.raises(TooComplexError), sieved(text):
            pass


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def test_who_has_most_and_does_not_move_gives_way_first(runner: asyncio.Runner) -> None:
    async def crowd() -> None:
        pot = Pot(100, patience_s=20)
        async with pot.place("greedy", 40) as first, pot.place("greedy", 40) as second, pot.place("other", 20) as other:
            newcomer = asyncio.create_task(_hold(pot, "newcomer", 30))
            await first.give_way.wait()
            assert not (second.give_way.is_set() or other.give_way.is_set() or newcomer.done())
            await second.give_way.wait()
            assert not other.give_way.is_set()
        await newcomer

    runner.run(crowd())


def test_who_moves_is_waited_for_and_not_for_ever(runner: asyncio.Runner) -> None:
    async def crowd() -> None:
        pot = Pot(100, patience_s=2.5)
        async with pot.place("fast", 90) as fast:
            newcomer = asyncio.create_task(_hold(pot, "newcomer", 30))
            while not newcomer.done():
                fast.heard = asyncio.get_running_loop().time()
                fast.received += 10 * MB
                await asyncio.sleep(0.01)
            assert isinstance(newcomer.exception(), TimeoutError)
            assert not fast.give_way.is_set()

    runner.run(crowd())


async def _hold(pot: Pot, client: str, size: int) -> None:
    async with pot.place(client, size):
        pass
