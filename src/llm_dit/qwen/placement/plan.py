"""Plans the placement of the weights from the free memory and their sizes, and states its reason.

Nothing here touches a device; `placing.py` applies a plan. A run has three phases with different weights: encoding (the
text encoder), denoising (the transformer) and decoding (the VAE). Weights that a phase does not need wait on the host,
so that the peak is that of the largest phase, not the sum.
"""

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal, NamedTuple

from llm_dit.errors import InputError
from llm_dit.options import QWEN_IMAGE, LayerNum, Resolution, bounds, choices

Strategy = Literal["resident", "model", "stream", "sequential"]
CpuOffload = bool | Literal["auto", "resident", "model", "stream", "sequential"]
STRATEGIES: tuple[Strategy, ...] = ("resident", "model", "stream", "sequential")

GB = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class Working:
    """Bytes that the phases need besides weights; decoding all layers together, and one by one.

    `recorded` is for recordings of denoising steps (`graphs.py`), if the weights are resident.
    """

    encoding: int
    denoising: int
    decoding: int
    sliced_decoding: int
    recorded: int = 0


class Size(NamedTuple):
    """A decomposition at `side`² pixels into `layers`."""

    side: int
    layers: int


class Needs(NamedTuple):
    """Working memory of a model's largest runs, and of its usual ones."""

    largest: Working
    usual: Working


LARGEST = Size(max(choices(Resolution)), bounds(LayerNum)[1])
USUAL = Size(QWEN_IMAGE.resolution, QWEN_IMAGE.layer_num)
"""The size of most runs."""
TOKEN = 16**2
"""Pixels per token."""
TEXT = 300
"""Tokens of a long prompt or caption."""


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Bytes that a run needs besides weights, which grow with its size (docs/performance.md has the measurements).

    `encoding` is per pixel of the picture, `denoising` and `recorded` per token, `decoding` per pixel of a layer;
    `unpacking` is for the largest packed weight, at any size.
    """

    encoding: int
    denoising: int
    decoding: int
    recorded: int = 0
    unpacking: int = 0

    def of(self, size: Size) -> Working:
        pixels = size.side**2
        tokens = (size.layers + 2) * pixels // TOKEN + TEXT  # including the picture and its composite
        return Working(
            encoding=self.encoding * pixels,
            denoising=self.denoising * tokens + self.unpacking,
            decoding=self.decoding * pixels * size.layers,
            sliced_decoding=self.decoding * pixels,
            recorded=self.recorded * tokens + self.unpacking,
        )


PLAIN = Rates(encoding=2_750, denoising=102_000, decoding=4_300)
NONE = Rates(encoding=0, denoising=0, decoding=0)
"""For a model that states its needs itself."""
FUSED = Rates(encoding=1_200, denoising=64_000, decoding=1_400, recorded=80_000)
APART = 7_000
"""Additional bytes per token in denoising if Q, K and V are computed one by one."""
LAYERWISE_ENCODER = int(1.2 * GB)
"""Bytes of a text encoder streamed layer by layer: its embedding is the largest layer."""
SLOTS = 2
"""Blocks on the device during streaming: the current one and the next."""
ENDS = 0.005
"""The part of a transformer outside of its blocks."""
USABLE = 0.95
"""The usable part of the free device memory; the rest is lost to fragmentation."""
SPARED = 1 / 3
"""The part of the device memory that must stay free for `cpu_offload=True` to keep everything on the device."""
PINNABLE = 0.8
"""The part of the free host memory that may be page-locked; the rest is for other programs."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The device's kind, "cuda", "mps" or "cpu", and free bytes, including those that this process could release."""

    device: str
    free_device: int
    free_host: int


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Bytes of the loaded weights: each transformer, each text encoder, and the VAEs together.

    `modulations` is each transformer's modulation, if that can be placed separately; `blocks` is the number of a
    transformer's blocks; `loras` are the factors of all LoRAs, which stay on the device if they run beside the weights.
    `rates` gives the working memory of runs, most of which have the size `usual`; `needs` is that of models which
    scale differently.
    """

    transformers: tuple[int, ...]
    text_encoders: tuple[int, ...]
    vaes: int
    modulations: tuple[int, ...] = ()
    loras: int = 0
    blocks: int = 60
    rates: Rates = PLAIN
    usual: Size = USUAL
    needs: tuple[Needs, ...] = ()

    @property
    def working(self) -> Working:
        """The working memory of the largest runs."""
        return _most([self.rates.of(LARGEST), *(each.largest for each in self.needs)])

    @property
    def usual_working(self) -> Working:
        """The working memory of the usual runs."""
        return _most([self.rates.of(self.usual), *(each.usual for each in self.needs)])

    @property
    def total(self) -> int:
        return sum(self.transformers) + sum(self.text_encoders) + self.vaes + self.loras

    @property
    def core(self) -> int:
        """Bytes of the largest transformer without its modulation."""
        return max(map(operator.sub, self.transformers, self.modulations or [0] * len(self.transformers)))

    @property
    def block(self) -> int:
        return self.core // self.blocks


def _most(workings: Sequence[Working]) -> Working:
    """Return the maximum of each phase over several runs."""
    return Working(**{each.name: max(getattr(one, each.name) for one in workings) for each in fields(Working)})


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How the weights are placed and why.

    `kept_blocks` of each transformer stay on the device while it runs; the others are fetched, each ahead of its turn.
    `text_encoder` "whole" is on the device while it encodes, "layers" at most one layer at a time. With
    `modulation_away` a block's modulation is on the device only while it is computed, once per schedule. With
    `sliced_decoding` the VAE decodes the layers one by one, which needs a quarter of the memory for four layers, and
    differs from decoding them together by the rounding of bfloat16. `pinned`: the host's copies are page-locked, so
    that copying overlaps with computing. `peak` is the estimated device memory of the largest runs in bytes,
    `usual_peak` that of a run of the usual size, and `second_peak` that on a second device (`plan_second`), 0 without
    one.
    """

    strategy: Strategy
    text_encoder: Literal["whole", "layers"] = "whole"
    kept_blocks: int = 0
    modulation_away: bool = False
    sliced_decoding: bool = False
    pinned: bool = False
    quantized: bool = False
    peak: int
    usual_peak: int = 0
    second_peak: int = 0
    reason: str


