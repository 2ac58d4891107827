"""Editing a layer with a model for opaque or RGBA pictures: crop, compose, register, restore alpha."""

from llm_dit.editing.backgrounds import ContextCanvas, TransparentCanvas, prepare_context, prepare_transparent
from llm_dit.editing.canvas import EditCanvas, EditResult, prepare

__all__ = [
    "ContextCanvas",
    "EditCanvas",
    "EditResult",
    "TransparentCanvas",
    "prepare",
    "prepare_context",
    "prepare_transparent",
]
