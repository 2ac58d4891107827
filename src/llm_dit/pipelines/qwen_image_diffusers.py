"""Qwen-Image-Layered and Qwen-Image-Edit through diffusers: the one place where our names become theirs."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, Unpack

try:
    import torch
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("Qwen-Image needs more packages: run `llm-dit install qwen`", name="torch") from error
from PIL import Image

from llm_dit.alpha import resize_layer
from llm_dit.editing import EditResult
from llm_dit.editing.region import read_region
from llm_dit.errors import EditOnlyError, InputError
from llm_dit.full_size import restore
from llm_dit.layers import Decomposition
from llm_dit.names import VOCABULARIES
from llm_dit.options import (
    QWEN_IMAGE,
    DecomposeArguments,
    DecomposeOptions,
    EditArguments,
    EditOptions,
    NamedBox,
    RunDefaults,
    SamplingOptions,
    Speed,
    chosen_seed,
)
from llm_dit.qwen.forward.vae import Previewing, Previews
from llm_dit.qwen.loading.checkpoints import EDIT, EDIT_MODEL, LAYERED
from llm_dit.qwen.loading.loras import Chosen
from llm_dit.qwen.models import Models, ModelSource
from llm_dit.qwen.placement.devices import Quantization
from llm_dit.qwen.placement.plan import CpuOffload, Plan
from llm_dit.qwen.sampling.encoding import Captions
from llm_dit.qwen.sampling.running import Run, Runner, ignore_progress, watch_steps
from llm_dit.runs import (
    EDIT_RESOLUTION,
    NO_REGIONS,
    QWEN_MAX_ASPECT,
    PipelineStatus,
    PreviewCallback,
    Progress,
    ProgressCallback,
    RegionLike,
    check_aspect,
    check_image,
    model_size,
    restoring,
)
from llm_dit.score import thinned
from llm_dit.surroundings import SurroundingsLike, read_surroundings

CROP = "the model works at a fixed area and would get only a few rows of pixels: crop it"
TRIED_LAYERS = 6
"""What a run with as many layers as there is something for draws."""


class QwenImageDiffusersPipeline:
    """Takes an image apart with Qwen-Image-Layered and edits layers with Qwen-Image-Edit; one run at a time.

    `from_pretrained` makes one. `last_edit` has what was measured in the latest edit: shift, zoom, whether corrected.
    """

    engine = "qwen"
    any_size = False

    def __init__(self, models: Models) -> None:
        self._models = models
        self._captions = Captions()
        self._runner = Runner()
        self._previewing = Previewing()
        self.last_edit: EditResult | None = None

    @classmethod
    def from_pretrained(
        cls,
        model_path: str | Path,
        edit_model_path: str | Path | None = None,
        cpu_offload: CpuOffload = True,
        load_edit_model: bool = False,
        *,
        edit_only: bool = False,
        transformer_path: str | Path | None = None,
        edit_transformer_path: str | Path | None = None,
        device: str | None = None,
        devices: str | None = None,
        torch_dtype: torch.dtype | str | None = None,
        quantization: Quantization | None = None,
        fused: bool = True,
        speed: Speed = "exact",
        revision: str | None = None,
        edit_revision: str | None = None,
        loras: Sequence[str] | None = None,
        edit_loras: Sequence[str] | None = None,
        progress: ProgressCallback | None = None,
    ) -> Self:
        """Load Qwen-Image-Layered, and the edit model too if `load_edit_model`; else the first edit loads it.

        The paths are folders in diffusers' layout or hub ids, `revision` and `edit_revision` a branch, tag or commit
        of a hub id; the edit model is 2509, 2511 or the first Qwen-Image-Edit, as its files say, and without
        `edit_model_path` Qwen/Qwen-Image-Edit-2509 from the hub. `transformer_path` and `edit_transformer_path` name
        one file each, .safetensors or .gguf, whose transformer takes the place of the model's
        (`llm_dit.qwen.loading.single_file`). `cpu_offload` is described at
        `llm_dit.qwen.placement.plan.plan_placement`; `placement` tells what came of it. `edit_only` loads the edit
        model alone. `device` is "cuda", "cuda:1", "mps" or "cpu", by default the best there is; `devices`
        in its place two, "cuda:0,cuda:1", of which the second runs one of guidance's branches (`placement` says whether
        it does); `torch_dtype` (or its name) bfloat16, on a CPU float32; `quantization` "fp8" or "nf4", of which a
        file's transformer gets nothing. `fused=False` runs plain diffusers, which gives the same and takes longer.
        `speed` is that of runs that do not name one (`llm_dit.qwen.sampling.running`). `loras` and `edit_loras` are the
        LoRAs of the two models (`use_loras`). `progress` hears "downloading" and "loading".

        Raises `InputError`, or an `EngineError` that says what to do about the device, memory, weights, hub or disk.
        """
        models = Models(
            sources={
                LAYERED: ModelSource(path=model_path, revision=revision, transformer=transformer_path),
                EDIT: ModelSource(
                    path=edit_model_path or EDIT_MODEL, revision=edit_revision, transformer=edit_transformer_path
                ),
            },
            cpu_offload=cpu_offload,
            device=device,
            devices=devices,
            dtype=torch_dtype,
            quantization=quantization,
            fused=fused,
            speed=speed,
            loras={LAYERED: loras or (), EDIT: edit_loras or ()},
        )
        wanted = [EDIT] if edit_only else [LAYERED, EDIT] if load_edit_model else [LAYERED]
        for name in wanted:
            models.load(name, progress or ignore_progress)
        return cls(models)

    @property
    def placement(self) -> Plan:
        """Where the weights are, the memory that a run is expected to take, and why."""
        return self._models.plan

    @property
    def has_edit_model(self) -> bool:
        """Whether `edit_layer` can start without loading anything."""
        return self._models.has(EDIT)

    def load_edit_model(self, progress: ProgressCallback | None = None) -> None:
        """Download (when needed) and load the edit model; does nothing when it is loaded."""
        self._models.load(EDIT, progress or ignore_progress)

    def use_loras(
        self,
        loras: Sequence[str] | None = None,
        edit_loras: Sequence[str] | None = None,
        progress: ProgressCallback | None = None,
    ) -> None:
        """Have these LoRAs in place of those of before, on from the next run; None leaves a model's as they are.

        Each is "PLACE", "PLACE:WEIGHT" or "NAME=PLACE:WEIGHT": a safetensors file, a folder with one, a hub id, with
        "/FILE.safetensors" where it has several, or a name of `llm_dit.qwen.loading.loras.NAMED`. Those are run as
        their schedule says where a run leaves out steps and guidance. The models are not loaded again.

        Raises `InputError`, or a `WeightsError` that says what is wrong with a file; then those of before stay.
        """
        for name, texts in ((LAYERED, loras), (EDIT, edit_loras)):
            if texts is not None:
                self._models.use_loras(name, texts, progress or ignore_progress)

    def status(self) -> PipelineStatus:
        """Return which models are loaded, on which device, how they are placed, and what computes."""
        status = self._models.status()
        return replace(status, forward=self._runner.forward or status.forward)

    def decompose(
        self,
        image: Image.Image,
        prompt: str = "",
        *,
        regions: Sequence[NamedBox] = (),
        progress: ProgressCallback | None = None,
        preview: PreviewCallback | None = None,
        **options: Unpack[DecomposeArguments],
    ) -> Decomposition:
        """Return `[composite, bottom, …, top]`: `layer_num` + 1 RGBA images of one size, `.seed`, `.prompt`, `.names`.

        `image` may be transparent in part, as a layer is: taking a layer apart again works. It is resized to about
        `resolution`² pixels, its aspect (at most 8:1) kept; `output_size="original"` brings the layers to the image's
        own size, so that they give it back (`llm_dit.full_size`). `prompt` describes the whole picture; when it is
        empty the text encoder writes one, and `.prompt` has it.
        `DecomposeOptions` has the options and their bounds. On one machine a seed gives the same layers again.
        `progress` hears "captioning", "encoding", "denoising" (a step each), "decoding" and, for the original size,
        which is work for the processor, "restoring"; it may raise to stop.
        `preview` gets every layer as far as it can be seen, at most once a second (`llm_dit.qwen.forward.vae`);
        the result is the same with it, and what it raises is logged. The model divides a picture by itself: `regions`
        are refused. With `layer_num="auto"` it draws `TRIED_LAYERS`, and what is empty, is not seen or repeats the
        layer below it goes (`llm_dit.score.thinned`).

        Raises `InputError` naming the argument, or an `EngineError`.
        """
        check_image(image, "image")
        check_aspect(image, QWEN_MAX_ASPECT, CROP, "image")
        if regions:
            raise InputError(NO_REGIONS, param="regions")
        asked = DecomposeOptions(prompt=prompt, **options)
        if not self._models.has(LAYERED):
            raise EditOnlyError("This pipeline was opened with edit_only: open one without it to decompose.")
        report = progress or ignore_progress
        chosen = self._models.choose(LAYERED, asked.loras, asked.speed, report)
        sampled = _sampled(asked, chosen, QWEN_IMAGE)
        pace = self._models.pace(asked.speed, LAYERED, sampled["steps"])
        seed = chosen_seed(asked.seed)
        picture = image.convert("RGBA")
        with self._models.running(LAYERED, chosen.weights) as pipeline:
            if not prompt.strip():
                prompt = self._caption(pipeline, picture, asked.resolution, asked.use_en_prompt, report)
            size = model_size(picture.size, asked.resolution)
            count = TRIED_LAYERS if asked.layer_num == "auto" else asked.layer_num
            run = Run(
                image=picture,
                size=size,
                prompt=prompt,
                negative_prompt=asked.negative_prompt,
                **sampled,
                pace=pace,
                generator=_generator(seed),
                layers=count,
                resolution=asked.resolution,
                normalize=asked.cfg_normalize,
            )
            previews = self._previewing.of_run(pipeline, size, count, preview)
            layers = self._sample(pipeline, run, report, previews)
        if asked.layer_num == "auto":
            layers = thinned(picture, layers)
        if asked.output_size == "original":
            layers = restore(picture, layers, lambda done, total: report(restoring(done, total)))
        vocabulary = VOCABULARIES[asked.language]
        names = [vocabulary.word("Background"), *map(vocabulary.number, range(2, len(layers) + 1))]
        return Decomposition(layers, seed=seed, prompt=prompt, names=names, picture=picture)

    def edit_layer(
        self,
        layer_image: Image.Image,
        instruction: str,
        *,
        region: RegionLike | None = None,
        references: Sequence[Image.Image] = (),
        surroundings: SurroundingsLike | None = None,
        progress: ProgressCallback | None = None,
        preview: PreviewCallback | None = None,
        **options: Unpack[EditArguments],
    ) -> Image.Image:
        """Return the edited RGBA layer; `shape="keep"` gives it the original alpha, byte for byte.

        The model sees the layer's content, cut out with a margin, over a color that the layer does not have; its
        answer is brought back to the layer's size and place (see `llm_dit.editing`). With `output_size="model"` the
        whole layer is shown, and the result has the model's resolution, about 1024² pixels. The first call loads the
        edit model. Arguments and `progress` as in `decompose`, with "downloading" and "loading" before; `preview` gets
        the part of the layer that the model sees, as layer 1. With a `region`, a box or a mask as
        `llm_dit.editing.region` describes it, the model sees that with its surroundings, and what lies outside stays
        byte for byte; `output_size="model"` then resizes the layer before.

        `references` are pictures to take something from; the instruction calls the layer "Picture 1" and them
        "Picture 2" and so on. 2509 and 2511 take three, the first Qwen-Image-Edit none.

        With `context=True` the model sees the layer as it lies over `surroundings`, a picture of the layer's size or
        what `llm_dit.surroundings_of` makes of a stack, with more of them around it, and these are taken out of its
        answer again (`llm_dit.editing.context`).

        Raises `InputError` naming the argument, also for texts of more than 3500 tokens (Qwen-Image-Edit: 2500, and 210
        fewer for each reference), or an `EngineError`.
        """
        check_image(layer_image, "layer_image")
        check_aspect(layer_image, QWEN_MAX_ASPECT, CROP, "layer_image")
        for picture in references:
            check_image(picture, "references")
            check_aspect(picture, QWEN_MAX_ASPECT, CROP, "references")
        self._models.editor.check_references(len(references))
        asked = EditOptions(instruction=instruction, **options)
        self._models.pace(asked.speed, EDIT, 1)  # refused before anything is loaded
        layer, output_size = layer_image.convert("RGBA"), asked.output_size
        where = None if region is None else read_region(region, layer, asked.shape)
        around = read_surroundings(surroundings, layer, context=asked.context)
        report = progress or ignore_progress
        chosen = self._models.choose(EDIT, asked.loras, asked.speed, report)
        self.load_edit_model(report)
        if where is not None and output_size == "model":
            size = model_size(layer.size, EDIT_RESOLUTION)
            around = around and around.scaled(size[0] / layer.width, size[1] / layer.height)
            layer, output_size = resize_layer(layer, size), "layer"
            where = where.resized(layer.size)
        editor = self._models.editor
        canvas = editor.canvas(
            layer, shape=asked.shape, output_size=output_size, region=where and where.box, surroundings=around
        )
        size = model_size(canvas.image.size, EDIT_RESOLUTION)
        with self._models.running(EDIT, chosen.weights) as pipeline:
            sampled = _sampled(asked, chosen, editor.defaults)
            editor.check_references(len(references))
            room = editor.room_for_text(len(references))
            _check_length(pipeline, instruction, room, "instruction")
            _check_length(pipeline, asked.negative_prompt, room, "negative_prompt")

            def show(number: int, seen: Image.Image) -> None:
                assert preview is not None
                shown = canvas.preview(seen)
                preview(number, shown if where is None else where.preview(layer, shown, canvas.crop.box))

            run = Run(
                image=canvas.image,
                size=size,
                prompt=instruction,
                negative_prompt=asked.negative_prompt,
                **sampled,
                pace=self._models.pace(asked.speed, EDIT, sampled["steps"]),
                generator=_generator(chosen_seed(asked.seed)),
                editor=editor,
                references=tuple(map(editor.reference, references)),
            )
            edited = self._sample(pipeline, run, report, self._previewing.of_run(pipeline, size, 1, preview and show))
        self.last_edit = made = canvas.finish(edited[0])
        if where is None:
            return made.image
        return where.put_in(layer, where.settle(layer, made.image, canvas.crop.box))

    def _caption(
        self, pipeline: Any, picture: Image.Image, resolution: int, english: bool, progress: ProgressCallback
    ) -> str:
        width, height = model_size(picture.size, resolution)
        shown = pipeline.image_processor.resize(picture, height, width)
        self._models.before_encoding()
        return self._captions.caption(pipeline, shown, english=english, progress=progress)

    def _sample(
        self, pipeline: Any, run: Run, progress: ProgressCallback, previews: Previews | None
    ) -> list[Image.Image]:
        progress(Progress(phase="encoding", step=0, total=run.steps))
        return list(map(Image.fromarray, self._runner.run(pipeline, run, watch_steps(run.steps, progress, previews))))


def _check_length(pipeline: Any, text: str, most: int, param: str) -> None:
    """Refuse a text that the transformer has no positions for; diffusers would fail on tensors of unlike sizes."""
    tokens = len(pipeline.processor.tokenizer(text).input_ids)
    if tokens > most:
        raise InputError(
            f"{param} is too long for the model: it has {tokens} tokens and may have {most}: shorten it.",
            param=param,
        )


def _sampled(asked: SamplingOptions, chosen: Chosen, defaults: RunDefaults) -> dict[str, Any]:
    """Return what a run is told of steps, guidance and LoRAs: what is left out is a LoRA's, or else the model's own."""
    steps, scale = defaults.num_inference_steps, defaults.cfg_scale
    if chosen.schedule:
        steps, scale = chosen.schedule.steps, chosen.schedule.guidance
    return {
        "steps": asked.num_inference_steps or steps,
        "scale": asked.cfg_scale or scale,
        "loras": chosen.told,
        "schedule": chosen.schedule,
    }


def _generator(seed: int) -> torch.Generator:
    # On the CPU, so that a seed gives the same noise on every device.
    return torch.Generator("cpu").manual_seed(seed)
