"""What the base install leaves out, installed into the environment that runs this: the extras of pyproject.toml."""

import importlib.util
import re
import shutil
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path
from typing import Literal

from server.errors import SettingsError

Extra = Literal["qwen", "quantization", "flash"]
DISTRIBUTION = "llm-dit"
PINS = Path(__file__).parents[1] / "requirements"
"""The versions that were tested together, as constraints."""


def install_command(extra: Extra) -> list[str]:
    """Return the command that installs an extra: with pip, or with uv where the environment has no pip.

    It names the packages themselves: an index could hold something else under this project's name. Raises
    `SettingsError` when there is neither pip nor uv.
    """
    if importlib.util.find_spec("pip"):
        installer = [sys.executable, "-m", "pip", "install"]
    elif uv := shutil.which("uv"):
        installer = [uv, "pip", "install", "--python", sys.executable]
    else:
        raise SettingsError(f"there is neither pip nor uv here: run {sys.executable} -m ensurepip, then this again.")
    constraints = [f"--constraint={PINS / name}.txt" for name in ("base", "qwen")]
    return [*installer, *constraints, *requirements_of(extra)]


def requirements_of(extra: Extra) -> list[str]:
    """Return the requirements of an extra, such as `torch>=2.11`."""
    entries = [entry.partition(";") for entry in requires(DISTRIBUTION) or []]
    return [
        requirement.strip() for requirement, _, marker in entries if re.search(rf"extra == ['\"]{extra}['\"]", marker)
    ]


def install(extra: Extra) -> None:
    """Install an extra; what the installer says goes to the terminal. Raises `SettingsError` when it fails."""
    done = subprocess.run(install_command(extra), check=False)
    if done.returncode != 0:
        raise SettingsError("the packages could not be installed; what the installer says above is why.")
