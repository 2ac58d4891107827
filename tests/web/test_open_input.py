"""Properties that hold for whatever comes in."""

import json
import random
import tempfile
from pathlib import Path

import httpx
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from llm_dit.errors import ImageError
from llm_dit.images import ImageLimits
from server.store import ImageStore
from tests.pictures import DISC_URL, SQUARE_URL, as_data_url, disc, encoded, png, square
from tests.web.test_bad_input import COMPOSITE, DECOMPOSE, EDIT, EXPORT, LEAK
from web.images import Picture

BASES = [
    png(disc()),
    png(square().quantize(4)),
    png(Image.radial_gradient("L")),
    encoded(square(), "JPEG"),
    encoded(disc(), "WEBP"),
]
FIELDS = ["image", "layer_image", "prompt", "instruction", "layer_num", "steps", "seed", "layers", "format"]

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from([SQUARE_URL, DISC_URL, "zip", 640, 4, 1.0]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS) | st.text(), inner, max_size=4),
    max_leaves=8,
)
bodies = st.dictionaries(st.sampled_from(FIELDS), values, max_size=6) | values


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from([DECOMPOSE, EDIT, COMPOSITE, EXPORT]), body=bodies)
def test_every_body_is_answered_or_refused(client: httpx.Client, path: str, body: object) -> None:
    answer = client.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code in {200, 422}, answer.text
    if answer.status_code == 422:
        assert len(answer.content) <= 4096
        assert LEAK.search(answer.text) is None


@settings(max_examples=400, deadline=None)
@given(base=st.sampled_from(BASES), seed=st.integers(0, 2**32), changes=st.integers(1, 12), cut=st.booleans())
@example(base=BASES[0], seed=0, changes=1, cut=True)
def test_every_damaged_image_is_read_or_refused(base: bytes, seed: int, changes: int, cut: bool) -> None:
    chance = random.Random(seed)
    mutant = bytearray(base)
    for _ in range(changes):
        mutant[chance.randrange(len(mutant))] = chance.randrange(256)
    if cut:
        del mutant[chance.randrange(len(mutant)) :]
    store = ImageStore(Path(tempfile.gettempdir()) / "never-written")
    try:
        image = Picture(as_data_url(bytes(mutant)), "layers.0.image").load(store, ImageLimits())
    except ImageError as error:
        assert error.param == "layers.0.image"
        assert LEAK.search(error.message) is None
    else:
        assert image.mode == "RGBA"
