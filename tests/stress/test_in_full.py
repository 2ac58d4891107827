"""Each kind in full, with its floors of time, which take a quiet machine."""

import subprocess
import sys

import pytest

from tests.kit.service import ROOT

RUNS = ("archives", "bad_input", "database_damage", "doors", "faults", "floods", "load", "soak", "stops")


@pytest.mark.long
@pytest.mark.timeout(0)
@pytest.mark.parametrize("run", RUNS)
def test_in_full(run: str) -> None:
    subprocess.run([sys.executable, "-m", f"tests.stress.{run}"], cwd=ROOT, check=True)


@pytest.mark.parametrize("options", [["archives"], ["database_damage", "--tries", "6"]], ids=lambda options: options[0])
def test_in_short(options: list[str]) -> None:
    subprocess.run([sys.executable, "-m", f"tests.stress.{options[0]}", *options[1:]], cwd=ROOT, check=True)
