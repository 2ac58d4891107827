"""Take the pictures of the page that the documentation shows.

`python scripts/screenshots.py http://127.0.0.1:8000 [FOLDER]`, with the service running there. The browser is the one
that CHROMIUM names, the system's, or Playwright's own.
"""

import io
import os
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

SAMPLE = "House and garden"
INSTRUCTION = "make it look vintage"
STANDSTILL = """
() => Promise.all(document.getAnimations()
  .filter((animation) => animation.effect.getTiming().iterations === 1)
  .map((animation) => animation.finished.catch(() => 0)))
"""


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit("usage: python scripts/screenshots.py URL [FOLDER]")
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).parent.parent / "docs" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        path = os.environ.get("CHROMIUM") or shutil.which("chromium") or playwright.chromium.executable_path
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        desktop(open_page(browser, sys.argv[1], 1440, 900, "light"), folder, "light")
        desktop(open_page(browser, sys.argv[1], 1440, 900, "dark"), folder, "dark")
        phone(open_page(browser, sys.argv[1], 390, 844, "light", touch=True), folder)
        browser.close()


def open_page(browser: Browser, url: str, width: int, height: int, scheme: str, *, touch: bool = False) -> Page:
    page = browser.new_context(
        viewport={"width": width, "height": height},
        device_scale_factor=2 if touch else 1,
        color_scheme="dark" if scheme == "dark" else "light",
        has_touch=touch,
        is_mobile=touch,
    ).new_page()
    page.goto(url)
    expect(page.locator(".engine[data-state=ready]")).to_be_visible()
    return page


def desktop(page: Page, folder: Path, scheme: str) -> None:
    shoot(page, folder, f"empty-{scheme}")
    open_sample(page)
    page.locator(".source .primary").click()
    expect(page.locator(".job-detail")).to_contain_text("step")
    shoot(page, folder, f"working-{scheme}")
    wait_for_layers(page)
    shoot(page, folder, f"layers-{scheme}")
    page.locator(".layer .edit").first.click()
    apply(page, "add a hat")
    expect(page.locator(".edit-dialog .callout")).to_be_visible()
    shoot(page, folder, f"error-{scheme}")
    apply(page, INSTRUCTION)
    expect(page.get_by_role("button", name="Replace layer")).to_be_visible()
    shoot(page, folder, f"compare-{scheme}")


def phone(page: Page, folder: Path) -> None:
    shoot(page, folder, "phone-empty")
    open_sample(page)
    page.locator(".source .primary").click()
    wait_for_layers(page)
    shoot(page, folder, "phone-layers")
    page.locator(".layer .edit").first.click()
    apply(page, INSTRUCTION)
    expect(page.get_by_role("button", name="Replace layer")).to_be_visible()
    shoot(page, folder, "phone-compare")


def open_sample(page: Page) -> None:
    page.get_by_role("button", name=SAMPLE).click()
    expect(page.locator(".source .primary")).to_be_enabled()


def wait_for_layers(page: Page) -> None:
    expect(page.locator(".layer").first).to_be_visible(timeout=120_000)
    page.get_by_role("button", name="Dismiss").click()


def apply(page: Page, instruction: str) -> None:
    page.get_by_label("Instruction").fill(instruction)
    page.get_by_role("button", name="Apply").click()


def shoot(page: Page, folder: Path, name: str) -> None:
    """Wait until the page stands still, then take its picture."""
    page.wait_for_load_state("networkidle")
    page.evaluate(STANDSTILL)
    with Image.open(io.BytesIO(page.screenshot())) as image:
        image.convert("RGB").save(folder / f"{name}.webp", quality=90, method=6)
    print(folder / f"{name}.webp")


if __name__ == "__main__":
    main()
