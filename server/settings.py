"""The configuration: every key with its default, and the order of precedence.

Command line > environment (`LLM_DIT_SERVER__PORT=9000`) > file (`config.toml`) > the defaults below. In the file
`[default]`, `[default.server]`, `[default.webhook]`, `[default.qwen_image]`, `[default.remote]` and `[default.ray]`
hold the keys; a profile `[NAME.*]` overrides `[default.*]`.
`LLM_DIT_CONFIG` sets the file and `LLM_DIT_PROFILE` the profile, unless the command line does.
"""

import base64
import ipaddress
import os
import re
import tomllib
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, cast
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from llm_dit.errors import InputError
from llm_dit.options import EngineName, Guidance, LayerNum, OutputSize, Resolution, Speed, Steps, bounds
from llm_dit.qwen.loading.loras import parse_loras
from server.errors import SettingsError

EngineChoice = Literal["auto", EngineName]
Tree = Mapping[str, object]
ENVIRONMENT_PREFIX = "LLM_DIT_"
DEFAULT_FILE = Path("config.toml")
SETTINGS_FILE = Path(__file__).parents[1] / "config.toml"
"""Every key with its default and a comment."""
SINGLE_QUOTES = "Write a Windows path in single quotes, which keep the backslashes: 'C:\\models\\layered'."
_DOUBLE_QUOTED_BACKSLASH = re.compile(r'^[^#\n]*"[^"\n]*\\', re.MULTILINE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
KEY_PREFIX = "whsec_"
"""What secrets begin with in Standard Webhooks."""
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,251}[a-z0-9])?")
_PREFIX = re.compile(r"(?=.{1,200}\Z)(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")


def _number(value: object) -> object:
    """Return digits as a number: the environment has only text, and a `Literal` of numbers does not accept text."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def _truth(value: object) -> object:
    """Return "true" and "false" as booleans: the environment has only text."""
    return (
        {"true": True, "1": True, "false": False, "0": False}.get(value.lower(), value)
        if isinstance(value, str)
        else value
    )


def _path(value: object) -> object:
    """Return a path without the quotes that Windows' shell keeps; refuse one in which TOML has read an escape."""
    if not isinstance(value, str):
        return value
    bare = value.strip()
    bare = bare[1:-1] if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "\"'" else bare
    if _CONTROL.search(bare):
        raise ValueError(f"it contains a backslash that TOML read as an escape. {SINGLE_QUOTES}")
    return bare


PathText = Annotated[str, BeforeValidator(_path)]


def _listed(value: object) -> object:
    """Return comma-separated text as a list: the environment has only text."""
    return [item for item in value.split(",") if item.strip()] if isinstance(value, str) else value


def parse_ip(text: str) -> IPAddress | None:
    """Return an IP address, or None for a name; an IPv4-mapped IPv6 address becomes the IPv4 address."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def parse_network(text: object) -> Network:
    """Return an address, or a network such as 10.0.0.0/8, as a network; raises `ValueError`."""
    try:
        return ipaddress.ip_network(str(text).strip(), strict=False)
    except ValueError:
        raise ValueError("each must be an address or a network, such as 127.0.0.1 or 172.16.0.0/12") from None


def host_name(text: str) -> str:
    """Return a name or an address as in a Host header; raises `ValueError` if it is neither."""
    name = text.strip().lower()
    address = parse_ip(name.removeprefix("[").removesuffix("]"))
    if address is not None and not address.is_unspecified:
        return bracketed(str(address))
    if address is None and _HOST_NAME.fullmatch(name):
        return name
    raise ValueError("each must be a name or an address without a port, such as studio.lan or 192.168.1.20, and no *")


def path_prefix(text: str) -> str:
    """Return the path prefix of all addresses, without its final slash, "" for none; raises `ValueError`.

    It is used in pages, cookies and redirects, so it must not look like another host, a scheme or markup.
    """
    prefix = text.strip().removesuffix("/")
    if prefix and not _PREFIX.fullmatch(prefix):
        raise ValueError("it must be a path such as /studio, of ASCII letters, digits, -, _, ~ and dots")
    return prefix


def bracketed(host: str) -> str:
    """Return a host as in a URL: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host else host


def _host_names(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(host_name, names))


def _sendable(token: SecretStr) -> SecretStr:
    """Refuse a token that an Authorization header cannot carry."""
    if all("!" <= character <= "~" for character in token.get_secret_value()):
        return token
    raise ValueError("it must be of ASCII letters, digits and signs, without spaces")


def _web_address(url: SecretStr) -> SecretStr:
    """Refuse text that is no http or https address; it may contain a secret, so the message does not repeat it."""
    text = url.get_secret_value()
    if not text:
        return url
    try:
        parts = urlsplit(text)
        named = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        valid = named and "@" not in parts.netloc and all("!" <= character <= "~" for character in text)
    except ValueError:
        valid = False
    if valid:
        return url
    raise ValueError("it must be an address such as https://hooks.example.org/llm-dit, without a user name")


