"""Projects that released versions have kept, in the page of this one."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.studio import Studio
from tests.kept.test_kept import AS_KEPT, PROJECTS, VERSIONS, projects
from tests.kit.service import OWN_PIPELINE, serve


@pytest.mark.parametrize("kept", VERSIONS, ids=lambda folder: folder.name)
def test_a_kept_project_goes_on(kept: Path, tmp_path: Path, open_studio: Callable[..., Studio]) -> None:
    shutil.copytree(kept / "studio", tmp_path / "data")
    with serve(tmp_path, app="tests.kit.app:kept", environment=OWN_PIPELINE | AS_KEPT) as service:
        with service.connect() as client:
            # Pictures that wait to be taken apart would be for seconds, and `tests/kept` sees that they are.
            for job in client.get("/api/jobs").json()["jobs"]:
                if job["status"] in ("queued", "processing"):
                    client.delete(f"/api/jobs/{job['id']}").raise_for_status()
            address = projects(client)["poster"]
            document = client.get(address).json()["document"]
        studio = open_studio(at=service, path=address.replace(PROJECTS, "/p"))
        expect(studio.rows).to_have_count(len(document["doc"]["layers"]))
        studio.wait_for_paint()
        expect(studio.page.locator(".group")).to_be_visible()
        for _ in document["past"]:
            studio.page.keyboard.press("Control+z")
        expect(studio.button("Undo", exact=True)).to_be_disabled()
        for _ in [*document["past"], *document["future"]]:
            studio.page.keyboard.press("Control+y")
        studio.wait_until_saved()
        studio.edit("Background 2", "make it red")
        studio.button("Replace layer").click()
        studio.wait_until_saved()
