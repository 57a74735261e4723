"""`mask_bad_pixels`: hot, dead and struck pixels, found by what no optics can do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from astronmf._typing import BoolArray, FloatArray, Progress, no_progress
from astronmf._validation import check_number
from astronmf.imaging.frames import Frames
from astronmf.imaging.geometry import fill_missing, radius
from astronmf.imaging.preparation.records import recorded
from astronmf.imaging.statistics import MAD_TO_SIGMA, mad_sigma, median_frame

__all__ = ["mask_bad_pixels"]

ROUNDS = 5  # what is found is missing in the next round, so that large hits are eaten from their edges
FEWEST_FOR_TIME = 3  # frames: of fewer, a median over time is no steady image
TOLERANCE = 0.1  # of a pixel's height: no point-spread function is quite Gaussian
LOCAL = 5  # pixels: the side of the square over which the scatter in time is made steady
NEIGHBORS = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]]) / 4  # a pixel inside a large hit


def mask_bad_pixels(
    frames: Frames,
    *,
    threshold: float = 5.0,
    fwhm: float = 2.0,
    exclude_radius: float = 5.0,
    temporal: bool = True,
    spatial: bool = True,
    progress: Progress = no_progress,
) -> Frames:
    """Mask pixels that stand out of their surroundings more sharply than any source can.

    Parameters
    ----------
    frames : Frames
    threshold : float, optional
        How many times the scatter a pixel must stand out by.
    fwhm : float, optional
        Of the sharpest point source, in pixels. A smaller number spares more and finds less.
    exclude_radius : float, optional
        Nothing is judged this near to the star, in pixels.
    temporal : bool, optional
        Look in each frame for what the median of all does not have: cosmic rays. Needs three frames.
    spatial : bool, optional
        Look in the median of all frames (in each frame, if there are fewer than three or not `temporal`) for what is
        there all the time: hot and dead pixels.
    progress
        Called as ``progress(done, total, what)``.

    Returns
    -------
    Frames
        The same data under a larger mask.

    Notes
    -----
    What a telescope of Gaussian point-spread function can show, however many sources there are, obeys

        pixel ≤ exp(4 ln 2 / FWHM²) × mean of its neighbours on both sides, along x and along y,

    as ``cosh`` is nowhere below 1. A pixel is bad if it exceeds one of these bounds, with the median of its
    surroundings taken off and the mean counted as no less than 0, by a tenth of its height and `threshold` times the
    scatter: the larger of the scatter of the surroundings and, for cosmic rays, that in time; no less than the errors,
    where they are known. Dead pixels are found the same way below the surroundings. So a bright planet that wanders
    from pixel to pixel stays. Speckles can be sharper than the core of a point source: near the star, half its FWHM
    spares them too.
    """
    frames = Frames.of(frames)
    judge = _Judge(check_number("threshold", threshold, 0.0), check_number("fwhm", fwhm, 0.5))
    near = radius((frames.shape[1], frames.shape[2]), frames.geometry.center) < check_number(
        "exclude_radius", exclude_radius, 0.0
    )
    known = np.where(frames.mask, np.nan, frames.data).astype(np.float64)
    in_time = temporal and len(frames) >= FEWEST_FOR_TIME
    steady = median_frame(known) if in_time else np.zeros(frames.shape[1:])
    always = np.zeros(frames.shape[1:], dtype=bool)
    if spatial and in_time:
        always = judge.bad(steady, _typical(frames) / np.sqrt(len(frames))) & ~near
    noise = _scatter_in_time(known) if in_time else _typical(frames)
    bad = np.zeros(frames.shape, dtype=bool)
    for i in range(len(frames) if in_time or spatial else 0):
        own = 0.0 if frames.sigma is None else np.where(frames.mask[i], 0.0, frames.sigma[i])
        bad[i] = judge.bad(np.where(always, np.nan, known[i] - steady), np.maximum(noise, own)) & ~near
        progress(i + 1, len(frames), "finding bad pixels")
    bad = (bad | always) & ~frames.mask
    found = {"masked": bad.sum(axis=(1, 2)), "always": int((always & ~frames.mask.all(axis=0)).sum())}
    parameters = {"threshold": threshold, "fwhm": fwhm, "exclude_radius": exclude_radius}
    parameters |= {"temporal": temporal, "spatial": spatial}
    return recorded(frames, "mask_bad_pixels", parameters, found, mask=frames.mask | bad)


def _typical(frames: Frames) -> FloatArray:
    """Return the median error of each pixel over the frames, (y, x), 0 where none are known."""
    if frames.sigma is None:
        return np.zeros(frames.shape[1:])
    return np.nan_to_num(median_frame(np.where(frames.mask, np.nan, frames.sigma)))


def _scatter_in_time(known: FloatArray) -> FloatArray:
    """Return each pixel's robust scatter over the frames, no less than is usual around it: few frames make it rough."""
    own = fill_missing(mad_sigma(known, axis=0))
    usual = ndimage.median_filter(own, LOCAL, mode="nearest")
    return np.asarray(np.maximum(own, usual))


