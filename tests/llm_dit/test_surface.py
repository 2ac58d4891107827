"""The names that `llm_dit` itself has are those of its modules, and asking for one loads no engine but its own."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import llm_dit
from llm_dit.errors import LLMDiTError
from llm_dit.pipelines.classical import ClassicalPipeline

QWEN = "QwenImageDiffusersPipeline"
"""Brings torch; `tests/qwen` takes it from here."""


def test_every_name_is_there_and_is_that_of_its_module() -> None:
    assert sorted(llm_dit._HOMES) == sorted(llm_dit.__all__)
    assert llm_dit.ClassicalPipeline is ClassicalPipeline
    assert llm_dit.LLMDiTError is LLMDiTError
    for name in set(llm_dit.__all__) - {QWEN}:
        assert getattr(llm_dit, name).__name__ == name
    assert set(llm_dit.__all__) < set(dir(llm_dit))


def test_the_version_is_that_of_the_package_and_its_types_are_for_others() -> None:
    assert llm_dit.__version__ == version("llm-dit")
    assert (Path(llm_dit.__file__).parent / "py.typed").exists()


def test_another_name_is_not_there() -> None:
    with pytest.raises(AttributeError, match="'nothing'"):
        _ = llm_dit.nothing


def test_the_names_cost_nothing_until_they_are_used() -> None:
    program = (
        "import sys, llm_dit; llm_dit.LLMDiTError; llm_dit.DecomposeOptions;"
        "sys.exit(str({'cv2', 'torch', 'diffusers'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr.strip() == "set()"
