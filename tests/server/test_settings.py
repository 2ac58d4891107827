"""The configuration: what counts before what, and what a mistake is answered with."""

import re
import tomllib
from pathlib import Path

import pytest

from llm_dit.options import QWEN_IMAGE, Guidance, LayerNum, Steps, bounds
from server.errors import SettingsError
from server.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "service.toml"
    path.write_text('[default]\nengine = "classical"\n[default.server]\nport = 1\nhost = "h"\n[big.server]\nport = 2\n')
    return path


def test_without_anything_the_defaults_are_in_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings(environment={}) == Settings()


def test_the_file_of_the_folder_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    monkeypatch.chdir(tmp_path)
    file.rename("config.toml")
    assert load_settings(environment={}).server.port == 1


def test_command_line_goes_before_environment_before_profile_before_default(file: Path) -> None:
    environment = {"LLM_DIT_SERVER__PORT": "3", "HOME": "/"}
    assert load_settings(file, environment={}).server.port == 1
    assert load_settings(file, "big", environment={}).server.port == 2
    assert load_settings(file, "big", environment=environment).server.port == 3
    settings = load_settings(file, "big", {"server": {"port": 4}}, environment)
    assert (settings.server.port, settings.server.host, settings.engine) == (4, "h", "classical")


def test_environment_names_file_profile_and_every_key(file: Path) -> None:
    environment = {
        "LLM_DIT_CONFIG": str(file),
        "LLM_DIT_PROFILE": "big",
        "LLM_DIT_ENGINE": "auto",
        "LLM_DIT_QWEN_IMAGE__CPU_OFFLOAD": "false",
        "LLM_DIT_QWEN_IMAGE__RESOLUTION": "1024",
    }
    settings = load_settings(environment=environment)
    assert (settings.server.port, settings.engine, settings.qwen_image.cpu_offload) == (2, "auto", False)
    assert settings.qwen_image.resolution == 1024


def test_the_door_is_set_from_file_and_environment(file: Path) -> None:
    file.write_text('[default.server]\ntoken = "secret-of-the-file"\nallowed_hosts = ["Studio.lan", "fd00::0:7"]\n')
    server = load_settings(file, environment={}).server
    assert server.allowed_hosts == ("studio.lan", "[fd00::7]")
    assert "secret" not in repr(server) + str(server.model_dump(mode="json"))
    environment = {"LLM_DIT_SERVER__ALLOWED_HOSTS": "192.168.1.20, nas.local", "LLM_DIT_SERVER__INSECURE": "true"}
    server = load_settings(file, environment=environment).server
    assert (server.allowed_hosts, server.insecure) == (("192.168.1.20", "nas.local"), True)
    assert load_settings(file, environment={"LLM_DIT_SERVER__ALLOWED_HOSTS": ""}).server.allowed_hosts == ()


@pytest.mark.parametrize(
    "name", ["*", "*.lan", "", "studio.lan:8000", "http://studio.lan", "a b", "0.0.0.0", "::", "é"]
)
def test_what_is_no_host_is_not_allowed_as_one(name: str) -> None:
    with pytest.raises(
        SettingsError, match=r"server\.allowed_hosts = .* is not valid: each must be a name or an address"
    ):
        load_settings(overrides={"server": {"allowed_hosts": [name]}}, environment={})


