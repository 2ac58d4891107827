"""The edit models: their checkpoints, their limits, and how a run of each starts.

`EDITORS` maps the diffusers class named in a checkpoint to its model. The service reads the limits without torch and
OpenCV, so only code that loads or runs a model imports those.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from llm_dit.errors import InputError
from llm_dit.layers import over_white
from llm_dit.options import QWEN_IMAGE, EditOptions, EditOutputSize, RunDefaults, Shape
from llm_dit.qwen.placement.plan import Needs, Working
from llm_dit.runs import EDIT_RESOLUTION, model_size
from llm_dit.surroundings import Surroundings

if TYPE_CHECKING:
    from llm_dit.editing import EditCanvas, EditResult, TransparentCanvas
    from llm_dit.editing.canvas import Box
    from llm_dit.editing.region import Region
    from llm_dit.qwen.sampling.encoding import Encodings
    from llm_dit.qwen.sampling.running import Run, Start


READERS = (("tokenizer/tokenizer_config.json",), ("processor/preprocessor_config.json",))
NO_REFERENCES = "This edit model does not support references: leave them out, or use Qwen-Image-Edit-2509 or 2511."


@dataclass(frozen=True, kw_only=True)
class Framing:
    """A layer as an edit model sees it, on a `canvas`, and `where` it may change; None for everywhere."""

    layer: Image.Image
    canvas: "EditCanvas | TransparentCanvas"
    where: "Region | None"

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the model's result."""
        return model_size(self.canvas.image.size, EDIT_RESOLUTION)

    def preview(self, seen: Image.Image) -> Image.Image:
        """Return the layer in an unfinished result, as far as the model sees it."""
        shown = self.canvas.preview(seen)
        return shown if self.where is None else self.where.preview(self.layer, shown, self.canvas.crop.box)

    def finish(self, edited: Image.Image) -> "tuple[Image.Image, EditResult]":
        """Return the edited layer for the model's result, and what was measured on the way."""
        made = self.canvas.finish(edited)
        if self.where is None:
            return made.image, made
        settled = self.where.settle(self.layer, made.image, self.canvas.crop.box)
        return self.where.put_in(self.layer, settled), made


@dataclass(frozen=True, kw_only=True)
class Editor:
    """An edit model.

    `pipeline` is the diffusers class that `model_index.json` names, `name` the model's display name, `hub` its hub
    ids. It takes up to `references` pictures besides the layer. An instruction may have `text_tokens`, of which each
    reference uses `picture_tokens`. `defaults` are its steps and guidance, `license` states its license's
    restrictions. `readers` are the files of the tokenizer and processor, or alternatives. `plain` says why a model
    runs on diffusers' own loop, if it does, `needs` is the working memory of its runs, `disk_bytes` its size on disk.
    """

    pipeline: str
    name: str
    hub: tuple[str, ...]
    references: int
    text_tokens: int
    picture_tokens: int
    defaults: RunDefaults = QWEN_IMAGE
    license: str = ""
    readers: tuple[tuple[str, ...], ...] = READERS
    plain: str = ""
    needs: Needs | None = None
    disk_bytes: int = 58_000_000_000

    def check_references(self, count: int) -> None:
        """Raise `InputError` if the model does not take `count` pictures besides the layer."""
        if count <= self.references:
            return
        if self.references == 0:
            raise InputError(NO_REFERENCES, param="references")
        raise InputError(f"{self.name} takes up to {self.references} references: leave some out.", param="references")

    def room_for_text(self, references: int) -> int:
        """Return how many tokens a text may have with this number of references."""
        return self.text_tokens - references * self.picture_tokens

    def reference(self, picture: Image.Image) -> Image.Image:
        """Return a reference as the model gets it: composited over white."""
        return Image.fromarray(over_white(np.asarray(picture.convert("RGBA"))))

    def worded(self, instruction: str, pictures: int) -> str:
        """Return an instruction with the model's names for so many pictures, the layer among them."""
        return instruction

    def frame(
        self, layer: Image.Image, asked: EditOptions, where: "Region | None", around: Surroundings | None
    ) -> Framing:
        """Return an RGBA layer as the model sees it."""
        output_size = asked.output_size
        if where is not None and output_size == "model":
            size = model_size(layer.size, EDIT_RESOLUTION)
            around = around and around.scaled(size[0] / layer.width, size[1] / layer.height)
            from llm_dit.alpha import resize_layer

            layer, output_size = resize_layer(layer, size), "layer"
            where = where.resized(layer.size)
        canvas = self.canvas(
            layer, shape=asked.shape, output_size=output_size, region=where and where.box, surroundings=around
        )
        return Framing(layer=layer, canvas=canvas, where=where)

    def canvas(
        self,
        layer: Image.Image,
        *,
        shape: Shape,
        output_size: EditOutputSize,
        region: "Box | None",
        surroundings: Surroundings | None,
    ) -> "EditCanvas | TransparentCanvas":
        """Return the canvas that shows a layer to the model and turns the result back into a layer."""
        from llm_dit.editing import prepare_context

        if surroundings is not None:
            return prepare_context(layer, surroundings, shape=shape, output_size=output_size, region=region)
        return self.canvas_alone(layer, shape=shape, output_size=output_size, region=region)

    def canvas_alone(
        self, layer: Image.Image, *, shape: Shape, output_size: EditOutputSize, region: "Box | None"
    ) -> "EditCanvas | TransparentCanvas":
        """Return the canvas of a layer without surroundings."""
        from llm_dit.editing import prepare

        return prepare(layer, shape=shape, output_size=output_size, region=region)

    def parts(self, load: Any) -> dict[str, Callable[[], Any]]:
        """Return a function per component of the diffusers pipeline that reads it; `load` is a checkpoint's loader."""
        return load.parts()

    def start(self, pipeline: Any, run: "Run", encodings: "Encodings") -> "Start":
        """Return the start of our own loop; results cached in `encodings` are not encoded again."""
        raise NotImplementedError(self.plain)

    def arguments(self, run: "Run") -> dict[str, Any]:
        """Return the arguments of the diffusers pipeline that differ from, or add to, those common to all."""
        return {"width": run.size[0], "height": run.size[1]}


