"""What the blocks are computed with: the fastest that is there, and torch's own operations where it fails."""

import contextlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from llm_dit.qwen.forward import operations
from llm_dit.qwen.forward.tools import ATTENTIONS, Tools, Trial, sdpa, tools_for
from tests.kit.service import ROOT

CPU = torch.device("cpu")
NO_TRITON = "triton is not installed: 200 MB as a wheel, so no test requirement; torch for CUDA brings it"


def but(**changed: Any) -> Any:
    """Return torch's operations, but for those that are given."""
    return SimpleNamespace(
        **{name: getattr(operations, name) for name in ("norm", "project", "turn", "think")} | changed
    )


def forget_what_is_owed(branch: Any, half: Any, eps: float) -> torch.Tensor:
    branch.owed = None
    return operations.norm(branch, half, eps)


CROOKED = {
    "owed": but(norm=forget_what_is_owed),
    "unturned": but(turn=lambda *_: None),
    "unbiased": but(project=lambda rows, weight, _, out: torch.mm(rows, weight.t(), out=out)),
    "no GELU": but(think=lambda rows, mlp: mlp.net[2](mlp.net[0].proj(rows))),
}


def missing() -> Any:
    raise ImportError("a path of this computer")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_a_tool_that_agrees_is_taken(dtype: torch.dtype) -> None:
    trial = Trial(CPU, dtype, 16)
    assert trial.of_operations("torch", lambda: operations) == (operations, "")
    assert trial.of_attention("sdpa", lambda: sdpa) == (sdpa, "")


@pytest.mark.parametrize("name", CROOKED)
def test_operations_that_differ_are_not_taken(name: str, caplog: pytest.LogCaptureFixture) -> None:
    found, why = Trial(CPU, torch.bfloat16, 16).of_operations("crooked", lambda: CROOKED[name])
    assert found is None
    assert "not those of torch" in why
    assert "crooked cannot be used" in caplog.text


@pytest.mark.parametrize(
    "attend",
    [lambda query, key, value: value, lambda query, key, value: sdpa(query, key, value) * float("nan")],
)
def test_an_attention_that_differs_is_not_taken(attend: Callable[..., torch.Tensor]) -> None:
    assert Trial(CPU, torch.bfloat16, 16).of_attention("crooked", lambda: attend)[0] is None


def test_a_tool_that_raises_is_named_and_its_words_are_for_the_log(caplog: pytest.LogCaptureFixture) -> None:
    trial = Trial(CPU, torch.bfloat16, 16)
    assert trial.of_operations("triton", missing) == (None, "its trial ended in a ImportError")
    assert trial.of_attention("cudnn", missing) == (None, "its trial ended in a ImportError")
    assert "a path of this computer" in caplog.text


def test_a_cpu_has_torchs_own_and_says_why() -> None:
    told = tools_for(CPU, torch.float32, 128).describe()
    assert str(told) == "fused blocks, torch kernels, sdpa attention"
    assert told.why == ("triton, flash-attn-4, cudnn: they need an NVIDIA GPU",)


def test_threads_leave_torchs_choice_of_attention_as_it_was() -> None:
    """cuDNN is chosen by a setting of the process; two devices are launched from two threads."""
    flags = (torch.backends.cuda.flash_sdp_enabled, torch.backends.cuda.math_sdp_enabled)
    attend, rows = ATTENTIONS["cudnn"](), torch.randn(1, 4, 1, 8)

    def use(_: int) -> None:
        for _ in range(100):
            with contextlib.suppress(RuntimeError):  # a processor has no cuDNN
                attend(rows, rows, rows)

    before = [flag() for flag in flags]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(use, range(4)))
    assert [flag() for flag in flags] == before


def test_a_mask_is_given_to_sdpa_by_name() -> None:
    """Of an attention that takes none."""
    tools = Tools(kernels="torch", operations=operations, attention="cudnn", unmasked=lambda *_: torch.empty(0))
    query, key, value = torch.randn(3, 1, 7, 2, 16)
    mask = (torch.arange(7) < 5)[None, None, None]
    assert torch.equal(tools.attend(query, key, value, mask), sdpa(query, key, value, mask))
    told = tools.describe(masked=True)
    assert (told.attention, told.why) == ("sdpa", ("cudnn: it takes no mask, and a text has one",))
    assert tools.describe().attention == "cudnn"


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason=NO_TRITON)
@pytest.mark.parametrize("what", ["interpret", "compile"])
def test_the_kernels_are_as_exact_as_torchs_operations(what: str) -> None:
    """In a process of its own: Triton decides when it is imported whether it interprets."""
    environment = os.environ | {"TRITON_INTERPRET": str(int(what == "interpret"))}
    command = [sys.executable, "-m", "tests.qwen.prove_kernels", what]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    assert "proven" in done.stdout
