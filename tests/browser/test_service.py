"""The page and its server: progress, cancel, a connection that comes and goes, and what both must agree on."""

import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from PIL import Image
from playwright.sync_api import Route, expect

from server.worker.host import HostState
from tests.browser.studio import Studio
from tests.kit.service import Service, serve

COVERED = """
(element) => {
  const box = element.getBoundingClientRect();
  return !element.contains(document.elementFromPoint(box.left + box.width / 2, box.top + 4));
}
"""


def test_a_job_tells_its_progress_is_canceled_and_found_by_a_reload(
    open_studio: Callable[..., Studio], stepping: Service, picture: Path
) -> None:
    studio = open_studio(at=stepping, model=True)
    studio.choose(picture)
    studio.page.get_by_label("Describe the picture").fill("hang")
    studio.decompose_button.click()
    bar = studio.page.locator(".job-bar")
    expect(bar).to_contain_text(re.compile(r"step \d+ of \d+"))
    expect(studio.page).to_have_title(re.compile(r"^\d+% · .*llm-dit$"))
    bar.get_by_role("button", name="Cancel").click()
    expect(studio.decompose_button).to_be_enabled()
    expect(studio.page).to_have_title("shapes · llm-dit")
    expect(studio.rows).to_have_count(0)
    studio.button("Undo: Open picture").click()
    expect(studio.page.get_by_text("Split a picture into layers")).to_be_visible()

    studio.choose(picture)
    studio.page.get_by_label("Describe the picture").fill("wait")
    studio.decompose_button.click()
    # Sent: a page that is left before that takes its request along.
    expect(studio.page.locator(".job-bar")).to_contain_text(re.compile(r"step \d+ of \d+"))
    studio.page.reload()
    expect(studio.page.locator(".job-bar")).to_contain_text("Decomposing the picture")
    (stepping.folder / "go").touch()
    expect(studio.rows).to_have_count(4)


SHOWN = """
() => {
  window.shown = [];
  window.Notification = class {
    static permission = "default";
    static requestPermission = async () => (Notification.permission = "granted");
    constructor(title, options) {
      shown.push([title, options.body]);
    }
  };
}
"""
"""Notifications of a user who allows them; the headless browser has none."""
LOOK_ELSEWHERE = "() => Object.defineProperty(document, 'hidden', { get: () => true, configurable: true })"
LOOK_AGAIN = "() => { delete document.hidden; document.dispatchEvent(new Event('visibilitychange')); }"
LATER = "() => { const now = Date.now; Date.now = () => now() + 11_000; }"


def test_the_end_of_a_long_run_is_told_to_who_looks_elsewhere(
    open_studio: Callable[..., Studio], stepping: Service, picture: Path
) -> None:
    studio = open_studio(at=stepping, model=True)
    page = studio.page
    page.evaluate(SHOWN)
    studio.choose(picture)
    page.keyboard.press("j")
    box = page.get_by_role("dialog").get_by_role("checkbox")
    expect(box).not_to_be_checked()
    box.check()
    studio.wait_for(lambda: len(page.evaluate("shown")) == 1, "the first notification")
    page.keyboard.press("Escape")

    def run(*before_its_end: str, prompt: str = "wait") -> None:
        page.get_by_label("Describe the picture").fill(prompt)
        studio.decompose_button.click()
        work = page.locator(".job-work")
        expect(work).to_be_visible()  # while it is hidden it has the words of the last job
        expect(work).to_contain_text(re.compile(r"step \d+ of \d+"))
        for script in before_its_end:
            page.evaluate(script)
        (stepping.folder / "go").touch()
        expect(studio.decompose_button).to_be_enabled()
        (stepping.folder / "go").unlink()

    run(LATER)
    run(LOOK_ELSEWHERE)
    expect(page).to_have_title("Ready · shapes · llm-dit")
    assert len(page.evaluate("shown")) == 1, "none for who looks, and none after a short run"
    page.evaluate(LOOK_AGAIN)
    expect(page).to_have_title("shapes · llm-dit")
    run(LOOK_ELSEWHERE, LATER)
    assert page.evaluate("shown").pop() == ["shapes", "The result is ready."]

    # Turned off, and blocked.
    page.keyboard.press("j")
    box.uncheck()
    page.keyboard.press("Escape")
    run(LATER)
    assert len(page.evaluate("shown")) == 2
    expect(page).to_have_title("Ready · shapes · llm-dit")
    page.evaluate("() => { Notification.permission = 'denied'; }")
    page.keyboard.press("j")
    expect(page.get_by_role("dialog")).to_contain_text("blocks notifications")
    expect(box).to_be_disabled()


