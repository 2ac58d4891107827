"""The two models: where they come from, loaded when they are wanted, sharing what they have in common."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from llm_dit.errors import InputError
from llm_dit.options import QWEN_IMAGE, Speed
from llm_dit.qwen.editors import EDITORS, Editor
from llm_dit.qwen.failures import free_memory, named_failures
from llm_dit.qwen.forward.transformer import forward_of
from llm_dit.qwen.loading.checkpoints import EDIT, NAMES, Checkpoint, local_folder, open_checkpoint, same_text_encoder
from llm_dit.qwen.loading.download import download_checkpoint
from llm_dit.qwen.loading.loader import LoadOptions, load_pipeline
from llm_dit.qwen.loading.single_file import check_fits, describe_file, is_packed, read_transformer
from llm_dit.qwen.placement.devices import (
    Quantization,
    check_quantization,
    choose_devices,
    choose_dtype,
    describe_forward,
    device_memory,
    forget_peak,
    measure_machine,
    name_device,
    peak_memory,
    weigh,
)
from llm_dit.qwen.placement.placing import Placement
from llm_dit.qwen.placement.plan import CpuOffload, Plan, plan_placement, plan_second
from llm_dit.qwen.sampling.caching import Pace, pace_of
from llm_dit.runs import Forward, PipelineStatus, ProgressCallback

logger = logging.getLogger(__name__)
TRANSFORMER_WEIGHTS = ("transformer/*.safetensors", "transformer/*.safetensors.index.json")
"""What is not needed of a hub's model beside a transformer's file."""

NO_TURBO = 'speed = "turbo" needs the LoRA Qwen-Image-Lightning for the edit model, and there is none: ask for "fast".'


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """A folder, or a hub id with an optional branch, tag or commit; and one file with the transformer, or none."""

    path: str | Path
    revision: str | None = None
    transformer: str | Path | None = None

    def open(self, pipeline: str, progress: ProgressCallback) -> Checkpoint:
        """Return the checkpoint, after a download when `path` is a hub id; raises `WeightsError` when it is neither.

        What is wrong with the transformer's file is told before anything is downloaded.
        """
        file = read_transformer(self.transformer, pipeline) if self.transformer else None
        folder = local_folder(self.path, pipeline)
        if folder is None:
            without = () if file is None else TRANSFORMER_WEIGHTS
            folder = download_checkpoint(str(self.path), revision=self.revision, progress=progress, without=without)
        checkpoint = open_checkpoint(folder, pipeline, file)
        check_fits(checkpoint)
        return checkpoint


class Models:
    """Pipelines by their diffusers class; placed together, by one plan that is rebuilt when one is added."""

    def __init__(
        self,
        *,
        sources: dict[str, ModelSource],
        cpu_offload: CpuOffload,
        device: str | None,
        devices: str | None,
        dtype: torch.dtype | str | None,
        quantization: Quantization | None,
        fused: bool,
        speed: Speed = "exact",
    ) -> None:
        self._sources = sources
        self._cpu_offload: CpuOffload = cpu_offload
        self._device, self._second = choose_devices(device, devices)
        check_quantization(quantization, self._device)
        self._dtype = choose_dtype(dtype, self._device)
        self._quantization: Quantization | None = quantization
        self._fused = fused
        self._speed: Speed = speed
        pace_of(speed, 1, fused=fused)  # refused before anything is read
        self._checkpoints: dict[str, Checkpoint] = {}
        self._pipelines: dict[str, Any] = {}
        self._placement: Placement | None = None

    @property
    def plan(self) -> Plan:
        return self._placed.plan

    def status(self) -> PipelineStatus:
        used, total = device_memory(self._device) or (None, None)
        pipeline = next(iter(self._pipelines.values()), None)
        return PipelineStatus(
            models=tuple(NAMES[checkpoint.pipeline] for checkpoint in self._checkpoints.values()),
            has_edit_model=self.has(EDIT),
            device=name_device(self._device),
            placement=self.plan.reason,
            forward=None if pipeline is None else self._forward(pipeline),
            device_used_bytes=used,
            device_total_bytes=total,
        )

    def has(self, name: str) -> bool:
        return name in self._pipelines

    @property
    def editor(self) -> Editor:
        """The edit model that is loaded."""
        return EDITORS[self._checkpoints[EDIT].pipeline]

    def load(self, name: str, progress: ProgressCallback) -> None:
        """Download, check, load and place a model; does nothing when it is loaded.

        When it fails the models that were loaded before go on working.
        """
        if self.has(name):
            return
        with named_failures():
            checkpoint = self._sources[name].open(name, progress)
            twin = next((other for other in self._checkpoints if self._shares_encoder(other, checkpoint)), None)
            plan = self._plan([*self._checkpoints.values(), checkpoint], encoders=1 if twin else None)
            self._make_room(plan)
            try:
                encoder = self._pipelines[twin].text_encoder if twin else None
                self._pipelines[name] = load_pipeline(checkpoint, self._options(plan), progress, encoder)
                self._checkpoints[name] = checkpoint
                self._place(plan)
                forward = self._forward(self._pipelines[name])
                parts = describe_forward(self._quantization, fused=self._fused, packed=is_packed(checkpoint))
                told = "" if checkpoint.file is None else f"; {describe_file(checkpoint.file)}"
                logger.info("%s runs: %s; %s%s", NAMES[checkpoint.pipeline], parts, forward.explained, told)
            except BaseException:
                self._pipelines.pop(name, None)
                self._checkpoints.pop(name, None)
                self._place_what_is_left(plan)
                raise

    def pace(self, asked: Speed | None, name: str, steps: int) -> Pace:
        """Return what the speed of a run of a model comes to; raises `InputError` where it cannot be had."""
        speed = asked or self._speed
        if speed == "turbo" and name == EDIT:
            raise InputError(NO_TURBO, param="speed")
        return pace_of(speed, steps, fused=self._fused)

    @contextmanager
    def running(self, name: str) -> Iterator[Any]:
        """Lend the pipeline for one run; an error inside leaves it working for the next, and is named."""
        with named_failures():
            forget_peak(self._device)
            try:
                yield self._pipelines[name]
                if peak := peak_memory(self._device):
                    held, kept = (each / 1e9 for each in peak)
                    logger.info("Peak of the run: %.2f GB of the device, %.2f GB with what torch keeps", held, kept)
            except torch.OutOfMemoryError:
                self._placed.forget()
                raise
            finally:
                self._placed.after_run()

    def before_encoding(self) -> None:
        """Bring the text encoder to where it runs, for calls that do not go through its `forward`."""
        self._placed.before_encoding()

    @property
    def _placed(self) -> Placement:
        assert self._placement is not None, "load() comes first"
        return self._placement

    def _forward(self, pipeline: Any) -> Forward:
        """Return what computes a run that asks for nothing of its own."""
        pace = pace_of(self._speed, QWEN_IMAGE.num_inference_steps, fused=self._fused)
        return pace.told(forward_of(pipeline, self._device, self._dtype))

    def _shares_encoder(self, name: str, checkpoint: Checkpoint) -> bool:
        return same_text_encoder(self._checkpoints[name], checkpoint)

    def _plan(self, checkpoints: list[Checkpoint], encoders: int | None) -> Plan:
        weights = weigh(checkpoints, self._dtype, self._quantization, fused=self._fused, encoders=encoders)
        plan = plan_placement(
            self._cpu_offload, measure_machine(self._device), weights, quantized=self._quantization is not None
        )
        if self._second is None:
            return plan
        return plan_second(plan, measure_machine(self._second), weights, fused=self._fused)

    def _options(self, plan: Plan) -> LoadOptions:
        # What is quantized is quantized on the device; what stays there goes there at once.
        direct = plan.strategy == "resident" or self._quantization is not None
        return LoadOptions(
            device=self._device if direct else torch.device("cpu"),
            dtype=self._dtype,
            quantization=self._quantization,
            fused=self._fused,
            modulation_away=plan.modulation_away,
        )

    def _make_room(self, plan: Plan) -> None:
        """Take from the device what is not there under `plan`."""
        if self._placement is None or _stays(self._placement.plan, plan):
            return
        if plan.modulation_away and _stays(replace(self._placement.plan, modulation_away=True), plan):
            self._placement.spare_modulation(plan)
            free_memory()
        else:
            self._clear()

    def _place(self, plan: Plan) -> None:
        stays = self._placement is not None and _stays(self._placement.plan, plan)
        if self._placement is not None and stays and plan.strategy == "resident":
            self._placement.hold(self._pipelines.values(), plan)
            return
        self._clear()
        self._placement = Placement(list(self._pipelines.values()), plan, self._device, self._second)

    def _place_what_is_left(self, plan: Plan) -> None:
        if self._pipelines:
            self._place(plan)

    def _clear(self) -> None:
        if self._placement is not None:
            self._placement.remove()
            self._placement = None
            free_memory()


def _stays(before: Plan, after: Plan) -> bool:
    """Tell whether what `before` placed is where `after` wants it."""
    return (
        before.strategy == after.strategy
        and before.modulation_away == after.modulation_away
        and bool(before.second_peak) == bool(after.second_peak)
    )
