"""What is known of the errors in a joint fit: those of the data, and how far the star's model may be wrong.

Errors in a file know photons and read noise, not how speckles differ from star to star. That part is a fraction of the
star's light at a place; or it is measured, where references are there: each star is left out, and modelled with the
others.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from astronmf._typing import FloatArray, Progress, no_progress
from astronmf._validation import as_real_array, check_broadcast, check_not_negative, check_number, fail
from astronmf.core.problem import Problem
from astronmf.core.projection import project
from astronmf.imaging.building import build_components
from astronmf.imaging.frames import Frames
from astronmf.imaging.geometry import radius
from astronmf.imaging.statistics import mad_sigma

__all__ = ["DEFAULT_SYSTEMATICS", "fit_weights", "reference_systematics"]

#: Of the star's light at a place: `docs/validation.md` compares fractions.
DEFAULT_SYSTEMATICS = 0.02

RING_WIDTH = 2.0  # pixels, of the rings that an unknown error is measured in
FEWEST_IN_RING = 20


def fit_weights(
    science: Frames, models: FloatArray, residuals: FloatArray, systematics: Any = DEFAULT_SYSTEMATICS
) -> FloatArray:
    """Return ``1/(σ² + systematic²)``, 0 where a value is missing: (n, y, x).

    Parameters
    ----------
    science : Frames
        Where they have no errors, σ is the robust scatter of the residuals in rings around the star.
    models : (n, y, x) array
        Of the star; NaN outside the region.
    residuals : (n, y, x) array
        Used where there are no errors.
    systematics : float, (y, x) or (n, y, x) array
        A fraction of the model, or 1σ in the data's unit.
    """
    sigma = _scatter(science, residuals) if science.sigma is None else science.sigma.astype(np.float64)
    variance = np.square(sigma) + np.square(_systematic(systematics, models))
    usable = ~science.mask & np.isfinite(models) & np.isfinite(variance) & (variance > 0)
    return np.asarray(np.divide(1.0, variance, out=np.zeros(science.shape), where=usable))


def _systematic(systematics: Any, models: FloatArray) -> FloatArray:
    """Return 1σ of what the star's model may be wrong by, in a shape that broadcasts to the frames'."""
    values = np.zeros(()) if systematics is None else as_real_array("systematics", systematics).astype(np.float64)
    if values.ndim == 0:
        return np.asarray(check_number("systematics", float(values), 0.0) * np.nan_to_num(models))
    check_not_negative("systematics", values, "it is one standard deviation")
    return check_broadcast("systematics", np.nan_to_num(values, nan=np.inf), models.shape)


def _scatter(science: Frames, residuals: FloatArray) -> FloatArray:
    """Return the robust scatter of residuals at each pixel's distance from the star: (1, y, x)."""
    y, x = residuals.shape[1:]
    distance = radius((y, x), science.geometry.center)
    rings = (distance / RING_WIDTH).astype(int)
    known = np.isfinite(residuals)
    middles, spreads = [], []
    for ring in range(int(rings.max()) + 1):
        here = residuals[:, rings == ring][known[:, rings == ring]]
        if here.size >= FEWEST_IN_RING:
            middles.append((ring + 0.5) * RING_WIDTH)
            spreads.append(float(mad_sigma(here)))
    if not spreads:
        raise fail("science", f"with errors, or with {FEWEST_IN_RING} residuals at some separation", "neither")
    return np.interp(distance, middles, spreads)[None]


def reference_systematics(
    references: Frames,
    stars: Any = None,
    n_components: int | None = None,
    *,
    inner_radius: float | None = None,
    outer_radius: float | None = None,
    mask: Any = None,
    progress: Progress = no_progress,
) -> FloatArray:
    """Return by how much stars differ from what other stars' components make of them: 1σ, (y, x).

    Each star is left out in turn; components of the others model its frames. What the residuals scatter beyond their
    errors, in rings around the star, is the systematic error.

    Parameters
    ----------
    references : Frames
        Of two stars or more.
    stars : sequence of str, optional
        Which star each frame shows; by default the first word of its name, with the number where that is a catalogue's
        (``HD 32297 2`` shows HD 32297).
    n_components
        As in `build_components`; at most as many as frames are left.
    inner_radius, outer_radius, mask
        As in `reduce`.
    progress

    Returns
    -------
    (y, x) array
        In the frames' unit; NaN where nothing is known. For the `systematics` of `Reduction.fit`, brought to the
        brightness of the target.

    Raises
    ------
    ValueError
        If fewer than two stars are there.
    """
    references = Frames.of(references)
    names = [_star_of(name) for name in references.names] if stars is None else list(map(str, stars))
    if len(names) != len(references) or len(set(names)) < 2:
        raise fail("stars", f"one for each of {len(references)} frames, of two stars or more", names)
    labels, excess, count = np.array(names), np.zeros(references.shape[1:]), np.zeros(references.shape[1:])
    each = list(dict.fromkeys(names))
    for done, star in enumerate(each):
        others, own = references[np.flatnonzero(labels != star)], references[np.flatnonzero(labels == star)]
        limits = {"inner_radius": inner_radius, "outer_radius": outer_radius, "mask": mask}
        k = None if n_components is None else min(n_components, len(others))
        basis = build_components(others, k, **limits)
        seen = ~basis.mask
        values, weights, missing = own.data[:, seen], own.weights()[:, seen], own.mask[:, seen]
        found = project(Problem.from_arrays(values, weights, missing, np.float64), basis.data[:, seen])
        left = np.where(missing, 0.0, values - found.coefficients @ basis.data[:, seen])
        noise = (
            np.divide(1.0, weights, out=np.zeros(weights.shape), where=weights > 0) if own.sigma is not None else 0.0
        )
        excess[seen] += np.sum(np.square(left) - noise * ~missing, axis=0)
        count[seen] += (~missing).sum(axis=0)
        progress(done + 1, len(each), "stars left out")
    return _ring_means(excess, count, references.geometry.center)


def _star_of(name: str) -> str:
    """Return the star that a frame's name begins with."""
    words = [*name.replace(":", " ").split(), "", ""]
    in_catalogue = words[0].isalpha() and words[0].isupper() and words[1][:1].isdigit()
    return f"{words[0]} {words[1]}" if in_catalogue else words[0]


def _ring_means(total: FloatArray, count: FloatArray, center: tuple[float, float]) -> FloatArray:
    """Return the root of the mean in each pixel's ring; NaN where nothing was counted."""
    rings = (radius((total.shape[0], total.shape[1]), center) / RING_WIDTH).astype(int)
    sums, counts = np.bincount(rings.ravel(), total.ravel()), np.bincount(rings.ravel(), count.ravel())
    mean = np.divide(np.maximum(sums, 0.0), counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    return np.where(count > 0, np.sqrt(mean)[rings], np.nan)
