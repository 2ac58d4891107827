"""The application as a server finds it: `uvicorn web.server:app`."""

from llm_dit.errors import LLMDiTError
from server.logs import configure
from server.settings import load_settings
from web.app import create_app

try:
    settings = load_settings()
    configure(settings.server.log_format)
    app = create_app(settings)
except LLMDiTError as error:
    raise SystemExit(f"error: {error.message}") from None
