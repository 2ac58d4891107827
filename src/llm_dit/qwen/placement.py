"""Where the weights live: a plan from the memory there is and the size of what must fit, with its reason.

Nothing here touches a device; `offloading.py` carries a plan out.
"""

from dataclasses import dataclass
from typing import Literal

from llm_dit.errors import InputError

Strategy = Literal["resident", "model", "stream", "sequential"]
CpuOffload = bool | Literal["auto", "resident", "model", "stream", "sequential"]
STRATEGIES: tuple[Strategy, ...] = ("resident", "model", "stream", "sequential")

GB = 1_000_000_000
WORKSPACE = 8 * GB
"""Bytes for a run's own tensors (activations, VAE decoding); an estimate for 1024², four layers, until measured."""
BLOCK = 3 * GB
"""Bytes that streaming holds besides the workspace: two transformer blocks of 0.7 GB in bf16, and the VAE."""
PINNABLE = 0.8
"""The part of the free host memory that may be page-locked; the rest is for everything else on the computer."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a plan has to go by: "cuda", "mps" or "cpu", and free bytes, what this process could give back included."""

    device: str
    free_device: int
    free_host: int


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Bytes of what has to be held, as loaded: each transformer, each text encoder, and the VAEs together."""

    transformers: tuple[int, ...]
    text_encoders: tuple[int, ...]
    vaes: int

    @property
    def total(self) -> int:
        return sum(self.transformers) + sum(self.text_encoders) + self.vaes

    @property
    def largest(self) -> int:
        return max(*self.transformers, *self.text_encoders)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How the weights are placed and why.

    `text_encoder` counts for "stream": "swap" brings it to the device whole while it is needed, "stream" layer by
    layer. `pinned`: the host's copies are page-locked, so that copying overlaps with computing. `peak` is an estimate
    in bytes of the device memory that a run takes.
    """

    strategy: Strategy
    text_encoder: Literal["swap", "stream"] = "swap"
    pinned: bool = False
    peak: int
    reason: str


def plan_placement(cpu_offload: CpuOffload, machine: Machine, weights: Weights, *, quantized: bool = False) -> Plan:
    """Return the plan for `cpu_offload`.

    `True` is the lowest peak that is not needlessly slow: the transformer streams block by block, fetched ahead;
    `False` keeps everything on the device; `"auto"` takes the fastest that fits; a name takes that one. Raises
    `InputError` for another value, and for streaming quantized weights, whose parts cannot be moved one by one.
    """
    if machine.device == "cpu":
        return _plan("resident", machine, weights, "There is no accelerator, so nothing is offloaded.")
    strategy = _asked_for(cpu_offload, quantized)
    if strategy is None:
        return _fastest_that_fits(machine, weights, quantized)
    if quantized and strategy in {"stream", "sequential"}:
        raise InputError(
            f'Quantized weights cannot be placed as "{strategy}": use cpu_offload="model".', param="cpu_offload"
        )
    return _plan(strategy, machine, weights, f"cpu_offload={cpu_offload!r} asks for it.")


def _asked_for(cpu_offload: CpuOffload, quantized: bool) -> Strategy | None:
    if cpu_offload is True:
        return "model" if quantized else "stream"
    if cpu_offload is False:
        return "resident"
    if cpu_offload == "auto":
        return None
    if cpu_offload not in STRATEGIES:
        choices = ", ".join(f'"{name}"' for name in ("auto", *STRATEGIES))
        raise InputError(f"cpu_offload is True, False, or one of {choices}.", param="cpu_offload")
    return cpu_offload


def _fastest_that_fits(machine: Machine, weights: Weights, quantized: bool) -> Plan:
    free = machine.free_device
    if weights.total + WORKSPACE <= free:
        return _plan("resident", machine, weights, f"{_gb(weights.total)} of weights fit into {_gb(free)}.")
    short = f"{_gb(weights.total)} of weights do not fit into {_gb(free)}"
    if weights.largest + weights.vaes + WORKSPACE <= free or quantized:
        return _plan("model", machine, weights, f"{short}, but each model by itself does.")
    if free >= BLOCK + WORKSPACE:
        return _plan("stream", machine, weights, f"{short}, nor does the largest model by itself.")
    return _plan("sequential", machine, weights, f"{short}, and there is no room to fetch blocks ahead.")


def _plan(strategy: Strategy, machine: Machine, weights: Weights, why: str) -> Plan:
    whole_encoder = max(weights.text_encoders) + weights.vaes + BLOCK <= machine.free_device
    streamed = BLOCK + WORKSPACE
    peaks: dict[Strategy, int] = {
        "resident": weights.total + WORKSPACE,
        "model": weights.largest + weights.vaes + WORKSPACE,
        "stream": max(streamed, max(weights.text_encoders) + BLOCK) if whole_encoder else streamed,
        "sequential": WORKSPACE,
    }
    return Plan(
        strategy=strategy,
        text_encoder="swap" if whole_encoder else "stream",
        pinned=machine.device == "cuda" and weights.total <= PINNABLE * machine.free_host,
        peak=peaks[strategy],
        reason=f"{strategy}: {why}{_warning(strategy, machine, weights)}",
    )


def _warning(strategy: Strategy, machine: Machine, weights: Weights) -> str:
    if strategy == "resident" or weights.total <= machine.free_host:
        return ""
    return f" The host has {_gb(machine.free_host)} for {_gb(weights.total)} of weights: it may swap; try quantization."


def _gb(size: int) -> str:
    return f"{size / GB:.1f} GB"
