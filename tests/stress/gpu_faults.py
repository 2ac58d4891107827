"""What a real accelerator does to the service: memory that runs out, a device that is lost, models that are unloaded.

`python -m tests.stress.gpu_faults [--times 3] [--gib 8]` needs torch and a CUDA device. The service's own host and
worker run a pipeline that holds `--gib` GiB of the device, as a model would, and breaks it for real: it asks for more
memory than there is, and it reads beyond a tensor in a kernel (a device-side assert, after which a process can only be
ended). After each fault a good run must succeed, and the memory of the device must be what it was, within 256 MiB.
"""

# pyright: reportAttributeAccessIssue=false

import argparse
import asyncio
import secrets
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from llm_dit.errors import LLMDiTError
from llm_dit.images import encode_png
from llm_dit.runs import PipelineStatus, Progress, ProgressCallback
from server.jobs.inputs import EditLayerInput
from server.storage.images import ImageStore
from server.telemetry import Metrics, Readings
from server.worker.host import Patience, PipelineHost
from server.worker.supervisor import Watch, Worker
from tests.kit.report import part, report_parts

DRIFT_BYTES = 256 * 1024**2
UNLOAD_S = 1.0


class GpuPipeline:
    """Holds memory of the device, and breaks it as its instruction says: "oom", "assert", or not at all."""

    engine = "gpu"
    any_size = True

    @classmethod
    def build(cls, gib: float, progress: ProgressCallback) -> "GpuPipeline":
        import torch

        self = cls()
        self.weights = torch.zeros(int(gib * 1024**3), dtype=torch.uint8, device="cuda")
        progress(Progress(phase="loading", step=1, total=1))
        return self

    def status(self) -> PipelineStatus:
        return PipelineStatus(models=("gpu",), has_edit_model=True, device="CUDA")

    def edit_layer(
        self, layer_image: Image.Image, instruction: str, progress: ProgressCallback, **others: object
    ) -> Image.Image:
        import torch

        from llm_dit.qwen.placement.devices import named_failures

        progress(Progress(phase="stepping", step=0, total=1))
        with named_failures():
            if instruction == "oom":
                _fill_device()
            index = torch.tensor([1 << 40 if instruction == "assert" else 0], device="cuda")
            torch.arange(4, device="cuda")[index].sum()
            torch.cuda.synchronize()
        progress(Progress(phase="stepping", step=1, total=1))
        return layer_image


def _fill_device() -> None:
    """Take memory until there is none, as deep in a run as a model does: what is taken hangs on frames of the error."""
    import torch

    taken = []
    while True:
        taken.append(torch.empty(4 * 1024**3, dtype=torch.uint8, device="cuda"))


def used_bytes() -> int:
    """Return the memory in use on the device, of all processes."""
    query = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    return int(subprocess.check_output(query, text=True).split()[0]) * 1024**2


def new_host(folder: Path, gib: float, unload_s: float) -> PipelineHost:
    """Return the service's host around `GpuPipeline`."""
    pipeline, watch = "tests.stress.gpu_faults:GpuPipeline.build", Watch(run_s=120, load_s=120)
    metrics = Metrics(lambda: Readings(version="", engine="gpu", queue_length=0, running=0, ready=True))
    patience = Patience(cancel_s=10, unload_s=unload_s)
    return PipelineHost(lambda: Worker(pipeline, folder, {"gib": gib}, watch=watch), patience, metrics)


async def settled(holds: Any, timeout_s: float = 30) -> bool:
    """Return whether a condition holds within a time."""
    deadline = time.monotonic() + timeout_s
    while not holds() and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    return bool(holds())


async def inject(folder: Path, times: int, gib: float) -> list[dict[str, object]]:
    image = ImageStore(folder).put(encode_png(Image.new("RGBA", (8, 8), "red")))
    good = EditLayerInput(
        image=image,
        instruction="nothing",
        num_inference_steps=1,
        cfg_scale=4.0,
        seed=1,
        negative_prompt=" ",
        shape="keep",
        output_size="layer",
    )
    empty = used_bytes()
    host = new_host(folder, gib, unload_s=0)

    async def run(instruction: str) -> str:
        job_input = replace(good, instruction=instruction)
        try:
            await host.run(secrets.token_hex(4), job_input, on_loading=lambda _: None, on_progress=lambda _: None)
        except LLMDiTError as error:
            return error.code
        return "succeeded"

    await run("nothing")
    loaded = used_bytes()
    print(f"empty {empty / 1e9:.2f} GB, loaded {loaded / 1e9:.2f} GB", flush=True)
    rows: list[dict[str, object]] = []
    for number in range(times):
        for fault, codes, restarts in (
            ("oom", ["out_of_memory"], False),
            ("oom", ["out_of_memory", "out_of_memory"], True),
            ("assert", ["device_lost"], True),
        ):
            pid, started = host.worker_pid, time.monotonic()
            told = [await run(fault) for _ in codes]
            after = await run("nothing")
            recovered_s = time.monotonic() - started
            back = await settled(lambda: abs(used_bytes() - loaded) <= DRIFT_BYTES)
            ok = told == codes and after == "succeeded" and back and (host.worker_pid != pid) == restarts
            row = {"fault": fault, "told": told, "next": after, "recovered_s": round(recovered_s, 2)}
            rows.append({**row, "memory_back": back, "ok": ok})
            print(f"{number + 1}. {rows[-1]}", flush=True)
    await host.stop()
    rows.append(await unloads(folder, gib, empty, good))
    print(rows[-1], flush=True)
    return rows


async def unloads(folder: Path, gib: float, empty: int, job_input: EditLayerInput) -> dict[str, object]:
    """Let a host rest until it unloads, and run once more."""
    host = new_host(folder, gib, unload_s=UNLOAD_S)
    await host.run("a", job_input, on_loading=lambda _: None, on_progress=lambda _: None)
    freed = await settled(lambda: host.state == "unloaded" and abs(used_bytes() - empty) <= DRIFT_BYTES)
    await host.run("b", job_input, on_loading=lambda _: None, on_progress=lambda _: None)
    await host.stop()
    gone = await settled(lambda: abs(used_bytes() - empty) <= DRIFT_BYTES)
    return {"fault": "unload", "memory_freed": freed, "loaded_again": True, "memory_back": gone, "ok": freed and gone}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--gib", type=float, default=8.0)
    parser.add_argument("--output", type=Path, default=Path("tests/stress/out/gpu_faults.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = asyncio.run(inject(Path(folder), options.times, options.gib))
    wrong = [str(row) for row in rows if not row["ok"]]
    sys.exit(report_parts(options.output, {"faults of the device": part(wrong, rows=rows)}))


if __name__ == "__main__":
    main()
