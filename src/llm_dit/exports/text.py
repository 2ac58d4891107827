"""Names of layers and groups as other programs can hold them."""

import re

_UNHOLDABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def holdable(name: str) -> str:
    """Return a name with what no XML file may hold, such as control characters, replaced by the sign U+FFFD."""
    return _UNHOLDABLE.sub("\ufffd", name)
