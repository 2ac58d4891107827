"""Both branches of a step go through a block together, and what is encoded once is not encoded again."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from llm_dit.pipelines.qwen_image_diffusers import QwenImageDiffusersPipeline
from llm_dit.qwen.loading.checkpoints import LAYERED, open_checkpoint
from llm_dit.qwen.loading.loader import LoadOptions, load_pipeline
from llm_dit.qwen.placement.placing import Placement
from llm_dit.qwen.placement.plan import Plan
from llm_dit.qwen.placement.swapping import BlockStream, Swapped
from llm_dit.qwen.sampling.encoding import Encodings
from tests.kit.checkpoints import make_transformer
from tests.kit.denoising import denoise_noise

CPU = torch.device("cpu")
STEPS = 3
BLOCKS = 5


@pytest.fixture(scope="module")
def pipeline(checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The layered model with more blocks than there are slots."""
    folder = tmp_path_factory.mktemp("deep")
    for part in (checkpoints / "layered").iterdir():
        if part.name != "transformer":
            (folder / part.name).symlink_to(part)
    make_transformer(layered=True, blocks=BLOCKS).save_pretrained(folder / "transformer")
    options = LoadOptions(device=CPU, dtype=torch.float32)
    return load_pipeline(open_checkpoint(folder, LAYERED), options, lambda _: None)


