"""What the service's child processes have in common: they end with it, and speak to it over their standard streams."""

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Mapping
from typing import BinaryIO

PR_SET_PDEATHSIG = 1


def environment_of_child(**variables: str) -> Mapping[str, str]:
    """Return the environment of a child that finds this program's modules where this process found them."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(path or os.curdir for path in sys.path)} | variables


def die_with_parent() -> None:
    """Ask the kernel to kill this process when the thread that started it ends: that is the service's event loop."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def take_standard_streams() -> tuple[BinaryIO, BinaryIO]:
    """Return the pipes to the service; whatever else is printed goes to standard error, and reading gives nothing."""
    commands, events = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with contextlib.closing(os.fdopen(os.open(os.devnull, os.O_RDONLY), "rb")) as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return commands, events
