"""The report that every benchmark writes: its figures with the machine, the versions and the day they come from."""

import datetime
import json
import os
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

REPORTED_PACKAGES = ("numpy", "opencv-contrib-python-headless", "pillow")


def describe_machine() -> dict[str, object]:
    """Return the processor's name, the number of cores this process may use, and the versions that decide figures."""
    return {
        "processor": _processor_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in REPORTED_PACKAGES},
    }


def write_report(path: Path, figures: Mapping[str, object]) -> None:
    """Write `figures` as JSON to `path`, whose folder is made when it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    report = {"date": datetime.date.today().isoformat(), "machine": describe_machine(), "figures": figures}
    path.write_text(json.dumps(report, indent=2, default=str) + "\n")
    print(f"written to {os.path.relpath(path)}")


def _processor_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
