"""How much more blurred an edited picture is than the one that was given, and the first motion of the two."""

from llm_dit.editing.levels import Level, make_level
from llm_dit.editing.motion import MAX_SHIFT_PX, MAX_ZOOM, Motion
from llm_dit.editing.planes import Plane
from llm_dit.editing.refining import refine
from llm_dit.editing.search import search_motions

SIDE = 256
BLURS_PX = (4.0, 9.0, 20.0)
NEARER = (1.5, 1.22, 1.1, 1.05)
# With not quite the right blur a motion seems this much larger than it may be.
LEEWAY = 1.25
# A blur is believed when it leaves less than this share of the disagreement, and enough points to measure by.
MAX_DISAGREEMENT, MIN_POINTS = 0.4, 0.5


def measure_blur(given: Plane, edited: Plane, weight: Plane) -> tuple[float, Motion]:
    """Return by what blur (Gaussian sigma, pixels) of the given picture the edges agree best, and the motion then.

    Blur displaces edges that are curved or near to others, which a motion would be mistaken for (Bergholm, "Edge
    focusing", PAMI 1987): so it is undone by giving both pictures the same, found by trying (as Elder and Zucker,
    "Local scale control for edge detection and blur estimation", PAMI 1998, find it by scale).
    """
    sharp = make_level(given, edited, weight, SIDE)
    if not len(sharp.places):
        return 0.0, Motion()
    first = _best(sharp, [Motion(), *search_motions(sharp)])

    def blur(blur_px: float, starts: list[Motion]) -> tuple[float, Motion]:
        level = make_level(given, edited, weight, SIDE, blur_px)
        few = len(level.places) < MIN_POINTS * len(sharp.places)
        return blur_px, Motion() if few else _best(level, starts)

    tried = [blur(blur_px, [first]) for blur_px in BLURS_PX]
    best = _most_agreeing(tried, first)
    if not best[0] or 1 - best[1].correlation > MAX_DISAGREEMENT * (1 - first.correlation):
        return 0.0, first
    for factor in NEARER:
        best = _most_agreeing([best, *(blur(best[0] * by, [best[1]]) for by in (1 / factor, factor))], first)
    return best


def _best(level: Level, starts: list[Motion]) -> Motion:
    return max((refine(level, start) for start in starts), key=lambda motion: motion.correlation)


def _most_agreeing(tried: list[tuple[float, Motion]], sharp: Motion) -> tuple[float, Motion]:
    """Return the blur with the best agreement, of those that measure a usual motion no less exactly than none."""
    usual = [
        (blur_px, motion)
        for blur_px, motion in tried
        if motion.error_px < sharp.error_px
        and max(map(abs, motion.shift)) <= LEEWAY * MAX_SHIFT_PX
        and abs(motion.zoom - 1) <= LEEWAY * MAX_ZOOM
    ]
    return max([(0.0, sharp), *usual], key=lambda pair: pair[1].correlation)
