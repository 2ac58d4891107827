"""The page and its server: progress, cancel, a connection that comes and goes, and what both must agree on."""

import re
from pathlib import Path

import httpx
from playwright.sync_api import expect

from tests.browser.studio import Studio


def test_progress_and_cancel(studio: Studio) -> None:
    studio.sample("Night camp")
    studio.decompose_button.click()
    bar = studio.page.locator(".job-bar")
    expect(bar).to_contain_text(re.compile(r"step \d+ of \d+"))
    expect(studio.page).to_have_title(re.compile(r"^\d+ % · llm-dit$"))
    bar.get_by_role("button", name="Cancel").click()
    expect(studio.decompose_button).to_be_enabled()
    expect(studio.page).to_have_title("llm-dit")
    expect(studio.rows).to_have_count(0)
    studio.button("Undo: Open picture").click()
    expect(studio.page.get_by_text("Take a picture apart")).to_be_visible()


def test_a_reload_finds_the_running_job(studio: Studio) -> None:
    studio.sample("Poster")
    studio.page.get_by_role("radio", name="640").check()
    studio.decompose_button.click()
    expect(studio.page.locator(".job-bar")).to_contain_text("Taking the picture apart")
    studio.page.reload()
    expect(studio.rows).to_have_count(4, timeout=60_000)


def test_without_server_sent_events_the_page_polls(studio: Studio, picture: Path) -> None:
    studio.page.route("**/events", lambda route: route.abort())
    studio.choose(picture)
    studio.decompose(layers=2)


def test_a_server_that_cannot_be_reached(studio: Studio, picture: Path) -> None:
    studio.choose(picture)
    studio.context.set_offline(True)
    studio.decompose_button.click()
    expect(studio.page.locator(".source .callout")).to_contain_text("cannot be reached")
    studio.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(studio.page.locator(".offline")).to_be_visible()
    studio.context.set_offline(False)
    studio.button("Try again").click()
    expect(studio.page.locator(".offline")).to_be_hidden()
    studio.decompose(layers=2)


def test_pictures_the_server_no_longer_has(studio: Studio, picture: Path) -> None:
    studio.choose(picture)
    studio.decompose(layers=2)
    studio.page.route("**/api/images/*", lambda route: route.fulfill(status=404, json={"detail": "gone"}))
    studio.page.reload()
    expect(studio.page.locator(".stage-error")).to_be_visible()


def test_the_engine_says_what_it_is(studio: Studio) -> None:
    status = httpx.get(f"{studio.url}/api/qwen-image/status").json()
    chip = studio.page.locator(".engine")
    expect(chip).to_have_text(status["engine_label"])
    chip.click()
    expect(studio.page.get_by_role("dialog")).to_contain_text(status["hint"])
    studio.page.keyboard.press("Escape")
    expect(studio.page.get_by_label("Describe the picture")).to_be_hidden()


def test_limits_and_defaults_are_the_servers(studio: Studio) -> None:
    config = httpx.get(f"{studio.url}/api/qwen-image/config").json()
    page = studio.page.evaluate(
        "async () => { const m = await import('/static/js/state/initial.js');"
        " return { limits: m.LIMITS, settings: m.initialState().settings, edit: m.NEW_EDIT }; }"
    )
    assert page["limits"]["layers"] == config["limits"]["layer_num"]
    assert page["limits"]["steps"] == config["limits"]["steps"]
    assert page["limits"]["cfgScale"] == config["limits"]["cfg_scale"]
    assert page["limits"]["maxSeed"] == config["limits"]["seed"][1]
    assert page["settings"]["layerNum"] == config["defaults"]["layer_num"]
    for settings in (page["settings"], page["edit"]):
        assert settings["steps"] == config["defaults"]["steps"]
        assert settings["cfgScale"] == config["defaults"]["cfg_scale"]
