"""`python -m tests.qwen.prove_kernels interpret|compile`: Triton's kernels on a CPU, where no GPU is.

`interpret` (with TRITON_INTERPRET=1) compares them with torch's operations, both in bfloat16, by their distance from
the same in float32. `compile` (with TRITON_INTERPRET=0) compiles them for the GPUs they are meant for.
"""

# Triton is no requirement of the tests, and has no types.
# pyright: reportMissingImports=false, reportFunctionMemberAccess=false, reportArgumentType=false
import copy
import sys
from typing import Any

import numpy as np
import torch
import triton
import triton.language as tl
from diffusers.models.normalization import RMSNorm

from llm_dit.qwen.forward import kernels, operations, quantized
from llm_dit.qwen.forward.operations import Half, Layout, Operations, Owed, Rows
from llm_dit.qwen.forward.quantized import ScaledOperations
from llm_dit.qwen.forward.tools import Trial

# Heads, a head's width, rows of text and of image.
SHAPES = [(2, 16, 9, 24), (3, 32, 1, 7), (24, 128, 17, 33), (5, 128, 130, 1), (9, 64, 5, 18)]
CAPABILITIES = (80, 90, 100)
ROUNDED = {tl.bfloat16: (torch.bfloat16, torch.uint16), tl.float8e4nv: (quantized.FP8, torch.uint8)}
NARROW = 89
"""The least capability that has fp8."""
STEP = 0.02
"""How far two ways to fp8 may be apart, as a part of the whole: where one rounds up and the other down."""


def round_as_a_gpu_does() -> None:
    """Mend Triton's interpreter, which cuts bfloat16 and fp8 off where a GPU rounds to the nearest."""
    from triton.runtime import interpreter

    cut_off = interpreter._convert_float

    def convert(numbers: Any, source: Any, target: Any, mode: Any) -> Any:
        if source != tl.float32 or target not in ROUNDED:
            return cut_off(numbers, source, target, mode)
        kind, bits = ROUNDED[target]
        return torch.from_numpy(np.array(numbers)).to(kind).view(bits).numpy().reshape(numbers.shape)

    interpreter._convert_float = convert


