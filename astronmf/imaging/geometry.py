"""Where the star is, how large a pixel is, and which way is north."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import astropy.units as u
import numpy as np
from scipy import ndimage

from astronmf._typing import BoolArray, FloatArray
from astronmf._validation import as_real_array, check_choice, check_number, check_shape, fail

__all__ = [
    "Geometry",
    "center_pixel",
    "from_sky",
    "in_degrees",
    "in_pixels",
    "polar",
    "radius",
    "rescaled",
    "shifted",
    "sky_position",
    "sky_to_detector",
    "to_sky",
]

SPLINE_ORDER = 3
FILL_WIDTH = 1.0  # pixels: a missing value is filled from neighbours weighted by a Gaussian of this width
SMALLEST_WEIGHT = 1e-3  # with less than this from neighbours, the nearest value is taken
COVERAGE = 0.5  # a resampled pixel counts as observed if at least this much of it comes from valid pixels


@dataclass(frozen=True)
class Geometry:
    """How frames sit on the sky.

    Attributes
    ----------
    center : (x, y) floats
        The star's position in pixels, 0-based: the middle of the first pixel is (0, 0).
    pixel_scale : float or None
        Arcseconds a pixel, or a Quantity.
    angles : (n,) array or None
        Of each frame, in degrees (or a Quantity): the position angle, east of north, of the detector's +y axis. Turning
        a frame by +angle counter-clockwise brings north up. The same number as VIP's ``angle_list``, pyKLIP's ``PAs``
        and PynPoint's ``PARANG``.
    parity : {1, -1}
        1: sky-handed, east is left of north. -1: mirrored; x is turned over before the rotation.
    """

    center: tuple[float, float]
    pixel_scale: float | None = None
    angles: FloatArray | None = None
    parity: int = 1

    def __post_init__(self) -> None:
        """Check every part; angles become float64."""
        for name, unit in (("angles", u.deg), ("pixel_scale", u.arcsec)):
            if isinstance(getattr(self, name), u.Quantity):
                object.__setattr__(self, name, getattr(self, name).to_value(unit))
        x, y = self.center
        object.__setattr__(self, "center", (check_number("center", x), check_number("center", y)))
        if self.pixel_scale is not None:
            check_number("pixel_scale", self.pixel_scale, np.nextafter(0, 1))
        check_choice("parity", self.parity, (1, -1))
        if self.angles is not None:
            object.__setattr__(self, "angles", _finite_angles(self.angles))

    @classmethod
    def of_shape(cls, shape: tuple[int, int], center: Any = None, **parts: Any) -> Geometry:
        """Return the geometry of (y, x)-shaped frames; without `center`, the middle of an odd-sized frame.

        Raises
        ------
        ValueError
            If a side is even and no centre is given, or the centre lies outside the frame.
        """
        y, x = shape
        if center is None:
            if x % 2 == 0 or y % 2 == 0:
                options = f"({x // 2}, {y // 2}) by the n/2 convention or ({(x - 1) / 2}, {(y - 1) / 2}) by (n - 1)/2"
                raise fail("center", f"given for frames of even size {shape}", f"None; it may be {options}")
            center = ((x - 1) / 2, (y - 1) / 2)
        geometry = cls(tuple(center), **parts)
        inside = -0.5 <= geometry.center[0] <= x - 0.5 and -0.5 <= geometry.center[1] <= y - 0.5
        if not inside:
            raise fail("center", f"(x, y) inside the frame, x < {x} and y < {y}", geometry.center)
        return geometry

    def with_parts(self, center: Any, pixel_scale: float | None, angles: Any, parity: int | None) -> Geometry:
        """Return the same geometry with those parts replaced that are not `None`."""
        parts = {"center": center, "pixel_scale": pixel_scale, "angles": angles, "parity": parity}
        return replace(self, **{name: part for name, part in parts.items() if part is not None})

    def select(self, index: Any) -> Geometry:
        """Return the geometry of some of the frames."""
        return self if self.angles is None else replace(self, angles=np.atleast_1d(self.angles[index]))

    def angle_of(self, frame: int) -> float:
        """Return a frame's angle, 0 where none are known."""
        return 0.0 if self.angles is None else float(self.angles[frame])

    def positions(self, separation: float, position_angle: float) -> FloatArray:
        """Return where a place on the sky falls in each frame.

        With r the separation, PA the position angle and a frame's angle,

            x = x_star − parity · r sin(PA − angle),    y = y_star + r cos(PA − angle)

        Parameters
        ----------
        separation : float or Quantity
            From the star: pixels, or an angle if the pixel scale is known.
        position_angle : float or Quantity
            Degrees east of north.

        Returns
        -------
        (n, 2) array
            (x, y), 0-based pixels of the detector; one row if no angles are known.
        """
        distance = in_pixels("separation", separation, self.pixel_scale)
        angles = np.zeros(1) if self.angles is None else self.angles
        turn = np.deg2rad(in_degrees("position_angle", position_angle) - angles)
        x, y = self.center
        return np.stack([x - self.parity * distance * np.sin(turn), y + distance * np.cos(turn)], axis=-1)


