"""A checkpoint on disk: its required files, their integrity, and the sizes of its parts."""

import json
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from llm_dit.errors import WeightsError
from llm_dit.qwen.editors import EDIT_PLUS, EDITORS, FIRST, READERS

LAYERED = "QwenImageLayeredPipeline"
EDIT = EDIT_PLUS.pipeline
"""Also stands for any edit model."""
FIRST_EDIT = FIRST.pipeline
NAMES = {LAYERED: "Qwen-Image-Layered"} | {name: editor.name for name, editor in EDITORS.items()}
TAKEN = {LAYERED: (LAYERED,), EDIT: tuple(EDITORS)}
"""The diffusers classes that a model's checkpoint may name."""
OPTIONS = {LAYERED: "model_path", EDIT: "edit_model_path"}
"""The settings, and arguments of `from_pretrained`, with each model's path."""
FILE_OPTIONS = {LAYERED: "transformer_path", EDIT: "edit_transformer_path"}
"""Those with the path of a single file of its transformer."""
LAYERED_MODEL = "Qwen/Qwen-Image-Layered"
EDIT_MODEL = "Qwen/Qwen-Image-Edit-2509"
"""Their hub ids."""
WEIGHTS = {
    "transformer": "diffusion_pytorch_model.safetensors",
    "text_encoder": "model.safetensors",
    "vae": "diffusion_pytorch_model.safetensors",
}
CONFIGS = (
    "model_index.json",
    "scheduler/scheduler_config.json",
    "transformer/config.json",
    "text_encoder/config.json",
    "vae/config.json",
)
"""Files that every checkpoint has; those of the tokenizer and processor vary."""
HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
POINTER = b"version https://git-lfs"
HEADER_LIMIT = 100_000_000
"""The largest header that the safetensors format allows, in bytes."""


@dataclass(frozen=True, kw_only=True)
class StoredTensor:
    """A tensor in a file: its type as safetensors or GGUF names it ("BF16", "Q4_K"), its offset and size in bytes."""

    name: str
    file: Path
    dtype: str
    shape: list[int]
    offset: int
    size: int


@dataclass(frozen=True, kw_only=True)
class TransformerFile:
    """One file with a transformer (`single_file.py`): `tensors` by diffusers' names, `scales` by the weight they scale.

    `is_2511`: the file says that it is 2511, whose condition gets timestep 0 (no noise).
    """

    path: Path
    tensors: tuple[StoredTensor, ...]
    scales: Mapping[str, StoredTensor]
    is_2511: bool


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A folder in diffusers' layout with complete files; `pipeline` is the class that it names.

    With a `file` the transformer's weights come from it, and the folder needs none.
    """

    folder: Path
    pipeline: str
    file: TransformerFile | None = None

    def weight_files(self, component: str) -> list[Path]:
        """Return the files of a component's weights, in order."""
        if component == "transformer" and self.file is not None:
            return [self.file.path]
        return [self.folder / name for name in _weight_names(self.folder, component)]

    @property
    def transformer_config(self) -> dict[str, Any]:
        """The transformer's configuration, with diffusers' keys."""
        return _read_json(self.folder, "transformer/config.json")

    @property
    def transformer_blocks(self) -> int:
        """The number of the transformer's blocks."""
        return int(self.transformer_config["num_layers"])

    @property
    def encoder_kind(self) -> str:
        """The text encoder's model type, as transformers names it."""
        return str(_read_json(self.folder, "text_encoder/config.json").get("model_type"))

    @property
    def edition(self) -> str:
        """The model's published name, derived from its files."""
        if self.pipeline != EDIT:
            return NAMES[self.pipeline]
        # From 2511 on the condition gets timestep 0 (no noise).
        is_2511 = self.transformer_config.get("zero_cond_t") or (self.file is not None and self.file.is_2511)
        return f"{NAMES[EDIT]}-{'2511' if is_2511 else '2509'}"

    def stored(self, component: str) -> list[StoredTensor]:
        """Return a component's tensors in the order of the files, read from their headers."""
        if component == "transformer" and self.file is not None:
            return list(self.file.tensors)
        return [tensor for file in self.weight_files(component) for tensor in stored_in(self.folder, file)]

    def shapes(self, component: str) -> dict[str, list[int]]:
        """Return the shapes of a component's tensors by name."""
        return {tensor.name: tensor.shape for tensor in self.stored(component)}

    def parameters(self, component: str) -> int:
        """Return the number of a component's parameters."""
        return sum(map(prod, self.shapes(component).values()))


