"""Every way a picture comes in, and what is said when it does not."""

import base64
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlsplit

import numpy as np
from PIL import Image
from playwright.sync_api import expect

from tests.browser.studio import Studio
from tests.kit.forks import ROOT
from tests.kit.service import Service

HAND_OVER = """
([kind, files]) => {
  const transfer = new DataTransfer();
  for (const [name, type, data] of files) {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    transfer.items.add(new File([bytes], name, { type }));
  }
  const about = { bubbles: true, cancelable: true };
  const events = kind === "paste"
    ? [new ClipboardEvent("paste", { ...about, clipboardData: transfer })]
    : ["dragenter", "dragover", "drop"].map((step) => new DragEvent(step, { ...about, dataTransfer: transfer }));
  for (const event of events) document.body.dispatchEvent(event);
}
"""


HAND_OVER_TEXT = """
([kind, texts]) => {
  const transfer = new DataTransfer();
  for (const [type, text] of Object.entries(texts)) transfer.setData(type, text);
  const about = { bubbles: true, cancelable: true };
  const events = kind === "paste"
    ? [new ClipboardEvent("paste", { ...about, clipboardData: transfer })]
    : ["dragenter", "dragover", "drop"].map((step) => new DragEvent(step, { ...about, dataTransfer: transfer }));
  for (const event of events) document.body.dispatchEvent(event);
  return events.every((event) => event.defaultPrevented);
}
"""


def hand_over(studio: Studio, kind: str, *paths: Path, media_type: str = "image/png") -> None:
    files = [[path.name, media_type, base64.b64encode(path.read_bytes()).decode()] for path in paths]
    studio.page.evaluate(HAND_OVER, [kind, files])


def begin_again(studio: Studio) -> None:
    """Go to the start page, in the page that is there."""
    studio.page.locator(".brand").click()
    expect(studio.page.get_by_text("Split a picture into layers")).to_be_visible()


def test_paste_and_drop(studio: Studio, picture: Path, tmp_path: Path) -> None:
    caption = studio.page.locator(".source-caption")
    for kind in ("paste", "drop"):
        hand_over(studio, kind, picture)
        expect(studio.decompose_button).to_be_enabled()
        expect(caption).to_contain_text("240 × 180 px")
        expect(studio.page.locator(".stage-canvas")).to_be_visible()
        studio.wait_for(lambda: _is_orange(studio.pixels((0.2, 0.35, 0.3, 0.45))), "the picture on the stage")
        begin_again(studio)
    # The first of several pictures begins a project.
    other = tmp_path / "other.png"
    Image.new("RGB", (60, 40), "navy").save(other)
    hand_over(studio, "drop", picture, other)
    expect(studio.page.locator(".notice")).to_contain_text("“shapes” is open. The other files were left out")
    expect(caption).to_contain_text("240 × 180 px")


def test_a_picture_on_top_of_a_stack_is_a_layer_or_a_project_of_its_own(studio: Studio, picture: Path) -> None:
    studio.choose(picture)
    studio.decompose(layers=2)
    # Those who decomposed by keyboard go on from there.
    expect(studio.decompose_button).to_be_focused()
    names = studio.names()
    hand_over(studio, "drop", picture)
    expect(studio.rows).to_have_count(3)
    studio.button("Open as a new project").click()
    expect(studio.rows).to_have_count(0)
    studio.button("Go back").click()
    expect(studio.rows).to_have_count(2)
    expect(studio.layer_names).to_have_text(names)
    # Decomposing again says what it took the place of.
    studio.decompose_button.click()
    notice = studio.page.locator(".notice")
    expect(notice).to_contain_text("the 2 layers before are kept as a result")
    notice.get_by_role("button", name="Undo").click()
    expect(studio.layer_names).to_have_text(names)


def test_results_wait_beside_each_other_also_in_the_project(studio: Studio, picture: Path) -> None:
    page = studio.page
    studio.choose(picture)
    studio.decompose(layers=7)
    # The picture has five: the page says so, and tries it.
    expect(page.locator(".score")).to_contain_text("5 of 7 layers are useful")
    page.get_by_role("button", name="Try 5 layers").click()
    expect(studio.rows).to_have_count(5)
    expect(page.locator(".score")).to_have_text("All 5 layers are useful.")
    results = page.get_by_role("group", name="Results").get_by_role("button")
    expect(results).to_have_count(2)
    results.first.click()
    expect(studio.rows).to_have_count(7)
    expect(results.first).to_have_attribute("aria-pressed", "true")
    studio.wait_until_saved()
    page.reload()
    expect(results).to_have_count(2)
    results.last.click()
    expect(studio.rows).to_have_count(5)
    page.get_by_role("checkbox", name="Automatic").check()
    studio.decompose_button.click()
    expect(results).to_have_count(3)
    expect(studio.rows).to_have_count(5)


def test_what_to_expect_of_a_photograph_is_said_before_a_run(studio: Studio, tmp_path: Path) -> None:
    """Not of a drawing, which the built-in engine takes apart as people would."""
    page = studio.page
    expectation = page.get_by_text("Text and clear subjects become layers")
    studio.sample("House and garden")
    expect(page.locator(".source-picture")).to_be_visible()
    expect(expectation).to_be_hidden()
    page.locator(".source-frame input[type=file]").set_input_files(ROOT / "static/samples/still_life.webp")
    expect(expectation).to_be_visible()
    studio.button("How to get the other engine").click()
    expect(page.locator(".engine-dialog")).to_contain_text("llm-dit doctor")
    page.keyboard.press("Escape")
    # Grain alone, as compression and scans leave it on flat colors, makes no photograph.
    pixels = np.asarray(Image.open(ROOT / "static/samples/poster.webp").convert("RGB"), np.float32)
    grainy = pixels + np.random.default_rng(1).normal(0, 3, pixels.shape)
    Image.fromarray(grainy.clip(0, 255).astype(np.uint8)).save(tmp_path / "grainy.png")
    page.locator(".source-frame input[type=file]").set_input_files(tmp_path / "grainy.png")
    expect(page.locator(".source-caption")).to_contain_text("grainy")
    expect(expectation).to_be_hidden()


