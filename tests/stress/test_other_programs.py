"""Files of layers in other programs, both ways: random trees, every blend mode. `programs.py` says what to install."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from pptx import Presentation

from llm_dit.color import BLEND_MODES, BlendMode
from llm_dit.exports.formats import ExportName, export
from llm_dit.layer import PASS_THROUGH, Group, Layer
from llm_dit.layers import composite
from tests.kit.pictures import difference
from tests.kit.stacks import layer_file
from tests.stress.gimp import gimp_reads, gimp_writes
from tests.stress.krita import krita_converts, krita_reads
from tests.stress.programs import (
    Seen,
    ag_psd_reads,
    ag_psd_writes,
    missing,
    nodes_of,
    psd_tools_reads,
    psd_tools_writes,
    run,
)
from tests.stress.trees import HEIGHT, WIDTH, Tree, blended_pairs, random_tree
from tests.stress.viewers import chromium_reads, office_reads, office_shows

pytestmark = [pytest.mark.long, pytest.mark.timeout(0)]

SIZE = (WIDTH, HEIGHT)
TREES = [random_tree(seed) for seed in range(9100, 9130)]
WHITE = (255, 255, 255, 255)
FACES = [
    "Liberation Sans",
    "Liberation Sans:bold",
    "Liberation Serif",
    "Liberation Serif:italic",
    "DejaVu Sans",
    "DejaVu Serif",
]


@pytest.fixture(scope="module", autouse=True)
def programs() -> None:
    if lacking := missing():
        pytest.fail("The other programs are missing:\n" + "\n".join(lacking))


def each(read: Callable[[Path], Seen]) -> Callable[[Sequence[Path]], list[Seen]]:
    return lambda files: [read(file) for file in files]


def as_it_is(tree: Tree) -> Tree:
    return tree


def without_fades_of_groups(tree: Tree) -> Tree:
    """Return what Krita reads of a PSD: no opacity of groups, of its own files too."""
    groups = {
        label: Group(visible=group.visible, blend=PASS_THROUGH if group.passes_through else group.mode)
        for label, group in tree.groups.items()
    }
    return replace(tree, groups=groups)


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A program that opens our files: how far what it shows is from ours at most, in levels of 255, by blend mode."""

    format: ExportName
    read: Callable[[Sequence[Path]], list[Seen]]
    most: int
    off: Mapping[BlendMode, int] = field(default_factory=dict[BlendMode, int])
    """Modes of which it has other formulas."""
    told: Callable[[Tree], Tree] = as_it_is


READERS = {
    "psd-tools, PSD": Reader(format="psd", read=each(psd_tools_reads), most=1),
    "ag-psd, PSD": Reader(format="psd", read=each(ag_psd_reads), most=0),
    "GIMP, PSD": Reader(
        format="psd",
        read=gimp_reads,
        most=1,
        off={
            "color-dodge": 115,
            "color-burn": 150,
            "soft-light": 30,
            "hue": 230,
            "saturation": 165,
            "color": 100,
            "luminosity": 90,
        },
    ),
    "Krita, PSD": Reader(
        format="psd", read=each(krita_reads), most=5, off={"soft-light": 20}, told=without_fades_of_groups
    ),
    "Krita, ORA": Reader(format="ora", read=each(krita_reads), most=4),
    "Chromium, SVG": Reader(
        format="svg",
        read=lambda files: chromium_reads(files, SIZE),
        most=6,
        off={"color-dodge": 12, "color-burn": 16, "hue": 15, "saturation": 13},
    ),
}


def written(trees: Sequence[Tree], name: ExportName, folder: Path) -> list[Path]:
    folder.mkdir()
    files = [folder / f"{number:03d}.{name}" for number in range(len(trees))]
    for file, tree in zip(files, trees, strict=True):
        file.write_bytes(export(tree.layers, name, width=WIDTH, height=HEIGHT, groups=tree.groups))
    return files


def alone(layer: Layer) -> Image.Image:
    return composite([replace(layer, opacity=1.0, visible=True, blend="normal", group="")], *SIZE)


def shown(tree: Tree) -> Image.Image:
    return composite(tree.layers, *SIZE, groups=tree.groups)


