"""How fast the transformer's weights come from a cold disk into memory, beside the disk itself and from_pretrained.

    sudo python -m benchmarks.qwen_reading --folder /tmp/weights --blocks 8 --out reading.json

Writes shards of random weights of the real width into the folder, unless it has some. Before each reading the
system's cache is dropped, which takes the rights of root; the ways take turns, and each one's median counts. The disk's
own rate is that of direct reads by several threads, past the cache. What diffusers returns is still in the file,
mapped: `mapped_s` is until then, and `seconds` until the weights are in memory, as a device or a page lock needs them.
"""

import argparse
import json
import mmap
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from statistics import median
from typing import Any

import torch
from accelerate import init_empty_weights
from diffusers import QwenImageTransformer2DModel  # pyright: ignore[reportPrivateImportUsage]
from safetensors.torch import save_file

from llm_dit.qwen.loading.checkpoints import LAYERED, Checkpoint
from llm_dit.qwen.loading.loader import CHUNK, THREADS, LoadOptions, _Loader
from llm_dit.qwen.placement.devices import choose_device, free_memory, name_device
from tests.kit.full_size import full_transformer

WEIGHTS = "diffusion_pytorch_model.safetensors"


def write_shards(folder: Path, blocks: int, shard_bytes: float) -> None:
    """Write a transformer in the layout of a checkpoint."""
    folder.mkdir(parents=True)
    with init_empty_weights():
        model = full_transformer(blocks=blocks)
    model.save_config(folder)
    shards: list[dict[str, torch.Tensor]] = [{}]
    for name, tensor in model.state_dict().items():
        if sum(each.numel() * 2 for each in shards[-1].values()) > shard_bytes:
            shards.append({})
        shards[-1][name] = tensor
    places: dict[str, str] = {}
    for number, shard in enumerate(shards, start=1):
        file = f"diffusion_pytorch_model-{number:05d}-of-{len(shards):05d}.safetensors"
        places |= dict.fromkeys(shard, file)
        filled = {name: torch.rand(tensor.shape).to(torch.bfloat16) for name, tensor in shard.items()}
        save_file(filled, folder / file, metadata={"format": "pt"})
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


def drop_cache() -> None:
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")


def read_disk(files: list[Path]) -> None:
    """Read all bytes past the system's cache and forget them."""
    rooms: Queue[mmap.mmap] = Queue()
    for _ in range(THREADS):
        rooms.put(mmap.mmap(-1, CHUNK))

    def read(job: tuple[int, int]) -> None:
        room = rooms.get()
        os.preadv(job[0], [room], job[1])
        rooms.put(room)

    with ThreadPoolExecutor(THREADS) as pool:
        opened = [os.open(file, os.O_RDONLY | os.O_DIRECT) for file in files]
        list(pool.map(read, [(each, at) for each in opened for at in range(0, os.fstat(each).st_size, CHUNK)]))
    for each in opened:
        os.close(each)


def measure(work: Callable[[], Any]) -> dict[str, float]:
    """Return the seconds of a reading from a cold disk, and what it took of the processor."""
    free_memory()
    drop_cache()
    before, started = os.times(), time.perf_counter()
    found = work() or {}
    seconds, after = time.perf_counter() - started, os.times()
    cpu = after.user + after.system - before.user - before.system
    return {"seconds": round(seconds, 2), "cpu_s": round(cpu, 2)} | found


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--folder", type=Path, required=True, help="where the shards are, or are written")
    parser.add_argument("--blocks", type=int, default=8, help="of the 60, 0.68 GB each")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--device", default="cpu", help="where the weights go: cpu or cuda")
    parser.add_argument("--out", type=Path, help="JSON")
    options = parser.parse_args(arguments)
    device = choose_device(options.device)
    if not (options.folder / "transformer").exists():
        write_shards(options.folder / "transformer", options.blocks, 1.5e9)
    checkpoint = Checkpoint(folder=options.folder, pipeline=LAYERED)
    files = checkpoint.weight_files("transformer")
    size = sum(file.stat().st_size for file in files)
    load_options = LoadOptions(device=device, dtype=torch.bfloat16, fused=False)

    def diffusers() -> dict[str, float]:
        started = time.perf_counter()
        model: Any = QwenImageTransformer2DModel.from_pretrained(
            options.folder / "transformer", dtype=torch.bfloat16, device_map={"": device}, local_files_only=True
        )
        mapped = time.perf_counter() - started
        if device.type == "cpu":
            for tensor in model.parameters():
                tensor.data = tensor.data.clone()
        return {"mapped_s": round(mapped, 2)}

    def ours() -> None:
        _Loader(checkpoint, load_options).transformer()

    ways = {"disk": lambda: read_disk(files), "diffusers": diffusers, "ours": ours}
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for _ in range(options.repeat):
        for name, work in ways.items():
            runs[name].append(measure(work))
    rates = {name: size / 1e9 / median(run["seconds"] for run in each) for name, each in runs.items()}
    report = {
        "machine": f"{name_device(device)}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "gb": round(size / 1e9, 2),
        "gb_per_s": {name: round(rate, 2) for name, rate in rates.items()},
        "of_the_disk": {name: round(rate / rates["disk"], 2) for name, rate in rates.items()},
        "runs": runs,
    }
    print(json.dumps(report, indent=2))
    if options.out:
        options.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
