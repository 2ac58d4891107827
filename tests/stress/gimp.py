"""GIMP 2.10, driven by Script-Fu: what it reads of files of layers, and files that it writes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from llm_dit.color import BLEND_MODES, BlendMode
from llm_dit.layer import PASS_THROUGH, SEPARATOR, Groups, Layer, group_steps, plain
from tests.stress.programs import Node, Seen, run

MODES: Mapping[BlendMode, str] = {
    **{mode: mode.upper() for mode in BLEND_MODES},
    "normal": "NORMAL",
    "color-dodge": "DODGE",
    "color-burn": "BURN",
    "hard-light": "HARDLIGHT",
    "soft-light": "SOFTLIGHT",
    "lighten": "LIGHTEN-ONLY",
    "darken": "DARKEN-ONLY",
    "hue": "LCH-HUE",
    "saturation": "LCH-CHROMA",
    "color": "LCH-COLOR",
    "luminosity": "LCH-LIGHTNESS",
}
READ = """
(define port #f)
(define (say . all) (for-each (lambda (one) (display one port) (display "\\t" port)) all))
(define (save image drawable file)
  (file-png-save RUN-NONINTERACTIVE image drawable file file 0 1 0 0 0 0 0))
(define (walk image items depth stem)
  (for-each (lambda (item)
    (let ((group (car (gimp-item-is-group item))) (at (cdr (gimp-drawable-offsets item))))
      (say depth group (car (gimp-layer-get-opacity item)) (car (gimp-layer-get-mode item))
           (car (gimp-item-get-visible item)) (car (gimp-drawable-offsets item)) (car at) item
           (car (gimp-item-get-name item)))
      (newline port)
      (if (= group 1)
        (walk image (vector->list (cadr (gimp-item-get-children item))) (+ depth 1) stem)
        (save image item (string-append stem "." (number->string item) ".png")))))
    items))
(define (tell file stem)
  (let ((image (car (gimp-file-load RUN-NONINTERACTIVE file file))))
    (set! port (open-output-file (string-append stem ".txt")))
    (walk image (vector->list (cadr (gimp-image-get-layers image))) 0 stem)
    (close-output-port port)
    (save image (car (gimp-layer-new-from-visible image image "shown")) (string-append stem ".png"))
    (gimp-image-delete image)))
(set! port (open-output-file modes-file))
(for-each (lambda (mode) (say (cdr mode) (car mode)) (newline port)) modes)
(close-output-port port)
"""


def gimp_reads(files: Sequence[Path]) -> list[Seen]:
    stems = [file.with_suffix(file.suffix + ".gimp") for file in files]
    calls = [f'(tell "{file}" "{stem}")' for file, stem in zip(files, stems, strict=True)]
    names = [
        f'(cons "{mode}" LAYER-MODE-{name}{old})'
        for mode, name in {**MODES, PASS_THROUGH: "PASS-THROUGH"}.items()
        for old in ("", "-LEGACY")
        if not (old and name.startswith(("EXCLUSION", "LCH", "PASS")))
    ]
    folder = files[0].parent
    known = f'(define modes-file "{folder / "modes.txt"}") (define modes (list {" ".join(names)}))'
    _script([known, READ, *calls], folder)
    modes = {mode: name for mode, name, _ in map(_cells, (folder / "modes.txt").read_text().splitlines())}
    return [_seen(stem, modes) for stem in stems]


def _cells(line: str) -> list[str]:
    return line.split("\t")


def _seen(stem: Path, modes: Mapping[str, str]) -> Seen:
    nodes: list[Node] = []
    layers: list[Layer] = []
    inside: list[str] = []
    for line in stem.with_suffix(".gimp.txt").read_text().splitlines():
        depth, group, opacity, mode, visible, x, y, item, name, _ = _cells(line)
        del inside[int(depth) :]
        around = SEPARATOR.join(inside)
        nodes.append(
            Node(name, around, round(float(opacity) * 2.55), visible == "1", modes.get(mode, mode), group == "1")
        )
        if group == "1":
            inside.append(name)
        else:
            image = Image.open(f"{stem}.{item}.png").convert("RGBA")
            layers.append(Layer(image=image, x=int(x), y=int(y)))
    shown = Image.open(stem.with_suffix(".gimp.png")).convert("RGBA")
    return Seen(nodes=nodes[::-1], shown=shown, layers=layers[::-1])


def gimp_writes(stacks: Sequence[tuple[Sequence[Layer], Groups]], size: tuple[int, int], folder: Path) -> list[Path]:
    """Return PSDs of stacks that GIMP has put together layer by layer, kept as XCF and opened again."""
    lines: list[str] = []
    files: list[Path] = []
    for number, (layers, groups) in enumerate(stacks):
        files.append(folder / f"{number}.psd")
        lines += _building(layers, groups, size, folder / str(number))
    _script(lines, folder)
    return files


def _building(layers: Sequence[Layer], groups: Groups, size: tuple[int, int], stem: Path) -> list[str]:
    lines = [f"(define image (car (gimp-image-new {size[0]} {size[1]} RGB)))"]
    inside = ["0"]
    for number, (closed, begun, layer) in enumerate(group_steps(layers, groups)):
        del inside[len(inside) - closed :]
        for name, group in begun:
            one = f"g{number}-{len(inside)}"
            mode = "PASS-THROUGH" if group.passes_through else MODES[group.mode]
            lines.append(f"(define {one} (car (gimp-layer-group-new image)))")
            lines += _shown(one, name, inside[-1], group.opacity, mode, group.visible)
            inside.append(one)
        pixels, picture, one = plain(layer, *size), f"{stem}.{number}.layer.png", f"l{number}"
        pixels.image.save(picture)
        lines.append(f'(define {one} (car (gimp-file-load-layer RUN-NONINTERACTIVE image "{picture}")))')
        lines += _shown(one, layer.name, inside[-1], layer.opacity, MODES[layer.blend], layer.visible)
        lines.append(f"(gimp-layer-set-offsets {one} {pixels.x} {pixels.y})")
    xcf, psd = f'"{stem}.xcf"', f'"{stem}.psd"'
    return [
        *lines,
        f"(gimp-xcf-save RUN-NONINTERACTIVE image 0 {xcf} {xcf})",
        f"(define again (car (gimp-file-load RUN-NONINTERACTIVE {xcf} {xcf})))",
        f"(gimp-file-save RUN-NONINTERACTIVE again (car (gimp-image-get-active-drawable again)) {psd} {psd})",
    ]


def _shown(one: str, name: str, parent: str, opacity: float, mode: str, visible: bool) -> list[str]:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return [
        f"(gimp-image-insert-layer image {one} {parent} 0)",
        f'(gimp-item-set-name {one} "{quoted}")',
        f"(gimp-layer-set-opacity {one} {opacity * 100:.6f})",
        f"(gimp-layer-set-mode {one} LAYER-MODE-{mode})",
        f"(gimp-item-set-visible {one} {int(visible)})",
    ]


def _script(lines: Sequence[str], folder: Path) -> None:
    script = folder / "gimp.scm"
    script.write_text("\n".join(lines))
    load = f'(load "{script}")'
    run(["gimp", "--no-interface", "--no-data", "--no-fonts", "--batch", load, "--batch", "(gimp-quit 0)"], folder)
