"""The same page on the Qwen engine, with tiny models: from a picture to edited layers by mouse, and previews.

By keyboard and by touch the page for a model is gone through in `test_everyone.py`, with no model. What comes after an
edit is the same for every engine (`test_journey.py`).
"""

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Locator, expect

from llm_dit.exports.formats import export_zip
from llm_dit.layer import Layer
from tests.browser.studio import Studio
from tests.kit.jobs import events
from tests.kit.service import OWN_PIPELINE, Service, qwen_environment, serve
from tests.kit.waiting import wait_until


def test_a_picture_is_taken_apart_and_a_layer_edited_by_mouse(
    qwen: Service, open_studio: Callable[..., Studio], picture: Path
) -> None:
    studio = open_studio(at=qwen)
    page = studio.page
    chip = page.locator(".engine")
    expect(chip).to_have_text("Qwen-Image · CPU")
    chip.click()
    about = page.get_by_role("dialog")
    expect(about).to_contain_text('engine = "qwen"')
    expect(about).to_contain_text("There is no accelerator, so nothing is offloaded")
    expect(about).to_contain_text("Qwen-Image-Layered")
    page.keyboard.press("Escape")

    studio.choose(picture)
    page.get_by_label("Describe the picture").fill("four shapes on white")
    page.get_by_text("Guidance, steps, seed").click()
    page.locator(".source").get_by_label("Steps").fill("3")
    page.locator(".source").get_by_label("Layers").fill("2")
    studio.decompose_button.click()
    expect(studio.rows).to_have_count(2)
    expect(studio.layer_names).to_have_text(["Layer 2", "Background"])

    studio.button("Edit Background").click()
    studio.instruction.fill("make it blue")
    studio.dialog.get_by_text("Guidance, steps, seed").click()
    studio.dialog.get_by_label("Steps").fill("2")
    studio.button("Apply").click()
    expect(studio.button("Replace layer")).to_be_visible()

    # Variants, one of them as a layer of its own, the other in the layer's place.
    studio.dialog.get_by_role("radio", name="2", exact=True).check()
    studio.button("Retry").click()
    expect(studio.version("v4: make it blue")).to_be_visible()
    studio.version("v4: make it blue").click()
    studio.button("Add as layer").click()
    expect(studio.layer_names).to_have_text(["Layer 2", "Background 2", "Background"])
    studio.rows.last.get_by_role("button", name="Edit").click()
    # What nobody has decided about is shown first.
    expect(studio.version("v3: make it blue")).to_be_checked()
    studio.dialog.get_by_role("radio", name="Side by side").check()
    studio.button("Replace layer").click()
    expect(page.get_by_text(re.compile("“Background” replaced")).first).to_be_visible()
    assert qwen.get("/api/qwen-image/edit-status").json()["edit_model_loaded"]

    studio.button("Undo: Edit Background").click()
    expect(studio.rows.last).not_to_contain_text("v3")
    studio.button("Redo: Edit Background").click()
    expect(studio.rows.last).to_contain_text("v3")


# While the engine works, the service and the page show what the layers are going to be.

SEEN = """
(canvas) => {
  const { width, height } = canvas;
  const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  const { data } = copy.getImageData(0, 0, width, height);
  return data.some((value) => value > 0);
}
"""


def open_layers(studio: Studio, picture: Path, folder: Path) -> None:
    """Open a file of two layers, both of them the picture."""
    file = folder / "shapes.zip"
    with Image.open(picture) as image, file.open("wb") as target:
        layers = [Layer(image=image.convert("RGBA"), name=name) for name in ("Background", "Layer 2")]
        export_zip(layers, target, width=image.width, height=image.height)
    studio.page.locator(".welcome input[type=file]").first.set_input_files(file)


def wait_until_drawn(studio: Studio, canvas: Locator) -> None:
    expect(canvas).to_be_visible()
    studio.wait_for(lambda: canvas.evaluate(SEEN), what="a preview")


def newest_preview(client: httpx.Client, job: str) -> str:
    return next(str(data["url"]) for _, name, data in events(client, job) if name == "preview")


