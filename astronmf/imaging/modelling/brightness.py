"""What disks have in common that are known as a brightness at every place on the sky."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import fields, replace
from typing import Any, ClassVar, Self

import astropy.units as u
import numpy as np

from astronmf._typing import FloatArray
from astronmf._validation import as_real_array, check_integer, check_number, check_shape, fail
from astronmf.imaging.geometry import center_pixel, in_degrees, in_pixels

__all__ = ["BrightnessModel", "check_parameter_names"]

#: Of a Gaussian, standard deviations in places at which it is evaluated: what is aliased is then below 1e-3.
SMALLEST_WIDTH = 0.85

#: A jump of the second derivative, per pixel squared and of a peak of 1, which aliases 2e-3 of the peak once that is
#: convolved; what is aliased falls with the third power of the number of places, and the time rises with the second.
LARGEST_BEND = 1.1

LARGEST_OVERSAMPLING = 25


class BrightnessModel(ABC):
    """A frozen dataclass of parameters that says how bright it is at every place on the sky.

    `LENGTHS` and `DIRECTIONS` name the parameters that are lengths and that are angles.
    """

    LENGTHS: ClassVar[tuple[str, ...]] = ()
    DIRECTIONS: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def brightness(self, east: Any, north: Any) -> FloatArray:
        """Return the brightness at places on the sky."""

    @property
    @abstractmethod
    def narrowest(self) -> float:
        """The standard deviation of what is narrowest in the picture, pixels."""

    @property
    def bend(self) -> float:
        """The largest jump of a profile's second derivative, per pixel squared; 0 where there is none.

        In units of its peak, or of what a PSF leaves of the peak of a narrow profile.
        """
        return 0.0

    @classmethod
    def from_arcsec(cls, pixel_scale: Any, **parameters: Any) -> Self:
        """Return a model whose lengths are given in arcseconds.

        Parameters
        ----------
        pixel_scale : float or Quantity
            Arcseconds a detector pixel.
        **parameters
            Those of the class, by name. Lengths are arcseconds, or angles as Quantities; everything else is as ever.
        """
        scale = check_number("pixel_scale", _plain(pixel_scale, u.arcsec), np.nextafter(0, 1))
        lengths = {name: parameters[name] for name in cls.LENGTHS if parameters.get(name) is not None}
        pixels = {
            name: in_pixels(name, value if isinstance(value, u.Quantity) else value * u.arcsec, scale)
            for name, value in lengths.items()
        }
        return cls(**(parameters | {name: float(value) for name, value in pixels.items()}))

    def with_parameters(self, **changes: Any) -> Self:
        """Return the same model with some parameters changed.

        Raises
        ------
        ValueError
            If there is no such parameter, or a value is out of its range.
        """
        check_parameter_names(changes, [field.name for field in fields(self)])  # type: ignore[arg-type]
        return replace(self, **changes)  # type: ignore[type-var]

    def image(
        self, shape: tuple[int, int], *, center: tuple[float, float] | None = None, oversampling: int | None = None
    ) -> FloatArray:
        """Return a north-up picture, not convolved.

        Parameters
        ----------
        shape : (y, x)
        center : (x, y), optional
            Where the star is, 0-based pixels; ``(n_x // 2, n_y // 2)`` by default.
        oversampling : int, optional
            Each pixel is the mean of so many places along each axis; by default as many as the model needs.

        Returns
        -------
        (y, x) array
            float64, brightness per detector pixel; east is left.
        """
        star = center_pixel(shape) if center is None else center
        check_shape("center", np.asarray(star), (2,))
        parts = self._oversampling(oversampling)
        steps = (np.arange(parts) + 0.5) / parts - 0.5
        rows, columns = ((np.arange(size)[:, None] + steps).ravel() for size in shape)
        east, north = np.meshgrid(star[0] - columns, rows - star[1])
        fine = self.brightness(east, north)
        return np.asarray(fine.reshape(shape[0], parts, shape[1], parts).mean(axis=(1, 3)))

    def frames(self, observer: Any, *, oversampling: int | None = None) -> FloatArray:
        """Return what the model looks like in each frame, as the detector sees it: (n, y, x) float64.

        Parameters
        ----------
        observer : Observer
            How the sky becomes frames.
        oversampling : int, optional
            At how many places along each axis a pixel is evaluated, see `Observer.brightness`; by default at as many as
            the model needs, so that what is aliased can be neglected. More of them make no other picture where there is
            a PSF; without one, a pixel is their mean.
        """
        return np.asarray(observer.brightness(self.brightness, oversampling=self._oversampling(oversampling)))

    def _oversampling(self, given: int | None) -> int:
        """Return how many places a pixel has along each axis."""
        if given is not None:
            return check_integer("oversampling", given, 1, LARGEST_OVERSAMPLING)
        needed = int(np.ceil(max(SMALLEST_WIDTH / self.narrowest, np.cbrt(self.bend / LARGEST_BEND))))
        if needed > LARGEST_OVERSAMPLING:
            found = (
                f"{needed}, which a part of {self.narrowest:.2g} pixels in the picture needs; widen it, or give less"
            )
            raise fail("oversampling", f"at most {LARGEST_OVERSAMPLING}", found)
        return needed

    def _settle(self) -> None:
        """Turn lengths, angles and every other number into plain finite floats."""
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if value is None:
                continue
            if isinstance(value, u.Quantity) and field.name in self.LENGTHS:
                value = in_pixels(field.name, value, None)
            elif isinstance(value, u.Quantity) and field.name in self.DIRECTIONS:
                value = in_degrees(field.name, value)
            object.__setattr__(self, field.name, check_number(field.name, value))


def check_parameter_names(given: Any, known: Any) -> None:
    """Raise if a parameter is not known; list those that are."""
    unknown = [name for name in given if name not in known]
    if unknown:
        raise fail("parameters", "some of " + ", ".join(known), ", ".join(map(str, unknown)))


def places(east: Any, north: Any) -> tuple[FloatArray, FloatArray, tuple[int, ...]]:
    """Return places on the sky as two (m,) float64 arrays, and the shape that they came in."""
    both = np.broadcast_arrays(as_real_array("east", east), as_real_array("north", north))
    first, second = (np.ascontiguousarray(part, dtype=np.float64).ravel() for part in both)
    return first, second, both[0].shape


def _plain(value: Any, unit: u.UnitBase) -> Any:
    """Return a Quantity's number in a unit; anything else as it is."""
    return value.to_value(unit) if isinstance(value, u.Quantity) else value
