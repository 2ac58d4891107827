"""Previews show where a run is heading, at next to no cost, and change nothing of what it makes."""

# diffusers exports its names lazily, which pyright cannot see.
# pyright: reportPrivateImportUsage=false
import copy
import itertools
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import QwenImageEditPlusPipeline, QwenImageLayeredPipeline
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from llm_dit import Layer, surroundings_of
from llm_dit.editing import prepare
from llm_dit.pipelines.qwen_image_diffusers import QwenImageDiffusersPipeline
from llm_dit.qwen.forward import vae as module
from llm_dit.qwen.forward.vae import (
    CARD_CELLS,
    LinearDecoder,
    Previewing,
    Previews,
    draw_card,
    fit_linear_decoder,
    predict,
    unpack,
)
from llm_dit.qwen.loading.checkpoints import LAYERED, open_checkpoint
from llm_dit.qwen.loading.loader import LoadOptions, load_pipeline
from llm_dit.qwen.placement.placing import Placement
from llm_dit.qwen.placement.plan import Plan
from llm_dit.runs import Progress

STEPS = 3
Seen = list[tuple[int, Image.Image]]


@pytest.fixture
def at_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INTERVAL_S", 0.0)
    monkeypatch.setattr(module, "SHARE", float("inf"))


PACKED = SimpleNamespace(config=SimpleNamespace(patch_size=2))
"""What previews ask of a transformer: how many cells a token has on a side."""


class LinearVae:
    """A VAE whose latents are a mixture of each cell's mean colors: what a linear decoder can find out to the bit."""

    spatial_compression_ratio = 8
    device, dtype = torch.device("cpu"), torch.float32

    def __init__(self, channels: int, seed: int) -> None:
        chance = np.random.default_rng(seed)
        self.mixture = torch.from_numpy(chance.normal(size=(channels, 16)).astype(np.float32))
        self.config = SimpleNamespace(
            input_channels=channels,
            latents_mean=chance.normal(size=16).tolist(),
            latents_std=chance.uniform(0.5, 3, 16).tolist(),
        )

    def encode(self, pictures: torch.Tensor) -> Any:
        means = torch.nn.functional.avg_pool2d(pictures[:, :, 0], self.spatial_compression_ratio)
        latents = torch.einsum("bchw,cz->bzhw", means, self.mixture)[:, :, None]
        return SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: latents))


@settings(max_examples=10)
@given(channels=st.sampled_from([3, 4]), seed=st.integers(0, 1000))
def test_a_linear_decoder_finds_what_is_linear(channels: int, seed: int) -> None:
    vae = LinearVae(channels, seed)
    rows, columns = np.mgrid[0:48, 0:80].astype(np.float32)
    pixels = np.stack([columns * 3, rows * 5, 255 - columns * 3, (rows + columns) * 2], axis=-1)[..., :channels]
    picture = torch.from_numpy(pixels).permute(2, 0, 1)[None, :, None] / 127.5 - 1
    raw = vae.encode(picture).latent_dist.mode()[0, :, 0].permute(1, 2, 0)
    latents = (raw - torch.tensor(vae.config.latents_mean)) / torch.tensor(vae.config.latents_std)
    (shown,) = fit_linear_decoder(vae).decode(latents[None])
    wanted = pixels.reshape(6, 8, 10, 8, channels).mean((1, 3))
    assert (shown.mode, shown.size) == ("RGBA", (10, 6))
    assert np.abs(np.asarray(shown)[..., :channels] - wanted).max() <= 1
    assert channels == 4 or shown.getchannel("A").getextrema() == (255, 255)


def test_the_card_has_every_color_and_opacity() -> None:
    card = np.asarray(draw_card(8 * CARD_CELLS))
    assert np.array_equal(card, np.asarray(draw_card(8 * CARD_CELLS)))
    assert all(len(np.unique(card[..., channel])) > 40 for channel in range(3))
    assert {0, 255} < set(np.unique(card[..., 3]).tolist())


@given(
    sigmas=st.tuples(st.floats(0.02, 1), st.floats(0, 1)).filter(lambda pair: pair[0] - pair[1] >= module.SPAN),
    seed=st.integers(0, 1000),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
)
def test_a_straight_way_is_followed_to_its_end(sigmas: tuple[float, float], seed: int, dtype: torch.dtype) -> None:
    noise, clean = torch.randn(2, 1, 6, 64, generator=torch.Generator().manual_seed(seed))
    before, now = (((1 - sigma) * clean + sigma * noise).to(dtype) for sigma in sigmas)
    found = predict((before, sigmas[0]), (now, sigmas[1]))
    error = (found - clean).square().mean().sqrt()
    assert found.dtype == torch.float32
    assert error <= (1e-3 if dtype == torch.float32 else 0.5)