@pytest.mark.parametrize("token", ["two words", "é" * 20, "line\n", "\x7f"])
def test_a_token_that_is_not_valid_is_not_repeated(token: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(overrides={"server": {"token": token}}, environment={})
    assert "server.token = … is not valid: it must be of ASCII letters" in caught.value.message
    assert token not in caught.value.message


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        *(
            ("url", value, "an address such as")
            for value in (
                "hooks.lan/k3y",
                "ftp://hooks.lan/k3y",
                "http://",
                "http://me:k3y@hooks.lan",
                "http://a b/k3y",
            )
        ),
        *(("url", f"http://hooks.lan:{port}/k3y", "an address such as") for port in ("x", "0", "99999")),
        *(("secret", value, "whsec_ and at least 24 bytes") for value in ("k3y", "whsec_k3y=", "whsec_" + "k3y!" * 9)),
    ],
)
def test_a_webhook_that_is_not_valid_is_not_repeated(key: str, value: str, what: str) -> None:
    with pytest.raises(
        SettingsError, match=rf"^the command line: webhook\.{key} = … is not valid: it must be {what}"
    ) as caught:
        load_settings(overrides={"webhook": {key: value}}, environment={})
    assert "k3y" not in caught.value.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[default.server]\nprot = 1", r"there is no key 'server\.prot'; there is: server\.host, server\.port, .*\."),
        (
            "[default.sever]\nport = 1",
            r"there is no key 'sever'; there is: engine, server, webhook, qwen_image, remote, ray\.",
        ),
        ("[default.server]\nport = 99999", r"server\.port = 99999 is not valid: it must be less than .* 65535\."),
        ("[default.server]\nport = 'x'", r"server\.port = 'x' is not valid: it must be a valid integer.*\."),
        (
            "[default]\nengine = 'gpu'",
            r"engine = 'gpu' is not valid: it must be 'auto', .* or 'remote'\.",
        ),
        ("[default]\nserver = 3", r"server = 3 is not valid: .*\."),
        ("[default.qwen_image]\nresolution = 512", r"qwen_image\.resolution = 512 is not valid: .*640 or 1024\."),
        (
            "[default.qwen_image]\ncpu_offload = 'disk'",
            r"qwen_image\.cpu_offload = 'disk' is not valid: it must be True, False, 'auto', .* or 'sequential'\.",
        ),
        (
            "[default.qwen_image]\ndevices = 'cuda:0'",
            r"qwen_image\.devices = 'cuda:0' is not valid: it must name two, as \"cuda:0,cuda:1\" does\.",
        ),
        (
            "[default.qwen_image]\nedit_loras = ['a.safetensors:99']",
            r"qwen_image\.edit_loras = \['a\.safetensors:99'\] is not valid: A weight of it must be from -10 to 10\.",
        ),
        ("port = 1", r"'port' is outside a table: move it below \[default\] or \[default\.server\]\."),
        ("default = 1", r"'default' is outside a table.*"),
        ("[default", r"is not TOML: .*\."),
        ("[default]\nengine = '\udcff'", r"is not UTF-8 text: save it as UTF-8\."),
    ],
)
def test_a_mistake_in_the_file_is_told_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "my.toml"
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(SettingsError) as caught:
        load_settings(file, environment={})
    assert re.fullmatch(f"{re.escape(str(file))}: {message}", caught.value.message), caught.value.message


def test_a_mistake_elsewhere_names_where(tmp_path: Path, file: Path) -> None:
    with pytest.raises(SettingsError, match=r"^the environment: there is no key 'server\.prot'"):
        load_settings(file, environment={"LLM_DIT_SERVER__PROT": "1"})
    with pytest.raises(SettingsError, match=r"^the environment: there is no key 'porty'"):
        load_settings(file, environment={"LLM_DIT_PORTY": "1"})
    with pytest.raises(SettingsError, match=r"^the command line: server\.port = -1 is not valid"):
        load_settings(file, overrides={"server": {"port": -1}}, environment={"LLM_DIT_SERVER__PORT": "1"})
    with pytest.raises(SettingsError, match=r"no profile 'small'; there is: big, default\."):
        load_settings(file, "small", environment={})
    with pytest.raises(SettingsError, match=r"none\.toml: cannot be read \(No such file or directory\)"):
        load_settings(tmp_path / "none.toml", environment={})
    with pytest.raises(SettingsError, match=r": cannot be read \(Is a directory\)"):
        load_settings(tmp_path, environment={})


def test_the_file_of_the_repository_shows_every_key_at_its_default() -> None:
    text = (ROOT / "config.toml").read_text(encoding="utf-8")
    shown = tomllib.loads(re.sub(r"^# (?=\w+ = )", "", text, flags=re.MULTILINE).partition("# [lan")[0])["default"]
    expected = Settings().model_dump(mode="json")
    expected["qwen_image"] |= QWEN_IMAGE._asdict()  # what is left out is the model's own
    assert shown == expected
    for option in (LayerNum, Steps, Guidance):
        assert "–".join(map(str, bounds(option))) in text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_of_any_editor_is_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes('[default.qwen_image]\nmodel_path = "模型"\n'.encode(encoding))
    assert load_settings(path, environment={}).qwen_image.model_path == "模型"


@pytest.mark.parametrize(
    "line", [r'model_path = "C:\Users\me\layered"', r'model_path = "D:\qwen"', r'model_path = "C:\new"']
)
def test_a_windows_path_in_double_quotes_is_answered_with_what_to_write(tmp_path: Path, line: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(f"[default.qwen_image]\n{line}\n")
    with pytest.raises(SettingsError, match=r"single quotes"):
        load_settings(path, environment={})
    path.write_text("[default.qwen_image]\n" + line.replace('"', "'") + "\n")
    assert load_settings(path, environment={}).qwen_image.model_path.startswith(line.split('"')[1][:3])


def test_quotes_that_a_shell_kept_are_no_part_of_a_path() -> None:
    settings = load_settings(
        environment={"LLM_DIT_QWEN_IMAGE__MODEL_PATH": '"C:\\models\\layered"', "LLM_DIT_CONFIG": "/dev/null"}
    )
    assert settings.qwen_image.model_path == "C:\\models\\layered"
