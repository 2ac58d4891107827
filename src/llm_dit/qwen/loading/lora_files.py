"""What a LoRA's file holds: its factors by the layers of a model, told by the header. No tensor is read here."""

import json
import math
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_dit.errors import WeightsError
from llm_dit.qwen.loading.checkpoints import NAMES, Checkpoint, StoredTensor, check_weights, read_header, stored_in
from llm_dit.qwen.loading.loras import Spec, find_lora
from llm_dit.runs import ProgressCallback

_PREFIX = re.compile(
    r"(?:base_model\.model\.|model\.diffusion_model\.|diffusion_model\.|transformer\.|unet\.|lora_unet_|lora_transformer_|"
    r"lycoris_)"
)
_HALF = re.compile(r"(?P<layer>.+?)[._](?:lora_|lora\.|lora_linear_layer\.)(?P<half>A|B|down|up)(?:\.\w+)?\.weight")
"""Of peft and diffusers (`lora_A.weight`, with or without an adapter's name), of kohya and ComfyUI
(`lora_down.weight`), and of diffusers before (`lora.down.weight`)."""
_TEXT = re.compile(r"(?:lora_te|text_encoder|text_model|conditioner|cond_stage_model)")
_OTHER_KINDS = {"lokr_": "a LoKr", "hada_": "a LoHa", "dora_scale": "a DoRA", "magnitude_vector": "a DoRA"}
_FACTORS = {"F64", "F32", "F16", "BF16"}
"""The types of factors that are taken."""
_ALPHAS = {"F64": "<d", "F32": "<f", "F16": "<e", "BF16": "<f", "I64": "<q", "I32": "<i"}
"""How `struct` reads an alpha of a type; one of BF16 after the lower half that it lacks."""


@dataclass(frozen=True, kw_only=True)
class Factors:
    """What is added to a layer's weights: `up` (out, rank) × `down` (rank, in) × `scale`."""

    down: StoredTensor
    up: StoredTensor
    scale: float


@dataclass(frozen=True, kw_only=True)
class Lora:
    """A file whose tensors are a LoRA's: its factors by the layers of the model."""

    spec: Spec
    layers: Mapping[str, Factors]

    @property
    def parameters(self) -> int:
        """How many numbers it has."""
        return sum(math.prod(half.shape) for each in self.layers.values() for half in (each.down, each.up))

    def fitted(self, shapes: Mapping[str, Sequence[int]], model: str) -> "Lora":
        """Return it with its layers named as in a transformer of `shapes`; raises `WeightsError` for another one's."""
        # kohya's names have no dots; without theirs, no two of the transformer's are the same.
        linear = (name for name, shape in shapes.items() if len(shape) == 2 and not name.endswith("embedding.weight"))
        homes = {_flat(name.removesuffix(".weight")): name for name in linear}
        strange = [layer for layer in self.layers if _flat(layer) not in homes]
        if strange:
            raise WeightsError(
                f"The LoRA {self.spec.name} is for another model: {len(strange)} of its {len(self.layers)} layers, "
                f"such as {strange[0][:80]}, are not in {model}."
            )
        found: dict[str, Factors] = {}
        for layer, factors in self.layers.items():
            home = homes[_flat(layer)]
            there, wanted = [factors.up.shape[0], factors.down.shape[1]], list(shapes[home])
            if there != wanted:
                raise WeightsError(
                    f"The LoRA {self.spec.name} is for another model: {home.removesuffix('.weight')} is "
                    f"{there[0]} × {there[1]} in it, and {wanted[0]} × {wanted[1]} in {model}."
                )
            found[home.removesuffix(".weight")] = factors
        return Lora(spec=self.spec, layers=found)


