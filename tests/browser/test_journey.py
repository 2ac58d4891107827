"""The whole loop on a sample, as a user goes through it."""

import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import expect

from tests.browser.loops import difference, settled
from tests.browser.studio import Studio


def test_from_a_sample_to_a_zip(studio: Studio) -> None:
    page = studio.page
    studio.sample("Night camp")
    expect(page.locator(".source-caption")).to_contain_text("1024 × 704 px")
    page.get_by_role("radio", name="640").check()
    expect(page.locator(".source-caption")).to_contain_text("runs at 768 × 544")
    studio.decompose(layers=3)
    notice = page.locator(".notice")
    expect(notice).to_have_text(re.compile("^3 layers in"))
    expect(page.locator(".fidelity")).to_contain_text("rebuilds")
    expect(studio.layer_names.last).to_have_text("Background")

    # Edit the background: it is opaque everywhere, so what the edit does shows.
    before = studio.pixels()
    studio.button("Edit Background").click()
    studio.button("Change the color to blue").click()
    expect(studio.instruction).to_have_value("Change the color to blue")
    studio.button("Apply").click()
    slider = page.get_by_label("Compare before and after")
    expect(slider).to_be_visible()
    slider.focus()
    slider.press("ArrowRight")
    expect(slider).to_have_value("50.5")
    studio.button("Replace layer").click()
    expect(studio.dialog).to_be_hidden()
    studio.wait_for(lambda: _blueness(studio.pixels()) > _blueness(before) + 20, "a bluer picture")
    expect(studio.rows.last).to_contain_text("v2")

    # The eye: without its background the picture is no longer opaque.
    studio.button("Hide Background").click()
    expect(notice).to_be_hidden()  # the work goes on
    studio.wait_for(lambda: studio.pixels()[3] < 200, "a see-through picture")
    studio.button("Show Background").click()
    studio.wait_for_paint()

    order = studio.names()
    page.locator(".layer").first.locator(".layer-main").click()
    studio.button(f"Move {order[0]} down").click()
    expect(studio.layer_names).to_have_text([order[1], order[0], *order[2:]])
    expect(page.get_by_text(f"{order[0]} moved to 2 of {len(order)}")).to_be_attached()
    page.keyboard.press("Control+z")
    expect(studio.layer_names).to_have_text(order)
    studio.button(f"Redo: Move {order[0]}").click()
    expect(studio.layer_names).to_have_text([order[1], order[0], *order[2:]])

    # Take it home.
    page.get_by_label(f"Opacity of {order[0]}").fill("50")
    with page.expect_download() as download:
        studio.menu("Export", "Layers (ZIP)")
    archive = zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes()))
    assert download.value.suggested_filename.endswith(".zip")
    manifest = json.loads(archive.read("manifest.json"))
    assert [layer["name"] for layer in reversed(manifest["layers"])] == studio.names()
    assert [layer["opacity"] for layer in reversed(manifest["layers"])] == [1, 0.5, *[1] * (len(order) - 2)]
    for file in ["composite.png", *(layer["file"] for layer in manifest["layers"])]:
        with Image.open(archive.open(file)) as image:
            image.load()
            assert image.size == (768, 544)

    # A reload keeps everything, undo included.
    names, shown, rows = studio.names(), settled(studio), studio.rows.all_inner_texts()
    page.reload()
    expect(studio.rows).to_have_count(len(order))
    studio.wait_for(lambda: difference(studio.pixels(), shown) < 0.5, "the picture of before")
    expect(studio.layer_names).to_have_text(names)
    studio.wait_for(lambda: studio.rows.all_inner_texts() == rows, f"the layers to say {rows}")
    studio.button("Undo: Opacity").click()
    page.keyboard.press("Control+z")
    expect(studio.layer_names).to_have_text(order)


