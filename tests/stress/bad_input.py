"""Whatever comes in: damaged pictures through the gate, and requests that are not valid against a running service.

    python -m tests.stress.bad_input [--pictures 60000] [--requests 5000] [--json tests/stress/out/bad_input.json]

Pictures: `tests.web.mutants` damages PNG, JPEG, WebP, GIF, TIFF, BMP and ICO files; each is read or refused with
`ImageError`, in two processes. Requests: `tests.web.corpus` has some by hand, schemathesis makes some from what the
service says of itself, and hypothesis makes bodies; a real service answers one after the other, around a pipeline that
takes no time. Floors: no other exception and no crash; no answer from 500 on; no refusal above 4 KiB; nothing of the
server's insides in any; and after every request a good one gets 200.
"""

# pyright: reportAttributeAccessIssue=false

import argparse
import contextlib
import json
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from tests.kit.pictures import SQUARE_URL
from tests.kit.report import write_report
from tests.kit.service import serve
from tests.kit.waiting import PATIENCE_S
from tests.web.bodies import bodies
from tests.web.corpus import COMPOSITE, CORPUS, DECOMPOSE, EDIT, EXPORT, JSON, LEAK, LONGEST_REFUSAL
from tests.web.mutants import mutants, try_gate

ROOT = Path(__file__).resolve().parents[2]
BATCH = 1000
WORKERS = 2
SHOWN_MISSES = 10


