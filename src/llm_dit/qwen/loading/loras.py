"""LoRAs: parsing of settings, finding the file, its schedule, and the factors in it.

Factors are described by a file's header; no tensor is read here.
"""

import json
import math
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_dit.errors import InputError, WeightsError
from llm_dit.qwen.loading.checkpoints import (
    EDIT,
    LAYERED,
    NAMES,
    Checkpoint,
    StoredTensor,
    check_weights,
    read_header,
    stored_in,
)
from llm_dit.runs import ProgressCallback

OPTIONS = {LAYERED: "loras", EDIT: "edit_loras"}
"""The settings, and arguments of `from_pretrained`, that list each model's LoRAs."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The schedule that a LoRA was trained for: a run's defaults for steps and guidance.

    `shift` is the shift of the noise levels; it replaces the model's own, which grows with the picture and ends above
    zero. With `heun` every step but the last averages two velocities (Heun's method), at the cost of two forwards.
    """

    steps: int
    guidance: float = 1.0
    shift: float | None = None
    heun: bool = False
    distilled: bool = False
    """Whether `speed="turbo"` may use it."""


@dataclass(frozen=True, kw_only=True)
class Named:
    """A published LoRA: its hub file for each edition of a model, as ID/FILE, and its schedule."""

    files: Mapping[str, str]
    schedule: Schedule


_LIGHTNING = "lightx2v/Qwen-Image-Lightning/"
_LIGHTNING_2511 = "lightx2v/Qwen-Image-Edit-2511-Lightning/"


def _lightning(steps: int) -> Named:
    file = f"Lightning-{steps}steps-V1.0-bf16.safetensors"
    files = {
        "Qwen-Image-Edit": f"{_LIGHTNING}Qwen-Image-Edit-{file}",
        "Qwen-Image-Edit-2509": f"{_LIGHTNING}Qwen-Image-Edit-2509/Qwen-Image-Edit-2509-{file}",
        "Qwen-Image-Edit-2511": f"{_LIGHTNING_2511}Qwen-Image-Edit-2511-{file}",
    }
    return Named(files=files, schedule=Schedule(steps=steps, shift=3.0, distilled=True))


NAMED = {
    "lightning": _lightning(4),
    "lightning-8": _lightning(8),
    "stable-layers": Named(
        files={"Qwen-Image-Layered": "StabilityLabs/Stable-Layers/adapter_model.safetensors"},
        schedule=Schedule(steps=50, heun=True),
    ),
}
"""LoRAs known by name. The schedules are from the files' own pages."""
_DISTILLED = re.compile(r"lightning-([48])steps", re.IGNORECASE)
"""Matches the name of a local Lightning file."""


TURBO = "lightning"
"""The LoRA of `speed="turbo"` if no other distilled one is configured."""


# Settings: [NAME=]PLACE[:WEIGHT].

_SPEC = re.compile(r"(?:(?P<name>[\w.-]+)=)?(?P<place>.+?)(?::(?P<weight>[-+]?\d*\.?\d+))?")
_WANTED = re.compile(r"(?P<name>[\w.-]+)(?::(?P<weight>[-+]?\d*\.?\d+))?")
_HUB_FILE = re.compile(r"(?P<repo>[\w-][\w.-]*/[\w-][\w.-]*)(?:/(?P<file>[^\\]+\.safetensors))?")
_ORDINARY = {"adapter_model", "pytorch_lora_weights", "model"}
"""Generic file names; the folder's name is used instead."""
MAX_WEIGHT = 10.0


@dataclass(frozen=True, kw_only=True)
class Spec:
    """A requested LoRA: `place` is a file, a folder, a hub id with or without a file, or one of `NAMED`."""

    name: str
    place: str
    weight: float = 1.0

    @property
    def schedule(self) -> Schedule | None:
        """Its schedule, if known."""
        if self.name in NAMED:
            return NAMED[self.name].schedule
        distilled = _DISTILLED.search(Path(self.place).name)
        return NAMED["lightning" if distilled[1] == "4" else "lightning-8"].schedule if distilled else None


def with_turbo(specs: Sequence[Spec]) -> list[Spec]:
    """Return the specs, with a distilled LoRA added if there is none; it is inactive in runs that are not turbo."""
    there = any(spec.schedule and spec.schedule.distilled for spec in specs)
    return [*specs] if there else [*specs, Spec(name=TURBO, place=TURBO, weight=0.0)]


