"""What lets a model that only knows opaque pictures edit a layer: frame it, show it, align what comes back, restore it."""

from llm_dit.editing.canvas import EditCanvas, EditResult, prepare

__all__ = ["EditCanvas", "EditResult", "prepare"]
