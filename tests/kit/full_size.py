"""The parts of the Qwen models at their real width, with random weights."""

from typing import Any

# diffusers exports its names lazily, which pyright cannot see.
# pyright: reportPrivateImportUsage=false
from diffusers import (
    AutoencoderKLQwenImage,
    AutoencoderKLQwenImage21,
    QwenImage21Transformer2DModel,
    QwenImageTransformer2DModel,
)
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

from tests.kit.checkpoints import SPECIAL_TOKENS


def full_transformer(*, blocks: int = 60, layered: bool = True) -> Any:
    """20.4 B parameters: 60 blocks, 24 heads of 128, as in the checkpoint's config."""
    return QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=64,
        out_channels=16,
        num_layers=blocks,
        attention_head_dim=128,
        num_attention_heads=24,
        joint_attention_dim=3584,
        axes_dims_rope=(16, 56, 56),
        use_additional_t_cond=layered,
        use_layer3d_rope=layered,
    )


def full_vae(*, layered: bool = True) -> Any:
    return AutoencoderKLQwenImage(
        base_dim=96,
        z_dim=16,
        dim_mult=[1, 2, 4, 4],
        num_res_blocks=2,
        temperal_downsample=[False, True, True],
        latents_mean=[0.0] * 16,
        latents_std=[1.0] * 16,
        input_channels=4 if layered else 3,
    )


def full_text_encoder(tokenizer: Any) -> Any:
    """8.3 B parameters: Qwen2.5-VL-7B."""
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS}
    config = Qwen2_5_VLConfig(
        text_config={
            "hidden_size": 3584,
            "intermediate_size": 18944,
            "num_hidden_layers": 28,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "rope_parameters": {"mrope_section": [16, 24, 24], "rope_type": "default", "rope_theta": 1000000.0},
            "vocab_size": 152064,
            "max_position_embeddings": 128000,
        },
        vision_config={
            "depth": 32,
            "hidden_size": 1280,
            "intermediate_size": 3420,
            "num_heads": 16,
            "out_hidden_size": 3584,
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        tie_word_embeddings=False,
    )
    return Qwen2_5_VLForConditionalGeneration(config)


def full_transformer_21() -> Any:
    """7.1 B parameters: the defaults of diffusers' class are the published model's."""
    return QwenImage21Transformer2DModel()


def full_vae_21() -> Any:
    return AutoencoderKLQwenImage21()


def full_text_encoder_21(tokenizer: Any) -> Any:
    """8.8 B parameters: Qwen3-VL-8B."""
    ids: dict[str, Any] = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS}
    config = Qwen3VLConfig(
        text_config={
            "hidden_size": 4096,
            "intermediate_size": 12288,
            "num_hidden_layers": 36,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "rope_parameters": {"mrope_section": [24, 20, 20], "rope_type": "default", "rope_theta": 5000000.0},
            "vocab_size": 151936,
            "max_position_embeddings": 262144,
        },
        vision_config={
            "depth": 27,
            "hidden_size": 1152,
            "intermediate_size": 4304,
            "num_heads": 16,
            "out_hidden_size": 4096,
            "deepstack_visual_indexes": [8, 16, 24],
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=False,
    )
    return Qwen3VLForConditionalGeneration(config)
