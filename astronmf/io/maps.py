"""Maps on the pixels of a reduction's combined image, to FITS."""

from __future__ import annotations

from typing import Any

import astropy.units as u
import numpy as np
from astropy.io import fits

from astronmf._typing import FloatArray
from astronmf.exceptions import FormatError
from astronmf.imaging.reduction import Reduction
from astronmf.io.files import number_array, open_fits, to_ascii, unit_of, unit_text, write_fits
from astronmf.io.reduction import describe_sky

__all__ = ["read_map", "write_map"]


def read_map(path: Any, what: str, *, unit: u.UnitBase | None = None, dimensions: tuple[int, ...] = (2,)) -> FloatArray:
    """Read the first image of a FITS file.

    Parameters
    ----------
    path
    what
        It is, for messages.
    unit : astropy unit, optional
        To bring the values to, where ``BUNIT`` names theirs.
    dimensions
        How many axes it may have.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If it holds no such image, or one in a unit of another kind.
    """
    for hdu in open_fits(path):
        if hdu.data is not None and not hdu.data.dtype.names and hdu.data.ndim in dimensions:
            values, own = number_array(hdu.data), unit_of(hdu.header, path)
            if unit is None or own is None:
                return values
            if not own.is_equivalent(unit):
                msg = f"{path}: {what} must be in a unit that is one of {unit}, got {own}"
                raise FormatError(msg)
            return np.asarray(values * own.to(unit))
    msg = f"{path}: holds no image to use as {what}"
    raise FormatError(msg)


def write_map(
    reduction: Reduction,
    image: FloatArray,
    path: Any,
    content: str,
    *,
    unit: u.UnitBase | None = None,
    command: str = "",
    overwrite: bool = False,
) -> None:
    """Write an image with the reduction's coordinates on the sky.

    Parameters
    ----------
    reduction : Reduction
    image : (y, x) array
        On the pixels of its combined image.
    path
    content
        What the image is.
    unit : astropy unit, optional
    command
        That made it.
    overwrite
        Whether a file that is there may be replaced.
    """
    hdu = fits.PrimaryHDU(image)
    hdu.header["CONTENT"] = (to_ascii(content), "what this file holds")
    if unit is not None:
        hdu.header["BUNIT"] = unit_text(unit)
    describe_sky(reduction, hdu.header)
    if command:
        hdu.header["COMMAND"] = to_ascii(command)
    write_fits([hdu], path, overwrite=overwrite)