@pytest.mark.parametrize("name", READERS)
def test_a_program_reads_our_files(name: str, tmp_path: Path) -> None:
    reader = READERS[name]
    for tree, seen in zip(TREES, reader.read(written(TREES, reader.format, tmp_path / "all")), strict=True):
        told = reader.told(tree)
        assert seen.nodes == nodes_of(told.layers, told.groups)
        assert max([difference(alone(a), alone(b)) for a, b in zip(seen.layers, tree.layers, strict=False)] or [0]) == 0
    # Where its arithmetic is ours, whole pictures too.
    modes: list[BlendMode] = [mode for mode in BLEND_MODES if mode not in reader.off]
    trees = [reader.told(tree).with_modes(modes) for tree in TREES]
    found = reader.read(written(trees, reader.format, tmp_path / "same"))
    off = [difference(seen.shown, shown(tree)) for tree, seen in zip(trees, found, strict=True) if seen.shown]
    print(f"\n{name}: {len(trees)} trees, off by {sorted(off)}")
    assert max(off, default=0) <= reader.most


@pytest.mark.parametrize("name", [name for name in READERS if name != "ag-psd, PSD"])
def test_how_far_blend_modes_are_off(name: str, tmp_path: Path) -> None:
    reader = READERS[name]
    pairs: list[tuple[BlendMode, Tree]] = [
        (mode, Tree(layers=layers, groups={})) for mode in BLEND_MODES for layers in blended_pairs(mode)
    ]
    found = reader.read(written([tree for _, tree in pairs], reader.format, tmp_path / "pairs"))
    off: dict[BlendMode, int] = dict.fromkeys(BLEND_MODES, 0)
    for (mode, tree), seen in zip(pairs, found, strict=True):
        assert seen.shown
        off[mode] = max(off[mode], difference(seen.shown, shown(tree)))
    print(f"\n{name}: {off}")
    assert {mode: most for mode, most in off.items() if most > reader.off.get(mode, reader.most)} == {}


def test_impress_reads_our_slides(tmp_path: Path) -> None:
    """It rounds opacities to hundredths, and shapes to hundredths of a millimeter, as which it draws them again."""
    pictures: list[int] = []
    means: list[float] = []
    for tree, seen in zip(TREES, office_reads(written(TREES, "pptx", tmp_path / "all")), strict=True):
        expected = nodes_of(*_on_slides(tree))
        assert [replace(node, steps=255) for node in seen.nodes] == [replace(node, steps=255) for node in expected]
        assert max(abs(a.steps - b.steps) for a, b in zip(seen.nodes, expected, strict=True)) <= 3
        pictures.append(difference(composite(seen.layers, *SIZE), shown(tree)))
        assert seen.shown
        ours = composite([Layer(image=shown(tree))], *SIZE, WHITE)
        means.append(float(np.abs(np.asarray(seen.shown, float) - np.asarray(ours, float)).mean()))
    print(f"\nImpress: its pictures, put together here, off by {sorted(pictures)}")
    print(f"Impress: mean difference of a page {np.mean(means):.2f}, at most {max(means):.2f}")
    assert max(pictures) <= 6 and max(means) <= 4


