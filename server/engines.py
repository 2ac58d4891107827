"""The choice of the engine: names in the configuration, their pipeline classes, and why one runs."""

import functools
import gc
import importlib.util
import operator
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from llm_dit.classical.seeing.networks import missing
from llm_dit.errors import EngineError, LLMDiTError
from llm_dit.options import (
    QWEN_IMAGE,
    DecomposeOptions,
    EngineName,
    Photographs,
    RunDefaults,
    Speed,
    choices,
    http_name,
    options_of,
)
from llm_dit.qwen.diagnosis import Finding, diagnose, editor_at, unmet_requirements
from llm_dit.qwen.loading.checkpoints import EDIT_MODEL
from llm_dit.qwen.loading.loras import Spec, choose, parse_loras
from llm_dit.runs import CLASSICAL_MAX_ASPECT, QWEN_MAX_ASPECT, LayerPipeline, ProgressCallback
from server.settings import QwenImageSettings, RaySettings, RemoteSettings, Settings

if TYPE_CHECKING:
    from llm_dit.pipelines.openai_images import ModelServer

Options = Mapping[str, object] | None
PROBE = "from llm_dit.qwen.placement.devices import choose_device; print(choose_device(None).type)"
PROBE_S = 120
REMOTE_START_S = 5.0
"""How long a service elsewhere may take to say what it can do."""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A pipeline by name, the `reason` why it runs, and the `hint` how to get the other one.

    `pipeline` is `module:Class` or `module:Class.method`, imported only in the worker process; `options` are its
    arguments (None: it has none). `edit_model_path` is the source of its edit model. `step_s` is the longest time of a
    step, or of loading a part of a model: a canceled run gets that long to stop. `max_aspect` and `max_model_aspect`
    limit longer : shorter side (None: no limit), for pictures that keep their size and for pictures resized for the
    model. `defaults` are those of a run without a LoRA that has a schedule, `edit_defaults` those of an edit, if they
    differ; `loras` are those of each kind of run. `decompose_takes` and `edit_takes` name the fields that affect the
    result, `speeds` the possible speeds. `any_instruction`: any words are accepted. `any_size`: it works at a
    picture's own size. `references`: most reference pictures of an edit. `photographs`: the layers of photographs.
    `license`: what the edit model's license forbids. `reports_steps`: the steps of its runs are known. `cluster`: where
    it runs, if not in this service.
    """

    name: EngineName
    label: str
    pipeline: str
    options: Options = None
    edit_model_path: str = ""
    step_s: float = 0.0
    max_aspect: int | None = None
    max_model_aspect: int | None = None
    defaults: RunDefaults
    edit_defaults: RunDefaults | None = None
    decompose_takes: tuple[str, ...]
    edit_takes: tuple[str, ...]
    speeds: tuple[Speed, ...] = ()
    loras: Mapping[str, Sequence[Spec]] = field(default_factory=dict[str, Sequence[Spec]])
    any_instruction: bool
    any_size: bool
    references: int = 0
    photographs: Photographs
    reports_steps: bool = True
    license: str = ""
    cluster: RaySettings | None = None
    reason: str
    hint: str

    @property
    def slots(self) -> int:
        """How many runs it takes at a time."""
        return 1 if self.cluster is None else self.cluster.most

    def defaults_of_run(self, kind: str, loras: Sequence[str] | None = None) -> RunDefaults:
        """Return the defaults of a kind of run with these LoRAs active (None: all).

        Raises `InputError` for an unknown LoRA.
        """
        chosen = choose(self.loras.get(kind, ()), loras if self.loras else None)
        defaults = self.edit_defaults if kind == "edit" and self.edit_defaults else self.defaults
        if chosen.schedule is None:
            return defaults
        return defaults._replace(num_inference_steps=chosen.schedule.steps, cfg_scale=chosen.schedule.guidance)

    def label_on(self, device: str | None) -> str:
        """Return the engine's name for people, with the device if it is known."""
        return f"{self.label} · {device}" if device else self.label


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """Why Qwen-Image cannot run here, and what to do."""

    what: str
    advice: str