def _finite_angles(angles: Any) -> FloatArray:
    """Return angles as float64, (n,), or raise naming the first frame whose angle is not finite."""
    values = np.atleast_1d(as_real_array("angles", angles)).astype(np.float64)
    check_shape("angles", values, (None,))
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        raise fail("angles", "finite degrees", f"{values[wrong[0]]} for frame {wrong[0]} ({wrong.size} such frames)")
    return values


def radius(shape: tuple[int, int], center: tuple[float, float]) -> FloatArray:
    """Return each pixel's distance from (x, y) `center`, in pixels: (y, x)."""
    y, x = np.indices(shape, dtype=np.float64)
    return np.hypot(x - center[0], y - center[1])


def center_pixel(shape: tuple[int, int]) -> tuple[int, int]:
    """Return (x, y) of the pixel that north-up images put the star at: ``n // 2`` along each axis."""
    return shape[1] // 2, shape[0] // 2


def sky_position(shape: tuple[int, int], separation: Any, position_angle: Any) -> tuple[Any, Any]:
    """Return (x, y) of a place on the sky in a north-up image of `shape` (y, x), star at `center_pixel`.

    Parameters
    ----------
    shape : (y, x)
    separation : float or array
        From the star, pixels.
    position_angle : float, array or Quantity
        Degrees east of north.

    Returns
    -------
    x, y : float or array
        0-based pixels.
    """
    distance = in_pixels("separation", separation, None)
    turn = np.deg2rad(in_degrees("position_angle", position_angle))
    x, y = center_pixel(shape)
    return x - distance * np.sin(turn), y + distance * np.cos(turn)


def polar(center: tuple[float, float], x: Any, y: Any) -> tuple[Any, Any]:
    """Return the separation in pixels and the position angle in degrees, [0, 360), of (x, y) in a north-up image.

    The reverse of `sky_position` with `center` ``center_pixel(shape)``; `x` and `y` may be arrays.
    """
    east, north = center[0] - np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64) - center[1]
    angle = np.rad2deg(np.arctan2(east, north)) % 360.0
    return np.hypot(east, north)[()], np.where(angle >= 360.0, 0.0, angle)[()]  # −1e-20 % 360 rounds to 360


def in_pixels(name: str, value: Any, pixel_scale: float | None) -> Any:
    """Return lengths on the sky in pixels, float64; plain numbers are in pixels already.

    Raises
    ------
    ValueError
        If they are angles and no pixel scale is known, or not finite.
    """
    if isinstance(value, u.Quantity):
        if value.unit.is_equivalent(u.pix):
            value = value.to_value(u.pix)
        elif pixel_scale is None:
            raise fail(name, "in pixels, where 'pixel_scale' is not known", value)
        else:
            value = value.to_value(u.arcsec) / pixel_scale
    return _finite(name, value)


def in_degrees(name: str, value: Any) -> Any:
    """Return angles in degrees, float64; plain numbers are in degrees already. They must be finite."""
    return _finite(name, value.to_value(u.deg) if isinstance(value, u.Quantity) else value)


def _finite(name: str, value: Any) -> Any:
    """Return finite float64 numbers, a scalar as a scalar."""
    values = as_real_array(name, value).astype(np.float64)
    if not np.isfinite(values).all():
        raise fail(name, "finite", f"{int((~np.isfinite(values)).sum())} NaN or Inf")
    return values[()]


def to_sky(image: FloatArray, geometry: Geometry, frame: int, order: int = SPLINE_ORDER) -> FloatArray:
    """Turn a frame north up with the star at `center_pixel`, in one interpolation.

    Parameters
    ----------
    image : (y, x) array
        NaN is missing: it spreads to pixels that come from it by more than half, and to no others.
    geometry, frame
        Whose centre, angle and parity to use.
    order
        Of the spline.

    Returns
    -------
    (y, x) array
        NaN where nothing was observed.
    """
    matrix = sky_to_detector(geometry.angle_of(frame), geometry.parity)
    return _resample(image, matrix, _yx(geometry.center), _yx(center_pixel(_shape(image))), order)


