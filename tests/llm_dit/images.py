"""Hypothesis strategies for pictures and stacks."""

import dataclasses

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from llm_dit.color import BLEND_MODES
from llm_dit.layer import Group, Layer


@st.composite
def rgba_images(draw: st.DrawFn, *, max_side: int = 12) -> Image.Image:
    """RGBA pictures of noise in which fully transparent and fully opaque pixels are common."""
    width, height = draw(st.integers(1, max_side)), draw(st.integers(1, max_side))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    pixels = rng.integers(0, 256, (height, width, 4), dtype=np.uint8)
    pixels[..., 3] = np.where(rng.random((height, width)) < 0.5, rng.choice([0, 255], (height, width)), pixels[..., 3])
    return Image.fromarray(pixels, "RGBA")


@st.composite
def placed_layers(draw: st.DrawFn) -> Layer:
    """Layers anywhere on and off a small canvas."""
    return Layer(
        image=draw(rgba_images()),
        opacity=draw(st.floats(0, 1)),
        visible=draw(st.booleans()),
        x=draw(st.integers(-15, 15)),
        y=draw(st.integers(-15, 15)),
    )


LABELS = ["Group", "Group / Inner", "群/<&'>"]
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@st.composite
def layers_of_all_kinds(draw: st.DrawFn) -> Layer:
    """Layers with every property that a layer can have."""
    return dataclasses.replace(
        draw(placed_layers()),
        name=draw(names),
        blend=draw(st.sampled_from(BLEND_MODES)),
        scale=draw(st.sampled_from([0.01, 0.3, 0.5, 1.0, 1.0, 1.7, 2.0, 32.0])),
        stretch=draw(st.sampled_from([1.0, 1.0, 0.4, 2.5])),
        rotation=draw(st.sampled_from([0.0, 0.0, 90.0, 180.0, -90.0, 360.0, 30.0, -171.5])),
        flip_x=draw(st.booleans()),
        flip_y=draw(st.booleans()),
        group=draw(st.sampled_from(["", "", *LABELS])),
    )


def groups() -> st.SearchStrategy[dict[str, Group]]:
    """How some of the groups show that `layers_of_all_kinds` are in."""
    group = st.builds(
        Group,
        opacity=st.sampled_from([1.0, 0.5, 0.0, 0.2]),
        visible=st.booleans(),
        blend=st.sampled_from(["pass-through", "pass-through", *BLEND_MODES]),
    )
    return st.dictionaries(st.sampled_from(LABELS), group)
