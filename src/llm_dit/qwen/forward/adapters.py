"""Applies LoRAs to a transformer: beside its layers, or merged into their weights.

Beside a layer, whatever the form of its weights, the factors cost two more small products. Merged factors cost
nothing; the original weights are kept on the host, because subtracting a product again would round. The placement
does not see either: it moves only the tensors that it knew when it was created.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from llm_dit.qwen.forward.operations import Operations, is_plain
from llm_dit.qwen.forward.quantized import Scaled
from llm_dit.qwen.forward.transformer import Joined, Transformer
from llm_dit.qwen.loading.loader import read_tensors
from llm_dit.qwen.loading.loras import Lora


class Pair(NamedTuple):
    """Factors on a device: `down` (rank, in), and `up` (out, rank), which includes all scales."""

    down: torch.Tensor
    up: torch.Tensor

    def add_to(self, made: torch.Tensor, rows: torch.Tensor | Scaled) -> None:
        """Add the factors' product with `rows` (…, in) to `made` (…, out)."""
        hidden = self.enter(rows)
        made.view(-1, made.shape[-1]).addmm_(hidden.view(-1, hidden.shape[-1]), self.up.t())

    def enter(self, rows: torch.Tensor | Scaled) -> torch.Tensor:
        """Return the product of `down` and `rows`, at full precision."""
        return functional.linear(rows.wide(self.down.dtype) if isinstance(rows, Scaled) else rows, self.down)


class Beside(nn.Module):
    """A linear layer of any form, plus factors."""

    def __init__(self, layer: nn.Module, pair: Pair) -> None:
        super().__init__()
        self.layer, self._pair = layer, pair

    def forward(self, rows: torch.Tensor | Scaled) -> torch.Tensor:
        """As the layer."""
        made = self.layer(rows)
        self._pair.add_to(made, rows)
        return made


class BesideJoined(nn.Module):
    """Q, K and V of a stream, plus factors for some of them, by number."""

    def __init__(self, layer: nn.Module, pairs: Mapping[Any, Pair]) -> None:
        super().__init__()
        self.layer, self._pairs = layer, dict(pairs)

    def forward(self, rows: torch.Tensor | Scaled, out: torch.Tensor, operations: Operations) -> None:
        """As the layer."""
        self.layer(rows, out, operations)
        thirds = out.chunk(3, dim=-1)
        for number, pair in self._pairs.items():
            thirds[number].addmm_(pair.enter(rows), pair.up.t())


class Home(NamedTuple):
    """A checkpoint layer's location: the module's name, and the part's number if Q, K and V are one module."""

    module: str
    part: int | None = None


_OURS = {
    "attn.to_q": Home("image.qkv", 0),
    "attn.to_k": Home("image.qkv", 1),
    "attn.to_v": Home("image.qkv", 2),
    "attn.add_q_proj": Home("text.qkv", 0),
    "attn.add_k_proj": Home("text.qkv", 1),
    "attn.add_v_proj": Home("text.qkv", 2),
    "attn.to_out.0": Home("image.out"),
    "attn.to_add_out": Home("text.out"),
    "img_mlp.net.0.proj": Home("image.mlp.net.0.proj"),
    "img_mlp.net.2": Home("image.mlp.net.2"),
    "txt_mlp.net.0.proj": Home("text.mlp.net.0.proj"),
    "txt_mlp.net.2": Home("text.mlp.net.2"),
}
"""Our block's names for the layers of diffusers' block."""


def home_of(layer: str, transformer: nn.Module) -> Home:
    """Return a checkpoint layer's location in a transformer, ours or diffusers'."""
    parts = layer.split(".", 2)
    if parts[0] != "transformer_blocks" or not isinstance(transformer, Transformer):
        return Home(layer)
    _, number, inside = parts
    if inside.startswith(("img_mod.", "txt_mod.")):
        return Home(f"modulations.{number}.{inside}")
    module, part = _OURS[inside]
    return Home(f"transformer_blocks.{number}.{module}", part)


@dataclass(frozen=True, kw_only=True)
class _Copy:
    """A transformer and its device."""

    transformer: Any
    device: torch.device

    def has(self, layer: str) -> bool:
        """Whether it has the layer: the copy on a second device has no modulation."""
        is_apart = home_of(layer, self.transformer).module.startswith("modulations.")
        return not is_apart or len(self.transformer.modulations) > 0

    def weight(self, layer: str) -> torch.Tensor | None:
        """Return a layer's weight (out, in); None if it is not stored as plain numbers."""
        name, part = home_of(layer, self.transformer)
        module = self.transformer.get_submodule(name)
        if part is None:
            return module.weight.data if is_plain(module) else None
        return module.weight.data.chunk(3)[part] if isinstance(module, Joined) else None

    def put_beside(self, pairs: Mapping[str, Pair]) -> Iterator[Callable[[], None]]:
        """Put factors beside layers, by name; yield a function per layer that removes them."""
        modules: dict[str, dict[int | None, Pair]] = {}
        for layer, pair in pairs.items():
            name, part = home_of(layer, self.transformer)
            modules.setdefault(name, {})[part] = pair
        for name, parts in modules.items():
            module = self.transformer.get_submodule(name)
            outer, _, inner = name.rpartition(".")
            parent = self.transformer.get_submodule(outer)
            yield partial(setattr, parent, inner, module)
            setattr(parent, inner, Beside(module, parts[None]) if None in parts else BesideJoined(module, parts))


