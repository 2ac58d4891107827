"""JSON bodies of every shape, more or less like those that the service takes."""

from hypothesis import strategies as st

from tests.kit.pictures import DISC_URL, SQUARE_URL

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
