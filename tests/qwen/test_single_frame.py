"""The VAE for pictures computes what the video model computes of one frame."""

from pathlib import Path
from typing import Any

import pytest
import torch

from llm_dit.qwen.forward.vae import SingleFrameVae
from llm_dit.qwen.loading.checkpoints import EDIT, LAYERED, open_checkpoint
from llm_dit.qwen.loading.loader import LoadOptions, _Loader
from llm_dit.qwen.placement.devices import folded_parameters
from tests.kit.checkpoints import make_vae
from tests.kit.full_size import full_vae


def folded(video: Any) -> SingleFrameVae:
    single = SingleFrameVae(**{key: value for key, value in video.config.items() if not key.startswith("_")})
    single.load_state_dict(video.state_dict())
    single.fold()
    return single.eval()


def differences(video: Any, single: Any, pictures: torch.Tensor) -> tuple[float, float]:
    with torch.no_grad():
        latents = video.encode(pictures).latent_dist.mode()
        encoded = single.encode(pictures).latent_dist.mode() - latents
        decoded = single.decode(latents).sample - video.decode(latents).sample
    return encoded.abs().max().item(), decoded.abs().max().item()


@pytest.mark.parametrize("layered", [True, False])
def test_a_picture_is_one_frame(layered: bool) -> None:
    video = make_vae(layered).eval()
    single = folded(video)
    pictures = torch.rand(3, 4 if layered else 3, 1, 48, 32) * 2 - 1
    assert max(differences(video, single, pictures)) <= 1e-5
    single.enable_slicing()
    assert max(differences(video, single, pictures)) <= 1e-5
    assert sum(tensor.numel() for tensor in single.parameters()) < 0.5 * sum(
        tensor.numel() for tensor in video.parameters()
    )


def test_a_picture_is_one_frame_at_the_real_width() -> None:
    torch.manual_seed(5)
    video = full_vae(layered=True).eval()
    assert max(differences(video, folded(video), torch.rand(1, 4, 1, 16, 24) * 2 - 1)) <= 1e-5


@pytest.mark.parametrize("name", [LAYERED, EDIT])
def test_what_is_kept_is_known_before_it_is_loaded(checkpoints: Path, name: str) -> None:
    checkpoint = open_checkpoint(checkpoints / {LAYERED: "layered", EDIT: "edit"}[name], name)
    vae = _Loader(checkpoint, LoadOptions(device=torch.device("cpu"), dtype=torch.float32)).vae()
    assert isinstance(vae, SingleFrameVae)
    assert folded_parameters(checkpoint.shapes("vae")) == sum(tensor.numel() for tensor in vae.parameters())