Factored = tuple[torch.Tensor, torch.Tensor, float]
"""A layer's two factors on the host, `down` and `up`, and their scale."""


class Adapters:
    """The LoRAs of one transformer, with their factors on the host; `use` activates some of them."""

    def __init__(
        self, transformer: Any, loras: Sequence[Lora], dtype: torch.dtype, report: Callable[[], None] = lambda: None
    ) -> None:
        self._transformer = transformer
        self._factors = {lora.spec.name: _read(lora, dtype, report) for lora in loras}
        self._undo: list[Callable[[], None]] = []
        self._kept: dict[str, torch.Tensor] = {}
        """Original weights, on the host; factors are merged into those in `_changed`."""
        self._changed: set[str] = set()
        self._on: tuple[Mapping[str, float], bool] = {}, False

    def told(self, *, fuse: bool) -> str:
        """Describe for people where active factors are; "" without a LoRA."""
        where = "in the weights, which the host keeps as they were" if fuse else "beside the weights"
        return f" LoRAs ({', '.join(self._factors)}) run {where}." if self._factors else ""

    @property
    def touched(self) -> int:
        """Bytes of the weights that all LoRAs together change."""
        layers = {layer: factors for read in self._factors.values() for layer, factors in read.items()}
        return sum(up.shape[0] * down.shape[1] * up.itemsize for down, up, _ in layers.values())

    def use(self, weights: Mapping[str, float], device: torch.device, *, fuse: bool) -> None:
        """Activate exactly these LoRAs, at their weights; `fuse` merges them into weights that are plain numbers.

        A copy on a second device (`placing.Pair`) follows. After an error none is active.
        """
        if self._on == (weights, fuse):
            return
        self._forget()
        try:
            self._take_off()
            wanted = self._wanted(weights)
            copies = self._copies(device)
            inside = {layer for layer in wanted if fuse and copies[0].weight(layer) is not None}
            self._restore(self._changed - inside)
            for layer in inside:
                self._fuse(layer, wanted[layer], copies)
            for copy in copies:
                beside = {
                    layer: _pair(factors, copy.device)
                    for layer, factors in wanted.items()
                    if layer not in inside and copy.has(layer)
                }
                for undo in copy.put_beside(beside):
                    self._undo.append(undo)
        except BaseException:
            self.remove()
            raise
        self._on = dict(weights), fuse
        self._forget()

    def remove(self) -> None:
        """Restore the transformer, bit for bit."""
        self._on = {}, False
        self._take_off()
        self._restore(set(self._changed))
        self._forget()

    def _take_off(self) -> None:
        for undo in reversed(self._undo):
            undo()
        self._undo = []

    def _restore(self, layers: set[str]) -> None:
        for layer in layers:
            self._write(layer, self._kept[layer], self._copies(torch.device("cpu")))
            self._changed.discard(layer)

    def _fuse(self, layer: str, factors: Sequence[Factored], copies: Sequence[_Copy]) -> None:
        weight = copies[0].weight(layer)
        assert weight is not None, "what is not plain goes beside"
        if layer not in self._kept:
            self._kept[layer] = weight.to("cpu", copy=True)
        before = self._kept[layer] if layer in self._changed else weight
        # In this order, because torch would widen on the host and copy twice as much.
        summed = before.to(copies[0].device, copy=True).float()
        for down, up, scale in factors:
            summed.addmm_(up.to(summed.device).float(), down.to(summed.device).float(), alpha=scale)
        self._changed.add(layer)
        self._write(layer, summed, copies)

    def _write(self, layer: str, values: torch.Tensor, copies: Sequence[_Copy]) -> None:
        for copy in copies:
            weight = copy.weight(layer) if copy.has(layer) else None
            if weight is not None:
                weight.copy_(values)

    def _wanted(self, weights: Mapping[str, float]) -> dict[str, list[Factored]]:
        wanted: dict[str, list[Factored]] = {}
        for name, weight in weights.items():
            for layer, (down, up, scale) in self._factors[name].items():
                wanted.setdefault(layer, []).append((down, up, scale * weight))
        return wanted

    def _copies(self, device: torch.device) -> list[_Copy]:
        pair = getattr(self._transformer, "pair", None)
        second = [] if pair is None else [_Copy(transformer=pair.second, device=pair.device)]
        return [_Copy(transformer=self._transformer, device=device), *second]

    def _forget(self) -> None:
        """Drop the modulation's table, which other weights computed, and recordings if modules change.

        Recordings read weights in place, so changed weights alone do not invalidate them.
        """
        if not isinstance(self._transformer, Transformer):
            return
        if self._undo:
            self._transformer.forget()
        for copy in self._copies(torch.device("cpu")):
            copy.transformer.table.forget()


def _read(lora: Lora, dtype: torch.dtype, report: Callable[[], None]) -> dict[str, Factored]:
    stored = [half for each in lora.layers.values() for half in (each.down, each.up)]
    host = torch.device("cpu")
    tensors = read_tensors(stored, lambda _: host, dtype, report)
    return {layer: (tensors[each.down.name], tensors[each.up.name], each.scale) for layer, each in lora.layers.items()}


def _pair(factors: Sequence[Factored], device: torch.device) -> Pair:
    """Return all factors as one product, concatenated along the rank, with the scales in `up`."""
    down = torch.cat([down for down, _, _ in factors])
    up = torch.cat([(up.float() * scale).to(up.dtype) for _, up, scale in factors], dim=1)
    return Pair(down.to(device), up.to(device))
