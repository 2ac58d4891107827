"""Projects over HTTP: kept, listed, never overwritten unseen, deleted and restored, sent away and brought back."""

# pyright: reportArgumentType=false, reportOperatorIssue=false

import io
import json
import random
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from PIL import Image

from llm_dit.errors import InputError
from llm_dit.images import ImageLimits
from llm_dit.imports.layer_file import FileLimits
from server.projects.files import read_project
from server.projects.projects import DOCUMENT_FORMAT
from server.storage.images import ImageStore
from tests.kit.pictures import disc, png, square
from tests.kit.service import Service, connect
from tests.kit.waiting import wait_until
from tests.web.corpus import assert_problem

PROJECTS = "/api/projects"
PNG = png(disc())


def upload(client: httpx.Client, content: bytes) -> str:
    return str(client.post("/api/images", content=content, headers={"Content-Type": "image/png"}).json()["image"])


@pytest.fixture
def image(client: httpx.Client) -> str:
    return upload(client, png(disc()))


def document(*images: str) -> dict[str, object]:
    return {"layers": [{"image": image, "name": "层", "versions": [image]} for image in images]}


def add(client: httpx.Client, name: str = "Poster", *images: str) -> dict[str, object]:
    answer = client.post(PROJECTS, json={"name": name, "document": document(*images)})
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"{PROJECTS}/{answer.json()['id']}"
    return dict(answer.json())


def path(project: dict[str, object]) -> str:
    return f"{PROJECTS}/{project['id']}"


def test_a_large_document_is_kept_as_it_came(client: httpx.Client, image: str) -> None:
    large = {"layers": [{"image": image, "name": '层 \\ "x" ' * 10, "at": number / 3} for number in range(1000)]}
    project = client.post(PROJECTS, json={"name": "x", "document": large}).json()
    assert (project["document"], project["layer_count"]) == (large, 1000)
    lax = json.dumps({"name": "x", "document": {**large, "x": float("nan")}}).encode()
    assert_problem(client.post(PROJECTS, content=lax, headers={"Content-Type": "application/json"}), 400)


def test_a_project_is_kept_and_listed(client: httpx.Client, image: str) -> None:
    fields = {"name": "海报", "document": document(image, image), "thumbnail": image}
    before = time.time()
    project = client.post(PROJECTS, json=fields).json()
    assert client.get(path(project)).json() == project
    assert {key: project[key] for key in fields} == fields
    assert (project["version"], project["layer_count"]) == (1, 2)
    assert before <= project["created_at"] <= time.time()
    first = client.get(PROJECTS).json()["projects"][0]
    assert first == {key: value for key, value in project.items() if key != "document"}


def test_saves_build_on_each_other(client: httpx.Client, image: str) -> None:
    project, other = add(client), add(client)
    saved = client.put(path(project), json={"name": "New", "document": document(image), "version": 1}).json()
    assert (saved["name"], saved["version"], saved["layer_count"]) == ("New", 2, 1)
    assert client.get(PROJECTS).json()["projects"][0]["id"] == project["id"], "the latest change first"

    late = client.put(path(project), json={"name": "Late", "document": {}, "version": 1})
    assert_problem(late, 409, "project_changed")
    assert client.get(path(project)).json() == saved
    assert client.get(path(other)).json() == other
    assert_problem(client.put(f"{PROJECTS}/none", json={"name": "x", "document": {}, "version": 1}), 404)


def test_a_deleted_project_comes_back(client: httpx.Client) -> None:
    project = add(client)
    assert client.delete(path(project)).status_code == 204
    assert_problem(client.get(path(project)), 404)
    assert_problem(client.delete(path(project)), 404)
    assert_problem(client.put(path(project), json={"name": "x", "document": {}, "version": 1}), 404)
    assert project["id"] not in [each["id"] for each in client.get(PROJECTS).json()["projects"]]
    assert client.post(f"{path(project)}/restore").json() == project
    assert client.get(path(project)).json() == project
    assert_problem(client.post(f"{PROJECTS}/none/restore"), 404)