def _signing_key(secret: SecretStr) -> SecretStr:
    """Refuse a secret that Standard Webhooks does not have."""
    text = secret.get_secret_value()
    if not text:
        return secret
    try:
        key = base64.b64decode(text.removeprefix(KEY_PREFIX), validate=True)
    except ValueError:
        key = b""
    if text.startswith(KEY_PREFIX) and len(key) >= 24:
        return secret
    raise ValueError("it must be whsec_ and at least 24 bytes in base64: echo whsec_$(openssl rand -base64 32)")


def _two_devices(value: str) -> str:
    """Refuse text that does not name two devices; torch checks later that they exist."""
    names = [name.strip() for name in value.split(",")]
    if value and (len(names) != 2 or not all(names)):
        raise ValueError('it must name two, as "cuda:0,cuda:1" does')
    return value


def _cluster(address: str) -> str:
    """Refuse text that names no Ray cluster."""
    if re.fullmatch(r"(local|auto|\S+:\d{1,5})?", address):
        return address
    raise ValueError('it must be "local", "auto" or HOST:PORT')


def _gpus(number: str) -> str:
    """Refuse text that is no number of GPUs."""
    if re.fullmatch(r"auto|\d+(\.\d+)?", number):
        return number
    raise ValueError('it must be "auto" or a number, such as 1 or 0.5')


