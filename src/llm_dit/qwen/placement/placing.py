"""Applies a placement plan to loaded pipelines, on one or two devices, and reverts it."""

import copy

# diffusers exports its names lazily, which pyright cannot resolve.
# pyright: reportPrivateImportUsage=false
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import torch
from diffusers import DiffusionPipeline
from torch import nn

from llm_dit.qwen.forward.graphs import Recordings
from llm_dit.qwen.forward.transformer import Branch, Moment, Table, Transformer, is_fused
from llm_dit.qwen.placement.plan import Plan
from llm_dit.qwen.placement.swapping import BlockStream, PageLock, Swapped, Turns, remove_hooks, swap_layers, tensors_of

# A transformer on two devices: the branches of a guided step run in parallel, one per device.


class Pair:
    """A transformer and a copy of its blocks on a second device; called like the transformer, with two branches.

    A separate thread launches the second branch, because launching a forward takes the host nearly as long as running
    it takes the device. The copy has no modulation: it gets the rows that the first transformer computes.
    """

    def __init__(self, first: Transformer, device: torch.device) -> None:
        self._first = first
        self.device = device
        self.second = _copy(first, device)
        """The transformer on the second device."""
        self.second.recordings = Recordings.on(device)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="second-device")
        self._asked: tuple[torch.Tensor, Branch] | None = None
        self._moved: tuple[torch.Tensor, Branch] | None = None

    def __call__(
        self, tokens: torch.Tensor, *, branches: Sequence[Branch], schedule: torch.Tensor, **step: Any
    ) -> list[torch.Tensor]:
        """Return the transformer's result, on its device; an error of either branch is raised after both are done.

        Each branch's `residuals` stay on its device.
        """
        here, there = branches
        self._first.speak(schedule, tokens)
        # A copy between devices waits for the work queued on both: before the first branch starts, there is none.
        moved = tokens.to(self.device), *self._move(schedule, there)
        theirs = self._thread.submit(self._ask_second, *moved, step)
        try:
            (ours,) = self._first(tokens, branches=[here], schedule=schedule, **step)
        finally:
            wait([theirs])
        return [ours, theirs.result().to(ours.device)]

    def close(self) -> None:
        """End the thread; call it once, while no step runs."""
        self._thread.shutdown()

    @torch.no_grad()  # it applies per thread
    def _ask_second(
        self, tokens: torch.Tensor, schedule: torch.Tensor, branch: Branch, step: dict[str, Any]
    ) -> torch.Tensor:
        (told,) = self.second(tokens, branches=[branch], schedule=schedule, **step)
        return told

    def _move(self, schedule: torch.Tensor, branch: Branch) -> tuple[torch.Tensor, Branch]:
        """Return both on the second device, cached for the run, and copy the modulation's table there."""
        if self._asked is None or self._moved is None or self._asked[0] is not schedule or self._asked[1] is not branch:
            mask = None if branch.mask is None else branch.mask.to(self.device)
            self._asked = schedule, branch
            self._moved = schedule.to(self.device), Branch(embeds=branch.embeds.to(self.device), mask=mask)
        mine, theirs = self.second.table, self._first.table
        if mine.times != theirs.times:
            mine.moments = [Moment(*(each.to(self.device) for each in moment)) for moment in theirs.moments]
            mine.times = theirs.times
        return self._moved


def _copy(transformer: Transformer, device: torch.device) -> Transformer:
    """Return the transformer without its modulation, its weights copied directly to the device."""
    # `deepcopy` takes these tensors from the memo, so nothing is copied on the original device.
    memo: dict[int, Any] = {id(transformer.modulations): nn.ModuleList(), id(transformer.table): Table()}
    memo[id(transformer.recordings)] = None
    apart = {id(tensor) for tensor in tensors_of(transformer.modulations)}
    for tensor in tensors_of(transformer):
        if id(tensor) not in apart:
            moved = tensor.data.to(device, copy=True)
            memo[id(tensor)] = nn.Parameter(moved, requires_grad=False) if isinstance(tensor, nn.Parameter) else moved
    return copy.deepcopy(transformer, memo)


