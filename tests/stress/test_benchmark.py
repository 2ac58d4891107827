"""The placement benchmark runs at tiny size and writes what it measured."""

import json
import subprocess
import sys
from pathlib import Path

from tests.kit.forks import ROOT


def test_the_placement_benchmark_runs(tmp_path: Path) -> None:
    out = tmp_path / "placement.json"
    options = ["--tiny", "--device=cpu", "--steps=2", "--layers=1", "--cases", "True", "plain", f"--out={out}"]
    subprocess.run([sys.executable, "-m", "benchmarks.qwen_placement", *options], cwd=ROOT, check=True)
    report = json.loads(out.read_text())
    plain, ours = report["placements"]
    assert (plain["case"], plain["placement"]) == ("plain", "plain")
    assert (ours["case"], ours["placement"]) == ("True", "resident")
    assert all(result["step_s"] > 0 and result["place_s"] >= 0 for result in (plain, ours))
    assert set(report["sliced_decode"]) >= {"whole", "sliced", "equal"}