NO_ACCELERATOR = Obstacle(
    what="torch finds no accelerator",
    advice='check the driver of an NVIDIA GPU, use Apple silicon, or set engine = "qwen" to run it on the CPU',
)


BLIND = (
    "The classical engine's networks are not installed, so it uses only colors and edges: "
    "run `llm-dit models fetch`, then restart."
)


def choose_engine(settings: Settings) -> Engine:
    """Return the engine of the settings; raises `EngineError` if it cannot run here.

    "auto" chooses Qwen-Image if it is configured and installed, and torch finds an accelerator.
    """
    models = settings.qwen_image
    obstacle = _unconfigured(models) or _uninstalled()
    if settings.engine == "remote":
        if not _addressed(settings.remote):
            raise EngineError("The remote engine needs the service's address: set url under [default.remote].")
        return _remote(settings.remote, 'The settings ask for it: engine = "remote".')
    if settings.engine == "classical":
        return _classical(models, 'The settings require it: engine = "classical".', obstacle)
    if settings.engine == "qwen":
        if obstacle:
            raise EngineError(f"The Qwen-Image engine cannot run: {obstacle.what}; {obstacle.advice}.")
        return _qwen(models, 'The settings require it: engine = "qwen".')
    obstacle = obstacle or _without_accelerator()
    if obstacle and _addressed(settings.remote):
        try:
            return _remote(settings.remote, f"Qwen-Image does not run here: {obstacle.what}.")
        except EngineError as error:
            return _classical(models, error.message, obstacle)
    if obstacle:
        return _classical(models, f"Qwen-Image does not run here: {obstacle.what}.", obstacle)
    return _qwen(models, "Its model is configured, and torch finds an accelerator.")


def engine_of_service(settings: Settings) -> Engine:
    """Return the engine of a service: that of `choose_engine`, or one on the Ray cluster of the settings.

    This computer need not have what a cluster's engine needs. Raises `EngineError`.
    """
    ray, models = settings.ray, settings.qwen_image
    if not ray.address:
        return choose_engine(settings)
    if settings.engine == "remote":
        raise EngineError("Ray runs no remote engine: choose another one, or remove address under [default.ray].")
    if importlib.util.find_spec("ray") is None:
        raise EngineError("The engine cannot run on Ray: ray is not installed; run `llm-dit install ray`.")
    number = str(ray.most) if ray.most == ray.min_replicas else f"{ray.min_replicas} to {ray.most}"
    reason = f"It runs on Ray, in {number} {'replica' if ray.most == 1 else 'replicas'}."
    obstacle = _unconfigured(models)
    if settings.engine == "classical" or (settings.engine == "auto" and obstacle):
        return replace(_classical(models, reason, obstacle), cluster=ray)
    if obstacle:
        raise EngineError(f"The Qwen-Image engine cannot run: {obstacle.what}; {obstacle.advice}.")
    return replace(_qwen(models, reason), cluster=ray)


def spare_engine(settings: Settings, engine: Engine) -> Engine | None:
    """Return the engine that runs beside `engine` where a run asks for it: the classical one beside a model."""
    if engine.name == "classical" or not engine.any_instruction:
        return None
    return _classical(settings.qwen_image, "It runs beside the model, for runs that ask for it.", None)


def load_pipeline(path: str, options: Options, progress: ProgressCallback) -> LayerPipeline:
    """Import `path`, `module:Class` or `module:Class.method`, and call it.

    It gets `options` as arguments, and `progress` to report loading; with `options` None it gets no arguments.
    """
    module, _, name = path.partition(":")
    # Torch's imports are permanent. Garbage collection of them takes a fifth of the import, and 0.3 s each time later.
    gc.disable()
    try:
        build = operator.attrgetter(name)(importlib.import_module(module))
    finally:
        gc.freeze()
        gc.enable()
    return build() if options is None else build(**options, progress=progress)


