"""The edit modal: nothing typed, running or finished in it is ever lost."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.seeds import Seeds
from tests.browser.studio import Studio
from tests.kit.service import Service

BRIGHTNESS = """
(canvas, [left, top, right, bottom]) => {
  const { width, height } = canvas, copy = new OffscreenCanvas(8, 8).getContext("2d", { willReadFrequently: true });
  if (width === 0 || height === 0) return -1;
  copy.drawImage(canvas, left * width, top * height, (right - left) * width, (bottom - top) * height, 0, 0, 8, 8);
  const data = copy.getImageData(0, 0, 8, 8).data;
  return data.reduce((sum, value, i) => sum + (i % 4 < 3 ? value : 0), 0) / (data.length * 0.75);
}
"""


@pytest.fixture
def stacked(open_stack: Callable[..., Studio]) -> Studio:
    return open_stack(2)


def test_what_the_engine_cannot_carry_out_stays_with_its_reason_and_leads_to_a_tool(stacked: Studio) -> None:
    stacked.edit("Background", "add a hat to the dog")
    alert = stacked.dialog.get_by_role("alert")
    expect(alert).to_be_visible()
    expect(alert).to_contain_text("cannot draw new things such as “add a hat to the dog”")
    expect(alert.get_by_role("button", name="About the engines")).to_be_visible()
    expect(stacked.instruction).to_have_value("add a hat to the dog")
    stacked.page.keyboard.press("Escape")
    expect(stacked.button("Edit Background, edit failed")).to_be_visible()
    stacked.edit_button("Background").click()
    expect(alert).to_be_visible()
    stacked.instruction.fill("make it red")
    stacked.button("Apply").click()
    expect(stacked.button("Replace layer")).to_be_visible()
    expect(alert).to_be_hidden()

    # What failed stays, with the reason, until somebody takes it away.
    stacked.version("Failed: add a hat to the dog").click()
    expect(alert).to_be_visible()
    stacked.button("Retry").click()
    expect(alert).to_be_visible()
    expect(stacked.version("Failed: add a hat to the dog")).to_have_count(1)
    stacked.button("Remove", exact=True).click()
    expect(stacked.version("Failed")).to_have_count(0)
    stacked.dialog.get_by_role("button", name="Undo").click()
    expect(stacked.version("Failed: add a hat to the dog")).to_be_checked()

    # What is refused leads to the tool of the page.
    stacked.instruction.fill("asdf qwer")
    stacked.button("Apply").click()
    expect(alert).to_contain_text("does not understand “asdf qwer”")
    expect(alert.get_by_text("remove the background")).to_be_hidden()
    alert.get_by_text("What it can do").click()
    expect(alert.get_by_text("remove the background")).to_be_visible()

    stacked.instruction.fill("make it 50% transparent")
    stacked.button("Apply").click()
    alert.get_by_role("button", name="Use a new shape").click()
    expect(stacked.version("v3: make it 50% transparent")).to_be_checked()
    expect(alert).to_be_hidden()

    stacked.instruction.fill("make it bigger")
    stacked.button("Apply").click()
    alert.get_by_role("button", name="Position and size").click()
    expect(stacked.dialog).to_be_hidden()
    expect(stacked.page.get_by_label("Scale (%)")).to_be_focused()

    stacked.edit_button("Background").click()
    stacked.instruction.fill("make the roof red")
    stacked.button("Apply").click()
    alert.get_by_role("button", name="Select object").click()
    expect(stacked.dialog).to_be_hidden()
    expect(stacked.page.locator(".tool-bar")).to_be_visible()
    stacked.page.keyboard.press("Escape")

    count = stacked.page.locator(".layer").count()
    stacked.edit_button("Background").click()
    stacked.instruction.fill("delete it")
    stacked.button("Apply").click()
    alert.get_by_role("button", name="Delete the layer").click()
    expect(stacked.page.locator(".layer")).to_have_count(count - 1)
    stacked.button("Undo").first.click()
    expect(stacked.page.locator(".layer")).to_have_count(count)


def test_a_result_survives_escape_and_reload(stacked: Studio) -> None:
    stacked.edit("Background", "make it blue")
    expect(stacked.button("Replace layer")).to_be_visible()
    stacked.page.keyboard.press("Escape")
    expect(stacked.dialog).to_be_hidden()
    expect(stacked.button("Edit Background, result waiting")).to_be_visible()
    stacked.page.reload()
    stacked.button("Edit Background, result waiting").click()
    expect(stacked.instruction).to_have_value("make it blue")
    stacked.wait_for_paint()
    before = stacked.pixels()
    stacked.button("Replace layer").click()
    stacked.wait_for(lambda: stacked.pixels()[0] < before[0] - 30, "less red")
    stacked.button("Undo", exact=True).click()
    stacked.wait_for(lambda: abs(stacked.pixels()[0] - before[0]) < 1, "the red of before")


def test_coverage_is_measured_on_every_pixel(studio: Studio) -> None:
    shares = studio.page.evaluate(
        "async () => { const { coverageOf } = await import('/static/js/images/pixels.js');"
        " const canvas = new OffscreenCanvas(900, 700), pen = canvas.getContext('2d');"
        " for (let x = 0; x < 900; x += 3) pen.fillRect(x, 0, 1, 600);"
        " return coverageOf(canvas.transferToImageBitmap()); }"
    )
    assert shares == pytest.approx(1 / 3 * 6 / 7, abs=1e-6)


def test_what_the_engine_cannot_tell_apart_is_not_offered_twice(stacked: Studio) -> None:
    """The same result again, and none at all; seeds and variants would change nothing."""
    stacked.edit("Background", "make it black and white")
    stacked.button("Replace layer").click()
    stacked.edit("Background", "make it black and white")
    callout = stacked.dialog.get_by_role("alert")
    expect(callout).to_contain_text("changed nothing")
    expect(stacked.version("No change: make it black and white")).to_be_checked()
    expect(stacked.button("Replace layer")).to_be_hidden()
    expect(stacked.dialog.get_by_text("Variants", exact=True)).to_be_hidden()
    expect(stacked.dialog.get_by_text("Seed", exact=True).first).to_be_hidden()

    stacked.instruction.fill("make it darker")
    stacked.button("Apply").click()
    expect(stacked.version("v3: make it darker")).to_be_checked()
    expect(stacked.version("No change")).to_have_count(0)
    expect(stacked.button("Retry")).to_be_hidden()
    stacked.page.keyboard.press("r")
    expect(stacked.page.locator(".notice")).to_contain_text("the same as v3")
    expect(stacked.version("v3: make it darker")).to_be_checked()
    expect(stacked.version("v4")).to_have_count(0)

    # What the page itself does is said where the engine does not do it.
    stacked.instruction.fill("make the DOG Bigger")
    stacked.button("Apply").click()
    expect(callout).to_contain_text("layer's size in the list of layers")
    stacked.version("v3: make it darker").click()
    stacked.button("Replace layer").click()
    stacked.edit_button("Background").click()
    expect(stacked.version("Failed")).to_have_count(0)


def test_the_label_of_a_tall_version_is_not_covered(
    open_studio: Callable[..., Studio], seeds: Seeds, service: Service, tmp_path: Path
) -> None:
    tall = Image.new("RGB", (60, 400), "white")
    tall.paste((30, 90, 200), (20, 20, 40, 380))
    tall.save(tmp_path / "tall.png")
    studio = open_studio(path=seeds.plant(service.url, tmp_path / "tall.png", 2))
    expect(studio.rows).to_have_count(2)
    studio.edit(studio.names()[0], "make it darker")
    tile = studio.version("v2")
    expect(tile).to_be_checked()
    canvas, picture, caption = (
        studio.box(tile.locator(part)) for part in ("canvas", ".version-picture", ".version-caption")
    )
    assert canvas.y + canvas.height <= picture.y + picture.height <= caption.y


def test_versions_and_earlier_instructions(stacked: Studio) -> None:
    """What a modal does with the keys and buttons whose actions `tests/js/edit-actions.test.js` tries."""
    names, page, fidelity = stacked.names(), stacked.page, stacked.page.locator(".fidelity")
    expect(fidelity).to_have_text("rebuilds exactly")
    stacked.edit_button("Background").click()
    expect(stacked.instruction).to_be_focused()
    # The browser tells of the end of a dialog after it has given the focus back: a key may come in between.
    stacked.dialog.evaluate(
        """(dialog) => {
          dialog.close();
          const key = { key: "e", code: "KeyE", bubbles: true, cancelable: true };
          document.activeElement.dispatchEvent(new KeyboardEvent("keydown", key));
        }"""
    )
    stacked.draw()
    assert stacked.dialog.is_visible()
    page.keyboard.press("Escape")
    expect(stacked.dialog).to_be_hidden()

    for instruction in ("make it blue", "make it darker"):
        stacked.edit("Background", instruction)
        stacked.button("Replace layer").click()
    expect(stacked.rows.last).to_contain_text("v3")
    expect(fidelity).to_be_hidden()

    stacked.edit_button("Background").click()
    expect(stacked.version("v3: make it darker, in use")).to_be_checked()
    # What the layer is made of is compared with what it is.
    expect(stacked.dialog.locator(".compare-tag.left")).to_have_text("v2")
    stacked.version("v2: make it blue").click()
    expect(stacked.dialog.locator(".edit-made")).to_contain_text("“make it blue” · shape kept · Classical")
    page.keyboard.press("Delete")
    expect(stacked.version("v2")).to_have_count(0)
    page.keyboard.press("Control+z")
    stacked.version("v2: make it blue").click()
    stacked.button("Discard", exact=True).click()
    stacked.dialog.get_by_role("button", name="Undo").click()
    stacked.version("v2: make it blue").click()
    page.keyboard.press("Home")
    expect(stacked.version("Original")).to_be_checked()
    expect(stacked.version("Original")).to_be_focused()
    expect(stacked.button("Discard", exact=True)).to_be_disabled()
    page.keyboard.press("a")
    expect(stacked.dialog).to_be_hidden()
    expect(stacked.rows.last).not_to_contain_text("v3")
    stacked.button("Undo: Edit Background").click()
    expect(stacked.rows.last).to_contain_text("v3")

    stacked.edit_button("Background").click()
    stacked.version("v2: make it blue").click()
    expect(stacked.button("Add as layer")).to_be_visible()
    page.keyboard.press("n")
    expect(stacked.dialog).to_be_hidden()
    expect(stacked.layer_names).to_have_text([*names[:-1], "Background 2", "Background"])
    page.keyboard.press("Control+z")
    expect(stacked.layer_names).to_have_text(names)

    stacked.edit_button(names[0]).click()
    expect(stacked.instruction).to_be_focused()
    for key, words in (("ArrowUp", "make it darker"), ("ArrowUp", "make it blue"), ("ArrowDown", "make it darker")):
        page.keyboard.press(key)
        expect(stacked.instruction).to_have_value(words)
    stacked.dialog.get_by_role("button", name="History").click()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(stacked.instruction).to_have_value("make it blue")
    expect(stacked.instruction).to_be_focused()
    # An example is added to what was typed, which stays when the modal is left by a click beside it.
    stacked.instruction.fill("make it slightly darker")
    expect(stacked.button("Make it photorealistic")).to_be_hidden()
    stacked.button("Add a warm glow").click()
    page.mouse.click(5, 5)
    expect(stacked.dialog).to_be_hidden()
    stacked.edit_button(names[0]).click()
    expect(stacked.instruction).to_have_value("make it slightly darker, add a warm glow")


def test_comparing(stacked: Studio) -> None:
    stacked.edit("Background", "invert the colors")
    dialog, page = stacked.dialog, stacked.page
    way = lambda name: dialog.get_by_role("radio", name=name).check()  # noqa: E731
    left, right = (0.1, 0.84, 0.3, 0.9), (0.7, 0.84, 0.9, 0.9)
    white, black = 255, 0

    def brightness(box: tuple[float, float, float, float]) -> float:
        return dialog.locator(".compare-canvas").evaluate(BRIGHTNESS, list(box))

    def shows(before: float, after: float) -> None:
        stacked.wait_for(lambda: abs(brightness(left) - before) < 8 > abs(brightness(right) - after), "both")

    slider = page.get_by_label("Compare before and after")
    expect(slider).to_be_visible()
    shows(white, black)
    slider.focus()
    slider.press("End")
    shows(white, white)
    slider.press("Home")
    shows(black, black)
    page.mouse.move(*stacked.box(dialog.locator(".compare-view")).at(0.5, 0.5))
    page.mouse.down()
    page.mouse.move(*stacked.box(dialog.locator(".compare-view")).at(0.95, 0.5), steps=3)
    page.mouse.up()
    shows(white, white)

    way("Blink")
    shows(black, black)
    hold = stacked.button("Hold to see before")
    page.mouse.move(*stacked.box(hold).at(0.5, 0.5))
    page.mouse.down()
    shows(white, white)
    page.mouse.up()
    shows(black, black)
    hold.press("Tab")
    page.keyboard.down("b")
    shows(white, white)
    page.keyboard.up("b")
    shows(black, black)

    way("Difference")
    expect(dialog.locator(".compare-note")).to_have_text("100% of the layer changed · shown 4×")
    shows(white, white)
    way("Side by side")
    lower = [(start, 0.66, start + 0.15, 0.69) for start in (0.05, 0.55)]
    stacked.wait_for(lambda: brightness(lower[0]) > white - 8 and brightness(lower[1]) < black + 8, "both panes")
    scale = dialog.locator(".zoom-scale")
    before = scale.inner_text()
    dialog.locator(".compare-view").focus()
    page.keyboard.press("+")
    expect(scale).not_to_have_text(before)
    page.keyboard.press("0")
    expect(scale).to_have_text(before)

    # In the picture, what lies above the layer is there, too.
    way("Slider")
    expect(slider).to_be_visible()  # It takes no key before, and the window would.
    slider.press("Home")
    shows(black, black)
    dialog.get_by_role("radio", name="In picture").check()
    stacked.wait_for(lambda: brightness((0.25, 0.6, 0.5, 0.75)) > black + 8, "the shape of the other layer")


def test_variants_run_together_each_with_a_seed_of_its_own(
    open_stack: Callable[..., Studio], stepping: Service
) -> None:
    studio = open_stack(2, at=stepping, model=True)
    studio.edit_button("Layer 0").click()
    studio.instruction.fill("wait")
    studio.dialog.get_by_role("radio", name="3").check()
    studio.dialog.locator(".edit-form .fold summary").click()
    seed = studio.dialog.get_by_label("Seed", exact=True)
    seed.fill("41")
    studio.button("Apply").click()
    expect(studio.version("Running edit")).to_have_count(3)
    expect(studio.button("Cancel all")).to_be_visible()

    (stepping.folder / "go").touch()
    made = studio.dialog.locator(".edit-made")
    for number, expected in ((2, 41), (3, 42), (4, 43)):
        studio.version(f"v{number}: wait").click()
        expect(made).to_contain_text(f"seed {expected}")

    # A seed that was typed is kept until it is unlocked (`tests/js/edit-actions.test.js`).
    studio.button("Keep the seed").click()
    expect(studio.button("Keep the seed")).to_have_attribute("aria-pressed", "false")


def test_a_running_edit_survives_escape_and_reload_and_is_canceled(
    open_stack: Callable[..., Studio], stepping: Service
) -> None:
    studio = open_stack(2, at=stepping)
    studio.edit("Layer 0", "hang")
    expect(studio.dialog.get_by_role("progressbar")).to_be_visible()
    studio.page.keyboard.press("Escape")
    expect(studio.button("Edit Layer 0, edit running")).to_be_visible()
    expect(studio.page.get_by_text("Saved", exact=True)).to_be_visible()
    studio.page.reload()
    expect(studio.page.locator(".job-bar")).to_contain_text("Editing “Layer 0”")
    studio.button("Edit Layer 0, edit running").click()
    studio.dialog.get_by_role("button", name="Cancel").click()
    expect(studio.version("Canceled: hang")).to_be_checked()
    expect(studio.dialog.get_by_role("alert")).to_contain_text("This edit was canceled.")
    expect(studio.button("Retry")).to_be_visible()
    expect(studio.instruction).to_have_value("hang")

    # A worker that crashes says so where the edit was asked for, and the next edit works.
    studio.instruction.fill("crash")
    studio.button("Apply").click()
    expect(studio.dialog.get_by_role("alert")).to_be_visible()
    studio.instruction.fill("go on")
    studio.page.keyboard.press("Control+Enter")
    expect(studio.button("Replace layer")).to_be_visible()


def test_a_running_edit_survives_a_save_that_crosses_the_reload(
    open_stack: Callable[..., Studio], stepping: Service
) -> None:
    studio = open_stack(2, at=stepping)
    address = f"/api/projects/{studio.page.url.rpartition('/')[2]}"
    saves = "**/api/projects/*"
    studio.page.route(saves, lambda route: route.abort() if route.request.method == "PUT" else route.continue_())
    studio.edit("Layer 0", "wait")
    expect(studio.dialog.get_by_role("progressbar")).to_be_visible()

    # A save from before the edit arrives only now.
    before = stepping.get(address).json()
    fields = {key: before[key] for key in ("name", "document", "thumbnail", "version")}
    with stepping.connect() as client:
        assert client.put(address, json=fields).status_code == 200
    studio.page.reload()
    studio.page.unroute(saves)
    expect(studio.button("Edit Layer 0, edit running")).to_be_visible()
    (stepping.folder / "go").touch()
    expect(studio.button("Edit Layer 0, result waiting")).to_be_visible()


def drag(studio: Studio, *shares: tuple[float, float]) -> None:
    """Draw on the layer in the modal through places, as shares of the view."""
    view = studio.box(studio.dialog.locator(".compare-view"))
    studio.page.mouse.move(*view.at(*shares[0]))
    studio.page.mouse.down()
    for share in shares[1:]:
        studio.page.mouse.move(*view.at(*share), steps=4)
    studio.page.mouse.up()


def asked_region(studio: Studio) -> Any:
    """Apply the edit, and return the region that is asked for."""
    with studio.page.expect_request("**/edit-layer") as sent:
        studio.button("Apply").click()
    expect(studio.button("Replace layer")).to_be_visible()
    return (sent.value.post_data_json or {})["region"]


def test_only_what_is_marked_may_change(stacked: Studio) -> None:
    dialog, page = stacked.dialog, stacked.page
    pick = lambda name: dialog.get_by_role("radio", name=name, exact=True).check()  # noqa: E731
    undo = dialog.get_by_role("button", name="Undo the last mark")
    stacked.edit_button("Background").click()
    stacked.instruction.fill("make it red")
    pick("Brush")
    expect(undo).to_be_disabled()
    drag(stacked, (0.3, 0.4), (0.5, 0.5))
    drag(stacked, (0.5, 0.5), (0.6, 0.4))
    page.keyboard.press("]")
    page.keyboard.press("Control+z")
    expect(undo).to_be_enabled()
    undo.click()
    expect(undo).to_be_disabled()
    # By keys alone: a cross that moves, and a corner with each Enter.
    pick("Box")
    dialog.locator(".compare-view").focus()
    page.keyboard.press("Enter")
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowDown", "ArrowDown"):
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    expect(undo).to_be_enabled()
    page.keyboard.press("Escape")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_text("Only the marked region changes.")).to_be_visible()
    stacked.wait_until_saved()
    page.reload()
    expect(dialog.or_(stacked.edit_button("Background")).first).to_be_visible()
    if not dialog.is_visible():
        stacked.edit_button("Background").click()
    region = asked_region(stacked)
    left, top, right, bottom = region["box"]
    assert (right - left) / (bottom - top) == pytest.approx(2 / 3, abs=0.05)
    expect(dialog.locator(".edit-made")).to_contain_text("within a region")


def test_marks_that_are_no_box_are_a_mask_of_the_layer(open_stack: Callable[..., Studio]) -> None:
    stacked = open_stack(2, width=390, touch=True)
    dialog = stacked.dialog
    stacked.edit_button("Background").click()
    stacked.instruction.fill("make it red")
    dialog.get_by_role("radio", name="Brush", exact=True).check()
    expect(dialog.get_by_text("two fingers zoom")).to_be_in_viewport()
    stacked.page.touchscreen.tap(*stacked.box(dialog.locator(".compare-view")).at(0.5, 0.5))
    region = asked_region(stacked)
    answer = stacked.page.request.get(f"{stacked.url}{region['mask']}")
    with Image.open(io.BytesIO(answer.body())) as mask:
        assert mask.size == (240, 180)
        left, top, right, bottom = mask.getchannel("A").getbbox() or (0, 0, 0, 0)
    assert (right - left, bottom - top) == (pytest.approx(19, abs=3), pytest.approx(19, abs=3))
    assert abs((left + right) / 2 - 120) < 3


def test_an_object_of_the_layer_is_marked_by_a_click(open_stack: Callable[..., Studio]) -> None:
    stacked = open_stack(1)
    dialog = stacked.dialog
    stacked.edit_button(stacked.names()[0]).click()
    stacked.instruction.fill("make it blue")
    dialog.get_by_role("radio", name="Object", exact=True).check()
    drag(stacked, (0.27, 0.42), (0.27, 0.42))
    expect(dialog.get_by_role("button", name="Undo the last mark")).to_be_enabled()
    region = asked_region(stacked)
    answer = stacked.page.request.get(f"{stacked.url}{region['mask']}")
    with Image.open(io.BytesIO(answer.body())) as mask:
        # The orange disc.
        assert mask.getchannel("A").getbbox() == tuple(pytest.approx(edge, abs=3) for edge in (20, 30, 111, 121))


def test_an_edit_takes_from_another_layer_and_from_a_file(open_stack: Callable[..., Studio], picture: Path) -> None:
    stacked = open_stack(2)
    dialog = stacked.dialog
    stacked.edit_button("Background").click()
    expect(dialog.get_by_text("Reference pictures")).to_be_hidden()
    stacked.page.keyboard.press("Escape")
    stacked.pretend_model()
    stacked.edit_button("Background").click()
    stacked.instruction.fill("give it the colors of Picture 2")
    other = stacked.names()[0]
    dialog.get_by_role("button", name="A layer").click()
    stacked.page.get_by_role("menuitem", name=other).click()
    dialog.locator("input[type=file]").set_input_files(picture)
    expect(dialog.locator(".reference")).to_contain_text([f"Picture 2 {other}", "Picture 3 shapes"])
    dialog.get_by_role("button", name=f"Leave “{other}” out").click()
    expect(dialog.locator(".reference")).to_have_text(["Picture 2 shapes"])
    with stacked.page.expect_request("**/edit-layer") as sent:
        stacked.button("Apply").click()
    (reference,) = (sent.value.post_data_json or {})["references"]
    assert stacked.page.request.get(f"{stacked.url}{reference}").ok
