"""Each kind in full, with its floors of time, which take a quiet machine."""

import subprocess
import sys

import pytest

from tests.kit.forks import ROOT

RUNS = ("archives", "bad_input", "database_damage", "doors", "faults", "floods", "load", "soak", "stops")


@pytest.mark.long
@pytest.mark.timeout(0)
@pytest.mark.parametrize("run", RUNS)
def test_in_full(run: str) -> None:
    subprocess.run([sys.executable, "-m", f"tests.stress.{run}"], cwd=ROOT, check=True)


def test_some_pages_of_the_database_are_damaged() -> None:
    subprocess.run([sys.executable, "-m", "tests.stress.database_damage", "--tries", "6"], cwd=ROOT, check=True)
