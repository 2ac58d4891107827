"""Loads a checkpoint's components into a diffusers pipeline: safetensors only, no code from the checkpoint."""

# diffusers exports its names lazily, which pyright cannot resolve.
# pyright: reportPrivateImportUsage=false
import math
import re
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, local
from typing import Any

import diffusers
import torch
from accelerate import init_empty_weights
from diffusers import (
    AutoencoderKLQwenImage,
    DiffusionPipeline,
    FlowMatchEulerDiscreteScheduler,
    QwenImageTransformer2DModel,
)
from transformers import (
    GenerationConfig,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
    Qwen2VLImageProcessorPil,
    Qwen2VLProcessor,
)

from llm_dit.errors import WeightsError
from llm_dit.qwen.editors import EDITORS
from llm_dit.qwen.forward.quantized import (
    FP8,
    Fp8Linear,
    PackedLinear,
    packed_shape,
    put_in_fp8,
    quantize_weight,
    unpack,
)
from llm_dit.qwen.forward.transformer import Transformer
from llm_dit.qwen.forward.vae import SingleFrameVae
from llm_dit.qwen.loading.checkpoints import Checkpoint, StoredTensor, TransformerFile, is_modulation
from llm_dit.qwen.loading.single_file import PACKED, stays_packed
from llm_dit.qwen.placement.devices import Quantization, can_be_fp8, free_memory, quantization_configs
from llm_dit.runs import Progress, ProgressCallback


class Scheduler(FlowMatchEulerDiscreteScheduler):
    """Diffusers' scheduler that also supports a single step and a LoRA's shift.

    The checkpoints set the last step to σ = 0.02. Diffusers stretches the schedule to it, and with a single step, which
    is both first and last, divides zero by zero. A single step goes from pure noise to the picture.
    """

    lora_shift: float | None = None
    """The shift of a run's noise levels; it replaces the size-dependent shift and the last step's σ."""

    def time_shift(self, mu: float, sigma: float, t: Any) -> Any:
        """Return the noise levels `t`, shifted by exp(`mu`) or a LoRA's shift."""
        return super().time_shift(mu if self.lora_shift is None else math.log(self.lora_shift), sigma, t)

    def stretch_shift_to_terminal(self, t: Any) -> Any:
        """Return the noise levels with the last one moved to `shift_terminal`; a single one, or a LoRA's, unchanged."""
        return t if len(t) == 1 or self.lora_shift is not None else super().stretch_shift_to_terminal(t)


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """How weights are loaded: directly to `device`, converted to `dtype`.

    With `modulation_away` the transformer's modulation stays on the host.
    With `in_fp8` the transformer's linear layers are converted to fp8 while they are read, where possible
    (`llm_dit.qwen.forward.quantized`).
    With `fused` the faster parts of `llm_dit.qwen` are used, without it diffusers' own.
    """

    device: torch.device
    dtype: torch.dtype
    quantization: Quantization | None = None
    fused: bool = True
    modulation_away: bool = False
    in_fp8: bool = False


class ImageProcessor(Qwen2VLProcessor):
    """Qwen2-VL's processor for pictures and text, without the video processor, which needs torchvision."""

    def __init__(self, image_processor: Any, tokenizer: Any) -> None:
        super().__init__(image_processor, tokenizer, None, None)


def load_pipeline(
    checkpoint: Checkpoint,
    options: LoadOptions,
    progress: ProgressCallback,
    text_encoder: torch.nn.Module | None = None,
) -> DiffusionPipeline:
    """Return the checkpoint's pipeline with all weights on `options.device`.

    A given `text_encoder` replaces the checkpoint's own. `progress` gets "loading", one step per component, repeatedly
    while its weights are read, and may raise.
    """
    parts: dict[str, Any] = {}
    load = _Loader(checkpoint, options, lambda: progress(Progress(phase="loading", step=len(parts), total=len(steps))))
    editor = EDITORS.get(checkpoint.pipeline)
    steps = editor.parts(load) if editor else load.parts()
    if text_encoder is not None:
        steps["text_encoder"] = lambda: text_encoder
    for name, read in steps.items():
        progress(Progress(phase="loading", step=len(parts), total=len(steps)))
        parts[name] = _named(name, read)
    progress(Progress(phase="loading", step=len(steps), total=len(steps)))
    pipeline = getattr(diffusers, checkpoint.pipeline)(**parts)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


