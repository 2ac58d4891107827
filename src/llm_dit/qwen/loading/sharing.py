"""Whether two checkpoints carry the same text encoder, so that it is loaded once for both."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from llm_dit.qwen.loading.checkpoints import Checkpoint

CHUNK = 8 * 1024 * 1024
# What the libraries write about themselves; it changes nothing in the model.
NOTES = ("_name_or_path", "transformers_version")


def same_text_encoder(first: Checkpoint, second: Checkpoint) -> bool:
    """Return whether the text encoders are the same, by content: the configuration, and every byte of the weights.

    Files that are one file on disk (a link, or one blob of the hub's cache) are not read.
    """
    if _config(first) != _config(second):
        return False
    ours, theirs = first.weight_files("text_encoder"), second.weight_files("text_encoder")
    if [file.name for file in ours] != [file.name for file in theirs]:
        return False
    if any(a.stat().st_size != b.stat().st_size for a, b in zip(ours, theirs, strict=True)):
        return False
    with ThreadPoolExecutor(4) as pool:
        return all(pool.map(_same_content, ours, theirs))


def _config(checkpoint: Checkpoint) -> dict[str, Any]:
    config = json.loads((checkpoint.folder / "text_encoder/config.json").read_bytes())
    return {key: value for key, value in config.items() if key not in NOTES}


def _same_content(first: Path, second: Path) -> bool:
    real, other = first.resolve(), second.resolve()
    # The hub's cache names a large file's blob by its SHA-256.
    if real.samefile(other) or (real.name == other.name and _is_blob(real) and _is_blob(other)):
        return True
    with real.open("rb") as a, other.open("rb") as b:
        while chunk := a.read(CHUNK):
            if chunk != b.read(CHUNK):
                return False
    return True


def _is_blob(file: Path) -> bool:
    return file.parent.name == "blobs" and len(file.name) == 64
