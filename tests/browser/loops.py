"""The whole loop by mouse, by keyboard alone and by touch, on whatever engine runs.

Decompose, edit, compare, accept, undo, reorder, export, reload, and go on.
"""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.studio import Studio

NARROW = """
() => [...document.querySelectorAll("button, summary, input, textarea")]
  .filter((e) => e.checkVisibility({ visibilityProperty: true }) && !e.closest(".visually-hidden, .compare-range"))
  .map((e) => (e.type === "checkbox" ? e.labels[0] : e))
  .map((e) => [e.getAttribute("aria-label") || e.textContent || e.type, e.getBoundingClientRect()])
  .filter(([, box]) => box.width > 0 && (box.height < 43.5 || box.width < 37.5))
  .map(([name, box]) => `${name} ${box.width} × ${box.height}`)
"""


def tab_to(studio: Studio, name: str) -> None:
    """Press Tab until the element of that name has the focus."""
    seen = []
    for _ in range(60):
        studio.page.keyboard.press("Tab")
        label = studio.page.evaluate(
            "() => { const e = document.activeElement;"
            " return e.getAttribute('aria-label') || e.labels?.[0]?.textContent || e.textContent; }"
        )
        seen.append(label)
        if label.startswith(name):
            return
    pytest.fail(f"Tab never came to {name!r}, only to {seen}")


def by_keyboard(studio: Studio, description: str) -> None:
    """Go through the loop by keyboard alone, with a `description` of the picture, as for a model."""
    keyboard = studio.page.keyboard
    tab_to(studio, "Night camp")
    keyboard.press("Enter")
    expect(studio.decompose_button).to_be_focused()
    keyboard.press("Shift+Tab")
    keyboard.press("Shift+Tab")
    keyboard.press("ArrowLeft")
    keyboard.press("ArrowLeft")
    expect(studio.page.get_by_role("radio", name="640")).to_be_checked()
    keyboard.press("Shift+Tab")
    keyboard.press("Shift+Tab")
    keyboard.press("Home")
    keyboard.press("ArrowRight")
    keyboard.press("ArrowRight")
    keyboard.press("Shift+Tab")
    keyboard.type(description)
    keyboard.press("Control+Enter")
    expect(studio.rows).to_have_count(3)
    top, middle, bottom = studio.names()

    tab_to(studio, f"Select {top}")
    keyboard.press("ArrowDown")
    expect(studio.button(f"Select {middle}")).to_be_focused()
    keyboard.press("Alt+ArrowUp")
    expect(studio.layer_names).to_have_text([middle, top, bottom])
    expect(studio.button(f"Select {middle}")).to_be_focused()
    keyboard.press("v")
    expect(studio.button(f"Show {middle}")).to_be_visible()
    keyboard.press("F2")
    keyboard.type("Boat")
    keyboard.press("Enter")
    expect(studio.layer_names.first).to_have_text("Boat")

    keyboard.press("ArrowDown")
    keyboard.press("ArrowDown")
    before = settled(studio)
    keyboard.press("e")
    expect(studio.instruction).to_be_focused()
    keyboard.type("make it much brighter")
    keyboard.press("Control+Enter")
    expect(studio.button("Replace layer")).to_be_focused()
    keyboard.press("r")
    expect(studio.version("v3")).to_be_checked()
    keyboard.press("Delete")
    expect(studio.version("v3")).to_have_count(0)
    tab_to(studio, "Slider")
    keyboard.press("ArrowRight")
    expect(studio.button("Hold to see before")).to_be_visible()
    keyboard.press("Escape")
    expect(studio.button(f"Edit {bottom}, result waiting")).to_be_visible()
    expect(studio.button(f"Select {bottom}")).to_be_focused()
    keyboard.press("e")
    expect(studio.button("Replace layer")).to_be_focused()
    keyboard.press("a")
    studio.wait_for(lambda: difference(studio.pixels(), before) > 2, "another picture")
    edited = settled(studio)
    keyboard.press("Control+z")
    studio.wait_for(lambda: difference(studio.pixels(), before) < 1, "the picture of before")
    tab_to(studio, "Export")
    with studio.page.expect_download():
        keyboard.press("Enter")
        keyboard.press("ArrowDown")
        keyboard.press("Enter")
    expect(studio.button("Export")).to_be_focused()
    studio.wait_until_saved()
    studio.page.reload()
    expect(studio.rows).to_have_count(3)
    keyboard.press("Control+Shift+z")
    studio.wait_for(lambda: difference(studio.pixels(), edited) < 1, "the edited picture again")
    keyboard.press("Control+z")
    keyboard.press("?")
    expect(studio.page.get_by_role("dialog", name="Shortcuts")).to_be_visible()
    keyboard.press("Escape")
    expect(studio.page.get_by_role("dialog", name="Shortcuts")).to_be_hidden()


