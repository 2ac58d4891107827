"""Our block computes what diffusers' does, to the bit."""

import copy
from typing import Any

import pytest
import torch
from diffusers.models.transformers.transformer_qwenimage import QwenImageTransformerBlock
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_dit.qwen.forward.operations import Layout, Rows
from llm_dit.qwen.forward.tools import tools_for
from llm_dit.qwen.forward.transformer import Block, Modulation


def compare(
    *,
    heads: int = 2,
    head_dim: int = 16,
    text: int = 9,
    image: int = 24,
    dtype: torch.dtype = torch.float32,
    zero_cond_t: bool = False,
    masked: bool = False,
    seed: int = 0,
) -> None:
    torch.manual_seed(seed)
    width = heads * head_dim
    with torch.device("meta"):  # what a block draws for its weights by itself is not used
        theirs: Any = QwenImageTransformerBlock(width, heads, head_dim, zero_cond_t=zero_cond_t).eval().to(dtype)
    theirs.to_empty(device="cpu")
    for parameter in theirs.parameters():
        parameter.data.normal_(std=parameter.shape[-1] ** -0.5)
    plain = copy.deepcopy(theirs)
    modulation, ours = Modulation(theirs), Block(theirs)
    draw = lambda *size: torch.randn(*size).to(dtype)  # noqa: E731
    turn = lambda count: torch.polar(torch.ones(count, head_dim // 2), torch.randn(count, head_dim // 2))  # noqa: E731
    text_rows, image_rows = draw(1, text, width), draw(1, image, width)
    temb = draw(1 + zero_cond_t, width)
    of_text, of_image = turn(text), turn(image)
    index = (torch.arange(image) >= image // 2).int()[None] if zero_cond_t else None
    mask = (torch.arange(text) < text - 2)[None] if masked else None
    with torch.no_grad():
        wanted_text, wanted_image = plain(image_rows, text_rows, mask, temb, (of_image, of_text), modulate_index=index)
        joint = None if mask is None else torch.cat([mask, mask.new_ones(1, image)], dim=1)[:, None, None]
        rows = torch.cat([text_rows, image_rows], dim=1)
        layout = Layout(text=text, rope=torch.cat([of_text, of_image]), mask=joint, index=index)
        branch = Rows(rows=rows, layout=layout)
        (row,) = modulation([temb], zero_cond_t)
        ours(branch, row, tools_for(rows.device, dtype, head_dim))
        branch.settle()
    assert torch.equal(branch.rows[:, :text], wanted_text)
    assert torch.equal(branch.rows[:, text:], wanted_image)


@settings(max_examples=40)
@given(
    heads=st.integers(1, 4),
    head_dim=st.sampled_from([16, 32, 128]),  # at a width of 8 the CPU's library sums joined products otherwise
    text=st.integers(3, 300),
    image=st.integers(2, 200),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float16]),
    zero_cond_t=st.booleans(),
    masked=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_our_block_is_diffusers_block(**case: Any) -> None:
    compare(**case)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_our_block_is_diffusers_block_at_half_the_real_width(dtype: torch.dtype) -> None:
    compare(heads=12, head_dim=128, text=40, image=100, dtype=dtype)
