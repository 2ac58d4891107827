"""Firefox and WebKitGTK as people have them, which Playwright does not drive: by WebDriver BiDi and by WebDriver.

Debian: `apt-get install firefox-esr webkit2gtk-driver xvfb`. Both take the same actions of pointers and keys.
"""

import base64
import contextlib
import itertools
import json
import os
import re
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import httpx

from tests.kit.waiting import wait_until

SIZE = (1280, 800)
PREFERENCES = {
    "browser.download.folderList": 2,
    "browser.download.useDownloadDir": True,
    "browser.download.always_ask_before_handling_new_types": False,
    "browser.aboutwelcome.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
}
LISTENS = re.compile(r"WebDriver BiDi listening on ws://[\d.]+:(\d+)")
Actions = list[dict[str, Any]]


class Browser(Protocol):
    """A browser with one page, and the folder that takes what that gives to save."""

    downloads: Path

    @property
    def complaints(self) -> list[str]:
        """What the page wrote to its console, and what went wrong in it."""
        ...

    def open(self, url: str) -> None: ...

    def run(self, function: str, *args: object) -> Any:
        """Return what a JavaScript function, or its promise, gives for these arguments."""
        ...

    def act(self, kind: str, actions: Actions) -> None:
        """Do what a "pointer" or a "key" can do, by the names of WebDriver."""
        ...

    def choose(self, selector: str, file: Path) -> None:
        """Give a file to the first field for files that a selector names."""
        ...


class Firefox:
    """WebDriver BiDi (https://www.w3.org/TR/webdriver-bidi/), over the socket of the browser itself."""

    def __init__(self, port: int, downloads: Path) -> None:
        self.complaints: list[str] = []
        self.downloads = downloads
        self._socket = _WebSocket(port, "/session")
        self._numbers = itertools.count(1)
        self._ask("session.new", capabilities={})
        self._ask("session.subscribe", events=["log.entryAdded"])
        self._page = self._ask("browsingContext.getTree")["contexts"][0]["context"]
        viewport = dict(zip(("width", "height"), SIZE, strict=True))
        self._ask("browsingContext.setViewport", context=self._page, viewport=viewport)

    def open(self, url: str) -> None:
        self._ask("browsingContext.navigate", context=self._page, url=url, wait="complete")

    def run(self, function: str, *args: object) -> Any:
        # As text, values need none of the protocol's own types.
        said = f"async (args) => JSON.stringify((await ({function})(...JSON.parse(args))) ?? null)"
        return json.loads(self._call(said, {"type": "string", "value": json.dumps(args)})["value"])

    def act(self, kind: str, actions: Actions) -> None:
        self._ask("input.performActions", context=self._page, actions=[{"type": kind, "id": kind, "actions": actions}])

    def choose(self, selector: str, file: Path) -> None:
        field = self._call("(selector) => document.querySelector(selector)", {"type": "string", "value": selector})
        element = {"sharedId": field["sharedId"]}
        self._ask("input.setFiles", context=self._page, element=element, files=[str(file)])

    def close(self) -> None:
        self._socket.close()

    def _call(self, function: str, argument: dict[str, str]) -> dict[str, Any]:
        how = {"functionDeclaration": function, "arguments": [argument], "awaitPromise": True}
        answer = self._ask("script.callFunction", target={"context": self._page}, **how)
        assert answer["type"] == "success", answer
        return answer["result"]

    def _ask(self, method: str, **params: object) -> dict[str, Any]:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            said = json.loads(self._socket.receive())
            if said.get("id") == number:
                assert said["type"] == "success", (method, said)
                return said["result"]
            if said.get("method") == "log.entryAdded" and said["params"]["level"] in {"error", "warn"}:
                self.complaints.append(str(said["params"]["text"]))


