"""How much memory the worker takes."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes that a process holds, and bytes that the machine has."""

    used_bytes: int
    total_bytes: int


def memory_of(pid: int) -> Memory | None:
    """Return the memory of a process, or None where the system does not tell (it is read from Linux's /proc)."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return None
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    return Memory(used_bytes=pages * page_bytes, total_bytes=os.sysconf("SC_PHYS_PAGES") * page_bytes)
