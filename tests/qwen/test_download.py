"""Downloads from a hub on loopback: whole, cut off, stalled, refused, false; disk, offline, resume, cancel."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from llm_dit.errors import DiskFullError, DownloadError, WeightsError
from llm_dit.qwen.loading.checkpoints import LAYERED, open_checkpoint
from llm_dit.qwen.loading.download import download_checkpoint
from llm_dit.qwen.sampling.running import ignore_progress
from llm_dit.runs import Canceled, Progress
from tests.kit.hub import COMMIT, Hub, serve

REPO = "Qwen/Qwen-Image-Layered"


@pytest.fixture
def hub(checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serve({REPO: checkpoints / "layered"}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 1)
        # What is less than a chunk is lost when a connection breaks off; the real one is larger than these files.
        monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 4096)
        yield hub


def download(cache: Path, **options: object) -> Path:
    return download_checkpoint(REPO, cache_dir=cache, **{"progress": ignore_progress, **options})  # pyright: ignore


def test_a_whole_download_reports_every_byte(hub: Hub, checkpoints: Path, tmp_path: Path) -> None:
    heard: list[Progress] = []
    folder = download(tmp_path, progress=heard.append)
    open_checkpoint(folder, LAYERED)
    size = sum(file.stat().st_size for file in (checkpoints / "layered").rglob("*") if file.is_file())
    assert {report.phase for report in heard} == {"downloading"}
    assert (heard[-1].step, heard[-1].total) == (size, size)
    assert [report.step for report in heard] == sorted(report.step for report in heard)


def test_what_is_there_is_not_fetched_again(hub: Hub, tmp_path: Path) -> None:
    folder = download(tmp_path)
    sent = dict(hub.sent)
    assert download(tmp_path) == folder
    assert hub.sent == sent


def test_a_revision_is_a_commit(hub: Hub, tmp_path: Path) -> None:
    assert download(tmp_path, revision=COMMIT).name == COMMIT
    with pytest.raises(DownloadError, match="does not have this model or revision"):
        download(tmp_path, revision="nonsense")


def test_an_unknown_model_is_named_as_such(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="does not have this model"):
        download_checkpoint("nobody/nothing", cache_dir=tmp_path, progress=ignore_progress)


@pytest.mark.parametrize("fault", ["cut_after", "stall_after"])
def test_a_connection_that_breaks_off_is_taken_up_again(hub: Hub, tmp_path: Path, fault: str) -> None:
    setattr(hub, fault, 10_000)
    hub.faults = 1
    open_checkpoint(download(tmp_path), LAYERED)
    assert hub.ranges == ["bytes=10000-"] or hub.ranges == ["bytes=8192-"]


def test_a_canceled_download_keeps_what_came(hub: Hub, checkpoints: Path, tmp_path: Path) -> None:
    def cancel(report: Progress) -> None:
        if report.step > report.total // 2:
            raise Canceled

    with pytest.raises(Canceled):
        download(tmp_path, progress=cancel)
    before = sum(hub.sent.values())
    open_checkpoint(download(tmp_path), LAYERED)
    size = sum(file.stat().st_size for file in (checkpoints / "layered").rglob("*") if file.is_file())
    assert sum(hub.sent.values()) - before < size


@pytest.mark.parametrize("status", [403, 500])
def test_a_hub_that_refuses_is_named(hub: Hub, tmp_path: Path, status: int) -> None:
    hub.refuse, hub.faults = status, 100
    with pytest.raises(DownloadError, match=str(status)):
        download(tmp_path)


def test_wrong_bytes_are_found_before_they_are_loaded(hub: Hub, tmp_path: Path) -> None:
    hub.lie, hub.faults = True, 1
    folder = download(tmp_path)
    with pytest.raises(WeightsError, match=r"/.*\.safetensors"):
        open_checkpoint(folder, LAYERED)


def test_the_disk_is_asked_before_the_first_byte(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(DiskFullError, match=r"the disk has 0\.1 GB"):
        download(tmp_path, free_bytes=lambda _: 100_000_000)
    assert not hub.sent


def test_offline_takes_the_copy_and_names_its_absence(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = download(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert download(tmp_path) == folder
    with pytest.raises(DownloadError, match="HF_HUB_OFFLINE"):
        download(tmp_path / "empty")


def test_without_a_connection_the_copy_will_do(
    checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve({REPO: checkpoints / "layered"}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        folder = download(tmp_path)
    assert download(tmp_path) == folder
