"""What `llm-dit serve` takes with full-size Qwen models, ours and plain diffusers, from a cold start to pictures.

    sudo python -m benchmarks.qwen_service --folder /tmp/checkpoints --out service.json
    python -m benchmarks.qwen_service --folder /tmp/checkpoints --edits --resolution 1024 --out edits.json
    python -m benchmarks.qwen_service --folder /tmp/tiny --tiny --steps 4

Writes both checkpoints in the real layout with random weights, unless they are there; the edit model's shards are links
to those of the layered one. Each service starts with its files dropped from the system's cache, where that is allowed.
Jobs go over HTTP, with previews, and their events are timed as they arrive. A caption of random weights never ends, so
`decompose_120_50_s` is computed: a caption of 120 tokens, 50 steps and the rest of the run as measured, for the first
caption of the process and for a later one.
"""

import argparse
import base64
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import Qwen2VLImageProcessorPil

from benchmarks.qwen_reading import drop_cache
from llm_dit.images import encode_png
from llm_dit.qwen.loading.checkpoints import EDIT, LAYERED
from llm_dit.qwen.placement.devices import choose_device, free_memory, name_device
from tests.kit.checkpoints import make_scheduler, make_tokenizer, model_index, write_checkpoints
from tests.kit.full_size import full_text_encoder, full_transformer, full_vae
from tests.kit.running import Running, running

WEIGHTS = "diffusion_pytorch_model.safetensors"
LAYERED_ONLY = "addition_t_embedding"
"""What the transformer of the edit model does not have."""
SHARD = 5e9
DISTILLED = {steps: f"random-lightning-{steps}steps.safetensors" for steps in (4, 8)}
"""The files' names say how they are run."""
RANK = 64
OF_BLOCKS = re.compile(r"transformer_blocks\.\d+\.(?:attn\.(?:add|to)_.+|\w+_mlp\..+)\.weight")
PEAK = re.compile(r"Peak of the run: [^\"\n]*")


def write_full(folder: Path, blocks: int, device: torch.device) -> None:
    """Write `layered` and `edit`, 58 GB with all 60 blocks."""
    tokenizer = make_tokenizer()
    torch.set_default_dtype(torch.bfloat16)
    with device:
        for name in ("layered", "edit"):
            full_vae(layered=name == "layered").save_pretrained(folder / name / "vae")
        full_text_encoder(tokenizer).save_pretrained(folder / "layered/text_encoder")
        free_memory()
        transformer = full_transformer(blocks=blocks)
    torch.set_default_dtype(torch.float32)
    write_transformers(folder, transformer.state_dict())
    transformer.save_config(folder / "layered/transformer")
    edit = transformer.config | {"use_additional_t_cond": False, "use_layer3d_rope": False}
    (folder / "edit/transformer/config.json").write_text(json.dumps(edit))
    (folder / "edit/text_encoder").symlink_to(folder / "layered/text_encoder")
    for name, pipeline in (("layered", LAYERED), ("edit", EDIT)):
        make_scheduler().save_pretrained(folder / name / "scheduler")
        for part in ("tokenizer", "processor"):
            tokenizer.save_pretrained(folder / name / part)
        Qwen2VLImageProcessorPil().save_pretrained(folder / name / "processor")
        (folder / name / "model_index.json").write_text(json.dumps(model_index(pipeline)))


def write_transformers(folder: Path, weights: dict[str, torch.Tensor]) -> None:
    """Write the shards of the layered model, and what of them is the edit model's."""
    shards: list[dict[str, torch.Tensor]] = [{name: each for name, each in weights.items() if LAYERED_ONLY in name}]
    for name, tensor in weights.items():
        if name in shards[0]:
            continue
        if len(shards) == 1 or sum(each.nbytes for each in shards[-1].values()) > SHARD:
            shards.append({})
        shards[-1][name] = tensor
    places: dict[str, str] = {}
    for name in ("layered", "edit"):
        (folder / name / "transformer").mkdir(parents=True, exist_ok=True)
    for number, shard in enumerate(shards):
        file = f"diffusion_pytorch_model-{number + 1:05d}-of-{len(shards):05d}.safetensors"
        cpu = {name: tensor.cpu().contiguous() for name, tensor in shard.items()}
        save_file(cpu, folder / "layered/transformer" / file, metadata={"format": "pt"})
        places |= dict.fromkeys(shard, file)
        if number:
            (folder / "edit/transformer" / file).symlink_to(folder / "layered/transformer" / file)
    for name in ("layered", "edit"):
        own = {key: file for key, file in places.items() if name == "layered" or LAYERED_ONLY not in key}
        index = {"metadata": {}, "weight_map": own}
        (folder / name / "transformer" / f"{WEIGHTS}.index.json").write_text(json.dumps(index))


