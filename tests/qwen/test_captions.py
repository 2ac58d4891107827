"""Captions are those that transformers' `generate` writes, token by token."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers import GenerationConfig

from llm_dit.qwen.forward.graphs import Call, Recorder
from llm_dit.qwen.loading.checkpoints import LAYERED, open_checkpoint
from llm_dit.qwen.loading.loader import LoadOptions, load_pipeline
from llm_dit.qwen.placement.placing import Placement
from llm_dit.qwen.sampling import encoding as module
from llm_dit.qwen.sampling.encoding import ROOM, Captions, Writer, why_not_greedy
from llm_dit.runs import Canceled, Progress
from tests.kit.checkpoints import make_text_encoder, make_tokenizer
from tests.qwen.test_graphs import record_badly, record_nothing, record_well
from tests.qwen.test_offloading import PLANS

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def pipeline(checkpoints: Path) -> Any:
    options = LoadOptions(device=CPU, dtype=torch.float32)
    return load_pipeline(open_checkpoint(checkpoints / "layered", LAYERED), options, lambda _: None)


@settings(max_examples=50)
@given(
    seed=st.integers(0, 10_000),
    size=st.tuples(st.integers(28, 160), st.integers(28, 160)),
    penalty=st.sampled_from([1.0, 1.05, 1.3]),
    ends=st.integers(0, 60),
    limit=st.integers(1, 24),
    question=st.text("abc 图像", max_size=12),
    record=st.sampled_from([None, record_well, record_badly, record_nothing]),
)
def test_the_tokens_are_those_of_generate(
    pipeline: Any,
    seed: int,
    size: tuple[int, int],
    penalty: float,
    ends: int,
    limit: int,
    question: str,
    record: Recorder | None,
) -> None:
    encoder: Any = make_text_encoder(make_tokenizer(), seed)
    for parameter in encoder.parameters():
        parameter.data *= 8  # as configured all tokens are about as likely; so one leads to the next
    encoder.generation_config.eos_token_id = list(range(ends))
    encoder.generation_config.repetition_penalty = penalty
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    inputs = pipeline.vl_processor(
        text=f"{question}<|vision_start|><|image_pad|><|vision_end|>",
        images=Image.fromarray(pixels),
        return_tensors="pt",
    )
    heard: list[int] = []
    written = Writer(record).write(encoder, inputs, limit, lambda: heard.append(1))
    theirs = encoder.generate(**inputs, max_new_tokens=limit)[0, inputs["input_ids"].shape[1] :]
    assert written == theirs.tolist()
    assert len(heard) == len(written)
    assert (len(written) == limit) or written[-1] < ends


def test_what_is_recorded_for_a_text_writes_the_next(pipeline: Any) -> None:
    """Of other pictures and lengths, and of another model, for which it is recorded again."""
    recorded: list[Any] = []

    def record(call: Call) -> Any:
        recorded.append(call)
        return record_well(call)

    writer = Writer(record)
    for seed, times in ((1, 1), (2, 2)):
        encoder: Any = make_text_encoder(make_tokenizer(), seed)
        encoder.generation_config.eos_token_id = []
        for side, limit in ((56, 9), (84, 4), (28, 12)):
            inputs = pipeline.vl_processor(
                text="<|vision_start|><|image_pad|><|vision_end|>",
                images=Image.effect_noise((side, 56), 90).convert("RGB"),
                return_tensors="pt",
            )
            theirs = encoder.generate(**inputs, max_new_tokens=limit)[0, inputs["input_ids"].shape[1] :]
            assert writer.write(encoder, inputs, limit, lambda: None) == theirs.tolist()
            assert len(recorded) == times
    writer.write(encoder, inputs, ROOM, lambda: None)
    assert len(recorded) == 3, "it is longer than the others"


def caption(pipeline: Any, progress: Any = lambda _: None) -> str:
    return Captions().caption(pipeline, Image.new("RGBA", (90, 60), "teal"), english=False, progress=progress)


@pytest.fixture
def short(pipeline: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Random weights never end a sentence."""
    monkeypatch.setattr(module, "MAX_TOKENS", 6)
    generate = pipeline.text_encoder.generate
    monkeypatch.setattr(
        pipeline.text_encoder, "generate", lambda **named: generate(**{**named, "max_new_tokens": module.MAX_TOKENS})
    )
    return pipeline


@pytest.mark.parametrize("name", PLANS)
def test_a_caption_is_that_of_the_pipeline_wherever_the_weights_are(short: Any, name: str) -> None:
    heard: list[Progress] = []
    with torch.no_grad():
        theirs = short.get_image_caption(Image.new("RGBA", (90, 60), "teal"), use_en_prompt=False, device=CPU)
    placement = Placement([short], PLANS[name], CPU)
    assert caption(short, heard.append) == theirs
    assert [(each.phase, each.step, each.total) for each in heard] == [("captioning", n, 6) for n in range(1, 7)]
    placement.remove()


def test_a_caption_is_canceled_at_a_token(short: Any) -> None:
    heard: list[int] = []

    def cancel(report: Progress) -> None:
        heard.append(report.step)
        if report.step == 3:
            raise Canceled

    with pytest.raises(Canceled):
        caption(short, cancel)
    assert heard == [1, 2, 3]
    assert caption(short)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({}, ""),
        ({"do_sample": True, "temperature": 1e-6, "repetition_penalty": 1.05, "eos_token_id": [1, 2]}, ""),
        ({"use_cache": True, "output_attentions": False, "output_hidden_states": False}, ""),
        ({"do_sample": True, "temperature": 0.7}, "asks for samples"),
        ({"num_beams": 4}, "has num_beams"),
        ({"no_repeat_ngram_size": 3}, "has no_repeat_ngram_size"),
    ],
)
def test_what_asks_for_more_than_the_likeliest_token_is_named(asked: dict[str, Any], why: str) -> None:
    found = why_not_greedy(GenerationConfig(**asked))
    assert why in found and bool(found) == bool(why)


def test_the_settings_that_transformers_writes_ask_for_no_more(pipeline: Any) -> None:
    assert why_not_greedy(pipeline.text_encoder.generation_config) == ""


def test_a_model_that_asks_for_more_gets_generate(
    short: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(short.text_encoder.generation_config, "no_repeat_ngram_size", 2)
    caplog.set_level(logging.INFO, module.__name__)
    heard: list[Progress] = []
    assert caption(short, heard.append)
    assert [each.step for each in heard] == [1, 2, 3, 4, 5, 6]
    assert "generate: its generation_config.json has no_repeat_ngram_size" in caplog.text