def test_an_edit_says_how_much_of_its_model_has_come(open_stack: Callable[..., Studio], stepping: Service) -> None:
    studio = open_stack(2, at=stepping, model=True)
    studio.edit("Layer 0", "download")
    expect(studio.dialog).to_contain_text("Downloading the model · 0.3 of 1.6 GB")
    (stepping.folder / "go").touch()
    expect(studio.button("Replace layer")).to_be_visible()


def test_jobs_of_another_tab_are_listed_canceled_and_opened(
    open_stack: Callable[..., Studio], stepping: Service
) -> None:
    studio = open_stack(2, at=stepping, model=True)
    for name in ("Layer 0", "Layer 1"):
        studio.edit(name, "wait")
        expect(studio.dialog).to_have_attribute("data-state", "running")
        studio.page.keyboard.press("Escape")
    other = studio.context.new_page()
    other.goto(studio.url)
    expect(other.get_by_text("Split a picture into layers")).to_be_visible()
    other.keyboard.press("j")
    rows = other.locator(".job")
    expect(rows).to_contain_text(["Editing “Layer 1”", "Editing “Layer 0”"])
    expect(rows.first).to_contain_text("shapes · wait")
    expect(rows.first).to_contain_text("Queued")
    rows.first.get_by_role("button", name="Cancel").click()
    expect(rows.first).to_contain_text("Canceled")
    (stepping.folder / "go").touch()
    expect(rows.last).to_contain_text("Done")
    studio.wait_until_saved()
    rows.last.get_by_role("button", name="Open").click()
    expect(other.get_by_role("button", name="Replace layer")).to_be_visible()
    expect(other.get_by_role("heading", name="Layer 0")).to_be_visible()


def test_without_server_sent_events_the_page_polls(studio: Studio, picture: Path) -> None:
    studio.page.route("**/events", lambda route: route.abort())
    studio.choose(picture)
    studio.decompose(layers=2)


LOADED = """
() => performance.getEntriesByType("resource").filter(({ name }) => /\\.(js|css)$/.test(name))
  .reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0)
"""


def test_scripts_and_styles_are_small(studio: Studio) -> None:
    """Bytes as they are sent: of the start page, then of all but what comes with layers, and with edits of them."""
    assert 20_000 < studio.page.evaluate(LOADED) < 90_000
    studio.sample("Poster")
    studio.page.wait_for_load_state("networkidle")
    assert 50_000 < studio.page.evaluate(LOADED) < 130_000


