"""With every option off we are plain diffusers: the same latents and the same pictures, to the bit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import QwenImageEditPlusPipeline, QwenImageLayeredPipeline
from PIL import Image

from llm_dit.editing import prepare
from llm_dit.pipelines.qwen_image_diffusers import QwenImageDiffusersPipeline
from llm_dit.qwen.checkpoints import EDIT, LAYERED, Checkpoint
from llm_dit.qwen.loading import LoadOptions, _Loader

STEPS = 2
SEED = 7
CAPTION = (
    "A red house with a green door stands on a hill, three white clouds above it; in the foreground a brown fence runs "
    "from left to right, behind it yellow flowers, and on the door a sign reads “打开 OPEN”. The sky is pale blue, the "
    "light comes from the left, and the shadows of the fence are long and soft."
)
"""As long as captions are."""


class Recorder:
    """Keeps the latents of every step of a plain diffusers run."""

    def __init__(self) -> None:
        self.latents: list[torch.Tensor] = []

    def __call__(self, _pipeline: Any, _step: int, _time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        self.latents.append(tensors["latents"].clone())
        return tensors


def plain(pipeline: Any, folder: Path, name: str) -> Any:
    options = LoadOptions(device=torch.device("cpu"), dtype=torch.float32)
    processor = _Loader(Checkpoint(folder=folder, pipeline=name), options).processor()
    return pipeline.from_pretrained(folder, processor=processor)


def same(first: Image.Image, second: Image.Image) -> bool:
    return first.mode == second.mode and np.array_equal(np.asarray(first), np.asarray(second))


@pytest.fixture
def our_latents(shared_pipe: QwenImageDiffusersPipeline, monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """The latents of every step that our pipeline takes."""
    from llm_dit.pipelines import qwen_image_diffusers as module

    recorder, original = Recorder(), module.step_callback

    def recording(*arguments: Any) -> Any:
        ours = original(*arguments)
        return lambda *step: ours(*step[:3], recorder(*step))

    monkeypatch.setattr(module, "step_callback", recording)
    return recorder.latents


def test_decompose_equals_diffusers(
    checkpoints: Path,
    shared_pipe: QwenImageDiffusersPipeline,
    picture: Image.Image,
    our_latents: list[torch.Tensor],
) -> None:
    theirs = Recorder()
    images = plain(QwenImageLayeredPipeline, checkpoints / "layered", LAYERED)(
        image=picture,
        prompt=CAPTION,
        negative_prompt=" ",
        true_cfg_scale=4.0,
        layers=3,
        resolution=640,
        num_inference_steps=STEPS,
        cfg_normalize=True,
        use_en_prompt=True,
        generator=torch.Generator("cpu").manual_seed(SEED),
        callback_on_step_end=theirs,
    ).images[0]
    layers = shared_pipe.decompose(picture, CAPTION, layer_num=3, num_inference_steps=STEPS, seed=SEED)
    assert len(our_latents) == STEPS
    assert all(torch.equal(a, b) for a, b in zip(our_latents, theirs.latents, strict=True))
    assert all(same(a, b) for a, b in zip(layers[1:], images, strict=True))


def test_edit_equals_diffusers(
    checkpoints: Path,
    shared_pipe: QwenImageDiffusersPipeline,
    picture: Image.Image,
    our_latents: list[torch.Tensor],
) -> None:
    shown = prepare(picture, shape="keep", output_size="layer")
    theirs = Recorder()
    edited = plain(QwenImageEditPlusPipeline, checkpoints / "edit", EDIT)(
        image=shown.image,
        prompt=CAPTION,
        negative_prompt=" ",
        true_cfg_scale=4.0,
        num_inference_steps=STEPS,
        generator=torch.Generator("cpu").manual_seed(SEED),
        callback_on_step_end=theirs,
    ).images[0]
    layer = shared_pipe.edit_layer(picture, CAPTION, num_inference_steps=STEPS, seed=SEED)
    assert len(our_latents) == STEPS
    assert all(torch.equal(a, b) for a, b in zip(our_latents, theirs.latents, strict=True))
    assert same(layer, shown.finish(edited).image)
