"""The main loop in Firefox and in WebKitGTK: open, take apart, hide, move, edit, undo, export, come back."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psd_tools
import pytest
from PIL import Image, ImageDraw

from tests.browser.studio import CANVAS_PIXELS
from tests.kit.service import Service, serve
from tests.kit.waiting import wait_until
from tests.stress.browsers import Browser, firefox, missing, webkit
from tests.stress.programs import screen

pytestmark = [pytest.mark.long, pytest.mark.timeout(0)]

DISC = (0.15, 0.3, 0.4, 0.55)
"""A box within the disc of the picture, as shares of it."""
FIND = """
(name, within) => {
  const all = [...document.querySelectorAll(`${within} :is(button, summary, [role=menuitem], [role=radio])`)];
  const told = (element) => (element.getAttribute("aria-label") || element.textContent).trim();
  const found = all.find((one) => one.checkVisibility({ visibilityProperty: true }) && told(one).startsWith(name));
  if (!found || found.disabled) return null;
  found.scrollIntoView({ block: "nearest" });
  const { x, y, width, height } = found.getBoundingClientRect();
  return [Math.round(x + width / 2), Math.round(y + height / 2)];
}
"""
NAMES = "() => [...document.querySelectorAll('.layer .layer-name')].map((name) => name.textContent)"


SELECTED = "() => document.querySelector('.layer.selected .layer-name')?.textContent"


class Page:
    """The page in a browser, as somebody with a mouse and a keyboard uses it."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser

    def click(self, name: str, within: str = "") -> None:
        seen: list[object] = [None]

        def rests() -> bool:
            seen.append(self.browser.run(FIND, name, within))
            return seen[-1] is not None and seen[-1] == seen[-2]

        wait_until(rests, f"{name!r} at rest", every_s=0.1)
        self.drag([seen[-1]])  # type: ignore[list-item]

    def drag(self, places: list[list[int]]) -> None:
        """Press at the first place, and let go at the last."""
        (x, y), *others = places
        moves = [{"type": "pointerMove", "x": x, "y": y, "duration": 60} for x, y in others]
        start = {"type": "pointerMove", "x": x, "y": y, "duration": 0}
        ends = [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        self.browser.act("pointer", [start, ends[0], *moves, ends[1]])

    def type(self, text: str) -> None:
        keys = [{"type": kind, "value": letter} for letter in text for kind in ("keyDown", "keyUp")]
        self.browser.act("key", keys)

    def undo(self) -> None:
        control, key = "\ue009", "z"
        strokes = [("keyDown", control), ("keyDown", key), ("keyUp", key), ("keyUp", control)]
        self.browser.act("key", [{"type": kind, "value": value} for kind, value in strokes])

    @property
    def names(self) -> list[str]:
        return self.browser.run(NAMES)

    def pixels(self, box: tuple[float, ...] = (0.0, 0.0, 1.0, 1.0)) -> list[float]:
        function = f"(box) => ({CANVAS_PIXELS.strip()})(document.querySelector('.stage-canvas'), box)"
        return self.browser.run(function, box)

    def wait(self, condition: str, what: str) -> None:
        wait_until(lambda: self.browser.run(f"() => Boolean({condition})"), what, every_s=0.1)

    def place(self, x: float, y: float) -> list[int]:
        """Return where a place of the picture, as shares of it, is on the screen."""
        paper = "() => { const box = document.querySelector('.stage-paper').getBoundingClientRect();"
        left, top, width, height = self.browser.run(f"{paper} return [box.x, box.y, box.width, box.height]; }}")
        return [round(left + x * width), round(top + y * height)]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    if lacking := missing():
        pytest.fail("Browsers are missing:\n" + "\n".join(lacking))
    with serve(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """Three shapes on white, an orange disc at the top left."""
    image = Image.new("RGB", (240, 180), "white")
    pen = ImageDraw.Draw(image)
    pen.ellipse((20, 30, 110, 120), fill=(240, 130, 30))
    pen.rectangle((140, 70, 220, 150), fill=(30, 140, 60))
    pen.polygon([(60, 135), (120, 170), (20, 170)], fill=(40, 80, 200))
    image.save(tmp_path / "shapes.png")
    return tmp_path / "shapes.png"


@pytest.mark.parametrize("name", ["Firefox", "WebKitGTK"])
def test_the_main_loop(name: str, service: Service, tmp_path: Path, picture: Path) -> None:
    with firefox(tmp_path) if name == "Firefox" else webkit(tmp_path, screen()) as browser:
        _go_through(Page(browser), service, picture)
        assert browser.complaints == []


def _go_through(page: Page, service: Service, picture: Path) -> None:
    browser = page.browser
    browser.open(service.url)
    page.wait("document.querySelector('.engine[data-state=ready]')", "an engine")
    browser.choose(".welcome input[type=file]", picture)
    page.click("Decompose", ".source")
    wait_until(lambda: len(page.names) >= 4, "layers")
    names = page.names
    orange = [240.0, 130.0, 30.0, 255.0]
    wait_until(lambda: _like(page.pixels(DISC), orange), "the picture")

    # A click on the disc selects its layer.
    page.drag([page.place(0.27, 0.42)])
    page.wait(f"({SELECTED})()", "a selected layer")
    disc = browser.run(SELECTED)
    page.click(f"Hide {disc}")
    wait_until(lambda: not _like(page.pixels(DISC), orange), "no disc")
    page.undo()
    wait_until(lambda: _like(page.pixels(DISC), orange), "the disc")
    page.drag([page.place(0.27, 0.42), page.place(0.4, 0.6), page.place(0.6, 0.42)])
    wait_until(lambda: not _like(page.pixels(DISC), orange), "the disc elsewhere")
    page.undo()
    wait_until(lambda: _like(page.pixels(DISC), orange), "the disc back")

    page.click(f"Edit {disc}")
    page.wait("document.querySelector('dialog.edit-dialog[open] textarea')", "the edit window")
    browser.run("() => document.querySelector('dialog.edit-dialog textarea').focus()")
    page.type("make it blue")
    page.click("Apply", "dialog.edit-dialog")
    page.click("Replace layer", "dialog.edit-dialog")
    wait_until(lambda: _is_blue(page.pixels(DISC)), "a blue disc")
    page.undo()
    wait_until(lambda: _like(page.pixels(DISC), orange), "an orange disc")

    page.click("Export")
    page.click("Photoshop (PSD)")
    wait_until(lambda: _saved(browser.downloads) == names[::-1], "the file")

    page.wait("document.querySelector('.saved[data-state=saved]')", "saved work")
    address = browser.run("() => location.href")
    assert service.url != address.rstrip("/")
    browser.open("about:blank")
    browser.open(address)
    wait_until(lambda: page.names == names, "the layers again")
    wait_until(lambda: _like(page.pixels(DISC), orange), "the picture again")


def _saved(folder: Path) -> list[str]:
    """Return the layers of the file in a folder, bottom first; none before all of it is there."""
    with contextlib.suppress(OSError):
        return [layer.name for file in folder.glob("*.psd") for layer in psd_tools.PSDImage.open(file)]
    return []


def _like(one: list[float], other: list[float]) -> bool:
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) < 6


def _is_blue(pixels: list[float]) -> bool:
    return pixels[2] > pixels[0] + 60
