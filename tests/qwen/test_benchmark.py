"""The placement benchmark runs at tiny size and writes what it measured."""

import json
from pathlib import Path

from benchmarks.qwen_placement import main


def test_the_placement_benchmark_runs(tmp_path: Path) -> None:
    out = tmp_path / "placement.json"
    main(
        [
            "--tiny",
            "--device",
            "cpu",
            "--steps",
            "2",
            "--layers",
            "1",
            "--cases",
            "resident",
            "True",
            "--out",
            str(out),
        ]
    )
    report = json.loads(out.read_text())
    assert [result["placement"] for result in report["placements"]] == ["resident", "resident"]
    assert all(result["step_s"] > 0 and result["place_s"] >= 0 for result in report["placements"])