def test_layers_show_while_they_are_made(studio: Studio, picture: Path) -> None:
    studio.choose(picture)
    red = io.BytesIO()
    Image.new("RGBA", (8, 6), "red").save(red, "PNG")
    sent = studio.page.request.post(
        f"{studio.url}/api/images", data=red.getvalue(), headers={"Content-Type": "image/png"}
    )
    shown = sent.json()["image"]
    studio.wait_for_paint()
    plain = studio.pixels()
    job = {"id": "slow", "kind": "decompose", "status": "processing", "phase": "denoising", "step": 1, "total": 4}
    job |= {"eta_s": 3.0, "position": None}
    preview = {"layer": 1, "url": shown}
    events = (
        f"event: progress\nid: 1\ndata: {json.dumps(job)}\n\nevent: preview\nid: 2\ndata: {json.dumps(preview)}\n\n"
    )
    studio.page.route("**/decompose", lambda route: route.fulfill(status=202, json=job))
    studio.page.route("**/api/jobs/slow", lambda route: route.fulfill(json=job))
    studio.page.route(
        "**/api/jobs/slow/events", lambda route: route.fulfill(content_type="text/event-stream", body=events)
    )
    studio.decompose_button.click()
    expect(studio.page.locator(".ghost.seen")).to_have_count(1)
    studio.wait_for(lambda: studio.pixels()[:3] == [255, 0, 0], "the preview in the place of the picture")
    studio.button("Hide").click()
    studio.wait_for(lambda: studio.pixels() == plain, "the picture")
    studio.button("Show the preview").click()
    expect(studio.page.locator(".job-detail")).to_have_text("Painting · step 2 of 4 · 3 s left")


def test_a_phone_that_wakes_up_finds_its_job_again(studio: Studio, picture: Path) -> None:
    studio.choose(picture)
    lost = "**/api/jobs/**"
    studio.page.route(lost, lambda route: route.abort())
    studio.decompose_button.click()
    expect(studio.page.locator(".job-work")).to_be_visible()
    studio.page.unroute(lost)
    studio.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(studio.rows).to_have_count(4)


def test_a_stream_that_the_server_ends_is_taken_up_again(
    open_stack: Callable[..., Studio], start_service: Callable[..., Service]
) -> None:
    service = start_service(app="tests.kit.app:kept", environment={"TEST_STREAM_S": "0.3"})
    studio = open_stack(2, at=service)
    asked: list[str] = []
    studio.page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/events") else None)
    studio.edit("Layer 0", "wait")
    # What the browser tells is heard while it is asked something.
    studio.wait_for(lambda: studio.version("Running edit").is_visible() and len(asked) >= 2, "another stream")
    assert len(set(asked)) == 1
    for error in (studio.page.locator(".offline"), studio.page.locator(".notice"), studio.dialog.get_by_role("alert")):
        expect(error).to_be_hidden()
    (service.folder / "go").touch()
    expect(studio.version("v2: wait")).to_be_checked()
    expect(studio.dialog.get_by_role("alert")).to_be_hidden()


def test_a_server_that_cannot_be_reached(studio: Studio, picture: Path) -> None:
    studio.choose(picture)
    studio.context.set_offline(True)
    studio.decompose_button.click()
    expect(studio.page.locator(".source > .callout")).to_contain_text("cannot be reached")
    studio.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(studio.page.locator(".offline")).to_be_visible()
    studio.context.set_offline(False)
    studio.button("Try again").click()
    expect(studio.page.locator(".offline")).to_be_hidden()
    studio.decompose(layers=2)


def test_pictures_the_server_no_longer_has(open_stack: Callable[..., Studio]) -> None:
    studio = open_stack(2)
    studio.page.route("**/api/images/*", lambda route: route.fulfill(status=404, json={"detail": "gone"}))
    studio.page.reload()
    expect(studio.page.locator(".stage-error")).to_be_visible()


