"""Labels of color by two numbers of ITU-T H.273, as PNG's cICP and AVIF's nclx give them."""

from functools import cache

from llm_dit.decoding.hdr import HLG, PQ, HighRange
from llm_dit.decoding.icc import PRIMARIES, TRANSFERS, rgb_profile


@cache
def coded_colors(primaries: int, transfer: int) -> bytes | HighRange | None:
    """Return what turns such colors into sRGB, or None for numbers that say nothing here."""
    if primaries not in PRIMARIES:
        return None
    if transfer in {PQ, HLG}:
        return HighRange(primaries, transfer)
    return rgb_profile(PRIMARIES[primaries], TRANSFERS[transfer]) if transfer in TRANSFERS else None
