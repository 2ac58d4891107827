"""Which pictures an edit takes beside the layer; that they count as with diffusers is in test_equality.py."""

from pathlib import Path

import pytest
from PIL import Image

from llm_dit.errors import InputError
from llm_dit.pipelines.classical import ClassicalPipeline
from llm_dit.pipelines.qwen_image_diffusers import QwenImageDiffusersPipeline
from server.engines import choose_engine
from server.settings import QwenImageSettings, Settings

SQUARE = Image.new("RGB", (64, 64), "teal")


@pytest.mark.parametrize(
    ("references", "says"),
    [
        ([SQUARE] * 4, "takes up to 3 references"),
        (["square.png"], "references must be a PIL image"),
        ([Image.new("RGB", (90, 10))], "at most 8 times the other"),
    ],
)
def test_what_cannot_be_a_reference_is_refused(
    shared_pipe: QwenImageDiffusersPipeline, picture: Image.Image, references: list[Image.Image], says: str
) -> None:
    with pytest.raises(InputError, match=says) as caught:
        shared_pipe.edit_layer(picture, "make it blue", references=references)
    assert caught.value.param == "references"


def test_references_take_room_from_the_instruction(
    shared_pipe: QwenImageDiffusersPipeline, picture: Image.Image
) -> None:
    with pytest.raises(InputError, match="2871 tokens and may have 2870"):
        shared_pipe.edit_layer(picture, "x" * 2871, references=[SQUARE] * 3)


def test_who_takes_none_says_so_before_anything_is_loaded(first_edit: Path, picture: Image.Image) -> None:
    with pytest.raises(InputError, match="classical engine does not support reference"):
        ClassicalPipeline().edit_layer(picture, "make it blue", references=[SQUARE])
    pipe = QwenImageDiffusersPipeline.from_pretrained("", first_edit, edit_only=True, device="cpu")
    with pytest.raises(InputError, match="use Qwen-Image-Edit-2509 or 2511"):
        pipe.edit_layer(picture, "make it blue", references=[SQUARE])


def test_the_service_knows_how_many_its_edit_model_takes(checkpoints: Path, first_edit: Path) -> None:
    for path, most in [("", 3), ("Qwen/Qwen-Image-Edit", 0), (str(first_edit), 0), (str(checkpoints / "edit"), 3)]:
        models = QwenImageSettings(model_path="models", edit_model_path=path)
        assert choose_engine(Settings(engine="qwen", qwen_image=models)).references == most
    assert choose_engine(Settings(engine="classical")).references == 0