def plan_placement(cpu_offload: CpuOffload, machine: Machine, weights: Weights, *, quantized: bool = False) -> Plan:
    """Return the plan for `cpu_offload`.

    `False` or "resident" keeps everything on the device and decodes all layers together, as plain diffusers does.
    "model" lets the models take turns there. "stream" keeps as many transformer blocks as fit and fetches the others
    ahead of their turn. `True` keeps everything if a third of the device stays free, and otherwise streams, keeping
    only the blocks that do not raise the peak above that of encoding. "sequential" keeps nothing, for the smallest
    devices. `"auto"` takes the first of these that fits. Raises `InputError` for another value, and for streaming
    quantized weights, whose parts cannot be moved one by one.
    """
    planner = _Planner(machine, weights, quantized)
    if machine.device == "cpu":
        return planner.plan("resident", "There is no accelerator, so nothing is offloaded.")
    if cpu_offload == "auto":
        return planner.fastest_that_fits()
    strategy = _asked_for(cpu_offload, quantized)
    if cpu_offload is True:
        return planner.sparing(strategy)
    return planner.plan(strategy, f"cpu_offload={cpu_offload!r} asks for it.")


def _asked_for(cpu_offload: CpuOffload, quantized: bool) -> Strategy:
    if isinstance(cpu_offload, bool):
        return "resident" if not cpu_offload else "model" if quantized else "stream"
    if cpu_offload not in STRATEGIES:
        choices = ", ".join(f'"{name}"' for name in ("auto", *STRATEGIES))
        raise InputError(f"cpu_offload is True, False, or one of {choices}.", param="cpu_offload")
    if quantized and cpu_offload in {"stream", "sequential"}:
        raise InputError(
            f'Quantized weights cannot be placed as "{cpu_offload}": use cpu_offload="model".', param="cpu_offload"
        )
    return cpu_offload


