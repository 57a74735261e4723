"""`Observer`: how the sky becomes frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, TypeVar

import astropy.units as u
import numpy as np

from astronmf._typing import FloatArray, IntArray
from astronmf._validation import as_real_array, check_integer, check_not_negative, check_number, check_shape, fail
from astronmf.core.parallel import map_blocks
from astronmf.exceptions import GeometryWarning, warn
from astronmf.imaging.exposures import add_point, check_inside, moments, rotation_in_exposure
from astronmf.imaging.geometry import Geometry, in_degrees, in_pixels, radius, sky_to_detector
from astronmf.imaging.modelling.band_limit import REACH, band_limited, decimated
from astronmf.imaging.modelling.cache import Cache
from astronmf.imaging.modelling.convolution import FEW, Convolver
from astronmf.imaging.modelling.resampling import Grid, Sampling
from astronmf.imaging.psf import PSF

__all__ = ["Observer"]

Part = TypeVar("Part")

LARGEST_CACHE = 2_000_000_000  # bytes
MOST_PASSING = 1.001  # what rounding may make of a transmission of 1
LIGHT_AT_EDGE = 0.01  # of an image's peak: with more along its edge it was cut off


@dataclass(frozen=True, eq=False)
class Observer:
    """How sky becomes frames: turned, through a transmission map, convolved.

    Frames of the same orientation are computed once.

    Attributes
    ----------
    geometry : Geometry
        Of the frames; without angles their orientation is 0.
    shape : (n, y, x)
        Of the frames.
    psf : PSF or None
        In the detector's orientation, as its pixels show it; its own flux does not matter.
    transmission : (y, x) array or None
        The share of the light that passes at each pixel of the detector, 0 to 1; all where it is `None`.
    smearing : float, (n,) array, Quantity, "angles" or None
        Degrees by which the sky turns during each exposure, see `rotation_in_exposure`.
    unit : astropy unit or None
        Of the frames.
    cached : bool
        Whether rotations, as sparse matrices, are kept for the next image on the same pixels: for many calls. Up to
        2 GB of them; what would take more is computed anew each time.
    star : (ra, dec) or None
        Of the star, ICRS degrees: where it is on an image with sky coordinates.

    Notes
    -----
    A PSF as pixels show it has the pixel's width in it already. What it is convolved with is therefore the brightness
    at the middle of each pixel, without the fine structure that pixels cannot show (more than half a cycle a pixel);
    without a PSF, it is the mean over each pixel that is returned.

    Light that reaches a frame from beyond its edge by the PSF's wings is not there, but for `point`.
    """

    geometry: Geometry
    shape: tuple[int, int, int]
    psf: PSF | None = None
    transmission: FloatArray | None = None
    smearing: Any = None
    unit: u.UnitBase | None = None
    cached: bool = False
    star: tuple[float, float] | None = None
    _kept: Cache = field(default_factory=lambda: Cache(LARGEST_CACHE), init=False, repr=False)

    def __post_init__(self) -> None:
        """Check every part; the transmission map becomes float64."""
        n = check_integer("shape", self.shape[0], 1)
        if self.geometry.angles is not None:
            check_shape("angles", self.geometry.angles, (n,))
        if self.psf is not None and not isinstance(self.psf, PSF):
            raise fail("psf", "a PSF (PSF.of makes one)", type(self.psf).__name__)
        if self.transmission is not None:
            object.__setattr__(self, "transmission", _checked_transmission(self.transmission, self.shape))

    def turned(self, degrees: Any) -> Observer:
        """Return the observer of a sky that is turned by so many degrees east of north about the star."""
        angle = float(in_degrees("degrees", degrees))
        angles = np.zeros(self.shape[0]) if self.geometry.angles is None else self.geometry.angles
        other = replace(self, geometry=replace(self.geometry, angles=angles - angle))
        for name in ("_kept", "_convolver"):  # the PSF is the detector's, and matrices are known by their angles
            object.__setattr__(other, name, getattr(self, name))
        return other

    def image(
        self,
        values: Any,
        *,
        center: tuple[float, float] | None = None,
        ratio: float = 1.0,
        convolved: bool,
        name: str = "image",
    ) -> FloatArray:
        """Return what an image of the sky looks like in each frame.

        One cubic-spline interpolation from the image's pixels to the detector's. Where the image's are the finer ones,
        and it is as the telescope sees it, a detector's pixel is the mean over places in it that are no farther apart
        than they; where it is convolved, the value at its middle (see Notes of the class).

        Parameters
        ----------
        values : (y, x) array
            North up, east left; brightness per pixel of the detector, finite. Outside the image there is nothing.
        center : (x, y), optional
            The star, 0-based pixels of the image; ``(n_x // 2, n_y // 2)`` by default.
        ratio : float
            The width of the image's pixels in pixels of the detector.
        convolved : bool
            Whether the image is as the telescope sees it already; if not, it is convolved with `psf`.
        name : str
            Of the image, for warnings.

        Returns
        -------
        (n, y, x) array
            float64, in the detector's orientation.

        Raises
        ------
        ValueError
            If the image is not finite, or is to be convolved without a PSF.

        Warns
        -----
        GeometryWarning
            If there is light along the image's edge, more than 1 % of its peak, and the frames go on there; or if none
            of its light falls on the frames.
        """
        image: FloatArray = as_real_array("values", values).astype(np.float64)
        check_shape("values", image, (None, None))
        if not np.isfinite(image).all():
            found = f"{int((~np.isfinite(image)).sum())} NaN or Inf"
            raise fail("values", "finite everywhere (0 where there is no source)", found)
        self._check_psf(needed=not convolved)
        grid = Grid.of((image.shape[0], image.shape[1]), center, check_number("ratio", ratio, np.nextafter(0, 1)))
        grid = replace(grid, averaged=convolved)
        samplings = self._samplings(grid, image)
        what = "the image" if name == "image" else f"'{name}'"
        self._warn_if_cut(what, image, samplings)
        if ratio < 1 and not convolved:
            image = band_limited(image, ratio)
        coefficients = grid.coefficients(image)
        seen = self._each(lambda sampling: sampling.sample(image, coefficients), samplings)
        if image.any() and not seen.any():
            warn(f"no light of {what} falls on the frames: is its star where it should be?", GeometryWarning)
        return self._detected(seen, blurred=not convolved)

    def brightness(self, function: Callable[[Any, Any], Any], *, oversampling: int = 1) -> FloatArray:
        """Return what a brightness function on the sky looks like in each frame.

        It is evaluated at the pixels of each orientation, so that nothing is interpolated, and convolved with `psf` if
        there is one. With `oversampling` it is evaluated more finely. Without a PSF a pixel is then the mean over its
        places. With one it is the value at its middle, and what pixels cannot show is filtered out (see Notes of the
        class), for which places up to 10 pixels beyond the frame count too.

        Parameters
        ----------
        function
            ``function(east, north)`` of arrays in pixels from the star, returning brightness per pixel. Several threads
            may call it at once.
        oversampling : int
            At how many places along each axis a pixel is evaluated.

        Returns
        -------
        (n, y, x) array
            float64, in the detector's orientation.
        """
        check_integer("oversampling", oversampling, 1)
        orientations, _ = self._orientations

        def of_one(orientation: tuple[float, float]) -> FloatArray:
            angle, turn = orientation
            at = angle + turn * moments(self._field, abs(turn))
            return np.asarray(np.mean([self._evaluated(function, moment, oversampling) for moment in at], axis=0))

        seen = self._each(of_one, orientations, oversampling**2)
        return self._detected(seen, blurred=self.psf is not None)

    def point(self, separation: Any, position_angle: Any) -> FloatArray:
        """Return what a point source of a total flux of 1 looks like in each frame.

        Parameters
        ----------
        separation : float or Quantity
            From the star: pixels, or an angle if the pixel scale is known.
        position_angle : float or Quantity
            Degrees east of north.

        Returns
        -------
        (n, y, x) array
            float64, in the detector's orientation.

        Raises
        ------
        ValueError
            If there is no PSF, or the source is outside the frame in all frames.

        Warns
        -----
        GeometryWarning
            If it is outside the frame in some frames.
        """
        self._check_psf(needed=True)
        distance = check_number("separation", float(in_pixels("separation", separation, self.geometry.pixel_scale)), 0)
        place = distance, float(in_degrees("position_angle", position_angle))
        turn = rotation_in_exposure(self.smearing, self.geometry, self.shape[0])
        check_inside(self.geometry, place, turn, self.shape[1:])
        orientations, _ = self._orientations
        angles, turns = np.array(orientations).T
        out, geometry = np.zeros((len(angles), *self.shape[1:])), replace(self.geometry, angles=angles)
        if self.psf is not None:
            fluxes = np.ones(len(angles))
            add_point(out, geometry, self.psf, place, turns, fluxes=fluxes, transmission=self.transmission)
        return self._of_all(out)

    @cached_property
    def _orientations(self) -> tuple[list[tuple[float, float]], IntArray]:
        """Return each different (angle, turn during the exposure) once, and which of them each frame has."""
        turns = rotation_in_exposure(self.smearing, self.geometry, self.shape[0])
        known: dict[tuple[float, float], int] = {}
        rows = [known.setdefault((self.geometry.angle_of(i), float(turn)), len(known)) for i, turn in enumerate(turns)]
        return list(known), np.array(rows)

    @cached_property
    def _convolver(self) -> Convolver | None:
        return None if self.psf is None else Convolver.of(self.psf, self.shape[1:])

    @cached_property
    def _field(self) -> float:
        """Return how far from the star, in pixels, the farthest pixel is."""
        return float(radius(self.shape[1:], self.geometry.center).max())

    def _check_psf(self, *, needed: bool) -> None:
        if needed and self.psf is None:
            raise fail("psf", "given, for a source that is not convolved yet", None)

    def _evaluated(self, function: Callable[[Any, Any], Any], angle: float, oversampling: int) -> FloatArray:
        """Return a brightness function at the pixels of one orientation: (y, x)."""
        filtered = oversampling > 1 and self.psf is not None
        east, north = self._sky(angle, oversampling, REACH if filtered else 0)
        values = np.asarray(function(east, north), dtype=np.float64)
        check_shape("function", values, east.shape)
        if not np.isfinite(values).all():
            found = f"{int((~np.isfinite(values)).sum())} NaN or Inf"
            raise fail("function", "such that brightness is finite everywhere", found)
        y, x = self.shape[1:]
        if filtered:
            return decimated(values, oversampling)
        return np.asarray(values.reshape(y, oversampling, x, oversampling).mean(axis=(1, 3)))

    def _sky(self, angle: float, oversampling: int, beyond: int) -> tuple[FloatArray, FloatArray]:
        """Return (east, north) of each place in each pixel, in pixels from the star: (y · oversampling, …) each.

        So many pixels `beyond` the frame are there as well, on each side.
        """
        x, y = self.geometry.center
        rows, columns = (_places(size + 2 * beyond, oversampling) - beyond for size in self.shape[1:])
        matrix = np.linalg.inv(sky_to_detector(angle, self.geometry.parity))
        down, across = (rows - y)[:, None], (columns - x)[None, :]
        return -matrix[1, 0] * down - matrix[1, 1] * across, matrix[0, 0] * down + matrix[0, 1] * across

    def _samplings(self, grid: Grid, image: FloatArray) -> list[Sampling]:
        """Return how each orientation comes from an image's pixels."""
        angles, _ = self._orientations
        swept = any(turn for _, turn in angles)
        reach = min(grid.reach(image), self._field) if swept else 0.0
        most = max(abs(turn) for _, turn in angles)
        parts = [tuple(angle + turn * moments(reach, most if turn else 0.0)) for angle, turn in angles]
        shape = self.shape[1:]
        samplings = [Sampling(grid, self.geometry, shape, part, as_matrix=self.cached) for part in parts]
        if not self.cached:
            return samplings
        if sum(sampling.expected_size for sampling in samplings) > LARGEST_CACHE:
            return [replace(sampling, as_matrix=False) for sampling in samplings]
        return [self._kept.get((grid, made.angles), partial(_same, made), _size_of) for made in samplings]

    def _each(self, function: Callable[[Part], FloatArray], parts: list[Part], places: int = 1) -> FloatArray:
        """Return the frames of all orientations, by several threads where that is worth it.

        What `function` is called with is one of `parts` for each orientation; it evaluates so many `places` a pixel.
        """
        if len(parts) * self.shape[1] * self.shape[2] * places < FEW:
            return np.stack([function(part) for part in parts])
        return np.stack(map_blocks(function, parts))

    def _warn_if_cut(self, what: str, image: FloatArray, samplings: list[Sampling]) -> None:
        """Warn if an image has light along an edge that lies within a frame."""
        peak = float(np.abs(image).max(initial=0.0))
        edge = np.abs(np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]]))
        if not (edge > LIGHT_AT_EDGE * peak).any():
            return
        most = max(float(edge[sampling.edge_inside].max(initial=0.0)) for sampling in samplings)
        if most > LIGHT_AT_EDGE * peak:
            share = f"{most / peak:.0%} of its peak along its edge"
            warn(f"{what} has {share}, and frames go on there: it is cut off", GeometryWarning)

    def _detected(self, seen: FloatArray, *, blurred: bool) -> FloatArray:
        """Return all frames from one image for each orientation, through the transmission map and convolved."""
        if self.transmission is not None:
            seen = seen * self.transmission
        if blurred and self._convolver is not None:
            seen = self._convolver.convolved(seen)
        return self._of_all(seen)

    def _of_all(self, seen: FloatArray) -> FloatArray:
        """Return all frames, (n, y, x), from one for each orientation."""
        _, rows = self._orientations
        return seen if len(seen) == len(rows) else seen[rows]


def _same(sampling: Sampling) -> Sampling:
    return sampling


def _size_of(sampling: Sampling) -> int:
    return sampling.size


def _places(size: int, oversampling: int) -> FloatArray:
    """Return the places along one axis at which pixels are evaluated."""
    return np.asarray((np.arange(size * oversampling) + 0.5) / oversampling - 0.5)


def _checked_transmission(transmission: Any, shape: tuple[int, int, int]) -> FloatArray:
    """Return a transmission map as read-only float64."""
    values = as_real_array("transmission", transmission).astype(np.float64)
    check_shape("transmission", values, shape[1:])
    if not np.isfinite(values).all():
        raise fail("transmission", "finite everywhere", f"{int((~np.isfinite(values)).sum())} NaN or Inf")
    check_not_negative("transmission", values, "0 is where no light passes")
    if values.max() > MOST_PASSING:
        raise fail("transmission", "the share of the light that passes, 0 to 1", f"up to {values.max():g}")
    values.setflags(write=False)
    return values