def write_distilled(folder: Path) -> None:
    """Write a LoRA of the blocks of the edit model for each number of steps, 0.9 GB."""
    tensors: dict[str, torch.Tensor] = {}
    for shard in (folder / "edit/transformer").glob("*.safetensors"):
        with safe_open(shard, framework="pt") as stored:
            for name in filter(OF_BLOCKS.fullmatch, stored.keys()):
                out, inside = stored.get_slice(name).get_shape()
                layer = name.removesuffix(".weight")
                tensors[f"{layer}.lora_down.weight"] = torch.randn(RANK, inside, dtype=torch.bfloat16) * 0.02
                tensors[f"{layer}.lora_up.weight"] = torch.randn(out, RANK, dtype=torch.bfloat16) * 0.02
    for file in DISTILLED.values():
        save_file(tensors, folder / file)


class Client:
    """Sends jobs to a service and times their events."""

    def __init__(self, service: Running) -> None:
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{service.port}", timeout=900)

    def wait_for_ready(self) -> None:
        while self._http.get("/readyz").status_code != 200:
            status = self.status()
            if status["state"] == "failed":
                raise SystemExit(f"the engine cannot run: {status}")
            time.sleep(0.1)

    def status(self) -> dict[str, Any]:
        return self._http.get("/api/qwen-image/status").json()

    def job(self, route: str, **fields: Any) -> dict[str, Any]:
        """Return what a job took: seconds in all, before the first step, a step, a caption's token, and after."""
        started = time.perf_counter()
        answer = self._http.post(f"/api/qwen-image/{route}", json=fields, headers={"Prefer": "respond-async"})
        answer.raise_for_status()
        seen: dict[str, list[tuple[float, int]]] = {}
        previews, end = 0, dict[str, Any]()
        for event, data in self._events(answer.headers["location"]):
            at = time.perf_counter() - started
            if event == "progress":
                seen.setdefault(data["phase"], []).append((at, data["step"]))
            previews += event == "preview"
            end = {"event": event, "at": at, "job": data}
        if end["event"] != "succeeded":
            raise SystemExit(f"{route}: {end['job']['error']}")
        result = end["job"]["result"]
        figures = {
            "seconds": round(end["at"], 2),
            "step_s": _each(seen["denoising"]),
            "before_s": round(seen["denoising"][0][0] - _each(seen["denoising"]) * seen["denoising"][0][1], 2),
            "after_s": round(end["at"] - seen["denoising"][-1][0], 2),
            "previews": previews,
            "forward": result.get("forward"),
        }
        if "captioning" in seen:
            tokens = seen["captioning"]
            figures["token_ms"] = round(1000 * _each(tokens[len(tokens) // 2 :]), 2)
            figures["tokens"] = tokens[-1][1]
        return figures

    def _events(self, job: str) -> Iterator[tuple[str, dict[str, Any]]]:
        with self._http.stream("GET", f"{job}/events") as stream:
            event = ""
            for line in stream.iter_lines():
                if line.startswith("event: "):
                    event = line[7:]
                elif line.startswith("data: ") and event:
                    yield event, json.loads(line[6:])


def _each(seen: list[tuple[float, int]]) -> float:
    """Return the seconds from one number to the next, from the third on: the first ones are not like the others."""
    later = [each for each in seen if each[1] >= 3] or seen
    (first, low), (last, high) = later[0], later[-1]
    return round((last - first) / max(high - low, 1), 4)


def measure(folder: Path, options: argparse.Namespace, *, fused: bool) -> dict[str, Any]:
    """Return the figures of a service: its loading, and decompositions and edits one after the other."""
    home = options.folder / ("ours" if fused else "diffusers")
    home.mkdir(exist_ok=True)
    environment = {
        "LLM_DIT_ENGINE": "qwen",
        "LLM_DIT_QWEN_IMAGE__MODEL_PATH": str(folder / "layered"),
        "LLM_DIT_QWEN_IMAGE__EDIT_MODEL_PATH": str(folder / "edit"),
        "LLM_DIT_QWEN_IMAGE__CPU_OFFLOAD": options.cpu_offload,
        "LLM_DIT_QWEN_IMAGE__FUSED": str(fused).lower(),
        "LLM_DIT_QWEN_IMAGE__DEVICE": options.device or "",
        "LLM_DIT_QWEN_IMAGE__DEVICES": options.devices or "",
    }
    if options.edits and fused:
        loras = [f"{folder / file}:0" for file in DISTILLED.values()]
        environment["LLM_DIT_QWEN_IMAGE__EDIT_LORAS"] = ",".join(loras)
    found: dict[str, Any] = {}
    try:
        drop_cache()
        found["cold"] = True
    except PermissionError:
        found["cold"] = False
    started = time.perf_counter()
    with running(home, environment=environment) as service:
        client = Client(service)
        client.wait_for_ready()
        found["ready_s"] = round(time.perf_counter() - started, 2)
        shown = _noise(options, 60)
        if options.edits:
            return found | edits(client, shown, options.steps, fused=fused)
        run = {"image": shown, "layer_num": 4, "resolution": options.resolution, "steps": options.steps}
        found["decompose first"] = client.job("decompose", prompt="a house in a garden", seed=1, **run)
        found["first_picture_s"] = round(time.perf_counter() - started, 2)
        found["decompose"] = client.job("decompose", prompt="a house in a garden", seed=2, **run)
        for name, shade in (("first caption", 60), ("later caption", 70)):
            found[name] = client.job("decompose", prompt="", seed=3, **run | {"image": _noise(options, shade)})
        found["decompose_120_50_s"] = [_computed(found[name]) for name in ("first caption", "later caption")]
        found["placement"], found["device_used_gb"] = _where(client.status())
        if options.edit:
            edit = {"image": shown, "instruction": "make it blue", "steps": options.steps}
            found["edit first"] = client.job("edit-layer", seed=1, **edit)
            found["edit again"] = client.job("edit-layer", seed=2, **edit)
            found["decompose after edit"] = client.job("decompose", prompt="a house in a garden", seed=4, **run)
            found["placement of both"], found["both_used_gb"] = _where(client.status())
        found["peaks"] = PEAK.findall((service.folder / "log").read_text())
    return found


def edits(client: Client, shown: str, steps: int, *, fused: bool) -> dict[str, Any]:
    """Return what an edit takes that is not the first of its kind, and the seconds of 50 steps."""
    found: dict[str, Any] = {}
    runs: dict[str, dict[str, Any]] = {"exact": {"steps": steps}}
    if fused:
        for number, file in DISTILLED.items():
            runs[f"{number} steps"] = {"loras": [Path(file).stem]}
    for name, options in runs.items():
        for seed in (1, 2, 3):
            found[name] = client.job("edit-layer", image=shown, instruction="make it blue", seed=seed, **options)
            found[name]["steps"] = options.get("steps") or int(name.split()[0])
    exact = found["exact"]
    found["edit_50_s"] = round(exact["seconds"] + (50 - steps) * exact["step_s"], 2)
    found["placement"], found["device_used_gb"] = _where(client.status())
    return found


def _noise(options: argparse.Namespace, strength: int) -> str:
    picture = Image.effect_noise((options.resolution, options.resolution), strength).convert("RGB")
    return "data:image/png;base64," + base64.b64encode(encode_png(picture)).decode()


def _computed(run: dict[str, Any]) -> float:
    rest = run["before_s"] - run["token_ms"] * run["tokens"] / 1000 + run["after_s"]
    return round(rest + 50 * run["step_s"] + 0.12 * run["token_ms"], 2)


def _where(status: dict[str, Any]) -> tuple[str, float | None]:
    memory = status["device_memory"]
    return status["placement"], memory and round(memory["used_bytes"] / 1e9, 2)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--folder", type=Path, required=True, help="where the checkpoints are, or are written")
    parser.add_argument("--blocks", type=int, default=60)
    parser.add_argument("--tiny", action="store_true", help="tiny models, to try the benchmark itself")
    parser.add_argument("--device", help="cuda, mps or cpu; by default the best there is")
    parser.add_argument("--devices", help="two, such as cuda:0,cuda:1")
    parser.add_argument("--cpu-offload", default="auto")
    parser.add_argument("--ways", nargs="+", choices=["ours", "diffusers"], default=["ours", "diffusers"])
    parser.add_argument("--no-edit", dest="edit", action="store_false")
    parser.add_argument("--edits", action="store_true", help="only edits, of 50, 8 and 4 steps")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--resolution", type=int, choices=[640, 1024], default=640)
    parser.add_argument("--out", type=Path, help="JSON, written after every service")
    options = parser.parse_args(arguments)
    device = choose_device(options.device)
    folder = options.folder / "checkpoints"
    started = time.perf_counter()
    if not folder.exists():
        write_checkpoints(folder) if options.tiny else write_full(folder, options.blocks, device)
        free_memory()
    if options.edits and not all((folder / file).exists() for file in DISTILLED.values()):
        write_distilled(folder)
    files = (folder / "layered").rglob("*.safetensors")
    report: dict[str, Any] = {
        "machine": name_device(device),
        "written_s": round(time.perf_counter() - started, 1),
        "layered_gb": round(sum(file.stat().st_size for file in files) / 1e9, 2),
        "steps": options.steps,
        "resolution": options.resolution,
    }
    for way in options.ways:
        report[way] = measure(folder, options, fused=way == "ours")
        print(way, json.dumps(report[way]), flush=True)
        if options.out:
            options.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
