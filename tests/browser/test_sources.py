"""Every way a picture comes in, and what is said when it does not."""

import base64
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.studio import Studio

HAND_OVER = """
([kind, name, type, data]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type }));
  const about = { bubbles: true, cancelable: true };
  const events = kind === "paste"
    ? [new ClipboardEvent("paste", { ...about, clipboardData: transfer })]
    : ["dragenter", "dragover", "drop"].map((step) => new DragEvent(step, { ...about, dataTransfer: transfer }));
  for (const event of events) document.body.dispatchEvent(event);
}
"""


def hand_over(studio: Studio, kind: str, path: Path, media_type: str = "image/png") -> None:
    data = base64.b64encode(path.read_bytes()).decode()
    studio.page.evaluate(HAND_OVER, [kind, path.name, media_type, data])


@pytest.mark.parametrize("kind", ["paste", "drop"])
def test_paste_and_drop(studio: Studio, picture: Path, kind: str) -> None:
    hand_over(studio, kind, picture)
    expect(studio.decompose_button).to_be_enabled()
    expect(studio.page.locator(".source-caption")).to_contain_text("240 × 180 px")
    orange = studio.page.locator(".stage-canvas")
    expect(orange).to_be_visible()
    studio.wait_for(lambda: _is_orange(studio.pixels((0.2, 0.35, 0.3, 0.45))), "the picture on the stage")


def test_a_picture_on_top_of_a_stack_begins_a_project_and_leaves_the_other(studio: Studio, picture: Path) -> None:
    studio.choose(picture)
    studio.decompose(layers=2)
    names = studio.names()
    hand_over(studio, "drop", picture)
    expect(studio.rows).to_have_count(0)
    studio.button("Go back").click()
    expect(studio.rows).to_have_count(2)
    assert studio.names() == names


def test_a_text_that_claims_to_be_a_picture(studio: Studio, picture: Path, tmp_path: Path) -> None:
    fake = tmp_path / "notes.png"
    fake.write_text("Dear diary,")
    studio.page.locator(".welcome input[type=file]").first.set_input_files(fake)
    alert = studio.page.locator(".welcome .callout")
    expect(alert).to_be_visible()
    expect(alert).to_contain_text("PNG")
    studio.choose(picture)
    expect(alert).to_be_hidden()


def test_a_picture_turned_by_its_camera(studio: Studio, tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    image = Image.new("RGB", (80, 40), (200, 40, 40))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(path, exif=exif)
    studio.choose(path)
    expect(studio.page.locator(".source-caption")).to_contain_text("40 × 80 px")


def test_a_format_that_only_the_browser_reads(studio: Studio, tmp_path: Path) -> None:
    path = tmp_path / "old.bmp"
    Image.new("RGB", (64, 48), (20, 120, 220)).save(path)
    studio.choose(path)
    expect(studio.page.locator(".source-caption")).to_contain_text("64 × 48 px")


def _is_orange(pixel: list[float]) -> bool:
    red, green, blue, alpha = pixel
    return red > 200 and 90 < green < 170 and blue < 90 and alpha > 250
