"""The best factor for subtracting a model (BFF, Ren+ 2018, section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.stats import sigma_clip

from astronmf._typing import BoolArray, FloatArray
from astronmf._validation import as_real_array, check_choice, check_number, check_shape, fail
from astronmf.exceptions import ScaleFactorWarning, warn

__all__ = ["VARIANTS", "BestFactor", "ScaleFactor", "best_factor", "scale_factors"]

DEFAULT = "bff"
TRIALS = 9
ROUNDS = 30
FEWEST_PIXELS = 10


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
    """
    n = len(targets)
    if scale is None or (isinstance(scale, str) and scale == "none"):
        return [ScaleFactor(1.0)] * n
    if isinstance(scale, str):
        search = VARIANTS[check_choice("scale", scale, [*VARIANTS, "none"])]
        given = [ScaleFactor(1.0) if scale == DEFAULT and done else None for done in cleared]
        found = [
            known or _frame_factor(targets[i], models[i], sigmas, i, region[i], search) for i, known in enumerate(given)
        ]
        if not quiet:
            _warn(found, search)
        return found
    values = as_real_array("scale", scale).astype(np.float64)
    if values.ndim:
        check_shape("scale", values, (n,))
    return [ScaleFactor(check_number("scale", float(value), 0.0)) for value in np.broadcast_to(values, n)]


def _frame_factor(
    target: FloatArray, model: FloatArray, sigmas: FloatArray | None, i: int, region: BoolArray, search: BestFactor
) -> ScaleFactor:
    """Return one frame's best factor over its usable pixels."""
    usable = region & np.isfinite(target) & np.isfinite(model)
    sigma = None if sigmas is None else sigmas[i][usable]
    return best_factor(target[usable], model[usable], sigma, search)


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
