"""Transformers in one file: they load to what the file says, stay packed wherever they are placed, or are refused."""

import json
import os
import shutil
import struct
import time
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from PIL import Image
from safetensors.torch import load_file, save_file

from llm_dit.errors import InputError, WeightsError
from llm_dit.options import DecomposeArguments
from llm_dit.pipelines.qwen_image_diffusers import QwenImageDiffusersPipeline
from llm_dit.qwen.diagnosis import diagnose
from llm_dit.qwen.forward.adapters import Adapters, home_of
from llm_dit.qwen.forward.quantized import Fp8Linear, PackedLinear
from llm_dit.qwen.forward.transformer import Branch
from llm_dit.qwen.loading.checkpoints import EDIT, FIRST_EDIT, LAYERED, is_in_fp8
from llm_dit.qwen.loading.loader import LoadOptions, _Loader
from llm_dit.qwen.loading.loras import open_loras, parse_loras
from llm_dit.qwen.models import ModelSource
from llm_dit.qwen.placement.devices import weigh
from llm_dit.qwen.placement.placing import Pair
from llm_dit.qwen.placement.swapping import BlockStream, swap_layers, tensors_of
from llm_dit.qwen.sampling.running import ignore_progress
from server.engines import choose_engine, load_pipeline
from server.settings import load_settings
from tests.kit.checkpoints import factors_of, layers_of, make_transformer, write_checkpoint, write_lora
from tests.kit.hub import serve
from tests.kit.transformer_files import FP8, HALVES, Weights, write_fp8, write_gguf

CPU = torch.device("cpu")
FP8_ERRORS = {torch.float8_e4m3fn: 0.04, torch.float8_e5m2: 0.08}
SECONDS = 1.0
"""Of a processor, in which a file is refused."""
OPTIONS: DecomposeArguments = {"layer_num": 1, "num_inference_steps": 1, "seed": 3}


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with `layered` and `edit`, whose transformers' rows are of 256 numbers, as GGUF's blocks are."""
    folder = tmp_path_factory.mktemp("wide")
    for name, pipeline in (("layered", LAYERED), ("edit", EDIT)):
        write_checkpoint(folder / name, pipeline, head=128)
    return folder


@pytest.fixture(scope="module")
def weights(wide: Path) -> Weights:
    return load_file(wide / "layered/transformer/diffusion_pytorch_model.safetensors")


@pytest.fixture(scope="module")
def mixed(weights: Weights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As Q4_K_M files are: a block of other types than the next."""
    file = tmp_path_factory.mktemp("mixed") / "mixed-Q4_K_M.gguf"
    write_gguf(file, weights, of_blocks)
    return file


def of_blocks(name: str) -> str:
    return "Q4_K" if name.startswith("transformer_blocks.0") else "Q6_K"


def load(folder: Path, file: Path | None, **options: Any) -> Any:
    """Return the transformer of Qwen-Image-Layered with the weights of a file, or its own."""
    checkpoint = ModelSource(path=folder / "layered", transformer=file).open(LAYERED, ignore_progress)
    with torch.no_grad():
        return _Loader(checkpoint, LoadOptions(device=CPU, dtype=torch.float32, **options)).transformer()


@torch.no_grad()
def answer(transformer: Any) -> torch.Tensor:
    draw = torch.Generator().manual_seed(0)
    branch = Branch(embeds=torch.randn(1, 5, 16, generator=draw))
    tokens = torch.randn(1, 16, 64, generator=draw)
    (_, told) = transformer(
        tokens, branches=[branch, branch], schedule=torch.tensor([0.5]), step=0, shapes=[[(1, 4, 4)]]
    )
    return told


def same(found: torch.Tensor, wanted: torch.Tensor) -> bool:
    return torch.allclose(found, wanted, rtol=1e-4, atol=1e-5 * float(wanted.abs().max()))


def distance(first: torch.Tensor, second: torch.Tensor) -> float:
    return float((first - second).norm() / second.norm())


def in_turn(kinds: Sequence[str], weights: Weights) -> dict[str, str]:
    """Return a kind for each matrix, so that one file has all of them."""
    return dict(zip((name for name, each in weights.items() if each.ndim == 2), cycle(kinds), strict=False))


GGUF_ERRORS = {
    "Q8_0": 0.01,
    "Q5_0": 0.06,
    "Q5_1": 0.06,
    "Q4_0": 0.12,
    "Q4_1": 0.12,
    "Q4_K": 0.12,
    "F16": 1e-3,
    "BF16": 4e-3,
    **dict.fromkeys(HALVES, np.inf),
}
"""What a type takes from weights that are normally distributed; of those that only its own program writes, any bits."""


