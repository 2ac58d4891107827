"""Components from a checkpoint's files to a diffusers pipeline: safetensors only, no code from the checkpoint."""

# diffusers exports its names lazily, which pyright cannot see.
# pyright: reportPrivateImportUsage=false
import os
from dataclasses import dataclass
from typing import Any

# diffusers reads this once, when it is imported: shards of one component are then read by several threads.
os.environ.setdefault("HF_ENABLE_PARALLEL_LOADING", "1")

import torch
from diffusers import (
    AutoencoderKLQwenImage,
    DiffusionPipeline,
    QwenImageEditPipeline,
    QwenImageEditPlusPipeline,
    QwenImageLayeredPipeline,
    QwenImageTransformer2DModel,
)
from transformers import (
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
    Qwen2VLImageProcessorPil,
    Qwen2VLProcessor,
)

from llm_dit.errors import WeightsError
from llm_dit.pipelines.base import Progress, ProgressCallback
from llm_dit.qwen.checkpoints import EDIT, FIRST_EDIT, LAYERED, Checkpoint
from llm_dit.qwen.failures import free_memory
from llm_dit.qwen.quantization import Quantization, quantization_configs
from llm_dit.qwen.schedules import Scheduler
from llm_dit.qwen.single_frame import SingleFrameVae
from llm_dit.qwen.transformer import Transformer

PIPELINES: dict[str, Any] = {
    LAYERED: QwenImageLayeredPipeline,
    EDIT: QwenImageEditPlusPipeline,
    FIRST_EDIT: QwenImageEditPipeline,
}


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """How weights are loaded: `device` is where they go at once, `dtype` what they are turned into.

    With `fused` the parts are those of `llm_dit.qwen` that are faster than diffusers' own; without it, diffusers' own.
    """

    device: torch.device
    dtype: torch.dtype
    quantization: Quantization | None = None
    fused: bool = True


class ImageProcessor(Qwen2VLProcessor):
    """Qwen2-VL's processor for pictures and text; the original also wants a video processor, and that torchvision."""

    def __init__(self, image_processor: Any, tokenizer: Any) -> None:
        super().__init__(image_processor, tokenizer, None, None)


def load_pipeline(
    checkpoint: Checkpoint,
    options: LoadOptions,
    progress: ProgressCallback,
    text_encoder: torch.nn.Module | None = None,
) -> DiffusionPipeline:
    """Return the checkpoint's pipeline with all weights on `options.device`.

    A `text_encoder` that is given is used in place of the checkpoint's own. `progress` hears "loading", a step for
    each component, and may raise between two.
    """
    load = _Loader(checkpoint, options)
    parts: dict[str, Any] = {}
    steps = {
        "text_encoder": lambda: text_encoder or load.text_encoder(),
        "transformer": load.transformer,
        "vae": load.vae,
        "tokenizer": load.tokenizer,
        "processor": load.processor,
        "scheduler": load.scheduler,
    }
    for step, (name, read) in enumerate(steps.items()):
        progress(Progress(phase="loading", step=step, total=len(steps)))
        parts[name] = _named(name, read)
    progress(Progress(phase="loading", step=len(steps), total=len(steps)))
    pipeline = PIPELINES[checkpoint.pipeline](**parts)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


class _Loader:
    """Reads one checkpoint's components."""

    def __init__(self, checkpoint: Checkpoint, options: LoadOptions) -> None:
        self._folder = checkpoint.folder
        self._options = options
        self._quantization = quantization_configs(options.quantization, options.dtype)

    def transformer(self) -> Any:
        kind = Transformer if self._options.fused else QwenImageTransformer2DModel
        transformer: Any = kind.from_pretrained(
            self._folder / "transformer",
            dtype=self._options.dtype,
            quantization_config=self._quantization.transformer,
            device_map={"": self._options.device},
            use_safetensors=True,
            local_files_only=True,
        )
        if self._options.fused:
            transformer.take_apart()
            free_memory()  # torch keeps what Q, K and V had one by one, in pieces too small to be used
        return transformer

    def text_encoder(self) -> Any:
        return Qwen2_5_VLForConditionalGeneration.from_pretrained(
            self._folder / "text_encoder",
            dtype=self._options.dtype,
            quantization_config=self._quantization.text_encoder,
            device_map={"": self._options.device},
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
        )

    def vae(self) -> Any:
        kind = SingleFrameVae if self._options.fused else AutoencoderKLQwenImage
        vae: Any = kind.from_pretrained(
            self._folder / "vae", dtype=self._options.dtype, use_safetensors=True, local_files_only=True
        )
        if self._options.fused:
            vae.fold()
        return vae.to(self._options.device)

    def tokenizer(self) -> Any:
        return Qwen2Tokenizer.from_pretrained(self._folder / "tokenizer", local_files_only=True)

    def processor(self) -> Any:
        # Pillow's resizing, also where torchvision is installed: the same numbers on every machine.
        images = Qwen2VLImageProcessorPil.from_pretrained(self._folder / "processor", local_files_only=True)
        return ImageProcessor(images, Qwen2Tokenizer.from_pretrained(self._folder / "processor", local_files_only=True))

    def scheduler(self) -> Any:
        return Scheduler.from_pretrained(self._folder / "scheduler", local_files_only=True)


def _named(name: str, read: Any) -> Any:
    """Read a component; weights that do not fit its configuration are a `WeightsError`."""
    try:
        return read()
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"The {name} cannot be loaded: its files do not belong together, or are newer than the installed diffusers "
            "and transformers; download the checkpoint again, or upgrade them."
        ) from error
