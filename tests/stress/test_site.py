"""The documentation's site as `make docs` leaves it, opened from the disk: it searches and asks no other host."""

import re

import pytest
from playwright.sync_api import expect, sync_playwright

from scripts.build_site import SITE
from tests.browser.conftest import chromium_path


@pytest.mark.skipif(not (SITE / "index.html").exists(), reason="run make docs first")
def test_the_site_searches_without_a_server() -> None:
    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: asked.append(f"error: {error}"))
        page.goto((SITE / "guides" / "edit.html").as_uri())
        page.get_by_role("button", name="Search").first.click()
        field = page.get_by_placeholder("Search")
        expect(field).to_be_focused()
        field.press_sequentially("webhook")
        expect(page.get_by_text(re.compile(r"^\d+ results$"))).to_be_visible()
        field.press("Enter")
        page.wait_for_url("**/operating.html#webhook")
        browser.close()
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
