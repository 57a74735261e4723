"""The best factor for subtracting a model (BFF, Ren+ 2018, section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.stats import sigma_clip

from astronmf._typing import BoolArray, FloatArray, IntArray
from astronmf._validation import as_real_array, check_choice, check_number, check_shape, fail
from astronmf.exceptions import ScaleFactorWarning, warn

__all__ = ["GROUPINGS", "VARIANTS", "BestFactor", "ScaleFactor", "best_factor", "frame_groups", "scale_factors"]

DEFAULT = "bff"
TRIALS = 9
ROUNDS = 30
FEWEST_PIXELS = 10


#: Which frames may share a scale factor.
GROUPINGS = ("frame", "roll", "all")

SAME_ROLL = 0.05  # degrees between neighbours


def frame_groups(angles: FloatArray | None, n: int, by: str) -> IntArray:
    """Return the number of the group of each of `n` frames.

    Parameters
    ----------
    angles : (n,) array or None
        Position angles; frames without are of one roll.
    n
    by : {"frame", "roll", "all"}
        Each frame is a group; those of the same angle are; or all are one.
    """
    check_choice("scale_by", by, GROUPINGS)
    if by == "frame":
        return np.arange(n)
    if by == "all" or angles is None:
        return np.zeros(n, dtype=int)
    turned = np.mod(angles, 360.0)
    order = np.argsort(turned, kind="stable")
    numbers = np.empty(n, dtype=int)
    numbers[order] = np.append(0, np.cumsum(np.diff(turned[order]) > SAME_ROLL))
    if turned[order[0]] + 360.0 - turned[order[-1]] <= SAME_ROLL:  # on both sides of north
        numbers[numbers == numbers[order[-1]]] = 0
    return numbers


@dataclass(frozen=True)
class BestFactor:
    """How a best factor is searched.

    Attributes
    ----------
    bounds : (float, float)
        The range of factors.
    clip : (float, float)
        Residuals so many standard deviations below and above the median do not count: an astrophysical source is
        positive, and must not pull the factor.
    weighted : bool
        Whether residuals are measured in units of their errors.
    """

    bounds: tuple[float, float]
    clip: tuple[float, float]
    weighted: bool


#: By name: this package's choice, and the two that are in the literature.
VARIANTS = {
    "bff": BestFactor(bounds=(0.5, 1.5), clip=(10.0, 3.0), weighted=True),
    "bff-ren2018": BestFactor(bounds=(0.6, 1.0), clip=(10.0, 3.0), weighted=False),
    "bff-nmf_imaging": BestFactor(bounds=(0.8, 1.0), clip=(3.0, 3.0), weighted=False),
}


@dataclass(frozen=True)
class ScaleFactor:
    """A factor and its error.

    Attributes
    ----------
    value, error : float
        The error comes from the scatter of the residuals that were kept; 0 for a factor that was given.
    at_edge : bool
        Whether the search ended at the edge of its range.
    """

    value: float
    error: float = 0.0
    at_edge: bool = False


def best_factor(
    target: FloatArray, model: FloatArray, sigma: FloatArray | None = None, search: BestFactor = VARIANTS["bff"]
) -> ScaleFactor:
    """Return the factor f with the smallest clipped variance of ``target − f · model``.

    A few trial factors choose the start; then the clipping and the factor, which has a closed form for a given set of
    pixels, take turns until neither moves.

    Parameters
    ----------
    target, model : (m,) arrays
        Of the pixels to judge by, all finite.
    sigma : (m,) array, optional
        1σ errors; used if ``search.weighted``.
    search

    Returns
    -------
    ScaleFactor
        Value 1 and error NaN where fewer than ten pixels are there or the model does not vary over them.
    """
    if search.weighted and sigma is not None:
        target, model = target / sigma, model / sigma
    if target.size < FEWEST_PIXELS or np.ptp(model) == 0:
        return ScaleFactor(1.0, float("nan"))
    low, high = search.bounds
    trials = np.linspace(low, high, TRIALS)
    spreads = [np.var((target - f * model)[_kept(target - f * model, search.clip)]) for f in trials]
    factor, free = float(trials[int(np.argmin(spreads))]), float("nan")
    for _ in range(ROUNDS):
        kept = _kept(target - factor * model, search.clip)
        free = _closed_form(target[kept], model[kept])
        last, factor = factor, float(np.clip(free, low, high))
        if abs(factor - last) <= 1e-9:
            break
    residual = (target - factor * model)[kept]
    error = float(np.std(residual) / np.sqrt(np.sum((model[kept] - model[kept].mean()) ** 2)))
    return ScaleFactor(factor, error, at_edge=not low < free < high)


def _kept(residual: FloatArray, clip: tuple[float, float]) -> BoolArray:
    """Return which residuals survive clipping about the median."""
    clipped = sigma_clip(residual, sigma_lower=clip[0], sigma_upper=clip[1], maxiters=5, copy=True)
    return np.asarray(~np.ma.getmaskarray(clipped))


def _closed_form(target: FloatArray, model: FloatArray) -> float:
    """Return ``cov(target, model) / var(model)``: the f of least variance over these pixels."""
    offset = model - model.mean()
    below = float(offset @ offset)
    return float(offset @ (target - target.mean())) / below if below > 0 else 1.0


def scale_factors(
    scale: Any,
    targets: FloatArray,
    models: FloatArray,
    sigmas: FloatArray | None,
    region: BoolArray,
    cleared: BoolArray,
    *,
    groups: IntArray | None = None,
    quiet: bool = False,
) -> list[ScaleFactor]:
    """Return a factor for each frame.

    Parameters
    ----------
    scale : str, number, sequence of numbers or None
        A name in `VARIANTS`, "none" or `None` (factor 1), or the factors themselves. Under "bff" a frame that is
        `cleared` has the factor 1.
    targets, models : (n, p) arrays
    sigmas : (n, p) array or None
    region : (n, p) array of bool
        Pixels to judge by; those that are not finite are left out.
    cleared : (n,) array of bool
        Frames whose source was declared missing. Their model was fitted to starlight alone, so that least squares has
        put its amplitude right already; a clipped search over what is left only adds the bias of its clipping.
    groups : (n,) array of int, optional
        Frames of the same number share one factor, searched over the pixels of all of them; by default each has its
        own. See `frame_groups`.
    """
    n = len(targets)
    if scale is None or (isinstance(scale, str) and scale == "none"):
        return [ScaleFactor(1.0)] * n
    if isinstance(scale, str):
        search = VARIANTS[check_choice("scale", scale, [*VARIANTS, "none"])]
        numbers = np.arange(n) if groups is None else groups
        each = {}
        for number in np.unique(numbers):
            rows = np.flatnonzero(numbers == number)
            is_given = scale == DEFAULT and bool(cleared[rows].all())
            each[int(number)] = ScaleFactor(1.0) if is_given else _factor(targets, models, sigmas, region, rows, search)
        found = [each[int(number)] for number in numbers]
        if not quiet:
            _warn(found, search)
        return found
    values = as_real_array("scale", scale).astype(np.float64)
    if values.ndim:
        check_shape("scale", values, (n,))
    return [ScaleFactor(check_number("scale", float(value), 0.0)) for value in np.broadcast_to(values, n)]


def _factor(
    targets: FloatArray,
    models: FloatArray,
    sigmas: FloatArray | None,
    region: BoolArray,
    rows: IntArray,
    search: BestFactor,
) -> ScaleFactor:
    """Return the best factor of some frames together, over their usable pixels."""
    usable = region[rows] & np.isfinite(targets[rows]) & np.isfinite(models[rows])
    sigma = None if sigmas is None else sigmas[rows][usable]
    return best_factor(targets[rows][usable], models[rows][usable], sigma, search)


def _warn(found: list[ScaleFactor], search: BestFactor) -> None:
    """Warn of factors at the edge of the range, and of those that nothing determines."""
    edge = [i for i, factor in enumerate(found) if factor.at_edge]
    if edge:
        msg = (
            f"the scale factor of {len(edge)} of {len(found)} frames is at the edge of its range "
            f"{search.bounds} (first: frame {edge[0]}, {found[edge[0]].value:g}); the model may not fit these frames"
        )
        warn(msg, ScaleFactorWarning)
    unknown = [i for i, factor in enumerate(found) if not np.isfinite(factor.error)]
    if unknown:
        msg = f"the scale factor of {len(unknown)} frames could not be measured (first: frame {unknown[0]}); 1 is used"
        warn(msg, ScaleFactorWarning)


def as_scale(text: str) -> Any:
    """Return what a command line's ``--scale`` means: a number if it is one, else the name."""
    try:
        return float(text)
    except ValueError:
        if text not in (*VARIANTS, "none"):
            raise fail("scale", "a number or one of " + ", ".join((*VARIANTS, "none")), repr(text)) from None
        return text
