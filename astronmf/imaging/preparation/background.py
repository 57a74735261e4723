"""`subtract_background`: a constant, a smooth map, or a frame that was measured."""

from __future__ import annotations

from typing import Any

import astropy.units as u
import numpy as np
from astropy.nddata import NDData
from astropy.stats import SigmaClip

from astronmf._inputs import parts, sigma_of
from astronmf._typing import BoolArray, FloatArray
from astronmf._validation import (
    as_mask,
    check_broadcast,
    check_choice,
    check_integer,
    check_number,
    fail,
)
from astronmf.imaging.frames import Frames
from astronmf.imaging.geometry import annulus
from astronmf.imaging.plain import values_in
from astronmf.imaging.preparation.records import recorded
from astronmf.imaging.statistics import MEDIAN_PENALTY

__all__ = ["METHODS", "subtract_background"]

METHODS = ("constant", "map")

EXCLUDED = 80.0  # percent: a box of which more is masked says nothing of the background


def subtract_background(
    frames: Frames,
    background: Any = "constant",
    *,
    uncertainty: Any = None,
    inner_radius: float | None = None,
    outer_radius: float | None = None,
    sigma_clip: float = 3.0,
    box_size: int = 16,
) -> Frames:
    """Take the background off.

    Parameters
    ----------
    frames : Frames
    background : {"constant", "map"}, number, array, Quantity or NDData, optional
        "constant": for each frame the sigma-clipped median of the pixels between two radii. "map": a smooth map of each
        frame, from the sigma-clipped medians of boxes (`photutils.background.Background2D`). Or the background itself,
        of a shape that broadcasts to that of the frames; where it is masked or NaN, the result is masked.
    uncertainty : number or array, optional
        1σ of a background that is given; that of NDData is used by itself.
    inner_radius, outer_radius : float, optional
        The pixels between these distances from the star are taken for background, all by default: leave the star out.
    sigma_clip : float, optional
        Values beyond so many standard deviations from the median are left out, and again until none is.
    box_size : int, optional
        Of a map's boxes, in pixels.

    Returns
    -------
    Frames
        With the background's error added in quadrature to theirs, if they have errors and it is known: for a constant,
        that of a median of so many pixels; for a map, that of a box's median.

    Raises
    ------
    ValueError
        If a frame has no valid pixel between the radii, or the background does not fit the frames.
    """
    frames = Frames.of(frames)
    error: FloatArray | None
    parameters: dict[str, Any] = {"background": background if isinstance(background, str) else "given"}
    if isinstance(background, str):
        check_choice("background", background, METHODS)
        if uncertainty is not None:
            raise fail("uncertainty", f"left out with background={background!r}, which finds its own", "one")
        region = annulus(frames.shape[1:], frames.geometry.center, inner_radius, outer_radius)
        clip = SigmaClip(check_number("sigma_clip", sigma_clip, 1.0), maxiters=None)
        parameters |= {"inner_radius": inner_radius, "outer_radius": outer_radius, "sigma_clip": sigma_clip}
        if background == "constant":
            level, error = _constants(frames, region, clip)
        else:
            box = check_integer("box_size", box_size, 2, min(frames.shape[1:]))
            level, error = _maps(frames, region, clip, box)
            parameters["box_size"] = box
    else:
        level, error = _given(frames, background, uncertainty)
    return _subtracted(frames, parameters, level, error)


def _subtracted(frames: Frames, parameters: dict[str, Any], level: FloatArray, error: FloatArray | None) -> Frames:
    """Return frames less a background that broadcasts to them, with its errors in theirs."""
    level = np.broadcast_to(level, frames.shape)
    known = np.isfinite(level)
    sigma = frames.sigma
    if sigma is not None and error is not None:
        known &= np.isfinite(error)
        sigma = np.hypot(sigma, error).astype(sigma.dtype)
    data = np.where(known, frames.data - level, np.nan).astype(frames.data.dtype)
    levels = [float(np.median(plane[good])) if good.any() else np.nan for plane, good in zip(level, known, strict=True)]
    return recorded(
        frames,
        "subtract_background",
        parameters,
        {"levels": levels},
        data=data,
        mask=frames.mask | ~known,
        uncertainty=None if sigma is None else np.array(sigma),
    )


def _constants(frames: Frames, region: BoolArray, clip: SigmaClip) -> tuple[FloatArray, FloatArray]:
    """Return each frame's level and its error, (n, 1, 1)."""
    levels, errors = np.empty((2, len(frames), 1, 1))
    for i, name in enumerate(frames.names):
        values = frames.data[i][region & ~frames.mask[i]].astype(np.float64)
        if values.size == 0:
            raise fail("inner_radius", "such that every frame has valid pixels between the radii", f"none in {name}")
        kept = clip(values, masked=False)
        levels[i] = np.median(kept)
        errors[i] = MEDIAN_PENALTY * np.std(kept) / np.sqrt(kept.size)
    return levels, errors


def _maps(frames: Frames, region: BoolArray, clip: SigmaClip, box: int) -> tuple[FloatArray, FloatArray]:
    """Return a smooth map of each frame and its error, (n, y, x)."""
    from photutils.background import Background2D, MedianBackground

    levels, errors = np.empty((2, *frames.shape))
    for i, name in enumerate(frames.names):
        out = frames.mask[i] | ~region
        values = np.where(frames.mask[i], 0.0, frames.data[i]).astype(np.float64)
        options = {"mask": out, "sigma_clip": clip, "bkg_estimator": MedianBackground(), "exclude_percentile": EXCLUDED}
        try:
            found = Background2D(values, box, **options)
        except ValueError as error:
            problem = f"{name}, where every box is masked by more than {EXCLUDED:g} % ({error})"
            raise fail("box_size", "such that some boxes show the background of every frame", problem) from error
        levels[i] = found.background
        errors[i] = MEDIAN_PENALTY * found.background_rms / box
    return levels, errors


def _given(frames: Frames, background: Any, uncertainty: Any) -> tuple[FloatArray, FloatArray | None]:
    """Return a given background and its error in the frames' unit; NaN where it is missing."""
    if isinstance(background, NDData):
        if uncertainty is None:
            uncertainty = background.uncertainty
        values, mask, unit = background.data, background.mask, background.unit
    else:
        values, mask, unit = parts(background)
    level = _fitting("background", values, unit, frames)
    if mask is not None:
        level = np.where(check_broadcast("mask", as_mask("mask", mask), level.shape), np.nan, level)
    if uncertainty is None:
        return level, None
    values, _, own = parts(sigma_of(uncertainty))
    error = _fitting("uncertainty", values, unit if own is None else own, frames)
    if (error < 0).any():
        raise fail("uncertainty", "non-negative", float(np.nanmin(error)))
    return level, error


def _fitting(name: str, values: Any, unit: u.UnitBase | None, frames: Frames) -> FloatArray:
    """Return plain numbers in the frames' unit that broadcast to them; those without a unit are in it."""
    plain = values_in(name, values if unit is None else u.Quantity(values, unit), frames.unit)
    check_broadcast(name, plain, frames.shape)
    return plain
