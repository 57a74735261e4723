"""Star centres from what points at the star: diffraction spikes, or speckles drawn out along the radius."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from astronmf._typing import BoolArray, FloatArray, Progress, no_progress
from astronmf._validation import as_real_array, check_choice, check_number, check_shape
from astronmf.imaging.frames import Frames
from astronmf.imaging.geometry import annulus, fill_missing, radius
from astronmf.imaging.preparation.places import as_centers, checked

__all__ = ["center_by_streaks"]

ROUNDS = 2  # the second looks at the pixels around what the first has found
TAPER = 2.0  # pixels: over which the region's edge fades, so that no step of it is taken for a streak
REFINEMENT = 3  # each grid of centres is so much finer than the one before
FINEST = 0.1  # pixels: below this step a paraboloid through the scores is better than another grid
VERTEX_REACH = 0.75  # pixels: a paraboloid's top farther away than its grid is no top


def center_by_streaks(
    frames: Frames,
    *,
    angles: Any = None,
    sides: int = 2,
    guess: Any = None,
    inner_radius: float | None = None,
    outer_radius: float | None = None,
    max_shift: float = 5.0,
    smoothing: float = 3.0,
    progress: Progress = no_progress,
) -> FloatArray:
    """Find the point that most light lies on straight lines through (after Pueyo+ 2015, ApJ 803, 31).

    Parameters
    ----------
    frames : Frames
        Masked pixels add nothing.
    angles : (m,) array, optional
        Directions of the lines, degrees counter-clockwise from +x: ``(45, 135)`` for a cross along the diagonals. By
        default all directions are tried, and the squares of their sums count.
    sides : {2, 1}
        2: whole lines, for diffraction spikes. 1: half-lines, for speckles that a wide band draws out along the radius,
        which have no counterpart across the star.
    guess : (2,) or (n, 2) array, optional
        (x, y) to start from; the frames' centre by default.
    inner_radius, outer_radius : float, optional
        The light between these distances from the star counts. Leave the core out; to the frame's edge by default.
    max_shift : float, optional
        How far from the guess to search along x and y, in pixels.
    smoothing : float, optional
        What is left of a frame when it is smoothed by a Gaussian of this standard deviation, in pixels, is taken off:
        the halo. About twice as wide as a spike.
    progress
        Called as ``progress(done, total, what)``.

    Returns
    -------
    (n, 2) array
        (x, y), 0-based pixels; NaN, with a `GeometryWarning`, where there is nothing in the region.

    Notes
    -----
    For trial centres c, finer and finer and at last at the top of a paraboloid, the sums along lines

        S(c) = Σ_θ L(c, θ)  (`angles` given),    S(c) = Σ_θ max(L(c, θ), 0)²  (all directions),

    with ``L(c, θ) = Σ_r image(c, r, θ)``, are compared. Which pixels count is fixed while c moves, so that a centre is
    not preferred for the light that a moving region takes in. Two crossing spikes are found to about a hundredth of a
    pixel; speckles, which blend, to half a pixel or a whole one, the better the smaller `smoothing` is.
    """
    check_choice("sides", sides, (1, 2))
    search = check_number("max_shift", max_shift, 0.5)
    width = check_number("smoothing", smoothing, 0.5)
    guesses = as_centers("guess", guess, frames)
    annulus(frames.shape[1:], tuple(guesses[0]), inner_radius, outer_radius)  # refuses wrong radii before any work
    directions = _directions(angles)
    centers = np.full(guesses.shape, np.nan)
    for i, start in enumerate(guesses):
        outer = _to_edge(frames, start) if outer_radius is None else float(outer_radius)
        lines = _Lines(directions, sides, float(inner_radius or 0.0), outer)
        centers[i] = _follow(_without_halo(frames.data[i], frames.mask[i], width), lines, start, search)
        progress(i + 1, len(frames), "finding the star")
    return checked(centers, frames, "streaks")


def _directions(angles: Any) -> FloatArray | None:
    """Return the given directions in radians, or `None`."""
    if angles is None:
        return None
    degrees = np.atleast_1d(as_real_array("angles", angles)).astype(np.float64)
    check_shape("angles", degrees, (None,))
    return np.array([np.deg2rad(check_number("angles", float(angle))) for angle in degrees])


def _to_edge(frames: Frames, center: FloatArray) -> float:
    """Return the distance from a star to the farthest edge of its frame."""
    size = np.array(frames.shape[:0:-1])
    return float(np.maximum(center, size - 1 - center).max())


def _without_halo(image: FloatArray, mask: BoolArray, width: float) -> FloatArray:
    """Return an image less its smooth part; 0 where it is masked."""
    known = fill_missing(np.where(mask, np.nan, image).astype(np.float64))
    return np.where(mask, 0.0, known - ndimage.gaussian_filter(known, width))


@dataclass(frozen=True)
class _Lines:
    """Which lines are summed: directions in radians (`None`: all), on one side or two, between two radii."""

    directions: FloatArray | None
    sides: int
    inner: float
    outer: float

    def within(self, image: FloatArray, center: FloatArray) -> FloatArray:
        """Return spline coefficients of an image that fades to 0 outside the radii about `center`."""
        distance = radius((image.shape[0], image.shape[1]), (center[0], center[1]))
        inside = np.clip((self.outer - distance) / TAPER, 0, 1)
        if self.inner > 0:
            inside *= np.clip((distance - self.inner) / TAPER, 0, 1)
        return np.asarray(ndimage.spline_filter(image * inside, order=3))

    def scores(self, coefficients: FloatArray, centers: FloatArray, reach: float) -> FloatArray:
        """Return what lies on the lines through each of some centres that are within `reach` of the region's own."""
        count = int(np.ceil(np.pi * self.outer))
        half = np.pi * np.arange(count) / count if self.directions is None else self.directions
        turns = np.concatenate([half, half + np.pi])
        steps = np.arange(max(self.inner - 1.5 * reach, 0.0), self.outer + 1.5 * reach)
        offsets = np.stack([np.sin(turns)[:, None] * steps, np.cos(turns)[:, None] * steps])
        return np.array([self._score(coefficients, offsets + center[::-1, None, None]) for center in centers])

    def _score(self, coefficients: FloatArray, places: FloatArray) -> float:
        light = ndimage.map_coordinates(coefficients, places, order=3, mode="constant", prefilter=False)
        sums = light.sum(axis=1).reshape(2, -1)
        sums = sums.sum(axis=0) if self.sides == 2 else sums
        return float(sums.sum() if self.directions is not None else np.square(np.maximum(sums, 0)).sum())