def test_gguf_loads_to_what_it_says(wide: Path, weights: Weights, tmp_path: Path) -> None:
    kinds = in_turn(tuple(GGUF_ERRORS), weights)
    read = write_gguf(tmp_path / "model.gguf", weights, kinds.__getitem__)
    for name, kind in kinds.items():
        assert distance(read[name], weights[name]) < GGUF_ERRORS[kind], kind
    save_file(dict(read), tmp_path / "dense.safetensors")
    transformer = load(wide, tmp_path / "model.gguf")
    assert same(answer(transformer), answer(load(wide, tmp_path / "dense.safetensors")))
    packed = {module.kind for module in transformer.modules() if isinstance(module, PackedLinear)}
    assert packed == GGUF_ERRORS.keys() - {"F16", "BF16"}
    assert {tensor.dtype for tensor in tensors_of(transformer)} == {torch.float32, torch.uint8}


def test_fp8_loads_to_what_it_says(wide: Path, weights: Weights, tmp_path: Path) -> None:
    """With scales as ComfyUI has called them before and now, one for each row, and none, in both kinds of floats."""
    ways = in_turn(tuple(FP8), weights)
    read = write_fp8(tmp_path / "fp8.safetensors", weights, ways.__getitem__, prefix="model.diffusion_model.")
    for name, way in ways.items():
        assert distance(read[name], weights[name]) < FP8_ERRORS[FP8[way].kind], way
    save_file(dict(read), tmp_path / "dense.safetensors")
    transformer = load(wide, tmp_path / "fp8.safetensors")
    assert same(answer(transformer), answer(load(wide, tmp_path / "dense.safetensors")))
    packed = {module.weight.dtype for module in transformer.modules() if isinstance(module, PackedLinear)}
    assert packed == {torch.float8_e4m3fn, torch.float8_e5m2}


def test_fp8_stays_fp8_where_fast_is_asked_for(wide: Path, weights: Weights, tmp_path: Path) -> None:
    """Each number of e4m3 and its scale as they are stored; what has other numbers is rounded once more."""
    ways = in_turn(tuple(FP8), weights)
    read = write_fp8(tmp_path / "fp8.safetensors", weights, ways.__getitem__)
    diffusers = load(wide, tmp_path / "fp8.safetensors", fused=False)
    file = {name: layer for name, layer in diffusers.named_modules() if isinstance(layer, PackedLinear)}
    transformer = load(wide, tmp_path / "fp8.safetensors", in_fp8=True)
    assert transformer.in_fp8
    modules = dict(transformer.named_modules())
    seen = set[str]()
    for name, stored in file.items():
        home = home_of(name, transformer)
        layer = modules[home.module]
        if not is_in_fp8(f"{name}.weight"):
            assert isinstance(layer, PackedLinear), name
            continue
        assert isinstance(layer, Fp8Linear), name
        rows = slice(None) if home.part is None else slice(*(stored.out_features * (home.part + i) for i in (0, 1)))
        weight, scale = layer.weight[rows], layer.scale[0, rows, None]
        way = ways[f"{name}.weight"]
        if FP8[way].kind is torch.float8_e4m3fn:
            assert torch.equal(weight.float(), stored.weight.float())
            assert torch.equal(weight.float() * scale, read[f"{name}.weight"])
        else:
            assert distance(weight.float() * scale, read[f"{name}.weight"]) < FP8_ERRORS[torch.float8_e4m3fn]
        seen.add(way)
    assert seen == set(FP8)
    assert distance(answer(transformer), answer(load(wide, tmp_path / "fp8.safetensors"))) < 0.1
    checkpoint = ModelSource(path=wide / "layered", transformer=tmp_path / "fp8.safetensors").open(
        LAYERED, ignore_progress
    )
    planned = weigh([checkpoint], torch.float32, None, fused=True, in_fp8=True)
    held = sum(tensor.nbytes for tensor in tensors_of(transformer))
    assert abs(planned.transformers[0] - held) < 0.005 * held