class _Loader:
    """Reads one checkpoint's components."""

    def __init__(self, checkpoint: Checkpoint, options: LoadOptions, report: Callable[[], None] = lambda: None) -> None:
        self._checkpoint = checkpoint
        self.folder = checkpoint.folder
        self._report = report
        self._options = options
        self._quantization = quantization_configs(options.quantization, options.dtype)

    def parts(self) -> dict[str, Callable[[], Any]]:
        """Return a function per component of a Qwen-Image-Layered pipeline that reads it."""
        return {
            "text_encoder": self.text_encoder,
            "transformer": self.transformer,
            "vae": self.vae,
            "tokenizer": self.tokenizer,
            "processor": self.processor,
            "scheduler": self.scheduler,
        }

    def transformer(self, other: Any = None) -> Any:
        """Return the transformer, of the diffusers class `other` if given."""
        kind = other or (Transformer if self._options.fused else QwenImageTransformer2DModel)
        folder, file = self.folder / "transformer", self._checkpoint.file
        in_fp8 = self._options.in_fp8 and can_be_fp8(self._checkpoint)
        if file is not None:
            transformer: Any = self._fill_from(
                file, lambda: _make_transformer(kind, folder, in_fp8=in_fp8, **_told_by(file))
            )
        elif self._quantization.transformer is None:
            transformer = self._fill("transformer", lambda: _make_transformer(kind, folder, in_fp8=in_fp8))
        else:
            transformer = kind.from_pretrained(
                folder,
                dtype=self._options.dtype,
                quantization_config=self._quantization.transformer,
                device_map={"": self._options.device},
                use_safetensors=True,
                local_files_only=True,
            )
        if isinstance(transformer, Transformer):
            transformer.take_apart()
            free_memory()  # torch caches the memory of the separate Q, K and V, in blocks too small for reuse
        return transformer

    def text_encoder(self, kind: Any = Qwen2_5_VLForConditionalGeneration, config_kind: Any = Qwen2_5_VLConfig) -> Any:
        """Return the text encoder, of the given transformers classes."""
        folder = self.folder / "text_encoder"
        if self._quantization.text_encoder is None:
            config: Any = config_kind.from_pretrained(folder, local_files_only=True)
            config.dtype = self._options.dtype
            return self._fill("text_encoder", lambda: _make_text_encoder(kind, config, folder))
        return kind.from_pretrained(
            folder,
            dtype=self._options.dtype,
            quantization_config=self._quantization.text_encoder,
            device_map={"": self._options.device},
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
        )

    def vae(self, ours: Any = None, plain: Any = AutoencoderKLQwenImage) -> Any:
        """Return the VAE, ours for pictures or diffusers' own."""
        kind = (ours or SingleFrameVae) if self._options.fused else plain
        vae: Any = self._fill("vae", lambda: _make(kind, self.folder / "vae"))
        if self._options.fused:
            vae.fold()
        return vae

    def _fill(self, component: str, make: Callable[[], Any]) -> Any:
        """Return the module from `make`, with weights from the component's files."""
        with init_empty_weights():
            module = make()
        stored = [
            replace(each, name=_name_in_module(component, each.name)) for each in self._checkpoint.stored(component)
        ]
        narrow = _in_fp8(module)
        scales = {_scale_name(name) for name in narrow}  # no file has them
        wanted = {name: list(tensor.shape) for name, tensor in module.state_dict().items() if name not in scales}
        if {each.name: each.shape for each in stored} != wanted:
            raise ValueError(f"{component}: the tensors of the files are not those of the configuration")
        return self._with(module, read_tensors(stored, self._place, self._options.dtype, self._report, narrow=narrow))

    def _fill_from(self, file: TransformerFile, make: Callable[[], Any]) -> Any:
        """Return the transformer from `make`, with weights from one file; most stay as stored.

        If its layers are in fp8 and the file is e4m3, the file's scale, per tensor or per row, becomes theirs.
        """
        with init_empty_weights():
            module = make()
        narrow = _in_fp8(module)
        scales = [replace(each, name=_scale_name(name)) for name, each in file.scales.items()]
        packed = {each.name for each in filter(stays_packed, file.tensors)}
        kept = packed | {each.name for each in scales}
        stored = [*map(_as_bytes, file.tensors), *scales]
        dense = narrow - packed - file.scales.keys()
        tensors = read_tensors(stored, self._place, self._options.dtype, self._report, kept=kept, narrow=dense)
        for each in file.tensors:
            if each.name in dense:
                continue
            name = each.name.removesuffix(".weight")
            weight, scale = tensors.pop(each.name), tensors.pop(_scale_name(each.name), None)
            if each.name in narrow:
                tensors[each.name], tensors[_scale_name(each.name)] = _by_row(weight, scale)
            elif stays_packed(each):
                parent, _, child = name.rpartition(".")
                owner = module.get_submodule(parent)
                layer = PackedLinear(getattr(owner, child), each.dtype, weight, scale)
                setattr(owner, child, layer)
                tensors |= {f"{name}.{buffer}": value for buffer, value in layer.named_buffers()}
            else:
                tensors[each.name] = unpack(weight, each.dtype, self._options.dtype, scale)
        return self._with(module, tensors)

    def _with(self, module: Any, tensors: dict[str, torch.Tensor]) -> Any:
        module.load_state_dict(tensors, assign=True)
        for name, buffer in module.named_buffers():
            if name not in tensors:  # computed, and in no file
                buffer.data = buffer.data.to(self._options.device)
        return module.eval()

    def _place(self, name: str) -> torch.device:
        """Return a weight's device; modulation that the plan keeps off the device is never loaded there."""
        apart = self._options.modulation_away and is_modulation(name)
        return torch.device("cpu") if apart else self._options.device

    def tokenizer(self) -> Any:
        return Qwen2Tokenizer.from_pretrained(self.folder / "tokenizer", local_files_only=True)

    def processor(self) -> Any:
        # Resize with Pillow even if torchvision is installed, for the same numbers on every machine.
        images = Qwen2VLImageProcessorPil.from_pretrained(self.folder / "processor", local_files_only=True)
        return ImageProcessor(images, Qwen2Tokenizer.from_pretrained(self.folder / "processor", local_files_only=True))

    def scheduler(self) -> Any:
        return Scheduler.from_pretrained(self.folder / "scheduler", local_files_only=True)


