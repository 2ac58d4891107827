"""What every released version has written opens in this one: its data folder, its project file, its layers."""

import io
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.kit.forks import llm_dit
from tests.kit.service import Service, serve
from tests.kit.waiting import wait_until

VERSIONS = sorted(folder for folder in Path(__file__).parent.iterdir() if (folder / "studio").is_dir())
PROJECTS = "/api/projects"
LIVING, DELETED = {"poster", "海报", "Empty"}, "海报的副本"
AS_KEPT = {"LLM_DIT_SERVER__MAX_AGE_DAYS": "1000000"}
"""The clean-up must not take for old what was old when it was kept."""


@pytest.fixture(scope="module", params=VERSIONS, ids=lambda folder: folder.name)
def kept(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture(scope="module")
def opened(kept: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service on a copy of the kept data folder."""
    folder = tmp_path_factory.mktemp("kept")
    shutil.copytree(kept / "studio", folder / "data")
    with serve(folder, app="tests.kit.app:app", environment=AS_KEPT) as service:
        yield service


@pytest.fixture
def client(opened: Service) -> Iterator[httpx.Client]:
    with opened.connect() as client:
        yield client


def projects(client: httpx.Client) -> dict[str, str]:
    """Return the address of each project by its name."""
    return {each["name"]: f"{PROJECTS}/{each['id']}" for each in client.get(PROJECTS).json()["projects"]}


@pytest.mark.slow
def test_every_project_opens_saves_and_leaves(client: httpx.Client) -> None:
    assert set(projects(client)) >= LIVING
    for name in LIVING:
        address = projects(client)[name]
        project = client.get(address).raise_for_status().json()
        fields = {key: project[key] for key in ("document", "version", "thumbnail")}
        saved = client.put(address, json={**fields, "name": f"{name} 2"}).raise_for_status().json()
        assert (saved["name"], saved["document"]) == (f"{name} 2", project["document"])
        client.put(address, json={**fields, "name": name, "version": saved["version"]}).raise_for_status()
        file = client.get(f"{address}/file").raise_for_status()
        imported = client.post(f"{PROJECTS}/import", content=file.content, headers={"Content-Type": "application/zip"})
        assert imported.raise_for_status().json()["document"] == project["document"]
        client.delete(f"{PROJECTS}/{imported.json()['id']}").raise_for_status()


def test_pictures_are_there(client: httpx.Client) -> None:
    for name in LIVING - {"Empty"}:
        project = client.get(projects(client)[name]).json()
        images = {project["thumbnail"], *(layer["image"] for layer in project["document"]["table"])}
        for image in images:
            assert client.get(image).raise_for_status().content.startswith(b"\x89PNG")


def test_jobs_stand_where_they_stood_and_go_on(client: httpx.Client) -> None:
    def statuses() -> list[str]:
        return [job["status"] for job in client.get("/api/jobs").json()["jobs"]]

    wait_until(lambda: not {"queued", "processing"} & set(statuses()), "the jobs that waited")
    assert sorted(statuses()) == ["canceled", "succeeded", "succeeded"]


def test_what_the_page_asked_for_is_told_by_its_jobs(client: httpx.Client) -> None:
    document = client.get(projects(client)["poster"]).json()["document"]
    (failed,) = [attempt for edit in document["edits"].values() for attempt in edit["tries"]]
    job = client.get(f"/api/jobs/{failed['id']}").raise_for_status().json()
    assert (job["status"], job["error"]["message"]) == ("failed", failed["reason"])


def test_a_deleted_project_comes_back(client: httpx.Client) -> None:
    listed = client.get(PROJECTS, params={"deleted": "true"}).json()["projects"]
    (deleted,) = [each for each in listed if each["name"] == DELETED]
    address = f"{PROJECTS}/{deleted['id']}"
    assert client.post(f"{address}/restore").raise_for_status().json()["name"] == DELETED
    client.delete(address).raise_for_status()


def test_the_project_file_is_taken_in(kept: Path, client: httpx.Client) -> None:
    content = (kept / "poster.llm-dit.zip").read_bytes()
    answer = client.post(f"{PROJECTS}/import", content=content, headers={"Content-Type": "application/zip"})
    project = answer.raise_for_status().json()
    assert (project["name"], project["layer_count"]) == ("poster", len(project["document"]["doc"]["layers"]))
    client.delete(f"{PROJECTS}/{project['id']}").raise_for_status()


@pytest.mark.parametrize("source", ["bundle", "layers.zip", "layers.psd", "layers.ora", "poster.llm-dit.zip"])
def test_layers_are_put_together(kept: Path, source: str, tmp_path: Path) -> None:
    output = tmp_path / "composite.png"
    llm_dit("composite", kept / source, "-o", output, cwd=tmp_path).check_returncode()
    folder = kept / source if source == "bundle" else zipfile.Path(kept / "layers.zip")
    before = Image.open(io.BytesIO((folder / "composite.png").read_bytes())).convert("RGBA")
    with Image.open(output) as composite:
        difference = np.asarray(composite.convert("RGBA")).astype(int) - np.asarray(before)
    assert np.abs(difference).max() <= 1