@pytest.mark.parametrize(("kind", "lossy"), [("gguf", False), ("fp8", True), ("bf16", True)])
def test_what_fast_makes_of_a_file(wide: Path, weights: Weights, tmp_path: Path, kind: str, lossy: bool) -> None:
    file = tmp_path / f"model.{kind}"
    if kind == "gguf":
        write_gguf(file, weights, lambda _: "Q8_0")
    elif kind == "fp8":
        write_fp8(file, weights, lambda _: "before")
    else:
        save_file({name: tensor.bfloat16() for name, tensor in weights.items()}, file)
    pipe = QwenImageDiffusersPipeline.from_pretrained(
        wide / "layered", transformer_path=file, device="cpu", speed="fast"
    )
    told = pipe.status().forward
    assert told is not None
    assert ("weights in fp8" in told.lossy) == lossy
    exact: DecomposeArguments = {**OPTIONS, "speed": "exact"}
    picture = Image.new("RGB", (64, 64), "red")
    if lossy:
        with pytest.raises(InputError, match="loaded in fp8"):
            pipe.decompose(picture, "a house", **exact)
    else:
        assert pipe.decompose(picture, "a house", **exact)


def test_an_all_in_one_file_gives_its_transformer(wide: Path, weights: Weights, tmp_path: Path) -> None:
    content = {f"model.diffusion_model.{name}": tensor.bfloat16() for name, tensor in weights.items()}
    others = {"vae.decoder.conv1.weight": torch.zeros(3), "text_encoders.model.layers.0.weight": torch.zeros(3)}
    save_file(content | others, tmp_path / "all.safetensors")
    save_file({name: tensor.bfloat16() for name, tensor in weights.items()}, tmp_path / "plain.safetensors")
    found, wanted = (answer(load(wide, tmp_path / f"{name}.safetensors")) for name in ("all", "plain"))
    assert torch.equal(found, wanted)
    assert torch.equal(answer(load(wide, tmp_path / "all.safetensors", modulation_away=True)), wanted)


def test_plain_diffusers_takes_packed_weights_too(wide: Path, mixed: Path) -> None:
    transformer = load(wide, mixed, fused=False)
    with torch.no_grad():
        draw = torch.Generator().manual_seed(0)
        embeds, tokens = torch.randn(1, 5, 16, generator=draw), torch.randn(1, 16, 64, generator=draw)
        (told,) = transformer(
            hidden_states=tokens,
            encoder_hidden_states=embeds,
            timestep=torch.tensor([0.5]),
            img_shapes=[[(1, 4, 4)]],
            additional_t_cond=torch.zeros(1, dtype=torch.long),
            return_dict=False,
        )
    assert same(told, answer(load(wide, mixed)))


def test_every_placement_moves_packed_weights(wide: Path, mixed: Path) -> None:
    """Blocks of a mixed file are not of one size, and the second device gets a copy of the bytes."""
    transformer = load(wide, mixed)
    wanted = answer(transformer)
    stream = BlockStream(list(transformer.transformer_blocks), CPU, pinned=False)
    undo = swap_layers(transformer.modulations, CPU, pinned=False)
    assert torch.equal(answer(transformer), wanted)
    assert torch.equal(answer(transformer), wanted)
    stream.remove()
    undo()
    pair = Pair(transformer, CPU)
    assert same(answer(pair), wanted)
    copied = {tensor.data_ptr() for tensor in tensors_of(pair.second)}
    assert copied.isdisjoint(tensor.data_ptr() for tensor in tensors_of(transformer))
    pair.close()


def test_a_lora_runs_beside_packed_weights(wide: Path, weights: Weights, mixed: Path, tmp_path: Path) -> None:
    """As if its product had been added to what is packed, on Q, K and V and on the modulation too."""
    transformer = load(wide, mixed)
    plain = answer(transformer)
    checkpoint = ModelSource(path=wide / "layered", transformer=mixed).open(LAYERED, ignore_progress)
    lora = write_lora(tmp_path / "lora.safetensors", wide / "layered")
    (opened,) = open_loras(parse_loras([str(lora)], "loras"), checkpoint, ignore_progress)
    adapters = Adapters(transformer, [opened], torch.float32)
    adapters.use({opened.spec.name: 1.0}, CPU, fuse=True)
    with_lora = answer(transformer)
    adapters.remove()
    assert torch.equal(answer(transformer), plain)
    dense = write_gguf(tmp_path / "again.gguf", weights, of_blocks)
    merged = {name: tensor.clone() for name, tensor in dense.items()}
    for layer, (down, up) in factors_of(layers_of(wide / "layered")).items():
        merged[f"{layer}.weight"] += up @ down
    save_file(merged, tmp_path / "merged.safetensors")
    assert same(with_lora, answer(load(wide, tmp_path / "merged.safetensors")))


