"""Maps on the pixels of a reduction's combined image, to FITS."""

from __future__ import annotations

from typing import Any

import astropy.units as u
from astropy.io import fits

from astronmf._typing import FloatArray
from astronmf.imaging.reduction import Reduction
from astronmf.io.files import to_ascii, unit_text, write_fits
from astronmf.io.reduction import describe_sky

__all__ = ["write_map"]


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