def _make(kind: Any, folder: Path, **more: Any) -> Any:
    """Return diffusers' model from a folder's configuration, changed by `more`, without weights."""
    return kind.from_config(kind.load_config(folder), **more)


def _make_transformer(kind: Any, folder: Path, *, in_fp8: bool, **more: Any) -> Any:
    made = _make(kind, folder, **more)
    if in_fp8 and kind is Transformer:
        put_in_fp8(made)
    return made


def _in_fp8(module: torch.nn.Module) -> set[str]:
    """Return the names of the weights of layers in fp8."""
    return {f"{name}.weight" for name, layer in module.named_modules() if isinstance(layer, Fp8Linear)}


def _by_row(weight: torch.Tensor, scale: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a weight of 8-bit floats in the form of `Fp8Linear`; formats other than e4m3 are rounded again."""
    if weight.dtype != FP8:
        wide = weight.float()
        return quantize_weight(wide if scale is None else wide * scale.float().reshape(-1, 1))
    scales = torch.ones((), device=weight.device) if scale is None else scale.float()
    return weight, scales.reshape(1, -1).expand(1, len(weight)).contiguous()


def _told_by(file: TransformerFile) -> dict[str, Any]:
    """Return the configuration that a file adds to the folder's."""
    return {"zero_cond_t": True} if file.is_2511 else {}


def _scale_name(weight: str) -> str:
    return f"{weight.removesuffix('.weight')}.scale"


def _as_bytes(stored: StoredTensor) -> StoredTensor:
    """Return a tensor of GGUF blocks as one of bytes, as torch stores it."""
    if stored.dtype not in PACKED:
        return stored
    return replace(stored, dtype="U8", shape=packed_shape(stored.shape, stored.dtype))


def _make_text_encoder(kind: Any, config: Any, folder: Path) -> Any:
    """Return transformers' model from a folder's configuration, without weights."""
    model = kind(config)
    if (folder / "generation_config.json").exists():
        model.generation_config = GenerationConfig.from_pretrained(folder, local_files_only=True)
    return model


def _name_in_module(component: str, name: str) -> str:
    """Return transformers' current name of a weight; the checkpoints have earlier names."""
    if component != "text_encoder":
        return name
    return re.sub(
        r"^model\.(?!language_model\.|visual\.)", "model.language_model.", re.sub(r"^visual\.", "model.visual.", name)
    )


def _named(name: str, read: Any) -> Any:
    """Read a component; weights that do not fit its configuration are a `WeightsError`."""
    try:
        return read()
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"The {name} cannot be loaded: its files do not belong together, or are newer than the installed diffusers "
            "and transformers; download the checkpoint again, or upgrade them."
        ) from error