def listed(client: httpx.Client, **how: str) -> list[str]:
    return [each["id"] for each in client.get(PROJECTS, params=how).json()["projects"]]


def test_deleted_projects_are_listed_until_they_are_gone_for_good(client: httpx.Client) -> None:
    first, second = add(client), add(client)
    assert first["deleted_at"] is None
    before = time.time()
    for project in (first, second):
        client.delete(path(project))
    newest = client.get(PROJECTS, params={"deleted": "true"}).json()["projects"][0]
    assert newest["id"] == second["id"]
    assert before <= newest["deleted_at"] <= time.time()
    assert listed(client, deleted="true")[:2] == [second["id"], first["id"]]
    assert client.post(f"{path(first)}/restore").json() == first
    assert first["id"] not in listed(client, deleted="true")

    for project in (first, second):  # one that is there, and one that is deleted
        assert client.delete(path(project), params={"for_good": "true"}).status_code == 204
        assert_problem(client.post(f"{path(project)}/restore"), 404)
        assert_problem(client.delete(path(project), params={"for_good": "true"}), 404)
    assert not {first["id"], second["id"]} & {*listed(client), *listed(client, deleted="true")}
    assert_problem(client.get(PROJECTS, params={"deleted": "perhaps"}), 422)


def test_a_copy_is_another_project(client: httpx.Client, image: str) -> None:
    project = add(client, "Poster", image)
    copy = client.post(f"{path(project)}/duplicate", json={"name": "Copy"}).json()
    assert (copy["name"], copy["document"], copy["version"]) == ("Copy", project["document"], 1)
    client.put(path(copy), json={"name": "Copy", "document": {}, "version": 1})
    assert client.get(path(project)).json() == project


def test_a_project_file_brings_its_pictures_to_another_server(client: httpx.Client, image: str, base_url: str) -> None:
    other = upload(client, png(Image.new("RGBA", (7, 5), (1, 2, 3, 4))))
    fields = {"name": 'A/B "海报"', "document": document(image, other), "thumbnail": other}
    project = client.post(PROJECTS, json=fields).json()
    answer = client.get(f"{path(project)}/file")
    assert answer.headers["content-type"] == "application/zip"
    assert "filename*=UTF-8''A-B%20-%E6%B5%B7%E6%8A%A5.llm-dit.zip" in answer.headers["content-disposition"]
    with connect(base_url) as elsewhere:
        imported = elsewhere.post(
            f"{PROJECTS}/import", content=answer.content, headers={"Content-Type": "application/zip"}
        )
        assert imported.status_code == 201, imported.text
        assert {key: imported.json()[key] for key in fields} == fields
        for address in (image, other):
            assert elsewhere.get(address).content == client.get(address).content


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"name": " "}, "name"),
        ({"document": []}, "document"),
        ({"document": {"text": "x" * 4_000_001}}, "document"),
        ({"document": {"image": f"/api/images/{'0' * 64}.png"}}, "document"),
        ({"thumbnail": "/api/images/x.png"}, "thumbnail"),
        ({"thumbnail": f"/api/images/{'0' * 64}.png"}, "thumbnail"),
        ({"more": 1}, "more"),
    ],
)
def test_what_is_not_valid_says_why(client: httpx.Client, fields: dict[str, object], param: str) -> None:
    answer = client.post(PROJECTS, json={"name": "x", "document": {}, **fields})
    assert assert_problem(answer, 422)["param"] == param


