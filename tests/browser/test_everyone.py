"""By keyboard alone, by touch on a phone, in light and in dark."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.studio import Studio
from tests.conftest import Service

NARROW = """
() => [...document.querySelectorAll("button, summary, input, textarea")]
  .filter((e) => e.checkVisibility({ visibilityProperty: true }) && !e.closest(".visually-hidden, .compare-range"))
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


def test_the_loop_by_keyboard_alone(studio: Studio) -> None:
    keyboard = studio.page.keyboard
    tab_to(studio, "Balloons")
    keyboard.press("Enter")
    expect(studio.decompose_button).to_be_focused()
    keyboard.press("Shift+Tab")
    keyboard.press("Shift+Tab")
    keyboard.press("ArrowLeft")
    keyboard.press("ArrowLeft")
    expect(studio.page.get_by_role("radio", name="640")).to_be_checked()
    keyboard.press("Shift+Tab")
    keyboard.press("Home")
    keyboard.press("ArrowRight")
    keyboard.press("ArrowRight")
    keyboard.press("Control+Enter")
    expect(studio.rows).to_have_count(3, timeout=60_000)
    studio.wait_for_paint()
    top, middle, bottom = studio.names()

    tab_to(studio, f"Select {top}")
    keyboard.press("ArrowDown")
    expect(studio.button(f"Select {middle}")).to_be_focused()
    keyboard.press("Alt+ArrowUp")
    assert studio.names() == [middle, top, bottom]
    expect(studio.button(f"Select {middle}")).to_be_focused()
    keyboard.press("v")
    expect(studio.button(f"Show {middle}")).to_be_visible()
    keyboard.press("F2")
    keyboard.type("Balloon")
    keyboard.press("Enter")
    assert studio.names()[0] == "Balloon"

    keyboard.press("ArrowDown")
    keyboard.press("ArrowDown")
    before = studio.pixels()
    keyboard.press("e")
    expect(studio.instruction).to_be_focused()
    keyboard.type("make it much darker")
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
    studio.wait_for(lambda: sum(studio.pixels()) < sum(before) - 30, "a darker picture")
    keyboard.press("Control+z")
    studio.wait_for(lambda: abs(sum(studio.pixels()) - sum(before)) < 3, "the picture of before")
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
    studio.wait_for(lambda: sum(studio.pixels()) < sum(before) - 30, "the darker picture again")
    keyboard.press("Control+z")
    keyboard.press("?")
    expect(studio.page.get_by_role("dialog", name="Shortcuts")).to_be_visible()
    keyboard.press("Escape")
    expect(studio.page.get_by_role("dialog", name="Shortcuts")).to_be_hidden()


@pytest.mark.parametrize("width", [390, 360])
def test_the_loop_by_touch(open_studio: Callable[..., Studio], picture: Path, width: int) -> None:
    studio = open_studio(width=width, height=844, touch=True)
    studio.choose(picture)
    assert studio.overflow() == 0
    assert studio.page.evaluate(NARROW) == []
    studio.decompose_button.tap()
    expect(studio.rows).to_have_count(4, timeout=60_000)
    studio.wait_for_paint()
    assert studio.overflow() == 0
    assert studio.page.evaluate(NARROW) == []
    top = studio.names()[0]
    studio.button(f"Move {top} down").tap()
    assert studio.names()[1] == top
    studio.button("Edit Background").tap()
    assert studio.page.evaluate(NARROW) == []
    studio.button("Make it look vintage").tap()
    studio.dialog.get_by_role("radio", name="2", exact=True).tap()
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
    assert studio.names()[1] == top
    studio.button("Undo: Edit").tap()
    expect(studio.rows.last).not_to_contain_text("v2")


def test_over_plain_http_from_another_host(
    open_studio: Callable[..., Studio], start_service: Callable[..., Service], picture: Path
) -> None:
    service = start_service(environment={"LLM_DIT_SERVER__ALLOWED_HOSTS": "studio.test"})
    studio = open_studio(at=dataclasses.replace(service, url=service.url.replace("127.0.0.1", "studio.test")))
    assert not studio.page.evaluate("isSecureContext")
    studio.choose(picture)
    studio.decompose(layers=2)
    studio.edit("Background", "make it darker")
    studio.button("Replace layer").click()
    studio.menu("Export", "Copy picture")
    with studio.page.expect_download():
        studio.button("Save PNG").click()
    studio.wait_until_saved()
    studio.page.reload()
    expect(studio.rows.last).to_contain_text("v2")


def test_in_chinese(open_studio: Callable[..., Studio], picture: Path) -> None:
    studio = open_studio(language="zh-CN")
    page = studio.page
    expect(page.get_by_text("把图片拆成图层")).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == "zh-Hans"
    page.locator(".welcome input[type=file]").first.set_input_files(picture)
    page.get_by_role("button", name="分解").click()
    expect(page.locator(".layer")).to_have_count(4, timeout=60_000)
    names = studio.names()
    assert names[-1] == "背景"
    assert all("色，" in name for name in names[:-1])
    page.locator(".settings").click()
    page.get_by_role("menuitemradio", name="English").click()
    expect(studio.button("Export")).to_be_visible()
    expect(page.locator(".layer")).to_have_count(4)
    assert studio.names() == names
    studio.button("Undo: Decompose").click()
    page.get_by_role("button", name="Theme and language").click()
    page.get_by_role("menuitemradio", name="简体中文").click()
    expect(page.get_by_role("button", name="重做：分解")).to_be_enabled()


def test_on_a_very_large_screen(open_studio: Callable[..., Studio], picture: Path) -> None:
    studio = open_studio(width=3840, height=2160)
    studio.choose(picture)
    studio.decompose(layers=2)
    assert studio.overflow() == 0
    paper = studio.page.locator(".stage-paper").bounding_box()
    assert paper is not None
    assert paper["height"] > 300


@pytest.mark.parametrize("width", [390, 375, 360])
@pytest.mark.parametrize("label", ["Qwen-Image · NVIDIA H200", "Some engine with a long name · CPU"])
def test_the_header_fits_a_phone(open_studio: Callable[..., Studio], width: int, label: str) -> None:
    studio = open_studio(width=width, height=844, touch=True)
    studio.pretend(engine_label=label)
    chip = studio.page.locator(".engine")
    expect(chip).to_have_accessible_name(f"{label}. About this engine")
    assert studio.overflow() == 0
    assert studio.page.evaluate(NARROW) == []
    last = studio.button("Theme and language").bounding_box()
    assert last is not None
    assert last["x"] + last["width"] <= width
    if label.startswith("Qwen-Image"):
        assert chip.locator(".engine-text").evaluate("(e) => e.scrollWidth <= e.clientWidth")


def test_dark_follows_the_system_until_somebody_chooses(open_studio: Callable[..., Studio]) -> None:
    studio = open_studio(scheme="dark")
    assert _background(studio) < 60
    _choose_theme(studio, "Light")
    assert _background(studio) > 200
    studio.page.reload()
    assert _background(studio) > 200
    _choose_theme(studio, "Dark")
    assert _background(studio) < 60


def _choose_theme(studio: Studio, name: str) -> None:
    studio.button("Theme and language").click()
    studio.page.get_by_role("menuitemradio", name=name).click()


def _background(studio: Studio) -> float:
    colour = studio.page.evaluate("() => getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    return sum(colour[:3]) / 3
