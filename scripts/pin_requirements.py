"""Write the versions that a fresh install resolves to: constraints for pip in requirements/, and the same for uv.

usage: python3 scripts/pin_requirements.py [--from-files]   # --from-files: only bring uv's lists up to date
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "requirements"
SETS = {"base": ".", "qwen": ".[qwen,quantization]", "test": ".[test,dev]", "docs": ".[docs]"}
"""Constraints files, and what is installed for each; a file holds what those before it do not."""
BROUGHT_BY_A_BUILD = re.compile(r"nvidia-|cuda-|triton")
BLOCK = re.compile(r"(?<=constraint-dependencies = \[\n).*?(?=^(?:# )?\]$)", re.DOTALL | re.MULTILINE)


def main(arguments: list[str]) -> None:
    if arguments != ["--from-files"]:
        known: set[str] = set()
        for name, target in SETS.items():
            found = resolved(target) - known
            (FOLDER / f"{name}.txt").write_text("".join(f"{line}\n" for line in sorted(found)), encoding="utf-8")
            known |= found
    for file, names, prefix in uv_lists():
        text = (ROOT / file).read_text(encoding="utf-8")
        (ROOT / file).write_text(BLOCK.sub(block(names, prefix), text, count=1), encoding="utf-8")


def uv_lists() -> list[tuple[str, list[str], str]]:
    """Return where uv reads constraints, of which files they are made, and what each line begins with."""
    return [("pyproject.toml", ["base", "qwen", "test", "docs"], ""), ("scripts/generate.py", ["base", "qwen"], "# ")]


def block(names: list[str], prefix: str) -> str:
    lines = [line for name in names for line in (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()]
    return "".join(f'{prefix}  "{line}",\n' for line in lines)


def resolved(target: str) -> set[str]:
    """Return `name==version` for what an install of `target` into an empty environment brings.

    torch is raised by hand, in requirements/qwen.txt: another one means other CUDA libraries, gigabytes of them. Its
    build (+cpu, +cu130) and what a build brings are left out, so that the pins fit every machine.
    """
    held = re.search(r"^torch==.*$", (FOLDER / "qwen.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert held
    with tempfile.TemporaryDirectory() as scratch:
        constraints = Path(scratch) / "held.txt"
        constraints.write_text(held[0] + "\n", encoding="utf-8")
        subprocess.run([sys.executable, "-m", "venv", f"{scratch}/venv"], check=True)
        pip = [f"{scratch}/venv/bin/python", "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--quiet", "--constraint", constraints, target], cwd=ROOT, check=True)
        listed = [*pip, "freeze", "--exclude", "llm-dit"]
        frozen = subprocess.run(listed, capture_output=True, text=True, check=True).stdout
    lines = [line.partition("+")[0] for line in frozen.splitlines() if "==" in line]
    return {line for line in lines if not BROUGHT_BY_A_BUILD.match(line)}


if __name__ == "__main__":
    main(sys.argv[1:])