# Qwen-Image-Edit, the first version, 2509 and 2511: one transformer and one VAE for opaque pictures, on our own loop.


@dataclass(frozen=True, kw_only=True)
class QwenImageEdit(Editor):
    """With `reads_it_whole` the text encoder reads the picture at the VAE's size, otherwise a small copy."""

    reads_it_whole: bool = False

    def start(self, pipeline: Any, run: "Run", encodings: "Encodings") -> "Start":
        from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus as edit_plus

        from llm_dit.qwen.sampling.running import Start, frame, timesteps

        seen = [_seen(picture) for picture in run.pictures]
        read = [self._read(pipeline, picture) for picture in run.pictures]
        branches = [encodings.text(pipeline, text, image=read) for text in run.texts]
        dtype = branches[0].embeds.dtype
        encoded = [
            encodings.picture(pipeline, _pixels(pipeline, picture, size), dtype)
            for picture, size in zip(run.pictures, seen, strict=True)
        ]
        latents, condition = pipeline.prepare_latents(
            encoded if len(encoded) > 1 else encoded[0],  # the first model's pipeline takes no list
            1,
            pipeline.transformer.config.in_channels // 4,
            run.size[1],
            run.size[0],
            dtype,
            pipeline._execution_device,
            run.generator,
        )
        settings = pipeline.scheduler.config
        mu = edit_plus.calculate_shift(
            latents.shape[1],
            settings.get("base_image_seq_len", 256),
            settings.get("max_image_seq_len", 4096),
            settings.get("base_shift", 0.5),
            settings.get("max_shift", 1.15),
        )
        return Start(
            latents=latents,
            condition=condition,
            branches=branches,
            timesteps=timesteps(pipeline, np.linspace(1.0, 1 / run.steps, run.steps), mu),
            shapes=[[frame(pipeline, size) for size in (run.size, *seen)]],
            scale=run.scale,
            normalize=True,
        )

    def _read(self, pipeline: Any, picture: Image.Image) -> Image.Image:
        """Return a picture at the size that the text encoder reads."""
        width, height = _seen(picture) if self.reads_it_whole else _fitted(picture, "CONDITION_IMAGE_SIZE")
        return pipeline.image_processor.resize(picture, height, width)


def _seen(picture: Image.Image) -> tuple[int, int]:
    """Return width and height at which the VAE encodes a picture."""
    return _fitted(picture, "VAE_IMAGE_SIZE")


def _fitted(picture: Image.Image, area: str) -> tuple[int, int]:
    from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus as edit_plus

    width, height = edit_plus.calculate_dimensions(getattr(edit_plus, area), picture.width / picture.height)
    return width, height


def _pixels(pipeline: Any, picture: Image.Image, size: tuple[int, int]) -> Any:
    return pipeline.image_processor.preprocess(picture, size[1], size[0]).unsqueeze(2)


# The transformer has 4096 positions for text. The template and the copies of the pictures use some of them: a small
# copy about 200, a full-size one about 1340.
EDIT_PLUS = QwenImageEdit(
    pipeline="QwenImageEditPlusPipeline",
    name="Qwen-Image-Edit",
    hub=("Qwen/Qwen-Image-Edit-2509", "Qwen/Qwen-Image-Edit-2511"),
    references=3,
    text_tokens=3500,
    picture_tokens=210,
)
"""2509 and 2511; they differ in the transformer's configuration."""
FIRST = QwenImageEdit(
    pipeline="QwenImageEditPipeline",
    name="Qwen-Image-Edit",
    hub=("Qwen/Qwen-Image-Edit",),
    references=0,
    text_tokens=2500,
    picture_tokens=0,
    reads_it_whole=True,
)
"""The model before 2509."""


# Qwen-Image-2.1, which reads and writes RGBA and runs on diffusers' own loop.
#
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

    def worded(self, instruction: str, pictures: int) -> str:
        """Return an instruction with the model's names for pictures: "Picture 2" becomes <image2>."""

        def name(found: re.Match[str]) -> str:
            return f"<image{found[1]}>" if 1 <= int(found[1]) <= pictures else found[0]

        return re.sub(r"\bpicture (\d{1,2})\b", name, instruction, flags=re.IGNORECASE)

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
        return super().arguments(run) | {
            "prompt": self.worded(run.prompt, len(run.pictures)),
            "image": list(run.pictures),
            "negative_prompt": run.negative_prompt if run.scale > 1 else None,
            "sigmas": np.linspace(1.0, 1 / run.steps, run.steps),
            "use_kv_cache": len(run.pictures) * len(run.texts) <= MOST_REMEMBERED,
            # We decode it ourselves, after the cached keys and values are freed.
            "output_type": "latent",
        }


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

EDITORS: dict[str, Editor] = {editor.pipeline: editor for editor in (EDIT_PLUS, FIRST, QWEN_IMAGE_21)}
