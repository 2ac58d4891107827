"""Heavy work beside small requests: what photos, exports, imports and slow readers cost the others.

    python -m benchmarks.side_by_side [--uploads] [--json benchmarks/out/side_by_side.json]

Against `llm-dit serve`. Floors: while large photos are uploaded, two PSD exports of 64 megapixels and an import of a
layer file run, a picture of 64×64 comes within 250 ms each time; the summed PSS of all processes but the engine's stays
below 1 GB, and falls below 250 MB when the pool has rested; 60 clients that hardly read a picture of 29 MB take at most
64 MB more. With `--uploads` instead: no upload of at most 1 MB takes more than 3 s of CPU time of all of these
processes, whatever it holds.
"""

import argparse
import contextlib
import json
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from benchmarks.small_files import ATTACKS, MOST_BYTES, saved
from llm_dit.exports.formats import export
from llm_dit.images import encode_png
from llm_dit.layer import Layer
from tests.kit.asking import get, post
from tests.kit.report import part, report_parts
from tests.kit.running import Memory, Running, running
from tests.kit.waiting import wait_until

SMALL_S, PEAK_MB, RESTED_MB, READERS_MB, UPLOAD_CPU_S = 0.25, 1000, 250, 64, 3.0
READERS = 60
TICKS = 100


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uploads", action="store_true", help="the CPU time of small uploads instead")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/out/side_by_side.json"))
    arguments = parser.parse_args()
    parts = {"uploads": uploads} if arguments.uploads else {"together": together, "slow_readers": slow_readers}
    figures: dict[str, dict[str, Any]] = {}
    for name, measured in parts.items():
        with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as service:
            wait_until(lambda service=service: get(service, "/readyz").status == 200)
            figures[name] = measured(service)
            print(f"{name}: {figures[name]}", flush=True)
    return report_parts(arguments.json, figures)


def together(service: Running) -> dict[str, Any]:
    small = keep(service, encode_png(Image.new("RGBA", (64, 64), "red")))
    layers = [keep(service, photo(4000, 4000, seed=seed)) for seed in range(4)]
    idle = [fetch_s(service, small) for _ in range(20)]
    stack = {"format": "psd", "layers": [{"image": address} for address in layers]}
    file = export((Layer(image=picture(3000, 3000, seed)) for seed in range(4)), "zip", width=3000, height=3000)
    large = photo(8000, 8000, seed=9, profile=True)
    outcomes: list[tuple[str, int]] = []

    def work(name: str, path: str, body: dict[str, Any] | bytes, kind: str) -> threading.Thread:
        def send() -> None:
            answer = post(service, path, body, f"Content-Type: {kind}", timeout_s=900)
            outcomes.append((name, answer.status))

        return threading.Thread(target=send)

    threads = [work("export", "/api/qwen-image/export", stack, "application/json") for _ in range(2)]
    threads += [work("photo", "/api/images", large, "image/jpeg") for _ in range(3)]
    threads.append(work("import", "/api/qwen-image/import", file, "application/zip"))
    times: list[float] = []
    with Memory(service) as memory:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            times.append(fetch_s(service, small))
            time.sleep(0.1)
    with contextlib.suppress(TimeoutError):
        wait_until(lambda: service.memory_mb < RESTED_MB)
    rested = service.memory_mb
    wrong = [f"{name} got {status}" for name, status in outcomes if not 200 <= status < 300]
    wrong += [f"{sum(each > SMALL_S for each in times)} small pictures took longer"] * (max(times) > SMALL_S)
    wrong += [f"{memory.most_mb:.0f} MB"] * (memory.most_mb > PEAK_MB) + [f"{rested:.0f} MB kept"] * (
        rested > RESTED_MB
    )
    return part(
        wrong,
        small_pictures=len(times),
        idle_ms=milliseconds(idle),
        busy_ms=milliseconds(times),
        peak_mb=round(memory.most_mb),
        rested_mb=round(rested),
    )


