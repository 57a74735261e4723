"""Star centres from four satellite spots: where the two lines between opposite spots cross."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy.modeling.models import Planar2D

from astronmf._typing import BoolArray, FloatArray, Progress, no_progress
from astronmf._validation import as_real_array, check_number, check_one_of_two, check_shape, fail
from astronmf.imaging.frames import Frames
from astronmf.imaging.geometry import radius
from astronmf.imaging.preparation.places import as_centers, checked
from astronmf.imaging.preparation.profiles import Ellipse, fit_position

__all__ = ["center_by_spots"]

ROUNDS = 3  # the circle that is fitted moves with what was found


def center_by_spots(
    frames: Frames,
    *,
    spots: Any = None,
    separation: float | None = None,
    angle: float = 45.0,
    guess: Any = None,
    spot_radius: float = 5.0,
    progress: Progress = no_progress,
) -> FloatArray:
    """Fit a Gaussian on a sloping background to each of four spots, and cross the lines between opposite ones.

    Parameters
    ----------
    frames : Frames
        Masked pixels take no part; errors, where they are known, are weights.
    spots : (4, 2) array, optional
        About where the spots are: (x, y), 0-based pixels, in any order.
    separation : float, optional
        Instead: their distance from the star, in pixels, for four spots 90 degrees apart.
    angle : float, optional
        With `separation`: of any of the four, degrees counter-clockwise from +x (or from +y: it is the same four).
    guess : (2,) or (n, 2) array, optional
        With `separation`: about where the star is, (x, y); the frames' centre by default.
    spot_radius : float, optional
        Pixels this near to a spot's place are fitted.
    progress
        Called as ``progress(done, total, what)``.

    Returns
    -------
    (n, 2) array
        (x, y), 0-based pixels; NaN, with a `GeometryWarning`, in frames in which one of the spots was not found.

    Raises
    ------
    ValueError
        If neither `spots` nor `separation` is given, or both are.

    Notes
    -----
    In a wide band the spots are drawn out along the lines from the star, which moves them along these lines and not off
    them: so the lines' crossing is taken and not the spots' mean.
    """
    places = _places(frames, spots, separation, angle, guess)
    reach = check_number("spot_radius", spot_radius, 1.5)
    centers = np.full((len(frames), 2), np.nan)
    for i in range(len(frames)):
        valid = ~frames.mask[i]
        sigma = None if frames.sigma is None else frames.sigma[i]
        found = np.array([_fit_spot(frames.data[i], sigma, valid, place, reach) for place in places[i]])
        centers[i] = crossing(found)
        progress(i + 1, len(frames), "finding the spots")
    return checked(centers, frames, "satellite spots")


def _places(frames: Frames, spots: Any, separation: Any, angle: float, guess: Any) -> FloatArray:
    """Return about where the spots are in each frame, (n, 4, 2), in order around the star."""
    check_one_of_two("spots", spots, "separation", separation)
    if spots is not None:
        given = as_real_array("spots", spots).astype(np.float64)
        check_shape("spots", given, (4, 2))
        around = given - given.mean(axis=0)
        ordered = given[np.argsort(np.arctan2(around[:, 1], around[:, 0]))]
        return np.broadcast_to(ordered, (len(frames), 4, 2))
    if separation is None:
        raise fail("spots", "given as four (x, y), or by 'separation' and 'angle'", "None")
    distance = check_number("separation", separation, np.nextafter(0, 1))
    turns = np.deg2rad(check_number("angle", angle) + 90.0 * np.arange(4))
    offsets = distance * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    return as_centers("guess", guess, frames)[:, None] + offsets


def _fit_spot(
    image: FloatArray, sigma: FloatArray | None, valid: BoolArray, place: FloatArray, reach: float
) -> FloatArray:
    """Return (x, y) of the spot near a place; NaN where there is none."""
    found = place
    for _ in range(ROUNDS):
        chosen = valid & (radius((image.shape[0], image.shape[1]), (found[0], found[1])) <= reach)
        values = image[chosen].astype(np.float64)
        if values.size < 12 or np.hypot(*(found - place)) > reach:
            return np.full(2, np.nan)
        background = float(np.median(values))
        scale = float(np.abs(values - background).max()) or 1.0
        width = reach / 3
        spot = Ellipse(1.0, found[0], found[1], width**-2, 0.0, width**-2)
        weights = None if sigma is None else sigma / scale
        found = fit_position(spot + Planar2D(0.0, 0.0, 0.0), (image - background) / scale, weights, chosen)
        if not np.isfinite(found).all():
            break
    return found


def crossing(spots: FloatArray) -> FloatArray:
    """Return where the line from spot 0 to 2 meets the line from 1 to 3: (x, y), NaN for parallel lines."""
    along, across = spots[2] - spots[0], spots[3] - spots[1]
    lines = np.stack([along, -across], axis=1)
    if not np.isfinite(spots).all() or abs(np.linalg.det(lines)) < 1e-9 * np.hypot(*along) * np.hypot(*across):
        return np.full(2, np.nan)
    share = np.linalg.solve(lines, spots[1] - spots[0])
    return np.asarray(spots[0] + share[0] * along)