def test_the_plan_knows_the_bytes(wide: Path, mixed: Path) -> None:
    checkpoint = ModelSource(path=wide / "layered", transformer=mixed).open(LAYERED, ignore_progress)
    planned = weigh([checkpoint], torch.float32, None, fused=True)
    transformer = load(wide, mixed)
    assert planned.transformers == (sum(tensor.nbytes for tensor in tensors_of(transformer)),)
    assert planned.modulations == (sum(tensor.nbytes for tensor in tensors_of(transformer.modulations)),)
    dense = weigh([ModelSource(path=wide / "layered").open(LAYERED, ignore_progress)], torch.float32, None, fused=True)
    assert planned.transformers[0] < 0.25 * dense.transformers[0]
    assert planned.working.denoising > dense.working.denoising, "unpacking takes room"


def test_a_run_with_both_files(wide: Path, mixed: Path, picture: Image.Image, tmp_path: Path) -> None:
    """Through Python; neither folder has weights of a transformer of its own."""
    folders = Path(shutil.copytree(wide, tmp_path / "rest"))
    edit = load_file(folders / "edit/transformer/diffusion_pytorch_model.safetensors")
    write_fp8(tmp_path / "edit_fp8.safetensors", edit, lambda _: "before")
    for name in ("layered", "edit"):
        (folders / name / "transformer/diffusion_pytorch_model.safetensors").unlink()
    pipe = QwenImageDiffusersPipeline.from_pretrained(
        folders / "layered",
        folders / "edit",
        transformer_path=mixed,
        edit_transformer_path=tmp_path / "edit_fp8.safetensors",
        device="cpu",
    )
    _, layer = pipe.decompose(picture, "a house", **OPTIONS)
    edited = pipe.edit_layer(layer, "make it blue", num_inference_steps=1, seed=3)
    assert edited.size == layer.size
    assert edited.getchannel("A").tobytes() == layer.getchannel("A").tobytes()


def test_the_settings_name_a_file(wide: Path, weights: Weights, picture: Image.Image, tmp_path: Path) -> None:
    """The same layers as of the folder, whose weights are in the file once more; the doctor tells which it is."""
    save_file(dict(weights), tmp_path / "mine.safetensors", {"format": "pt"})
    layers: list[list[bytes]] = []
    for more in ({}, {"LLM_DIT_QWEN_IMAGE__TRANSFORMER_PATH": str(tmp_path / "mine.safetensors")}):
        environment = {"LLM_DIT_ENGINE": "qwen", "LLM_DIT_QWEN_IMAGE__MODEL_PATH": str(wide / "layered"), **more}
        settings = load_settings(environment={**environment, "LLM_DIT_QWEN_IMAGE__DEVICE": "cpu"})
        engine = choose_engine(settings)
        pipe = load_pipeline(engine.pipeline, engine.options, ignore_progress)
        layers.append([layer.tobytes() for layer in pipe.decompose(picture, "a house", **OPTIONS)])
    assert layers[0] == layers[1]


def test_the_doctor_tells_what_is_used(wide: Path, mixed: Path, tmp_path: Path) -> None:
    def told(**paths: Any) -> list[str]:
        findings = diagnose(str(wide / "layered"), str(wide / "edit"), device="cpu", **paths)
        return [f"{each.name}: {each.value} {each.advice}" for each in findings]

    described = "\n".join(told(transformer_path=str(mixed)))
    assert "transformer from mixed-Q4_K_M.gguf, 0.0 GB (Q6_K, Q4_K, F32)" in described
    assert "a file's weights stay packed" in described
    assert "transformer_path names no file" in "\n".join(told(transformer_path=str(tmp_path / "gone.gguf")))
    assert "wants that of Qwen-Image-Edit" in "\n".join(told(edit_transformer_path=str(mixed)))