@pytest.mark.parametrize("face", FACES)
def test_impress_shows_type_as_text_where_it_was(face: str, tmp_path: Path) -> None:
    file = run(["fc-match", "-f", "%{file}", face], tmp_path)
    size, ink, lines = (
        (960, 480),
        (40, 60, 160),
        {"Summer Garden Party": 76, "Open daily from 9 to 17": 34, "HALF PRICE": 50},
    )
    layers = [Layer(image=Image.new("RGBA", size, "white"), name="Paper")]
    for number, (words, height) in enumerate(lines.items()):
        mask = Image.new("L", size)
        ImageDraw.Draw(mask).text((60, 120 + 150 * number), words, 255, ImageFont.truetype(file, height), "ls")
        picture = Image.new("RGBA", size, ink)
        picture.putalpha(mask)
        layers.append(Layer(image=picture, name=f"Line {number}"))
    slide = tmp_path / "type.pptx"
    slide.write_bytes(export(layers, "pptx", width=size[0], height=size[1], text="editable"))
    shapes: list[Any] = list(Presentation(str(slide)).slides[0].shapes)
    assert [shape.text_frame.text for shape in shapes[1:]] == [*lines]
    (shown,) = office_shows([slide], size)
    off = []
    for layer, height in zip(layers[1:], lines.values(), strict=True):
        box = layer.image.getbbox()
        assert box
        row = (0, box[1] - height // 2, size[0], box[3] + height // 2)
        seen = shown.crop(row).convert("L").point([255] * 160 + [0] * 96).getbbox()
        assert seen
        off.append(
            max(
                abs(one - other)
                for one, other in zip(seen, (box[0], height // 2, box[2], row[3] - row[1] - height // 2), strict=True)
            )
            / height
        )
    print(f"\nImpress, {face}: the edges of lines are off by {[round(share, 3) for share in off]} of their size")
    assert max(off) <= 0.3


def _on_slides(tree: Tree) -> tuple[list[Layer], dict[str, Group]]:
    """Return a tree without what slides lack: a group that blends as a whole is a layer, a hidden one hides its own."""
    layers: list[Layer] = []
    last = ""
    for layer in tree.layers:
        labels = layer.group.split(" / ") if layer.group else []
        around = [" / ".join(labels[: depth + 1]) for depth in range(len(labels))]
        whole = next((label for label in around if not tree.groups[label].passes_through), "")
        visible = layer.visible and all(tree.groups[label].visible for label in around)
        if not whole:
            layers.append(replace(layer, visible=visible, blend="normal"))
        elif whole != last:
            parent, _, name = f" / {whole}".rpartition(" / ")
            inside = around[: around.index(whole) + 1]
            visible = all(tree.groups[label].visible for label in inside)
            one = tree.groups[whole]
            layers.append(Layer(image=layer.image, name=name, opacity=one.opacity, visible=visible, group=parent[3:]))
        last = whole
    return layers, {}


def by_gimp(trees: Sequence[Tree], folder: Path) -> list[Path]:
    return gimp_writes([(tree.layers, tree.groups) for tree in trees], SIZE, folder)


def by(write: Callable[..., None]) -> Callable[[Sequence[Tree], Path], list[Path]]:
    def files(trees: Sequence[Tree], folder: Path) -> list[Path]:
        found = [folder / f"{number}.psd" for number in range(len(trees))]
        for file, tree in zip(found, trees, strict=True):
            write(tree.layers, tree.groups, SIZE, file)
        return found

    return files


def by_krita(suffix: str) -> Callable[[Sequence[Tree], Path], list[Path]]:
    """Krita takes the trees from OpenRaster, of which it reads everything."""

    def files(trees: Sequence[Tree], folder: Path) -> list[Path]:
        ours = written(trees, "ora", folder / "ours")
        found = [folder / f"{file.stem}.{suffix}" for file in ours]
        for source, target in zip(ours, found, strict=True):
            krita_converts(source, target)
        return found

    return files


WRITERS: Mapping[str, Callable[[Sequence[Tree], Path], list[Path]]] = {
    "psd-tools, PSD": by(psd_tools_writes),
    "ag-psd, PSD": by(ag_psd_writes),
    "GIMP, PSD": by_gimp,
    "Krita, PSD": by_krita("psd"),
    "Krita, ORA": by_krita("ora"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_what_a_program_writes_is_imported(name: str, tmp_path: Path) -> None:
    for tree, file in zip(TREES, WRITERS[name](TREES, tmp_path), strict=True):
        assert back(file.read_bytes(), tree) <= 1


def back(content: bytes, tree: Tree) -> int:
    """Return how far the picture of a file is from its tree's, when all that the file says is the same."""
    layers, file = layer_file(content)
    assert file.warnings == [] and (file.width, file.height) == SIZE
    assert nodes_of(layers, file.groups) == nodes_of(tree.layers, tree.groups)
    assert all(difference(alone(one), alone(other)) == 0 for one, other in zip(layers, tree.layers, strict=True))
    return difference(composite(layers, *SIZE, groups=file.groups), shown(tree))


@pytest.mark.parametrize("name", ["zip", "ora"])
def test_100_trees_survive(name: ExportName) -> None:
    for seed in range(9200, 9300):
        tree = random_tree(seed)
        content = export(tree.layers, name, width=WIDTH, height=HEIGHT, groups=tree.groups)
        assert back(content, tree) <= 1, seed
        if name == "zip":
            layers, file = layer_file(content)
            assert [
                replace(one, image=other.image) for one, other in zip(layers, tree.layers, strict=True)
            ] == tree.layers
            assert file.groups == tree.groups
