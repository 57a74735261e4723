"""Star centres by a two-dimensional fit: Gaussian, Moffat, or a doughnut."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from astropy.modeling import Fittable2DModel, Model, Parameter
from astropy.modeling.fitting import LevMarLSQFitter
from astropy.modeling.models import Const2D, Moffat2D
from astropy.stats import gaussian_fwhm_to_sigma
from astropy.utils.exceptions import AstropyUserWarning

from astronmf._typing import BoolArray, FloatArray, Progress, no_progress
from astronmf._validation import check_choice, check_number
from astronmf.imaging.frames import Frames
from astronmf.imaging.geometry import annulus, radius
from astronmf.imaging.preparation.places import as_centers, checked

__all__ = ["PROFILES", "Ellipse", "center_by_profile", "fit_position"]

PROFILES = ("gaussian", "moffat", "doughnut")

ROUNDS = 6  # a fit within radii is of the pixels around what the fit before it has found
CONVERGED = 0.005  # pixels
MAX_EVALUATIONS = 1000
LEAST_PEAK = 3.0  # times the scatter that a fit leaves: a lower peak is none
MOFFAT_POWER = 2.5  # to start from: what turbulence makes of a star


def center_by_profile(
    frames: Frames,
    profile: str = "gaussian",
    *,
    guess: Any = None,
    inner_radius: float | None = None,
    outer_radius: float | None = None,
    saturation: float | None = None,
    progress: Progress = no_progress,
) -> FloatArray:
    """Fit a profile and a constant background to each frame.

    Parameters
    ----------
    frames : Frames
        Masked pixels take no part; errors, where they are known, are weights.
    profile : {"gaussian", "moffat", "doughnut"}
        An elliptical Gaussian; a round Moffat profile, for wide halos; or a round Gaussian less a narrower one, for a
        star behind a vortex coronagraph.
    guess : (2,) or (n, 2) array, optional
        (x, y) to start from; the frames' centre by default.
    inner_radius, outer_radius : float, optional
        The pixels between these distances from the star are fitted: leave a coronagraph's spot or a saturated core out,
        and what else is in the field.
    saturation : float, optional
        Pixels at this level or above it take no part, in the unit of the data.
    progress
        Called as ``progress(done, total, what)``.

    Returns
    -------
    (n, 2) array
        (x, y), 0-based pixels; NaN, with a `GeometryWarning`, where the fit failed.

    Notes
    -----
    The centre of an unsaturated star is found to a few thousandths of a pixel where its signal to noise is high; from a
    halo alone it is no better than the halo is symmetric.
    """
    check_choice("profile", profile, PROFILES)
    guesses = as_centers("guess", guess, frames)
    limit = np.inf if saturation is None else check_number("saturation", saturation)
    annulus(frames.shape[1:], tuple(guesses[0]), inner_radius, outer_radius)  # refuses wrong radii before any work
    centers = np.full(guesses.shape, np.nan)
    for i, start in enumerate(guesses):
        with np.errstate(invalid="ignore"):
            valid = ~frames.mask[i] & (frames.data[i] < limit)
        scale = float(np.max(np.abs(frames.data[i]), initial=0.0, where=valid)) or 1.0
        sigma = None if frames.sigma is None else frames.sigma[i] / scale
        centers[i] = _follow(profile, frames.data[i] / scale, sigma, valid, (inner_radius, outer_radius), start)
        progress(i + 1, len(frames), "finding the star")
    return checked(centers, frames, f"a {profile} fit")


def _follow(
    profile: str,
    image: FloatArray,
    sigma: FloatArray | None,
    valid: BoolArray,
    radii: tuple[float | None, float | None],
    start: FloatArray,
) -> FloatArray:
    """Fit, move the annulus to what was found, and again until it stays; NaN where that fails."""
    center = start
    inner, outer = radii[0] or 0.0, np.inf if radii[1] is None else radii[1]
    for _ in range(ROUNDS):
        distance = radius((image.shape[0], image.shape[1]), (center[0], center[1]))
        chosen = valid & (distance >= inner) & (distance <= outer)
        if chosen.sum() < 8:
            return np.full(2, np.nan)
        found = fit_position(_model(profile, image[chosen], center, inner), image, sigma, chosen)
        if not np.isfinite(found).all():
            return found
        moved = float(np.hypot(*(found - center)))
        center = found
        if moved < CONVERGED or (inner == 0 and np.isinf(outer)):
            break
    return center


def _model(profile: str, values: FloatArray, center: FloatArray, inner: float) -> Any:
    """Return the model to start from: as high as the brightest pixels, as wide as the area above half of that."""
    background = float(np.median(values))
    peak = float(np.percentile(values, 99.5)) - background
    area = np.count_nonzero(values > background + peak / 2) + np.pi * inner**2
    width = max(2 * float(np.sqrt(area / np.pi)), 1.5) * gaussian_fwhm_to_sigma
    x, y = float(center[0]), float(center[1])
    if profile == "moffat":
        star: Any = Moffat2D(peak, x, y, 2 * width, MOFFAT_POWER)
    elif profile == "doughnut":
        star = Doughnut(1.5 * peak, x, y, width, 0.7, width / 2)
    else:
        star = Ellipse(peak, x, y, width**-2, 0.0, width**-2)
    return star + Const2D(background)


class Ellipse(Fittable2DModel):  # type: ignore[misc]  # astropy has no type hints
    """An elliptical Gaussian by its quadratic form: a round one, which has no position angle, is nothing special."""

    input_units = None  # astropy would take the type hints of `evaluate` for units
    amplitude = Parameter(default=1.0)
    x_mean = Parameter(default=0.0)
    y_mean = Parameter(default=0.0)
    xx = Parameter(default=1.0)
    xy = Parameter(default=0.0)
    yy = Parameter(default=1.0)

    @staticmethod
    def evaluate(x: Any, y: Any, *parameters: Any) -> Any:
        """Return the model's values at (x, y)."""
        amplitude, x_mean, y_mean, xx, xy, yy = parameters
        dx, dy = x - x_mean, y - y_mean
        return amplitude * np.exp(-0.5 * (xx * dx**2 + 2 * xy * dx * dy + yy * dy**2))


