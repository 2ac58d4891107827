"""We are plain diffusers: the same latents after every step and the same pictures, to the bit, fused or not.

The VAE for pictures rounds otherwise than the video model (test_single_frame.py), so here the video model stays.
"""

# diffusers exports its names lazily, which pyright cannot see.
# pyright: reportPrivateImportUsage=false
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKLQwenImage,
    QwenImageEditPipeline,
    QwenImageEditPlusPipeline,
    QwenImageLayeredPipeline,
)
from PIL import Image

from llm_dit.editing import prepare
from llm_dit.pipelines.qwen_image_diffusers import QwenImageDiffusersPipeline
from llm_dit.qwen.loading.checkpoints import EDIT, FIRST_EDIT, LAYERED, Checkpoint
from llm_dit.qwen.loading.loader import LoadOptions, _Loader
from tests.kit.checkpoints import write_checkpoint
from tests.kit.denoising import align

STEPS = 2
SEED = 7
CAPTION = (
    "A red house with a green door stands on a hill, three white clouds above it; in the foreground a brown fence runs "
    "from left to right, behind it yellow flowers, and on the door a sign reads “打开 OPEN”. The sky is pale blue, the "
    "light comes from the left, and the shadows of the fence are long and soft."
)
"""As long as captions are; three of them are more than the 512 tokens that are read of a prompt."""
WORKED_AT = (352, 192)
"""What the models make of the picture's content: 1.8 to 1, a sixteenth of 1024² in multiples of 32."""
Open = Callable[..., QwenImageDiffusersPipeline]


class UnfoldedVae(AutoencoderKLQwenImage):
    """The video model in place of the VAE for pictures."""

    def fold(self) -> None:
        """Do nothing."""


