"""Random bytes over the pages of the database, one after the other, and what the service then makes of it.

    python -m tests.stress.database_damage [--tries 100] [--seed 1] [--part] [--json FILE]

A service keeps projects of all sizes, deleted ones among them, and jobs, and is stopped. Each try takes a copy of its
folder, writes random bytes over one page (over some of its bytes with `--part`), and starts `llm-dit serve` on it.
Floors: it ends within 10 s with a sentence, or lists every project whose row SQLite can still read by its id; what it
lists opens, or is told to be damaged; no answer is a 500; and while `/readyz` says ready a new project can be kept.
"""

import argparse
import contextlib
import http.client
import json
import random
import shutil
import sqlite3
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.kit.report import part, report_parts
from tests.kit.running import ADDRESS, STAND_IN, Running, begin, running
from tests.kit.waiting import PATIENCE_S

PROJECTS = 24
SIZES = (20, 300, 2_000, 9_000, 40_000)
"""Characters of a document: within a page, and over many."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--part", action="store_true", help="damage 1 to 64 bytes of a page instead of all")
    parser.add_argument("--json", type=Path, default=Path("tests/stress/out/database_damage.json"))
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    outcomes, misses = Counter[str](), list[str]()
    with tempfile.TemporaryDirectory() as name:
        whole = Path(name) / "whole"
        fill(whole, chance)
        pages = (whole / "data/studio.db").stat().st_size // page_size(whole)
        for number in range(arguments.tries):
            folder = Path(name) / str(number)
            shutil.copytree(whole, folder)
            damage(folder / "data/studio.db", number % pages, page_size(whole), chance, partly=arguments.part)
            outcome, missed = try_out(folder)
            outcomes[outcome] += 1
            misses += [f"try {number}, page {number % pages + 1}: {miss}" for miss in missed]
            shutil.rmtree(folder)
    return report_parts(
        arguments.json, {"damage": part(misses, tries=arguments.tries, pages=pages, outcomes=dict(outcomes))}
    )


def fill(folder: Path, chance: random.Random) -> None:
    (folder / "data").mkdir(parents=True)
    with running(folder, program=STAND_IN) as service:
        for number in range(PROJECTS):
            text = "".join(chance.choices("abcdefghij 图层", k=SIZES[number % len(SIZES)]))
            fields = {"name": f"Poster {number} 海报", "document": {"text": text}}
            status, project = ask(service, "POST", "/api/projects", fields)
            assert status == 201, status
            if number % 6 == 5:
                ask(service, "DELETE", f"/api/projects/{project['id']}")


def page_size(folder: Path) -> int:
    with contextlib.closing(sqlite3.connect(folder / "data/studio.db")) as database:
        return int(database.execute("PRAGMA page_size").fetchone()[0])


def damage(file: Path, page: int, size: int, chance: random.Random, *, partly: bool) -> None:
    with file.open("rb+") as database:
        length = chance.randrange(1, 65) if partly else size
        database.seek(page * size + (chance.randrange(size - length) if partly else 0))
        database.write(chance.randbytes(length))


def readable(file: Path, whole: Path) -> set[str]:
    """Return the ids of the projects whose row SQLite can still read by it, of those that are not deleted."""
    with contextlib.closing(sqlite3.connect(whole)) as database:
        ids = [row[0] for row in database.execute("SELECT id FROM projects WHERE deleted_at IS NULL")]
    found = set[str]()
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.text_factory = bytes
        for name in ids:
            with contextlib.suppress(sqlite3.Error):
                query = "SELECT * FROM projects WHERE id = ? AND deleted_at IS NULL"
                if database.execute(query, [name]).fetchone() is not None:
                    found.add(name)
    return found


def try_out(folder: Path) -> tuple[str, list[str]]:
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "studio.db"
        shutil.copyfile(folder / "data/studio.db", copy)
        wanted = readable(copy, folder.parent / "whole/data/studio.db")
    began = time.monotonic()
    with (folder / "log").open("wb") as log:
        process = begin(folder, log, program=STAND_IN)
    try:
        while time.monotonic() < began + PATIENCE_S:
            if process.poll() is not None:
                told = "the service cannot start: " in (folder / "log").read_text(errors="replace")
                return "ended", [] if told else ["it ended without a sentence"]
            if address := ADDRESS.search((folder / "log").read_text(errors="replace")):
                with contextlib.suppress(OSError):
                    service = Running(int(address[1]), folder, process)
                    if ask(service, "GET", "/livez")[0] == 200:
                        return look(service, wanted)
            time.sleep(0.05)
        return "late", [f"neither an answer nor an end within {PATIENCE_S:g} s"]
    finally:
        process.kill()
        process.wait()


def look(service: Running, wanted: set[str]) -> tuple[str, list[str]]:
    misses: list[str] = []
    status, answer = ask(service, "GET", "/api/projects")
    listed = {project["id"] for project in answer["projects"]} if status == 200 else set[str]()
    if lacking := wanted - listed:
        misses.append(f"{len(lacking)} projects that can be read are not listed ({status})")
    damaged = 0
    for name in listed:
        status, _ = ask(service, "GET", f"/api/projects/{name}")
        damaged += status == 503
        misses += [] if status in {200, 503} else [f"a listed project answers {status}"]
    until = time.monotonic() + PATIENCE_S
    while (ready := ask(service, "GET", "/readyz"))[0] != 200 and time.monotonic() < until:
        if ready[1]["code"] != "loading":
            return f"not ready: {ready[1]['code']}", misses
        time.sleep(0.05)
    status, _ = ask(service, "POST", "/api/projects", {"name": "New", "document": {}})
    if status != 201:
        misses.append(f"/readyz says ready, and a new project gets {status}")
    return ("rebuilt" if ready[1]["warnings"] else "whole") + (", a document damaged" if damaged else ""), misses


def ask(service: Running, method: str, path: str, fields: object = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=PATIENCE_S)
    with contextlib.closing(connection):
        body = None if fields is None else json.dumps(fields)
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        answer = connection.getresponse()
        content = answer.read()
        return answer.status, json.loads(content) if content else None


if __name__ == "__main__":
    raise SystemExit(main())
