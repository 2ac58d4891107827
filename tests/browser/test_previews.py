"""While the tiny Qwen engine works, its service and the page show what the layers are going to be."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Locator, expect

from tests.browser.studio import Studio
from tests.kit.jobs import events
from tests.kit.service import Service, qwen_environment, serve
from tests.kit.waiting import wait_until

SEEN = """
(canvas) => {
  const { width, height } = canvas;
  const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  const { data } = copy.getImageData(0, 0, width, height);
  return data.some((value) => value > 0);
}
"""


@pytest.fixture(scope="module")
def qwen(checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    environment = qwen_environment(checkpoints, LLM_DIT_SERVER__DRAIN_S="0")
    with serve(tmp_path_factory.mktemp("qwen"), environment=environment) as running:
        yield running


def start(studio: Studio, picture: Path, *, steps: int, size: str = "640") -> str:
    """Begin to take a picture apart and return the job's address."""
    studio.choose(picture)
    studio.page.get_by_label("Describe the picture").fill("four shapes on white")
    studio.page.get_by_text("Guidance, steps, seed").click()
    studio.page.get_by_role("radio", name=size).check()
    studio.page.locator(".source").get_by_label("Steps").fill(str(steps))
    studio.page.locator(".source").get_by_label("Layers").fill("2")
    with studio.page.expect_response("**/decompose") as answer:
        studio.decompose_button.click()
    return str(answer.value.headers["location"])


def wait_until_drawn(studio: Studio, canvas: Locator) -> None:
    expect(canvas).to_be_visible()
    studio.wait_for(lambda: canvas.evaluate(SEEN), what="a preview")


def newest_preview(client: httpx.Client, job: str) -> str:
    return next(str(data["url"]) for _, name, data in events(client, job) if name == "preview")


def test_tiles_show_layers_while_they_are_made(
    qwen: Service, open_studio: Callable[..., Studio], picture: Path
) -> None:
    studio = open_studio(at=qwen)
    # As long a run as there is: the page has to be loaded once more before its end.
    job = start(studio, picture, steps=100, size="1024")
    tiles = studio.page.locator(".ghost.seen canvas")
    expect(tiles).to_have_count(2)
    wait_until_drawn(studio, tiles.first)
    studio.page.reload()
    expect(tiles).to_have_count(2)
    wait_until_drawn(studio, tiles.last)

    with qwen.connect() as client:
        url = newest_preview(client, job)
        answer = client.get(url)
        assert answer.headers["content-type"] == "image/png"
        with Image.open(io.BytesIO(answer.content)) as preview, Image.open(picture) as original:
            assert preview.mode == "RGBA"
            assert preview.width / preview.height == pytest.approx(original.width / original.height, rel=0.05)
        stored = {path.name for path in (qwen.folder / "data/images").rglob("*.png")}
        assert len(stored) == 1, "only the picture itself is kept"

        studio.page.locator(".job-bar").get_by_role("button", name="Cancel").click()
        expect(studio.page.locator(".ghost.seen")).to_have_count(0)
        wait_until(lambda: client.get(job).json()["status"] == "canceled", "the end of the job")
        assert client.get(url).status_code == 404


def test_the_modal_shows_an_edit_while_it_is_made(
    qwen: Service, open_studio: Callable[..., Studio], picture: Path
) -> None:
    studio = open_studio(at=qwen)
    start(studio, picture, steps=1)
    expect(studio.rows).to_have_count(2)
    studio.button("Edit Background").click()
    studio.instruction.fill("make it blue")
    studio.dialog.get_by_text("Guidance, steps, seed").click()
    studio.dialog.get_by_label("Steps").fill("100")
    studio.button("Apply").click()
    wait_until_drawn(studio, studio.dialog.locator(".version-tile[data-kind=running] canvas"))
