"""Linear layers in fp8: their error, what holds them, and what runs over them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn

from llm_dit.errors import InputError
from llm_dit.pipelines.qwen_image_diffusers import QwenImageDiffusersPipeline
from llm_dit.qwen.diagnosis import diagnose
from llm_dit.qwen.forward import quantized
from llm_dit.qwen.forward.quantized import FP8, Fp8Linear, ScaledTools
from llm_dit.qwen.forward.tools import Tools, Trial, tools_for
from llm_dit.qwen.loading.checkpoints import EDIT, LAYERED, is_in_fp8, open_checkpoint
from llm_dit.qwen.loading.loader import LoadOptions, load_pipeline
from llm_dit.qwen.placement.devices import weigh
from llm_dit.qwen.placement.placing import Placement
from llm_dit.qwen.placement.plan import GB, LARGEST, Machine, Plan, Weights, plan_placement
from llm_dit.qwen.placement.swapping import tensors_of
from tests.kit.denoising import denoise_noise

CPU = torch.device("cpu")
PLANS = {
    "resident, modulation away": Plan(strategy="resident", modulation_away=True, peak=0, reason=""),
    "model": Plan(strategy="model", kept_blocks=2, peak=0, reason=""),
    "stream": Plan(strategy="stream", peak=0, reason=""),
    "sequential": Plan(strategy="sequential", text_encoder="layers", peak=0, reason=""),
}


def load(checkpoints: Path, kind: str = LAYERED, *, in_fp8: bool) -> Any:
    folder = checkpoints / ("layered" if kind == LAYERED else "edit")
    options = LoadOptions(device=CPU, dtype=torch.bfloat16, in_fp8=in_fp8)
    return load_pipeline(open_checkpoint(folder, kind), options, lambda _: None)


@pytest.fixture(scope="module")
def narrow(checkpoints: Path) -> Any:
    pipeline = load(checkpoints, in_fp8=True)
    # Its products are those of a device that has them, by the CPU.
    width = pipeline.transformer.config.attention_head_dim
    plain = tools_for(CPU, torch.bfloat16, width)
    pipeline.transformer.tools = lambda *_: with_products(plain)
    return pipeline


def with_products(plain: Tools) -> Tools:
    return Tools(
        kernels="torch",
        operations=plain.operations,
        attention=plain.attention,
        unmasked=plain.unmasked,
        scaled=ScaledTools(operations=quantized),
    )


def latents(pipeline: Any) -> torch.Tensor:
    return denoise_noise(pipeline, texts=(9, 4), rows=2, seed=1, steps=3, dtype=torch.bfloat16)


def error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found.float() - wanted.float()).norm() / wanted.float().norm())


@pytest.mark.parametrize(("outliers", "most"), [(0, 0.04), (1, 0.08), (4, 0.08)])
def test_a_layer_with_outliers_is_off_by_a_few_percent(outliers: int, most: float) -> None:
    """Numbers a hundred times as large as the others, in some columns of the input."""
    chance = torch.Generator().manual_seed(0)
    layer = nn.Linear(256, 128).requires_grad_(False)
    layer.weight.data = torch.randn(128, 256, generator=chance) / 16
    rows = torch.randn(64, 256, generator=chance)
    rows[:, :outliers] *= 100
    narrow = Fp8Linear.of(layer)
    assert 0.01 < error(narrow(quantized.quantize(rows)), layer(rows)) < most
    assert error(narrow(rows), layer(rows)) < 0.04, "the weights alone"


def test_zeros_and_large_numbers_stay_numbers() -> None:
    rows = torch.stack([torch.zeros(64), torch.full((64,), 3e38), torch.linspace(-1, 1, 64)])
    made = quantized.quantize(rows)
    assert torch.isfinite(made.rows.float()).all()
    assert torch.equal(made.wide(torch.float32)[0], rows[0])


def test_the_layers_that_keep_their_bits(checkpoints: Path) -> None:
    transformer = load(checkpoints, in_fp8=True).transformer
    block = transformer.transformer_blocks[0]
    in_fp8 = [block.image.qkv, block.text.qkv, block.image.out, block.text.out, block.image.mlp.net[0].proj]
    assert all(isinstance(layer, Fp8Linear) and layer.weight.dtype == FP8 for layer in [*in_fp8, block.text.mlp.net[2]])
    kept = [block.image.mlp.net[2], transformer.img_in, transformer.txt_in, transformer.proj_out]
    assert all(layer.weight.dtype == torch.bfloat16 for layer in kept)
    assert transformer.modulations[0].img_mod[1].weight.dtype == torch.bfloat16
    assert all(type(tensor) in (nn.Parameter, torch.Tensor) for tensor in tensors_of(transformer)), "plain ones"


@pytest.mark.parametrize("kind", [LAYERED, EDIT])
def test_an_answer_in_fp8_stays_close(checkpoints: Path, kind: str) -> None:
    exact, widened = load(checkpoints, kind, in_fp8=False), load(checkpoints, kind, in_fp8=True)
    wanted = latents(exact)
    assert 0 < error(latents(widened), wanted) < 0.1
    plain = tools_for(CPU, torch.bfloat16, exact.transformer.config.attention_head_dim)
    widened.transformer.tools = lambda *_: with_products(plain)
    assert 0 < error(latents(widened), wanted) < 0.1


@pytest.mark.parametrize("name", PLANS)
def test_a_placement_changes_no_number(narrow: Any, name: str) -> None:
    wanted = latents(narrow)
    placement = Placement([narrow], PLANS[name], CPU)
    assert torch.equal(latents(narrow), wanted)
    placement.after_run()
    placement.remove()
    assert torch.equal(latents(narrow), wanted)


def test_the_attention_gets_q_k_and_v_in_fp8(narrow: Any) -> None:
    seen: list[torch.Tensor] = []

    def attend(joint: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
        seen.append(joint)
        wide = (joint.float() * scales[:, :, None]).bfloat16()
        return plain.unmasked(*wide.unbind(2))

    plain = tools_for(CPU, torch.bfloat16, narrow.transformer.config.attention_head_dim)
    before, wanted = narrow.transformer.tools, latents(narrow)
    tools = with_products(plain)
    narrow.transformer.tools = lambda *_: Tools(
        kernels="torch",
        operations=tools.operations,
        attention="sdpa",
        unmasked=tools.unmasked,
        scaled=ScaledTools(operations=quantized, attend=attend),
    )
    assert error(latents(narrow), wanted) < 0.1
    narrow.transformer.tools = before
    assert {joint.dtype for joint in seen} == {FP8}


def test_a_pipeline_that_is_loaded_for_fast_runs_in_fp8(checkpoints: Path, picture: Image.Image) -> None:
    pipe = QwenImageDiffusersPipeline.from_pretrained(checkpoints / "layered", device="cpu", speed="fast")
    assert len(pipe.decompose(picture, "a house", layer_num=1, num_inference_steps=2, seed=1)) == 2
    told = pipe.status().forward
    assert told is not None
    assert (told.speed, told.lossy) == ("fast", ("weights in fp8",))
    assert any("widened" in reason for reason in told.why)
    with pytest.raises(InputError, match="in fp8") as refused:
        pipe.decompose(picture, "a house", speed="exact")
    assert refused.value.param == "speed"


def test_the_plan_counts_what_is_loaded(checkpoints: Path) -> None:
    for kind, folder in ((LAYERED, "layered"), (EDIT, "edit")):
        checkpoint = open_checkpoint(checkpoints / folder, kind)
        transformer = load(checkpoints, kind, in_fp8=True).transformer
        held = sum(tensor.numel() * tensor.element_size() for tensor in transformer.parameters())
        assert weigh([checkpoint], torch.bfloat16, None, fused=True, in_fp8=True).transformers == (held,)


def test_the_real_model_in_fp8_fits_24_gb() -> None:
    weights = Weights(
        transformers=(int(29.6 * GB),),
        text_encoders=(int(16.6 * GB),),
        vaes=int(0.17 * GB),
        modulations=(int(13.6 * GB),),
    )
    machine = Machine(device="cuda", free_device=24 * GB, free_host=128 * GB)
    plan = plan_placement("auto", machine, weights)
    assert plan.strategy == "model"
    assert plan.peak <= 22 * GB, LARGEST


def test_which_weights_are_in_fp8() -> None:
    block = "transformer_blocks.7"
    yes = ["attn.to_q", "attn.add_k_proj", "attn.to_out.0", "attn.to_add_out", "img_mlp.net.0.proj", "txt_mlp.net.2"]
    no = ["img_mlp.net.2", "img_mod.1", "txt_mod.1", "attn.norm_q"]
    assert all(is_in_fp8(f"{block}.{name}.weight") for name in yes)
    assert not any(is_in_fp8(f"{block}.{name}.weight") for name in no)
    assert not is_in_fp8(f"{block}.attn.to_q.bias")
    assert not is_in_fp8("proj_out.weight")


def test_the_doctor_tells_what_fast_is_here(checkpoints: Path) -> None:
    found = {each.name: each.value for each in diagnose(str(checkpoints / "layered"), device="cpu", speed="fast")}
    assert found["speed"] == "fast, weights in fp8, 25 of 50 steps computed"


def test_operations_in_fp8_are_tried() -> None:
    trial = Trial(CPU, torch.bfloat16, 16)
    assert trial.of_scaled("torch", lambda: quantized) == (quantized, "")
    plain = tools_for(CPU, torch.bfloat16, 16)

    def widened(joint: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
        return plain.unmasked(*(joint.float() * scales[:, :, None]).bfloat16().unbind(2))

    assert trial.of_scaled_attention("widened", lambda: widened) == (widened, "")
    assert trial.of_scaled_attention("unscaled", lambda: lambda joint, _: joint[:, :, 2].bfloat16())[0] is None
