"""Look for known vulnerabilities in the pinned versions of Python packages and in the tools from npm.

`make audit`. Exit codes: 1 if there are any, 0 otherwise. It says if no source of advisories could be reached, which is
no failure; pip-audit by itself then reports no known vulnerabilities.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PIP_AUDIT = ROOT / ".venv" / "tools" / "bin" / "pip-audit"


@dataclass(frozen=True, kw_only=True)
class Audit:
    """How many packages were audited and how many not, and the vulnerable ones, each with its advisories."""

    audited: int
    skipped: int
    vulnerable: tuple[str, ...] = ()

    def told(self) -> str:
        """Return the result in words."""
        if not self.audited:
            return f"not audited ({self.skipped} packages): no source of advisories can be reached from here"
        rest = f", {self.skipped} not audited" if self.skipped else ""
        found = "; ".join(self.vulnerable) or "no known vulnerabilities"
        return f"{self.audited} packages audited{rest}: {found}"


def read_pip_audit(report: str) -> Audit:
    """Return what the JSON of pip-audit says; text that is none is an audit of nothing."""
    try:
        packages = json.loads(report)["dependencies"]
    except (ValueError, KeyError):
        return Audit(audited=0, skipped=0)
    audited = [each for each in packages if "skip_reason" not in each]
    return Audit(
        audited=len(audited),
        skipped=len(packages) - len(audited),
        vulnerable=tuple(
            f"{each['name']} {each['version']} ({', '.join(one['id'] for one in each['vulns'])})"
            for each in audited
            if each["vulns"]
        ),
    )


def read_npm_audit(report: str) -> Audit:
    """Return what the JSON of `npm audit` says; an error is an audit of nothing."""
    try:
        said = json.loads(report)
        total = int(said["metadata"]["dependencies"]["total"])
    except (ValueError, KeyError):
        return Audit(audited=0, skipped=0)
    found = tuple(f"{name} ({each['severity']})" for name, each in sorted(said["vulnerabilities"].items()))
    return Audit(audited=total, skipped=0, vulnerable=found)


def audit_pins(pins: Path) -> Audit:
    """Audit a file of pinned versions; nothing is installed."""
    options = ["--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off"]
    done = subprocess.run([PIP_AUDIT, "--requirement", pins, *options], capture_output=True, text=True, check=False)
    return read_pip_audit(done.stdout)


def audit_npm() -> Audit:
    """Audit what `npm install` would install."""
    with tempfile.TemporaryDirectory() as room:
        shutil.copy(ROOT / "package.json", room)
        lock = ["npm", "install", "--package-lock-only", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(lock, cwd=room, check=False, capture_output=True)
        done = subprocess.run(["npm", "audit", "--json"], cwd=room, check=False, capture_output=True, text=True)
    return read_npm_audit(done.stdout)


def main() -> None:
    pins = sorted((ROOT / "requirements").glob("*.txt"))
    audits = {str(file.relative_to(ROOT)): audit_pins(file) for file in pins}
    if shutil.which("npm"):
        audits["package.json"] = audit_npm()
    for name, audit in audits.items():
        print(f"{name}: {audit.told()}")
    sys.exit(any(audit.vulnerable for audit in audits.values()))


if __name__ == "__main__":
    main()
