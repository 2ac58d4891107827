"""Qwen-Image-Layered and Qwen-Image-Edit with diffusers; only this module maps our names to diffusers'."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, Unpack

try:
    import torch
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("Qwen-Image needs more packages: run `llm-dit install qwen`", name="torch") from error
from PIL import Image

from llm_dit.editing import EditResult
from llm_dit.editing.region import read_region
from llm_dit.errors import EditOnlyError, InputError
from llm_dit.evaluation import thinned
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
    NO_REGIONS,
    QWEN_CROP,
    QWEN_MAX_ASPECT,
    TRIED_LAYERS,
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
from llm_dit.surroundings import SurroundingsLike, read_surroundings


class QwenImageDiffusersPipeline:
    """Decomposes with Qwen-Image-Layered and edits layers with Qwen-Image-Edit; one run at a time.

    Create it with `from_pretrained`. `last_edit` has the measured shift and zoom of the latest edit, and whether they
    were corrected.
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
        """Load Qwen-Image-Layered, and with `load_edit_model` the edit model, which otherwise the first edit loads.

        - `model_path`, `edit_model_path`: folders in diffusers' layout or hub ids; `revision`, `edit_revision`: a
          branch, tag or commit of a hub id. The files determine which edit model it is; the default is
          Qwen/Qwen-Image-Edit-2509 from the hub.
        - `transformer_path`, `edit_transformer_path`: one .safetensors or .gguf file each, whose transformer replaces
          the model's (`llm_dit.qwen.loading.single_file`).
        - `cpu_offload`: see `llm_dit.qwen.placement.plan.plan_placement`; `placement` has the result.
        - `edit_only`: load the edit model alone.
        - `device`: "cuda", "cuda:1", "mps" or "cpu", by default the best available. `devices`: two instead,
          "cuda:0,cuda:1"; the second runs one of guidance's branches, if `placement` says so.
        - `torch_dtype`, or its name: by default bfloat16, on a CPU float32.
        - `quantization`: "fp8" or "nf4"; does not apply to a transformer from a file.
        - `fused=False`: run plain diffusers, with the same results, but slower.
        - `speed`: the default of runs (`llm_dit.qwen.sampling.running`).
        - `loras`, `edit_loras`: the LoRAs of the two models (`use_loras`).
        - `progress`: gets the phases "downloading" and "loading".

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
        """Where the weights are kept, the planned memory of a run, and why."""
        return self._models.plan

    @property
    def has_edit_model(self) -> bool:
        """Whether `edit_layer` can start without loading anything."""
        return self._models.has(EDIT)

    def load_edit_model(self, progress: ProgressCallback | None = None) -> None:
        """Download (if necessary) and load the edit model; does nothing if it is loaded."""
        self._models.load(EDIT, progress or ignore_progress)

    def use_loras(
        self,
        loras: Sequence[str] | None = None,
        edit_loras: Sequence[str] | None = None,
        progress: ProgressCallback | None = None,
    ) -> None:
        """Replace the LoRAs, active from the next run on; None leaves a model's unchanged.

        Each is "PLACE", "PLACE:WEIGHT" or "NAME=PLACE:WEIGHT": a safetensors file, a folder with one, a hub id, with
        "/FILE.safetensors" if it has several, or a name of `llm_dit.qwen.loading.loras.NAMED`, whose schedule sets the
        steps and guidance of runs that do not set them. The models are not loaded again.

        Raises `InputError`, or a `WeightsError` that says what is wrong with a file; then the previous LoRAs stay.
        """
        for name, texts in ((LAYERED, loras), (EDIT, edit_loras)):
            if texts is not None:
                self._models.use_loras(name, texts, progress or ignore_progress)

    def status(self) -> PipelineStatus:
        """Return the loaded models, their device and placement, and how they are computed."""
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

        `image` may have transparency, so you can decompose a layer again. It is resized to about `resolution`² pixels
        with its aspect ratio (at most 8:1); `output_size="original"` restores the layers at the image's size, so that
        they composite to it (`llm_dit.full_size`). `prompt` describes the whole picture; if it is empty, the text
        encoder writes one, and `.prompt` has it. `DecomposeOptions` has the options and their bounds. On one machine a
        seed repeats. `progress` gets the phases "captioning", "encoding", "denoising" (steps), "decoding" and, for the
        original size, "restoring" (on the CPU); it may raise to stop the run. `preview` gets previews of every layer,
        at most once a second (`llm_dit.qwen.forward.vae`); they do not affect the result, and its exceptions are
        logged. `regions` are refused. With `layer_num="auto"` the model draws `TRIED_LAYERS`, and empty, invisible and
        duplicate ones are removed (`llm_dit.evaluation.thinned`).

        Raises an `InputError` that names the argument, or an `EngineError`.
        """
        check_image(image, "image")
        check_aspect(image, QWEN_MAX_ASPECT, QWEN_CROP, "image")
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
        names = VOCABULARIES[asked.language].numbered(len(layers))
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

        The model sees the layer's content with a margin, over a color that the layer does not have; its answer returns
        to the layer's size and position (see `llm_dit.editing`). With `output_size="model"` it sees the whole layer,
        and the result has the model's resolution, about 1024² pixels. The first call loads the edit model. Arguments
        and `progress` are as in `decompose`, with the phases "downloading" and "loading" first; `preview` gets the part
        of the layer that the model sees, as layer 1. With a `region`, a box or a mask as in `llm_dit.editing.region`,
        the model sees the region and its surroundings, and every byte outside stays the same; `output_size="model"`
        then resizes the layer first.

        `references` are pictures for the model to take something from; the instruction calls the layer "Picture 1" and
        these "Picture 2" and so on. 2509 and 2511 accept three, the first Qwen-Image-Edit none.

        With `context=True` the model sees the layer as it lies over `surroundings`, a picture of the layer's size or
        what `llm_dit.surroundings_of` makes of a stack, with more of them around it, and these are taken out of its
        answer again (`llm_dit.editing.backgrounds`).

        Raises `InputError` naming the argument, also for texts of more than 3500 tokens (Qwen-Image-Edit: 2500, and 210
        fewer for each reference), or an `EngineError`.
        """
        check_image(layer_image, "layer_image")
        check_aspect(layer_image, QWEN_MAX_ASPECT, QWEN_CROP, "layer_image")
        for picture in references:
            check_image(picture, "references")
            check_aspect(picture, QWEN_MAX_ASPECT, QWEN_CROP, "references")
        self._models.editor.check_references(len(references))
        asked = EditOptions(instruction=instruction, **options)
        self._models.pace(asked.speed, EDIT, 1)  # refuse it before anything is loaded
        layer = layer_image.convert("RGBA")
        where = None if region is None else read_region(region, layer, asked.shape)
        around = read_surroundings(surroundings, layer, context=asked.context)
        report = progress or ignore_progress
        chosen = self._models.choose(EDIT, asked.loras, asked.speed, report)
        self.load_edit_model(report)
        editor = self._models.editor
        framing = editor.frame(layer, asked, where, around)
        with self._models.running(EDIT, chosen.weights) as pipeline:
            sampled = _sampled(asked, chosen, editor.defaults)
            editor.check_references(len(references))
            room = editor.room_for_text(len(references))
            _check_length(pipeline, instruction, room, "instruction")
            _check_length(pipeline, asked.negative_prompt, room, "negative_prompt")

            def show(number: int, seen: Image.Image) -> None:
                assert preview is not None
                preview(number, framing.preview(seen))

            run = Run(
                image=framing.canvas.image,
                size=framing.size,
                prompt=instruction,
                negative_prompt=asked.negative_prompt,
                **sampled,
                pace=self._models.pace(asked.speed, EDIT, sampled["steps"]),
                generator=_generator(chosen_seed(asked.seed)),
                editor=editor,
                references=tuple(map(editor.reference, references)),
            )
            edited = self._sample(
                pipeline, run, report, self._previewing.of_run(pipeline, framing.size, 1, preview and show)
            )
        image, self.last_edit = framing.finish(edited[0])
        return image

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
    """Refuse a text that is too long for the transformer; diffusers would fail on tensors of different sizes."""
    tokens = len(pipeline.processor.tokenizer(text).input_ids)
    if tokens > most:
        raise InputError(
            f"{param} is too long for the model: it has {tokens} tokens and may have {most}: shorten it.",
            param=param,
        )


def _sampled(asked: SamplingOptions, chosen: Chosen, defaults: RunDefaults) -> dict[str, Any]:
    """Return the steps, guidance and LoRAs of a run; unset ones come from a LoRA, otherwise from the model."""
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
