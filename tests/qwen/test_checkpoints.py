"""Files that are missing, cut off, pointers, web pages or damaged are named; text encoders are compared by content."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from llm_dit.errors import WeightsError
from llm_dit.qwen.loading.checkpoints import EDIT, FIRST_EDIT, LAYERED, Checkpoint, open_checkpoint, same_text_encoder
from tests.kit.checkpoints import write_checkpoint

TRANSFORMER = "transformer/diffusion_pytorch_model.safetensors"


@pytest.fixture
def folder(checkpoints: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(checkpoints / "layered", tmp_path / "layered"))


def pointer(file: Path) -> None:
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 40900000000\n")


def page(file: Path) -> None:
    file.write_text("<!DOCTYPE html><html><body>Sign in</body></html>")


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 1)


def cut_in_header(file: Path) -> None:
    os.truncate(file, 600)


def lengthen(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"\0\0")


def zero(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


def empty(file: Path) -> None:
    file.write_bytes(b"")


@pytest.mark.parametrize(
    ("name", "damage", "what"),
    [
        (TRANSFORMER, Path.unlink, "is missing"),
        (TRANSFORMER, cut, "is truncated"),
        (TRANSFORMER, cut_in_header, "is truncated"),
        (TRANSFORMER, lengthen, "2 bytes too many"),
        (TRANSFORMER, pointer, "Git LFS pointer"),
        (TRANSFORMER, page, "web page"),
        (TRANSFORMER, zero, "not a safetensors file"),
        (TRANSFORMER, empty, "is empty"),
        ("text_encoder/config.json", pointer, "Git LFS pointer"),
        ("vae/config.json", page, "web page"),
        ("model_index.json", cut, "truncated or damaged"),
        ("processor/preprocessor_config.json", Path.unlink, "is missing"),
    ],
)
def test_the_file_that_is_not_valid_is_named(
    folder: Path, name: str, damage: Callable[[Path], None], what: str
) -> None:
    damage(folder / name)
    with pytest.raises(WeightsError) as caught:
        open_checkpoint(folder, LAYERED)
    assert name in caught.value.message
    assert what in caught.value.message
    assert str(folder) not in caught.value.message


def test_a_missing_shard_is_named(folder: Path) -> None:
    tensors = load_file(folder / TRANSFORMER)
    index = {"metadata": {}, "weight_map": dict.fromkeys(tensors, "diffusion_pytorch_model-00002-of-00002.safetensors")}
    (folder / f"{TRANSFORMER}.index.json").write_text(json.dumps(index))
    with pytest.raises(WeightsError, match=r"00002-of-00002\.safetensors is missing"):
        open_checkpoint(folder, LAYERED)


def test_the_other_models_checkpoint_is_refused(folder: Path) -> None:
    with pytest.raises(WeightsError, match=f"for {LAYERED}; give one for {EDIT} or {FIRST_EDIT}"):
        open_checkpoint(folder, EDIT)


def test_parameters_are_counted_from_the_headers(folder: Path) -> None:
    counted = open_checkpoint(folder, LAYERED).parameters("transformer")
    assert counted == sum(tensor.numel() for tensor in load_file(folder / TRANSFORMER).values())


def open_both(checkpoints: Path, other: Path) -> tuple[Checkpoint, Checkpoint]:
    return open_checkpoint(checkpoints / "layered", LAYERED), open_checkpoint(other, EDIT)


def test_equal_text_encoders_are_shared(checkpoints: Path) -> None:
    assert same_text_encoder(*open_both(checkpoints, checkpoints / "edit"))


def test_notes_in_the_configuration_do_not_count(checkpoints: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(checkpoints / "edit", tmp_path / "edit"))
    config = json.loads((other / "text_encoder/config.json").read_text())
    (other / "text_encoder/config.json").write_text(json.dumps(config | {"transformers_version": "4.51.3"}))
    assert same_text_encoder(*open_both(checkpoints, other))


def test_one_other_number_makes_another_text_encoder(checkpoints: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(checkpoints / "edit", tmp_path / "edit"))
    file = other / "text_encoder/model.safetensors"
    tensors = load_file(file)
    next(iter(tensors.values())).view(-1)[-1] += 1
    save_file(tensors, file, metadata={"format": "pt"})
    assert not same_text_encoder(*open_both(checkpoints, other))


def test_another_text_encoder_is_another(checkpoints: Path, tmp_path: Path) -> None:
    other = write_checkpoint(tmp_path / "edit", EDIT, encoder_seed=5)
    assert not same_text_encoder(*open_both(checkpoints, other))


def test_one_blob_of_the_hub_is_not_read(checkpoints: Path, tmp_path: Path) -> None:
    """Two links to blobs of the same name in two caches are the same by that name, the SHA-256."""
    first, second = (Path(shutil.copytree(checkpoints / "edit", tmp_path / name)) for name in ("a", "b"))
    for number, folder in enumerate((first, second)):
        blob = folder / "blobs" / ("ab" * 32)
        blob.parent.mkdir()
        weights = folder / "text_encoder/model.safetensors"
        blob.write_bytes(weights.read_bytes()[:-1] + bytes([number]))
        weights.unlink()
        weights.symlink_to(blob)
    assert same_text_encoder(open_checkpoint(first, EDIT), open_checkpoint(second, EDIT))