def from_sky(image: FloatArray, geometry: Geometry, frame: int, order: int = SPLINE_ORDER) -> FloatArray:
    """Turn a north-up image, star at `center_pixel`, into a frame's orientation: the reverse of `to_sky`."""
    matrix = np.linalg.inv(sky_to_detector(geometry.angle_of(frame), geometry.parity))
    return _resample(image, matrix, _yx(center_pixel(_shape(image))), _yx(geometry.center), order)


def shifted(image: FloatArray, offset: tuple[float, float], order: int = SPLINE_ORDER) -> FloatArray:
    """Move an image by an (x, y) `offset` in pixels.

    Parameters
    ----------
    image : (y, x) array
        NaN is missing, as for `to_sky`.
    offset
        Whole pixels change no bit.
    order
        Of the spline.

    Returns
    -------
    (y, x) array
        NaN where nothing was observed.
    """
    return _resample(image, np.eye(2), np.zeros(2), _yx(offset), order)


def rescaled(image: FloatArray, center: tuple[float, float], factor: float, order: int = SPLINE_ORDER) -> FloatArray:
    """Stretch an image about a point: what is at distance r from it comes to ``factor · r``.

    Parameters
    ----------
    image : (y, x) array
        NaN is missing, as for `to_sky`.
    center : (x, y)
        Which stays where it is, 0-based pixels.
    factor
        Above 0; 1 changes no bit. Values stay as they are: the light grows by the square of it.
    order
        Of the spline.

    Returns
    -------
    (y, x) array
        NaN where nothing was observed.
    """
    return _resample(image, np.eye(2) / check_number("factor", factor, 1e-3), _yx(center), _yx(center), order)


def _shape(image: FloatArray) -> tuple[int, int]:
    return image.shape[0], image.shape[1]


def _yx(point: tuple[float, float]) -> FloatArray:
    return np.array([point[1], point[0]], dtype=np.float64)


def sky_to_detector(angle: float, parity: int) -> FloatArray:
    """Return the matrix from sky offsets (y, x) to detector offsets (y, x): clockwise by `angle`, then mirrored."""
    cosine, sine = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    return np.array([[cosine, -sine], [parity * sine, parity * cosine]])


def _resample(
    image: FloatArray, matrix: FloatArray, center_in: FloatArray, center_out: FloatArray, order: int
) -> FloatArray:
    """Return ``image[matrix (o − center_out) + center_in]`` at every output pixel o; NaN where nothing is known."""
    whole = np.rint(center_in - center_out)
    if np.array_equal(matrix, np.eye(2)) and np.array_equal(whole, center_in - center_out):
        return np.asarray(ndimage.shift(image, -whole, order=0, cval=np.nan))  # no interpolation where none is needed
    missing = ~np.isfinite(image)
    offset = center_in - matrix @ center_out
    turned = ndimage.affine_transform(fill_missing(image), matrix, offset, order=order, mode="mirror")
    covered = ndimage.affine_transform(
        (~missing).astype(np.float64), matrix, offset, order=1, mode="grid-constant", cval=0.0
    )
    return np.where(covered >= COVERAGE - 1e-9, turned, np.nan)


def fill_missing(image: FloatArray) -> FloatArray:
    """Return the image with NaN replaced from its neighbours, so that a spline can pass: for resampling only."""
    missing = ~np.isfinite(image)
    if not missing.any():
        return image
    if missing.all():
        return np.zeros_like(image)
    near = ndimage.gaussian_filter(np.where(missing, 0.0, image), FILL_WIDTH, mode="constant")
    weight = ndimage.gaussian_filter((~missing).astype(np.float64), FILL_WIDTH, mode="constant")
    known = ~missing | (weight > SMALLEST_WEIGHT)
    filled = np.where(missing, np.divide(near, weight, out=np.zeros_like(near), where=known), image)
    nearest = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    return np.asarray(filled[tuple(nearest)])


def annulus(shape: tuple[int, int], center: tuple[float, float], inner: float | None, outer: float | None) -> BoolArray:
    """Return which pixels lie at ``inner ≤ r ≤ outer`` from the star: (y, x) bool; `None` is no limit.

    Raises
    ------
    ValueError
        If no pixel does.
    """
    low = 0.0 if inner is None else check_number("inner_radius", inner, 0.0)
    high = np.inf if outer is None or outer == np.inf else check_number("outer_radius", outer, 0.0)
    distance = radius(shape, center)
    chosen = (distance >= low) & (distance <= high)
    if not chosen.any():
        raise fail("outer_radius", f"such that pixels lie between it and inner_radius={low:g}", f"{high:g}")
    return np.asarray(chosen)
