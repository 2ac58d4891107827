"""The two models: their sources, loading on demand, and sharing of the text encoder."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from llm_dit.errors import InputError
from llm_dit.options import QWEN_IMAGE, Source, Speed
from llm_dit.qwen.diagnosis import editor_at
from llm_dit.qwen.editors import EDITORS, Editor
from llm_dit.qwen.forward.adapters import Adapters
from llm_dit.qwen.forward.tools import describe_plain
from llm_dit.qwen.forward.transformer import forward_of
from llm_dit.qwen.loading.checkpoints import (
    EDIT,
    LAYERED,
    NAMES,
    Checkpoint,
    local_folder,
    open_checkpoint,
    same_text_encoder,
)
from llm_dit.qwen.loading.download import download_checkpoint
from llm_dit.qwen.loading.loader import LoadOptions, load_pipeline
from llm_dit.qwen.loading.loras import (
    OPTIONS,
    Chosen,
    Lora,
    Spec,
    choose,
    local_lora,
    open_lora,
    open_loras,
    parse_loras,
    with_turbo,
)
from llm_dit.qwen.loading.single_file import check_fits, describe_file, is_gguf, is_packed, read_transformer
from llm_dit.qwen.placement.devices import (
    Quantization,
    can_be_fp8,
    check_quantization,
    choose_devices,
    choose_dtype,
    describe_forward,
    device_memory,
    forget_peak,
    free_memory,
    measure_machine,
    name_device,
    named_failures,
    peak_memory,
    weigh,
)
from llm_dit.qwen.placement.placing import Placement
from llm_dit.qwen.placement.plan import PINNABLE, CpuOffload, Plan, plan_placement, plan_second
from llm_dit.qwen.sampling.running import Pace, pace_of
from llm_dit.runs import Forward, PipelineStatus, ProgressCallback

logger = logging.getLogger(__name__)
TRANSFORMER_WEIGHTS = ("transformer/*.safetensors", "transformer/*.safetensors.index.json")
"""Files of a hub model that are not needed if the transformer comes from a single file."""


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """A folder, or a hub id with an optional branch, tag or commit; and an optional file with the transformer."""

    path: str | Path
    revision: str | None = None
    transformer: str | Path | None = None

    def open(self, pipeline: str, progress: ProgressCallback) -> Checkpoint:
        """Return the checkpoint, downloaded if `path` is a hub id; raises `WeightsError` if it is neither.

        The transformer's file is checked before anything is downloaded.
        """
        file = read_transformer(self.transformer, pipeline) if self.transformer else None
        folder = local_folder(self.path, pipeline)
        if folder is None:
            without = () if file is None else TRANSFORMER_WEIGHTS
            folder = download_checkpoint(str(self.path), revision=self.revision, progress=progress, without=without)
        checkpoint = open_checkpoint(folder, pipeline, file)
        check_fits(checkpoint)
        return checkpoint

    def told(self, checkpoint: Checkpoint) -> Source:
        """Return the source as a recipe records it, without any path of this computer."""
        file = f" with {Path(self.transformer).name}" if self.transformer else ""
        cached = checkpoint.folder.parent.name == "snapshots"  # the hub's cache names folders by commit
        name = str(self.path) if cached else checkpoint.folder.resolve().name
        return Source(name=name + file, revision=checkpoint.folder.name if cached else "")


NOT_EXACT = 'The weights were loaded in fp8, for speed = "fast": load the model with speed = "exact" for exact runs.'
KEEPS_ITS_BITS = "fp8: the weights are not in fp8, because the configuration did not load them for fast"


class Models:
    """Pipelines by diffusers class, placed together by one plan, which is rebuilt when one is added."""

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
        loras: Mapping[str, Sequence[str]],
        speed: Speed = "exact",
    ) -> None:
        self._sources = sources
        self._loras = {name: self._parse(name, texts, fused) for name, texts in loras.items()}
        if speed == "turbo" and not editor_at(str(sources[EDIT].path)).plain:
            self._loras[EDIT] = with_turbo(self._loras[EDIT])
        self._cpu_offload: CpuOffload = cpu_offload
        self._device, self._second = choose_devices(device, devices)
        check_quantization(quantization, self._device)
        self._dtype = choose_dtype(dtype, self._device)
        self._quantization: Quantization | None = quantization
        self._fused = fused
        self._speed: Speed = speed
        pace_of(speed, 1, fused=fused, distilled=speed == "turbo")  # refuse it before reading any file
        self._in_fp8 = speed == "fast" and quantization is None
        self._checkpoints: dict[str, Checkpoint] = {}
        self._pipelines: dict[str, Any] = {}
        self._opened: dict[str, list[Lora]] = {}
        self._adapters: dict[str, Adapters] = {}
        self._fuses: dict[str, bool] = {}
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
            placement=self.plan.reason
            + "".join(each.told(fuse=self._may_fuse(name)) for name, each in self._adapters.items()),
            loras=tuple(spec.name for name in self._pipelines for spec in self._loras[name]),
            forward=None if pipeline is None else self._forward(pipeline),
            sources={
                "decompose" if name == LAYERED else "edit": self._sources[name].told(checkpoint)
                for name, checkpoint in self._checkpoints.items()
            },
            device_used_bytes=used,
            device_total_bytes=total,
        )

    def has(self, name: str) -> bool:
        return name in self._pipelines

    @property
    def editor(self) -> Editor:
        """The loaded edit model, or before loading the expected one."""
        loaded = self._checkpoints.get(EDIT)
        return EDITORS[loaded.pipeline] if loaded else editor_at(str(self._sources[EDIT].path))

    def load(self, name: str, progress: ProgressCallback) -> None:
        """Download, check, load and place a model; does nothing if it is loaded.

        After a failure the models loaded before still work.
        """
        if self.has(name):
            return
        with named_failures():
            checkpoint = self._sources[name].open(name, progress)
            self._check_loras(name, self._loras[name], checkpoint)
            opened = open_loras(self._loras[name], checkpoint, progress)
            twin = next((other for other in self._checkpoints if self._shares_encoder(other, checkpoint)), None)
            plan = self._plan(
                [*self._checkpoints.values(), checkpoint],
                [*self._opened.values(), opened],
                encoders=1 if twin else None,
            )
            self._make_room(plan)
            try:
                encoder = self._pipelines[twin].text_encoder if twin else None
                self._pipelines[name] = load_pipeline(checkpoint, self._options(plan), progress, encoder)
                self._checkpoints[name] = checkpoint
                self._opened[name] = opened
                self._adapters[name] = Adapters(self._pipelines[name].transformer, opened, self._dtype)
                self._place(plan)
                forward = self._forward(self._pipelines[name])
                packed = is_packed(checkpoint) and not (self._in_fp8 and can_be_fp8(checkpoint))
                parts = describe_forward(self._quantization, fused=self._fused, packed=packed)
                if name == EDIT and self.editor.plain:
                    parts = self.editor.license
                told = "" if checkpoint.file is None else f"; {describe_file(checkpoint.file)}"
                logger.info("%s runs: %s; %s%s", NAMES[checkpoint.pipeline], parts, forward.explained, told)
            except BaseException:
                self._pipelines.pop(name, None)
                self._checkpoints.pop(name, None)
                self._adapters.pop(name, None)
                self._opened.pop(name, None)
                self._place_what_is_left(plan)
                raise

    def pace(self, asked: Speed | None, name: str, steps: int) -> Pace:
        """Return the pace of a model's run at the requested speed; raises `InputError` if that is unavailable."""
        speed = asked or self._speed
        if name == EDIT and (plain := self.editor.plain):
            why = () if speed == "exact" else (f"{speed}: {plain}, so it is exact",)
            return Pace(speed="exact", computed=(True,) * steps, why=why)
        file = self._sources[name].transformer
        in_fp8 = self._in_fp8 and not (file and is_gguf(file))
        if speed == "exact" and in_fp8:
            raise InputError(NOT_EXACT, param="speed")
        pace = pace_of(speed, steps, fused=self._fused, distilled=name == EDIT)
        return replace(pace, why=(*pace.why, KEEPS_ITS_BITS)) if pace.speed == "fast" and not in_fp8 else pace

    def use_loras(self, name: str, texts: Sequence[str], progress: ProgressCallback) -> None:
        """Replace a model's LoRAs from its next run on; raises as `load` does, and then keeps the previous ones."""
        self._use(name, self._parse(name, texts, self._fused), progress)

    def _use(self, name: str, specs: list[Spec], progress: ProgressCallback) -> None:
        if self.has(name):
            with named_failures():
                self._check_loras(name, specs, self._checkpoints[name])
                opened = open_loras(specs, self._checkpoints[name], progress)
                adapters = Adapters(self._pipelines[name].transformer, opened, self._dtype)
                grown = _numbers([opened]) > _numbers([self._opened[name]])
                self._adapters[name].remove()
                self._opened[name], self._adapters[name] = opened, adapters
                self._fuses.pop(name, None)
                if grown:  # the placement may have to make room for them
                    encoders = len({id(pipeline.text_encoder) for pipeline in self._pipelines.values()})
                    plan = self._plan(list(self._checkpoints.values()), list(self._opened.values()), encoders=encoders)
                    self._make_room(plan)
                    self._place(plan)
        self._loras[name] = specs

    def choose(
        self, name: str, wanted: Sequence[str] | None, asked: Speed | None, progress: ProgressCallback
    ) -> Chosen:
        """Return the LoRAs that are active in a model's run at a speed; raises `InputError` for an unknown one.

        The first turbo run of the edit model loads the distilled LoRA if none was configured.
        """
        turbo = name == EDIT and not self.editor.plain and (asked or self._speed) == "turbo"
        chosen = choose(self._loras[name], wanted)
        if not turbo:
            return chosen
        specs = with_turbo(self._loras[name])
        if specs != self._loras[name]:
            self._use(name, specs, progress)
        return choose(specs, wanted, turbo=True)

    @contextmanager
    def running(self, name: str, loras: Mapping[str, float] = MappingProxyType({})) -> Iterator[Any]:
        """Yield the pipeline for one run with these LoRAs active, at their weights.

        After an error the pipeline still works, and the error is raised as in `named_failures`.
        """
        with named_failures():
            forget_peak(self._device)
            try:
                self._adapters[name].use(loras, self._device, fuse=self._may_fuse(name))
                yield self._pipelines[name]
                if peak := peak_memory(self._device):
                    held, kept = (each / 1e9 for each in peak)
                    logger.info("Peak of the run: %.2f GB of the device, %.2f GB with what torch keeps", held, kept)
            except torch.OutOfMemoryError:
                self._placed.forget()
                raise
            finally:
                self._placed.after_run()
                if self.plan.strategy != "resident":  # nothing stays on the device
                    self._adapters[name].remove()

    def before_encoding(self) -> None:
        """Move the text encoder to its device, for calls that bypass its `forward`."""
        self._placed.before_encoding()

    @property
    def _placed(self) -> Placement:
        assert self._placement is not None, "load() comes first"
        return self._placement

    def _forward(self, pipeline: Any) -> Forward:
        """Return the forward of a run with default options."""
        name = EDIT if pipeline is self._pipelines.get(EDIT) else LAYERED
        pace = self.pace(None, name, QWEN_IMAGE.num_inference_steps)
        if name == EDIT and self.editor.plain:
            return pace.told(describe_plain(self.editor.plain))
        return pace.told(forward_of(pipeline, self._device, self._dtype))

    def _parse(self, name: str, texts: Sequence[str], fused: bool) -> list[Spec]:
        param = OPTIONS[name]
        specs = parse_loras(texts, param)
        if not fused and any(spec.schedule and spec.schedule.heun for spec in specs):
            raise InputError(
                "The LoRA stable-layers uses Heun's method, which fused = false does not support.", param=param
            )
        for spec in specs:
            if file := local_lora(spec):
                open_lora(file, spec)
        return specs

    def _check_loras(self, name: str, specs: Sequence[Spec], checkpoint: Checkpoint) -> None:
        editor = EDITORS.get(checkpoint.pipeline)
        if specs and editor and editor.plain:
            raise InputError(f"{editor.name} takes no LoRAs here: leave {OPTIONS[name]} out.", param=OPTIONS[name])

    def _may_fuse(self, name: str) -> bool:
        """Whether LoRAs are merged into the weights: if those are resident and the host has room for the originals."""
        if name not in self._fuses:
            room = PINNABLE * measure_machine(self._device).free_host
            self._fuses[name] = self.plan.strategy == "resident" and self._adapters[name].touched <= room
        return self._fuses[name]

    def _shares_encoder(self, name: str, checkpoint: Checkpoint) -> bool:
        return same_text_encoder(self._checkpoints[name], checkpoint)

    def _plan(self, checkpoints: list[Checkpoint], loras: list[list[Lora]], encoders: int | None) -> Plan:
        weights = weigh(
            checkpoints,
            self._dtype,
            self._quantization,
            fused=self._fused,
            encoders=encoders,
            numbers_of_loras=_numbers(loras),
            in_fp8=self._in_fp8,
        )
        plan = plan_placement(
            self._cpu_offload, measure_machine(self._device), weights, quantized=self._quantization is not None
        )
        if self._second is None:
            return plan
        return plan_second(plan, measure_machine(self._second), weights, fused=self._fused)

    def _options(self, plan: Plan) -> LoadOptions:
        # Quantization happens on the device; resident weights are loaded directly to it.
        direct = plan.strategy == "resident" or self._quantization is not None
        return LoadOptions(
            device=self._device if direct else torch.device("cpu"),
            dtype=self._dtype,
            quantization=self._quantization,
            fused=self._fused,
            modulation_away=plan.modulation_away,
            in_fp8=self._in_fp8,
        )

    def _make_room(self, plan: Plan) -> None:
        """Remove from the device what `plan` does not keep there."""
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
            for adapters in self._adapters.values():
                adapters.remove()  # the models' own weights are placed
            self._fuses.clear()
            self._placement.remove()
            self._placement = None
            free_memory()


def _numbers(loras: Sequence[Sequence[Lora]]) -> int:
    return sum(lora.parameters for each in loras for lora in each)


def _stays(before: Plan, after: Plan) -> bool:
    """Whether `after` wants everything where `before` placed it."""
    return (
        before.strategy == after.strategy
        and before.modulation_away == after.modulation_away
        and bool(before.second_peak) == bool(after.second_peak)
    )
