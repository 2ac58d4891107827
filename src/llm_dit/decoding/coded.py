"""Labels of color by two numbers of ITU-T H.273, as PNG's cICP and AVIF's nclx give them."""

from functools import cache

from llm_dit.decoding.hdr import HLG, MOST_LIGHT, PEAK, PQ, HighRange
from llm_dit.decoding.icc import PRIMARIES, TRANSFERS, rgb_profile


def coded_colors(primaries: int, transfer: int, brightest: float = 0) -> bytes | HighRange | None:
    """Return what turns such colors into sRGB, or None for numbers that say nothing here.

    `brightest` is the light of the brightest pixel in cd/m², where the file tells it; 0 where it does not.
    """
    if primaries in PRIMARIES and transfer in {PQ, HLG}:
        return HighRange(primaries, transfer, min(brightest, MOST_LIGHT) if brightest > 0 else PEAK)
    return _profile(primaries, transfer)


@cache
def _profile(primaries: int, transfer: int) -> bytes | None:
    if primaries not in PRIMARIES or transfer not in TRANSFERS:
        return None
    return rgb_profile(PRIMARIES[primaries], TRANSFERS[transfer])
