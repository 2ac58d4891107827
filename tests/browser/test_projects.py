"""Projects: kept by the server, each at its own address, never overwritten by another tab."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.loops import difference, settled
from tests.browser.studio import Studio
from tests.browser.test_sources import hand_over
from tests.kit.service import Service

IDS = "(rows) => rows.map((row) => row.dataset.id)"


@pytest.fixture
def saved(open_stack: Callable[..., Studio]) -> Studio:
    """A project of two layers that the server has."""
    return open_stack(2)


def rename_top(page: Page, name: str) -> None:
    page.locator(".layer .layer-main").first.dblclick()
    page.get_by_label("Layer name").first.fill(name)
    page.keyboard.press("Enter")
    expect(page.locator(".layer-name").first).to_have_text(name)


def test_every_picture_gets_an_address_that_brings_it_back(saved: Studio, open_studio: Callable[..., Studio]) -> None:
    names, path = saved.names(), saved.page.evaluate("location.pathname")
    assert path.startswith("/p/")
    rename_top(saved.page, "Renamed")
    saved.wait_until_saved()
    elsewhere = open_studio(path=path)
    expect(elsewhere.rows).to_have_count(2)
    expect(elsewhere.layer_names).to_have_text(["Renamed", *names[1:]])
    elsewhere.button("Undo: Rename").click()
    expect(elsewhere.layer_names).to_have_text(names)
    expect(elsewhere.page).to_have_title("shapes · llm-dit")


def test_a_project_that_is_not_there(open_studio: Callable[..., Studio]) -> None:
    studio = open_studio(path="/p/nothing")
    expect(studio.page.get_by_text("This project does not exist")).to_be_visible()
    expect(studio.page.get_by_text("Split a picture into layers")).to_be_visible()
    assert studio.page.evaluate("location.pathname") == "/"


def test_a_project_file_goes_out_and_comes_in_and_is_renamed_duplicated_and_deleted(
    saved: Studio, tmp_path: Path
) -> None:
    page = saved.page
    with page.expect_download() as download:
        saved.menu("Project: shapes", "Export project file")
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    assert file.name == "shapes.llm-dit.zip"
    first = page.evaluate("location.pathname")
    saved.menu("Project: shapes", "All projects")
    page.locator(".projects-dialog input[type=file]").set_input_files(file)
    expect(page.get_by_text("“shapes” imported").first).to_be_visible()
    expect(saved.rows).to_have_count(2)
    assert page.evaluate("location.pathname") != first

    saved.menu("Project: shapes", "Rename")
    page.get_by_role("textbox", name="Project name").fill("First try")
    page.keyboard.press("Enter")
    expect(saved.button("Project: First try")).to_be_focused()
    saved.wait_until_saved()
    saved.menu("Project: First try", "Duplicate")
    expect(saved.button("Project: First try (copy)")).to_be_visible()
    expect(saved.rows).to_have_count(2)
    saved.menu("Project: First try (copy)", "Delete")
    expect(page.get_by_text("“First try (copy)” deleted").first).to_be_visible()
    expect(page.get_by_text("Split a picture into layers")).to_be_visible()
    page.locator(".notice").get_by_role("button", name="Undo").click()
    expect(saved.button("Project: First try (copy)")).to_be_visible()
    expect(saved.rows).to_have_count(2)


def test_the_list_of_projects(saved: Studio) -> None:
    page = saved.page
    page.get_by_role("link", name="llm-dit").click()
    shelf = page.get_by_role("region", name="Recent projects")
    expect(shelf.get_by_role("button", name="Open shapes").first).to_contain_text("2 layers")
    shelf.get_by_role("button", name="All projects").click()
    dialog = page.get_by_role("dialog", name="Projects")
    dialog.get_by_role("button", name="Actions for shapes").first.click()
    page.get_by_role("menuitem", name="Rename").click()
    dialog.get_by_role("textbox", name="Project name").fill("Shelved")
    page.keyboard.press("Enter")
    dialog.get_by_role("button", name="Open Shelved").first.click()
    expect(dialog).to_be_hidden()
    expect(saved.rows).to_have_count(2)
    page.go_back()
    expect(page.get_by_text("Split a picture into layers")).to_be_visible()
    page.go_forward()
    expect(saved.rows).to_have_count(2)


def test_a_deleted_project_comes_back_later_or_goes_for_good(studio: Studio, picture: Path) -> None:
    page = studio.page
    studio.choose(picture)
    studio.menu("Project: shapes", "Rename")
    page.get_by_role("textbox", name="Project name").fill("Sunken")
    page.keyboard.press("Enter")
    studio.wait_until_saved()
    address = page.evaluate("location.pathname")
    studio.menu("Project: Sunken", "Delete")
    expect(page.get_by_text("Split a picture into layers")).to_be_visible()

    # Its address says what became of it, in whatever tab and however late.
    notice = page.locator(".notice")
    page.goto(studio.url + address)
    expect(notice).to_contain_text("“Sunken” was deleted")
    assert page.locator(".source:visible, .stage .zoom-bar:visible, .mode-bar:visible").count() == 0
    notice.get_by_role("button", name="Restore").click()
    expect(studio.button("Project: Sunken")).to_be_visible()

    studio.menu("Project: Sunken", "Delete")
    expect(page.get_by_text("Split a picture into layers")).to_be_visible()
    studio.button("Projects", exact=True).click()
    page.get_by_role("menuitem", name="All projects").click()
    dialog = page.get_by_role("dialog", name="Projects")
    dialog.get_by_text("Recently deleted (").click()
    dialog.get_by_role("button", name="Restore Sunken").click()
    dialog.get_by_role("button", name="Actions for Sunken").click()
    page.get_by_role("menuitem", name="Delete").click()
    question = page.get_by_role("alertdialog")
    dialog.get_by_role("button", name="Delete Sunken permanently").click()
    question.get_by_role("button", name="Keep it").click()
    expect(dialog.get_by_role("button", name="Restore Sunken")).to_be_visible()
    dialog.get_by_role("button", name="Delete Sunken permanently").click()
    question.get_by_role("button", name="Delete permanently").click()
    expect(notice).to_have_text(re.compile("“Sunken” permanently deleted"))
    expect(dialog.get_by_role("button", name="Restore Sunken")).to_have_count(0)
    page.goto(studio.url + address)
    expect(notice).to_contain_text("This project does not exist")


def test_layers_that_were_taken_home_open_again_by_drop(saved: Studio, service: Service, tmp_path: Path) -> None:
    names = saved.names()
    saved.page.get_by_label(f"Opacity of {names[0]}").fill("50")
    facts = saved.rows.first.locator(".layer-facts").inner_text()
    files = []
    for item in ("Layers (ZIP)", "Photoshop (PSD)", "OpenRaster (ORA)"):
        with saved.page.expect_download() as download:
            saved.menu("Export", item)
        files.append(tmp_path / download.value.suggested_filename)
        download.value.save_as(files[-1])
    shown = settled(saved)
    for file in files:
        address = saved.page.url
        hand_over(saved, "drop", file, media_type="")
        saved.page.wait_for_url(lambda url, before=address: url != before)
        expect(saved.page.locator(".layer-name")).to_have_text(names)
        assert saved.rows.first.locator(".layer-facts").inner_text() == facts
        saved.wait_for(lambda: difference(saved.pixels(), shown) < 1, "the same picture")
        kept = f"/api/projects/{saved.page.url.rpartition('/')[2]}"
        saved.wait_for(lambda kept=kept: service.get(kept).json()["thumbnail"], "a thumbnail")
    ids = saved.page.locator(".layer").evaluate_all(IDS)
    assert len(set(ids)) == len(names)
    saved.page.reload()
    expect(saved.page.locator(".layer-name")).to_have_text(names)
    assert saved.page.locator(".layer").evaluate_all(IDS) == ids
    damaged = tmp_path / "damaged.psd"
    damaged.write_bytes(files[1].read_bytes()[:600])
    saved.open()
    hand_over(saved, "drop", damaged, media_type="")
    expect(saved.page.locator(".welcome .callout")).to_contain_text("damaged")


def test_two_tabs_follow_each_other_and_a_reload_the_last_change(saved: Studio) -> None:
    other = saved.context.new_page()
    other.goto(saved.page.url)
    expect(other.locator(".layer")).to_have_count(2)
    rename_top(saved.page, "From the first tab")
    expect(other.locator(".layer-name").first).to_have_text("From the first tab")
    rename_top(other, "From the second tab")
    expect(saved.page.locator(".layer-name").first).to_have_text("From the second tab")
    expect(saved.page.locator(".conflict")).to_be_hidden()
    other.close()
    rename_top(saved.page, "At the last moment")
    saved.page.reload()
    expect(saved.page.locator(".layer-name").first).to_have_text("At the last moment")
    saved.wait_until_saved()
    expect(saved.page.locator(".conflict")).to_be_hidden()


def test_two_devices_that_changed_the_same_project_are_asked(saved: Studio, open_studio: Callable[..., Studio]) -> None:
    address = saved.page.evaluate("location.pathname")
    other = open_studio(path=address)
    expect(other.rows).to_have_count(2)
    for theirs, choice in (("Theirs", "Load the other version"), ("Theirs again", "Keep mine as a copy")):
        rename_top(saved.page, theirs)
        saved.wait_until_saved()
        rename_top(other.page, "Mine")
        expect(other.page.locator(".conflict")).to_be_visible()
        expect(other.page.locator(".saved")).to_have_text("Waiting for your choice")
        # Nobody loses anything, reload or not, until somebody chooses.
        other.page.reload()
        expect(other.page.locator(".conflict")).to_be_visible()
        expect(other.layer_names.first).to_have_text("Mine")
        other.button(choice).click()
        expect(other.page.locator(".conflict")).to_be_hidden()
        loads = choice.startswith("Load")
        expect(other.layer_names.first).to_have_text(theirs if loads else "Mine")
        other.wait_until_saved()
        assert (other.page.evaluate("location.pathname") == address) == loads
    saved.page.reload()
    expect(saved.layer_names.first).to_have_text("Theirs again")
