"""Carrying out a placement plan on pipelines that are loaded, and taking it back."""

# diffusers exports its names lazily, which pyright cannot see.
# pyright: reportPrivateImportUsage=false
from collections.abc import Callable, Sequence
from typing import Any

import torch
from diffusers import DiffusionPipeline
from diffusers.hooks import HookRegistry

from llm_dit.qwen.pinning import PageLock
from llm_dit.qwen.placement import Plan
from llm_dit.qwen.swapping import SwappedModule, swap_layers, swap_whole

STREAMED = ("stream", "sequential")
GROUP_HOOKS = ("group_offloading", "layer_execution_tracker", "lazy_prefetch_group_offloading")


class Placement:
    """Pipelines whose weights are placed by a plan; the text encoder may be one object in several of them."""

    def __init__(self, pipelines: Sequence[DiffusionPipeline], plan: Plan, device: torch.device) -> None:
        self.plan = plan
        self._pipelines = pipelines
        self._device = device
        self._encoders: list[SwappedModule] = []
        self._undo: list[Callable[[], None]] = []
        self._lock: PageLock | None = None
        getattr(self, f"_place_{plan.strategy}")()

    def before_encoding(self) -> None:
        """Bring the text encoder to the device, where the plan swaps it whole: `generate` looks where it is."""
        for encoder in self._encoders:
            encoder.onload()

    def after_run(self) -> None:
        """Free what a run holds on the device; needed above all after one that was ended by an error."""
        for pipeline in self._pipelines:
            pipeline.maybe_free_model_hooks()
        for encoder in self._encoders:
            encoder.offload()

    def after_failure(self) -> None:
        """`after_run`, and streaming starts afresh: what it had fetched ahead belongs to the run that ended."""
        self.after_run()
        if self.plan.strategy in STREAMED:
            for pipeline in self._pipelines:
                _stop_streaming(pipeline.transformer)
                self._stream(pipeline.transformer)

    def remove(self) -> None:
        """Take the plan back; all weights are on the host afterwards."""
        self.after_run()
        for pipeline in self._pipelines:
            pipeline.remove_all_hooks()
            if self.plan.strategy in STREAMED:
                _stop_streaming(pipeline.transformer)
            pipeline.to("cpu")
        for undo in self._undo:
            undo()
        # Last, when nothing copies from the locked pages any more.
        if self._lock is not None:
            self._lock.release()

    def _place_resident(self) -> None:
        for pipeline in self._pipelines:
            pipeline.to(self._device)

    def _place_model(self) -> None:
        for pipeline in self._pipelines:
            pipeline.enable_model_cpu_offload(device=self._device)

    def _place_stream(self) -> None:
        for pipeline in self._pipelines:
            pipeline.to("cpu")
        if self.plan.pinned:
            self._lock = PageLock(part for each in self._pipelines for part in (each.text_encoder, each.transformer))
        for encoder in {id(pipeline.text_encoder): pipeline.text_encoder for pipeline in self._pipelines}.values():
            self._place_encoder(encoder)
        for pipeline in self._pipelines:
            pipeline.vae.to(self._device)
            self._stream(pipeline.transformer)

    # One mechanism, other pieces: single layers (a matrix each) in place of whole transformer blocks.
    _place_sequential = _place_stream

    def _place_encoder(self, encoder: torch.nn.Module) -> None:
        if self.plan.text_encoder == "stream":
            self._undo.append(swap_layers(encoder, self._device, pinned=self.plan.pinned))
            return
        swapped, undo = swap_whole(encoder, self._device, pinned=self.plan.pinned)
        self._encoders.append(swapped)
        self._undo.append(undo)
        for pipeline in self._pipelines:
            # The prompt is encoded before the transformer runs, so that its room is free by then.
            hook = pipeline.transformer.register_forward_pre_hook(lambda *_: swapped.offload())
            self._undo.append(hook.remove)

    def _stream(self, transformer: Any) -> None:
        has_stream = self._device.type == "cuda"
        transformer.enable_group_offload(
            onload_device=self._device,
            offload_type="block_level" if self.plan.strategy == "stream" else "leaf_level",
            num_blocks_per_group=1 if self.plan.strategy == "stream" else None,
            use_stream=has_stream,
            record_stream=has_stream,
            low_cpu_mem_usage=not self.plan.pinned,
        )


def _stop_streaming(transformer: Any) -> None:
    registry = HookRegistry.check_if_exists_or_initialize(transformer)
    for name in GROUP_HOOKS:
        registry.remove_hook(name, recurse=True)
    transformer.to("cpu")