def packed(about: object, method: int = zipfile.ZIP_DEFLATED, **pictures: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("project.json", about if isinstance(about, bytes) else json.dumps(about))
        for name, content in pictures.items():
            archive.writestr(f"images/{name}.png", content)
    return file.getvalue()


def many_entries(count: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(count):
            archive.writestr(str(number), b"")
    return file.getvalue()


SHA = "a" * 64
ABOUT = {"format": "llm-dit project", "version": 1, "name": "x", "document": {"image": f"/api/images/{SHA}.png"}}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 cut off",
        packed([]),
        packed({**ABOUT, "format": "another"}),
        packed({**ABOUT, "name": ""}),
        packed({**ABOUT, "document": 1}),
        packed({**ABOUT, "thumbnail": "../../etc/passwd"}),
        packed(ABOUT),
        packed(ABOUT, **{SHA: b"no picture"}),
        lambda: packed(ABOUT, **{SHA: b"\0" * 40_000_000}),
        packed({**ABOUT, "version": 2}),
        packed({**ABOUT, "name": " "}),
        packed({**ABOUT, "name": "\ud800"}),
        packed({**ABOUT, "document": {"x": float("nan")}}),
        packed(b'{"format": "llm-dit project", "version": 1, "name": "x", "document": {"x": ' + b"[" * 100_000),
        lambda: many_entries(60_000),
    ],
    ids=[
        *("empty", "cut", "list", "format", "name", "document", "thumbnail", "lacking", "no picture", "bomb"),
        *("version", "blank", "surrogate", "nan", "depth", "entries"),
    ],
)
def test_files_that_are_no_projects(client: httpx.Client, content: bytes | Callable[[], bytes]) -> None:
    # What takes long to make is made here, and not in every process that looks for tests.
    content = content if isinstance(content, bytes) else content()
    answer = client.post(f"{PROJECTS}/import", content=content, headers={"Content-Type": "application/zip"})
    assert_problem(answer, 422)


def test_an_imported_picture_is_re_encoded(client: httpx.Client) -> None:
    file = io.BytesIO()
    square().convert("RGB").save(file, "JPEG", comment=b"hidden words")
    content = packed(ABOUT, **{SHA: file.getvalue()})
    project = client.post(f"{PROJECTS}/import", content=content, headers={"Content-Type": "application/zip"}).json()
    kept = client.get(project["document"]["image"]).content
    assert kept.startswith(b"\x89PNG")
    assert b"hidden words" not in kept


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_file_is_read_or_refused(tmp_path: Path, method: int) -> None:
    whole = packed({**ABOUT, "document": {"image": f"/api/images/{SHA}.png", "text": "x" * 300}}, method, **{SHA: PNG})
    store = ImageStore(tmp_path)
    limits = FileLimits(image=ImageLimits(), image_bytes=10**7, pixels=10**8)
    chance = random.Random(method)
    read = 0
    for _ in range(600):
        damaged = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        if chance.random() < 0.1:
            del damaged[chance.randrange(len(damaged)) :]
        try:
            draft = read_project(io.BytesIO(damaged), store, limits)
        except InputError as error:
            assert error.param == "file"
        else:
            read += 1
            json.dumps({"name": draft.name, "document": draft.document}, ensure_ascii=False).encode()
    assert read < 600


@pytest.mark.slow
def test_an_empty_project_is_exported_by_a_fresh_server(start_service: Callable[..., Service]) -> None:
    service = start_service(app="tests.kit.app:app")
    with service.connect() as client:
        answer = client.get(f"{path(add(client))}/file")
        assert answer.status_code == 200
        imported = client.post(
            f"{PROJECTS}/import", content=answer.content, headers={"Content-Type": "application/zip"}
        )
        assert imported.json()["document"] == document()


def stored(service: Service, image: str) -> Path:
    """Return the file that holds a picture."""
    name = image.rpartition("/")[2]
    return service.folder / "data/images" / name[:2] / name


def test_what_is_deleted_for_good_takes_its_pictures_along(start_service: Callable[..., Service]) -> None:
    service = start_service(app="tests.kit.app:app")
    with service.connect() as client:
        shared, own = upload(client, PNG), upload(client, png(square()))
        add(client, "Keeps", shared)
        gone = add(client, "Goes", shared, own)
        client.delete(path(gone), params={"for_good": "true"})
        wait_until(lambda: not stored(service, own).exists(), "the clean-up")
        assert client.get(own).status_code == 404
        assert client.get(shared).status_code == 200


