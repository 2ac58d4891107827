"""Draw figures of docs/measured as bars: an SVG beside each JSON that `PLOTS` names.

usage: python -m scripts.plots
"""

import json
from collections.abc import Callable, Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parents[1] / "docs" / "measured"
LABEL, BAR, ROW, HEAD = 316, 240, 24, 44
"""Pixels: the width of labels, the longest bar, the height of a row, and where the first row begins."""
STYLE = (
    "text { fill: #1c1c22 } .ground { fill: #fff } .ours { fill: #4f46e5 } .plain { fill: #9aa4b2 } "
    "@media (prefers-color-scheme: dark) { text { fill: #e8e8ee } .ground { fill: #17171c } .ours { fill: #8b83ff } }"
)


class Bar(NamedTuple):
    """A row; a `plain` one is what others are compared with."""

    label: str
    value: float
    shown: str
    plain: bool = False


def steps(report: Mapping[str, Any]) -> Iterator[Bar]:
    """Yield milliseconds a step of each way."""
    # Errors and the benchmark's own time stand beside the cases.
    cases = {case: ways for case, ways in report["steps"].items() if isinstance(ways, Mapping) and "error" not in case}
    for case, ways in cases.items():
        for way, figures in ways.items():
            label = f"{case}, {way}" if len(cases) > 1 else way
            yield Bar(label, figures["ms"], f"{figures['ms']:.0f} ms", way == "diffusers")


def placements(report: Mapping[str, Any]) -> Iterator[Bar]:
    """Yield the peak of memory with each placement, and the time of its steps."""
    names = {"plain": "plain diffusers", "24": "limited to 24 GB", "8": "limited to 8 GB"}
    for each in (each for each in report["placements"] if each["case"] in names):
        shown = f"{each['peak_gb']:.1f} GB, {each['step_s']:.2f} s a step"
        yield Bar(names[each["case"]], each["peak_gb"], shown, each["case"] == "plain")


def packed(report: Mapping[str, Any]) -> Iterator[Bar]:
    for name, each in report["packed"].items():
        if name.startswith("layered-640"):
            shown = f"{each['ms']:.0f} ms, {each['weights_gb']:.1f} GB"
            yield Bar(name.partition(", ")[2], each["ms"], shown, name.endswith("BF16"))


def harmonized(report: Mapping[str, Any]) -> Iterator[Bar]:
    kinds = {
        "own": "in its own place",
        "moved": "moved in its picture",
        "other": "in another picture",
        "drawing": "a drawing",
    }
    for kind, words in kinds.items():
        each = report["figures"]["figures"][kind]
        yield Bar(f"{words}, before", each["before"], f"{each['before']:.1f}", plain=True)
        yield Bar(f"{words}, after", each["after"], f"{each['after']:.1f}")


PLOTS: Mapping[str, tuple[str, Callable[[Mapping[str, Any]], Iterator[Bar]]]] = {
    "qwen_speed_h100": ("A step on one {machine}, milliseconds", steps),
    "qwen_speed_fast_h100": ("A faster step on one {machine}, milliseconds", steps),
    "qwen_speed_two_h200": ("A step on one and two {machine}, milliseconds", steps),
    "qwen_speed_packed_h100": ("Packed weights, a step at 640 on one {machine}", packed),
    "qwen_placement_h100": ("Peak memory at 640 on one {machine}", placements),
    "harmonize": ("Harmonize: error of a layer's colors, levels of 255", harmonized),
}


def drawing(name: str) -> str:
    """Return the SVG of a report."""
    title, read = PLOTS[name]
    report = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    bars = list(read(report))
    most, height = max(bar.value for bar in bars), HEAD + 12 + ROW * len(bars)
    rows = list[str]()
    for row, bar in enumerate(bars):
        y, width, look = HEAD + ROW * row, BAR * bar.value / most, "plain" if bar.plain else "ours"
        rows += [
            f'<text x="8" y="{y + 13}">{escape(bar.label)}</text>',
            f'<rect x="{LABEL}" y="{y}" width="{width:.1f}" height="18" rx="3" class="{look}"/>',
            f'<text x="{LABEL + 8 + width:.1f}" y="{y + 13}">{escape(bar.shown)}</text>',
        ]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="13" viewBox="0 0 720 {height}">'
    )
    words = escape(title.format(machine=report["machine"]))
    ground = f'<rect width="720" height="{height}" rx="8" class="ground"/>'
    heading = f'<text x="8" y="24" font-weight="bold">{words}</text>'
    return "\n".join([head, f"<style>{STYLE}</style>", ground, heading, *rows, "</svg>", ""])


if __name__ == "__main__":
    for name in PLOTS:
        (FOLDER / f"{name}.svg").write_text(drawing(name), encoding="utf-8")
        print(FOLDER / f"{name}.svg")
