"""Nested groups of other programs' files as the label that a layer has for its group."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from llm_dit.file_names import shortened
from llm_dit.groups import label_of


@dataclass(frozen=True, eq=False)
class Folder:
    """A group: what it is called, and what it does to all that is in it."""

    name: str
    opacity: float = 1.0
    visible: bool = True


Path = tuple[Folder, ...]
"""The groups that a layer is in, the outermost first."""


def labels(paths: Iterable[Sequence[Folder]]) -> Iterator[str]:
    """Yield the label of each layer's group, for layers in their order.

    Groups beside each other that have the same name would become one: the second gets a number.
    """
    names: dict[Folder, str] = {}
    before: Sequence[Folder] = ()
    for path in paths:
        for depth, folder in enumerate(path):
            if folder not in names:
                names[folder] = _name(folder, path[:depth], before, names)
        yield shortened(label_of(names[folder] for folder in path))
        before = path


def _name(folder: Folder, parents: Sequence[Folder], before: Sequence[Folder], names: dict[Folder, str]) -> str:
    """Return a group's name, with a number where the group that ended just before it within the same ones has it."""
    name = folder.name or "Group"
    depth = len(parents)
    taken = names[before[depth]] if len(before) > depth and tuple(before[:depth]) == tuple(parents) else None
    count = 2
    free = name
    while free == taken:
        free = f"{name} {count}"
        count += 1
    return free
