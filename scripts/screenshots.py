"""Take the pictures of the page that the documentation shows.

`python scripts/screenshots.py http://127.0.0.1:8000 [FOLDER]`, with the service running there. The browser is the one
that CHROMIUM names, the system's, or Playwright's own; for the Chinese picture the system needs a Chinese font.
"""

import io
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Route, expect, sync_playwright

INSTRUCTION = "make it look vintage"
STANDSTILL = """
() => Promise.all(document.getAnimations()
  .filter((animation) => animation.effect.getTiming().iterations === 1)
  .map((animation) => animation.finished.catch(() => 0)))
"""
SAVED = "() => ['saved', 'failed'].includes(document.querySelector('.saved').dataset.state)"
DESK: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}
HOUSE, POSTER, STILL_LIFE, NIGHT = range(4)


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit("usage: python scripts/screenshots.py URL [FOLDER]")
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).parent.parent / "docs" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        path = os.environ.get("CHROMIUM") or shutil.which("chromium") or playwright.chromium.executable_path
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        work(open_page(browser, sys.argv[1], **DESK), folder)
        dark(open_page(browser, sys.argv[1], **DESK, color_scheme="dark"), folder)
        chinese(open_page(browser, sys.argv[1], **DESK, locale="zh-CN"), folder)
        phone(open_page(browser, sys.argv[1], **PHONE), folder)
        guides(open_page(browser, sys.argv[1], **DESK), folder)
        harmonize(open_page(browser, sys.argv[1], **DESK), folder)
        context(open_page(browser, sys.argv[1], **DESK), folder)
        browser.close()


def open_page(browser: Browser, url: str, **how: Any) -> Page:
    page = browser.new_context(**how, reduced_motion="reduce").new_page()
    page.goto(url)
    expect(page.locator(".engine[data-state=ready]")).to_be_visible()
    return page


def work(page: Page, folder: Path) -> None:
    """One picture's way from the start to the export."""
    shoot(page, folder, "empty")
    open_sample(page, HOUSE)
    page.locator(".source .primary").click()
    expect(page.locator(".job-detail")).to_contain_text("Cutting out", timeout=60_000)
    shoot(page, folder, "working")
    wait_for_layers(page)
    select(page, "top right")
    shoot(page, folder, "layers")
    page.locator(".layer .edit").first.click()
    expect(page.locator(".edit-dialog canvas").first).to_be_visible()
    shoot(page, folder, "edit")
    apply(page, "add a hat")
    expect(page.locator(".edit-dialog .callout")).to_be_visible()
    shoot(page, folder, "error")
    apply(page, INSTRUCTION)
    expect(page.get_by_role("button", name="Replace layer")).to_be_visible()
    shoot(page, folder, "compare")
    for count, instruction in enumerate(("make it blue", "make it much darker", "add a warm glow"), start=3):
        apply(page, instruction)
        expect(page.locator(".version-tile[data-kind=version]")).to_have_count(count, timeout=60_000)
    page.get_by_role("radio", name="Side by side").check()
    page.get_by_role("radio", name="In picture").check()
    page.locator(".version-tile[data-kind=version]").nth(3).click()
    shoot(page, folder, "versions")
    page.get_by_role("button", name="Replace layer").click()
    page.get_by_role("button", name="Dismiss").click()
    page.get_by_role("button", name="Export").click()
    shoot(page, folder, "export")


def dark(page: Page, folder: Path) -> None:
    open_sample(page, NIGHT)
    page.locator(".source .primary").click()
    wait_for_layers(page)
    page.locator(".layer-more summary").click()
    shoot(page, folder, "dark")


def chinese(page: Page, folder: Path) -> None:
    open_sample(page, STILL_LIFE)
    page.locator(".source .primary").click()
    wait_for_layers(page)
    page.locator(".layer-more .icon-button").nth(2).click()
    shoot(page, folder, "chinese")


def phone(page: Page, folder: Path) -> None:
    open_sample(page, POSTER)
    page.locator(".source .primary").click()
    wait_for_layers(page)
    page.evaluate("scrollTo(0, 0)")
    shoot(page, folder, "phone")


