"""From values to colours: limits that outliers do not move, stretches, and ticks that can be read under them."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.colors import AsinhNorm, LogNorm, Normalize
from matplotlib.ticker import MaxNLocator

from astronmf._typing import FloatArray
from astronmf._validation import check_choice, check_number, fail
from astronmf.imaging.statistics import mad_sigma

__all__ = ["finite_values", "limits_of", "make_norm", "number_label", "robust_limits", "symmetric_norm", "tick_values"]

STRETCHES = ("asinh", "linear")
LOWEST, HIGHEST = 0.2, 99.8  # percentiles
LINEAR_SIGMAS = 3.0  # asinh is linear within so many σ of the noise
LOWEST_SIGMAS = 5.0  # as far below zero a colour scale may reach
CLOSEST = 0.1  # ticks of a stretched scale, as a share of its length
MANTISSAS = (1.0, 5.0, 2.0, 3.0, 1.5, 4.0, 7.0)  # of ticks, the first to be placed first


def finite_values(image: Any) -> FloatArray:
    """Return what is neither masked nor NaN nor infinite: (m,) float64."""
    values = np.ma.masked_invalid(np.ma.asarray(image, dtype=np.float64)).compressed()
    return np.asarray(values, dtype=np.float64)


def robust_limits(values: FloatArray) -> tuple[float, float]:
    """Return where the colour scale of (m,) values should end.

    Percentiles; below zero no further than above it nor than some σ of the noise, and from zero where the lowest is
    near it. Always a proper interval: (0, 1) for no values, around the value where there is only one.
    """
    if values.size == 0:
        return 0.0, 1.0
    low, high = (float(limit) for limit in np.percentile(values, [LOWEST, HIGHEST]))
    if high > 0:
        low = max(low, -min(high, LOWEST_SIGMAS * robust_sigma(values) or high))
        low = 0.0 if 0 < low < 0.1 * high else low
    return _opened(low, high)


def _opened(low: float, high: float) -> tuple[float, float]:
    """Return an interval of some width around a pair that may have none."""
    least = 1e-9 * max(abs(low), abs(high))
    if high - low > least:
        return low, high
    margin = 0.1 * max(abs(low), abs(high)) or 1.0
    return low - margin, high + margin


def make_norm(values: FloatArray, stretch: str = "asinh", limits: tuple[float, float] | None = None) -> Normalize:
    """Return the map from values to [0, 1] of the colour scale.

    Parameters
    ----------
    values : (m,) array
        Finite values, which limits and the linear range of asinh are taken from.
    stretch : {"asinh", "linear"}
    limits : (low, high), optional
        In the values' unit, instead of robust ones.

    Raises
    ------
    ValueError
        If the stretch has no such name, or the limits are not finite and growing.
    """
    check_choice("stretch", stretch, STRETCHES)
    low, high = robust_limits(values) if limits is None else _checked(limits)
    if stretch == "linear":
        return Normalize(low, high)
    return AsinhNorm(_linear_width(values, high - low), vmin=low, vmax=high)


def _checked(limits: tuple[float, float]) -> tuple[float, float]:
    low, high = (check_number("limits", limit) for limit in limits)
    if not low < high:
        raise fail("limits", "(low, high) with low < high", (low, high))
    return low, high


def _linear_width(values: FloatArray, span: float) -> float:
    """Return below which size asinh is linear: some σ of the noise, within reason for the scale's length."""
    return float(np.clip(LINEAR_SIGMAS * robust_sigma(values), 1e-3 * span, span))


def robust_sigma(values: FloatArray) -> float:
    """Return the σ of a Gaussian with the median absolute deviation of (m,) values; 0 for none."""
    return float(mad_sigma(values)) if values.size else 0.0


def symmetric_norm(values: FloatArray, least: float, most: float) -> Normalize:
    """Return a linear scale from −limit to limit, the limit robust but within [`least`, `most`]."""
    limit = float(np.percentile(np.abs(values), HIGHEST)) if values.size else least
    limit = float(np.clip(limit, least, most))
    return Normalize(-limit, limit)


def limits_of(norm: Normalize) -> tuple[float, float]:
    """Return where a scale made here begins and ends."""
    return float(norm.vmin or 0.0), float(norm.vmax or 0.0)


def tick_values(norm: Normalize) -> list[float]:
    """Return round values within the scale's limits, none closer to another than labels need."""
    low, high = limits_of(norm)
    chosen: list[float] = []
    if isinstance(norm, AsinhNorm | LogNorm):
        smallest = norm.linear_width / 10 if isinstance(norm, AsinhNorm) else low
        values = _round_values(max(abs(low), abs(high)), smallest)
        values = values[(values >= low) & (values <= high)]
        chosen = [float(values[i]) for i in _apart(np.asarray(norm(values)))]
    if len(chosen) < 3:
        even = MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(low, high)
        chosen = [float(value) for value in even if low <= value <= high]
    return sorted(chosen)


def _apart(positions: FloatArray) -> list[int]:
    """Return the indices of positions that keep their distance from all that were taken before them."""
    taken: list[int] = []
    for i, position in enumerate(positions):
        if all(abs(position - positions[j]) >= CLOSEST for j in taken):
            taken.append(i)
    return taken


def _round_values(largest: float, smallest: float) -> FloatArray:
    """Return 0 and ± round numbers times powers of ten: (m,), those that matter most first."""
    highest = int(np.floor(np.log10(largest)))
    lowest = max(int(np.floor(np.log10(smallest))), highest - 8)
    powers = [10.0**power for power in range(highest, lowest - 1, -1)]
    values = [sign * mantissa * power for mantissa in MANTISSAS for power in powers for sign in (1, -1)]
    return np.array([0.0, *values])


def number_label(value: float, _position: int | None = None) -> str:
    """Return a number as a tick's label: with a true minus sign, and a power of ten where zeros would be many."""
    exponent = int(np.floor(np.log10(abs(value)))) if value else 0
    if -4 < exponent < 5:
        return f"{value:.6g}".replace("-", "−")
    mantissa = f"{value / 10.0**exponent:.6g}"
    factor = {"1": "", "-1": "-"}.get(mantissa, rf"{mantissa}\times")
    return f"${factor}10^{{{exponent}}}$"
