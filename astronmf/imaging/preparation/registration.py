"""Star centres by registration: how much each frame is displaced from a reference, by cross-correlation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage
from scipy.optimize import least_squares
from scipy.signal import correlate

from astronmf._typing import BoolArray, FloatArray, Progress, no_progress
from astronmf._validation import check_choice, check_number
from astronmf.imaging.frames import Frames
from astronmf.imaging.geometry import annulus, fill_missing, radius, shifted
from astronmf.imaging.preparation.places import as_centers, checked
from astronmf.imaging.statistics import median_frame

__all__ = ["center_by_correlation"]

ROUNDS = 2  # with a median: the second is of the frames aligned by the first
LEAST_OVERLAP = 0.5  # of the reference's region: a correlation of fewer pixels is not trusted
FARTHEST_STEP = 1.5  # pixels: a refinement that leaves its whole-pixel start so far behind has failed
EDGE = 1  # pixels: this near to a missing one, a spline of the reference is made up


def center_by_correlation(
    frames: Frames,
    *,
    reference: str = "median",
    guess: Any = None,
    inner_radius: float | None = None,
    outer_radius: float | None = None,
    max_shift: float | None = None,
    progress: Progress = no_progress,
) -> FloatArray:
    """Find by how much each frame is displaced from a reference, and add that to the star's place in the reference.

    Parameters
    ----------
    frames : Frames
        Masked pixels take no part; errors, where they are known, are weights.
    reference : {"median", "first"}
        The median of all frames, made anew of the aligned ones for a second round, or the first frame.
    guess : (2,) or (n, 2) array, optional
        Where the star is in the reference, (x, y), or about where it is in each frame; the frames' centre by default.
        **What is found is no more exact than this** (the first, or the median): the method measures displacements.
    inner_radius, outer_radius : float, optional
        The pixels between these distances from the star are compared: what moves with the star, and not the dust on a
        window.
    max_shift : float, optional
        The largest displacement along x and y to look for, in pixels; any by default.
    progress
        Called as ``progress(done, total, what)``.

    Returns
    -------
    (n, 2) array
        (x, y), 0-based pixels; NaN, with a `GeometryWarning`, where no displacement was found.

    Notes
    -----
    The whole-pixel displacement is where the masked normalized cross-correlation is highest (Padfield 2012, IEEE
    Trans. Image Process. 21, 2706); its fraction is what makes

        χ²(d) = min over f, b of Σ [(frame(x) − f · reference(x − d) − b) / σ(x)]²

    smallest, which without errors is the highest correlation on the valid pixels of both.
    """
    check_choice("reference", reference, ("median", "first"))
    limit = np.inf if max_shift is None else check_number("max_shift", max_shift, 0.5)
    guesses = as_centers("guess", guess, frames)
    star = guesses[0] if reference == "first" else np.median(guesses, axis=0)
    annulus(frames.shape[1:], tuple(star), inner_radius, outer_radius)  # refuses wrong radii before any work
    rounds = ROUNDS if reference == "median" else 1
    found = guesses - star
    for done in range(rounds):
        image = frames_known(frames, 0) if reference == "first" else _aligned_median(frames, found)
        template = Template.of(image, star, inner_radius, outer_radius)
        for i in range(len(frames)):
            sigma = None if frames.sigma is None else frames.sigma[i]
            found[i] = template.displacement(frames_known(frames, i), sigma, limit)
            progress(done * len(frames) + i + 1, rounds * len(frames), "aligning")
    return checked(star + found, frames, "cross-correlation")


def frames_known(frames: Frames, i: int) -> FloatArray:
    """Return a frame in float64, NaN where it is masked."""
    return np.where(frames.mask[i], np.nan, frames.data[i]).astype(np.float64)


def _aligned_median(frames: Frames, displacements: FloatArray) -> FloatArray:
    """Return the median of the frames moved back by their displacements; those without one are left out."""
    usable = np.flatnonzero(np.isfinite(displacements).all(axis=1)).tolist()
    moved = [shifted(frames_known(frames, i), (-displacements[i, 0], -displacements[i, 1])) for i in usable]
    return median_frame(np.stack(moved)) if moved else np.full(frames.shape[1:], np.nan)


@dataclass(frozen=True)
class Template:
    """A reference to compare frames with.

    Attributes
    ----------
    image : (y, x) array
        NaN where it is missing or outside the region.
    coefficients : (y, x) array
        Of a cubic spline through the whole reference.
    sound : (y, x) array of bool
        Where that spline is not made up.
    star, radii
        Where the region is.
    """

    image: FloatArray
    coefficients: FloatArray
    sound: BoolArray
    star: FloatArray
    radii: tuple[float, float]

    @classmethod
    def of(cls, image: FloatArray, star: FloatArray, inner: float | None, outer: float | None) -> Template:
        """Return the template that an image gives between two radii about a star."""
        image = _scaled(image)
        known = np.isfinite(image)
        region = annulus((image.shape[0], image.shape[1]), (star[0], star[1]), inner, outer)
        sound = ~ndimage.binary_dilation(~known, iterations=EDGE)
        coefficients = ndimage.spline_filter(fill_missing(image), order=3)
        radii = (inner or 0.0, np.inf if outer is None else outer)
        return cls(np.where(region, image, np.nan), coefficients, sound, star, radii)

    def displacement(self, image: FloatArray, sigma: FloatArray | None, limit: float) -> FloatArray:
        """Return how much an image is displaced, (x, y); NaN if that cannot be said."""
        image = _scaled(image)
        scores = masked_correlation(image, self.image)
        middle = np.array(self.image.shape) - 1
        offsets = np.indices(scores.shape) - middle[:, None, None]
        scores = np.where((np.abs(offsets) <= limit).all(axis=0), scores, -np.inf)
        if not np.isfinite(scores).any():
            return np.full(2, np.nan)
        best = np.unravel_index(int(scores.argmax()), scores.shape)
        start = np.array([best[1] - middle[1], best[0] - middle[0]], dtype=np.float64)
        found = self._refined(image, sigma, start)
        return found if np.hypot(*(found - start)) <= FARTHEST_STEP else np.full(2, np.nan)

    def _refined(self, image: FloatArray, sigma: FloatArray | None, start: FloatArray) -> FloatArray:
        """Return the displacement near a whole-pixel one that leaves least χ²."""
        star = self.star + start
        distance = radius((image.shape[0], image.shape[1]), (star[0], star[1]))
        sound = shifted(np.where(self.sound, 1.0, np.nan), (start[0], start[1]))
        chosen = np.isfinite(image + sound) & (distance >= self.radii[0]) & (distance <= self.radii[1])
        rows, columns = np.nonzero(chosen)
        if rows.size < 8:
            return np.full(2, np.nan)
        weights = np.ones(rows.size) if sigma is None else sigma[chosen].min() / sigma[chosen].astype(np.float64)
        values = image[chosen] * weights

        def residuals(shift: FloatArray) -> FloatArray:
            places = [rows - shift[1], columns - shift[0]]
            model = ndimage.map_coordinates(self.coefficients, places, order=3, mode="mirror", prefilter=False)
            columns_of = np.stack([model * weights, weights], axis=1)
            return np.asarray(values - columns_of @ np.linalg.lstsq(columns_of, values, rcond=None)[0])

        return np.asarray(least_squares(residuals, start, method="lm", xtol=1e-6, diff_step=1e-4).x)


def _scaled(image: FloatArray) -> FloatArray:
    """Return an image in units of its largest value: how bright it is makes no difference, but to rounding."""
    largest = float(np.max(np.abs(image), initial=0.0, where=np.isfinite(image)))
    return image / largest if largest > 0 else image


def masked_correlation(image: FloatArray, template: FloatArray) -> FloatArray:
    """Return the correlation coefficient for every whole-pixel displacement of the image from the template.

    Parameters
    ----------
    image, template : (y, x) arrays
        NaN is missing.

    Returns
    -------
    (2 y − 1, 2 x − 1) array
        No displacement is in the middle. −Inf where fewer than half of the template's valid pixels meet valid ones.
    """
    here, there = np.isfinite(image), np.isfinite(template)
    if not (here.any() and there.any()):
        return np.full((2 * image.shape[0] - 1, 2 * image.shape[1] - 1), -np.inf)
    one = np.where(here, image - np.mean(image[here]), 0.0)
    other = np.where(there, template - np.mean(template[there]), 0.0)
    valid, known = here.astype(np.float64), there.astype(np.float64)

    def cross(first: FloatArray, second: FloatArray) -> FloatArray:
        return np.asarray(correlate(first, second, method="fft"))

    count = np.rint(cross(valid, known))
    enough = count >= max(LEAST_OVERLAP * there.sum(), 2)
    count = np.maximum(count, 1)
    sum_one, sum_other = cross(one, known), cross(valid, other)
    spread_one = np.maximum(cross(one**2, known) - sum_one**2 / count, 0)
    spread_other = np.maximum(cross(valid, other**2) - sum_other**2 / count, 0)
    spread = np.sqrt(spread_one * spread_other)
    enough &= spread > 1e-9 * spread.max()
    scores = np.full(count.shape, -np.inf)
    np.divide(cross(one, other) - sum_one * sum_other / count, spread, out=scores, where=enough)
    return scores
