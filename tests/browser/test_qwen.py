"""The same page on the Qwen engine, with tiny models: the whole loop by mouse, by keyboard alone and by touch."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.loops import by_keyboard, by_touch, reorder_export_reload
from tests.browser.studio import Studio
from tests.kit.hub import Hub
from tests.kit.hub import serve as serve_hub
from tests.kit.service import Service, downloading_environment, serve


@pytest.fixture(scope="module")
def hub(checkpoints: Path) -> Iterator[Hub]:
    with serve_hub({"Qwen/Qwen-Image-Edit-2509": checkpoints / "edit"}) as hub:
        yield hub


@pytest.fixture(scope="module")
def qwen(checkpoints: Path, hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all three; its edit model is downloaded for the first edit."""
    folder = tmp_path_factory.mktemp("qwen")
    with serve(folder, environment=downloading_environment(checkpoints, hub, folder)) as running:
        yield running


def test_the_loop_by_mouse(qwen: Service, hub: Hub, open_studio: Callable[..., Studio], picture: Path) -> None:
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

    # The hub holds back most of the weights until the page has shown that it waits for them.
    hub.stall_after, hub.faults = 10_000, 1
    studio.button("Edit Background").click()
    studio.instruction.fill("make it blue")
    studio.dialog.get_by_text("Guidance, steps, seed").click()
    studio.dialog.get_by_label("Steps").fill("2")
    studio.button("Apply").click()
    expect(studio.dialog).to_contain_text(re.compile(r"Downloading the model · [\d.]+ of [\d.]+ GB"))
    hub.released.set()
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
    reorder_export_reload(studio, (240, 180))
    expect(studio.rows.last).to_contain_text("v3")


def test_the_loop_by_keyboard_alone(qwen: Service, open_studio: Callable[..., Studio]) -> None:
    by_keyboard(open_studio(at=qwen), "balloons over a hill")


def test_the_loop_by_touch(qwen: Service, open_studio: Callable[..., Studio], picture: Path) -> None:
    by_touch(open_studio(at=qwen, width=360, height=780, touch=True), picture, "four shapes on white")