# Several threads read a component's weights from its files, each tensor once and directly to its device.

THREADS = 8
CHUNK = 16 * 1024 * 1024
"""Bytes that a thread reads at once, and the most it holds on the host on the way to a device."""
REPORTS = 100
"""About how many reports reading a component makes."""
TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def read_tensors(
    stored: Sequence[StoredTensor],
    place: Callable[[str], torch.device],
    dtype: torch.dtype,
    report: Callable[[], None],
    kept: Collection[str] = (),
    narrow: Collection[str] = (),
) -> dict[str, torch.Tensor]:
    """Return the tensors by name, each on the device from `place`, floats as `dtype` unless in `kept`.

    Those in `narrow`, weights of linear layers, are converted to fp8 and accompanied by their scales.

    `report` is called about a hundred times, and may raise: then all threads stop. Raises `KeyError` for a safetensors
    type that torch lacks.
    """
    stopped, total, told = Event(), sum(each.size for each in stored), 0
    reader = _Reader(stopped)
    done = 0
    with ThreadPoolExecutor(THREADS, thread_name_prefix="weights") as pool:
        jobs = {
            pool.submit(
                reader.read, each, place(each.name), None if each.name in kept else dtype, each.name in narrow
            ): each
            for each in stored
        }
        try:
            found: dict[str, torch.Tensor] = {}
            for job in as_completed(jobs):
                found |= job.result()
                done += jobs[job].size
                if done * REPORTS >= (told + 1) * total:
                    told = done * REPORTS // total
                    report()
        except BaseException:
            stopped.set()
            pool.shutdown(cancel_futures=True)
            raise
    return found


class _Reader:
    """Reads tensors until it is stopped; each thread has its own chunk."""

    def __init__(self, stopped: Event) -> None:
        self._stopped = stopped
        self._own: Any = local()

    def read(
        self, stored: StoredTensor, device: torch.device, dtype: torch.dtype | None, narrow: bool
    ) -> dict[str, torch.Tensor]:
        kind = TYPES[stored.dtype]
        tensor = torch.empty(stored.shape, dtype=kind, device=device)
        content = tensor.view(-1).view(torch.uint8)
        with stored.file.open("rb", buffering=0) as file:
            file.seek(stored.offset)
            for start in range(0, stored.size, CHUNK):
                if self._stopped.is_set():
                    break
                self._fill(file, content[start : start + CHUNK])
        if narrow:
            weight, scale = quantize_weight(tensor)
            return {stored.name: weight, _scale_name(stored.name): scale}
        return {stored.name: tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor}

    def _fill(self, file: Any, content: torch.Tensor) -> None:
        if content.device.type == "cpu":
            _read_into(file, content)
            return
        chunk = self._chunk(content.device)[: content.numel()]
        _read_into(file, chunk)
        content.copy_(chunk)

    def _chunk(self, device: torch.device) -> torch.Tensor:
        """Return a buffer; if page-locked, copies to a CUDA device are twice as fast and do not block."""
        if not hasattr(self._own, "chunk"):
            self._own.chunk = torch.empty(CHUNK, dtype=torch.uint8, pin_memory=device.type == "cuda")
        return self._own.chunk


def _read_into(file: Any, content: torch.Tensor) -> None:
    array: Any = content.numpy()  # numpy's type stubs do not declare it a buffer
    room = memoryview(array)
    while room:
        count = file.readinto(room)
        if not count:
            raise WeightsError("A weights file became shorter while it was read: download the checkpoint again.")
        room = room[count:]