def test_the_engine_says_what_it_is(studio: Studio, service: Service) -> None:
    status = service.get("/api/qwen-image/status").json()
    chip = studio.page.locator(".engine")
    expect(chip).to_have_text(status["engine_label"])
    chip.click()
    expect(studio.page.get_by_role("dialog")).to_contain_text(status["hint"].replace("`", ""))
    expect(studio.page.get_by_role("dialog").locator("code")).to_have_text("llm-dit doctor")
    studio.page.keyboard.press("Escape")
    expect(studio.page.get_by_label("Describe the picture")).to_be_hidden()

    # What it computes by.
    why = ["flash-attn-4: it is not installed; the extra `flash` brings it"]
    studio.pretend(forward={"blocks": "fused", "kernels": "triton", "attention": "cudnn", "why": why})
    chip.click()
    dialog = studio.page.get_by_role("dialog")
    expect(dialog).to_contain_text("fused · triton · cudnn")
    expect(dialog).to_contain_text("Nothing faster: flash-attn-4: it is not installed; the extra flash brings it.")

    # While it loads there is less to say.
    studio.pretend(engine="qwen", state="loading", loaded_models=[], device="", engine_label="Qwen-Image", forward=None)
    expect(chip).to_have_accessible_name(re.compile("^Qwen-Image: loading"))
    expect(studio.page.locator(".job-facts")).to_have_text("The engine is loading…")
    chip.click()
    expect(dialog.locator("dd:visible")).to_have_text(["Loading…", "0", "0"])


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    environment = {"TEST_PIPELINE": "BrokenPipeline"}
    folder = tmp_path_factory.mktemp("broken")
    with serve(folder, app="tests.kit.app:kept", environment=environment, ready=False) as running:
        yield running


def test_an_engine_that_cannot_run(open_studio: Callable[..., Studio], broken: Service) -> None:
    studio = open_studio(at=broken, engine="gone")
    page = studio.page
    status = broken.get("/api/qwen-image/status").json()
    bar = page.get_by_role("alert").filter(has_text="cannot run")
    expect(bar).to_contain_text(status["error"].replace("`", ""))
    expect(bar).to_contain_text(status["hint"].replace("`", ""))
    expect(page.locator(".engine-text")).to_have_text("Cannot run")
    expect(page.locator(".engine")).to_have_accessible_name(re.compile(": cannot run"))
    expect(page.locator(".job-facts")).to_have_text("The engine cannot run")
    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 800})
        expect(bar).to_be_in_viewport()
        assert studio.overflow() == 0
    bar.get_by_role("button", name="About this engine").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(status["error"].replace("`", ""))
    assert "" not in dialog.locator("dd:visible").all_inner_texts()


def test_every_state_of_the_engine(studio: Studio) -> None:
    """Each state that the server names, one that it may name some day, and a server that is gone."""
    page = studio.page
    words = {
        "loading": ("wait", "Loading", "The engine is loading…"),
        "ready": ("ready", "Classical", "Ready"),
        "unloaded": ("ready", "Idle", "Ready. The next job loads the model again."),
        "failed": ("gone", "Cannot run", "The engine cannot run"),
        "half awake": ("wait", "half awake", "half awake"),
    }
    assert set(get_args(HostState)) <= words.keys()
    now: dict[str, Any] = {}
    page.route("**/api/qwen-image/status", lambda route: route.fulfill(json=route.fetch().json() | now))
    look_again = "document.dispatchEvent(new Event('visibilitychange'))"
    for state, (look, chip, foot) in words.items():
        now = {"state": state, "queue": {"length": 0, "running": 0, "max_length": 8}}
        page.evaluate(look_again)
        expect(page.locator(".engine-text")).to_have_text(chip)
        expect(page.locator(".engine")).to_have_attribute("data-state", look)
        expect(page.locator(".job-facts")).to_have_text(foot)
    now = {"state": "ready", "queue": {"length": 2, "running": 1, "max_length": 8}}
    page.evaluate(look_again)
    expect(page.locator(".job-facts")).to_have_text("The engine is busy: 1 running, 2 waiting")
    page.route("**/api/qwen-image/status", lambda route: route.abort())
    page.evaluate(look_again)
    expect(page.locator(".engine-text")).to_have_text("Offline")
    expect(page.locator(".job-facts")).to_have_text("Offline")
    # A word that is missing is a loss for who wrote it, and is said in the console.
    assert [line for line in studio.complaints if "no words for" not in line] == []
    assert len(studio.complaints) == 2
    studio.complaints.clear()