def test_a_quota_refuses_new_projects_and_deleted_ones_give_way(start_service: Callable[..., Service]) -> None:
    service = start_service(app="tests.kit.app:app", environment={"LLM_DIT_SERVER__MAX_PROJECTS": "2"})
    with service.connect() as client:
        first, second = add(client, "First"), add(client, "Second")
        third = {"name": "Third", "document": {}}
        refused = client.post(PROJECTS, json=third)
        assert "at most 2 projects" in assert_problem(refused, 409, "quota_reached")["message"]
        assert_problem(client.post(f"{path(first)}/duplicate", json={"name": "Third"}), 409, "quota_reached")
        saved = client.put(path(second), json={"name": "Larger", "document": {"text": "x" * 1000}, "version": 1})
        assert saved.status_code == 200, "a save is no new project"
        client.delete(path(first))
        assert client.post(f"{path(first)}/restore").status_code == 200
        client.delete(path(first))
        assert client.post(PROJECTS, json=third).status_code == 201
        assert listed(client, deleted="true") == [], "it gave way"


@pytest.mark.slow
def test_a_quota_of_bytes_counts_pictures_and_lets_people_shrink(start_service: Callable[..., Service]) -> None:
    service = start_service(app="tests.kit.app:app", environment={"LLM_DIT_SERVER__MAX_PROJECTS_GB": "0.00001"})
    with service.connect() as client:
        large = upload(client, png(Image.effect_noise((100, 100), 90).convert("RGBA")))
        assert len(client.get(large).content) > 10_000
        assert_problem(client.post(PROJECTS, json={"name": "x", "document": document(large)}), 409, "quota_reached")
        project = client.post(PROJECTS, json={"name": "x", "document": {"text": "x" * 9000}}).json()
        refused = client.put(path(project), json={"name": "x", "document": {"text": "x" * 11_000}, "version": 1})
        assert_problem(refused, 409, "quota_reached")
        shrunk = client.put(path(project), json={"name": "x", "document": {"text": "x"}, "version": 1})
        assert shrunk.json()["version"] == 2


@pytest.mark.slow
def test_a_project_lives_on_without_a_picture_that_was_lost(start_service: Callable[..., Service]) -> None:
    service = start_service(app="tests.kit.app:app")
    with service.connect() as client:
        kept, lost = upload(client, PNG), upload(client, png(square()))
        fields = {"name": "Poster", "document": document(kept, lost), "thumbnail": lost}
        project = client.post(PROJECTS, json=fields).json()
        stored(service, lost).unlink()

        saved = client.put(path(project), json={**fields, "name": "Saved", "version": 1})
        assert (saved.status_code, saved.json()["document"]) == (200, fields["document"])
        assert client.post(f"{path(project)}/duplicate", json={"name": "Copy"}).status_code == 201
        other = document(kept, f"/api/images/{'0' * 64}.png")
        assert_problem(client.put(path(project), json={"name": "x", "document": other, "version": 2}), 422)

        file = client.get(f"{path(project)}/file")
        assert (file.status_code, file.headers["x-missing-images"]) == (200, "1")
        with zipfile.ZipFile(io.BytesIO(file.content)) as archive:
            assert json.loads(archive.read("project.json"))["missing"] == [stored(service, lost).stem]
        imported = client.post(f"{PROJECTS}/import", content=file.content, headers={"Content-Type": "application/zip"})
        assert (imported.status_code, imported.json()["document"]) == (201, fields["document"])
        assert upload(client, png(square())) == lost
        assert client.get(f"{path(project)}/file").headers["x-missing-images"] == "0"


@pytest.mark.parametrize("change", [{"version": 2}, {"document": {"format": DOCUMENT_FORMAT + 1}}])
def test_a_file_of_a_newer_version_is_refused_as_such(client: httpx.Client, change: dict[str, object]) -> None:
    content = packed({**ABOUT, **change})
    answer = client.post(f"{PROJECTS}/import", content=content, headers={"Content-Type": "application/zip"})
    assert "A newer version of llm-dit" in assert_problem(answer, 422)["message"]
