"""Editing a layer with a model for opaque or RGBA pictures: crop, compose, register, restore alpha."""

from llm_dit.editing.canvas import EditCanvas, EditResult, prepare
from llm_dit.editing.context import ContextCanvas, prepare_context
from llm_dit.editing.transparent import TransparentCanvas, prepare_transparent

__all__ = [
    "ContextCanvas",
    "EditCanvas",
    "EditResult",
    "TransparentCanvas",
    "prepare",
    "prepare_context",
    "prepare_transparent",
]