def test_a_view_that_fails_silences_no_other_one(studio: Studio, picture: Path) -> None:
    def answer(route: Route) -> None:
        route.fulfill(json=route.fetch().json() | {"engine_label": None})  # what the header cannot show

    studio.page.route("**/api/qwen-image/status", answer)
    studio.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    studio.choose(picture)
    studio.decompose(layers=2)
    # The header says so once, however often it is drawn.
    assert len(studio.complaints) == 1
    studio.complaints.clear()


def test_an_error_comes_into_view(open_studio: Callable[..., Studio], picture: Path) -> None:
    for width, height in ((1280, 460), (360, 640)):
        studio = open_studio(width=width, height=height, touch=width < 760)
        studio.choose(picture)
        studio.page.route("**/decompose", lambda route: route.fulfill(status=503, json={"detail": "Come back later."}))
        studio.decompose_button.evaluate("(button) => button.click()")
        callout = studio.page.locator(".source > .callout")
        expect(callout).to_be_in_viewport(ratio=1)
        studio.wait_for(lambda: callout.evaluate(COVERED) is False, "the error in sight")  # noqa: B023


def test_the_page_takes_limits_and_defaults_from_the_server(studio: Studio, service: Service, picture: Path) -> None:
    """Those that `tests/web/test_described.py` sees a server take from the library."""
    limits = service.get("/api/qwen-image/config").json()["limits"]
    studio.pretend_model(layer_num=3, steps=12, cfg_scale=2.5, limits=limits | {"layer_num": [1, 12]})
    studio.choose(picture)
    source = studio.page.locator(".source")
    layers = source.get_by_label("Layers")
    expect(layers).to_have_value("3")
    source.get_by_text("Guidance, steps, seed").click()
    expect(source.get_by_label("Steps")).to_have_value("12")
    expect(source.get_by_label("Guidance")).to_have_value("2.5")
    expect(layers).to_have_attribute("max", "12")
    layers.fill("12")
    with studio.page.expect_request("**/decompose") as sent:
        studio.decompose_button.click()
    assert (sent.value.post_data_json or {})["layer_num"] == 12
    # This server takes no more than ten, and says so.
    expect(studio.page.locator(".source > .callout")).to_contain_text("less than or equal to 10")


LORAS = {
    "decompose": [{"name": "ink", "weight": 1.0}, {"name": "clay", "weight": 0.0}],
    "edit": [{"name": "lightning", "weight": 1.0}],
}


def test_loras_are_switched_and_weighed_for_each_run(studio: Studio, picture: Path) -> None:
    page, source = studio.page, studio.page.locator(".source")
    studio.pretend_model(loras=LORAS)
    studio.choose(picture)
    source.get_by_text("Speed, guidance").click()
    with page.expect_request("**/decompose") as first:
        studio.decompose_button.click()
    assert "loras" not in (first.value.post_data_json or {}), "as the server has them"
    expect(studio.rows.first).to_be_visible()
    source.get_by_role("checkbox", name="ink").uncheck()
    source.get_by_role("checkbox", name="clay").check()
    source.get_by_role("slider", name="Weight of clay").fill("0.65")
    expect(source.get_by_role("slider", name="Weight of ink")).to_be_disabled()
    studio.wait_until_saved()
    page.reload()
    source.get_by_text("Speed, guidance").click()
    expect(source.get_by_role("checkbox", name="ink")).not_to_be_checked()
    with page.expect_request("**/decompose") as second:
        studio.decompose_button.click()
    assert (second.value.post_data_json or {})["loras"] == ["clay:0.65"]

    expect(source).to_contain_text("has no LoRAs")  # the engine behind what is pretended
    studio.edit_button("").first.click()
    studio.dialog.get_by_text("Speed, guidance").click()
    studio.dialog.get_by_role("checkbox", name="lightning").uncheck()
    studio.instruction.fill("make it red")
    with page.expect_request("**/edit-layer") as third:
        studio.button("Apply").click()
    assert (third.value.post_data_json or {})["loras"] == []
