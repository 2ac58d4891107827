"""A transformer in a single file, as other programs use: safetensors or GGUF, checked by its header alone."""

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

from llm_dit.errors import WeightsError
from llm_dit.qwen.loading.checkpoints import (
    FILE_OPTIONS,
    FIRST_EDIT,
    LAYERED,
    NAMES,
    Checkpoint,
    StoredTensor,
    TransformerFile,
    check_present,
    check_weights,
    stored_in,
)

PACKED = {
    "Q4_0": (32, 18),
    "Q4_1": (32, 20),
    "Q5_0": (32, 22),
    "Q5_1": (32, 24),
    "Q8_0": (32, 34),
    "Q2_K": (256, 84),
    "Q3_K": (256, 110),
    "Q4_K": (256, 144),
    "Q5_K": (256, 176),
    "Q6_K": (256, 210),
}
"""The GGUF types that `quantized.py` reads: numbers per block, and bytes per block."""
DENSE = {"F32": (1, 4), "F16": (1, 2), "BF16": (1, 2)}
EIGHT_BITS = ("F8_E4M3", "F8_E5M2")
PREFIXES = ("model.diffusion_model.", "diffusion_model.", "transformer.")
"""Other programs' prefixes of a transformer's weights; other tensors in such a file are not read."""
SCALE = re.compile(r"\.(scale_weight|weight_scale)$")
"""ComfyUI's names for the scale of an fp8 weight, earlier and current."""
NOTES = re.compile(r"(^|\.)(scaled_fp8|comfy_quant|scale_input|input_scale)$")
"""ComfyUI's extra entries: which weights are fp8, as their type says too, and scales for fp8 products."""
MARK_OF_2511 = "__index_timestep_zero__"
LAYERED_ONLY = "time_text_embed.addition_t_embedding.weight"
OTHERS = {
    r"(^|[._])(lora|lokr|loha|lycoris)[._]": "a LoRA, which goes into `loras`",
    r"(^|\.)(input_blocks|joint_blocks|down_blocks)\.": "a Stable Diffusion model",
    r"(^|\.)double_blocks\.": "a Flux or HunyuanVideo model",
    r"^txt_in\.text_norm\.": "the transformer of Qwen-Image-2.1",
    r"(^|\.)(model\.layers|language_model|text_model)\.|^(blk|encoder\.block)\.": "a text encoder",
    r"(^|\.)(encoder|decoder)\.": "a VAE",
}
"""Tensor names that identify a file that is not a Qwen-Image transformer."""


def read_transformer(path: str | Path, pipeline: str) -> TransformerFile:
    """Return the transformer that the file's header describes; no tensor is read.

    `pipeline` is the expected model, LAYERED or EDIT. Raises `WeightsError`, which says what is wrong with the file.
    """
    file, option = Path(path).expanduser(), FILE_OPTIONS[pipeline]
    if file.is_dir() or not file.exists():
        raise WeightsError(f"{option} names no file on this computer: give one .safetensors or .gguf file.")
    check_present(file.parent, file)
    with file.open("rb") as stream:
        start = stream.read(4)
    if start == GGUF:
        tensors = list(_read_gguf(file))
    elif start == b"PK\x03\x04":
        raise _unfit(file, "is a pickle, which may contain code: use a .safetensors or .gguf file")
    else:
        check_weights(file.parent, file)
        tensors = stored_in(file.parent, file)
    tensors = _without_prefix(tensors)
    names = {tensor.name for tensor in tensors}
    _check_kind(file, names, pipeline)
    for tensor in tensors:
        if tensor.dtype not in {*PACKED, *DENSE, *EIGHT_BITS} and not NOTES.search(tensor.name):
            raise _unfit(file, f"has weights of the type {tensor.dtype}, which is not supported: {_supported()}")
    scales = {SCALE.sub(".weight", each.name): each for each in tensors if SCALE.search(each.name)}
    weights = (each for each in tensors if not (SCALE.search(each.name) or NOTES.search(each.name)))
    return TransformerFile(
        path=file,
        tensors=tuple(each for each in weights if each.name != MARK_OF_2511),
        scales=scales,
        is_2511=MARK_OF_2511 in names,
    )


