"""ICC profiles for color labels that are numbers: primaries and transfer functions by ITU-T H.273, PNG's gamma.

As profiles, such labels go the same way as those that people's programs embed.
"""

import struct
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Curve = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""From encoded values to light, both 0–1."""
Chromaticities = tuple[float, float, float, float, float, float, float, float]
"""x and y of white, red, green and blue."""

_D50 = np.array((0.9642, 1.0, 0.8249))
_BRADFORD = np.array(((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296)))
_D65, _C = (0.3127, 0.3290), (0.310, 0.316)
PRIMARIES: dict[int, Chromaticities] = {
    1: (*_D65, 0.640, 0.330, 0.300, 0.600, 0.150, 0.060),
    4: (*_C, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    8: (*_C, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    10: (1 / 3, 1 / 3, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    22: (*_D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
}
BT709 = PRIMARIES[1]
SAMPLES = 4096
"""Steps of a curve, linear between."""


def power(exponent: float) -> Curve:
    return lambda values: values**exponent


def _piecewise(exponent: float, offset: float, slope: float, knee: float) -> Curve:
    return lambda values: np.where(
        values < knee, values / slope, ((values + offset) / (1 + offset)).clip(0) ** exponent
    )


SRGB = _piecewise(2.4, 0.055, 12.92, 0.04045)
_BT709 = power(2.4)
"""What screens make of television's curve (BT.1886), not what cameras do; browsers take the former."""
TRANSFERS: dict[int, Curve] = {
    1: _BT709,
    4: power(2.2),
    5: power(2.8),
    6: _BT709,
    7: _piecewise(1 / 0.45, 0.1115, 4.0, 0.0912),
    8: power(1.0),
    11: _BT709,
    13: SRGB,
    14: _BT709,
    15: _BT709,
    17: lambda values: values**2.6 * (52.37 / 48),
}


def rgb_profile(chromaticities: Chromaticities, curve: Curve) -> bytes:
    """Return an ICC profile, version 2; raises `ValueError` for chromaticities that span no colors."""
    columns = colorants(chromaticities)
    levels = (curve(np.linspace(0, 1, SAMPLES)).clip(0, 1) * 65535).round().astype(">u2")
    trc = b"curv\0\0\0\0" + struct.pack(">I", SAMPLES) + levels.tobytes()
    tags = [(b"wtpt", _xyz(_D50)), *zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(_xyz, columns.T), strict=True)]
    table, body, start = b"", b"", 128 + 4 + 12 * (len(tags) + 3)
    for name, data in tags:
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data
    for name in (b"rTRC", b"gTRC", b"bTRC"):
        table += name + struct.pack(">II", start + len(body), len(trc))
    body += trc
    head = struct.pack(">I4sI12s12s4s28s", start + len(body), b"", 0x02400000, b"mntrRGB XYZ ", b"", b"acsp", b"")
    return head + _xyz(_D50)[8:] + bytes(48) + struct.pack(">I", len(tags) + 3) + table + body


def colorants(chromaticities: Chromaticities) -> NDArray[np.float64]:
    """Return the columns of the matrix from linear RGB to XYZ, adapted to D50 by Bradford's method."""
    points = np.array(chromaticities, float).reshape(4, 2)
    if not np.isfinite(points).all() or (points[:, 1] < 0).any() or points[0, 1] == 0:
        raise ValueError("no chromaticities")
    white, *corners = (np.array((x, y, 1 - x - y)) for x, y in points)
    white = white / white[1]
    matrix = np.array(corners).T
    if abs(np.linalg.det(matrix)) < 1e-6:
        raise ValueError("no chromaticities")
    matrix = matrix * np.linalg.solve(matrix, white)
    cones = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    adapted = np.linalg.inv(_BRADFORD) @ np.diag(cones) @ _BRADFORD @ matrix
    if np.abs(adapted).max() > 30_000:
        raise ValueError("no chromaticities")
    return adapted


def _xyz(values: NDArray[np.float64]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(value * 65536)) for value in values)