def parse_loras(texts: Sequence[str], param: str) -> list[Spec]:
    """Parse each `[NAME=]PLACE[:WEIGHT]`; raises `InputError` about `param`.

    The default name is the file's, or that of the folder or hub id if the file's is generic.
    """
    specs = [_parse(text, param) for text in texts]
    names = [spec.name for spec in specs]
    if twice := {name for name in names if names.count(name) > 1}:
        raise InputError(f"{param} has {min(twice)} twice: rename one of them, as in NAME=PATH.", param=param)
    return specs


def _parse(text: str, param: str) -> Spec:
    match = _SPEC.fullmatch(text.strip())
    if match is None:
        raise InputError(f'{param} lists LoRAs as "PATH", "PATH:WEIGHT" or "NAME=PATH:WEIGHT".', param=param)
    weight = _weight(match["weight"] or "1", param)
    place = Path(match["place"])
    stem = place.stem if place.suffix == ".safetensors" else place.name
    plain = place.parent.name if stem in _ORDINARY else stem
    return Spec(name=match["name"] or re.sub(r"[^\w.-]+", "-", plain or stem), place=match["place"], weight=weight)


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The active LoRAs of a run with their weights, and the `schedule` of the first one that has one."""

    weights: Mapping[str, float]
    schedule: Schedule | None = None

    @property
    def told(self) -> tuple[str, ...]:
        """Return the LoRAs as they are recorded."""
        return tuple(name if weight == 1 else f"{name}:{weight:g}" for name, weight in self.weights.items())


def choose(specs: Sequence[Spec], wanted: Sequence[str] | None, *, turbo: bool = False) -> Chosen:
    """Return the active ones of `specs`: with None all of nonzero weight, otherwise those in `wanted`, as "NAME" or
    "NAME:WEIGHT".

    With `turbo` the first distilled one is active too, with its schedule.
    Raises `InputError` for an unknown name: a run selects from its pipeline's LoRAs and takes no paths.
    """
    known = {spec.name: spec.weight for spec in specs}
    weights = known if wanted is None else dict(_wanted(text, known) for text in wanted)
    on = {name: weight for name, weight in weights.items() if weight}
    distilled = [spec for spec in specs if spec.schedule and spec.schedule.distilled] if turbo else []
    if distilled and not any(spec.name in on for spec in distilled):
        on |= [_wanted(distilled[0].name, known)]
    specs = [spec for spec in distilled if spec.name in on] or specs
    schedules = [spec.schedule for spec in specs if spec.name in on and spec.schedule]
    return Chosen(weights=on, schedule=schedules[0] if schedules else None)


def _wanted(text: str, known: Mapping[str, float]) -> tuple[str, float]:
    match = _WANTED.fullmatch(text)
    if match is None or match["name"] not in known:
        there = ", ".join(known) or "none"
        raise InputError(f'loras names what the engine has, as "NAME" or "NAME:WEIGHT": {there}.', param="loras")
    if match["weight"] is None:
        # A weight of 0 in the settings means off by default; a run that names it gets 1.
        return match["name"], known[match["name"]] or 1.0
    return match["name"], _weight(match["weight"], "loras")


def _weight(text: str, param: str) -> float:
    weight = float(text)
    if not abs(weight) <= MAX_WEIGHT:
        raise InputError(f"A weight of {param} must be from -{MAX_WEIGHT:g} to {MAX_WEIGHT:g}.", param=param)
    return weight


# From a spec to its file.


def find_lora(spec: Spec, edition: str, progress: ProgressCallback) -> Path:
    """Return the file, downloaded if it is on the hub; `edition` is the model's, as `Checkpoint.edition`.

    Raises `WeightsError` if it is in neither place, or if a named LoRA is for another model.
    """
    local = local_lora(spec)
    if local is not None:
        return local
    place = spec.place
    if place in NAMED:
        files = NAMED[place].files
        if edition not in files:
            raise WeightsError(f"The LoRA {place} is for {' or '.join(files)}, not for {edition}: leave it out.")
        place = files[edition]
    match = _HUB_FILE.fullmatch(place)
    assert match is not None, "local_lora has looked"
    from llm_dit.qwen.loading.download import download_lora  # imports packages that the base install lacks

    return download_lora(match["repo"], match["file"], spec.name, progress=progress)


def local_lora(spec: Spec) -> Path | None:
    """Return the local file, or None for one on the hub; raises `WeightsError` for neither."""
    place = Path(spec.place).expanduser()
    if place.is_file():
        return place
    if place.is_dir():
        return only_file(list(place.glob("*.safetensors")), spec.name)
    if spec.place in NAMED or _HUB_FILE.fullmatch(spec.place):
        return None
    raise WeightsError(
        f"The LoRA {spec.name} is neither a file nor a folder on this computer, nor on the hub as OWNER/NAME or "
        f"OWNER/NAME/FILE.safetensors, nor one of {', '.join(NAMED)}."
    )


def only_file(files: Sequence[Path], name: str) -> Path:
    """Return the one file of a folder; raises `WeightsError` if there is none or more than one."""
    if len(files) != 1:
        raise WeightsError(
            f"The folder of the LoRA {name} has {len(files)} safetensors files: name one, as FOLDER/FILE.safetensors."
        )
    return files[0]


# The factors in a file, by the model's layers.

_PREFIX = re.compile(
    r"(?:base_model\.model\.|model\.diffusion_model\.|diffusion_model\.|transformer\.|unet\.|lora_unet_|lora_transformer_|"
    r"lycoris_)"
)
_HALF = re.compile(r"(?P<layer>.+?)[._](?:lora_|lora\.|lora_linear_layer\.)(?P<half>A|B|down|up)(?:\.\w+)?\.weight")
"""Names of peft and diffusers (`lora_A.weight`, with or without an adapter's name), of kohya and ComfyUI
(`lora_down.weight`), and of earlier diffusers (`lora.down.weight`)."""
_TEXT = re.compile(r"(?:lora_te|text_encoder|text_model|conditioner|cond_stage_model)")
_OTHER_KINDS = {"lokr_": "a LoKr", "hada_": "a LoHa", "dora_scale": "a DoRA", "magnitude_vector": "a DoRA"}
_FACTORS = {"F64", "F32", "F16", "BF16"}
"""The supported types of factors."""
_ALPHAS = {"F64": "<d", "F32": "<f", "F16": "<e", "BF16": "<f", "I64": "<q", "I32": "<i"}
"""`struct` formats of an alpha by type; BF16 is read as F32 after prepending its missing lower half."""


@dataclass(frozen=True, kw_only=True)
class Factors:
    """A layer's update: `up` (out, rank) × `down` (rank, in) × `scale`."""

    down: StoredTensor
    up: StoredTensor
    scale: float


@dataclass(frozen=True, kw_only=True)
class Lora:
    """The factors in a LoRA's file, by the model's layers."""

    spec: Spec
    layers: Mapping[str, Factors]

    @property
    def parameters(self) -> int:
        """The number of its parameters."""
        return sum(math.prod(half.shape) for each in self.layers.values() for half in (each.down, each.up))

    def fitted(self, shapes: Mapping[str, Sequence[int]], model: str) -> "Lora":
        """Return it with the layer names of a transformer of `shapes`; raises `WeightsError` if it does not fit."""
        # kohya's names have no dots; the transformer's names are unique without dots, too.
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
    """Return a file's LoRA, from its header; layers have the file's names without prefixes.

    Raises `WeightsError` for a file that is truncated or damaged, or that has no LoRA, another kind of adapter, a part
    for the text encoder, or factors that do not match.
    """
    check_weights(file.parent, file)
    stored = stored_in(file.parent, file)
    alphas: dict[str, StoredTensor] = {}
    halves: dict[str, dict[str, StoredTensor]] = {}
    for tensor in stored:
        for sign, kind in _OTHER_KINDS.items():
            if sign in tensor.name:
                raise WeightsError(f"The file of {spec.name} is {kind}: only plain LoRAs are supported.")
        if _TEXT.match(tensor.name):
            raise WeightsError(
                f"The LoRA {spec.name} has a part for the text encoder: use one for the transformer only."
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
    """Return a layer's alpha from peft's configuration; the default is the rank, for a scale of 1."""
    for pattern, alpha in dict(config.get("alpha_pattern") or {}).items():
        if re.search(rf"(?:^|_){_flat(pattern)}$", layer):
            return float(alpha)
    return float(config.get("lora_alpha") or (math.sqrt(rank) if config.get("use_rslora") else rank))


def _config(file: Path) -> Mapping[str, Any]:
    """Return peft's configuration, from the folder or, as diffusers writes it, from the file; empty if neither."""
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