class Case:
    """Random rows in bfloat16, which operations of any type can be run on."""

    def __init__(self, shape: tuple[int, int, int, int], indexed: bool, owed: bool) -> None:
        heads, width, self.text, image = shape
        full = heads * width
        self.rows, self.half = _draw(1, self.text + image, full) * 3, _half(indexed, full)
        self.owed = Owed(_draw(1, self.text, full), _draw(1, image, full), _half(indexed, full), True) if owed else None
        angles = torch.randn(self.text + image, width // 2)
        self.rope = torch.polar(torch.ones_like(angles), angles)
        self.index = (torch.arange(image) >= image // 2).int()[None] if indexed else None
        self.joint = _draw(1, self.text + image, 3, heads, width)
        self.norms: Any = [[RMSNorm(width, 1e-6) for _ in range(2)] for _ in range(2)]
        for norm in (*self.norms[0], *self.norms[1]):
            norm.weight.data = _draw(width)

    @torch.no_grad()
    def run(self, tool: Operations, dtype: torch.dtype) -> list[torch.Tensor]:
        owed = self.owed
        if owed is not None:
            owed = Owed(owed.text.to(dtype), owed.image.to(dtype), Half(*(each.to(dtype) for each in owed.half)), True)
        rows = self.rows.to(dtype, copy=True)
        layout = Layout(text=self.text, rope=self.rope, index=self.index)
        branch = Rows(rows=rows, layout=layout, owed=owed)
        normed = tool.norm(branch, Half(*(each.to(dtype) for each in self.half)), 1e-6)
        joint = self.joint.to(dtype, copy=True)
        norms = copy.deepcopy(self.norms)
        for norm in (*norms[0], *norms[1]):
            norm.to(dtype)
        tool.turn(joint, branch, *norms)
        assert branch.owed is None
        return [branch.rows, normed, joint[:, :, :2], joint[:, :, 2]]

    @torch.no_grad()
    def run_scaled(self, tool: ScaledOperations) -> list[torch.Tensor]:
        """Return what the operations in fp8 give, widened."""
        layout = Layout(text=self.text, rope=self.rope, index=self.index)
        branch = Rows(rows=self.rows.clone(), layout=layout, owed=self.owed)
        normed = tool.norm(branch, self.half, 1e-6)
        bounds = quantized.bounds_of(*self.norms)
        norms = [[copy.deepcopy(norm).bfloat16() for norm in pair] for pair in self.norms]
        turned, scales = tool.turn(self.joint.clone(), branch, norms[0], norms[1], bounds)
        flat = self.joint[0].flatten(1)[:, : self.rows.shape[-1]]  # which is strided
        made = [normed, *(tool.quantize(flat, gelu=gelu) for gelu in (False, True))]
        return [branch.rows, turned.float() * scales[:, :, None], *(each.wide(torch.float32) for each in made)]


def interpret() -> None:
    round_as_a_gpu_does()
    torch.manual_seed(0)
    for shape in SHAPES:
        for indexed in (False, True):
            for owed in (False, True):
                case = Case(shape, indexed, owed)
                exact = case.run(operations, torch.float32)
                plain, ours = case.run(operations, torch.bfloat16), case.run(kernels, torch.bfloat16)
                for wanted, theirs, found in zip(exact, plain, ours, strict=True):
                    assert _error(found, wanted) <= _error(theirs, wanted), (shape, indexed, owed)
                for theirs, found in zip(case.run_scaled(quantized), case.run_scaled(kernels.scaled), strict=True):
                    assert _error(found, theirs.float()) <= STEP * float(theirs.float().norm()), (shape, indexed, owed)
    trial = Trial(torch.device("cpu"), torch.bfloat16, 128)
    assert trial.of_operations("triton", lambda: kernels) == (kernels, "")
    assert trial.of_scaled("triton", lambda: kernels.scaled) == (kernels.scaled, "")


def compile_all() -> None:
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    bf16, int32 = "*bf16", "i32"
    norm = dict.fromkeys(kernels._norm.arg_names[:8], bf16)
    norm |= {
        "index": "*i32",
        "scales": "*fp32",
        "text": int32,
        "width": int32,
        "gate_stride": int32,
        "half_stride": int32,
        "eps": "fp32",
    }
    turn = {"joint": bf16, "out": bf16, "scales": "*fp32", "rope": "*fp32"}
    turn |= dict.fromkeys(kernels._turn.arg_names[4:8], bf16) | {"text": int32, "heads": int32, "eps": "fp32"}
    sizes = {"WIDTH": 128, "HEADS": kernels.HEADS}
    sources = [
        (kernels._norm, norm, {"OWED": owed, "INDEXED": indexed, "SCALED": False, "BLOCK": 4096})
        for owed in (False, True)
        for indexed in (False, True)
    ]
    sources.append((kernels._turn, turn, {"SCALED": False, **sizes}))
    narrow = "*fp8e4nv"
    quantize = {"rows": bf16, "made": narrow, "scales": "*fp32", "stride": int32, "width": int32}
    largest = {"joint": bf16, "found": "*fp32", "rows": int32, "heads": int32}
    in_fp8 = [
        (kernels._norm, norm | {"normed": narrow}, {"OWED": True, "INDEXED": True, "SCALED": True, "BLOCK": 4096}),
        (kernels._turn, turn | {"out": narrow}, {"SCALED": True, **sizes}),
        *((kernels._quantize, quantize, {"GELU": gelu, "BLOCK": 4096}) for gelu in (False, True)),
        (kernels._largest, largest, {"WIDTH": 128, "ROWS": kernels.LOOKED_AT}),
    ]
    for capability in CAPABILITIES:
        for kernel, signature, constants in sources + (in_fp8 if capability >= NARROW else []):
            source = ASTSource(kernel, signature | dict.fromkeys(constants, "constexpr"), constants)
            made = triton.compile(source, target=GPUTarget("cuda", capability, 32))
            assert made.asm["cubin"]


def _draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape).bfloat16()


def _half(indexed: bool, full: int) -> Half:
    return Half(image=_draw(1 + indexed, 6 * full)[:, 3 * full :], text=_draw(1, 6 * full)[:, : 3 * full])


def _error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found.float() - wanted).norm())


if __name__ == "__main__":
    {"interpret": interpret, "compile": compile_all}[sys.argv[1]]()
    sys.stdout.write("proven\n")