def _loras(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse text that is no LoRA entry; the engine checks later that the LoRA exists."""
    try:
        parse_loras(texts, "it")
    except InputError as error:
        raise ValueError(error.message) from None
    return texts


Loras = Annotated[tuple[PathText, ...], BeforeValidator(_listed), AfterValidator(_loras)]


class ServerSettings(BaseModel, extra="forbid", frozen=True):
    """`[default.server]`: the address of the service and its limits."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    token: Annotated[SecretStr, AfterValidator(_sendable)] = SecretStr("")
    """The token that every request must send; without one, the service answers this machine only."""
    insecure: bool = False
    """Answer other machines without a token."""
    allowed_hosts: Annotated[tuple[str, ...], BeforeValidator(_listed), AfterValidator(_host_names)] = ()
    """Further names and addresses of this service in browsers."""
    trusted_proxies: Annotated[
        tuple[Annotated[Network, BeforeValidator(parse_network)], ...], BeforeValidator(_listed)
    ] = ()
    """Addresses and networks of proxies whose X-Forwarded headers are trusted."""
    root_path: Annotated[str, AfterValidator(path_prefix)] = ""
    """The path of this service behind a proxy, if the proxy does not send it."""
    client_timeout_s: Annotated[float, Field(gt=0)] = 10.0
    """Seconds for a request's header, and for its body in addition to the time that it takes at 32 kB/s."""
    data_dir: Annotated[Path, BeforeValidator(_path)] = Path("data")
    """The folder for images; created if it is missing."""
    max_queue: Annotated[int, Field(ge=1, le=1000)] = 32
    """Most waiting jobs; further ones get 503."""
    max_queue_per_client: Annotated[int, Field(ge=0)] = 0
    """Most waiting jobs of one client; 0: no own limit."""
    max_finished_jobs: Annotated[int, Field(ge=1)] = 200
    """Most finished jobs to keep; the oldest goes first."""
    log_format: Literal["text", "json"] = "text"
    """Lines for people, or one JSON object per line."""
    cancel_grace_s: Annotated[float, Field(gt=0)] = 10.0
    """Seconds for a canceled run to stop before its process is killed."""
    stall_timeout_s: Annotated[float, Field(gt=0)] = 60.0
    """Seconds without a step after which a run counts as hung; at least ten times its median step."""
    load_timeout_s: Annotated[float, Field(gt=0)] = 1800.0
    """Seconds without progress after which loading counts as hung."""
    previews: bool = True
    """Show previews of layers while Qwen-Image works on them."""
    drain_s: Annotated[float, Field(ge=0)] = 10.0
    """Seconds for a run to end after a stop signal; then it returns to the queue for the next start."""
    idle_unload_s: Annotated[float, Field(ge=0)] = 0.0
    """Unload the models after so many seconds without a job; 0: never."""
    max_store_gb: Annotated[float, Field(gt=0)] = 20.0
    """Unused pictures are removed, the oldest first, while the store is larger."""
    max_age_days: Annotated[float, Field(gt=0)] = 30.0
    """Finished jobs and unused pictures are removed after so many days."""
    max_body_mb: Annotated[float, Field(gt=0)] = 32.0
    max_projects: Annotated[int, Field(ge=1)] = 1000
    """Most projects; deleted ones do not count."""
    max_projects_gb: Annotated[float, Field(gt=0)] = 50.0
    """Total size of all projects, each with its pictures; deleted ones do not count."""
    max_project_mb: Annotated[float, Field(gt=0)] = 1024.0
    """The largest project file, and the total size of its pictures."""
    max_pixels: Annotated[int, Field(ge=1)] = 16_777_216
    """Width × height of one image."""
    max_side: Annotated[int, Field(ge=1)] = 8192
    max_stack_pixels: Annotated[int, Field(ge=1)] = 268_435_456
    """Most pixels that all layers of a composite or an export cover together, by the boxes around visible pixels.
    A run's own result, the most layers of the largest picture, always fits."""

    @property
    def stack_pixels(self) -> int:
        """The effective `max_stack_pixels`: every result of this service can be exported."""
        return max(self.max_stack_pixels, bounds(LayerNum)[1] * self.max_pixels)


class WebhookSettings(BaseModel, extra="forbid", frozen=True):
    """`[default.webhook]`: where the service reports the end of each job."""

    url: Annotated[SecretStr, AfterValidator(_web_address)] = SecretStr("")
    """The address of the receiver; empty: no webhook. Some receivers have their secret in it."""
    secret: Annotated[SecretStr, AfterValidator(_signing_key)] = SecretStr("")
    """Signs the messages, as `whsec_` and base64."""

    @property
    def key(self) -> bytes | None:
        """The bytes of `secret`; None without one."""
        return base64.b64decode(self.secret.get_secret_value().removeprefix(KEY_PREFIX)) or None


class QwenImageSettings(BaseModel, extra="forbid", frozen=True):
    """`[default.qwen_image]`: the models, and the defaults of requests.

    The last six are those of `RunDefaults`: None means the model's own. The others, and `speed`, are arguments of
    `QwenImageDiffusersPipeline.from_pretrained`; "" means its own choice.
    """

    model_path: PathText = ""
    edit_model_path: PathText = ""
    transformer_path: PathText = ""
    """One file, .safetensors or .gguf, whose transformer replaces the model's."""
    edit_transformer_path: PathText = ""
    cpu_offload: Annotated[
        Literal[True, False, "auto", "resident", "model", "stream", "sequential"], BeforeValidator(_truth)
    ] = True
    load_edit_model: bool = False
    edit_only: bool = False
    device: str = ""
    devices: Annotated[str, AfterValidator(_two_devices)] = ""
    """Two GPUs instead of `device`; the second runs one of guidance's branches."""
    torch_dtype: Literal["", "bfloat16", "float16", "float32"] = ""
    quantization: Literal["", "fp8", "nf4"] = ""
    fused: bool = True
    revision: str = ""
    edit_revision: str = ""
    loras: Loras = ()
    edit_loras: Loras = ()
    layer_num: LayerNum | None = None
    resolution: Annotated[Resolution | None, BeforeValidator(_number)] = None
    num_inference_steps: Steps | None = None
    cfg_scale: Guidance | None = None
    speed: Speed = "exact"
    output_size: OutputSize | None = None


WebAddress = Annotated[str, Field(pattern=r"^(https?://\S+)?$")]


class RemoteSettings(BaseModel, extra="forbid", frozen=True):
    """`[default.remote]`: who does the runs of engine "remote": another instance of this service, or servers of one
    model each that speak OpenAI's API for images, at `url` and `edit_url`. Only the latter heed `timeout_s`."""

    url: WebAddress = ""
    edit_url: WebAddress = ""
    timeout_s: Annotated[float, Field(gt=0, le=86_400)] = 1800.0
    token: Annotated[SecretStr, AfterValidator(_sendable)] = SecretStr("")


class RaySettings(BaseModel, extra="forbid", frozen=True):
    """`[default.ray]`: a Ray cluster whose replicas run the engine, each one job at a time."""

    address: Annotated[str, AfterValidator(_cluster)] = ""
    """"local": a cluster of this service's own; "auto": that of this machine; HOST:PORT; empty: no cluster."""
    application: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")] = "llm-dit"
    """The name in Ray Serve; services with the same settings share its replicas."""
    min_replicas: Annotated[int, Field(ge=1, le=1000)] = 1
    max_replicas: Annotated[int, Field(ge=1, le=1000)] = 1
    num_gpus: Annotated[str, BeforeValidator(str), AfterValidator(_gpus)] = "auto"
    """GPUs of each replica; "auto": 1 for Qwen-Image, 0 for the classical engine."""
    num_cpus: Annotated[float, Field(ge=0)] = 1.0
    upscale_delay_s: Annotated[float, Field(ge=0)] = 10.0
    downscale_delay_s: Annotated[float, Field(ge=0)] = 600.0
    longest_run_s: Annotated[float, Field(gt=0)] = 1800.0
    """How long a replica that is taken away may still work on its job."""

    @property
    def most(self) -> int:
        """The effective `max_replicas`."""
        return max(self.min_replicas, self.max_replicas)


class Settings(BaseModel, extra="forbid", frozen=True):
    """`[default]`: the engine; and the sections."""

    engine: EngineChoice = "auto"
    server: ServerSettings = ServerSettings()
    webhook: WebhookSettings = WebhookSettings()
    qwen_image: QwenImageSettings = QwenImageSettings()
    remote: RemoteSettings = RemoteSettings()
    ray: RaySettings = RaySettings()


def load_settings(
    path: Path | None = None,
    profile: str | None = None,
    overrides: Tree | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Settings:
    """Return the effective settings; raises `SettingsError` with one line that names the invalid value and its source.

    `overrides` are the command line's values, nested as in the file: `{"server": {"port": 9000}}`.
    """
    path = path or (Path(environment["LLM_DIT_CONFIG"]) if "LLM_DIT_CONFIG" in environment else None)
    profile = profile or environment.get("LLM_DIT_PROFILE", "default")
    layers: dict[str, Tree] = {
        "the command line": overrides or {},
        "the environment": _read_environment(environment),
        str(path or DEFAULT_FILE): _read_file(path, profile),
    }
    merged: Tree = {}
    for layer in reversed(layers.values()):
        merged = _overlay(merged, layer)
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        raise SettingsError(_describe(error.errors()[0], layers)) from None


def _read_environment(environment: Mapping[str, str]) -> Tree:
    tree: dict[str, object] = {}
    for name, value in environment.items():
        if name.startswith(ENVIRONMENT_PREFIX) and name not in {"LLM_DIT_CONFIG", "LLM_DIT_PROFILE"}:
            entry: object = value
            for key in reversed(name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")):
                entry = {key: entry}
            tree = _overlay(tree, cast(Tree, entry))
    return tree


def _read_file(path: Path | None, profile: str) -> Tree:
    """Return the tables of `default`, overridden by a profile's; without a `path` the default file may be missing."""
    file = path or DEFAULT_FILE
    if path is None and not file.exists():
        profiles: Mapping[str, object] = {}
    else:
        profiles = _parse(file)
    for name, tables in profiles.items():
        if not isinstance(tables, Mapping):
            raise SettingsError(f"{file}: {name!r} is outside a table: move it below [default] or [default.server].")
    if profile not in {"default", *profiles}:
        known = ", ".join(sorted({"default", *profiles}))
        raise SettingsError(f"{file}: there is no profile {profile!r}; there is: {known}.")
    return _overlay(cast(Tree, profiles.get("default", {})), cast(Tree, profiles.get(profile, {})))


def _parse(file: Path) -> dict[str, object]:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read ({error.strerror}): check --config and the permissions.") from None
    try:
        # Notepad and PowerShell begin a file with a byte order mark, and PowerShell's ">" writes UTF-16.
        text = content.decode("utf-16" if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig")
    except UnicodeDecodeError:
        raise SettingsError(f"{file}: is not UTF-8 text: save it as UTF-8.") from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        hint = f" {SINGLE_QUOTES}" if _DOUBLE_QUOTED_BACKSLASH.search(text) else ""
        raise SettingsError(f"{file}: is not TOML: {error}.{hint}") from None


def _overlay(below: Tree, above: Tree) -> dict[str, object]:
    """Return both trees merged; a value of `above` wins."""
    merged = dict(below)
    for key, value in above.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = _overlay(cast(Tree, merged[key]), cast(Tree, value))
        else:
            merged[key] = value
    return merged


def _describe(problem: ErrorDetails, layers: Mapping[str, Tree]) -> str:
    location = [str(part) for part in problem["loc"]]
    source = next((name for name, tree in layers.items() if _holds(tree, location)), "the settings")
    if problem["type"] == "extra_forbidden":
        known = ", ".join(_known_keys(location[:-1]))
        return f"{source}: there is no key {'.'.join(location)!r}; there is: {known}."
    secret = location[-1] == "token" or location[0] == "webhook"
    value = "…" if secret else repr(problem["input"])
    return f"{source}: {'.'.join(location)} = {value} is not valid: {_in_our_words(problem['msg'])}."


def _holds(tree: object, location: list[str]) -> bool:
    for key in location:
        if not isinstance(tree, Mapping) or key not in tree:
            return False
        tree = cast(Tree, tree)[key]
    return True


def _known_keys(section: list[str]) -> list[str]:
    model: type[BaseModel] = Settings
    for name in section:
        model = cast(type[BaseModel], model.model_fields[name].annotation)
    return [".".join([*section, name]) for name in model.model_fields]


def _in_our_words(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Input should be", "it must be").rstrip(".")
