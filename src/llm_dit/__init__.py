"""Layered image editing: decompose an image into RGBA layers, edit one, composite them again.

The names below are the Python API. Each is imported on first use, so that unused parts take no time.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llm_dit.classical.cutting import cut_out
    from llm_dit.classical.harmonizing import harmonize
    from llm_dit.classical.selecting import select
    from llm_dit.client import AsyncClient, Client
    from llm_dit.errors import EngineError, ImageError, InputError, InstructionError, LLMDiTError, ServiceError
    from llm_dit.exports.formats import export
    from llm_dit.layer import Group, Layer
    from llm_dit.layers import Decomposition, composite
    from llm_dit.options import DecomposeOptions, EditOptions, NamedBox
    from llm_dit.pipelines.classical import ClassicalPipeline
    from llm_dit.pipelines.qwen_image_diffusers import QwenImageDiffusersPipeline
    from llm_dit.runs import Canceled, LayerPipeline, Progress
    from llm_dit.surroundings import surroundings_of

_MODULES = {
    "classical.cutting": ("cut_out",),
    "classical.harmonizing": ("harmonize",),
    "classical.selecting": ("select",),
    "client": ("AsyncClient", "Client"),
    "errors": ("EngineError", "ImageError", "InputError", "InstructionError", "LLMDiTError", "ServiceError"),
    "exports.formats": ("export",),
    "layer": ("Group", "Layer"),
    "layers": ("Decomposition", "composite"),
    "options": ("DecomposeOptions", "EditOptions", "NamedBox"),
    "pipelines.classical": ("ClassicalPipeline",),
    "pipelines.qwen_image_diffusers": ("QwenImageDiffusersPipeline",),
    "runs": ("Canceled", "LayerPipeline", "Progress"),
    "surroundings": ("surroundings_of",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "AsyncClient",
    "Canceled",
    "ClassicalPipeline",
    "Client",
    "DecomposeOptions",
    "Decomposition",
    "EditOptions",
    "EngineError",
    "Group",
    "ImageError",
    "InputError",
    "InstructionError",
    "LLMDiTError",
    "Layer",
    "LayerPipeline",
    "NamedBox",
    "Progress",
    "QwenImageDiffusersPipeline",
    "ServiceError",
    "composite",
    "cut_out",
    "export",
    "harmonize",
    "select",
    "surroundings_of",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return version("llm-dit")
    if name not in _HOMES:
        raise AttributeError(f"module 'llm_dit' has no attribute {name!r}")
    return getattr(import_module(f"llm_dit.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