def test_what_decompose_made_is_compared_with_the_original(open_stack: Callable[..., Studio]) -> None:
    """The original and the difference are a key away, and exactness is said only of what decompose made."""
    studio = open_stack(3)
    fidelity = studio.page.locator(".fidelity")
    expect(fidelity).to_have_text("rebuilds exactly")
    studio.page.keyboard.press("d")
    studio.wait_for(lambda: max(studio.pixels()[:3]) < 12, "a black difference")
    studio.page.keyboard.press("o")
    expect(studio.page.locator(".mode-bar").get_by_role("radio", name="Original")).to_be_checked()
    studio.wait_for(lambda: min(studio.pixels((0.7, 0.05, 0.9, 0.3))[:3]) > 250, "the white of the original")
    studio.page.locator(".mode-bar").get_by_role("radio", name="Layers").check()

    top, middle, bottom = studio.names()
    for change in (f"Hide {top}", f"Move {top} down"):
        expect(fidelity).to_be_visible()
        studio.button(f"Select {top}").click()
        studio.button(change).click()
        expect(fidelity).to_be_hidden()
        studio.page.keyboard.press("Control+z")
    studio.page.get_by_label(f"Opacity of {top}").fill("40")
    expect(fidelity).to_be_hidden()
    studio.button(f"Undo: Opacity of {top}").click()
    expect(fidelity).to_be_visible()

    # A layer is dragged by its grip, too.
    grip, target = studio.box(studio.rows.first.locator(".grip")), studio.box(studio.rows.last)
    mouse = studio.page.mouse
    mouse.move(grip.x + 8, grip.y + 20)
    mouse.down()
    mouse.move(grip.x + 8, target.y + target.height - 4, steps=8)
    mouse.up()
    expect(studio.layer_names).to_have_text([middle, bottom, top])
    expect(studio.button(f"Undo: Move {top}")).to_be_enabled()
    expect(fidelity).to_be_hidden()


def test_a_png_the_opacity_and_a_long_name(open_stack: Callable[..., Studio], picture: Path) -> None:
    """The PNG is the composite, one change of opacity is one step, and names are shown in full, at any size."""
    studio = open_stack(2)
    with studio.page.expect_download() as download:
        studio.menu("Export", "Picture (PNG)")
    with Image.open(download.value.path()) as image, Image.open(picture) as original:
        assert image.format == "PNG"
        assert image.convert("RGB").tobytes() == original.tobytes()

    top = studio.names()[0]
    slider = studio.page.get_by_role("slider", name=f"Opacity of {top}")
    studio.button(f"Select {top}").click()
    slider.focus()
    for _ in range(20):
        slider.press("ArrowLeft")
    expect(slider).to_have_value("80")
    studio.button(f"Select {top}").focus()
    slider.focus()
    slider.press("ArrowLeft")
    studio.page.keyboard.press("Control+z")
    expect(slider).to_have_value("80")
    studio.page.keyboard.press("Control+z")
    expect(slider).to_have_value("100")
    expect(studio.button("Undo: Decompose")).to_be_enabled()

    # The same with the pointer: one drag is one step, the next drag another.
    box, mouse = studio.box(slider), studio.page.mouse
    for start, end in ((0.95, 0.5), (0.5, 0.2)):
        mouse.move(*box.at(start, 0.5))
        mouse.down()
        mouse.move(*box.at(end, 0.5), steps=6)
        mouse.up()
    studio.button(f"Undo: Opacity of {top}").click()
    assert 40 < int(slider.input_value()) < 60
    studio.button(f"Undo: Opacity of {top}").click()
    expect(slider).to_have_value("100")

    studio.button(f"Select {top}").dblclick()
    studio.rows.first.get_by_label("Layer name").fill("Dark turquoise, bottom right")
    studio.page.keyboard.press("Enter")
    name = studio.rows.first.locator(".layer-name")
    expect(name).to_have_text("Dark turquoise, bottom right")
    expect(studio.rows.first.locator(".layer-main")).to_have_attribute("title", "Dark turquoise, bottom right")
    for width in (1280, 1000, 360):
        studio.page.set_viewport_size({"width": width, "height": 800})
        assert name.evaluate("(e) => e.scrollHeight <= e.clientHeight"), width
    studio.page.set_viewport_size({"width": 3840, "height": 2160})
    assert studio.overflow() == 0
    assert studio.box(studio.page.locator(".stage-paper")).height > 300


def test_a_seed_that_is_none_stays_and_stops_nothing_silently(studio: Studio, picture: Path) -> None:
    studio.choose(picture)
    source = studio.page.locator(".source")
    source.locator("summary:visible").first.click()
    seed = source.get_by_label("Seed")
    for typed in ("-5", "1.5", "abc", "99999999999999999"):
        seed.fill("")
        expect(studio.decompose_button).to_be_enabled()
        seed.fill(typed)
        expect(seed).to_have_value(typed)
        expect(seed).to_have_attribute("aria-invalid", "true")
        expect(source.get_by_text("A seed is a whole number")).to_be_visible()
        expect(studio.decompose_button).to_be_disabled()
        studio.page.keyboard.press("Control+Enter")
        expect(studio.page.locator(".job-work")).to_be_hidden()
    seed.fill("007")
    expect(seed).to_have_value("007")
    expect(source.get_by_text("A seed is a whole number")).to_be_hidden()
    studio.decompose(layers=1)
    expect(studio.page.locator(".job-facts")).to_contain_text("1 layer · seed 7")


def _blueness(pixel: list[float]) -> float:
    return pixel[2] - (pixel[0] + pixel[1]) / 2
