"""What a disk, a planet or any other source looks like: things that know what each frame shows of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any, Protocol, runtime_checkable

import astropy.units as u
import numpy as np
from astropy.nddata import NDData
from astropy.wcs import WCS

from astronmf._inputs import parts
from astronmf._typing import FloatArray
from astronmf._validation import as_real_array, check_number, check_shape, fail
from astronmf.imaging.modelling.observing import Observer
from astronmf.imaging.modelling.together import Together
from astronmf.imaging.plain import plain_values
from astronmf.imaging.sky_coordinates import SkyGrid

__all__ = ["PointSource", "SkyImage", "Source", "as_source", "is_surface_brightness"]


@runtime_checkable
class Source(Protocol):
    """Anything that knows what it looks like in each frame."""

    def frames(self, observer: Observer) -> FloatArray:
        """Return it as the detector sees it, in the detector's orientation and the frames' unit: (n, y, x) float64."""
        ...


@dataclass(frozen=True, eq=False)
class SkyImage:
    """A source that is known as an image.

    Attributes
    ----------
    data : (y, x) array, Quantity, NDData or CCDData
        North up, east left; finite, 0 where there is nothing. A WCS, celestial or of linear offsets from the star, says
        where the star, north and east are, and how large pixels are. Kept as plain float64.
    pixel_scale : float or Quantity, optional
        Arcseconds a pixel. Without it, and without a WCS, the pixels are those of `Reduction.combined`.
    center : (x, y), optional
        The star, 0-based pixels. By default where the WCS has it: at the star's coordinates if those are known, else
        at its reference pixel (or zero offset). Without a WCS, ``(n_x // 2, n_y // 2)``.
    convolved : bool, optional
        Whether it is as the telescope sees it; by default it is convolved where a PSF is given, and taken as it is
        where none is.
    unit : astropy unit, optional
        Of the data, if they do not carry one; that of the frames by default. A surface brightness keeps its value when
        pixels are resampled; anything else is flux per pixel, and keeps its total. ``Jy / pix`` is the same as ``Jy``.
        Flux per pixel is a surface brightness by the area of the image's pixels, if the frames' unit is one.
    name : str
        Of the argument that it came as, for errors.
    sky : SkyGrid or None
        What the WCS says.

    Raises
    ------
    ValueError
        If the image is not finite everywhere or not of two axes, or its WCS is that of a mirror image, of pixels that
        are not square, or of axes that are no angles.
    """

    data: Any
    pixel_scale: Any = None
    center: tuple[float, float] | None = None
    convolved: bool | None = None
    unit: Any = None
    name: str = "image"
    sky: SkyGrid | None = None

    def __post_init__(self) -> None:
        """Take the content apart and check it."""
        values, own = plain_values(self.name, self.data)
        check_shape(self.name, values, (None, None))
        if not np.isfinite(values).all():
            found = f"{int((~np.isfinite(values)).sum())} NaN or Inf (or masked)"
            raise fail(self.name, "finite everywhere (0 where there is no source)", found)
        scale = self.pixel_scale
        scale = scale.to_value(u.arcsec) if isinstance(scale, u.Quantity) else scale
        if scale is not None:
            scale = check_number("pixel_scale", scale, np.nextafter(0, 1))
        unit = own if own is not None or self.unit is None else u.Unit(self.unit)
        known = {"data": values, "unit": unit, "sky": _sky_of(self.data, self.sky), "pixel_scale": scale}
        for name, value in known.items():
            object.__setattr__(self, name, value)

    def frames(self, observer: Observer) -> FloatArray:
        """Return it as the detector sees it: (n, y, x); see `Source`."""
        ratio = self._ratio(observer)
        is_flux = not is_surface_brightness(observer.unit)
        own_scale = None if observer.geometry.pixel_scale is None else ratio * observer.geometry.pixel_scale
        values = self.data * _factor(self.name, self.unit, observer.unit, own_scale) / (ratio**2 if is_flux else 1.0)
        convolved = observer.psf is None if self.convolved is None else self.convolved
        center = self.center
        if self.sky is None:
            return observer.image(values, center=center, ratio=ratio, convolved=convolved, name=self.name)
        center = self.sky.star(observer.star) if center is None else center
        seen = observer.turned(self.sky.rotation) if self.sky.rotation else observer
        return seen.image(values, center=center, ratio=ratio, convolved=convolved, name=self.name)

    def _ratio(self, observer: Observer) -> float:
        """Return how many pixels of the detector one of the image's is wide."""
        scale, wanted = self.pixel_scale, observer.geometry.pixel_scale
        if scale is None and self.sky is not None:
            scale = self.sky.pixel_scale
        if scale is None:
            if self.data.shape != observer.shape[1:]:
                found = f"{self.data.shape}; give its 'pixel_scale' if its pixels are not those of the combined image"
                raise fail(self.name, f"of shape {observer.shape[1:]}", found)
            return 1.0
        if wanted is None:
            raise fail("pixel_scale", "left out, where the frames' own is not known", f"{scale:g}")
        ratio = scale / wanted
        return 1.0 if abs(ratio - 1) < 1e-9 else float(ratio)


@dataclass(frozen=True)
class PointSource:
    """A planet or a star in the background.

    Attributes
    ----------
    separation : float or Quantity
        From the star: pixels, or an angle if the frames' pixel scale is known.
    position_angle : float or Quantity
        Degrees east of north.
    flux : float or Quantity
        Total flux in the frames' unit; or in one of flux (Jy), where that is a surface brightness and the frames' pixel
        scale is known.
    """

    separation: Any
    position_angle: Any
    flux: Any = 1.0

    def frames(self, observer: Observer) -> FloatArray:
        """Return it as the detector sees it: (n, y, x); see `Source`. A PSF is needed."""
        flux, _, own = parts(self.flux)
        number = check_number("flux", float(as_real_array("flux", flux)))
        total = number * _factor("flux", own, observer.unit, observer.geometry.pixel_scale)
        return total * observer.point(self.separation, self.position_angle)


def as_source(name: str, content: Any, pixel_scale: Any = None) -> Source:
    """Return anything that can be one as a source: arrays, Quantities and NDData become a `SkyImage`.

    A list, tuple or mapping of sources and images is the sum of them, `Together`.

    Parameters
    ----------
    name
        Of the argument, for errors.
    content
    pixel_scale : float or Quantity, optional
        Of an image, arcseconds.

    Raises
    ------
    ValueError
        If it is nothing that a source can be made of, such as the name of a file.
    """
    if isinstance(content, str | PathLike):
        advice = "read it first, for example with astronmf.io.models.read_model_image"
        raise fail(name, "a source or an image", f"the name of a file, {str(content)!r}; {advice}")
    several = _several(name, content)
    if several:
        return Together([as_source(label, one, pixel_scale) for label, one in several.items()])
    if isinstance(content, Source) and callable(content.frames):
        if pixel_scale is None:
            return content
        if not isinstance(content, SkyImage):
            raise fail("pixel_scale", "left out for a source that is no image", pixel_scale)
        return replace(content, pixel_scale=pixel_scale)
    return SkyImage(content, pixel_scale=pixel_scale, name=name)


def _several(name: str, content: Any) -> dict[str, Any]:
    """Return the sources and images of a collection by name; none where it is no collection of such."""
    if isinstance(content, Mapping):
        return {str(key): one for key, one in content.items()}
    is_several = isinstance(content, list | tuple) and any(
        isinstance(one, Source | NDData | str | PathLike) or getattr(one, "ndim", 0) == 2 for one in content
    )
    return {f"{name} {i}": one for i, one in enumerate(content)} if is_several else {}


def _factor(name: str, own: u.UnitBase | None, wanted: u.UnitBase | None, pixel_scale: float | None) -> float:
    """Return what values in their own unit are multiplied by to be in the frames'; those without one are in it.

    Flux per pixel becomes a surface brightness by the area of pixels so many arcseconds wide.
    """
    if own is None or own == wanted:
        return 1.0
    if wanted is not None:
        own, wanted = _without_pixel(own), _without_pixel(wanted)
        if own.is_equivalent(wanted * u.sr):
            if pixel_scale is None:
                found = f"{own}, where the frames' pixel scale is not known: give it to Frames, or convert"
                raise fail(name, f"in a unit that converts to {wanted}", found)
            return float((own / u.arcsec**2).to(wanted)) / pixel_scale**2
        if (own * u.sr).is_equivalent(wanted):
            advice = "multiply by the area of its pixels, as in (image * pixel_scale**2).to(unit)"
            raise fail(
                name, f"in {wanted}, flux per pixel, as the frames are", f"{own}, a surface brightness; {advice}"
            )
    if wanted is None or not own.is_equivalent(wanted):
        constraint = "without a unit, as the data are" if wanted is None else f"in a unit that converts to {wanted}"
        raise fail(name, constraint, own)
    return float(own.to(wanted))


def _without_pixel(unit: u.UnitBase) -> u.UnitBase:
    """Return a unit per pixel without the pixel: values of pixels are in both."""
    return unit * u.pix if any(base == u.pix and power == -1 for base, power in _parts(unit)) else unit


def _parts(unit: u.UnitBase) -> list[tuple[Any, Any]]:
    """Return the basic units that a unit is made of, and their powers."""
    plain = unit.decompose()
    return list(zip(plain.bases, plain.powers, strict=True))


def _sky_of(content: Any, known: SkyGrid | None) -> SkyGrid | None:
    """Return what the WCS of an image says, if it has one."""
    wcs = content.wcs if isinstance(content, NDData) else None
    if wcs is None:
        return known
    if not isinstance(wcs, WCS):
        raise fail("wcs", "an astropy.wcs.WCS", type(wcs).__name__)
    return SkyGrid.of(wcs)


def is_surface_brightness(unit: u.UnitBase | None) -> bool:
    """Return whether a unit is one per solid angle, so that values stay as they are when pixels change their size."""
    if unit is None:
        return False
    return any(base == u.rad and power < 0 for base, power in _parts(unit))