def is_modulation(name: str) -> bool:
    """Whether a transformer's weight belongs to the modulation of a block."""
    return not {"img_mod", "txt_mod"}.isdisjoint(name.split("."))


PRODUCTS = ("attn.", "img_mlp.", "txt_mlp.")
"""Name parts of a block's linear layers, except the modulation."""
NOT_IN_FP8 = ("img_mlp.net.2",)
"""Those that are not quantized, because their input has outliers (SGLang's documentation excludes the same for
Qwen-Image). Layers outside of the blocks are not quantized either."""


def is_in_fp8(name: str, kept: Sequence[str] = NOT_IN_FP8) -> bool:
    """Whether the transformer's weight with this name is held in fp8."""
    parts = name.split(".")
    inside = ".".join(parts[2:-1])
    is_product = parts[0] == "transformer_blocks" and parts[-1] == "weight" and inside.startswith(PRODUCTS)
    return is_product and inside not in kept and not parts[-2].startswith("norm")


def local_folder(path: str | Path, pipeline: str) -> Path | None:
    """Return the folder that `path` names, or None for a model on the hub; `pipeline` is the expected model.

    Raises `WeightsError` for anything else, including a single file.
    """
    option, place = OPTIONS[pipeline], Path(path).expanduser()
    if str(path) and place.is_dir():
        return place
    if place.is_file():
        raise WeightsError(
            f"{option} names one file: give a folder in diffusers' layout, with model_index.json and the folders "
            f"{', '.join(WEIGHTS)} in it, or a name on the hub such as {LAYERED_MODEL} or {EDIT_MODEL}; a file with "
            f"the transformer alone goes into {FILE_OPTIONS[pipeline]}."
        )
    if not HUB_ID.fullmatch(str(path)):
        raise WeightsError(
            f"{option} names neither a folder on this computer nor a model on the hub: give a folder in diffusers' "
            f"layout, or a name such as {LAYERED_MODEL} or {EDIT_MODEL}."
        )
    return None


def open_checkpoint(folder: Path, pipeline: str, file: TransformerFile | None = None) -> Checkpoint:
    """Check every file in `folder` and return its checkpoint; no tensor is read.

    `pipeline` is the expected model, LAYERED or EDIT; `file` has the transformer's weights if the folder has not.
    `single_file.check_fits` checks whether it fits. Raises `WeightsError`, which names the first file that is missing,
    truncated, a Git LFS pointer, a web page or damaged.
    """
    for name in CONFIGS:
        _read_json(folder, name)
    found = str(_read_json(folder, "model_index.json").get("_class_name"))
    if found not in TAKEN[pipeline]:
        raise WeightsError(f"This checkpoint is for {found}; give one for {' or '.join(TAKEN[pipeline])}.")
    for choices in EDITORS[found].readers if found in EDITORS else READERS:
        _read_json(folder, next((name for name in choices if (folder / name).exists()), choices[0]))
    checkpoint = Checkpoint(folder=folder, pipeline=found, file=file)
    for component in WEIGHTS:
        if component != "transformer" or file is None:
            for weights in checkpoint.weight_files(component):
                check_weights(folder, weights)
    return checkpoint


def _weight_names(folder: Path, component: str) -> Iterator[str]:
    whole = f"{component}/{WEIGHTS[component]}"
    index = f"{whole}.index.json"
    if not (folder / index).exists():
        yield whole
        return
    for name in sorted(set(_read_json(folder, index)["weight_map"].values())):
        yield f"{component}/{name}"


