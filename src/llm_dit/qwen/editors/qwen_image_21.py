"""Qwen-Image-2.1, which reads and writes RGBA and runs on diffusers' own loop."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from llm_dit.options import QWEN_IMAGE, EditOutputSize, Shape
from llm_dit.qwen.editors.editor import Editor
from llm_dit.qwen.placement.plan import Needs, Working
from llm_dit.runs import EDIT_RESOLUTION

if TYPE_CHECKING:
    from llm_dit.editing import TransparentCanvas
    from llm_dit.editing.canvas import Box
    from llm_dit.qwen.sampling.running import Run

# Working memory of a run, in bytes, in bfloat16: derived from the shapes in the model's code, then set to what
# `benchmarks.qwen_image_21` measured on an H100.

PIXELS = EDIT_RESOLUTION**2
TOKENS = PIXELS // 16**2
"""Tokens of a picture in the transformer."""
SLOTS = TOKENS // 4
"""Tokens of a picture in the text encoder."""
TEXT = 300
LONGEST_TEXT = 3500
READ = 888_000
"""Per token in the text encoder: hidden states, keys and values of 36 layers, and logits."""
SEEN, DRAWN = 1_400, 3_900
"""Per pixel in the VAE: encoding at 96 channels, decoding at 288."""
COMPUTED = 155_000
"""Per token in the transformer."""
REMEMBERED = 2 * 4096 * 2 * 32
"""Per cached token: its keys and values in 32 blocks."""
MOST_REMEMBERED = 4
"""Pictures times branches of guidance up to which keys and values are cached from the first step on. With more, every
step recomputes them: eleven would take 24 GB. Only the request decides, because the two ways round differently and
give different pictures for a seed."""


def working(pictures: int, text: int) -> Working:
    """Return the working memory of a run with `pictures`, including the layer, and `text` tokens."""
    shown = pictures * TOKENS + text
    kept = REMEMBERED * shown if pictures <= MOST_REMEMBERED else 0
    return Working(
        encoding=max(READ * (pictures * SLOTS + text), SEEN * PIXELS),
        denoising=COMPUTED * (shown + TOKENS) + kept,
        decoding=DRAWN * PIXELS,
        sliced_decoding=DRAWN * PIXELS,
    )


@dataclass(frozen=True, kw_only=True)
class QwenImage21(Editor):
    """One transformer of 7 B parameters, Qwen3-VL-8B and a VAE with 64 channels, for text and RGBA pictures."""

    def canvas_alone(
        self, layer: Image.Image, *, shape: Shape, output_size: EditOutputSize, region: "Box | None"
    ) -> "TransparentCanvas":
        from llm_dit.editing import prepare_transparent

        return prepare_transparent(layer, shape=shape, output_size=output_size, region=region)

    def reference(self, picture: Image.Image) -> Image.Image:
        """Return a reference with its alpha, and with nearby colors extended under transparent pixels."""
        from llm_dit.alpha import bleed

        return bleed(picture.convert("RGBA"))

    def parts(self, load: Any) -> dict[str, Callable[[], Any]]:
        from diffusers import (
            AutoencoderKLQwenImage21,  # pyright: ignore[reportPrivateImportUsage]
            QwenImage21Transformer2DModel,  # pyright: ignore[reportPrivateImportUsage]
        )
        from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

        from llm_dit.qwen.forward.vae import SingleFrameVae21

        return {
            "text_encoder": lambda: load.text_encoder(Qwen3VLForConditionalGeneration, Qwen3VLConfig),
            "transformer": lambda: load.transformer(QwenImage21Transformer2DModel),
            "vae": lambda: load.vae(SingleFrameVae21, AutoencoderKLQwenImage21),
            "processor": lambda: processor_of(load.folder / "processor"),
            "scheduler": load.scheduler,
        }

    def arguments(self, run: "Run") -> dict[str, Any]:
        """Override diffusers' defaults: the size is that of the layer, the first picture, not of the last one, and the
        steps are the requested ones, not the checkpoint's `sample_sigmas`."""
        import numpy as np

        return super().arguments(run) | {
            "prompt": _with_names(run.prompt, len(run.pictures)),
            "image": list(run.pictures),
            "negative_prompt": run.negative_prompt if run.scale > 1 else None,
            "sigmas": np.linspace(1.0, 1 / run.steps, run.steps),
            "use_kv_cache": len(run.pictures) * len(run.texts) <= MOST_REMEMBERED,
            # We decode it ourselves, after the cached keys and values are freed.
            "output_type": "latent",
        }


def _with_names(instruction: str, pictures: int) -> str:
    """Return the instruction with the model's names for pictures: "Picture 2" becomes <image2>."""

    def name(found: re.Match[str]) -> str:
        return f"<image{found[1]}>" if 1 <= int(found[1]) <= pictures else found[0]

    return re.sub(r"\bpicture (\d{1,2})\b", name, instruction, flags=re.IGNORECASE)


def processor_of(folder: Path) -> Any:
    """Return the processor for texts and pictures, without the video processor, which needs torchvision."""
    from transformers import Qwen2Tokenizer, Qwen2VLImageProcessorPil, Qwen3VLProcessor

    class PictureProcessor(Qwen3VLProcessor):
        def __init__(self, image_processor: Any, tokenizer: Any, chat_template: str) -> None:
            super().__init__(image_processor, tokenizer, None, chat_template)

    tokenizer: Any = Qwen2Tokenizer.from_pretrained(folder, local_files_only=True)
    # Resize with Pillow even if torchvision is installed, for the same numbers on every machine.
    images = Qwen2VLImageProcessorPil.from_pretrained(folder, local_files_only=True)
    return PictureProcessor(images, tokenizer, tokenizer.chat_template or _chat_template(folder))


def _chat_template(folder: Path) -> str:
    """Return the template from the place where older versions of transformers wrote it."""
    for name in ("chat_template.json", "processor_config.json"):
        if (folder / name).exists():
            template = json.loads((folder / name).read_bytes()).get("chat_template")
            if template:
                return template
    raise ValueError("the processor has no chat template")


QWEN_IMAGE_21 = QwenImage21(
    pipeline="QwenImage21Pipeline",
    name="Qwen-Image-2.1",
    hub=("Qwen/Qwen-Image-2.1",),
    references=10,
    text_tokens=LONGEST_TEXT,
    picture_tokens=0,  # pictures have their own positions
    defaults=QWEN_IMAGE._replace(num_inference_steps=40, cfg_scale=1.0),
    license="Qwen-Image-2.1 is under the Qwen Research License: no commercial use without its authors' agreement.",
    readers=(
        ("processor/tokenizer_config.json",),
        ("processor/preprocessor_config.json", "processor/processor_config.json"),
    ),
    disk_bytes=33_000_000_000,
    plain="Qwen-Image-2.1 runs on diffusers' own loop",
    needs=Needs(
        largest=Working(
            encoding=working(11, LONGEST_TEXT).encoding,
            denoising=max(working(pictures, LONGEST_TEXT).denoising for pictures in (MOST_REMEMBERED, 11)),
            decoding=DRAWN * PIXELS,
            sliced_decoding=DRAWN * PIXELS,
        ),
        usual=working(1, TEXT),
    ),
)
