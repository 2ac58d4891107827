"""Tiny, randomly initialised checkpoints in the real on-disk layout; what they draw is noise.

z_dim stays 16 as in the real VAE (with 4 the layered pipeline takes an RGBA picture for latents), and the vocabulary
is bytes, so that a prompt is longer than the template tokens that the pipelines cut off. The VAE halves the size once
more than the real one, for a quarter of the tokens: the pipelines render at 640² at least. The schedule is that of the
published models.
"""

# pyright: reportCallIssue=false, reportPrivateImportUsage=false

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLQwenImage,
    AutoencoderKLQwenImage21,
    FlowMatchEulerDiscreteScheduler,
    QwenImage21Transformer2DModel,
    QwenImageTransformer2DModel,
)
from safetensors.torch import load_file, save_file
from tokenizers import pre_tokenizers
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
    Qwen2VLImageProcessorPil,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

from llm_dit.qwen.loading.checkpoints import EDIT, LAYERED

SPECIAL_TOKENS = [
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
]
Z_DIM = 16


def write_checkpoint(
    folder: Path, pipeline: str, *, encoder_seed: int = 0, zero_cond_t: bool = False, head: int = 16
) -> Path:
    """Write the checkpoint of a pipeline class; text encoders of the same seed are the same."""
    layered = pipeline == LAYERED
    tokenizer = make_tokenizer()
    make_text_encoder(tokenizer, encoder_seed).save_pretrained(folder / "text_encoder")
    make_transformer(layered, zero_cond_t=zero_cond_t, head=head).save_pretrained(folder / "transformer")
    make_vae(layered).save_pretrained(folder / "vae")
    make_scheduler().save_pretrained(folder / "scheduler")
    tokenizer.save_pretrained(folder / "tokenizer")
    tokenizer.save_pretrained(folder / "processor")
    # The real pictures go through at up to 16 million pixels; on a CPU a few hundred tokens must do.
    Qwen2VLImageProcessorPil(min_pixels=28 * 28, max_pixels=28 * 28 * 16).save_pretrained(folder / "processor")
    (folder / "model_index.json").write_text(json.dumps(model_index(pipeline), indent=2))
    return folder


def write_checkpoints(folder: Path) -> Path:
    """Write `layered` and `edit`, whose text encoders are the same, as those of the real models are."""
    write_checkpoint(folder / "layered", LAYERED)
    write_checkpoint(folder / "edit", EDIT)
    return folder


def model_index(pipeline: str) -> dict[str, object]:
    return {
        "_class_name": pipeline,
        "_diffusers_version": "0.36.0.dev0",
        "processor": ["transformers", "Qwen2VLProcessor"],
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "text_encoder": ["transformers", "Qwen2_5_VLForConditionalGeneration"],
        "tokenizer": ["transformers", "Qwen2Tokenizer"],
        "transformer": ["diffusers", "QwenImageTransformer2DModel"],
        "vae": ["diffusers", "AutoencoderKLQwenImage"],
    }


def make_tokenizer() -> Qwen2Tokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Qwen2Tokenizer(vocab={char: i for i, char in enumerate(alphabet)}, merges=[])
    tokenizer.add_special_tokens({"additional_special_tokens": SPECIAL_TOKENS})
    return tokenizer


def make_text_encoder(tokenizer: Qwen2Tokenizer, seed: int) -> Qwen2_5_VLForConditionalGeneration:
    torch.manual_seed(seed)
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS}
    vocab_size = len(tokenizer) + 8
    config = Qwen2_5_VLConfig(
        text_config={
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "rope_parameters": {"mrope_section": [1, 1, 2], "rope_type": "default", "rope_theta": 1000000.0},
            "vocab_size": vocab_size,
            "max_position_embeddings": 4096,
            "bos_token_id": ids["<|im_start|>"],
            "eos_token_id": ids["<|im_end|>"],
            "pad_token_id": ids["<|im_end|>"],
        },
        vision_config={"depth": 2, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16},
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        vision_token_id=ids["<|vision_pad|>"],
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        hidden_size=16,
        vocab_size=vocab_size,
    )
    return Qwen2_5_VLForConditionalGeneration(config).eval()


def make_scheduler() -> FlowMatchEulerDiscreteScheduler:
    """As the published checkpoints have it: the steps depend on the size, and the last begins at σ = 0.02."""
    return FlowMatchEulerDiscreteScheduler(
        base_image_seq_len=256,
        max_image_seq_len=8192,
        base_shift=0.5,
        max_shift=0.9,
        shift=1.0,
        shift_terminal=0.02,
        time_shift_type="exponential",
        use_dynamic_shifting=True,
    )


def make_transformer(
    layered: bool, *, blocks: int = 2, zero_cond_t: bool = False, head: int = 16
) -> QwenImageTransformer2DModel:
    """Two heads of 16 numbers, or of 128; the layered model has the rope of layers, the edit model that of pictures.

    `zero_cond_t` is what Qwen-Image-Edit-2511 has and 2509 has not: the condition is shown as without noise.
    """
    torch.manual_seed(1)
    return QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=4 * Z_DIM,
        out_channels=Z_DIM,
        num_layers=blocks,
        attention_head_dim=head,
        num_attention_heads=2,
        joint_attention_dim=16,
        axes_dims_rope=(4, 6, 6) if head == 16 else (16, 56, 56),
        zero_cond_t=zero_cond_t,
        use_additional_t_cond=layered,
        use_layer3d_rope=layered,
    )