def slow_readers(service: Running) -> dict[str, Any]:
    noise = np.random.default_rng(0).integers(0, 256, (2700, 2700, 4), dtype=np.uint8)
    content = encode_png(Image.fromarray(noise, "RGBA"))
    address = keep(service, content)
    fetch_s(service, address)
    wait_until(lambda: service.memory_mb < RESTED_MB)
    before = service.memory_mb
    request = f"GET {address} HTTP/1.1\r\nHost: {service.host}\r\n\r\n".encode()
    with Memory(service) as memory, contextlib.ExitStack() as stack:
        readers: list[socket.socket] = []
        for _ in range(READERS):
            reader = stack.enter_context(socket.create_connection(("127.0.0.1", service.port), timeout=60))
            reader.sendall(request)
            readers.append(reader)
        # A tenth of what a reader has to read to be let be, in two rounds.
        for reader in readers * 2:
            reader.recv(4096)
        wait_until(lambda: memory.samples > 30)
        began = time.monotonic()
        closed = 0
        with contextlib.suppress(TimeoutError):
            wait_until(lambda: not any(is_open(service, reader) for reader in readers))
        closed = sum(not is_open(service, reader) for reader in readers)
        seconds = time.monotonic() - began
    more = memory.most_mb - before
    wrong = [f"{more:.0f} MB more"] * (more > READERS_MB)
    wrong += [f"only {closed} of {READERS} were given up"] * (closed < READERS)
    return part(
        wrong,
        readers=READERS,
        mb=round(len(content) / 1e6, 1),
        more_mb=round(more, 1),
        given_up=closed,
        s=round(seconds),
    )


def is_open(service: Running, reader: socket.socket) -> bool:
    """Return whether the service still has its end of a connection."""
    wanted = f":{reader.getsockname()[1]:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[2].endswith(wanted) and row[1].endswith(f":{service.port:04X}") and row[3] == "01" for row in rows)


def uploads(service: Running) -> dict[str, Any]:
    keep(service, encode_png(Image.new("RGBA", (8, 8))))
    wrong, figures = list[str](), dict[str, Any]()
    for name, make in ATTACKS.items():
        content = make()
        assert len(content) <= MOST_BYTES, f"{name} has {len(content)} bytes"
        before = cpu_s(service)
        status = post(service, "/api/images", content, "Content-Type: image/png", timeout_s=300).status
        took = cpu_s(service) - before
        figures[name] = {"bytes": len(content), "status": status, "cpu_s": round(took, 2)}
        print(f"{name:<30}{figures[name]}", flush=True)
        wrong += [f"{name}: {took:.2f} s"] * (took > UPLOAD_CPU_S) + [f"{name}: {status}"] * (status >= 500)
    return part(wrong, **figures)


def picture(width: int, height: int, seed: int) -> Image.Image:
    """Return smooth ground with the noise of a camera."""
    ramp = np.linspace(0, 200, width, dtype=np.uint8)[None, :, None]
    noise = np.random.default_rng(seed).integers(0, 12, (height, width, 4), dtype=np.uint8)
    noise[..., :3] += ramp
    noise[..., 3] = 255
    return Image.fromarray(noise, "RGBA")


def photo(width: int, height: int, *, seed: int, profile: bool = False) -> bytes:
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() if profile else None
    return saved("JPEG", picture(width, height, seed).convert("RGB"), quality=85, icc_profile=icc)


def keep(service: Running, content: bytes) -> str:
    answer = post(service, "/api/images", content, "Content-Type: application/octet-stream", timeout_s=300)
    assert answer.status == 201, answer.body
    return json.loads(answer.body)["image"]


def fetch_s(service: Running, address: str) -> float:
    began = time.perf_counter()
    assert get(service, address).status == 200
    return time.perf_counter() - began


def milliseconds(times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    return {"median": round(ordered[len(ordered) // 2] * 1000, 1), "most": round(ordered[-1] * 1000, 1)}


def cpu_s(service: Running) -> float:
    """Return the CPU time of the service, of its processes, and of those that have ended."""
    ticks = 0
    for pid in service.processes:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15] if pid == service.process.pid else fields[11:13]))
    return ticks / TICKS


if __name__ == "__main__":
    sys.exit(main())
