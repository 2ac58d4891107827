"""The image store: idempotent, atomic, and deaf to names that are no SHA-256."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.errors import NotFoundError
from server.store import ImageStore


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=2000))
def test_it_gives_back_what_it_was_given(tmp_path: Path, content: bytes) -> None:
    store = ImageStore(tmp_path)
    sha256 = store.put(content)
    assert sha256 == store.put(content) == hashlib.sha256(content).hexdigest()
    assert sha256 in store
    assert ImageStore(tmp_path).read(sha256) == content


def test_writing_the_same_at_once_leaves_one_file(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    content = b"x" * 1_000_000
    with ThreadPoolExecutor(8) as threads:
        names = set(threads.map(lambda _: store.put(content), range(32)))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [f"{names.pop()}.png"]


@pytest.mark.parametrize("name", ["", "0", "0" * 64, "../" * 21 + "x", "A" * 64, "0" * 63 + "\n", "0" * 65])
def test_what_is_not_there_is_not_found(tmp_path: Path, name: str) -> None:
    store = ImageStore(tmp_path)
    assert name not in store
    with pytest.raises(NotFoundError):
        store.read(name)
