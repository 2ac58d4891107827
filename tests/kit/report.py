"""The report that every benchmark writes: its figures with the machine, the versions and the day they come from."""

import datetime
import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

REPORTED_PACKAGES = ("numpy", "opencv-contrib-python-headless", "pillow")


def describe_machine() -> dict[str, object]:
    """Return the processor's name, the number of cores this process may use, and the versions that decide figures."""
    return {
        "processor": _processor_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "packages": {name: _version_of(name) for name in REPORTED_PACKAGES},
    }


def write_report(path: Path, figures: Mapping[str, object]) -> None:
    """Write `figures` as JSON to `path`, whose folder is made when it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    report = {"date": datetime.date.today().isoformat(), "machine": describe_machine(), "figures": figures}
    path.write_text(json.dumps(report, indent=2, default=str) + "\n")
    print(f"written to {os.path.relpath(path)}")


def part(wrong: list[str], too_slow: Sequence[str] = (), /, **counts: object) -> dict[str, Any]:
    """Return one part of a report: what was counted, and what should not have been; without that it has passed.

    What is `too_slow` only says something on a machine that does nothing else.
    """
    return {**counts, "wrong": wrong, "too_slow": [*too_slow], "passed": not (wrong or too_slow)}


def report_parts(path: Path, parts: Mapping[str, Mapping[str, Any]]) -> int:
    """Print the parts of a report, write them to `path` and return the exit code: 1 when one has missed its floor."""
    for name, figures in parts.items():
        shown = {key: value for key, value in figures.items() if key not in {"wrong", "too_slow", "passed"}}
        print(f"{name}: {'passed' if figures['passed'] else 'MISSED'}: {shown}")
        for case in [*figures["wrong"], *figures["too_slow"]]:
            print(f"  {case}")
    passed = all(figures["passed"] for figures in parts.values())
    write_report(path, {**parts, "passed": passed})
    return 0 if passed else 1


def _version_of(package: str) -> str | None:
    """Return a package's version; None where a benchmark does without the package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
