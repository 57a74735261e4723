"""Channels: their wavelengths, their names and the width of their PSF."""

from __future__ import annotations

from typing import Any

import astropy.units as u
import numpy as np

from astronmf._typing import FloatArray
from astronmf._validation import as_real_array, check_number, check_shape, fail

__all__ = ["as_wavelengths", "channel_name", "check_same_wavelengths", "fwhm_of_channels"]

#: Wavelengths that differ by less, relative to themselves, are the same.
SAME_WAVELENGTH = 1e-3


def as_wavelengths(wavelengths: Any) -> FloatArray:
    """Return wavelengths in micrometres, (w,) float64.

    Parameters
    ----------
    wavelengths : (w,) array or Quantity
        Plain numbers are in micrometres already; frequencies are converted.

    Raises
    ------
    ValueError
        If they are not finite, above 0 and strictly increasing.
    """
    if isinstance(wavelengths, u.Quantity):
        wavelengths = wavelengths.to_value(u.um, equivalencies=u.spectral())
    values = np.atleast_1d(as_real_array("wavelengths", wavelengths)).astype(np.float64)
    check_shape("wavelengths", values, (None,))
    wrong = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    if wrong.size:
        raise fail("wavelengths", "finite and above 0, in micrometres", f"{values[wrong[0]]} for channel {wrong[0]}")
    back = np.flatnonzero(np.diff(values) <= 0)
    if back.size:
        one, other = values[back[0] : back[0] + 2]
        found = f"{one:g}, {other:g} for channels {back[0]} and {back[0] + 1}; put the channels in order"
        raise fail("wavelengths", "strictly increasing", found)
    return values


def check_same_wavelengths(one: FloatArray, other: FloatArray, name: str) -> None:
    """Raise unless two sets of channels have the same wavelengths."""
    if one.shape != other.shape or not np.allclose(one, other, rtol=SAME_WAVELENGTH, atol=0):
        raise fail(name, f"at the wavelengths of the others, {_span(one)}", _span(other))


def _span(wavelengths: FloatArray) -> str:
    """Return how many wavelengths there are, from where to where."""
    return f"{len(wavelengths)} from {wavelengths[0]:.6g} to {wavelengths[-1]:.6g} µm"


def channel_name(number: int, wavelength: float) -> str:
    """Return what a channel is called in messages."""
    return f"channel {number} ({wavelength:.4g} µm)"


def fwhm_of_channels(fwhm: Any, wavelengths: FloatArray) -> FloatArray | None:
    """Return the FWHM of every channel, (w,), in pixels, or `None` where it is not known.

    Parameters
    ----------
    fwhm : float, (w,) array or None
        One number is that at the mean wavelength; it grows in proportion to the wavelength.
    wavelengths : (w,) array
    """
    if fwhm is None:
        return None
    values = as_real_array("fwhm", fwhm).astype(np.float64)
    if values.ndim == 0:
        values = check_number("fwhm", float(values), np.nextafter(0, 1)) * wavelengths / wavelengths.mean()
    check_shape("fwhm", values, wavelengths.shape)
    wrong = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    if wrong.size:
        raise fail("fwhm", "finite and above 0, in pixels", f"{values[wrong[0]]} for channel {wrong[0]}")
    return values
