"""The edit models, one module each; `EDITORS` maps the diffusers class named in a checkpoint to its model."""

from llm_dit.qwen.editors.editor import EDIT_PLUS, FIRST, Editor
from llm_dit.qwen.editors.qwen_image_21 import QWEN_IMAGE_21

EDITORS: dict[str, Editor] = {editor.pipeline: editor for editor in (EDIT_PLUS, FIRST, QWEN_IMAGE_21)}
