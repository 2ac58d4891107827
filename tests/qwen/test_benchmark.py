"""The placement benchmark runs at tiny size and writes what it measured."""

import json
from pathlib import Path

from benchmarks.qwen_placement import main


def test_the_placement_benchmark_runs(tmp_path: Path) -> None:
    out = tmp_path / "placement.json"
    main(
        ["--tiny", "--device=cpu", "--steps=2", "--layers=1", "--cases=True", f"--out={out}"],
    )
    report = json.loads(out.read_text())
    (result,) = report["placements"]
    assert (result["case"], result["placement"]) == ("True", "resident")
    assert result["step_s"] > 0 and result["place_s"] >= 0
    assert set(report["sliced_decode"]) >= {"whole", "sliced", "equal"}