def check_fits(checkpoint: Checkpoint) -> None:
    """Compare a checkpoint's transformer file, if any, with its configuration; raises `WeightsError`."""
    file = checkpoint.file
    if file is None:
        return
    if file.is_2511 and checkpoint.pipeline == FIRST_EDIT:
        raise _unfit(file.path, "is of Qwen-Image-Edit-2511: edit_model_path has to name 2511 or 2509 for the rest")
    config = checkpoint.transformer_config
    if config.get("_class_name") != "QwenImageTransformer2DModel":
        raise _unfit(file.path, f"does not fit: the checkpoint has a {config.get('_class_name')}")
    wanted = dict(_shapes(config))
    found = {tensor.name: tensor.shape for tensor in file.tensors}
    blocks = {name.split(".")[1] for name in found if name.startswith("transformer_blocks.")}
    if len(blocks) != checkpoint.transformer_blocks:
        raise _unfit(file.path, f"has {len(blocks)} blocks, and the configuration {checkpoint.transformer_blocks}")
    for names, what in ((wanted.keys() - found, "lacks"), (found.keys() - wanted, "has, beyond the model's,")):
        if names:
            raise _unfit(file.path, f"{what} {len(names)} weights, {min(names)} among them")
    for name, shape in found.items():
        if shape != wanted[name]:
            told = f"{name} is {_by(shape)}, and the configuration says {_by(wanted[name])}"
            raise _unfit(file.path, f"is of another size: {told}")
    for name, scale in file.scales.items():
        if prod(scale.shape) != 1 and [*scale.shape, 1][:2] != [*wanted.get(name, [])[:1], 1]:
            raise _unfit(
                file.path, f"has scales of {_by(scale.shape)}: one for a weight, or for each row, is supported"
            )


def stays_packed(tensor: StoredTensor) -> bool:
    """Whether a file's weight stays on the device as stored: linear layers of the blocks, 99 % of all weights."""
    name = tensor.name
    packed = tensor.dtype in PACKED or tensor.dtype in EIGHT_BITS
    return packed and name.startswith("transformer_blocks.") and name.endswith(".weight") and len(tensor.shape) == 2


def is_packed(checkpoint: Checkpoint) -> bool:
    """Whether any of a checkpoint's weights stay packed."""
    return checkpoint.file is not None and any(map(stays_packed, checkpoint.file.tensors))


def is_gguf(path: str | Path) -> bool:
    """Whether it is an existing GGUF file."""
    file = Path(path).expanduser()
    if not file.is_file():
        return False
    with file.open("rb") as stream:
        return stream.read(len(GGUF)) == GGUF


UNPACKING = 7
"""Peak bytes per number during unpacking: integers, floats with a minimum, and the result."""


def held_bytes(tensor: StoredTensor, itemsize: int) -> int:
    """Return the bytes of a file's tensor once loaded, at `itemsize` bytes per unpacked number."""
    return tensor.size if stays_packed(tensor) else prod(tensor.shape) * itemsize


def describe_file(file: TransformerFile) -> str:
    """Describe a file for people."""
    sizes: dict[str, int] = {}
    for tensor in file.tensors:
        sizes[tensor.dtype] = sizes.get(tensor.dtype, 0) + tensor.size
    kinds = ", ".join(sorted(sizes, key=sizes.__getitem__, reverse=True))
    return f"transformer from {file.path.name}, {sum(sizes.values()) / 1e9:.1f} GB ({kinds})"


def _without_prefix(tensors: list[StoredTensor]) -> list[StoredTensor]:
    for prefix in PREFIXES:
        inside = [each for each in tensors if each.name.startswith(prefix)]
        if inside:
            return [replace(each, name=each.name.removeprefix(prefix)) for each in inside]
    return tensors


def _check_kind(file: Path, names: set[str], pipeline: str) -> None:
    for pattern, what in OTHERS.items():
        if any(map(re.compile(pattern).search, names)):
            raise _unfit(file, f"is {what}: {FILE_OPTIONS[pipeline]} wants the transformer of {NAMES[pipeline]}")
    if not {"img_in.weight", "txt_norm.weight", "transformer_blocks.0.attn.add_q_proj.weight"} <= names:
        raise _unfit(file, "is no transformer of Qwen-Image: its weights have other names")
    if (LAYERED_ONLY in names) != (pipeline == LAYERED):
        theirs = "Qwen-Image-Layered" if LAYERED_ONLY in names else "Qwen-Image or Qwen-Image-Edit"
        raise _unfit(file, f"is the transformer of {theirs}: {FILE_OPTIONS[pipeline]} wants that of {NAMES[pipeline]}")


def _shapes(config: Mapping[str, Any]) -> Iterator[tuple[str, list[int]]]:
    """Yield the names and shapes of the weights of diffusers' `QwenImageTransformer2DModel`."""
    head = config["attention_head_dim"]
    width, text, deep = config["num_attention_heads"] * head, config["joint_attention_dim"], config["in_channels"]
    linears = {
        "time_text_embed.timestep_embedder.linear_1": (width, 256),
        "time_text_embed.timestep_embedder.linear_2": (width, width),
        "img_in": (width, deep),
        "txt_in": (width, text),
        "norm_out.linear": (2 * width, width),
        "proj_out": (config["patch_size"] ** 2 * (config["out_channels"] or deep), width),
    }
    yield "txt_norm.weight", [text]
    if config.get("use_additional_t_cond"):
        yield LAYERED_ONLY, [2, width]
    attention = ("to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")
    for block in (f"transformer_blocks.{number}" for number in range(config["num_layers"])):
        linears |= {f"{block}.attn.{name}": (width, width) for name in attention}
        for stream in ("img", "txt"):
            linears[f"{block}.{stream}_mod.1"] = (6 * width, width)
            linears[f"{block}.{stream}_mlp.net.0.proj"] = (4 * width, width)
            linears[f"{block}.{stream}_mlp.net.2"] = (width, 4 * width)
        for name in ("norm_q", "norm_k", "norm_added_q", "norm_added_k"):
            yield f"{block}.attn.{name}.weight", [head]
    for name, (rows, columns) in linears.items():
        yield f"{name}.weight", [rows, columns]
        yield f"{name}.bias", [rows]