def _follow(image: FloatArray, lines: _Lines, start: FloatArray, search: float) -> FloatArray:
    """Search around a guess, move the region to what was found, and search near it again; NaN if nothing is there."""
    center, reach = start, search
    for _ in range(ROUNDS):
        coefficients = lines.within(image, center)
        if not coefficients.any():
            return np.full(2, np.nan)
        center = _highest(coefficients, lines, center, reach)
        reach = min(search, 2.0)
    return center


def _highest(coefficients: FloatArray, lines: _Lines, start: FloatArray, reach: float) -> FloatArray:
    """Return the centre of the highest score within `reach` of `start` along x and y."""
    center, step, half = start, 1.0, int(np.ceil(reach))
    while step > FINEST:
        trials = center + step * _grid(half)
        center = trials[lines.scores(coefficients, trials, reach).argmax()]
        step, half = step / REFINEMENT, REFINEMENT
    trials = center + 0.25 * _grid(2)
    return center + _vertex(trials - center, lines.scores(coefficients, trials, reach))


def _grid(half: int) -> FloatArray:
    """Return whole (x, y) from −half to half, (m, 2)."""
    side = np.arange(-half, half + 1.0)
    return np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)


def _vertex(offsets: FloatArray, scores: FloatArray) -> FloatArray:
    """Return the offset of the top of a paraboloid through scores, or none if it has no top nearby."""
    x, y = offsets.T
    columns = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    _, a, b, xx, xy, yy = np.linalg.lstsq(columns, scores, rcond=None)[0]
    curvature = np.array([[2 * xx, xy], [xy, 2 * yy]])
    if not (np.linalg.eigvalsh(curvature) < 0).all():
        return np.zeros(2)
    top = -np.linalg.solve(curvature, [a, b])
    return top if np.hypot(*top) < VERTEX_REACH else np.zeros(2)
