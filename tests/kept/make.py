"""Keep what this version of the product writes, for every later version to open: `python -m tests.kept.make`.

Run it once, when a version is released, with the version's own code; it writes `tests/kept/{version}/`. What it keeps
is made by the page in a real Chromium, by the HTTP API and by the command line, as people would make it.
"""

import contextlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, expect

from tests.browser.conftest import chromium
from tests.browser.studio import Studio
from tests.kit.pictures import as_data_url, png
from tests.kit.service import Service, serve
from tests.kit.waiting import wait_until

COMMAND = Path(sys.executable).with_name("llm-dit")
ASYNC = {"Prefer": "respond-async"}
FORMATS = {"zip": "layers.zip", "psd": "layers.psd", "ora": "layers.ora"}
STOP_AT_ONCE = {"LLM_DIT_SERVER__DRAIN_S": "0"}
NOT_KEPT = shutil.ignore_patterns("studio.lock", "studio.secret", "transit")
"""The lock and the transit folder are of the running service only, and no secret belongs in a repository."""


def main() -> None:
    target = Path(__file__).parent / version("llm-dit")
    if target.exists():
        sys.exit(f"{target} is there already, and what an older version wrote is never rewritten")
    with tempfile.TemporaryDirectory() as name:
        folder, kept = Path(name), Path(name) / "kept"
        kept.mkdir()
        poster = draw_poster(folder / "poster.png")
        with serve(folder / "service", environment=STOP_AT_ONCE) as service:
            with chromium() as browser:
                work_in_english(browser, service, poster)
                work_in_chinese(browser, service, draw_poster(folder / "海报.png"))
            with service.connect() as client:
                delete_a_copy(client)
                keep_files(client, kept)
                leave_jobs(client)
        subprocess.run(
            [COMMAND, "decompose", poster, "--layers", "3", "--seed", "1", "-o", kept / "bundle"], check=True
        )
        data = folder / "service" / "data"
        check(data)
        shutil.copytree(data, kept / "studio", ignore=NOT_KEPT)
        shutil.copytree(kept, target)
    size = sum(file.stat().st_size for file in target.rglob("*") if file.is_file())
    sys.stdout.write(f"{target}: {size / 1000:.0f} kB\n")


def draw_poster(path: Path) -> Path:
    """A picture of few bytes that is taken apart at once: shapes of plain color on a plain ground."""
    image = Image.new("RGB", (120, 90), "white")
    pen = ImageDraw.Draw(image)
    pen.ellipse((10, 15, 55, 60), fill=(240, 130, 30))
    pen.rectangle((70, 35, 110, 75), fill=(30, 140, 60))
    pen.polygon([(30, 67), (60, 85), (10, 85)], fill=(40, 80, 200))
    image.save(path)
    return path


def work_in_english(browser: Browser, service: Service, poster: Path) -> None:
    """A project with versions, a failed try, a blend mode, places, a group, a past and a step that was undone."""
    context = browser.new_context(locale="en-US")
    studio, page = Studio(context, service.url), context.pages[0]
    studio.open()
    studio.choose(poster)
    studio.decompose(layers=4)
    for instruction in ("make it blue", "make it darker"):
        studio.edit("Background", instruction)
        studio.button("Replace layer").click()
        expect(studio.dialog).to_be_hidden()
    studio.edit("Background", "add a hat to the dog")
    expect(studio.dialog.get_by_role("alert")).to_be_visible()
    page.keyboard.press("Escape")
    page.locator(".layer-main").first.click()
    page.get_by_label("Blend mode of").select_option("multiply")
    page.locator(".stage-view").focus()
    page.keyboard.press("Shift+ArrowRight")
    page.get_by_label(f"Opacity of {studio.names()[0]}").fill("60")
    page.locator(".layer-main").nth(1).click()
    studio.menu(f"More for {studio.names()[1]}", "Merge down")
    expect(studio.rows).to_have_count(3)
    studio.menu(f"More for {studio.names()[1]}", "Split again")
    expect(page.locator(".group")).to_be_visible()
    page.locator(".layer-main").last.click()
    page.keyboard.press("Control+d")
    page.keyboard.press("Control+z")
    studio.wait_until_saved()
    context.close()


def work_in_chinese(browser: Browser, service: Service, poster: Path) -> None:
    context = browser.new_context(locale="zh-CN")
    studio, page = Studio(context, service.url), context.pages[0]
    studio.open()
    page.locator(".welcome input[type=file]").first.set_input_files(poster)
    button = page.locator(".source .primary")
    expect(button).to_be_enabled()
    button.click()
    expect(studio.rows).to_have_count(4)
    studio.wait_until_saved()
    context.close()


def delete_a_copy(client: httpx.Client) -> None:
    path = f"/api/projects/{project(client, '海报')['id']}"
    copy = client.post(f"{path}/duplicate", json={"name": "海报的副本"}).raise_for_status().json()
    client.delete(f"/api/projects/{copy['id']}").raise_for_status()
    client.post("/api/projects", json={"name": "Empty", "document": {}}).raise_for_status()


def project(client: httpx.Client, name: str) -> dict[str, Any]:
    (found,) = [each for each in client.get("/api/projects").json()["projects"] if each["name"] == name]
    return dict(client.get(f"/api/projects/{found['id']}").raise_for_status().json())


def keep_files(client: httpx.Client, kept: Path) -> None:
    """Keep what the page saves to the disk: the project's own file, and its layers in each layered format."""
    poster = project(client, "poster")
    file = client.get(f"/api/projects/{poster['id']}/file").raise_for_status()
    (kept / "poster.llm-dit.zip").write_bytes(file.content)
    document = poster["document"]
    about = {"width": document["doc"]["width"], "height": document["doc"]["height"], "name": "poster"}
    layers = [stacked(document["table"][place]) for place in document["doc"]["layers"]]
    for name, target in FORMATS.items():
        answer = client.post("/api/qwen-image/export", json={**about, "format": name, "layers": layers})
        (kept / target).write_bytes(answer.raise_for_status().content)


def stacked(layer: dict[str, Any]) -> dict[str, Any]:
    """Return a layer of a document as the export takes it."""
    same = ("image", "name", "group", "opacity", "visible", "x", "y", "blend", "scale")
    return {key: layer[key] for key in same} | {"flip_x": layer["flipX"], "flip_y": layer["flipY"]}


def leave_jobs(client: httpx.Client) -> None:
    """Leave a canceled job, and others that wait when the service ends; the page's own have ended well, and failed."""
    large = as_data_url(png(Image.effect_noise((16, 16), 40).convert("RGB").resize((1200, 1200), 0)))
    jobs: list[str] = []
    for seed in (1, 2, 3):
        answer = client.post("/api/qwen-image/decompose", json={"image": large, "seed": seed}, headers=ASYNC)
        jobs.append(answer.raise_for_status().headers["location"])
    client.delete(jobs[1]).raise_for_status()
    wait_until(lambda: client.get(jobs[1]).json()["status"] == "canceled", "the canceled job")


def check(data: Path) -> None:
    """Make sure that what is kept has all that it should have."""
    with contextlib.closing(sqlite3.connect(data / "studio.db")) as database:
        statuses = {status for (status,) in database.execute("SELECT DISTINCT status FROM jobs")}
        assert statuses == {"succeeded", "failed", "canceled", "queued"}, statuses
        deleted = database.execute("SELECT count(*) FROM projects WHERE deleted_at IS NOT NULL").fetchone()[0]
        assert (deleted, database.execute("SELECT count(*) FROM projects").fetchone()[0]) == (1, 4)


if __name__ == "__main__":
    main()
