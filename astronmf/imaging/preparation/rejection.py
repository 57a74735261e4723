"""`reject_frames`: leave out what is unlike the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from astronmf._typing import BoolArray, FloatArray
from astronmf._validation import check_integer, check_number, fail
from astronmf.imaging.frames import Frames
from astronmf.imaging.geometry import annulus
from astronmf.imaging.preparation.correlation import PairSums
from astronmf.imaging.preparation.records import recorded
from astronmf.imaging.statistics import mad_sigma, median_frame

__all__ = ["indices_of", "reject_frames"]


def reject_frames(
    frames: Frames,
    by_hand: Any = (),
    *,
    min_correlation: float | None = None,
    max_flux_deviation: float | None = None,
    max_scatter_deviation: float | None = None,
    inner_radius: float | None = None,
    outer_radius: float | None = None,
) -> Frames:
    """Leave out frames that are named, or unlike the others.

    Parameters
    ----------
    frames : Frames
        Their star at one place.
    by_hand : str, int, or sequence of them, optional
        Names, or numbers from 0, of frames to leave out.
    min_correlation : float, optional
        The least correlation with the median of all frames, on the pixels that both have.
    max_flux_deviation : float, optional
        How far the mean of a frame's pixels may be from the median over the frames, in robust standard deviations.
    max_scatter_deviation : float, optional
        How far above the median over the frames the scatter of a frame less the scaled median frame may be, in robust
        standard deviations.
    inner_radius, outer_radius : float, optional
        The pixels between these distances from the star are compared; all by default.

    Returns
    -------
    Frames
        Those that remain. The record names the others, and why each was left out.

    Raises
    ------
    ValueError
        If no frame would remain, a name or number is unknown, or a criterion finds nothing to compare.
    """
    frames = Frames.of(frames)
    reasons: list[list[str]] = [[] for _ in frames.names]
    for index in indices_of("by_hand", by_hand, frames):
        reasons[index].append("by hand")
    region = annulus(frames.shape[1:], frames.geometry.center, inner_radius, outer_radius)
    limits = {
        "min_correlation": None if min_correlation is None else check_number("min_correlation", min_correlation, -1, 1),
        "max_flux_deviation": _deviation("max_flux_deviation", max_flux_deviation),
        "max_scatter_deviation": _deviation("max_scatter_deviation", max_scatter_deviation),
    }
    found = _measured(frames, region, limits)
    for name, (values, worse, limit) in found.items():
        for index in np.flatnonzero(worse).tolist():
            sign = "<" if name == "correlation" else "off by more than" if name == "flux" else ">"
            reasons[index].append(f"{name} {values[index]:.4g} {sign} {limit:.4g}")
    kept = [i for i, why in enumerate(reasons) if not why]
    if not kept:
        raise fail(
            "frames", "such that at least one remains", f"all {len(frames)} rejected, the first: {reasons[0][0]}"
        )
    rejected = [{"frame": frames.names[i], "index": i, "reasons": why} for i, why in enumerate(reasons) if why]
    parameters = limits | {"inner_radius": inner_radius, "outer_radius": outer_radius}
    measured = {name: values for name, (values, _, _) in found.items()}
    return recorded(frames, "reject_frames", parameters, {"rejected": rejected} | measured)[kept]


def _deviation(name: str, value: float | None) -> float | None:
    return None if value is None else check_number(name, value, 0.0)


def _measured(
    frames: Frames, region: BoolArray, limits: dict[str, float | None]
) -> dict[str, tuple[FloatArray, BoolArray, float]]:
    """Return what was measured of each frame by each criterion that has a limit, who is beyond it, and the limit."""
    data, weights = frames.data[:, region], (~frames.mask[:, region]).astype(np.float64)
    known = np.where(weights > 0, data, np.nan)
    median = median_frame(known)
    sums = PairSums.of(data, weights, median[None], np.isfinite(median)[None])
    found: dict[str, tuple[FloatArray, BoolArray, float]] = {}
    least, off, above = limits.values()
    if least is not None:
        values = sums.correlation()[:, 0]
        found["correlation"] = values, ~(values >= least), least
    if off is not None:
        values = _factors_of_flux(sums)
        width = off * float(mad_sigma(values))
        found["flux"] = values, ~(np.abs(values - np.nanmedian(values)) <= width), width
    if above is not None:
        values = sums.scatter()[:, 0]
        limit = float(np.nanmedian(values) + above * mad_sigma(values))
        found["scatter"] = values, ~(values <= limit), limit
    return found


def _factors_of_flux(sums: PairSums) -> FloatArray:
    """Return each frame's mean on the pixels that it shares with the median frame, over that frame's mean there."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums.one[:, 0] / sums.other[:, 0])


def indices_of(name: str, chosen: Any, frames: Frames) -> list[int]:
    """Return the numbers of frames that are given by name or number, one or several.

    Raises
    ------
    ValueError
        If there is no such frame, or several have the name.
    """
    several = chosen if isinstance(chosen, Iterable) and not isinstance(chosen, str) else [chosen]
    return [_index_of(name, one, frames) for one in several]


def _index_of(name: str, chosen: Any, frames: Frames) -> int:
    """Return the number of the frame that is given by name or number."""
    if not isinstance(chosen, str):
        return check_integer(name, chosen, -len(frames), len(frames) - 1) % len(frames)
    count = frames.names.count(chosen)
    if count != 1:
        raise fail(name, "names of one frame each", f"{chosen!r}, the name of {count}; give its number from 0")
    return frames.names.index(chosen)