class WebKit:
    """WebDriver (https://www.w3.org/TR/webdriver2/), by way of WebKitGTK's own driver."""

    def __init__(self, port: int, downloads: Path, browser: str) -> None:
        self.downloads = downloads
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=300)
        options = {"binary": browser, "args": ["--automation"]}
        wanted = {"capabilities": {"alwaysMatch": {"webkitgtk:browserOptions": options}}}
        self._session = f"/session/{self._ask('/session', **wanted)['sessionId']}"
        self._ask(f"{self._session}/timeouts", script=300_000)
        self._ask(f"{self._session}/window/rect", width=SIZE[0], height=SIZE[1])

    @property
    def complaints(self) -> list[str]:
        return self.run("() => window.complaints ?? []")

    def open(self, url: str) -> None:
        self._ask(f"{self._session}/url", url=url)
        # The driver tells of no console.
        self.run(
            "() => { const told = (window.complaints = []); for (const kind of ['error', 'unhandledrejection'])"
            " addEventListener(kind, (event) => told.push(String(event.reason ?? event.message))); }"
        )

    def run(self, function: str, *args: object) -> Any:
        script = (
            f"const done = arguments[0]; (async () => ({function})(...{json.dumps(args)}))()"
            ".then((value) => done({ value: value ?? null }), (error) => done({ error: String(error) }));"
        )
        said = self._ask(f"{self._session}/execute/async", script=script, args=[])
        assert "error" not in said, said
        return said["value"]

    def act(self, kind: str, actions: Actions) -> None:
        self._ask(f"{self._session}/actions", actions=[{"type": kind, "id": kind, "actions": actions}])

    def choose(self, selector: str, file: Path) -> None:
        found = self._ask(f"{self._session}/element", using="css selector", value=selector)
        self._ask(f"{self._session}/element/{next(iter(found.values()))}/value", text=str(file))

    def close(self) -> None:
        self._client.delete(self._session)
        self._client.close()

    def _ask(self, path: str, **body: object) -> Any:
        answer = self._client.post(path, json=body)
        assert answer.status_code == 200, (path, answer.text)
        return answer.json()["value"]


class _WebSocket:
    """As much of RFC 6455 as a driver takes: whole messages of text, from a program on this computer."""

    def __init__(self, port: int, path: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=300)
        self._file = self._socket.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", ""]
        self._socket.sendall("\r\n".join(lines).encode())
        assert b" 101 " in self._file.readline()
        while self._file.readline().strip():
            pass

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def send(self, text: str) -> None:
        content, mask = text.encode(), os.urandom(4)
        # The first bit says that there is a mask; 126 and 127 that two or eight bytes of length follow.
        if len(content) < 126:
            length = bytes([128 | len(content)])
        else:
            large = len(content) >= 65_536
            length = struct.pack(">BQ" if large else ">BH", 255 if large else 254, len(content))
        masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(content))
        self._socket.sendall(b"\x81" + length + mask + masked)

    def receive(self) -> str:
        message = b""
        while True:
            first, length = self._file.read(2)
            if length >= 126:
                length = int.from_bytes(self._file.read(2 if length == 126 else 8), "big")
            content = self._file.read(length)
            if first & 15 < 3:  # text, and what goes on with it
                message += content
                if first & 128:
                    return message.decode()


@contextlib.contextmanager
def firefox(folder: Path) -> Iterator[Browser]:
    """Lend Firefox with a profile of its own, its downloads in a folder of that."""
    downloads = folder / "downloads"
    downloads.mkdir()
    lines = {**PREFERENCES, "browser.download.dir": str(downloads)}.items()
    (folder / "user.js").write_text("".join(f"user_pref({json.dumps(a)}, {json.dumps(b)});\n" for a, b in lines))
    log = folder / "firefox.log"
    command = ["firefox-esr", "--headless", "--no-remote", "--profile", str(folder), "--remote-debugging-port", "0"]
    with log.open("w") as out, _process(command, out, HOME=str(folder)):
        wait_until(lambda: LISTENS.search(log.read_text()), "Firefox")
        port = LISTENS.search(log.read_text())
        assert port
        with contextlib.closing(Firefox(int(port[1]), downloads)) as lent:
            yield lent


@contextlib.contextmanager
def webkit(folder: Path, screen: str) -> Iterator[Browser]:
    """Lend WebKitGTK's small browser on a screen, with a home of its own."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    # Debian keeps the browser among the library's own programs.
    (browser,) = map(str, Path("/usr/lib").glob("*/webkit2gtk-4.1/MiniBrowser"))
    around = {"HOME": str(folder), "DISPLAY": screen, "XDG_RUNTIME_DIR": str(folder), "GDK_BACKEND": "x11"}
    with (folder / "webkit.log").open("w") as out, _process(["WebKitWebDriver", f"--port={port}"], out, **around):
        wait_until(lambda: _answers(port), "WebKitWebDriver")
        # It saves what it is given into its home.
        with contextlib.closing(WebKit(port, folder, browser)) as lent:
            yield lent


def _answers(port: int) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"http://127.0.0.1:{port}/status").status_code == 200
    return False


@contextlib.contextmanager
def _process(command: list[str], out: Any, **environment: str) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, **environment})
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=60)


def missing() -> list[str]:
    """Return how to install what is not here."""
    packages = {"firefox-esr": "firefox-esr", "WebKitWebDriver": "webkit2gtk-driver", "Xvfb": "xvfb"}
    return [f"apt-get install {package}" for name, package in packages.items() if shutil.which(name) is None]
