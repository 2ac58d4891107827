"""Downloads a checkpoint from the hub: checks disk space first, reports bytes, resumes interrupted downloads."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import httpx2
from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import (
    DryRunError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import tqdm

from llm_dit.errors import DiskFullError, DownloadError, WeightsError
from llm_dit.qwen.loading.loras import only_file
from llm_dit.qwen.placement.devices import named_failures
from llm_dit.runs import Progress, ProgressCallback

# Never a pickle, never code: other files of a checkpoint are not downloaded.
WANTED = ("*.json", "*.safetensors", "*.txt", "*.jinja")
HEADROOM = 1_000_000_000
"""Bytes that a download leaves free on the disk."""


def download_checkpoint(
    repo_id: str,
    *,
    revision: str | None = None,
    progress: ProgressCallback,
    cache_dir: Path | None = None,
    free_bytes: Callable[[Path], int] | None = None,
    wanted: Sequence[str] = WANTED,
    without: Sequence[str] = (),
) -> Path:
    """Return the folder of `repo_id` at `revision` in the hub's cache, downloaded if missing.

    `wanted` and `without` have patterns of files to include and to exclude. `progress` gets "downloading" in bytes,
    from several threads but one at a time, and may raise to stop; received data is kept, and the next call resumes.
    `HF_ENDPOINT`, `HF_HOME`, `HF_HUB_OFFLINE` and `HF_TOKEN` apply. Without a connection a complete copy in the cache
    is enough. Raises `DownloadError` or `DiskFullError`.
    """
    cache = cache_dir or Path(constants.HF_HUB_CACHE)
    source = _source(repo_id, revision, cache, wanted, without)
    with named_failures(), _named_hub_failures():
        missing = sum(file.file_size or 0 for file in _listed(source) if file.will_download)
        if missing:
            _check_room(cache, missing, free_bytes or _free_bytes)
        folder = Path(snapshot_download(**source, tqdm_class=_progress_bar(missing, progress)))
        # Files with equal content are downloaded once, so the bytes need not add up.
        progress(Progress(phase="downloading", step=missing, total=missing))
        return folder


def download_lora(
    repo_id: str, file: str | None, name: str, *, progress: ProgressCallback, cache_dir: Path | None = None
) -> Path:
    """Return one file of `repo_id`, downloaded as by `download_checkpoint`; without `file` its only one.

    Raises `WeightsError` about the LoRA called `name` if the file is missing or not the only one.
    """
    if file is None:
        source = _source(repo_id, None, cache_dir or Path(constants.HF_HUB_CACHE), ["*.safetensors"])
        with named_failures(), _named_hub_failures():
            listed = [Path(each.filename) for each in _listed(source)]
            file = only_file(listed or _cached(source), name).as_posix()
    beside = PurePosixPath(file).with_name("adapter_config.json").as_posix()  # which peft writes
    folder = download_checkpoint(repo_id, progress=progress, cache_dir=cache_dir, wanted=[file, beside])
    if not (folder / file).is_file():
        raise WeightsError(f"The hub has no such file for the LoRA {name}: check OWNER/NAME/FILE.safetensors.")
    return folder / file


def _source(
    repo_id: str, revision: str | None, cache: Path, wanted: Sequence[str], without: Sequence[str] = ()
) -> dict[str, Any]:
    return {
        "repo_id": repo_id,
        "revision": revision,
        "cache_dir": cache,
        "allow_patterns": list(wanted),
        "ignore_patterns": list(without),
        "endpoint": os.environ.get("HF_ENDPOINT"),
        "local_files_only": constants.is_offline_mode() or os.environ.get("HF_HUB_OFFLINE") in {"1", "true", "yes"},
    }


def _listed(source: dict[str, Any]) -> list[Any]:
    """Return the wanted files, with `will_download` if missing; none if the hub is unreachable.

    Then only the cache counts.
    """
    if source["local_files_only"]:
        return []
    try:
        return snapshot_download(**source, dry_run=True, tqdm_class=_Silent)
    except DryRunError:
        return []


def _cached(source: dict[str, Any]) -> list[Path]:
    """Return the safetensors files in the cache."""
    folder = Path(snapshot_download(**{**source, "local_files_only": True}))
    return [file.relative_to(folder) for file in folder.rglob("*.safetensors")]


def _check_room(cache: Path, missing: int, free_bytes: Callable[[Path], int]) -> None:
    free = free_bytes(cache)
    if free < missing + HEADROOM:
        raise DiskFullError(
            f"The weights need {missing / 1e9:.1f} GB and the disk has {free / 1e9:.1f} GB: free some space, or set "
            "HF_HOME to a larger disk."
        )


def _free_bytes(folder: Path) -> int:
    """Return the free bytes on the disk of `folder`, which need not exist yet."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


class _Silent(tqdm):
    """A progress bar without output."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["disable"] = True
        kwargs.pop("name", None)
        super().__init__(*args, **kwargs)


def _progress_bar(missing: int, progress: ProgressCallback) -> type[tqdm]:
    """Return a class of bars for `snapshot_download`; the one that counts bytes on disk reports to `progress`."""
    lock = threading.Lock()
    done = 0

    class Reporting(_Silent):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self._counts = kwargs.get("name") == "huggingface_hub.snapshot_download"
            super().__init__(*args, **kwargs)

        def update(self, n: float | None = 1) -> None:
            nonlocal done
            if self._counts:
                with lock:
                    done += int(n or 0)
                    progress(Progress(phase="downloading", step=min(done, missing), total=missing))

    return Reporting


@contextmanager
def _named_hub_failures() -> Iterator[None]:
    try:
        yield
    except (HfHubHTTPError, LocalEntryNotFoundError, httpx2.HTTPError) as error:
        raise _describe(error) from None
    except OSError as error:
        # The hub's library has no exception class for a file of unexpected size.
        if "Consistency check failed" in str(error):
            raise DownloadError("The hub sent a file of the wrong size: try again, without a mirror.") from None
        raise


def _describe(error: Exception) -> DownloadError:
    if isinstance(error, GatedRepoError):
        return DownloadError("The hub requires you to accept a license: accept it there and run `hf auth login`.")
    if isinstance(error, RepositoryNotFoundError | RevisionNotFoundError):
        return DownloadError("The hub does not have this model or revision: check the name, or run `hf auth login`.")
    if isinstance(error, LocalEntryNotFoundError):
        return DownloadError(
            "The model is not, or not wholly, on this computer and the hub cannot be reached: check the connection and "
            "HF_HUB_OFFLINE, or give a folder."
        )
    if isinstance(error, HfHubHTTPError):
        return DownloadError(
            f"The hub answered {error.response.status_code}: try again later; the partial download is kept."
        )
    return DownloadError("The connection to the hub was lost: try again; the partial download is kept.")
