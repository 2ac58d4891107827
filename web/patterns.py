"""Patterns of text in requests; `web/errors.py` has the words for each."""

NOT_BLANK = r"\S"
HEX_COLOUR = r"^#([0-9a-fA-F]{6}|[0-9a-fA-F]{8})$"
VISIBLE_ASCII = r"^[!-~]+$"
IMAGE_ADDRESS = r"^/api/images/[0-9a-f]{64}\.png$"