@dataclass(frozen=True)
class _Planner:
    machine: Machine
    weights: Weights
    quantized: bool

    @property
    def room(self) -> int:
        return int(USABLE * self.machine.free_device)

    @property
    def _held(self) -> int:
        """Bytes on the device in every phase, for every strategy."""
        return self.weights.vaes + self.weights.loras

    def fastest_that_fits(self) -> Plan:
        total, free = _gb(self.weights.total), _gb(self.machine.free_device)
        if self._peak("resident") <= self.room:
            return self.plan("resident", f"{total} of weights fit into {free}.", sparing=True)
        if any(self.weights.modulations) and self._peak("resident", away=True) <= self.room:
            why = f"{total} of weights fit into {free} without the modulation, which is fetched once a schedule."
            return self.plan("resident", why, sparing=True, away=True)
        short = f"{total} of weights do not fit into {free}"
        if self._peak("model") <= self.room or self.quantized:
            return self.plan("model", f"{short}, but each model by itself does.")
        if self._peak("stream", self._encoder("stream")) <= self.room:
            return self.plan("stream", f"{short}, nor does the largest model by itself.")
        return self.plan("sequential", f"{short}, and there is no room to fetch blocks ahead.")

    def sparing(self, strategy: Strategy) -> Plan:
        """Return the fastest plan if that leaves enough memory free, otherwise `strategy` with the lowest peak."""
        free = self.machine.free_device
        spared = replace(self, machine=replace(self.machine, free_device=int((1 - SPARED) * free)))
        plan = spared.fastest_that_fits()
        if plan.strategy == "resident":
            apart = ", without the modulation, which is fetched once a schedule" if plan.modulation_away else ""
            why = f"{_gb(self.weights.total)} of weights{apart}, leave a third of {_gb(free)} free."
            return replace(plan, reason=f"resident: {why}")
        plan = self.plan(strategy, "cpu_offload=True asks for it.", lowest_peak=True)
        faster = self.fastest_that_fits()
        if faster.peak <= plan.peak:
            return plan
        told = f'{plan.reason} cpu_offload="auto" is faster: {faster.strategy}, about {_gb(faster.peak)} at the peak.'
        return replace(plan, reason=told)

    def plan(
        self, strategy: Strategy, why: str, *, lowest_peak: bool = False, sparing: bool = False, away: bool = False
    ) -> Plan:
        """Return the plan of a strategy; a resident one may save memory (`sparing`), and have the modulation `away`."""
        encoder = self._encoder(strategy)
        kept = 0
        if strategy == "stream":
            lowest = self._peak("stream", encoder)
            kept = self._blocks_within(min(lowest, self.room) if lowest_peak else self.room)
        elif strategy == "model":
            kept = self.weights.blocks
        # Like plain diffusers, unless memory must be saved.
        sliced = sparing or strategy != "resident"
        peaks = (
            self._peak(strategy, encoder, kept, away=away, sliced=sliced, working=working)
            for working in (self.weights.working, self.weights.usual_working)
        )
        kept_words = f" {kept} of {self.weights.blocks} blocks stay." if strategy == "stream" else ""
        return Plan(
            strategy=strategy,
            text_encoder=encoder,
            kept_blocks=kept,
            modulation_away=away or (strategy != "resident" and any(self.weights.modulations)),
            sliced_decoding=sliced,
            pinned=self.machine.device == "cuda" and self.weights.total <= PINNABLE * self.machine.free_host,
            quantized=self.quantized,
            peak=next(peaks),
            usual_peak=next(peaks),
            reason=f"{strategy}: {why}{kept_words}{self._warning(strategy)}",
        )

    def _encoder(self, strategy: Strategy) -> Literal["whole", "layers"]:
        whole = self._held + max(self.weights.text_encoders) + self.weights.working.encoding <= self.room
        return "whole" if strategy in {"resident", "model"} or (strategy == "stream" and whole) else "layers"

    def _peak(
        self,
        strategy: Strategy,
        encoder: Literal["whole", "layers"] = "whole",
        kept: int = 0,
        *,
        away: bool = False,
        sliced: bool = True,
        working: Working | None = None,
    ) -> int:
        """Return the bytes of the largest phase; `away`: resident weights without the modulation."""
        working = working or self.weights.working
        decoding = working.sliced_decoding if sliced else working.decoding
        if strategy == "resident":
            held = self.weights.total - (sum(self.weights.modulations) if away else 0)
            recorded = working.recorded if self.machine.device == "cuda" else 0
            # Recordings stay for the next run.
            return held + max(working.encoding, recorded + decoding, working.denoising)
        encoding = (max(self.weights.text_encoders) if encoder == "whole" else LAYERWISE_ENCODER) + working.encoding
        transformer = self.weights.core
        streamed = int(ENDS * max(self.weights.transformers)) + (kept + SLOTS) * self.weights.block
        held = transformer if strategy == "model" else min(transformer, streamed)
        return self._held + max(encoding, held + working.denoising, decoding)

    def _blocks_within(self, room: int) -> int:
        """Return how many blocks can be resident while the others are streamed."""
        fixed = (
            self._held
            + self.weights.working.denoising
            + ENDS * max(self.weights.transformers)
            + SLOTS * self.weights.block
        )
        return max(0, min(self.weights.blocks, math.floor((room - fixed) / max(self.weights.block, 1))))

    def _warning(self, strategy: Strategy) -> str:
        if strategy == "resident" or self.weights.total <= self.machine.free_host:
            return ""
        total, free = _gb(self.weights.total), _gb(self.machine.free_host)
        return f" The host has {free} for {total} of weights: it may swap; try quantization."


def _gb(size: int) -> str:
    return f"{size / GB:.1f} GB"


def plan_second(plan: Plan, second: Machine, weights: Weights, *, fused: bool) -> Plan:
    """Return `plan` with a second device (`placing.Pair`), or with the reason why that is not used.

    It needs a copy of each of our transformers, without the modulation, and the working memory of a run.
    """
    ours = zip(weights.transformers, weights.modulations, strict=False)
    copies = sum(transformer - apart for transformer, apart in ours if apart) + weights.loras
    peak = copies + weights.working.denoising + weights.working.recorded
    obstacle = _obstacle(plan, fused=fused) or ("" if copies else "what is loaded runs on diffusers' own loop")
    if not obstacle and peak > USABLE * second.free_device:
        obstacle = f"it has {second.free_device / GB:.1f} GB for {peak / GB:.1f} GB"
    if obstacle:
        return replace(plan, reason=f"{plan.reason} The second device is not used: {obstacle}.")
    told = f"A copy of {copies / GB:.1f} GB on the second device runs the other branch, where guidance is on."
    return replace(plan, second_peak=peak, reason=f"{plan.reason} {told}")


def _obstacle(plan: Plan, *, fused: bool) -> str:
    if not fused:
        return "fused = false runs diffusers' own loop"
    if plan.quantized:
        return "quantized weights are not copied to it"
    return "" if plan.strategy == "resident" else f'the weights are placed as "{plan.strategy}", not "resident"'
