"""Editing a layer through a model that knows opaque pictures, or transparent ones: frame, show, align, restore."""

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
