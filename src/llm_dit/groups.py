"""Groups: consecutive layers with one label, which may be a path of nested groups, such as "Figure / Shadows"."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from llm_dit.layer import Layer

SEPARATOR = " / "

T = TypeVar("T", bound=Layer)


def label_of(names: Iterable[str]) -> str:
    """Return the label of nested groups, the outermost first; a name keeps to itself what would end it."""
    return SEPARATOR.join(name.replace(SEPARATOR, "/").strip() for name in names)


def names_of(label: str) -> list[str]:
    """Return the names of the groups that a label stands for, the outermost first; none for ""."""
    return [name for name in label.split(SEPARATOR) if name.strip()]


def group_steps(layers: Iterable[T]) -> Iterator[tuple[int, list[str], T]]:
    """Yield each layer with how many groups end before it, and the names of those that begin with it."""
    inside: list[str] = []
    for layer in layers:
        names = names_of(layer.group)
        shared = 0
        while shared < min(len(names), len(inside)) and names[shared] == inside[shared]:
            shared += 1
        yield len(inside) - shared, names[shared:], layer
        inside = names
