"""Both methods load through the real libraries, shrink the weights and still draw something close."""

from pathlib import Path
from typing import Any

import pytest
import torch

from llm_dit.errors import DeviceError, InputError
from llm_dit.qwen.forward.transformer import Branch
from llm_dit.qwen.loading.checkpoints import LAYERED, open_checkpoint
from llm_dit.qwen.loading.loader import LoadOptions, _Loader, load_pipeline
from llm_dit.qwen.placement.devices import Quantization, check_quantization, quantization_configs

CPU = torch.device("cpu")


def load(checkpoints: Path, quantization: Quantization | None) -> Any:
    options = LoadOptions(device=CPU, dtype=torch.bfloat16, quantization=quantization)
    return load_pipeline(open_checkpoint(checkpoints / "layered", LAYERED), options, lambda _: None)


def predict(pipeline: Any) -> torch.Tensor:
    with torch.no_grad():
        embeds, mask = pipeline.encode_prompt("a house")
        (answer,) = pipeline.transformer(
            torch.linspace(-1, 1, 16 * 64, dtype=torch.bfloat16).reshape(1, 16, 64),
            branches=[Branch(embeds=embeds, mask=mask)],
            schedule=torch.tensor([0.5], dtype=torch.bfloat16),
            step=0,
            shapes=[[(1, 4, 4)]],
        )
        return answer.float()


def test_fp8_weights_are_fp8_and_the_answer_stays_close(checkpoints: Path) -> None:
    pipeline = load(checkpoints, "fp8")
    assert kind(pipeline.transformer.transformer_blocks[0].image.qkv.query) == "Float8Tensor"
    assert kind(pipeline.text_encoder.model.language_model.layers[0].mlp.up_proj) == "Float8Tensor"
    assert kind(pipeline.transformer.proj_out) == "Parameter", "the ends keep their bits"
    expected, got = predict(load(checkpoints, None)), predict(pipeline)
    assert (got - expected).norm() < 0.1 * expected.norm()


def test_nf4_weights_are_nf4(checkpoints: Path) -> None:
    """Of the text encoder: diffusers quantizes its transformer on a GPU only."""
    options = LoadOptions(device=CPU, dtype=torch.bfloat16, quantization="nf4")
    encoder = _Loader(open_checkpoint(checkpoints / "layered", LAYERED), options).text_encoder()
    assert kind(encoder.model.language_model.layers[0].mlp.up_proj) == "Params4bit"
    assert kind(encoder.lm_head) == "Parameter"
    transformer = quantization_configs("nf4", torch.bfloat16).transformer
    assert (transformer.bnb_4bit_quant_type, transformer.bnb_4bit_compute_dtype) == ("nf4", torch.bfloat16)


def test_what_cannot_be_had_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        check_quantization("int3", CPU)
    assert caught.value.param == "quantization"
    with pytest.raises(DeviceError, match="CUDA"):
        check_quantization("nf4", CPU)


def kind(module: Any) -> str:
    return type(module.weight).__name__
