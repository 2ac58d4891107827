"""How fast a stranger gets the page: `make run` in a fresh clone, the size of the environment, the import of the app.

    python -m benchmarks.house [--json benchmarks/out/house.json]

Floors: the page answers within 90 s with packages cached, the environment is at most 450 MB, `import web.server` takes
at most 1 s (median of 5) and imports no torch.
"""

import argparse
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.kit.report import write_report

ROOT = Path(__file__).resolve().parent.parent
START_LIMIT_S = 300
IMPORT_PROBE = """
import sys, time
begun = time.perf_counter()
import web.server
print(time.perf_counter() - begun, "torch" in sys.modules)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks/out/house.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        clone = Path(scratch) / "clone"
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        figures = {"page_answers_s": time_to_page(clone), **measure_environment(clone)}
    figures["passed"] = (
        figures["page_answers_s"] <= 90
        and figures["environment_mb"] <= 450
        and figures["import_web_app_s"] <= 1
        and not figures["imports_torch"]
    )
    for name, value in figures.items():
        print(f"{name:20} {value}")
    write_report(arguments.json, figures)
    return 0 if figures["passed"] else 1


def time_to_page(clone: Path) -> float:
    """Return the seconds from `make run` to the first answer of the page, and stop the server again."""
    port = free_port()
    begun = time.perf_counter()
    server = subprocess.Popen(["make", "run", f"PORT={port}"], cwd=clone, start_new_session=True)
    try:
        wait_for_page(f"http://127.0.0.1:{port}/", server)
        return round(time.perf_counter() - begun, 1)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def wait_for_page(address: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    sys.exit(f"The page did not answer within {START_LIMIT_S} s.")


def measure_environment(clone: Path) -> dict[str, float | bool]:
    """Return the size of the clone's environment, and how long the app's import takes there and what it brings."""
    environment = clone / ".venv"
    size = sum(file.lstat().st_blocks * 512 for file in environment.rglob("*"))
    runs = [
        subprocess.run(
            [environment / "bin/python", "-c", IMPORT_PROBE], cwd=clone, check=True, capture_output=True, text=True
        ).stdout.split()
        for _ in range(5)
    ]
    return {
        "environment_mb": round(size / 2**20),
        "import_web_app_s": round(statistics.median(float(seconds) for seconds, _ in runs), 2),
        "imports_torch": any(torch == "True" for _, torch in runs),
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    sys.exit(main())
