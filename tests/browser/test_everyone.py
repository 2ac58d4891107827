"""By keyboard alone, by touch on a phone, in light and in dark."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OTHER_NAME
from tests.browser.loops import NARROW, by_keyboard, by_touch, difference
from tests.browser.studio import Studio
from tests.kit.service import Service


def test_the_loop_by_keyboard_alone(open_studio: Callable[..., Studio], stepping: Service) -> None:
    """For a model, which asks for more than the built-in engine: the keys are the same."""
    studio = open_studio(at=stepping, model=True)
    by_keyboard(studio, "a boat before the sun")


def test_the_loop_by_touch(open_studio: Callable[..., Studio], stepping: Service, picture: Path) -> None:
    """For a model as well, on a narrow phone."""
    studio = open_studio(at=stepping, width=360, height=780, touch=True, model=True)
    by_touch(studio, picture, "four shapes on white")


def test_over_plain_http_from_another_host(open_studio: Callable[..., Studio], service: Service, picture: Path) -> None:
    studio = open_studio(at=dataclasses.replace(service, url=service.url.replace("127.0.0.1", OTHER_NAME)))
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
    expect(page.locator(".engine-text")).to_have_text("经典引擎")
    page.locator(".welcome input[type=file]").first.set_input_files(picture)
    page.locator(".source").get_by_label("图层数").fill("2")
    page.get_by_role("button", name="分解").click()
    expect(page.locator(".layer")).to_have_count(2)
    names = studio.names()
    assert names[-1] == "背景"
    assert all("色，" in name for name in names[:-1])
    page.locator(".settings").click()
    page.get_by_role("menuitemradio", name="English").click()
    expect(studio.button("Export")).to_be_visible()
    expect(page.locator(".layer")).to_have_count(2)
    expect(studio.layer_names).to_have_text(names)
    studio.button("Undo: Decompose").click()
    page.get_by_role("button", name="Theme and language").click()
    page.get_by_role("menuitemradio", name="简体中文").click()
    expect(page.get_by_role("button", name="重做：分解")).to_be_enabled()


BARS = ".stage :is(.mode-bar .segmented, .zoom-bar), .source .primary"
OUT_OF_VIEW = """
(bars) => [...document.querySelectorAll(bars)].filter((element) => {
  const own = element.getBoundingClientRect(), room = element.closest(".stage, .panel").getBoundingClientRect();
  return own.left < room.left || own.right > room.right || element.scrollWidth > element.clientWidth;
}).map((element) => element.className)
"""


@pytest.mark.parametrize(
    ("touch", "sizes"),
    [(True, [(820, 1180), (768, 1024), (1024, 768)]), (False, [(900, 640), (760, 600)])],
    ids=["tablet", "window"],
)
def test_a_tablet_and_a_small_window_show_all_of_the_bars(
    open_studio: Callable[..., Studio], picture: Path, touch: bool, sizes: list[tuple[int, int]]
) -> None:
    width, height = sizes[0]
    studio = open_studio(width=width, height=height, touch=touch)
    studio.choose(picture)
    studio.decompose(layers=2)
    expect(studio.decompose_button).to_contain_text("about")
    for width, height in sizes:
        studio.page.set_viewport_size({"width": width, "height": height})
        stage, layers = (studio.box(studio.page.locator(place)) for place in (".stage", ".layers"))
        assert stage.width > (layers.width if touch else 250)
        assert studio.page.evaluate(OUT_OF_VIEW, BARS) == [], (width, height)
        assert studio.overflow() == 0


def test_a_phone_held_across_shows_the_picture_beside_its_layers(open_stack: Callable[..., Studio]) -> None:
    studio = open_stack(5, width=667, height=375, touch=True)
    for width, height in ((667, 375), (568, 320)):
        studio.page.set_viewport_size({"width": width, "height": height})
        studio.wait_for_paint()
        assert studio.overflow() == 0
        expect(studio.page.locator(".mode-bar")).to_be_in_viewport(ratio=1)
        for name in (studio.names()[0], studio.names()[-1]):
            eye = studio.button(f"Hide {name}")
            eye.scroll_into_view_if_needed()
            expect(studio.page.locator(".stage-canvas")).to_be_in_viewport(ratio=0.98)
            expect(studio.page.locator(".stage-paper")).to_be_in_viewport(ratio=1)
            before = studio.pixels()
            eye.tap()
            studio.wait_for(lambda shown=before: difference(studio.pixels(), shown) > 1, "a picture without the layer")
            studio.page.keyboard.press("Control+z")


def test_the_picture_stays_in_sight_on_a_phone_while_a_layer_is_changed(open_stack: Callable[..., Studio]) -> None:
    studio = open_stack(4, width=390, height=844, touch=True)
    page = studio.page
    paper = page.locator(".stage-paper")
    for width, height in ((390, 844), (360, 640)):
        page.set_viewport_size({"width": width, "height": height})
        for name in (studio.names()[-1], studio.names()[0]):
            studio.button(f"Select {name}").tap()
            expect(page.get_by_label(f"Opacity of {name}")).to_be_in_viewport(ratio=1)
            expect(paper).to_be_in_viewport(ratio=1)
        assert studio.box(paper).height > 0.3 * height
        assert studio.overflow() == 0
        assert page.evaluate(NARROW) == []
    page.locator(".layer-more summary").tap()
    across = page.get_by_label("X (px)")
    across.tap()
    # The keyboard takes its part of the screen.
    page.set_viewport_size({"width": 360, "height": 370})
    before = studio.pixels()
    across.fill("-500")
    expect(across).to_be_in_viewport(ratio=1)
    expect(paper).to_be_in_viewport(ratio=1)
    studio.wait_for(lambda: difference(studio.pixels(), before) > 0.1, "a picture without the layer")

    # What a finger needs in the modal of the built-in engine; the loop by touch goes through that of a model.
    page.set_viewport_size({"width": 360, "height": 640})
    studio.edit_button("Background").tap()
    expect(studio.button("Add a warm glow")).to_be_visible()
    assert page.evaluate(NARROW) == []
    assert studio.overflow() == 0


def test_the_header_fits_a_phone(open_studio: Callable[..., Studio]) -> None:
    studio = open_studio(width=390, height=844, touch=True)
    chip = studio.page.locator(".engine")
    for label in ("Qwen-Image · NVIDIA H200", "Qwen-Image · Some device with a long name"):
        studio.pretend(engine="qwen", engine_label=label)
        expect(chip).to_have_accessible_name(f"{label}. About this engine")
        for width in (390, 375, 360):
            studio.page.set_viewport_size({"width": width, "height": 844})
            assert studio.overflow() == 0
            assert studio.page.evaluate(NARROW) == []
            last = studio.box(studio.button("Theme and language"))
            assert last.x + last.width <= width
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
    color = studio.page.evaluate("() => getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    return sum(color[:3]) / 3