@given(layers=st.integers(1, 4), rows=st.integers(1, 5), columns=st.integers(1, 5))
def test_latents_are_unpacked_as_the_pipelines_do(layers: int, rows: int, columns: int) -> None:
    tokens = torch.arange((layers + 1) * rows * columns * 64, dtype=torch.float32).reshape(1, -1, 64)
    theirs = QwenImageLayeredPipeline._unpack_latents(tokens, 16 * rows, 16 * columns, layers, 8)
    assert torch.equal(unpack(tokens, (columns, rows)), theirs[0].permute(1, 2, 3, 0))
    one = tokens[:, : rows * columns]
    theirs = QwenImageEditPlusPipeline._unpack_latents(one, 16 * rows, 16 * columns, 8)
    assert torch.equal(unpack(one, (columns, rows)), theirs[0].permute(1, 2, 3, 0))


def decompose(pipe: QwenImageDiffusersPipeline, picture: Image.Image, **more: Any) -> list[bytes]:
    arguments = {"layer_num": 2, "num_inference_steps": STEPS, "cfg_scale": 1.0, "seed": 5, **more}
    return [layer.tobytes() for layer in pipe.decompose(picture, "a house", **arguments)]


@pytest.fixture(scope="module")
def without(shared_pipe: QwenImageDiffusersPipeline, picture: Image.Image) -> list[bytes]:
    """The layers of a run at which nobody looks."""
    return decompose(shared_pipe, picture)


def test_layers_are_the_same_to_the_bit_with_previews(
    shared_pipe: QwenImageDiffusersPipeline, picture: Image.Image, without: list[bytes], at_every_step: None
) -> None:
    seen: Seen = []
    heard: list[tuple[int, int]] = []

    def progress(report: Progress) -> None:
        heard.append((report.step, len(seen)))

    torch.manual_seed(3)
    state = torch.get_rng_state()
    assert decompose(shared_pipe, picture, preview=lambda *each: seen.append(each), progress=progress) == without
    assert torch.equal(torch.get_rng_state(), state), "previews draw no random numbers"
    # 224 × 128 pixels, 16 for each latent cell; with three steps only the second one has a step before and one to come.
    shown = [(layer, preview.mode, preview.size) for layer, preview in seen]
    assert shown == [(1, "RGBA", (14, 8)), (2, "RGBA", (14, 8))]
    assert heard[-3:] == [(2, 0), (3, 2), (3, 2)], "after the last step the result itself comes"