class Placement:
    """Pipelines whose weights are placed by a plan; the text encoder may be one object in several of them."""

    def __init__(
        self,
        pipelines: Sequence[DiffusionPipeline],
        plan: Plan,
        device: torch.device,
        second: torch.device | None = None,
    ) -> None:
        self.plan = plan
        self._pipelines: list[Any] = []
        self._device, self._second = device, second
        self._turns = Turns()
        self._encoders: list[Swapped] = []
        self._streams: list[BlockStream] = []
        self._undo: list[Callable[[], None]] = []
        self._locks: list[PageLock] = []
        if plan.strategy == "resident":
            self.hold(pipelines, plan)
            return
        self._pipelines = list(pipelines)
        if plan.quantized:
            # Quantized tensors have more than their data; accelerate can move them.
            for pipeline in self._pipelines:
                pipeline.enable_model_cpu_offload(device=device)
                self._slice(pipeline.vae)
        else:
            self._place_in_turns()

    def hold(self, pipelines: Iterable[Any], plan: Plan) -> None:
        """Place these pipelines as resident; those already there are not moved."""
        before, self._pipelines, self.plan = self._pipelines, list(pipelines), plan
        for pipeline in self._pipelines:
            if pipeline not in before:
                self._place_whole(pipeline)

    def spare_modulation(self, plan: Plan) -> None:
        """Move the modulation of resident transformers to the host under `plan`, to make room for another model."""
        self.plan = plan
        for pipeline in self._fused:
            self._keep_away(pipeline.transformer.modulations.to("cpu"))

    def before_encoding(self) -> None:
        """Bring the text encoder to the device if the plan keeps it whole: `generate` reads its device."""
        for encoder in self._encoders:
            self._turns.bring(encoder)

    def after_run(self) -> None:
        """Free a run's memory on the device; needed above all after an error."""
        for pipeline in self._pipelines:
            pipeline.maybe_free_model_hooks()
        self._free()

    def forget(self) -> None:
        """Release what is cached for the next run."""
        for pipeline in self._fused:
            pipeline.transformer.forget()

    def remove(self) -> None:
        """Revert the plan; all weights are on the host afterwards."""
        self.after_run()
        self.forget()
        for pipeline in self._fused:
            _part(pipeline.transformer)
        for undo in reversed(self._undo):
            undo()
        for pipeline in self._pipelines:
            pipeline.remove_all_hooks()
            pipeline.to("cpu")

    def _free(self) -> None:
        self._turns.clear()
        for stream in self._streams:
            stream.clear()
        if self.plan.strategy != "resident":
            self.forget()

    @property
    def _fused(self) -> list[Any]:
        return [pipeline for pipeline in self._pipelines if is_fused(pipeline)]

    def _place_whole(self, pipeline: Any) -> None:
        transformer = pipeline.transformer
        if self.plan.modulation_away and is_fused(pipeline):
            apart, transformer.modulations = transformer.modulations, nn.ModuleList()
            pipeline.to(self._device)
            transformer.modulations = apart
            self._keep_away(apart)
        else:
            pipeline.to(self._device)
        if is_fused(pipeline) and transformer.recordings is None:
            transformer.recordings = Recordings.on(self._device)
        second = self._second if self.plan.second_peak and is_fused(pipeline) else None
        if second is not None and transformer.pair is None:
            transformer.pair = Pair(transformer, second)
        self._slice(pipeline.vae)

    def _keep_away(self, modulations: nn.Module) -> None:
        self._lock_pages([modulations])
        self._send_away(modulations)

    def _lock_pages(self, modules: Iterable[nn.Module]) -> None:
        """Page-lock modules on the host, if the plan says so, until the plan is reverted."""
        if self.plan.pinned:
            lock = PageLock(modules)
            self._locks.append(lock)  # a lock without references is released
            # Undone last, after all copies from the locked pages.
            self._undo.insert(0, lock.release)

    def _send_away(self, modulations: nn.Module) -> None:
        """Bring each block's modulation only while it is computed, once per schedule."""
        self._undo.append(swap_layers(modulations, self._device, pinned=self.plan.pinned))

    def _place_in_turns(self) -> None:
        for pipeline in self._pipelines:
            pipeline.to("cpu")
        self._lock_pages(part for each in self._pipelines for part in (each.text_encoder, each.transformer))
        for encoder in {id(pipeline.text_encoder): pipeline.text_encoder for pipeline in self._pipelines}.values():
            self._place_encoder(encoder)
        for pipeline in self._pipelines:
            self._place_vae(pipeline.vae)
            self._place_transformer(pipeline.transformer)

    def _place_encoder(self, encoder: nn.Module) -> None:
        if self.plan.text_encoder == "layers":
            self._undo.append(swap_layers(encoder, self._device, pinned=self.plan.pinned))
        else:
            self._encoders.append(self._take_turns(tensors_of(encoder), encoder))

    def _place_vae(self, vae: Any) -> None:
        """Keep the VAE, 0.5 % of all weights; before it decodes, what is no longer needed makes room."""
        vae.to(self._device)
        self._slice(vae)
        self._hook(vae.decoder.register_forward_pre_hook(lambda *_: self._free()))

    def _place_transformer(self, transformer: Any) -> None:
        streamed = self._streamed_blocks(transformer)
        moving = {id(tensor) for block in streamed for tensor in tensors_of(block)}
        if self.plan.modulation_away and isinstance(transformer, Transformer):
            moving |= {id(tensor) for tensor in tensors_of(transformer.modulations)}
            self._send_away(transformer.modulations)
        self._take_turns((tensor for tensor in tensors_of(transformer) if id(tensor) not in moving), transformer)
        if streamed:
            stream = BlockStream(streamed, self._device, pinned=self.plan.pinned)
            self._streams.append(stream)
            self._undo.append(stream.remove)

    def _slice(self, vae: Any) -> None:
        if self.plan.sliced_decoding:
            vae.enable_slicing()
            self._undo.append(vae.disable_slicing)

    def _take_turns(self, part: Iterable[torch.Tensor], owner: nn.Module) -> Swapped:
        """Bring `part` of `owner` when that runs; it stays until another part's turn."""
        swapped = Swapped(part, self._device, pinned=self.plan.pinned)
        self._turns.add(swapped)
        self._hook(owner.register_forward_pre_hook(lambda *_: self._turns.bring(swapped)))
        return swapped

    def _hook(self, hook: Any) -> None:
        self._undo.append(lambda: remove_hooks([hook]))

    def _streamed_blocks(self, transformer: Any) -> list[nn.Module]:
        """Return the streamed blocks, spread evenly: while a resident block runs, the next one is fetched."""
        blocks = list(transformer.transformer_blocks)
        count = max(0, len(blocks) - self.plan.kept_blocks)
        return [blocks[index * len(blocks) // count] for index in range(count)]


def _part(transformer: Any) -> None:
    transformer.recordings = None
    if transformer.pair is not None:
        transformer.pair.close()
        transformer.pair = None