def test_a_hub_is_not_asked_for_the_transformer(
    wide: Path, mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve({"Qwen/Qwen-Image-Layered": wide / "layered"}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
        checkpoint = ModelSource(path="Qwen/Qwen-Image-Layered", transformer=mixed).open(LAYERED, ignore_progress)
    weights = {name for name in hub.sent if name.endswith(".safetensors")}
    assert weights == {"text_encoder/model.safetensors", "vae/diffusion_pytorch_model.safetensors"}
    assert not list(checkpoint.folder.glob("transformer/*.safetensors"))
    assert (checkpoint.folder / "vae/diffusion_pytorch_model.safetensors").exists()


def test_2511_is_told_by_its_file(wide: Path, tmp_path: Path) -> None:
    """ComfyUI's mark stands for `zero_cond_t`, whatever the folder says."""
    edit = load_file(wide / "edit/transformer/diffusion_pytorch_model.safetensors")
    file = tmp_path / "edit-2511.safetensors"
    save_file({**edit, "__index_timestep_zero__": torch.zeros(0)}, file)
    checkpoint = ModelSource(path=wide / "edit", transformer=file).open(EDIT, ignore_progress)
    assert _Loader(checkpoint, LoadOptions(device=CPU, dtype=torch.float32)).transformer().zero_cond_t
    assert checkpoint.edition == "Qwen-Image-Edit-2511"
    newer = write_checkpoint(tmp_path / "2511", EDIT, head=128, zero_cond_t=True)
    unmarked = wide / "edit/transformer/diffusion_pytorch_model.safetensors"
    told = ModelSource(path=newer, transformer=unmarked).open(EDIT, ignore_progress)
    assert told.edition == "Qwen-Image-Edit-2511", "a file without the mark is what its folder is"
    config = json.loads((wide / "edit/model_index.json").read_text()) | {"_class_name": FIRST_EDIT}
    first = Path(shutil.copytree(wide / "edit", tmp_path / "first"))
    (first / "model_index.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match="is of Qwen-Image-Edit-2511"):
        ModelSource(path=first, transformer=file).open(EDIT, ignore_progress)


# The header tells what is wrong with a file; each of these makes one, of the weights of Qwen-Image-Layered.

Make = Callable[[Path, dict[str, torch.Tensor]], Path]


def stored(change: Callable[[dict[str, torch.Tensor]], Any]) -> Make:
    def make(folder: Path, weights: dict[str, torch.Tensor]) -> Path:
        save_file(change(weights), folder / "model.safetensors")
        return folder / "model.safetensors"

    return make


def only(*names: str) -> Make:
    return stored(lambda _: {name: torch.zeros(2, 2) for name in names})


def packed(kind: Callable[[str], str], architecture: str = "qwen_image") -> Make:
    def make(folder: Path, weights: dict[str, torch.Tensor]) -> Path:
        write_gguf(folder / "model.gguf", weights, kind, architecture)
        return folder / "model.gguf"

    return make


def cut(make: Make, size: Callable[[int], int]) -> Make:
    def cutting(folder: Path, weights: dict[str, torch.Tensor]) -> Path:
        file = make(folder, weights)
        os.truncate(file, size(file.stat().st_size))
        return file

    return cutting


def content(data: bytes) -> Make:
    def make(folder: Path, _: dict[str, torch.Tensor]) -> Path:
        (folder / "model.safetensors").write_bytes(data)
        return folder / "model.safetensors"

    return make


def endless(kind: int) -> bytes:
    """Return a header with a note that is said to be 2⁶² texts (8) or bytes (0), which are empty."""
    return b"GGUF" + struct.pack("<IQQQcIIQ", 3, 1, 1, 1, b"a", 9, kind, 2**62) + bytes(17_000_000)


def of_full_size(folder: Path, _: dict[str, torch.Tensor]) -> Path:
    """41 GB of Qwen-Image-Edit, of which the header alone takes room on the disk."""
    header, end = dict[str, Any](), 0
    with torch.device("meta"):
        shapes = make_transformer(False, blocks=60, head=1536).state_dict()
    for name, tensor in shapes.items():
        size = 2 * tensor.numel()
        header[name] = {"dtype": "BF16", "shape": list(tensor.shape), "data_offsets": [end, end + size]}
        end += size
    told = json.dumps(header).encode()
    file = folder / "model.safetensors"
    file.write_bytes(len(told).to_bytes(8, "little") + told)
    os.truncate(file, 8 + len(told) + end)
    return file


INTEGERS = {"transformer_blocks.0.attn.to_q.weight": torch.zeros(256, 256, dtype=torch.int8)}
LINES = {"transformer_blocks.0.attn.to_q.weight_scale": torch.ones(2, 2)}
WRONG: dict[str, tuple[Make, str]] = {
    "SDXL": (
        only("model.diffusion_model.input_blocks.0.0.weight", "first_stage_model.x"),
        "is a Stable Diffusion model",
    ),
    "Flux": (only("double_blocks.0.img_attn.qkv.weight"), "is a Flux or HunyuanVideo model"),
    "a LoRA": (only("transformer_blocks.0.attn.to_q.lora_A.weight"), "is a LoRA, which goes into `loras`"),
    "a LoRA of diffusers' before": (only("transformer.transformer_blocks.0.attn.to_q.lora.up.weight"), "is a LoRA"),
    "a LoRA of kohya's": (only("lora_unet_transformer_blocks_0_attn_to_q.lora_down.weight"), "is a LoRA"),
    "a text encoder": (only("model.layers.0.mlp.up_proj.weight", "visual.patch.weight"), "is a text encoder"),
    "a VAE": (only("decoder.conv_in.weight", "encoder.conv_in.weight"), "is a VAE"),
    "2.1": (only("txt_in.text_norm.weight"), "is the transformer of Qwen-Image-2.1"),
    "another transformer": (
        only("transformer_blocks.0.attn.to_q.weight", "x_embedder.weight"),
        "no transformer of Qwen",
    ),
    "the other model": (
        stored(lambda weights: {name: each for name, each in weights.items() if "addition_t" not in name}),
        "is the transformer of Qwen-Image or Qwen-Image-Edit: transformer_path wants that of Qwen-Image-Layered",
    ),
    "the other model at full size": (of_full_size, "is the transformer of Qwen-Image or Qwen-Image-Edit"),
    "another width": (stored(lambda _: make_transformer(True, head=16).state_dict()), "is of another size: "),
    "fewer blocks": (
        stored(lambda _: make_transformer(True, blocks=1, head=128).state_dict()),
        "1 blocks, and the conf",
    ),
    "a part": (
        stored(lambda weights: {name: each for name, each in weights.items() if "proj_out" not in name}),
        r"lacks 2 weights, proj_out\.bias among them",
    ),
    "too much": (stored(lambda weights: weights | {"more": torch.zeros(1)}), "1 weights, more among them"),
    "integers": (stored(lambda weights: weights | INTEGERS), "of the type I8, which is not supported: F32, F16"),
    "scales of tiles": (
        stored(lambda weights: weights | LINES),
        "has scales of 2 × 2: one for a weight, or for each row",
    ),
    "cut off": (cut(stored(dict), lambda size: size - 1), "is truncated"),
    "cut in its header": (cut(stored(dict), lambda size: 600), "is truncated"),
    "GGUF, of a language model": (packed(lambda _: "Q8_0", "llama"), "of the architecture llama, not of qwen_image"),
    "GGUF, cut off": (
        cut(packed(lambda _: "Q8_0"), lambda size: size - 1),
        "is truncated: .* are there: download it again",
    ),
    "GGUF, cut in its header": (cut(packed(lambda _: "Q8_0"), lambda size: 600), "is truncated or damaged"),
    "GGUF, of a type": (packed(lambda _: "TQ2_0"), "of GGUF's type 35, which is not supported: .*Q4_K"),
    "GGUF, of no sense": (content(b"GGUF\3\0\0\0" + b"\xff" * 400), "is truncated or damaged"),
    "GGUF, with a list without end": (content(endless(8)), "is truncated or damaged"),
    "GGUF, with numbers without end": (content(endless(0)), "is truncated or damaged"),
    "GGUF, of zeros": (content(b"GGUF\1" + bytes(400)), "is of version 1 of GGUF"),
    "a pickle": (content(b"PK\x03\x04" + bytes(400)), "is a pickle, which may contain code"),
    "a pointer": (content(b"version https://git-lfs.github.com/spec/v1"), "Git LFS pointer"),
    "a page": (content(b"<!DOCTYPE html><html>"), "is a web page"),
    "nothing": (content(b""), "is empty"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_refused_at_once(wide: Path, weights: Weights, tmp_path: Path, name: str) -> None:
    make, says = WRONG[name]
    file = make(tmp_path, dict(weights))
    begun = time.process_time()
    with pytest.raises(WeightsError, match=says) as caught:
        QwenImageDiffusersPipeline.from_pretrained(wide / "layered", transformer_path=file, device="cpu")
    assert time.process_time() - begun < SECONDS
    assert caught.value.message.startswith(file.name)
    assert str(tmp_path) not in caught.value.message


@pytest.mark.parametrize(("option", "model"), [("transformer_path", LAYERED), ("edit_transformer_path", EDIT)])
def test_no_file_is_no_transformer(wide: Path, tmp_path: Path, option: str, model: str) -> None:
    for path in (tmp_path, tmp_path / "gone.gguf"):
        with pytest.raises(WeightsError, match=f"^{option} names no file"):
            ModelSource(path=wide / "layered", transformer=path).open(model, ignore_progress)