class Recorder:
    """Keeps the latents of every step."""

    def __init__(self) -> None:
        self.latents: list[torch.Tensor] = []

    def __call__(self, _pipeline: Any, _step: int, _time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        self.latents.append(tensors["latents"].clone())
        return tensors


@pytest.fixture(scope="module")
def editors(checkpoints: Path, first_edit: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The edit models: the first, 2509, and 2511, to which the condition is shown as without noise."""
    newer = write_checkpoint(tmp_path_factory.mktemp("newer") / "edit", EDIT, zero_cond_t=True)
    return {"first": first_edit, "2509": checkpoints / "edit", "2511": newer}


@pytest.fixture(scope="module")
def open_pipe(checkpoints: Path, editors: dict[str, Path]) -> Iterator[Open]:
    kept: dict[tuple[bool, str], QwenImageDiffusersPipeline] = {}

    def open_one(*, fused: bool, editor: str = "2509") -> QwenImageDiffusersPipeline:
        if (fused, editor) not in kept:
            kept[fused, editor] = QwenImageDiffusersPipeline.from_pretrained(
                checkpoints / "layered", editors[editor], edit_only=editor != "2509", device="cpu", fused=fused
            )
        return kept[fused, editor]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("llm_dit.qwen.loading.loader.SingleFrameVae", UnfoldedVae)
        yield open_one


def plain(kind: Any, folder: Path, name: str, **arguments: Any) -> tuple[list[torch.Tensor], list[Image.Image]]:
    """Run diffusers' own pipeline, from its own loading on."""
    options = LoadOptions(device=torch.device("cpu"), dtype=torch.float32)
    processor = _Loader(Checkpoint(folder=folder, pipeline=name), options).processor()
    pipeline = kind.from_pretrained(folder, processor=processor)
    align(pipeline)
    pipeline.set_progress_bar_config(disable=True)
    recorder = Recorder()
    images = pipeline(
        negative_prompt=" ",
        num_inference_steps=STEPS,
        generator=torch.Generator("cpu").manual_seed(SEED),
        callback_on_step_end=recorder,
        **arguments,
    ).images
    return recorder.latents, images[0] if name == LAYERED else images


def all_equal(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> bool:
    return len(ours) == STEPS and all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def same(first: Image.Image, second: Image.Image) -> bool:
    return first.mode == second.mode and np.array_equal(np.asarray(first), np.asarray(second))


@pytest.mark.parametrize(("scale", "normalize", "prompt"), [(4.0, True, CAPTION), (2.5, False, 3 * CAPTION)])
def test_decompose_equals_diffusers(
    checkpoints: Path,
    open_pipe: Open,
    picture: Image.Image,
    our_latents: list[torch.Tensor],
    scale: float,
    normalize: bool,
    prompt: str,
) -> None:
    theirs, images = plain(
        QwenImageLayeredPipeline,
        checkpoints / "layered",
        LAYERED,
        image=picture,
        prompt=prompt,
        true_cfg_scale=scale,
        layers=3,
        resolution=640,
        cfg_normalize=normalize,
    )
    for fused in (True, False):
        our_latents.clear()
        layers = open_pipe(fused=fused).decompose(
            picture,
            prompt,
            layer_num=3,
            num_inference_steps=STEPS,
            seed=SEED,
            cfg_scale=scale,
            cfg_normalize=normalize,
        )
        assert all_equal(our_latents, theirs)
        assert all(same(a, b) for a, b in zip(layers[1:], images, strict=True))


# A scale of 1 means no guidance: then no model computes what is not wanted.
@pytest.mark.parametrize(("editor", "scale"), [("first", 4.0), ("2509", 4.0), ("2511", 4.0), ("2509", 1.0)])
def test_edit_equals_diffusers(
    editors: dict[str, Path],
    open_pipe: Open,
    picture: Image.Image,
    our_latents: list[torch.Tensor],
    editor: str,
    scale: float,
) -> None:
    shown = prepare(picture, shape="keep", output_size="layer")
    first = editor == "first"
    theirs, images = plain(
        QwenImageEditPipeline if first else QwenImageEditPlusPipeline,
        editors[editor],
        FIRST_EDIT if first else EDIT,
        image=shown.image,
        prompt=CAPTION,
        true_cfg_scale=scale,
    )
    for fused in (True, False):
        our_latents.clear()
        layer = open_pipe(fused=fused, editor=editor).edit_layer(
            picture, CAPTION, num_inference_steps=STEPS, seed=SEED, cfg_scale=scale
        )
        assert all_equal(our_latents, theirs)
        assert same(layer, shown.finish(images[0]).image)


@pytest.mark.parametrize("editor", ["2509", "2511"])
def test_an_edit_with_references_equals_diffusers(
    editors: dict[str, Path],
    open_pipe: Open,
    picture: Image.Image,
    our_latents: list[torch.Tensor],
    editor: str,
) -> None:
    """The layer is Picture 1 and has the size of the answer; the others have shapes of their own."""
    shown = prepare(picture, shape="keep", output_size="layer")
    tall, cut_out = Image.new("RGB", (40, 90), "teal"), Image.new("RGBA", (64, 48), (200, 30, 40, 0))
    cut_out.paste((200, 30, 40, 255), (8, 8, 40, 40))
    on_white = Image.new("RGB", cut_out.size, "white")
    on_white.paste(cut_out, mask=cut_out.getchannel("A"))
    theirs, images = plain(
        QwenImageEditPlusPipeline,
        editors[editor],
        EDIT,
        image=[shown.image, tall, on_white],
        prompt="put the red of Picture 3 on Picture 1",
        true_cfg_scale=4.0,
        width=WORKED_AT[0],
        height=WORKED_AT[1],
    )
    for fused in (True, False):
        our_latents.clear()
        layer = open_pipe(fused=fused, editor=editor).edit_layer(
            picture,
            "put the red of Picture 3 on Picture 1",
            references=[tall, cut_out],
            num_inference_steps=STEPS,
            seed=SEED,
            cfg_scale=4.0,
        )
        assert all_equal(our_latents, theirs)
        assert same(layer, shown.finish(images[0]).image)