def make_vae(layered: bool) -> AutoencoderKLQwenImage:
    torch.manual_seed(2)
    return AutoencoderKLQwenImage(
        base_dim=2,
        z_dim=Z_DIM,
        dim_mult=[1, 1, 1, 2, 4],
        num_res_blocks=1,
        temperal_downsample=[False, True, True, True],
        latents_mean=[0.0] * Z_DIM,
        latents_std=[1.0] * Z_DIM,
        input_channels=4 if layered else 3,
    )


# LoRAs for them.

TRANSFORMER = "transformer/diffusion_pytorch_model.safetensors"
RANK = 3


def layers_of(folder: Path) -> dict[str, tuple[int, int]]:
    """The linear layers of a checkpoint's transformer, and their sizes (out, in)."""
    weights = load_file(folder / TRANSFORMER)
    return {
        name.removesuffix(".weight"): (weight.shape[0], weight.shape[1])
        for name, weight in weights.items()
        if weight.ndim == 2 and not name.endswith("embedding.weight")
    }


def factors_of(layers: Mapping[str, tuple[int, int]], seed: int = 0) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Factors for each layer, large enough to be seen."""
    draw = torch.Generator().manual_seed(seed)
    return {
        name: (torch.randn(RANK, inside, generator=draw) * 0.2, torch.randn(out, RANK, generator=draw) * 0.2)
        for name, (out, inside) in layers.items()
    }


def write_lora(file: Path, checkpoint: Path) -> Path:
    """Write a LoRA for every linear layer of a checkpoint, in diffusers' form."""
    tensors: dict[str, torch.Tensor] = {}
    for layer, (down, up) in factors_of(layers_of(checkpoint)).items():
        tensors |= {f"transformer.{layer}.lora_A.weight": down, f"transformer.{layer}.lora_B.weight": up}
    save_file(tensors, file)
    return file


# Qwen-Image-2.1: another transformer, another text encoder and another VAE.

Z_DIM_21 = 8
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% for part in message.content %}{{ part.text }}{% endfor %}<|im_end|>\n{% endfor %}"
)


def write_checkpoint_21(folder: Path) -> Path:
    """Write a checkpoint of `QwenImage21Pipeline`; its VAE has 8 channels, so that its noise is quick to make."""
    tokenizer = make_tokenizer()
    tokenizer.chat_template = CHAT_TEMPLATE
    make_text_encoder_21(tokenizer).save_pretrained(folder / "text_encoder")
    make_transformer_21().save_pretrained(folder / "transformer")
    make_vae_21().save_pretrained(folder / "vae")
    make_scheduler().save_pretrained(folder / "scheduler")
    tokenizer.save_pretrained(folder / "processor")
    # As that of Qwen3-VL: a slot stands for 32 × 32 pixels, and no picture is made smaller.
    images = Qwen2VLImageProcessorPil(patch_size=16, merge_size=2, min_pixels=32 * 32, max_pixels=4096 * 4096)
    images.save_pretrained(folder / "processor")
    index = {
        "_class_name": "QwenImage21Pipeline",
        "_diffusers_version": "0.42.0.dev0",
        "processor": ["transformers", "Qwen3VLProcessor"],
        "sample_sigmas": [1.0, 0.9, 0.8, 0.6, 0.3],
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "text_encoder": ["transformers", "Qwen3VLForConditionalGeneration"],
        "transformer": ["diffusers", "QwenImage21Transformer2DModel"],
        "vae": ["diffusers", "AutoencoderKLQwenImage21"],
    }
    (folder / "model_index.json").write_text(json.dumps(index, indent=2))
    return folder


def make_text_encoder_21(tokenizer: Qwen2Tokenizer) -> Qwen3VLForConditionalGeneration:
    torch.manual_seed(0)
    ids: dict[str, Any] = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS}
    config = Qwen3VLConfig(
        text_config={
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "rope_parameters": {"mrope_section": [2, 1, 1], "rope_type": "default", "rope_theta": 1000000.0},
            "vocab_size": len(tokenizer) + 8,
            "max_position_embeddings": 16384,
        },
        vision_config={
            "depth": 2,
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_heads": 2,
            "out_hidden_size": 16,
            "deepstack_visual_indexes": [0],
        },
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
    )
    return Qwen3VLForConditionalGeneration(config).eval()


def make_transformer_21(*, blocks: int = 2) -> QwenImage21Transformer2DModel:
    torch.manual_seed(1)
    return QwenImage21Transformer2DModel(
        in_channels=Z_DIM_21,
        out_channels=Z_DIM_21,
        num_layers=blocks,
        attention_head_dim=16,
        num_attention_heads=2,
        context_in_dim=16,
        axes_dims_rope=(4, 6, 6),
    )


def make_vae_21() -> AutoencoderKLQwenImage21:
    torch.manual_seed(2)
    return AutoencoderKLQwenImage21(
        base_dim=2,
        decoder_base_dim=2,
        z_dim=Z_DIM_21,
        dim_mult=[1, 1, 1, 2, 2],
        num_res_blocks=1,
        latents_mean=[0.1] * Z_DIM_21,
        latents_std=[2.0] * Z_DIM_21,
    )