def _look_at_the_difference(studio: Studio) -> None:
    """Whatever the bar over the stage says, it lies within the screen."""
    bar = studio.page.locator(".mode-bar")
    compare = studio.page.locator(".zoom-compare")
    compare.tap()
    bar.get_by_role("radio", name="Difference").tap()
    expect(bar.locator(".mode-hint")).to_contain_text(re.compile("original ·|dB ·"))
    box = studio.box(bar)
    assert box.x >= 0
    assert box.x + box.width <= studio.page.evaluate("innerWidth")
    compare.tap()
    expect(bar).to_be_hidden()


def by_touch(studio: Studio, picture: Path, description: str = "") -> None:
    """Go through the loop on a phone; nothing is ever wider than the screen, or too small for a finger."""
    studio.choose(picture)
    if description:
        studio.page.get_by_label("Describe the picture").tap()
        studio.page.keyboard.type(description)
    assert studio.overflow() == 0
    assert studio.page.evaluate(NARROW) == []
    studio.decompose_button.tap()
    expect(studio.rows).to_have_count(4)
    assert studio.overflow() == 0
    assert studio.page.evaluate(NARROW) == []
    _look_at_the_difference(studio)
    top, *_, bottom = studio.names()
    studio.button(f"Move {top} down").tap()
    expect(studio.layer_names.nth(1)).to_have_text(top)
    studio.button(f"Edit {bottom}").tap()
    assert studio.page.evaluate(NARROW) == []
    studio.button("Make it look vintage").tap()
    studio.button("Apply").tap()
    expect(studio.version("v2")).to_be_checked()
    # White all over, as this layer is, it has no colors for "more vibrant" to change.
    studio.button("Add a warm glow").tap()
    studio.button("Apply").tap()
    studio.version("v3").tap()
    assert studio.page.evaluate(NARROW) == []
    for way in ("Blink", "Difference", "Side by side"):
        studio.dialog.get_by_role("radio", name=way).tap()
        expect(studio.dialog.get_by_role("radio", name=way)).to_be_checked()
        assert studio.page.evaluate(NARROW) == []
    assert studio.overflow() == 0
    studio.button("Discard").tap()
    expect(studio.version("v3")).to_have_count(0)
    studio.version("v2").tap()
    studio.button("Replace layer").tap()
    expect(studio.dialog).to_be_hidden()
    expect(studio.rows.last).to_contain_text("v2")
    assert studio.overflow() == 0

    studio.button("Undo: Edit").tap()
    expect(studio.rows.last).not_to_contain_text("v2")
    studio.button("Redo: Edit").tap()
    studio.button("Export").tap()
    assert studio.page.evaluate(NARROW) == []
    with studio.page.expect_download():
        studio.page.get_by_role("menuitem", name="Picture (PNG)").tap()
    studio.wait_until_saved()
    studio.page.reload()
    expect(studio.rows.last).to_contain_text("v2")
    expect(studio.layer_names.nth(1)).to_have_text(top)
    studio.button("Undo: Edit").tap()
    expect(studio.rows.last).not_to_contain_text("v2")


def difference(first: list[float], second: list[float]) -> float:
    """Return by how much the means of a channel differ at most, of 255."""
    return max(abs(a - b) for a, b in zip(first, second, strict=True))


def settled(studio: Studio) -> list[float]:
    """Return the means of the stage's picture when all that belongs to it is painted, whether it is opaque or not."""
    expect(studio.page.locator(".stage-canvas")).to_have_attribute("aria-busy", "false")
    seen = [studio.pixels()]

    def rests() -> bool:
        studio.draw()
        seen.append(studio.pixels())
        return seen[-1][3] > 0 and difference(*seen[-2:]) == 0

    studio.wait_for(rests, "a picture that rests")
    return seen[-1]
