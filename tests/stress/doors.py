"""Who gets in: names, origins, every route without the token, and clients that are slow.

    python -m tests.stress.doors [--sockets 150] [--json tests/stress/out/doors.json]

Each part runs against `llm-dit serve` on a free port of 127.0.0.1. Floors: every right Host header passes and every
wrong one is refused with 400; every change that another site could have a browser send is refused with 403 and leaves
the queue and the data folder as they were; without the token, or with a wrong one, every address but /livez and the
login form is refused with 401 by every method, and with it none is; every slow connection is closed within the time it
has plus 3 s, while /livez answers within 50 ms (99 %).
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from server.settings import load_settings
from tests.kit.report import part, report_parts
from tests.kit.running import Answer, Running, ask, running
from tests.stress import door_cases as cases
from tests.stress.slow_sockets import hold
from web.server import create_app

TOKEN = "a-token-of-the-benchmark"
TIMEOUT_S = 10.0
KEEP_ALIVE_S = 5.0
LIVEZ_P99_S = 0.05


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sockets", type=int, default=150)
    parser.add_argument("--json", type=Path, default=Path("tests/stress/out/doors.json"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), allowed_hosts=cases.ALLOWED_HOST) as service:
        figures = {"hosts": hosts(service), "origins": origins(service)}
        figures["slow_sockets"] = slow_sockets(service, arguments.sockets)
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), token=TOKEN) as service:
        figures["tokenless"] = tokenless(service)
    return report_parts(arguments.json, figures)


def hosts(service: Running) -> dict[str, Any]:
    """Try every Host header."""
    heads = {host: f"Host: {host.format(port=service.port)}" for host in cases.RIGHT_HOSTS}
    answers = {host: ask(service.port, ["GET /livez HTTP/1.1", head]).status for host, head in heads.items()}
    wrong = [f"{host} was refused" for host, status in answers.items() if status != 200]
    for name, headers in cases.WRONG_HOSTS.items():
        # HTTP/1.1 without a Host header ends before the service sees it; HTTP/1.0 need not have one.
        version = "HTTP/1.1" if headers else "HTTP/1.0"
        lines = [line.format(port=service.port) for line in headers]
        if ask(service.port, [f"GET /livez {version}", *lines]).status != 400:
            wrong.append(f"{name} was let in")
    return part(wrong, right=len(cases.RIGHT_HOSTS), refused=len(cases.WRONG_HOSTS))


def origins(service: Running) -> dict[str, Any]:
    """Try every change from elsewhere, look for what it left behind, and see that the page's own changes work."""
    before, wrong, count = _state(service), list[str](), 0
    for change in cases.foreign_changes(service.host):
        count += 1
        answer = ask(service.port, change.lines(service.host), change.body)
        if (answer.status, _code(answer)) != (403, "cross_origin") or "access-control" in answer.head:
            wrong.append(f"{change}: {answer.status}")
    if _state(service) != before:
        wrong.append("something was left behind")
    for change in cases.own_changes(service.host):
        if ask(service.port, change.lines(service.host), change.body).status != 202:
            wrong.append(f"{change} was refused")
    return part(wrong, refused=count, own=len(cases.OWN))


def tokenless(service: Running) -> dict[str, Any]:
    """Try every method on every address without the token, with what is not quite the token, and with the token."""
    wrong, tried = list[str](), Counter[str]()
    for method, path in walk():
        line = f"{method} {path.format(token=TOKEN)} HTTP/1.1"
        for name, header in SHOWN.items():
            shown = [part.format(port=service.port) for part in header]
            answer = ask(service.port, [line, f"Host: {service.host}", *shown])
            tried[name] += 1
            open_to_all = name == "the token" or cases.is_open(method, path)
            challenged = "www-authenticate: bearer" in answer.head
            if (answer.status == 401) == open_to_all or challenged == open_to_all:
                wrong.append(f"{method} {path} with {name}: {answer.status}")
    return part(wrong, **tried)


SHOWN = {
    "nothing": [],
    "a wrong token": ["Authorization: Bearer wrong"],
    "half of the token": [f"Authorization: Bearer {TOKEN[:12]}"],
    "another scheme": [f"Authorization: Basic {TOKEN}"],
    "a token of other letters": ["Authorization: Bearer é"],
    "a made-up cookie": [f"Cookie: llm_dit_login_{{port}}=9999999999.{'0' * 64}; token={TOKEN}"],
    "the token": [f"Authorization: Bearer {TOKEN}"],
}


def walk() -> Iterator[tuple[str, str]]:
    """Yield every method with every address."""
    for path in cases.addresses(create_app(load_settings(environment={}))):
        # A log-in without a form is refused for its type, so nothing here counts as a wrong token at the form.
        yield from ((method, path) for method in cases.METHODS)


def slow_sockets(service: Running, count: int, timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
    """Hold `count` slow connections and ask for /livez meanwhile."""

    seconds: list[float] = []
    # The slow clients live in a process of their own, so that only the service stands between asking and answer.
    with ProcessPoolExecutor(1) as pool:
        held = pool.submit(hold, service.port, count, drip_s=timeout_s / 20)
        while not held.done():
            started = time.perf_counter()
            if ask(service.port, ["GET /livez HTTP/1.1", f"Host: {service.host}"]).status != 200:
                raise RuntimeError("/livez did not answer 200")
            seconds.append(time.perf_counter() - started)
            time.sleep(timeout_s / 500)
        outcomes = held.result()
    wrong = [f"{outcome.kind} stayed open" for outcome in outcomes if outcome.closed_s is None]
    p99 = sorted(seconds)[int(len(seconds) * 0.99)]
    slow = [f"/livez took {p99:.3f} s"] * (p99 > LIVEZ_P99_S)
    slowest: dict[str, float] = {}
    for outcome in outcomes:
        slowest[outcome.kind] = max(slowest.get(outcome.kind, 0), round(outcome.closed_s or 0, 2))
    closed_s, limit_s = max(slowest.values()), max(timeout_s, KEEP_ALIVE_S) + 3
    slow += [f"a connection was closed after {closed_s} s"] * (closed_s > limit_s)
    return part(
        wrong, slow, connections=count, slowest_s=slowest, livez_p99_ms=round(p99 * 1000, 1), asked=len(seconds)
    )


def _state(service: Running) -> tuple[object, list[str]]:
    """Return what a change would change: the queue and the files of the data folder."""
    answer = ask(service.port, ["GET /api/qwen-image/status HTTP/1.1", f"Host: {service.host}"])
    data = service.folder / "data"
    return json.loads(answer.body)["queue"], sorted(str(path) for path in data.rglob("*") if path.is_file())


def _code(answer: Answer) -> str | None:
    try:
        return json.loads(answer.body)["code"]
    except (ValueError, KeyError):
        return None


if __name__ == "__main__":
    sys.exit(main())
