"""`SpectralFrames`: cubes of wavelengths, as an integral-field spectrograph or a dual-band camera gives them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import astropy.units as u
import numpy as np
from astropy.nddata import NDData, StdDevUncertainty

from astronmf import _formats
from astronmf._inputs import any_of, parts, sigma_of
from astronmf._typing import BoolArray, FloatArray
from astronmf._validation import as_mask, as_real_array, check_broadcast, check_integer, check_shape, fail
from astronmf.imaging.frames import Frames, check_same_grid, merge_meta
from astronmf.imaging.geometry import Geometry
from astronmf.imaging.wavelengths import as_wavelengths, check_same_wavelengths

__all__ = ["SpectralFrames", "as_float"]


class SpectralFrames(NDData):
    """Exposures of one field, each of several wavelengths: ``(n, wavelength, y, x)``.

    Parameters
    ----------
    data : (n, w, y, x) or (w, y, x) array, Quantity, masked array or NDData
        Three axes are one exposure. A memory map stays one: nothing is read before a channel is asked for; its NaN and
        Inf become masked then.
    uncertainty : array, Quantity or NDUncertainty, optional
        1σ, of a shape that broadcasts to the data's.
    mask : bool array, optional
        `True` = excluded; of a shape that broadcasts to the data's.
    wavelengths : (w,) array or Quantity
        Of the channels, in micrometres, strictly increasing.
    angles, center, pixel_scale, parity, geometry
        As of `Frames`; every channel has the star at the same place.
    unit, names, is_reference, meta
        As of `Frames`.

    Raises
    ------
    ValueError
        If shapes disagree, wavelengths do not increase, an angle is not finite, or a centre is missing or outside.

    Notes
    -----
    An `~astropy.nddata.NDData`: ``data``, ``uncertainty`` (a `StdDevUncertainty` or `None`), ``unit`` and ``meta`` are
    as there. ``mask`` is what was declared, in the data's shape, or `None`: unlike that of `Frames` it does not have
    values that are not numbers, which would all have to be read.
    """

    wavelengths: FloatArray
    geometry: Geometry
    names: list[str]
    is_reference: BoolArray

    def __init__(
        self,
        data: Any,
        uncertainty: Any = None,
        mask: Any = None,
        *,
        wavelengths: Any,
        angles: Any = None,
        center: tuple[float, float] | None = None,
        pixel_scale: float | None = None,
        parity: int | None = None,
        geometry: Geometry | None = None,
        unit: Any = None,
        names: Sequence[str] | None = None,
        is_reference: Any = None,
        meta: dict[str, Any] | None = None,
    ) -> None:
        if isinstance(data, NDData):
            uncertainty = data.uncertainty if uncertainty is None else uncertainty
            mask = any_of(data.mask, mask)
            meta = dict(data.meta) if meta is None else meta
            data = data.data if data.unit is None else u.Quantity(data.data, data.unit, copy=False)
        values, own_mask, own = parts(data)
        unit = own if unit is None else u.Unit(unit)
        cube = _as_cube(values if own is None or own == unit else u.Quantity(values, own).to_value(unit))
        sigma, sigma_mask = _as_sigma(uncertainty, own, unit)
        flags = any_of(any_of(own_mask, mask), sigma_mask)
        if sigma is not None:
            sigma = StdDevUncertainty(check_broadcast("uncertainty", sigma, cube.shape), copy=False)
        mask = None if flags is None else check_broadcast("mask", as_mask("mask", flags), cube.shape)
        super().__init__(cube, uncertainty=sigma, mask=mask, unit=unit, meta=meta or {})
        n, count, *size = cube.shape
        self.wavelengths = as_wavelengths(wavelengths)
        check_shape("wavelengths", self.wavelengths, (count,))
        if geometry is None:
            known = {"pixel_scale": pixel_scale, "angles": angles, "parity": parity or 1}
            geometry = Geometry.of_shape((size[0], size[1]), center, **known)
        if geometry.angles is not None:
            check_shape("angles", geometry.angles, (n,))
        self.geometry = geometry
        self.names = [f"exposure {i}" for i in range(n)] if names is None else [str(name) for name in names]
        check_shape("names", np.asarray(self.names), (n,))
        reference = np.zeros(n, bool) if is_reference is None else as_mask("is_reference", is_reference)
        self.is_reference = np.array(check_broadcast("is_reference", reference, (n,)))

    @classmethod
    def from_channels(cls, channels: Iterable[Frames], wavelengths: Any) -> SpectralFrames:
        """Return exposures from one stack of frames for each wavelength.

        Parameters
        ----------
        channels
            As many frames in each; angles, names and what marks references are those of the first.
        wavelengths : (w,) array or Quantity
            Micrometres, strictly increasing.

        Raises
        ------
        ValueError
            If their shapes, units, centres, pixel scales or angles disagree, or only some have errors.
        """
        stacks = list(channels)
        if not stacks:
            raise fail("channels", "at least one stack of frames", "none")
        first, sigmas = stacks[0], [part.sigma for part in stacks if part.sigma is not None]
        for number, part in enumerate(stacks):
            _check_same_exposures(first, part, number)
        meta = merge_meta([part.meta for part in stacks])
        return cls(
            np.stack([part.data for part in stacks], axis=1),
            np.stack(sigmas, axis=1) if sigmas else None,
            np.stack([part.mask for part in stacks], axis=1),
            wavelengths=wavelengths,
            geometry=first.geometry,
            unit=first.unit,
            names=first.names,
            is_reference=first.is_reference,
            meta={key: value for key, value in meta.items() if key != "wavelength"},
        )

    @classmethod
    def concatenate(cls, stacks: Iterable[SpectralFrames]) -> SpectralFrames:
        """Return all exposures of several stacks in one, in memory.

        Raises
        ------
        ValueError
            If their wavelengths, shapes, units, centres or pixel scales disagree, or only some have errors or angles.
        """
        stack: list[Any] = list(stacks)
        if not stack:
            raise fail("stacks", "at least one stack of exposures", "none")
        first = stack[0]
        for part in stack:
            check_same_grid(first, part, "exposures")
            check_same_wavelengths(first.wavelengths, part.wavelengths, "exposures")
            for name in ("sigma", "angles"):
                if (getattr(first, name) is None) != (getattr(part, name) is None):
                    raise fail(name, "known for all exposures or for none", f"a mix in {part.names[0]}")
        masks = [np.zeros(part.shape, bool) if part.mask is None else part.mask for part in stack]
        angles = None if first.angles is None else np.concatenate([part.angles for part in stack])
        return cls(
            np.concatenate([part.data for part in stack]),
            None if first.sigma is None else np.concatenate([part.sigma for part in stack]),
            None if all(part.mask is None for part in stack) else np.concatenate(masks),
            wavelengths=first.wavelengths,
            geometry=replace(first.geometry, angles=angles),
            unit=first.unit,
            names=[name for part in stack for name in part.names],
            is_reference=np.concatenate([part.is_reference for part in stack]),
            meta=merge_meta([part.meta for part in stack]),
        )

    @property
    def angles(self) -> FloatArray | None:
        """Position angle of each exposure's +y axis, degrees east of north: (n,), or `None`."""
        return self.geometry.angles

    @property
    def sigma(self) -> FloatArray | None:
        """1σ errors as a plain array, (n, w, y, x), or `None`."""
        return None if self.uncertainty is None else self.uncertainty.array

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Number of exposures, number of channels, and their (y, x) size."""
        n, channels, y, x = self.data.shape
        return n, channels, y, x

    @property
    def n_channels(self) -> int:
        """Number of wavelengths."""
        return self.shape[1]

    def __len__(self) -> int:
        """Return the number of exposures."""
        return self.shape[0]

    def __repr__(self) -> str:
        """Return a line that says what is inside."""
        n, channels, y, x = self.shape
        unit = "no unit" if self.unit is None else str(self.unit)
        low, high = self.wavelengths[[0, -1]]
        return f"<SpectralFrames: {n} of {channels} channels, {low:.4g}-{high:.4g} µm, of {y} x {x} pixels, {unit}>"

    __str__ = __repr__

    def __getitem__(self, index: Any) -> SpectralFrames:
        """Return some of the exposures, of all channels; one index gives a stack of one, a slice copies nothing."""
        chosen = np.atleast_1d(np.arange(len(self))[index])
        rows = index if isinstance(index, slice) else chosen
        return self._like(
            self.data[rows],
            None if self.sigma is None else self.sigma[rows],
            None if self.mask is None else self.mask[rows],
            geometry=self.geometry.select(chosen),
            names=[self.names[i] for i in chosen],
            is_reference=self.is_reference[chosen],
        )

    def channel(self, index: int) -> Frames:
        """Return all exposures at one wavelength, (n, y, x), which is ``meta["wavelength"]``, in micrometres.

        Parameters
        ----------
        index
            Of the channel, from 0; −1 is the last.

        Returns
        -------
        Frames
            A view of the data where they are floats in native byte order, as those of a FITS file are not.
        """
        number = self._channel_number(index)
        return Frames(
            as_real_array("data", self.data[:, number]),
            None if self.sigma is None else self.sigma[:, number],
            None if self.mask is None else self.mask[:, number],
            geometry=self.geometry,
            unit=self.unit,
            names=self.names,
            is_reference=self.is_reference,
            meta=self.meta | {"wavelength": float(self.wavelengths[number])},
        )

    def channels(self) -> Iterator[Frames]:
        """Yield every channel, one at a time; see `channel`."""
        for number in range(self.n_channels):
            yield self.channel(number)

    def image(self, exposure: int, channel: int) -> tuple[FloatArray, FloatArray | None]:
        """Return one image and its 1σ errors (`None` without), (y, x) each, NaN where a value is missing."""
        row, number = check_integer("exposure", exposure, -len(self), len(self) - 1), self._channel_number(channel)
        values = as_float(self.data[row, number])
        missing = ~np.isfinite(values)
        if self.mask is not None:
            missing |= self.mask[row, number]
        if self.sigma is None:
            return np.where(missing, np.nan, values), None
        sigma = as_float(self.sigma[row, number])
        missing |= ~(np.isfinite(sigma) & (sigma > 0))
        return np.where(missing, np.nan, values), np.where(missing, np.nan, sigma)

    def replace_data(self, data: Any) -> SpectralFrames:
        """Return the same exposures with other values, (n, w, y, x): for injections and simulations."""
        plain, _, unit = parts(data)
        if unit is not None:
            plain = u.Quantity(plain, unit).to_value(self.unit)
        values = _as_cube(plain)
        check_shape("data", values, self.shape)
        return self._like(values, self.sigma, self.mask)

    @classmethod
    def read(cls, path: Any, *, format: str | None = None, **options: Any) -> SpectralFrames:  # noqa: A002
        """Read exposures from a file.

        Parameters
        ----------
        path : path, or sequence of paths
            Several files end in one stack, in memory; of one, images stay in the file where the format can.
        format : str, optional
            "fits" (any FITS cube of three or four axes), or an instrument's; found from the file by default.
        **options
            Of the format: ``wavelengths``, ``center``, ``angles``, ``pixel_scale``, …
        """
        found: SpectralFrames = _formats.read_stack(cls, path, format, options)
        return found

    def write(self, path: Any, *, format: str = "fits", **options: Any) -> None:  # noqa: A002
        """Write SCI, ERR, DQ, WAVELENGTHS and a table of the exposures.

        Parameters
        ----------
        path
        **options
            ``overwrite=True`` replaces a file that is there.
        """
        _formats.write(self, path, format, **options)

    def _channel_number(self, index: int) -> int:
        """Return the number of a channel, from 0."""
        return check_integer("channel", index, -self.n_channels, self.n_channels - 1) % self.n_channels

    def _like(self, data: Any, sigma: Any, mask: Any, **changes: Any) -> SpectralFrames:
        """Return other values with what is known of these."""
        same: dict[str, Any] = {
            "wavelengths": self.wavelengths,
            "geometry": self.geometry,
            "unit": self.unit,
            "names": self.names,
            "is_reference": self.is_reference,
            "meta": self.meta,
        }
        return SpectralFrames(data, sigma, mask, **(same | changes))


def _as_cube(data: Any) -> Any:
    """Return an (n, w, y, x) array of real numbers, as it is in memory or in its file."""
    values = data if isinstance(data, np.ndarray) else np.asarray(data)
    if values.dtype.kind not in "fiub":
        raise fail("data", "an array of real numbers", f"dtype {values.dtype}")
    cube = values[None] if values.ndim == 3 else values
    check_shape("data", cube, (None, None, None, None))
    if cube.size == 0:
        raise fail("data", "of at least one exposure, one channel and one pixel", f"shape {cube.shape}")
    return cube


def as_float(values: Any) -> FloatArray:
    """Return floats in native byte order; integers and half floats become double."""
    array = as_real_array("data", values)
    return array if array.dtype.kind == "f" and array.dtype.itemsize >= 4 else array.astype(np.float64)


def _as_sigma(uncertainty: Any, own: u.UnitBase | None, unit: u.UnitBase | None) -> tuple[Any, Any]:
    """Return 1σ errors in `unit`, as they are in memory or in their file, and their mask."""
    if uncertainty is None:
        return None, None
    values, mask, given = parts(sigma_of(uncertainty))
    given = own if given is None else given
    if given is not None and unit is None:
        raise fail("uncertainty", "without a unit, as the data are", given)
    sigma = values if given is None or given == unit else u.Quantity(values, given).to_value(unit)
    sigma = sigma if isinstance(sigma, np.ndarray) else np.asarray(sigma)
    if sigma.dtype.kind not in "fiub":
        raise fail("uncertainty", "an array of real numbers", f"dtype {sigma.dtype}")
    return sigma, mask


def _check_same_exposures(first: Frames, part: Frames, number: int) -> None:
    """Raise unless two channels have the same exposures."""
    check_shape("channels", part.data, first.shape)
    check_same_grid(first, part, "channels")
    if (first.sigma is None) != (part.sigma is None):
        raise fail("uncertainty", "given for all channels or for none", f"a mix in channel {number}")
    one, other = first.angles, part.angles
    if (one is None) != (other is None) or (one is not None and not np.allclose(one, np.asarray(other))):
        raise fail("channels", "of the same angles", f"others in channel {number}")