@dataclass
class Answers:
    """What came back, and what should not have."""

    client: httpx.Client
    sent: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    misses: list[str] = field(default_factory=list)
    longest_refusal: int = 0
    slowest_s: float = 0.0

    def take(self, source: str, status: int, content: bytes, seconds: float, request: str) -> None:
        """Judge one answer, then send a good request."""
        self.sent[source] += 1
        self.statuses[status] += 1
        self.slowest_s = max(self.slowest_s, seconds)
        if status >= 400:
            self.longest_refusal = max(self.longest_refusal, len(content))
            if status >= 500 or len(content) > LONGEST_REFUSAL or LEAK.search(content.decode(errors="replace")):
                self.misses.append(f"{status}, {len(content)} bytes: {request[:200]}")
        good = self.client.post(DECOMPOSE, json={"image": SQUARE_URL, "steps": 1, "layer_num": 1})
        if good.status_code != 200:
            self.misses.append(f"{good.status_code} to a good request after {request[:200]}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=60_000)
    parser.add_argument("--requests", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, default=ROOT / "tests/stress/out/bad_input.json")
    arguments = parser.parse_args()
    figures = {
        "pictures": measure_pictures(arguments.pictures, arguments.seed),
        "requests": measure_requests(arguments.requests, arguments.seed),
    }
    passed = not any(part["misses"] for part in figures.values())
    print(json.dumps(figures, indent=2, ensure_ascii=False))
    print("passed" if passed else "MISSED")
    write_report(arguments.json, {**figures, "passed": passed})
    return 0 if passed else 1


def measure_pictures(count: int, first_seed: int) -> dict[str, Any]:
    """Send damaged pictures through the gate, in processes that a crash may take along."""
    begun = time.perf_counter()
    batches = [(first_seed + number, min(BATCH, count - number * BATCH)) for number in range(-(-count // BATCH))]
    results, misses = Counter[str](), list[str]()
    slowest_s = 0.0
    with ProcessPoolExecutor(WORKERS) as processes:
        try:
            for counts, found, slowest in processes.map(try_batch, *zip(*batches, strict=True)):
                results += counts
                misses += found
                slowest_s = max(slowest_s, slowest)
        except BrokenProcessPool:
            misses.append("a process crashed")
    return {
        "tried": results.total(),
        "results": dict(results),
        "slowest_ms": round(slowest_s * 1000, 1),
        "seconds": round(time.perf_counter() - begun, 1),
        "misses": misses,
    }


def try_batch(number: int, count: int) -> tuple[Counter[str], list[str], float]:
    """Return what became of the pictures of one seed, the errors that were none of ours, and the longest time."""
    warnings.simplefilter("ignore")
    results, misses, slowest_s = Counter[str](), list[str](), 0.0
    for index, content in enumerate(mutants(number, count)):
        begun = time.perf_counter()
        try:
            results["read" if try_gate(content) else "refused"] += 1
        except Exception as error:  # noqa: BLE001 - any is a miss
            results["failed"] += 1
            misses.append(f"mutant {index} of seed {number}: {type(error).__name__}: {error}"[:300])
        slowest_s = max(slowest_s, time.perf_counter() - begun)
    return results, misses[:SHOWN_MISSES], slowest_s


def measure_requests(count: int, first_seed: int) -> dict[str, Any]:
    """Send the corpus and `count` requests more, one after the other, to a service of its own."""
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder), app="tests.kit.app:app") as service:
        with service.connect() as client:
            answers = Answers(client)
            send_corpus(answers)
            send_described(service.url, answers, count // 2, first_seed)
            send_bodies(answers, count - answers.sent["schemathesis"], first_seed)
        if "Traceback" in service.log:
            answers.misses.append("the service's log has a traceback")
    return {
        "sent": dict(answers.sent),
        "statuses": {str(status): number for status, number in sorted(answers.statuses.items())},
        "longest_refusal_bytes": answers.longest_refusal,
        "slowest_ms": round(answers.slowest_s * 1000, 1),
        "seconds": round(time.perf_counter() - begun, 1),
        "misses": answers.misses[:SHOWN_MISSES],
    }


def send_corpus(answers: Answers) -> None:
    for case in CORPUS:
        answer = case.send(answers.client)
        answers.take("by hand", answer.status_code, answer.content, answer.elapsed.total_seconds(), case.name)
        if answer.status_code != case.status:
            answers.misses.append(f"{answer.status_code} in place of {case.status}: {case.name}")


def send_described(url: str, answers: Answers, count: int, first_seed: int) -> None:
    """Send requests that schemathesis makes from the service's description: some that fit it, some that do not."""
    schemathesis.serializer.alias("application/zip", "application/octet-stream")
    operations = [found.ok() for found in schemathesis.openapi.from_url(f"{url}/api/openapi.json").get_all_operations()]
    generators = [
        (operation, mode)
        for operation in operations
        for mode in GenerationMode
        if mode is GenerationMode.POSITIVE or list(operation.body) or list(operation.query)
    ]
    # What takes a body has most that can be wrong, and goes last, so that it makes up for those that have little.
    generators.sort(key=lambda pair: bool(list(pair[0].body)))
    for left, (operation, mode) in zip(range(len(generators), 0, -1), generators, strict=True):

        def send(case: Any) -> None:
            answer = case.call(base_url=url, timeout=PATIENCE_S)
            seconds = answer.elapsed if isinstance(answer.elapsed, float) else answer.elapsed.total_seconds()
            what = f"{case.method} {case.formatted_path} {case.body!r}"
            answers.take("schemathesis", answer.status_code, answer.content, seconds, what)

        share = max(1, (count - answers.sent["schemathesis"]) // left)
        examples(send, operation.as_strategy(generation_mode=mode), share, first_seed)


def send_bodies(answers: Answers, count: int, first_seed: int) -> None:
    def send(request: tuple[str, object]) -> None:
        path, body = request
        content = json.dumps(body)
        answer = answers.client.post(path, content=content, headers=JSON)
        answers.take("hypothesis", answer.status_code, answer.content, answer.elapsed.total_seconds(), path + content)

    examples(send, st.tuples(st.sampled_from([DECOMPOSE, EDIT, COMPOSITE, EXPORT]), bodies), count, first_seed)


def examples(send: Callable[[Any], None], strategy: st.SearchStrategy[Any], count: int, first_seed: int) -> None:
    """Send `count` examples of a strategy, or as many as it has; one that can never be met has none."""

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),  # pyright: ignore[reportArgumentType]
    )
    @seed(first_seed)
    @given(strategy)
    def run(example: Any) -> None:
        send(example)

    with contextlib.suppress(Unsatisfiable):
        run()


if __name__ == "__main__":
    sys.exit(main())
