"""axe finds nothing serious or critical in any state of the page.

Each state is looked at on a phone, in light and in Chinese, by all rules, and its colors once more on a desk in the
dark; whole pages are looked at by all rules there, too, in English.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.axe import OF_COLORS, RULES, violations
from tests.browser.studio import Studio

DESK: dict[str, Any] = {"width": 1280, "height": 800, "scheme": "dark"}
PHONE: dict[str, Any] = {"width": 360, "height": 740, "touch": True, "language": "zh-CN"}


@pytest.mark.parametrize("how", [DESK, PHONE], ids=["desk", "phone"])
def test_every_state(open_studio: Callable[..., Studio], picture: Path, how: dict[str, Any]) -> None:
    studio = open_studio(**how, bypass_csp=True)
    page = studio.page
    found: dict[str, Any] = {}

    def look(state: str, within: str = "") -> None:
        """Look at the part of the page that is not as it was at the look before."""
        # What lies under a menu or a modal cannot be reached while it is open.
        open_parts = (part for part in (".menu", "dialog[open]") if page.locator(part).count())
        scope = within or next(open_parts, "html")
        if within == ".layers":
            # On a phone a row may have stopped halfway under the picture, where it is a small target.
            page.locator(within).evaluate("(panel) => panel.scrollIntoView()")
        # What is in a part is the same on every screen, but for its colors in the dark; how a page is built is not.
        if wrong := violations(page, scope, RULES if how is PHONE or scope == "html" else OF_COLORS):
            found[state] = wrong

    def escape(*, dialogs: int = 0) -> None:
        """Leave what is open, and wait until it is: it must not be taken for a part of the next state."""
        page.keyboard.press("Escape")
        expect(page.locator(".menu")).to_have_count(0)
        expect(page.locator("dialog[open]")).to_have_count(dialogs)

    look("start")
    page.keyboard.press("?")
    expect(page.locator(".help-dialog")).to_be_visible()
    look("help")
    escape()
    page.locator(".engine").click()
    expect(page.locator(".engine-dialog")).to_be_visible()
    look("engine")
    escape()
    page.locator(".settings").click()
    look("settings menu")
    escape()
    page.locator(".welcome input[type=file]").first.set_input_files(picture)
    expect(page.locator(".source .primary")).to_be_enabled()
    look("picture")
    page.locator(".thing-tools button").last.click()
    expect(page.locator(".thing-list input")).to_be_focused()
    look("things", within=".desk")
    page.locator(".thing-list button").last.click()
    escape()
    page.locator(".source .primary").click()
    expect(studio.rows).to_have_count(4)
    look("layers")
    page.keyboard.press("Control+a")
    page.locator(".layer-main").first.click(button="right")
    look("several, with a menu")
    escape()
    page.locator(".layer-main").first.click()
    # Where there is nothing on the stage a menu has the canvas.
    page.locator(".stage-view").click(button="right", position={"x": 4, "y": 90})
    page.get_by_role("menuitem").last.click()
    expect(page.locator(".canvas-dialog")).to_be_visible()
    look("canvas")
    escape()
    page.keyboard.press("w")
    look("select object", within=".stage")
    escape()
    page.keyboard.press("b")
    look("brush", within=".stage")
    escape()
    page.locator(".layer-more summary").click()
    page.locator(".layer .eye").last.click()
    look("panel", within=".layers")
    page.locator(".layer-more .icon-button").nth(2).click()
    look("layer menu")
    escape()
    page.keyboard.press("Control+g")
    expect(page.locator(".group")).to_be_visible()
    look("group", within=".layers")
    page.keyboard.press("Control+z")
    page.keyboard.press("y")
    expect(page.locator(".state").last).to_be_visible()
    expect(page.locator(".state canvas")).to_have_count(page.locator(".state").count())
    page.locator(".state .icon-button").first.click()
    look("history, with states that are compared", within=":is(.stage, .history)")
    page.keyboard.press("y")
    page.locator(".export-bar button").last.click()
    look("export menu")
    escape()
    page.locator(".project-button").click()
    look("project menu")
    escape()
    page.keyboard.press("F2")
    look("rename", within=".layers")
    escape()
    page.keyboard.press("d")
    page.keyboard.press("Delete")
    expect(page.locator(".notice")).to_be_visible()
    look("difference, with a notice", within=":is(.stage, .layers, .notices)")
    page.locator(".layer .edit").last.click()
    expect(studio.dialog).to_be_visible()
    look("edit")
    studio.dialog.locator("textarea").fill("add a hat")
    studio.dialog.locator(".primary").first.click()
    expect(studio.dialog.get_by_role("alert")).to_be_visible()
    look("error", within=".edit-body")
    studio.dialog.locator("textarea").fill("make it blue")
    studio.dialog.locator(".primary").first.click()
    expect(studio.dialog.locator(".edit-decide")).to_be_visible()
    look("result")
    # The first way is the one that a result is shown in.
    for way in studio.dialog.locator(".compare-ways input").all()[1:]:
        way.check()
        look(f"compare {way.get_attribute('value')}", within=".compare")
    studio.dialog.locator(".edit-body > .segmented input").last.check()
    studio.dialog.locator(".version-tile[data-kind=failed]").click()
    look("in the picture, with a failed try")
    studio.dialog.locator(".edit-history").click()
    look("history menu")
    escape(dialogs=1)
    studio.dialog.locator(".edit-draft .button").last.click()
    expect(studio.dialog.locator(".notice")).to_be_visible()
    look("notice in the modal", within=".notices")
    escape()
    page.locator(".project-button").click()
    page.get_by_role("menuitem").last.click()
    expect(page.locator(".projects-dialog li").first).to_be_visible()
    look("projects")
    escape()
    page.keyboard.press("j")
    expect(page.locator(".job").first).to_be_visible()
    look("jobs")
    assert found == {}, found
