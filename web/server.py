"""The application as a server finds it: `uvicorn web.server:app`."""

from llm_dit.errors import LLMDiTError
from server.settings import load_settings
from web.app import create_app

try:
    app = create_app(load_settings())
except LLMDiTError as error:
    raise SystemExit(f"error: {error.message}") from None
