"""The edit modal: nothing typed, running or finished in it is ever lost."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.studio import Studio
from tests.conftest import Service

QUICK_CANCEL = {"LLM_DIT_SERVER__CANCEL_GRACE_S": "0.2"}


@pytest.fixture
def stacked(studio: Studio, picture: Path) -> Studio:
    studio.choose(picture)
    studio.decompose(layers=2)
    return studio


def test_an_instruction_the_engine_cannot_carry_out(stacked: Studio) -> None:
    stacked.edit("Background", "add a hat to the dog")
    alert = stacked.dialog.get_by_role("alert")
    expect(alert).to_be_visible()
    expect(alert).to_contain_text("does not understand “add a hat to the dog”")
    expect(alert.get_by_text("use the Qwen-Image engine")).to_be_hidden()
    alert.get_by_text("What it can do").click()
    expect(alert.get_by_text("use the Qwen-Image engine")).to_be_visible()
    expect(stacked.instruction).to_have_value("add a hat to the dog")
    stacked.page.keyboard.press("Escape")
    expect(stacked.button("Edit Background, edit failed")).to_be_visible()
    stacked.button("Edit Background").click()
    expect(alert).to_be_visible()
    stacked.instruction.fill("make it red")
    stacked.button("Apply").click()
    expect(stacked.button("Replace layer")).to_be_visible()
    expect(alert).to_be_hidden()


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


def test_an_edit_that_keeps_the_shape_keeps_the_coverage(stacked: Studio) -> None:
    top = stacked.names()[0]
    facts = stacked.rows.first.locator(".layer-facts")
    before = facts.inner_text()
    fidelity = stacked.page.locator(".fidelity")
    expect(fidelity).to_have_text("rebuilds exactly")
    stacked.edit(top, "make it darker")
    stacked.button("Replace layer").click()
    expect(facts).to_have_text(f"v2{before}")
    expect(fidelity).to_be_hidden()
    stacked.page.keyboard.press("Control+z")
    expect(fidelity).to_be_visible()


def test_coverage_is_measured_on_every_pixel(studio: Studio) -> None:
    shares = studio.page.evaluate(
        "async () => { const { coverageOf } = await import('/static/js/images/pixels.js');"
        " const canvas = new OffscreenCanvas(900, 700), pen = canvas.getContext('2d');"
        " for (let x = 0; x < 900; x += 3) pen.fillRect(x, 0, 1, 600);"
        " return coverageOf(canvas.transferToImageBitmap()); }"
    )
    assert shares == pytest.approx(1 / 3 * 6 / 7, abs=1e-6)


def test_discard_and_retry(stacked: Studio) -> None:
    stacked.edit("Background", "make it darker")
    stacked.button("Retry").click()
    expect(stacked.button("Replace layer")).to_be_visible()
    stacked.button("Discard").click()
    expect(stacked.button("Apply")).to_be_visible()
    expect(stacked.instruction).to_have_value("make it darker")
    expect(stacked.page.get_by_label("Compare before and after")).to_be_hidden()


def test_an_example_is_added_to_what_was_typed(stacked: Studio) -> None:
    stacked.button("Edit Background").click()
    stacked.instruction.fill("make it slightly darker")
    stacked.button("Add a warm glow").click()
    expect(stacked.instruction).to_have_value("make it slightly darker, add a warm glow")
    expect(stacked.button("Make it photorealistic")).to_be_hidden()


def test_a_running_edit_survives_escape_and_reload_and_is_canceled(
    open_studio: Callable[..., Studio], start_service: Callable[..., Service], picture: Path
) -> None:
    studio = open_studio(at=start_service(app="tests.app:app", environment=QUICK_CANCEL))
    studio.choose(picture)
    studio.decompose(layers=2)
    studio.edit("Layer 0", "hang")
    expect(studio.dialog.get_by_role("progressbar")).to_be_visible()
    studio.page.keyboard.press("Escape")
    expect(studio.button("Edit Layer 0, edit running")).to_be_visible()
    studio.page.reload()
    expect(studio.page.locator(".job-bar")).to_contain_text("Editing “Layer 0”")
    studio.button("Edit Layer 0, edit running").click()
    studio.dialog.get_by_role("button", name="Cancel").click()
    expect(studio.button("Apply")).to_be_visible()
    expect(studio.instruction).to_have_value("hang")

    # A worker that crashes says so where the edit was asked for, and the next edit works.
    studio.instruction.fill("crash")
    studio.button("Apply").click()
    expect(studio.dialog.get_by_role("alert")).to_be_visible()
    studio.instruction.fill("go on")
    studio.page.keyboard.press("Control+Enter")
    expect(studio.button("Replace layer")).to_be_visible()