def _classical(models: QwenImageSettings, reason: str, obstacle: Obstacle | None) -> Engine:
    advice = obstacle.advice if obstacle else 'set engine = "qwen"'
    # Reading a file's header is cheap, and a running engine does not change.
    blind = f" {BLIND}" if missing() else ""
    return Engine(
        name="classical",
        label="Classical",
        pipeline="llm_dit.pipelines.classical:ClassicalPipeline",
        max_model_aspect=CLASSICAL_MAX_ASPECT,
        defaults=defaults_of(models),
        decompose_takes=("seed", "regions", "output_size"),
        edit_takes=(),  # the seed affects film grain only
        any_instruction=False,
        any_size=True,
        photographs="regions" if missing() else "subject",
        reason=reason + blind,
        hint=f"To run Qwen-Image, {advice}; `llm-dit doctor` says what else it needs.",
    )


def _qwen(models: QwenImageSettings, reason: str) -> Engine:
    edit_model_path = models.edit_model_path or EDIT_MODEL
    editor = editor_at(edit_model_path)
    own_loop = () if editor.plain else ("speed", "loras")
    return Engine(
        name="qwen",
        label="Qwen-Image",
        pipeline="llm_dit.pipelines.qwen_image_diffusers:QwenImageDiffusersPipeline.from_pretrained",
        options=pipeline_arguments(models),
        edit_model_path=edit_model_path,
        # Killing the process is more expensive: the next one reads all the weights again.
        step_s=120.0,
        max_aspect=QWEN_MAX_ASPECT,
        max_model_aspect=QWEN_MAX_ASPECT,
        defaults=defaults_of(models),
        edit_defaults=defaults_of(models, editor.defaults),
        decompose_takes=("prompt", "num_inference_steps", "cfg_scale", "speed", "seed", "loras", "output_size"),
        edit_takes=("num_inference_steps", "cfg_scale", "seed", "context", *own_loop),
        speeds=_speeds(models),
        loras={
            "decompose": parse_loras(models.loras, "loras"),
            "edit": parse_loras(models.edit_loras, "edit_loras"),
        },
        any_instruction=True,
        any_size=False,
        references=editor.references,
        photographs="things",
        license=editor.license,
        reason=f"{reason} {editor.license}".strip(),
        hint='To run the classical engine, which needs no model, set engine = "classical".',
    )


def _addressed(remote: RemoteSettings) -> bool:
    return bool(remote.url or remote.edit_url)


def _remote(remote: RemoteSettings, reason: str) -> Engine:
    """Return the engine at the settings' addresses; raises `EngineError` when it cannot be asked what it can do."""
    if importlib.util.find_spec("httpx2") is None:
        raise EngineError("The remote engine cannot run: httpx2 is not installed; run `llm-dit install client`.")
    from llm_dit.pipelines.openai_images import find_models
    from llm_dit.pipelines.remote import describe

    token = remote.token.get_secret_value()
    try:
        if (found := find_models(remote.url, remote.edit_url, token, REMOTE_START_S)) is not None:
            return _images(remote, token, found.edit, reason)
        return _service(remote.url, token, describe(remote.url, token, REMOTE_START_S), reason)
    except LLMDiTError as error:
        raise EngineError(f"The remote engine cannot run: {error.message}") from None


def _images(remote: RemoteSettings, token: str, edit: "ModelServer | None", reason: str) -> Engine:
    """Return the engine of servers of one model each."""
    editor = edit and edit.editor
    return Engine(
        name="remote",
        label="Remote",
        pipeline="llm_dit.pipelines.openai_images:OpenAIImagesPipeline",
        options={"url": remote.url, "edit_url": remote.edit_url, "token": token, "timeout_s": remote.timeout_s},
        edit_model_path=edit.model if edit else "",
        step_s=10.0,  # to hear of a cancel takes half a second
        max_aspect=QWEN_MAX_ASPECT,
        max_model_aspect=QWEN_MAX_ASPECT,
        defaults=QWEN_IMAGE,
        edit_defaults=editor.defaults if editor else None,
        decompose_takes=("prompt", "num_inference_steps", "cfg_scale", "seed", "output_size"),
        edit_takes=("num_inference_steps", "cfg_scale", "seed", "context"),
        any_instruction=True,
        any_size=False,
        references=editor.references if editor else 0,
        photographs="things",
        reports_steps=False,
        license=editor.license if editor else "",
        reason=f"{reason} {editor.license}".strip() if editor else reason,
        hint="What it needs, it needs where the servers of vLLM-Omni or SGLang Diffusion run.",
    )


