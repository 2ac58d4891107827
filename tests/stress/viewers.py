"""Programs that show what we write and do not write layers themselves: Chromium for SVG, LibreOffice for slides."""

import base64
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image
from playwright.sync_api import sync_playwright

from llm_dit.layer import PASS_THROUGH, Layer
from tests.browser.conftest import FLAGS, chromium_path
from tests.stress.programs import Node, Seen, run, within
from tests.stress.trees import HEIGHT, WIDTH

# Chromium


def chromium_reads(files: Sequence[Path], size: tuple[int, int]) -> list[Seen]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
        page = browser.new_page(viewport={"width": size[0], "height": size[1]})
        found: list[Seen] = []
        for file in files:
            page.goto(file.as_uri())
            nodes = [Node(*about) for about in page.evaluate(CHROMIUM_NODES)]
            picture = file.with_suffix(".chromium.png")
            page.screenshot(path=picture, omit_background=True)
            found.append(Seen(nodes=nodes, shown=Image.open(picture).convert("RGBA")))
        browser.close()
    return found


CHROMIUM_NODES = """() => {
  const spaces = 'http://www.inkscape.org/namespaces/inkscape', nodes = [];
  const walk = (parent, around) => { for (const child of parent.children) {
    if (child.localName !== 'g') continue;
    const name = child.getAttributeNS(spaces, 'label'), style = getComputedStyle(child);
    const isGroup = !child.querySelector(':scope > image');
    if (isGroup) walk(child, around ? around + ' / ' + name : name);
    const passes = isGroup && style.isolation === 'auto' && style.mixBlendMode === 'normal' && style.opacity === '1';
    const blend = passes ? 'pass-through' : style.mixBlendMode;
    nodes.push([name, around, Math.round(style.opacity * 255), style.display !== 'none', blend, isGroup]);
  } };
  walk(document.documentElement, ''); return nodes; }"""


# LibreOffice: pictures as PDF at 96 pixels an inch, the rest from its own flat file.
YES, NO = ({"type": "boolean", "value": value} for value in ("true", "false"))
LOSSLESS = "pdf:impress_pdf_Export:" + json.dumps({"UseLosslessCompression": YES, "ReduceImageResolution": NO})
DRAW, OFFICE_DRAW = "{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}", "{http://openoffice.org/2010/draw}"
STYLE, SVG = (
    "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}",
    "{urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0}",
)
BINARY = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}binary-data"
PIXELS_PER_CM = 96 / 2.54


def office_reads(files: Sequence[Path]) -> list[Seen]:
    """Return slides as Impress reads them."""
    pictures = office_shows(files, (WIDTH, HEIGHT))
    _convert(files, "fodp")
    return [_slide(file, picture) for file, picture in zip(files, pictures, strict=True)]


def office_shows(files: Sequence[Path], size: tuple[int, int]) -> list[Image.Image]:
    """Return slides of `size` pixels as Impress shows them."""
    _convert(files, LOSSLESS)
    # A slide's sides are in hundredths of a millimeter there, and a pixel is added for what is left over.
    crop = ("-x", "0", "-y", "0", "-W", str(size[0]), "-H", str(size[1]))
    for file in files:
        run(["pdftoppm", "-r", "96", *crop, "-png", "-singlefile", file.with_suffix(".pdf"), file], file.parent)
    return [Image.open(f"{file}.png").convert("RGBA") for file in files]


def _convert(files: Sequence[Path], kind: str) -> None:
    folder = files[0].parent
    profile = f"-env:UserInstallation={(folder / 'office').as_uri()}"
    run(["soffice", profile, "--headless", "--convert-to", kind, "--outdir", folder, *files], folder)


def _slide(file: Path, picture: Image.Image) -> Seen:
    root = ElementTree.parse(file.with_suffix(".fodp")).getroot()
    (page,) = root.iter(f"{DRAW}page")
    fades = {
        style.get(f"{STYLE}name", ""): properties.get(f"{DRAW}image-opacity", "100%")
        for style in root.iter(f"{STYLE}style")
        for properties in style.iter(f"{STYLE}graphic-properties")
    }
    layers: list[Layer] = []
    nodes = [*_office_nodes(page, "", fades, layers)]
    return Seen(nodes=nodes, shown=picture, layers=layers)


def _office_nodes(
    parent: ElementTree.Element, around: str, fades: dict[str, str], layers: list[Layer]
) -> Iterator[Node]:
    for child in parent:
        name, opacity, is_group = child.get(f"{DRAW}name", ""), 1.0, child.tag == f"{DRAW}g"
        visible = child.get(f"{OFFICE_DRAW}display") != "none"
        if is_group:
            yield from _office_nodes(child, within(around, name), fades, layers)
        elif child.tag == f"{DRAW}frame":
            opacity = int(fades[child.get(f"{DRAW}style-name", "")].rstrip("%")) / 100
            x, y = (round(float(child.get(SVG + axis, "").removesuffix("cm")) * PIXELS_PER_CM) for axis in "xy")
            said = next(child.iter(BINARY)).text or ""
            image = Image.open(io.BytesIO(base64.b64decode(said))).convert("RGBA")
            layers.append(Layer(image=image, x=x, y=y, opacity=opacity, visible=visible))
        else:
            continue
        blend = PASS_THROUGH if is_group else "normal"
        yield Node(name, around, round(opacity * 255), visible, blend, is_group)