def guides(page: Page, folder: Path) -> None:
    """Named things, a region, a group with its fields."""
    open_sample(page, HOUSE)
    page.get_by_role("button", name="Name things").click()
    drag(page, page.locator(".stage-paper"), (0.73, 0.05), (0.92, 0.3))
    page.keyboard.type("Sun")
    shoot(page, folder, "things")
    page.locator(".source .primary").click()
    wait_for_layers(page)
    page.locator(".layer .edit").nth(2).click()
    expect(page.locator(".edit-dialog canvas").first).to_be_visible()
    page.get_by_label("Instruction").fill("change the color to orange")
    page.get_by_role("radio", name="Box", exact=True).check()
    drag(page, page.locator(".edit-dialog .compare-view"), (0.04, 0.3), (0.36, 0.74))
    shoot(page, folder, "region")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(page.locator(".edit-dialog")).to_be_hidden()
    page.locator(".layer-main").nth(0).click()
    page.locator(".layer-main").nth(1).click(modifiers=["Control"])
    page.keyboard.press("Control+g")
    page.keyboard.press("F2")
    page.keyboard.type("Sky")
    page.keyboard.press("Enter")
    page.locator(".layer-main").nth(0).click()
    page.keyboard.press("r")
    page.locator(".layer-more summary").first.click()
    shoot(page, folder, "groups")


def harmonize(page: Page, folder: Path) -> None:
    open_sample(page, STILL_LIFE)
    page.locator(".source .primary").click()
    wait_for_layers(page)
    page.locator(".layer-main").first.click()
    page.get_by_role("button", name=re.compile("^More for")).first.click()
    page.get_by_role("menuitem", name=re.compile("^Harmonize")).first.hover()
    shoot(page, folder, "harmonize")


def context(page: Page, folder: Path) -> None:
    """The edit window of a service whose engine takes context: the page is told so, and no run is made."""

    def answer(route: Route) -> None:
        config = route.fetch().json()
        config["capabilities"]["edit"] = ["steps", "cfg_scale", "speed", "seed", "context"]
        config["capabilities"] |= {"any_instruction": True, "references": 3}
        route.fulfill(json=config)

    open_sample(page, HOUSE)
    page.locator(".source .primary").click()
    wait_for_layers(page)
    page.wait_for_function(SAVED)
    page.route("**/api/qwen-image/config", answer)
    page.reload()
    page.locator(".layer .edit").first.click()
    expect(page.locator(".edit-dialog canvas").first).to_be_visible()
    page.get_by_label("Instruction").fill("light it like a sunset, as the sky around it")
    page.get_by_role("checkbox", name="Show the model").evaluate("(box) => box.scrollIntoView({ block: 'end' })")
    shoot(page, folder, "context")


def drag(page: Page, element: Locator, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag between two places of an element, as shares of its size."""
    box = element.bounding_box()
    assert box is not None
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(*at[0])
    page.mouse.down()
    page.mouse.move(*at[1], steps=8)
    page.mouse.up()


def open_sample(page: Page, number: int) -> None:
    page.locator(".samples .sample").nth(number).click()
    expect(page.locator(".source .primary")).to_be_enabled()


def wait_for_layers(page: Page) -> None:
    expect(page.locator(".layer").first).to_be_visible(timeout=240_000)
    page.locator(".notice .icon-button").click()


def select(page: Page, name: str) -> None:
    """Select the layer of that name, if the picture came apart so that there is one."""
    row = page.locator(".layer-main").filter(has_text=name)
    if row.count():
        row.first.click()


def apply(page: Page, instruction: str) -> None:
    page.get_by_label("Instruction").fill(instruction)
    page.get_by_role("button", name="Apply").click()


def shoot(page: Page, folder: Path, name: str) -> None:
    """Wait until the page stands still and has saved, then take its picture."""
    page.wait_for_load_state("networkidle")
    page.wait_for_function(SAVED)
    page.evaluate(STANDSTILL)
    with Image.open(io.BytesIO(page.screenshot())) as image:
        image.convert("RGB").save(folder / f"{name}.webp", quality=88, method=6)
    print(folder / f"{name}.webp")


if __name__ == "__main__":
    main()