def test_a_preview_that_fails_is_logged_once_and_the_run_goes_on(
    shared_pipe: QwenImageDiffusersPipeline,
    picture: Image.Image,
    without: list[bytes],
    at_every_step: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("planted")

    assert decompose(shared_pipe, picture, preview=fail) == without
    assert [record.getMessage() for record in caplog.records if record.name == module.__name__] == [module.FAILED]


def test_a_vae_that_cannot_be_fitted_means_no_previews(caplog: pytest.LogCaptureFixture) -> None:
    broken: Any = SimpleNamespace(vae=copy.copy(LinearVae(4, 0)), vae_scale_factor=8, transformer=PACKED)
    del broken.vae.config
    assert Previewing().of_run(broken, (640, 640), 1, lambda *_: None) is None
    assert [record.getMessage() for record in caplog.records] == [module.FAILED]


@pytest.mark.parametrize("shape", ["keep", "new"])
def test_an_edit_in_context_shows_the_layer_without_its_surroundings(
    shared_pipe: QwenImageDiffusersPipeline, picture: Image.Image, shape: Any, at_every_step: None
) -> None:
    seen: Seen = []
    arguments: dict[str, Any] = {"num_inference_steps": STEPS, "cfg_scale": 1.0, "seed": 5, "shape": shape}
    ground = Image.new("RGBA", (256, 256), "green")
    around = surroundings_of([Layer(image=ground), Layer(image=picture, x=60, y=90)], 1)
    shared_pipe.edit_layer(
        picture,
        "make it blue",
        context=True,
        surroundings=around,
        preview=lambda *each: seen.append(each),
        **arguments,
    )
    assert seen
    corner = [np.asarray(shown)[0, 0, 3] for _, shown in seen]
    assert all(shown.mode == "RGBA" for _, shown in seen)
    assert shape == "new" or not any(corner)


def test_an_edit_is_the_same_to_the_bit_and_its_preview_has_the_layers_alpha(
    shared_pipe: QwenImageDiffusersPipeline, picture: Image.Image, at_every_step: None
) -> None:
    seen: Seen = []
    arguments: dict[str, Any] = {"num_inference_steps": STEPS, "cfg_scale": 1.0, "seed": 5}
    edited = shared_pipe.edit_layer(picture, "make it blue", preview=lambda *each: seen.append(each), **arguments)
    assert edited.tobytes() == shared_pipe.edit_layer(picture, "make it blue", **arguments).tobytes()
    ((layer, preview),) = seen
    assert (layer, preview.mode) == (1, "RGBA")
    assert preview.width > preview.height
    alpha = np.asarray(preview.getchannel("A"))
    assert alpha[0, 0] < 20 and alpha[preview.height // 2, preview.width // 2] > 230


def test_a_preview_within_a_region_shows_the_layer_outside(
    shared_pipe: QwenImageDiffusersPipeline, at_every_step: None
) -> None:
    seen: Seen = []
    layer = Image.new("RGBA", (640, 640), "red")
    arguments: dict[str, Any] = {
        "num_inference_steps": STEPS,
        "cfg_scale": 1.0,
        "seed": 5,
        "region": (200, 200, 440, 440),
    }
    shared_pipe.edit_layer(layer, "make it blue", preview=lambda *each: seen.append(each), **arguments)
    pixels = np.asarray(seen[-1][1])
    assert (pixels[0] == (255, 0, 0, 255)).all() and (pixels[:, -1] == (255, 0, 0, 255)).all()
    assert (pixels[pixels.shape[0] // 2, pixels.shape[1] // 2] != (255, 0, 0, 255)).any()


def test_a_new_shape_is_not_known_before_the_end(picture: Image.Image) -> None:
    canvas = prepare(picture, shape="new", output_size="layer")
    preview = canvas.preview(Image.new("RGBA", (40, 24), "red"))
    assert (preview.size, preview.getchannel("A").getextrema()) == ((40, 24), (255, 255))


class Clock:
    """Time that goes by only as it is told."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@given(step_s=st.floats(0.001, 20), preview_s=st.floats(0, 3), steps=st.integers(2, 60))
def test_previews_take_their_share_and_no_more(step_s: float, preview_s: float, steps: int) -> None:
    clock, taken = Clock(), list[float]()
    scheduler = SimpleNamespace(sigmas=np.linspace(1, 0, steps + 1))

    def show(_layer: int, _picture: Image.Image) -> None:
        clock.now += preview_s
        taken.append(clock.now)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "time", clock)
        previews = Previews(LinearDecoder(torch.zeros(17, 4)), size=(2, 2), layers=1, show=show)
        for step in range(steps):
            clock.now += step_s
            previews.after_step(step, torch.zeros(1, 8, 64), scheduler)
    pause_s = max(module.INTERVAL_S, preview_s / module.SHARE)
    assert all(later - earlier > pause_s - 1e-6 for earlier, later in itertools.pairwise(taken))
    assert len(taken) * preview_s <= module.SHARE * (clock.now - 100) + preview_s + 1e-6
    assert steps * step_s < 2 * (module.INTERVAL_S + step_s) or taken


PLANS = {
    "model, quantized": Plan(strategy="model", kept_blocks=2, quantized=True, peak=0, reason=""),
    "stream": Plan(strategy="stream", peak=0, reason=""),
}


@pytest.fixture(scope="module")
def pipeline(checkpoints: Path) -> Any:
    options = LoadOptions(device=torch.device("cpu"), dtype=torch.float32)
    return load_pipeline(open_checkpoint(checkpoints / "layered", LAYERED), options, lambda _: None)


@pytest.fixture(params=PLANS)
def placed(pipeline: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    placement = Placement([pipeline], PLANS[request.param], torch.device("cpu"))
    yield pipeline
    placement.remove()


def test_previews_need_no_decoder_however_the_weights_are_placed(placed: Any) -> None:
    decoded: list[Any] = []
    hook = placed.vae.decoder.register_forward_pre_hook(lambda *_: decoded.append(1))
    seen: Seen = []
    previews = Previewing().of_run(placed, (640, 320), 2, lambda *each: seen.append(each))
    assert previews is not None
    previews._due = 0
    scheduler = SimpleNamespace(sigmas=[1.0, 0.75, 0.5, 0.0])
    previews.after_step(0, torch.ones(1, 3 * 20 * 10, 64), scheduler)
    previews.after_step(1, torch.zeros(1, 3 * 20 * 10, 64), scheduler)
    hook.remove()
    assert [(layer, picture.size) for layer, picture in seen] == [(1, (40, 20)), (2, (40, 20))]
    assert decoded == []


def test_the_decoder_of_a_vae_is_fitted_once(pipeline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted: list[Any] = []

    def fit(vae: Any) -> LinearDecoder:
        fitted.append(vae)
        return LinearDecoder(torch.zeros(17, 4))

    monkeypatch.setattr(module, "fit_linear_decoder", fit)
    previewing = Previewing()
    other = SimpleNamespace(vae=copy.deepcopy(pipeline.vae), vae_scale_factor=16, transformer=PACKED)
    for each in (pipeline, other, pipeline):
        assert previewing.of_run(each, (640, 640), 1, lambda *_: None) is not None
    assert previewing.of_run(pipeline, (640, 640), 1, None) is None
    assert fitted == [pipeline.vae, other.vae]
