"""What the outcomes of many edits of known truth come to."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tests.kit.edits.alpha_pairs import ContextOutcome, Outcome, ShapeOutcome
from tests.kit.edits.simulated_edits import EDITS, GROUNDS
from tests.kit.edits.simulated_layers import SHAPES
from tests.kit.edits.simulated_shapes import KINDS


def summarize(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return errors and ratios of all pairs and by each property, registration, and what became of the floors."""
    everything = ratios(outcomes)
    by_kind = {kind: ratios([o for o in outcomes if o.kind == kind]) for kind in KINDS}
    worst = {ratio: max(row[ratio] for row in by_kind.values()) for ratio in ("to_raw", "to_green")}
    unmoved = describe_unmoved(outcomes)
    return {
        "all": {"all": everything},
        "by_kind": by_kind,
        "by_ground": {ground: ratios([o for o in outcomes if o.ground == ground]) for ground in GROUNDS},
        "by_edit": {edit: ratios([o for o in outcomes if o.edit == edit]) for edit in EDITS},
        "by_motion": {str(moved): ratios([o for o in outcomes if o.moved == moved]) for moved in (True, False)},
        "registration": describe_registration(outcomes),
        "worst_kind": worst,
        "unmoved": unmoved,
        "passed": max(*worst.values(), everything["to_raw"], everything["to_green"]) <= 0.5
        and unmoved["identity_max_shift_px"] < 0.5,
    }


def describe_registration(outcomes: Sequence[Outcome]) -> dict[str, dict[str, float]]:
    """Return the errors of shift and zoom where the object kept its outline, in groups, and where it did not."""
    same = [o for o in outcomes if not o.redrawn]
    rows = {"all": same, "redrawn": [o for o in outcomes if o.redrawn]}
    rows |= {ground: [o for o in same if o.ground == ground] for ground in GROUNDS}
    rows |= {kind: [o for o in same if o.kind == kind] for kind in KINDS}
    rows |= {edit: [o for o in same if o.edit == edit] for edit in EDITS}
    return {name: motion_errors(chosen) for name, chosen in rows.items()}


def motion_errors(outcomes: Sequence[Outcome]) -> dict[str, float]:
    registered = [o for o in outcomes if o.registered]
    shift = quantiles([o.shift_error_px for o in registered])
    zoom = quantiles([o.zoom_error_percent for o in registered])
    names = ("median", "p95", "max")
    return {
        "pairs": len(outcomes),
        "found": share(o.is_found for o in outcomes),
        "declined": share(not o.registered for o in outcomes),
        "worsened": share(o.ours > 1.05 * o.unaligned + 0.1 for o in outcomes),
        **{f"px_{name}": value for name, value in zip(names, shift, strict=True)},
        **{f"%_{name}": value for name, value in zip(names, zoom, strict=True)},
    }


def describe_unmoved(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Return what becomes of pictures that the model leaves alone, and of those it edits without moving them."""
    still = [o for o in outcomes if not o.moved]
    return {
        "identity_max_shift_px": max(o.identity_shift_px for o in outcomes),
        "identity_mean_error": mean(o.identity for o in outcomes),
        "identity_max_error": max(o.identity for o in outcomes),
        "still_max_shift_px": max((o.shift_error_px for o in still), default=0.0),
        "still_worsened": share(o.ours > 1.05 * o.unaligned + 0.1 for o in still),
    }


def summarize_shapes(shapes: Sequence[ShapeOutcome]) -> dict[str, Any]:
    """Return the errors of edits that change the shape, ours against the better of the green ways for each pair."""
    others = [min(s.green_old_alpha, s.green_keyed) for s in shapes]
    return {
        "pairs": len(shapes),
        "ours": mean(s.ours for s in shapes),
        "green_old_alpha": mean(s.green_old_alpha for s in shapes),
        "green_keyed": mean(s.green_keyed for s in shapes),
        "ratio_to_better": round(sum(s.ours for s in shapes) / max(sum(others), 1e-9), 3),
        "derived": share(s.derived for s in shapes),
        "by_kind": {kind: mean(s.ours for s in shapes if s.kind == kind) for kind in KINDS},
        "by_change": {change: mean(s.ours for s in shapes if s.change == change) for change in SHAPES},
    }


def summarize_context(pairs: Sequence[ContextOutcome]) -> dict[str, Any]:
    """Return the errors of edits over surroundings, ours against the answer as it is, and by what became of these."""
    return {
        ground: {
            "pairs": len(chosen),
            "ours": mean(o.ours for o in chosen),
            "pasted": mean(o.pasted for o in chosen),
            "ratio": round(sum(o.ours for o in chosen) / max(sum(o.pasted for o in chosen), 1e-9), 3),
            "worse": share(o.ours > o.pasted for o in chosen),
        }
        for ground in GROUNDS
        if (chosen := [o for o in pairs if o.ground == ground])
    }


def ratios(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Return mean errors by way, ours against each of the others, and how many pairs are at most half of both."""
    ours, raw, green, unaligned = (
        mean(getattr(o, way) for o in outcomes) for way in ("ours", "raw", "green", "unaligned")
    )
    return {
        "pairs": len(outcomes),
        "ours": ours,
        "unaligned": unaligned,
        "raw": raw,
        "green": green,
        "to_raw": round(ours / max(raw, 1e-9), 3),
        "to_green": round(ours / max(green, 1e-9), 3),
        "halved": share(o.ours <= 0.5 * min(o.raw, o.green) for o in outcomes),
    }


def quantiles(values: Sequence[float]) -> list[float]:
    """Return median, 95 % and maximum, 0 of nothing."""
    return [round(float(value), 3) for value in np.quantile(values or [0.0], (0.5, 0.95, 1))]


def mean(values: Iterable[float]) -> float:
    """Return the mean, 0 of nothing."""
    listed = list(values)
    return round(sum(listed) / max(len(listed), 1), 3)


def share(claims: Iterable[bool]) -> float:
    """Return how many of the claims are true, 0 to 1."""
    return mean(float(claim) for claim in claims)