@pytest.fixture
def moves(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """How often each streamed block is copied to the device."""
    counted: Counter[int] = Counter()
    fetch = BlockStream._fetch

    def counting(self: BlockStream, index: int, *arguments: Any, **named: Any) -> Any:
        counted[index] += 1
        return fetch(self, index, *arguments, **named)

    monkeypatch.setattr(BlockStream, "_fetch", counting)
    return counted


@pytest.mark.parametrize("away", [False, True])
@pytest.mark.parametrize("kept", [0, 1, 2])
def test_a_streamed_block_is_moved_once_a_step(pipeline: Any, moves: Counter[int], kept: int, away: bool) -> None:
    expected = denoise_noise(pipeline, texts=(300, 8), rows=3, seed=1, steps=3)
    plan = Plan(strategy="stream", kept_blocks=kept, modulation_away=away, peak=0, reason="")
    placement = Placement([pipeline], plan, CPU)
    assert torch.equal(denoise_noise(pipeline, texts=(300, 8), rows=3, seed=1, steps=3), expected)
    placement.remove()
    # After the last step the first block is on its way for a step that does not come.
    assert moves == Counter({index: STEPS + (index == 0) for index in range(BLOCKS - kept)})


@pytest.fixture
def fetched(pipeline: Any, monkeypatch: pytest.MonkeyPatch) -> set[Swapped]:
    """The modulations that are on the device now, of those that were sent away."""
    there: set[Swapped] = set()
    tensors = {id(tensor) for tensor in pipeline.transformer.modulations.parameters()}
    onload, offload = Swapped.onload, Swapped.offload

    def bring(self: Swapped) -> None:
        if all(id(tensor) in tensors for tensor, _ in self._homes):
            there.add(self)
        onload(self)

    def drop(self: Swapped) -> None:
        there.discard(self)
        offload(self)

    monkeypatch.setattr(Swapped, "onload", bring)
    monkeypatch.setattr(Swapped, "offload", drop)
    return there


@pytest.mark.parametrize(("strategy", "again"), [("resident", 0), ("model", BLOCKS), ("stream", BLOCKS)])
def test_modulation_speaks_once_a_schedule_and_is_fetched_only_for_that(
    pipeline: Any, fetched: set[Swapped], strategy: Any, again: int
) -> None:
    expected = denoise_noise(pipeline, texts=(300, 8), rows=3, seed=1, steps=3)
    pipeline.transformer.table.forget()
    placement = Placement([pipeline], Plan(strategy=strategy, modulation_away=True, peak=0, reason=""), CPU)
    spoke: list[int] = []
    while_blocks_run: list[int] = []
    hooks = [
        each.register_forward_pre_hook(lambda *_: spoke.append(len(fetched)))
        for each in pipeline.transformer.modulations
    ]
    block = pipeline.transformer.transformer_blocks[0]
    hooks.append(block.register_forward_pre_hook(lambda *_: while_blocks_run.append(len(fetched))))
    for calls in (BLOCKS, BLOCKS + again):
        assert torch.equal(denoise_noise(pipeline, texts=(300, 8), rows=3, seed=1, steps=3), expected)
        assert spoke == [1] * calls, "one at a time"
        placement.after_run()
    assert while_blocks_run == [0] * 2 * STEPS * 2
    for hook in hooks:
        hook.remove()
    placement.remove()


@pytest.fixture
def encoded(shared_pipe: QwenImageDiffusersPipeline, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """How often each encoder runs, with nothing kept from the tests before."""
    counted: Counter[str] = Counter()
    monkeypatch.setattr(shared_pipe._runner, "_encodings", Encodings())
    hooks: list[Any] = []
    for pipeline in shared_pipe._models._pipelines.values():
        parts = {"vision": pipeline.text_encoder.model.visual, "vae": pipeline.vae.encoder}
        if "Edit" in type(pipeline).__name__:
            parts["text"] = pipeline.text_encoder  # one object in both pipelines
        for name, part in parts.items():
            if name != "vision" or "text" in parts:
                hooks.append(part.register_forward_pre_hook(lambda *_, name=name: counted.update([name])))
    yield counted
    for hook in hooks:
        hook.remove()


def test_another_seed_encodes_nothing_again(
    shared_pipe: QwenImageDiffusersPipeline, picture: Image.Image, encoded: Counter[str]
) -> None:
    def edit(seed: int, instruction: str = "make it blue") -> bytes:
        return shared_pipe.edit_layer(picture, instruction, num_inference_steps=1, seed=seed).tobytes()

    first = edit(1)
    assert encoded == {"text": 2, "vision": 2, "vae": 1}
    kept, other = edit(1), edit(2)
    assert encoded == {"text": 2, "vision": 2, "vae": 1}
    assert first == kept != other
    edit(1, "make it green")
    assert encoded == {"text": 3, "vision": 3, "vae": 1}, "the picture and what is not wanted are the same"
    shared_pipe._runner._encodings = Encodings()
    assert edit(2) == other
    shared_pipe.edit_layer(picture.rotate(180), "make it blue", num_inference_steps=1, seed=1)
    assert encoded == {"text": 7, "vision": 7, "vae": 3}


def test_layers_from_another_seed_encode_nothing_again(
    shared_pipe: QwenImageDiffusersPipeline, picture: Image.Image, encoded: Counter[str]
) -> None:
    for seed in (1, 2):
        shared_pipe.decompose(picture, "a house", layer_num=1 + seed, num_inference_steps=1, seed=seed)
    assert encoded == {"text": 2, "vae": 1}


class Encoder:
    """Stands where a pipeline does, and makes a tensor of 400 bytes of every text."""

    _execution_device = CPU

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode_prompt(self, text: str, **_: Any) -> tuple[torch.Tensor, None]:
        self.asked.append(text)
        return torch.full((1, 100, 1), float(len(text))), None


@given(st.lists(st.integers(1, 6), max_size=40), st.integers(1, 5))
def test_the_latest_are_kept_within_the_limit(lengths: list[int], room: int) -> None:
    encoder, encodings = Encoder(), Encodings(limit=400 * room)
    recent: list[int] = []
    for length in lengths:
        asked = len(encoder.asked)
        branch = encodings.text(encoder, "x" * length)
        assert branch.mask is None
        assert torch.equal(branch.embeds, torch.full((1, 100, 1), float(length)))
        assert (len(encoder.asked) == asked) == (length in recent)
        recent = ([length, *(each for each in recent if each != length)])[:room]
