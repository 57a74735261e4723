"""`PSF`: how the telescope sees a point."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

import astropy.units as u
import numpy as np
from scipy import ndimage

from astronmf._typing import BoolArray, FloatArray
from astronmf._validation import as_real_array, check_integer, check_number, check_shape, fail
from astronmf.exceptions import GeometryWarning, MissingDataWarning, warn
from astronmf.imaging.gaussian import GaussianFit, brightest, fit_gaussian, width_at_half_maximum
from astronmf.imaging.geometry import fill_missing, radius
from astronmf.imaging.plain import plain_values

__all__ = ["PSF", "add_source"]

SPLINE_ORDER = 5  # half a pixel at a FWHM of 2.5 pixels costs 0.2 % of the peak; a cubic spline, 1.3 %
TAPS = np.arange(-3.0, 4.0)  # pixels in which a spline of this order is not 0, wherever it stands within half a pixel
PADDING = 8  # pixels of zeros around the stamp, in which the spline dies away
LARGEST_OFFSET = 0.05  # pixels: a peak that is nearer to the middle is left where it is
LARGEST_MISSING = 0.05  # share of the stamp that may be filled from its neighbours
CLIPPED_LIGHT = 0.01  # of the peak, along the edge
CLIPPED_WIDTH = 1.5  # FWHM between the star and the edge


@dataclass(frozen=True, eq=False)
class PSF:
    """A point source as the telescope and detector show it, in the detector's orientation.

    Made from whatever there is by `PSF.of`; the constructor takes only what is centred and whole already.

    Attributes
    ----------
    data : (y, x) array
        Of odd sides, the star at the middle pixel, finite, background subtracted; read-only float64.
    fwhm : float
        Full width at half maximum in pixels.
    unit : astropy unit or None
        Of the data.

    Notes
    -----
    It need not be normalised. Wherever a PSF is used in this package, a source's flux is its total flux in the unit of
    the science frames, that is the sum over the whole stamp, so that a factor in the PSF changes nothing.
    """

    data: FloatArray
    fwhm: float
    unit: u.UnitBase | None = None

    def __post_init__(self) -> None:
        """Check that it is a centred point source; the data are copied and closed for writing."""
        data = as_real_array("psf", self.data).astype(np.float64)
        check_shape("psf", data, (None, None))
        if data.shape[0] % 2 == 0 or data.shape[1] % 2 == 0:
            raise fail("psf", "of odd sides, the star at the middle pixel", f"{data.shape}; PSF.of makes it so")
        _check_light(data)
        data.setflags(write=False)
        object.__setattr__(self, "data", data)
        object.__setattr__(self, "fwhm", check_number("fwhm", self.fwhm, 1.0, float(min(data.shape))))

    @classmethod
    def of(cls, psf: Any, fwhm: float | None = None, *, center: tuple[float, float] | None = None) -> PSF:
        """Return a PSF, the star at the middle pixel, from an image of a star.

        Parameters
        ----------
        psf : (y, x) or (n, y, x) array, Quantity, masked array, NDData, CCDData, Frames or PSF
            Background subtracted. Of several images the median is taken, of each pixel where it is valid. A mask is
            `True` = excluded.
        fwhm : float, optional
            In pixels; measured by an elliptical Gaussian fitted to the core if it is not given.
        center : (x, y), optional
            The star, 0-based pixels; that of the fitted Gaussian if it is not given.

        Returns
        -------
        PSF
            A star that is more than 0.05 pixels off the middle pixel is moved there: the image is cut to odd sides
            around the pixel nearest to the star, and what is left of the offset is a spline interpolation.

        Raises
        ------
        ValueError
            If there is no peak or no light, more than 5 % of the pixels or any within half a FWHM of the star are
            missing, or the FWHM is below 1 pixel or larger than the image.

        Warns
        -----
        GeometryWarning
            If the star had to be moved although no `center` was given, or light is lost at the edge: more than 1 % of
            the peak is left there, or it is nearer than 1.5 FWHM.
        MissingDataWarning
            If missing pixels were filled from their neighbours.
        """
        if isinstance(psf, PSF) and center is None:
            return psf if fwhm is None else replace(psf, fwhm=fwhm)
        values, unit = (psf.data, psf.unit) if isinstance(psf, PSF) else plain_values("psf", psf)
        image = _one_image(values)
        missing = ~np.isfinite(image)
        filled = _filled(image)
        _check_light(filled)
        fit = None if fwhm is not None and center is not None else _fit(filled)
        star = (fit.x, fit.y) if fit is not None and center is None else _checked_center(center, filled)
        _check_core(missing, star, fwhm if fit is None else fit.fwhm)
        centred = _recentred(filled, star, quiet=center is not None)
        found = cls(centred, _measured_width(centred) if fwhm is None else fwhm, unit)
        _warn_if_clipped(found)
        return found

    def __repr__(self) -> str:
        """Return a line that says what is inside."""
        y, x = self.data.shape
        return f"<PSF: {y} x {x} pixels, FWHM {self.fwhm:.3g} pixels, flux {self.flux:.6g}>"

    @property
    def shape(self) -> tuple[int, int]:
        """Its (y, x) size."""
        return self.data.shape[0], self.data.shape[1]

    @property
    def flux(self) -> float:
        """The sum over the stamp."""
        return float(self.data.sum())

    @property
    def peak(self) -> float:
        """The value of the middle pixel."""
        return float(self.data[self.shape[0] // 2, self.shape[1] // 2])

    @property
    def normalized(self) -> PSF:
        """The same PSF with a sum of 1, without a unit."""
        return replace(self, data=self.data / self.flux, unit=None)

    def scaled(self, factor: float) -> PSF:
        """Return the PSF of a star that is `factor` times as bright; it must be above 0."""
        return replace(self, data=self.data * check_number("factor", factor, np.nextafter(0, 1)))

    def cut(self, size: int) -> PSF:
        """Return its middle `size` × `size` pixels, an odd number; the flux is then what is left in them."""
        check_integer("size", size, 1, min(self.shape))
        if size % 2 == 0:
            raise fail("size", "odd, so that the star stays at the middle pixel", size)
        rows, columns = ((length - size) // 2 for length in self.shape)
        return replace(self, data=self.data[rows : rows + size, columns : columns + size])

    def aperture_flux(self, radius: float) -> float:
        """Return the flux within `radius` pixels of the star; pixels on the edge count by their exact overlap."""
        from photutils.aperture import CircularAperture

        check_number("radius", radius, np.nextafter(0, 1))
        aperture = CircularAperture((self.shape[1] // 2, self.shape[0] // 2), radius)
        return float(aperture.do_photometry(self.data, method="exact")[0][0])

    def image(self, shape: tuple[int, int], x: Any, y: Any, flux: Any = None) -> FloatArray:
        """Return an image of one source, or the sum of several.

        Parameters
        ----------
        shape : (y, x)
            Of the image.
        x, y : float or array
            Where the sources are, 0-based pixels; light beyond the image's edge is lost.
        flux : float or array, optional
            The total flux of each, in the unit of choice; the PSF's own by default.

        Returns
        -------
        (y, x) array
        """
        out = np.zeros(shape)
        add_source(out, self, x, y, self.flux if flux is None else flux)
        return out

    @cached_property
    def _coefficients(self) -> FloatArray:
        """Coefficients of the spline through the padded stamp, whose sum is 1."""
        padded = np.pad(self.data / self.flux, PADDING)
        return np.asarray(ndimage.spline_filter(padded, SPLINE_ORDER, mode="mirror"))


def add_source(out: FloatArray, psf: PSF, x: Any, y: Any, flux: Any) -> None:
    """Add sources to an image, in place: only the pixels of the stamp are touched.

    Parameters
    ----------
    out : (y, x) array
        Written into.
    psf : PSF
    x, y : float or array
        0-based pixels.
    flux : float or array
        The total flux of each source; with `x` and `y`, of shapes that broadcast. 0 touches nothing.
    """
    for column, row, total in np.broadcast(*(np.asarray(part, dtype=np.float64) for part in (x, y, flux))):
        if total != 0 and np.isfinite(column) and np.isfinite(row):
            _add_one(out, psf, float(column), float(row), float(total))


def _add_one(out: FloatArray, psf: PSF, x: float, y: float, flux: float) -> None:
    """Add one source: the stamp moved by a fraction of a pixel, at the nearest whole pixel, cut at the edge."""
    corner, fraction = [], []
    for place, length in zip((y, x), psf.shape, strict=True):
        nearest = int(np.floor(place + 0.5))
        corner.append(nearest - length // 2 - PADDING)
        fraction.append(place - nearest)
    inside = [
        (max(start, 0), min(start + length + 2 * PADDING, size))
        for start, length, size in zip(corner, psf.shape, out.shape, strict=True)
    ]
    if any(stop <= start for start, stop in inside):
        return
    stamp = psf._coefficients
    for axis, part in enumerate(fraction):
        stamp = ndimage.convolve1d(stamp, _spline()(np.clip(TAPS - part, -3.0, 3.0)), axis, mode="constant")
    into = tuple(slice(*ends) for ends in inside)
    shown = tuple(slice(start - low, stop - low) for (start, stop), low in zip(inside, corner, strict=True))
    out[into] += flux * stamp[shown]


@cache
def _spline() -> Any:
    """Return the basis element of the spline, whose module takes long to import."""
    from scipy.interpolate import BSpline

    return BSpline.basis_element(TAPS, extrapolate=False)


def _one_image(values: FloatArray) -> FloatArray:
    """Return the median of a stack, pixel by pixel where it is valid; one image as it is."""
    stack = values[None] if values.ndim == 2 else values
    check_shape("psf", stack, (None, None, None))
    if stack.size == 0:
        raise fail("psf", "of at least one image and one pixel", f"shape {values.shape}")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        return np.asarray(np.nanmedian(stack, axis=0))


def _filled(image: FloatArray) -> FloatArray:
    """Return the image with its few missing pixels filled from their neighbours, with a warning."""
    count = int((~np.isfinite(image)).sum())
    if count > LARGEST_MISSING * image.size:
        found = f"{count} of {image.size}; mend it, or cut it out"
        raise fail("psf", f"valid but for at most {LARGEST_MISSING:.0%} of its pixels", found)
    if count:
        warn(f"{count} pixels of 'psf' are missing: they are filled from their neighbours", MissingDataWarning)
    return fill_missing(image)


def _check_light(image: FloatArray) -> None:
    """Raise unless an image is finite and has light."""
    if not np.isfinite(image).all():
        raise fail("psf", "finite everywhere", f"{int((~np.isfinite(image)).sum())} NaN or Inf; PSF.of fills a few")
    if image.sum() <= 0:
        raise fail("psf", "an image whose total flux is above 0", f"{float(image.sum()):g}")


def _checked_center(center: Any, image: FloatArray) -> tuple[float, float]:
    """Return a given centre as floats, or raise where it is not on the image."""
    check_shape("center", np.asarray(center), (2,))
    x, y = (check_number("center", part, 0.0, size - 1.0) for part, size in zip(center, image.shape[::-1], strict=True))
    return x, y


def _fit(image: FloatArray) -> GaussianFit:
    """Return a Gaussian fitted to the brightest source, or raise where there is none."""
    x, y = brightest(image)
    fit = fit_gaussian(image, x, y, width_at_half_maximum(image, x, y)) if image[y, x] > 0 else None
    if fit is None:
        raise fail("psf", "an image of a star", "no peak that a Gaussian fits; give 'center' and 'fwhm'")
    return fit


def _measured_width(image: FloatArray) -> float:
    """Return the FWHM of a star at the middle pixel, or raise where it is no width of a PSF."""
    width = float(_fit(image).fwhm)
    if not 1 <= width <= min(image.shape):
        raise fail("psf", f"an image of a star of a FWHM in [1, {min(image.shape)}] pixels", f"one of {width:.3g}")
    return width


def _recentred(image: FloatArray, star: tuple[float, float], *, quiet: bool) -> FloatArray:
    """Return an image of odd sides with the star at its middle pixel; it is as it was where that is so already."""
    middle = ((image.shape[1] - 1) / 2, (image.shape[0] - 1) / 2)
    is_odd = image.shape[0] % 2 == 1 and image.shape[1] % 2 == 1
    if is_odd and np.hypot(star[0] - middle[0], star[1] - middle[1]) <= LARGEST_OFFSET:
        return image
    rows, up = _around(star[1], image.shape[0])
    columns, right = _around(star[0], image.shape[1])
    moved = image[rows, columns]
    if np.hypot(up, right) > LARGEST_OFFSET:
        moved = ndimage.shift(image, (-up, -right), order=SPLINE_ORDER, mode="nearest")[rows, columns]
    if not quiet:
        where = f"({star[0]:.2f}, {star[1]:.2f}) of {image.shape[0]} x {image.shape[1]} pixels"
        sides = f"{moved.shape[0]} x {moved.shape[1]} pixels, {moved.sum() / image.sum():.2%} of its flux"
        msg = f"the star of 'psf' is at (x, y) = {where}: it was moved to the middle pixel of {sides}"
        warn(msg, GeometryWarning)
    return np.asarray(moved)


def _around(place: float, size: int) -> tuple[slice, float]:
    """Return the largest odd range of pixels around the one nearest to `place`, and the offset from that pixel."""
    nearest = int(np.clip(np.rint(place), 0, size - 1))
    half = min(nearest, size - 1 - nearest)
    return slice(nearest - half, nearest + half + 1), place - nearest


def _check_core(missing: BoolArray, star: tuple[float, float], fwhm: Any) -> None:
    """Raise if a pixel of the star's core had to be filled."""
    shape = missing.shape[0], missing.shape[1]
    count = int((missing & (radius(shape, star) <= fwhm / 2)).sum())
    if count:
        raise fail("psf", "valid within half a FWHM of the star", f"{count} missing pixels there")


def _warn_if_clipped(psf: PSF) -> None:
    """Warn where light is lost at the edge of the stamp."""
    edge = np.concatenate([psf.data[[0, -1]].ravel(), psf.data[1:-1, [0, -1]].ravel()])
    share, room = float(np.median(np.abs(edge))) / psf.peak, min(psf.shape) / 2 / psf.fwhm
    if share > CLIPPED_LIGHT or room < CLIPPED_WIDTH:
        msg = (
            f"'psf' is clipped: its edge has {share:.1%} of its peak and is {room:.2g} FWHM from the star, so that its "
            "flux is less than the star's; a larger image has more of it"
        )
        warn(msg, GeometryWarning)
