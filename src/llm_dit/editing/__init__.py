"""Editing a layer through a model that only knows opaque pictures: frame, show, align, restore."""

from llm_dit.editing.canvas import EditCanvas, EditResult, prepare

__all__ = ["EditCanvas", "EditResult", "prepare"]
