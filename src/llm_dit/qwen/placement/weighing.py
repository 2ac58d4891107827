"""How much memory the parts of checkpoints take once they are loaded, read from their headers."""

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import torch

from llm_dit.qwen.forward.modulation import is_modulation
from llm_dit.qwen.loading.checkpoints import Checkpoint
from llm_dit.qwen.loading.quantization import BYTES_PER_WEIGHT, Quantization
from llm_dit.qwen.placement.plan import FUSED, USUAL_FUSED, Weights

OVER_TIME = "time_conv"
"""What halves or doubles a VAE's number of frames; the first frame passes it by."""


def weigh(
    checkpoints: Sequence[Checkpoint],
    dtype: torch.dtype,
    quantization: Quantization | None,
    *,
    fused: bool,
    encoders: int | None = None,
) -> Weights:
    """Return what a plan has to place; `encoders` is how many text encoders there are, by default one each."""
    each = BYTES_PER_WEIGHT[quantization] if quantization else dtype.itemsize

    def sizes(component: str) -> tuple[int, ...]:
        return tuple(int(checkpoint.parameters(component) * each) for checkpoint in checkpoints)

    weights = Weights(
        transformers=sizes("transformer"),
        text_encoders=sizes("text_encoder")[:encoders],
        vaes=sum(checkpoint.parameters("vae") for checkpoint in checkpoints) * dtype.itemsize,
        blocks=checkpoints[0].transformer_blocks,
    )
    if not fused:
        return weights
    # Quantized weights are moved by accelerate, the modulation with the rest of the transformer.
    apart = tuple(modulation_parameters(each) * dtype.itemsize for each in checkpoints) if quantization is None else ()
    return replace(
        weights,
        modulations=apart,
        working=FUSED,
        usual=USUAL_FUSED,
        vaes=sum(folded_parameters(checkpoint.shapes("vae")) for checkpoint in checkpoints) * dtype.itemsize,
    )


def describe_forward(quantization: Quantization | None, *, fused: bool) -> str:
    """Return what runs a model, and why not more of what is ours."""
    if not fused:
        return "plain diffusers, for fused = false"
    ours = "our own denoising loop and blocks, captions over a static cache, the VAE for one frame"
    if quantization is None:
        return f"{ours}; Q, K and V joined, modulation once a schedule and apart"
    return f"{ours}; Q, K and V not joined and modulation not apart: quantized weights move whole"


def modulation_parameters(checkpoint: Checkpoint) -> int:
    """Return how many numbers the transformer's modulation has."""
    shapes = checkpoint.shapes("transformer").items()
    return sum(prod(shape) for name, shape in shapes if is_modulation(name))


def folded_parameters(shapes: dict[str, list[int]]) -> int:
    """Return how many numbers `SingleFrameVae` keeps of weights with these names and shapes."""
    return sum(
        prod(shape) // shape[2] if len(shape) == 5 else prod(shape)
        for name, shape in shapes.items()
        if OVER_TIME not in name.split(".")
    )
