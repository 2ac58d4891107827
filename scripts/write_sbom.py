"""Write the software bill of materials of the base install as CycloneDX JSON: dist/llm-dit.cdx.json.

`make sbom`, or `.venv/bin/python -m scripts.write_sbom [EXTRA...]` for an install with extras. It installs the pinned
versions into an empty environment, describes what is there, and adds the networks of the classical engine.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from llm_dit.classical.seeing.networks import NETWORKS, Network

ROOT = Path(__file__).parents[1]
TOOLS = ROOT / ".venv" / "tools" / "bin"
TARGET = ROOT / "dist" / "llm-dit.cdx.json"
VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
sys.exit(JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read()))
"""


def described(extras: list[str]) -> dict[str, Any]:
    """Return the bill of an environment with the pinned versions and nothing else."""
    wanted = f"{ROOT}[{','.join(extras)}]" if extras else str(ROOT)
    with tempfile.TemporaryDirectory() as room:
        python = Path(room) / "bin" / "python"
        pins = [f"--constraint={ROOT / 'requirements' / name}.txt" for name in ("base", "qwen")]
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", room], check=True)
        subprocess.run([TOOLS / "pip", "--python", python, "install", "--quiet", *pins, wanted], check=True)
        options = ["--pyproject", ROOT / "pyproject.toml", "--mc-type", "application", "--sv", "1.6"]
        command = [TOOLS / "cyclonedx-py", "environment", *options, "--output-reproducible", python]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def component(network: Network) -> dict[str, Any]:
    """Return a network as a component."""
    return {
        "type": "machine-learning-model",
        "bom-ref": network.name,
        "name": network.name,
        "description": f"For {network.used_for}: {network.member} of {network.package}",
        "hashes": [{"alg": "SHA-256", "content": network.sha256}],
        "licenses": [{"license": {"id": network.license}}],
    }


def main() -> None:
    bill = described(sys.argv[1:])
    bill["components"] += [component(network) for network in NETWORKS]
    root = bill["metadata"]["component"]["bom-ref"]
    (own,) = (each for each in bill["dependencies"] if each["ref"] == root)
    own["dependsOn"] = sorted([*own.get("dependsOn", []), *(network.name for network in NETWORKS)])
    bill["dependencies"] += [{"ref": network.name} for network in NETWORKS]
    text = json.dumps(bill, indent=2) + "\n"
    subprocess.run([TOOLS / "python", "-c", VALIDATE], input=text, text=True, check=True)
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(text, encoding="utf-8")
    print(f"{TARGET}: {len(bill['components'])} components")


if __name__ == "__main__":
    main()
