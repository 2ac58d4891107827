"""The entry point of the image; `scripts/try_image.sh` tries the image itself."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.kit.forks import ROOT

pytestmark = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0 or shutil.which("setpriv") is None,
    reason="only root becomes another user",
)


def as_owner(data: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {"LLM_DIT_SERVER__DATA_DIR": str(data), "PATH": os.environ["PATH"]} | environment
    return subprocess.run([ROOT / "deploy" / "as-owner.sh", *command], env=variables, capture_output=True, text=True)


def test_a_command_runs_as_the_owner_of_the_data(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "images").mkdir(parents=True)
    (data / "images" / "a.png").touch()
    (data / "outside").symlink_to(tmp_path / "other")
    (tmp_path / "other").touch()
    done = as_owner(data, "sh", "-c", "id -u; id -g; id -G; exit 7", PUID="1234", PGID="2345")
    assert (done.returncode, done.stdout, done.stderr) == (7, "1234\n2345\n2345\n", "")
    owners = {(path.lstat().st_uid, path.lstat().st_gid) for path in (data, *data.rglob("*"))}
    assert owners == {(1234, 2345)}
    assert (tmp_path / "other").stat().st_uid == 0


def test_without_numbers_it_takes_1000_and_of_no_number_it_tells(tmp_path: Path) -> None:
    assert as_owner(tmp_path, "id", "-u").stdout == "1000\n"
    refused = as_owner(tmp_path, "id", PUID="studio")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "PUID and PGID must be numbers" in refused.stderr