def open_lora(file: Path, spec: Spec) -> Lora:
    """Return what a file holds, from its header; its layers have the file's names, without prefixes.

    Raises `WeightsError` for a file that is cut off or damaged, that holds no LoRA, another kind of adapter, a part for
    the text encoder, or factors that do not belong together.
    """
    check_weights(file.parent, file)
    stored = stored_in(file.parent, file)
    alphas: dict[str, StoredTensor] = {}
    halves: dict[str, dict[str, StoredTensor]] = {}
    for tensor in stored:
        for sign, kind in _OTHER_KINDS.items():
            if sign in tensor.name:
                raise WeightsError(f"The file of {spec.name} is {kind}: of adapters only plain LoRAs are taken.")
        if _TEXT.match(tensor.name):
            raise WeightsError(
                f"The LoRA {spec.name} has a part for the text encoder: take one for the transformer alone."
            )
        name = _bare(tensor.name)
        if match := _HALF.fullmatch(name):
            side = "down" if match["half"] in {"A", "down"} else "up"
            halves.setdefault(_flat(match["layer"]), {})[side] = tensor
        elif name.endswith(".alpha"):
            alphas[_flat(name.removesuffix(".alpha"))] = tensor
        else:
            raise WeightsError(
                f"The file of {spec.name} is not a LoRA: it has tensors such as {name[:80]}, which belong to a whole "
                "model or to another kind of adapter."
            )
    if not halves:
        raise WeightsError(f"The file of {spec.name} is not a LoRA: it has no factors.")
    numbers = _alphas(file, alphas)
    config = _config(file)
    layers = {layer: _factors(spec, layer, pair, numbers.get(layer), config) for layer, pair in halves.items()}
    return Lora(spec=spec, layers=layers)


def _bare(name: str) -> str:
    while match := _PREFIX.match(name):
        name = name[match.end() :]
    return name


def _flat(layer: str) -> str:
    return layer.replace(".", "_")


def _factors(
    spec: Spec, layer: str, pair: Mapping[str, StoredTensor], alpha: float | None, config: Mapping[str, Any]
) -> Factors:
    if len(pair) != 2:
        raise WeightsError(f"The LoRA {spec.name} is damaged: {layer[:80]} has one of its two factors.")
    down, up = pair["down"], pair["up"]
    if len(down.shape) != 2 or len(up.shape) != 2 or down.shape[0] != up.shape[1] or not down.shape[0]:
        raise WeightsError(f"The LoRA {spec.name} is damaged: the factors of {layer[:80]} have different ranks.")
    if not {down.dtype, up.dtype} <= _FACTORS:
        raise WeightsError(f"The LoRA {spec.name} has numbers of the type {down.dtype}: take one in 16 or 32 bits.")
    rank = down.shape[0]
    if alpha is None:
        alpha = _alpha_of(config, layer, rank)
    divisor = math.sqrt(rank) if config.get("use_rslora") else rank
    return Factors(down=down, up=up, scale=alpha / divisor)


def _alpha_of(config: Mapping[str, Any], layer: str, rank: int) -> float:
    """Return the alpha that peft's configuration has for a layer; without one it is the rank, for a scale of 1."""
    for pattern, alpha in dict(config.get("alpha_pattern") or {}).items():
        if re.search(rf"(?:^|_){_flat(pattern)}$", layer):
            return float(alpha)
    return float(config.get("lora_alpha") or (math.sqrt(rank) if config.get("use_rslora") else rank))


def _config(file: Path) -> Mapping[str, Any]:
    """Return peft's configuration: that of the folder, or what diffusers puts into the file; else nothing."""
    beside = file.parent / "adapter_config.json"
    try:
        if file.name == "adapter_model.safetensors" and beside.is_file():
            return dict(json.loads(beside.read_bytes()))
        inside = json.loads(read_header(file.parent, file).get("__metadata__", {}).get("lora_adapter_metadata", "{}"))
        return {_bare(name): value for name, value in inside.items()}
    except (ValueError, TypeError, AttributeError):
        raise WeightsError("The configuration beside a LoRA's factors is damaged: download it again.") from None


def _alphas(file: Path, tensors: Mapping[str, StoredTensor]) -> dict[str, float]:
    with file.open("rb") as stream:
        return dict(_numbers(stream, tensors))


def _numbers(stream: Any, tensors: Mapping[str, StoredTensor]) -> Iterator[tuple[str, float]]:
    for layer, tensor in tensors.items():
        form = _ALPHAS.get(tensor.dtype)
        if form is None or math.prod(tensor.shape) != 1:
            raise WeightsError("A LoRA's alpha is not a number: download it again.")
        stream.seek(tensor.offset)
        content = stream.read(tensor.size)
        yield layer, struct.unpack(form, b"\0\0" + content if tensor.dtype == "BF16" else content)[0]


def open_loras(specs: Sequence[Spec], checkpoint: Checkpoint, progress: ProgressCallback) -> list[Lora]:
    """Return the LoRAs of a checkpoint's model, found and checked against its shapes; see `find_lora`, `open_lora`."""
    shapes, model = checkpoint.shapes("transformer"), NAMES[checkpoint.pipeline]
    return [open_lora(find_lora(spec, checkpoint.edition, progress), spec).fitted(shapes, model) for spec in specs]