@dataclass(frozen=True)
class _Judge:
    """Tells pixels that are sharper than a source: how far out they must stand, and how sharp a source is."""

    threshold: float
    fwhm: float

    def bad(self, image: FloatArray, noise: FloatArray) -> BoolArray:
        """Return which pixels of an image, NaN where it is missing, stand out on either side: (y, x)."""
        found = np.zeros(image.shape, dtype=bool)
        for _ in range(ROUNDS):
            new = self._once(np.where(found, np.nan, image), noise)
            if not new.any():
                break
            found |= new
        enclosed = ndimage.convolve(found.astype(np.float64), NEIGHBORS, mode="nearest") == 1
        return np.asarray(found | (enclosed & self._out(image, noise)))

    def _once(self, image: FloatArray, noise: FloatArray) -> BoolArray:
        rest, scatter = self._surroundings(image, noise)
        sharpest = float(np.exp(4 * np.log(2) / self.fwhm**2))
        spread = self.threshold * scatter * np.sqrt(1 + sharpest**2 / 2) + TOLERANCE * np.abs(rest)
        rest = np.where(np.isfinite(image), rest, np.nan)
        bad = np.zeros(image.shape, dtype=bool)
        with np.errstate(invalid="ignore"):
            for axis in (0, 1):
                pair = sharpest * _mean_of_both_sides(rest, axis)  # NaN, and so not judged, if one is missing
                bad |= rest - np.maximum(pair, 0) > spread
                bad |= np.minimum(pair, 0) - rest > spread
        return bad

    def _out(self, image: FloatArray, noise: FloatArray) -> BoolArray:
        """Return which pixels stand out, however sharply."""
        rest, scatter = self._surroundings(image, noise)
        return np.asarray(np.isfinite(image) & (np.abs(rest) > self.threshold * scatter))

    def _surroundings(self, image: FloatArray, noise: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the image less the median around each pixel, and the scatter around each or the noise if larger."""
        side = 2 * int(np.ceil(2 * self.fwhm)) + 1
        filled = fill_missing(image)
        rest = filled - ndimage.median_filter(filled, side, mode="nearest")
        around = MAD_TO_SIGMA * ndimage.median_filter(np.abs(rest), side, mode="nearest")
        return rest, np.maximum(around, noise)


def _mean_of_both_sides(image: FloatArray, axis: int) -> FloatArray:
    """Return the mean of each pixel's two neighbours along an axis; NaN at the ends."""
    padded = np.pad(image, [(1, 1) if i == axis else (0, 0) for i in range(2)], constant_values=np.nan)
    length = image.shape[axis]
    return np.asarray((np.take(padded, range(length), axis) + np.take(padded, range(2, length + 2), axis)) / 2)
