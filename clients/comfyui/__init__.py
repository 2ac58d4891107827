"""Nodes for ComfyUI that have an llm-dit service decompose images and edit layers. See README.md in this folder.

Images are ComfyUI's: float tensors (batch, height, width, 3), 0–1, and masks (batch, height, width) that are 1 where an
image is transparent, as *Load Image* and *Join Image with Alpha* have them.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image

from llm_dit import Client, LLMDiTError, Progress

SERVICE = ("STRING", {"default": "http://127.0.0.1:8000", "tooltip": "Address of the llm-dit service."})
TOKEN = ("STRING", {"default": "", "tooltip": "The token of the service, if it has one."})
SEED = ("INT", {"default": 0, "min": 0, "max": 2**32 - 1, "control_after_generate": True})
STEPS = ("INT", {"default": 0, "min": 0, "max": 100, "tooltip": "0: the model's own number."})
CATEGORY = "llm-dit"


class Decompose:
    """One image into layers, bottom first."""

    CATEGORY = CATEGORY
    FUNCTION = "run"
    RETURN_TYPES = ("IMAGE", "MASK", "STRING")
    RETURN_NAMES = ("layers", "masks", "names")
    OUTPUT_TOOLTIPS = (
        "A batch with the colors of each layer, bottom first.",
        "Their transparency: 1 is transparent.",
        "Their names, a line each.",
    )
    DESCRIPTION = "Decomposes an image into RGBA layers on an llm-dit service."

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "image": ("IMAGE",),
                "layers": ("INT", {"default": 4, "min": 1, "max": 10}),
                "size": (["original", "model"], {"tooltip": "Size of the layers."}),
                "seed": SEED,
                "service": SERVICE,
            },
            "optional": {
                "mask": ("MASK",),
                "prompt": ("STRING", {"multiline": True, "default": "", "tooltip": "What the image shows."}),
                "steps": STEPS,
                "token": TOKEN,
            },
        }

    def run(
        self,
        image: torch.Tensor,
        layers: int,
        size: str,
        seed: int,
        service: str,
        mask: torch.Tensor | None = None,
        prompt: str = "",
        steps: int = 0,
        token: str = "",
    ) -> tuple[torch.Tensor, torch.Tensor, str]:
        picture = to_picture(image, mask)

        def decompose(client: Client, progress: Callable[[Progress], None]) -> Any:
            return client.decompose(
                picture,
                prompt,
                layer_num=layers,
                output_size=size,  # type: ignore[arg-type]
                seed=seed,
                num_inference_steps=steps or None,
                progress=progress,
            )

        made = on_service(service, token, decompose)
        colors, masks = to_tensors(made[1:])
        return colors, masks, "\n".join(made.names[1:])


class EditLayer:
    """One layer, edited by an instruction; its transparency stays unless `shape` is "new"."""

    CATEGORY = CATEGORY
    FUNCTION = "run"
    RETURN_TYPES = ("IMAGE", "MASK")
    RETURN_NAMES = ("layer", "mask")
    DESCRIPTION = "Edits one layer by an instruction on an llm-dit service."

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "layer": ("IMAGE",),
                "instruction": ("STRING", {"multiline": True, "default": "make it blue"}),
                "shape": (["keep", "new"], {"tooltip": "Keep the layer's transparency, or let the edit change it."}),
                "seed": SEED,
                "service": SERVICE,
            },
            "optional": {
                "mask": ("MASK",),
                "region": ("MASK", {"tooltip": "Where the layer may change: 1 may."}),
                "steps": STEPS,
                "token": TOKEN,
            },
        }

    def run(
        self,
        layer: torch.Tensor,
        instruction: str,
        shape: str,
        seed: int,
        service: str,
        mask: torch.Tensor | None = None,
        region: torch.Tensor | None = None,
        steps: int = 0,
        token: str = "",
    ) -> tuple[torch.Tensor, torch.Tensor]:
        picture = to_picture(layer, mask)
        where = None if region is None else Image.fromarray(to_bytes(region[0]))

        def edit(client: Client, progress: Callable[[Progress], None]) -> Image.Image:
            return client.edit_layer(
                picture,
                instruction,
                region=where,
                shape=shape,  # type: ignore[arg-type]
                seed=seed,
                num_inference_steps=steps or None,
                progress=progress,
            )

        return to_tensors([on_service(service, token, edit)])


def on_service(service: str, token: str, work: Callable[[Client, Callable[[Progress], None]], Any]) -> Any:
    """Have a service do work, with ComfyUI's progress bar; *Cancel* in ComfyUI cancels the job there."""
    from comfy.model_management import throw_exception_if_processing_interrupted  # type: ignore[import-not-found]
    from comfy.utils import ProgressBar  # type: ignore[import-not-found]

    bar: Any = ProgressBar(1)

    def progress(step: Progress) -> None:
        throw_exception_if_processing_interrupted()
        if step.total:
            bar.update_absolute(step.step, step.total)

    try:
        with Client(service, token=token) as client:
            return work(client, progress)
    except LLMDiTError as error:
        raise RuntimeError(error.message) from None


def to_picture(image: torch.Tensor, mask: torch.Tensor | None) -> Image.Image:
    """Return the first image of a batch as RGBA; raises `ValueError` for a mask of another size."""
    colors = Image.fromarray(to_bytes(image[0, ..., :3]))
    if mask is not None:
        alpha = Image.fromarray(255 - to_bytes(mask[0]))
        if alpha.size != colors.size:
            raise ValueError("The mask must have the size of the image.")
        colors.putalpha(alpha)
    return colors.convert("RGBA")


def to_tensors(pictures: list[Image.Image]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return RGBA pictures of one size as a batch of colors and one of masks."""
    pixels = torch.from_numpy(np.stack([np.asarray(picture, np.float32) for picture in pictures]) / 255)
    return pixels[..., :3].contiguous(), 1 - pixels[..., 3]


def to_bytes(values: torch.Tensor) -> np.ndarray:
    return (values.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8).numpy()


NODE_CLASS_MAPPINGS = {"LLMDiTDecompose": Decompose, "LLMDiTEditLayer": EditLayer}
NODE_DISPLAY_NAME_MAPPINGS = {"LLMDiTDecompose": "Decompose into layers", "LLMDiTEditLayer": "Edit layer"}