SVG = """<?xml version="1.0"?><!-- drawn by hand --><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 12">
<script>document.title = "taken over"</script><image href="https://example.com/x.png" width="9" height="9"/>
<rect width="24" height="12" fill="#f08020"/></svg>"""


def test_whatever_is_dropped_or_pasted_is_taken_or_answered(studio: Studio, service: Service, picture: Path) -> None:
    """From files, from other windows of the browser, as text; and never does the browser leave the page."""
    page = studio.page
    alert, caption = page.locator(".welcome .callout"), page.locator(".source-caption")
    data = "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode()
    own = f"{studio.url}/static/samples/house.webp"
    foreign = "https://example.com/cat.png"
    refused: list[tuple[dict[str, str], str]] = [
        ({"text/uri-list": foreign, "text/html": f'<img src="{foreign}">'}, "another page"),
        ({"text/plain": foreign}, "another page"),
        ({"text/html": '<img src="blob:https://example.com/1234">'}, "another page"),
        ({"text/uri-list": f"{studio.url}/docs"}, "contains no picture"),
        ({"text/plain": "Dear diary,"}, "contains no picture"),
        ({"text/html": "<b>nothing</b>"}, "contains no picture"),
        ({}, "contains no picture"),
    ]
    for kind in ("drop", "paste"):
        for texts, says in refused:
            assert page.evaluate(HAND_OVER_TEXT, [kind, texts]) is True
            expect(alert).to_contain_text(says)
            # No tool of the editor is there before there is something to edit.
            assert page.locator(".source:visible, .stage .zoom-bar:visible, .mode-bar:visible").count() == 0
    formats = service.get("/api/qwen-image/config").json()["limits"]["image_formats"]
    for name in formats:
        expect(alert).to_contain_text(re.compile(rf"\b{name}\b", re.IGNORECASE))
    taken: list[tuple[str, dict[str, str], str]] = [
        ("drop", {"text/uri-list": own, "text/html": f'<img src="{own}">'}, "1024 × 768 px"),
        ("paste", {"text/html": f'<p>Look: <img src="{data}"></p>'}, "240 × 180 px"),
        ("drop", {"text/uri-list": "data:image/svg+xml," + quote(SVG)}, "1600 × 800 px"),
        ("paste", {"text/plain": SVG}, "1600 × 800 px"),
    ]
    for kind, texts, size in taken:
        assert page.evaluate(HAND_OVER_TEXT, [kind, texts]) is True
        expect(caption).to_contain_text(size)
        expect(page).not_to_have_title(re.compile("taken over"))
        studio.wait_for(lambda: studio.pixels()[3] > 250, "the picture on the stage")
        begin_again(studio)
    assert urlsplit(page.url).netloc == studio.host


def test_a_photograph_over_the_limit_is_made_smaller(studio: Studio, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (6400, 4800), (200, 120, 40)).save(path)
    studio.choose(path)
    caption = studio.page.locator(".source-caption")
    expect(caption).to_contain_text("4729 × 3547 px · scaled from 6400 × 4800 px")
    expect(studio.page.locator(".notice")).to_contain_text("the limit of this server")
    # What is large is tried at a size that takes seconds first.
    source = studio.page.locator(".source")
    expect(source.get_by_role("radio", name="1024")).to_be_checked()
    expect(source).to_contain_text("This is a large picture")
    source.get_by_role("radio", name="Original").check()
    expect(caption).to_contain_text("runs at full size")


def test_what_only_the_server_reads_is_made_smaller_there(
    open_studio: Callable[..., Studio], start_service: Callable[..., Service], tmp_path: Path
) -> None:
    path = tmp_path / "scan.tiff"
    Image.new("RGB", (640, 480), (200, 120, 40)).save(path)
    studio = open_studio(at=start_service(environment={"LLM_DIT_SERVER__MAX_SIDE": "320"}))
    studio.choose(path)
    expect(studio.page.locator(".source-caption")).to_contain_text("320 × 240 px · scaled from 640 × 480 px")
    expect(studio.page.locator(".notice")).to_contain_text("Scaled from 640 × 480 px to 320 × 240 px")


def test_files_that_are_not_what_they_seem(studio: Studio, picture: Path, tmp_path: Path) -> None:
    """A text that claims to be a picture, a picture turned by its camera, a format that only the browser reads."""
    fake, turned, old = (tmp_path / name for name in ("notes.png", "turned.jpg", "old.bmp"))
    fake.write_text("Dear diary,")
    studio.page.locator(".welcome input[type=file]").first.set_input_files(fake)
    alert, caption = studio.page.locator(".welcome .callout"), studio.page.locator(".source-caption")
    expect(alert).to_be_visible()
    expect(alert).to_contain_text("PNG")
    studio.choose(picture)
    expect(alert).to_be_hidden()

    image = Image.new("RGB", (80, 40), (200, 40, 40))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(turned, exif=exif)
    Image.new("RGB", (64, 48), (20, 120, 220)).save(old)
    for path, size in ((turned, "40 × 80 px"), (old, "64 × 48 px")):
        begin_again(studio)
        studio.choose(path)
        expect(caption).to_contain_text(size)


def _is_orange(pixel: list[float]) -> bool:
    red, green, blue, alpha = pixel
    return red > 200 and 90 < green < 170 and blue < 90 and alpha > 250