class Doughnut(Fittable2DModel):  # type: ignore[misc]  # astropy has no type hints
    """A round Gaussian of which a narrower one about the same centre is taken off."""

    input_units = None  # astropy would take the type hints of `evaluate` for units
    amplitude = Parameter(default=1.0)
    x_mean = Parameter(default=0.0)
    y_mean = Parameter(default=0.0)
    stddev = Parameter(default=1.0)
    depth = Parameter(default=0.5)
    hole_stddev = Parameter(default=0.5)

    @staticmethod
    def evaluate(x: Any, y: Any, *parameters: Any) -> Any:
        """Return the model's values at (x, y)."""
        amplitude, x_mean, y_mean, stddev, depth, hole_stddev = parameters
        squared = (x - x_mean) ** 2 + (y - y_mean) ** 2
        hole = depth * np.exp(-0.5 * squared / hole_stddev**2)
        return amplitude * (np.exp(-0.5 * squared / stddev**2) - hole)


def fit_position(model: Model, image: FloatArray, sigma: FloatArray | None, chosen: BoolArray) -> FloatArray:
    """Return the (x, y) of the first part of a compound model fitted to some pixels; NaN for no peak among them.

    Parameters
    ----------
    model
        Of (x, y): its first parameters are the height and the position of the peak.
    image : (y, x) array
    sigma : (y, x) array or None
        1σ errors; all are alike without.
    chosen : (y, x) array of bool
        The pixels to fit.
    """
    rows, columns = np.nonzero(chosen)
    values = image[chosen].astype(np.float64)
    weights = None if sigma is None else 1 / sigma[chosen].astype(np.float64)
    free = model.copy()
    for name in free.param_names:  # a width below 0 is the same as above: without bounds a fit is ten times as fast
        free.bounds[name] = (None, None)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", AstropyUserWarning)  # a fit that has failed is seen by its numbers
        try:
            fitted = LevMarLSQFitter()(free, columns, rows, values, weights=weights, maxiter=MAX_EVALUATIONS)
        except (ValueError, np.linalg.LinAlgError):  # what the solver raises when its steps leave the numbers' range
            return np.full(2, np.nan)
    found = np.array(fitted.parameters[1:3])
    inside = (found >= (columns.min(), rows.min())) & (found <= (columns.max(), rows.max()))
    left = np.sqrt(np.mean(np.square(values - fitted(columns, rows))))
    return found if inside.all() and fitted.parameters[0] > LEAST_PEAK * left else np.full(2, np.nan)
