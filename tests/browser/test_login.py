"""The login in a browser: the page, a wrong token, the right one, and a login that ends while the page is open."""

import re
from collections.abc import Callable, Iterator
from typing import Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import PATIENCE_MS
from tests.kit.service import Service, serve

TOKEN = "a-token-of-the-tests"


@pytest.fixture(scope="module")
def shut_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    environment = {"LLM_DIT_SERVER__TOKEN": TOKEN}
    with serve(tmp_path_factory.mktemp("shut"), environment=environment) as running:
        yield running


@pytest.fixture
def open_login(browser: Browser, shut_service: Service) -> Iterator[Callable[..., Page]]:
    """Open a page of the service in a fresh profile; the browser must not have complained when the test is over."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_page(path: str = "/") -> Page:
        context = browser.new_context()
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.goto(shut_service.url + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    # An answer of 4xx is reported by the browser itself, whatever comes of it.
    assert [text for text in complaints if "Failed to load resource" not in text] == []


def log_in(page: Page, token: str = TOKEN) -> None:
    page.get_by_label("Token", exact=True).fill(token)
    page.get_by_role("button", name="Open the studio").click()


def test_the_token_opens_the_page_that_was_asked_for(open_login: Callable[..., Page], shut_service: Service) -> None:
    page = open_login("/?picture=7")
    expect(page.get_by_label("Token", exact=True)).to_be_focused()
    log_in(page, "wrong")
    alert = page.get_by_role("alert")
    expect(alert).to_have_text("This is not the token.")
    expect(page.get_by_label("Token", exact=True)).to_be_focused()
    log_in(page)
    expect(page.locator(".engine[data-state=ready]")).to_be_visible()
    assert page.url == f"{shut_service.url}/?picture=7"
    assert "login" not in page.evaluate("document.cookie")
    page.reload()
    expect(page.locator(".engine[data-state=ready]")).to_be_visible()


def test_a_login_that_ends_leads_back_to_the_login_page(open_login: Callable[..., Page]) -> None:
    page = open_login()
    log_in(page)
    expect(page.locator(".engine[data-state=ready]")).to_be_visible()
    page.context.clear_cookies(name=re.compile("login"))
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_label("Token", exact=True)).to_be_visible()


def test_the_login_page_looks_like_the_product(open_login: Callable[..., Page]) -> None:
    page = open_login()
    looks: list[tuple[int, Literal["light", "dark"]]] = [(1280, "light"), (390, "dark"), (320, "light")]
    for width, scheme in looks:
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == ("rgb(14, 14, 17)" if scheme == "dark" else "rgb(243, 243, 245)")
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        for control in (page.get_by_label("Token", exact=True), page.get_by_role("button"), page.locator("summary")):
            box = control.bounding_box()
            assert box is not None and box["height"] >= 42
    page.locator("summary").click()
    expect(page.get_by_text("LLM_DIT_SERVER__TOKEN")).to_be_visible()


def test_a_browser_signs_out_on_the_page(open_login: Callable[..., Page], shut_service: Service) -> None:
    page = open_login()
    log_in(page)
    page.get_by_role("button", name="Theme and language").click()
    page.get_by_role("menuitem", name="Sign out").click()
    expect(page.get_by_label("Token", exact=True)).to_be_focused()
    assert page.request.get(f"{shut_service.url}/api/qwen-image/status").status == 401