def _read_json(folder: Path, name: str) -> dict[str, Any]:
    file = folder / name
    check_present(folder, file)
    content = file.read_bytes()
    _check_kind(name, content[:512])
    try:
        return json.loads(content)
    except ValueError:
        raise _bad(name, "is truncated or damaged") from None


def check_weights(folder: Path, file: Path) -> None:
    """Compare the size of a safetensors file with its header; raises `WeightsError`."""
    end = max((tensor.offset + tensor.size for tensor in stored_in(folder, file)), default=_start(file))
    size = file.stat().st_size
    if size < end:
        raise _bad(_relative(folder, file), f"is truncated: {size:,} of {end:,} bytes are there")
    if size > end:
        raise _bad(_relative(folder, file), f"is damaged: it has {size - end:,} bytes too many")


def stored_in(folder: Path, file: Path) -> list[StoredTensor]:
    """Return the tensors of a safetensors file; raises `WeightsError`, which names the file in `folder`."""
    header, start = read_header(folder, file), _start(file)
    return [
        StoredTensor(
            name=name,
            file=file,
            dtype=tensor["dtype"],
            shape=tensor["shape"],
            offset=start + tensor["data_offsets"][0],
            size=tensor["data_offsets"][1] - tensor["data_offsets"][0],
        )
        for name, tensor in header.items()
        if name != "__metadata__"
    ]


def _start(file: Path) -> int:
    """Return the offset of the tensors, after the header and its length."""
    with file.open("rb") as stream:
        return 8 + struct.unpack("<Q", stream.read(8))[0]


def read_header(folder: Path, file: Path) -> dict[str, Any]:
    """Return the header of a safetensors file; raises `WeightsError` if it is invalid."""
    check_present(folder, file)
    name = _relative(folder, file)
    with file.open("rb") as stream:
        start = stream.read(512)
        _check_kind(name, start)
        length = struct.unpack("<Q", start[:8])[0] if len(start) >= 8 else 0
        if not 2 <= length <= HEADER_LIMIT or start[8:9] != b"{":
            raise _bad(name, "is not a safetensors file")
        stream.seek(8)
        header = stream.read(length)
    if len(header) < length:
        raise _bad(name, "is truncated")
    try:
        return json.loads(header)
    except ValueError:
        raise _bad(name, "is damaged") from None


def check_present(folder: Path, file: Path) -> None:
    """Raise `WeightsError` for a file that is missing or empty."""
    if not file.is_file():
        raise _bad(_relative(folder, file), "is missing")
    if file.stat().st_size == 0:
        raise _bad(_relative(folder, file), "is empty")


def _check_kind(name: str, start: bytes) -> None:
    if start.startswith(POINTER):
        raise _bad(name, "is a Git LFS pointer, not the file itself: run `git lfs pull`, or")
    if start.lstrip()[:1] == b"<":
        raise _bad(name, "is a web page, not the file itself: sign in to the hub if the model requires it, and")


def _relative(folder: Path, file: Path) -> str:
    return file.relative_to(folder).as_posix()


def _bad(name: str, what: str) -> WeightsError:
    joint = "" if what.endswith((", or", ", and")) else ":"
    return WeightsError(f"{name} {what}{joint} download it again.")


# Comparing the text encoders of two checkpoints, so that equal ones are loaded once.

CHUNK = 8 * 1024 * 1024
# Keys that the libraries write about themselves; they do not affect the model.
NOTES = ("_name_or_path", "transformers_version")


def same_text_encoder(first: Checkpoint, second: Checkpoint) -> bool:
    """Return whether the text encoders have the same content: the configuration, and every byte of the weights.

    Files that are the same file on disk (a link, or one blob of the hub's cache) are not read.
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
    # The hub's cache names a large blob by its SHA-256.
    if real.samefile(other) or (real.name == other.name and _is_blob(real) and _is_blob(other)):
        return True
    with real.open("rb") as a, other.open("rb") as b:
        while chunk := a.read(CHUNK):
            if chunk != b.read(CHUNK):
                return False
    return True


def _is_blob(file: Path) -> bool:
    return file.parent.name == "blobs" and len(file.name) == 64
