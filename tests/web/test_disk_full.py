"""What happens when there is no room for another picture."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.kit.pictures import png
from tests.kit.service import Service


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        # Where every commit is tested nothing is left out unseen.
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up("mounting a small file system needs more rights: run as root, in a container with CAP_SYS_ADMIN")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def noise(seed: int) -> bytes:
    """Return a PNG of about 270 kB."""
    return png(Image.fromarray(np.random.default_rng(seed).integers(0, 256, (300, 300, 3), np.uint8)))


@pytest.mark.slow
def test_a_full_disk_is_told_and_is_over_when_there_is_room(
    small_disk: Path, start_service: Callable[..., Service]
) -> None:
    service = start_service(app="tests.kit.app:app", environment={"LLM_DIT_SERVER__DATA_DIR": str(small_disk)})
    with service.connect() as client:

        def keep(seed: int) -> httpx.Response:
            return client.post("/api/images", content=noise(seed), headers={"Content-Type": "image/png"})

        kept = [answer for answer in map(keep, range(12)) if answer.status_code == 201]
        assert 0 < len(kept) < 12
        refused = keep(12)
        assert (refused.status_code, refused.json()["code"]) == (503, "disk_full")
        assert refused.headers["retry-after"] == "5"
        assert str(small_disk) not in refused.text
        # The worker cannot keep what it makes either.
        fields = {"image": kept[0].json()["image"], "steps": 1, "layer_num": 1}
        for name in small_disk.glob("images/*/*.part"):
            pytest.fail(f"{name} was left behind")
        (small_disk / "filler").write_bytes(b"x" * _free(small_disk))
        full = client.post("/api/qwen-image/edit-layer", json={"image": fields["image"], "instruction": "x"})
        assert (full.status_code, full.json()["code"]) == (503, "disk_full")
        assert client.get(kept[0].json()["image"]).status_code == 200
        (small_disk / "filler").unlink()
        for picture in list(small_disk.glob("images/*/*.png"))[:3]:
            if picture.stem not in fields["image"]:
                picture.unlink()
        assert client.post("/api/qwen-image/decompose", json=fields).status_code == 200
    assert "Traceback" not in service.log


def _free(folder: Path) -> int:
    about = os.statvfs(folder)
    return about.f_bavail * about.f_frsize