@pytest.fixture(scope="module")
def at_full_size(checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose runs last, since its models work at their full size."""
    environment = qwen_environment(checkpoints) | OWN_PIPELINE
    with serve(tmp_path_factory.mktemp("full"), app="tests.kit.app:kept", environment=environment) as running:
        yield running


def test_tiles_show_layers_while_they_are_made(
    at_full_size: Service, open_studio: Callable[..., Studio], picture: Path
) -> None:
    kept_before = set((at_full_size.folder / "data/images").rglob("*.png"))
    studio = open_studio(at=at_full_size)
    # As long a run as there is: the page has to be loaded once more before its end.
    studio.choose(picture)
    studio.page.get_by_label("Describe the picture").fill("four shapes on white")
    studio.page.get_by_text("Guidance, steps, seed").click()
    studio.page.get_by_role("radio", name="1024").check()
    studio.page.locator(".source").get_by_label("Steps").fill("100")
    studio.page.locator(".source").get_by_label("Layers").fill("2")
    with studio.page.expect_response("**/decompose") as answer:
        studio.decompose_button.click()
    job = str(answer.value.headers["location"])
    tiles = studio.page.locator(".ghost.seen canvas")
    expect(tiles).to_have_count(2)
    wait_until_drawn(studio, tiles.first)
    studio.page.reload()
    expect(tiles).to_have_count(2)
    wait_until_drawn(studio, tiles.last)

    with at_full_size.connect() as client:
        url = newest_preview(client, job)
        answer = client.get(url)
        assert answer.headers["content-type"] == "image/png"
        with Image.open(io.BytesIO(answer.content)) as preview, Image.open(picture) as original:
            assert preview.mode == "RGBA"
            assert preview.width / preview.height == pytest.approx(original.width / original.height, rel=0.05)
        kept = set((at_full_size.folder / "data/images").rglob("*.png")) - kept_before
        assert len(kept) <= 1, "only the picture itself is kept"

        studio.page.locator(".job-bar").get_by_role("button", name="Cancel").click()
        expect(studio.page.locator(".ghost.seen")).to_have_count(0)
        wait_until(lambda: client.get(job).json()["status"] == "canceled", "the end of the job")
        assert client.get(url).status_code == 404


def test_the_modal_shows_an_edit_while_it_is_made(
    at_full_size: Service, open_studio: Callable[..., Studio], picture: Path, tmp_path: Path
) -> None:
    studio = open_studio(at=at_full_size)
    open_layers(studio, picture, tmp_path)
    studio.button("Edit Background").click()
    studio.instruction.fill("make it blue")
    studio.dialog.get_by_text("Guidance, steps, seed").click()
    studio.dialog.get_by_label("Steps").fill("100")
    studio.button("Apply").click()
    wait_until_drawn(studio, studio.dialog.locator(".version-tile[data-kind=running] canvas"))


# Qwen-Image-2.1 as the edit model.


def test_a_model_that_knows_transparency_edits_with_a_reference(
    transparent: Service, open_studio: Callable[..., Studio], picture: Path, tmp_path: Path
) -> None:
    studio = open_studio(at=transparent)
    open_layers(studio, picture, tmp_path)
    studio.page.locator(".engine").click()
    expect(studio.page.get_by_role("dialog")).to_contain_text("no commercial use without its authors' agreement")
    studio.page.keyboard.press("Escape")

    studio.button("Edit Background").click()
    studio.instruction.fill("give it the colors of Picture 2")
    studio.dialog.get_by_role("radio", name="New", exact=True).check()
    studio.dialog.get_by_role("button", name="A layer").click()
    studio.page.get_by_role("menuitem", name="Layer 2").click()
    expect(studio.dialog.locator(".reference")).to_contain_text(["Picture 2"])
    around = studio.dialog.get_by_label("Show the model what lies around it")
    expect(around).not_to_be_checked()
    around.check()
    studio.dialog.get_by_text("Guidance, steps, seed").click()
    expect(studio.dialog.get_by_label("Steps")).to_have_value("40")
    studio.dialog.get_by_label("Steps").fill("2")
    with studio.page.expect_response("**/edit-layer") as sent:
        studio.button("Apply").click()
    asked = sent.value.request.post_data_json or {}
    assert (asked["cfg_scale"], asked["shape"], len(asked["references"])) == (1, "new", 1)
    assert (asked["context"], asked["surroundings"]["index"], len(asked["surroundings"]["layers"])) == (True, 0, 2)
    expect(studio.button("Replace layer")).to_be_visible()
    studio.button("Replace layer").click()
    expect(studio.page.get_by_text(re.compile("“Background” replaced")).first).to_be_visible()
