"""The edit models, each in a module; `EDITORS` has them by the diffusers class that their checkpoints name."""

from llm_dit.qwen.editors.edit import EDIT_PLUS, FIRST
from llm_dit.qwen.editors.editor import Editor

EDITORS: dict[str, Editor] = {editor.pipeline: editor for editor in (EDIT_PLUS, FIRST)}