def _service(url: str, token: str, told: Mapping[str, Any], reason: str) -> Engine:
    """Return the engine of another instance of this service, which has told what it can do."""
    can, defaults = told["capabilities"], told["defaults"]
    names = (*RunDefaults._fields, *options_of(DecomposeOptions))
    own_names: dict[str, str] = {http_name(name): name for name in names}

    def run_defaults(given: Mapping[str, Any]) -> RunDefaults:
        named = {own_names[name]: value for name, value in (defaults | given).items() if name in own_names}
        return RunDefaults(**{name: named[name] for name in RunDefaults._fields if name in named})

    return Engine(
        name="remote",
        label="Remote",
        pipeline="llm_dit.pipelines.remote:RemotePipeline",
        options={"url": url, "token": token},
        step_s=120.0,
        max_aspect=None if can["any_size"] else QWEN_MAX_ASPECT,
        max_model_aspect=CLASSICAL_MAX_ASPECT if can["any_size"] else QWEN_MAX_ASPECT,
        defaults=run_defaults({}),
        edit_defaults=run_defaults(told["edit_defaults"]),
        decompose_takes=tuple(own_names.get(str(name), str(name)) for name in can["decompose"]),
        edit_takes=tuple(own_names.get(str(name), str(name)) for name in can["edit"]),
        speeds=tuple(can["speeds"]),
        loras={
            kind: [Spec(name=lora["name"], place=lora["name"], weight=lora["weight"]) for lora in listed]
            for kind, listed in told["loras"].items()
        },
        any_instruction=can["any_instruction"],
        any_size=can["any_size"],
        references=can["references"],
        photographs=can["photographs"],
        reports_steps=can.get("reports_steps", True),
        reason=reason,
        hint="What it needs, it needs on the other computer: `llm-dit doctor` there says what.",
    )


def _speeds(models: QwenImageSettings) -> tuple[Speed, ...]:
    """Return the possible speeds of runs: fp8 weights have no exact runs."""
    in_fp8 = models.speed == "fast" and not models.quantization
    return tuple(speed for speed in choices(Speed) if speed != "exact" or not in_fp8)


def defaults_of(models: QwenImageSettings, model: RunDefaults = QWEN_IMAGE) -> RunDefaults:
    """Return the settings' values, or the model's own without one."""
    return RunDefaults(*(getattr(models, name) or getattr(model, name) for name in RunDefaults._fields))


def pipeline_arguments(models: QwenImageSettings) -> dict[str, Any]:
    """Return the arguments of `QwenImageDiffusersPipeline.from_pretrained`; empty settings are None."""
    options = models.model_dump(mode="json", exclude=set(RunDefaults._fields) - {"speed"})
    return {key: None if value == "" and key != "model_path" else value for key, value in options.items()}


def diagnose_qwen(models: QwenImageSettings) -> list[Finding]:
    """Return what this computer has for the configured Qwen-Image; loads no weights."""
    arguments = pipeline_arguments(models)
    for name in ("load_edit_model", "revision", "edit_revision"):  # they do not affect the findings
        del arguments[name]
    return diagnose(**arguments)


def _unconfigured(models: QwenImageSettings) -> Obstacle | None:
    if models.model_path or models.edit_only:
        return None
    return Obstacle(
        what="no model is configured",
        advice="set model_path under [default.qwen_image] to a folder or to Qwen/Qwen-Image-Layered (58 GB)",
    )


def _uninstalled() -> Obstacle | None:
    unmet = unmet_requirements()
    return Obstacle(what=f"{unmet[0].name} is {unmet[0].value}", advice=unmet[0].advice) if unmet else None


def _without_accelerator() -> Obstacle | None:
    return None if _accelerator() else NO_ACCELERATOR


@functools.cache
def _accelerator() -> bool:
    """Ask torch in another process, so that the service neither holds a device nor waits for the import."""
    try:
        done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, timeout=PROBE_S)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.strip() != "cpu"