def _unfit(file: Path, what: str) -> WeightsError:
    return WeightsError(f"{file.name} {what}.")


def _by(shape: list[int]) -> str:
    return " × ".join(map(str, shape)) or "one number"


def _supported() -> str:
    return f"{', '.join(DENSE)}, fp8, and of GGUF {', '.join(PACKED)}"


# The header of a GGUF file: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md

GGUF = b"GGUF"
GGUF_LIMIT = 4 * 1024 * 1024
"""Largest header in bytes; Qwen-Image's has 150 kB."""
STRING, ARRAY = 8, 9
NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
TYPES = {0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 10: "Q2_K", 11: "Q3_K", 12: "Q4_K"}
TYPES |= {13: "Q5_K", 14: "Q6_K", 30: "BF16"}
ARCHITECTURE = "general.architecture"
UNTOLD = ("", "pig", "cow")
"""Architectures in files that must be identified by their tensor names."""


class _Header:
    """Reads a header's values in order."""

    def __init__(self, content: bytes) -> None:
        self.at = 0
        self._content = content

    def number(self, code: str) -> Any:
        (value,) = struct.unpack_from(f"<{code}", self._content, self.at)
        self.at += struct.calcsize(code)
        return value

    def text(self) -> str:
        length = self.number("Q")
        (value,) = struct.unpack_from(f"{length}s", self._content, self.at)
        self.at += length
        return value.decode()

    def value(self, kind: int) -> Any:
        """Return a text or a number; None for an array, which is not needed."""
        if kind == STRING:
            return self.text()
        if kind != ARRAY:
            return self.number(NUMBERS[kind])
        inner, count = self.number("I"), self.number("Q")
        if inner in NUMBERS:
            self.at += count * struct.calcsize(NUMBERS[inner])
        else:
            for _ in range(count):
                self.value(inner)
        return None


def _read_gguf(file: Path) -> Iterator[StoredTensor]:
    with file.open("rb") as stream:
        header = _Header(stream.read(GGUF_LIMIT))
    try:
        yield from _gguf_tensors(file, header)
    except (struct.error, ValueError, TypeError, KeyError, ArithmeticError, RecursionError):
        raise _unfit(file, "is truncated or damaged: download it again") from None


def _gguf_tensors(file: Path, header: _Header) -> Iterator[StoredTensor]:
    header.at = 4
    version, count, notes = header.number("I"), header.number("Q"), header.number("Q")
    if version not in {2, 3}:
        raise _unfit(file, f"is of version {version} of GGUF: 2 and 3 are supported")
    told: dict[str, Any] = {}
    for _ in range(notes):
        name = header.text()
        told[name] = header.value(header.number("I"))
        if name == ARCHITECTURE and told[name] not in {"qwen_image", *UNTOLD}:
            raise _unfit(file, f"is a model of the architecture {told[name][:40]}, not of qwen_image")
    entries: list[tuple[str, list[int], int, int]] = []
    for _ in range(count):
        name, depth = header.text(), header.number("I")
        shape = [header.number("Q") for _ in range(depth)][::-1]
        entries.append((name, shape, header.number("I"), header.number("Q")))
    alignment = int(told.get("general.alignment", 32))
    start, there = -(-header.at // alignment) * alignment, file.stat().st_size
    for name, shape, kind, offset in entries:
        if kind not in TYPES:
            raise _unfit(file, f"has weights of GGUF's type {kind}, which is not supported: {_supported()}")
        numbers, size = (PACKED | DENSE)[TYPES[kind]]
        if shape and shape[-1] % numbers:
            raise _unfit(file, f"is damaged: {name} has rows that are no whole blocks")
        stored = StoredTensor(
            name=name,
            file=file,
            dtype=TYPES[kind],
            shape=shape,
            offset=start + offset,
            size=prod(shape) // numbers * size,
        )
        end = stored.offset + stored.size
        if end > there:
            raise _unfit(file, f"is truncated: {name} ends at byte {end:,}, and {there:,} are there: download it again")
        yield stored
