"""JWST coronagraphy: calibrated integrations, ``*_calints.fits`` (``format="jwst"``).

Angles: the reader uses ``ROLL_REF``, the position angle of V3 at the aperture's reference point, as that of +y. The
aperture's own +y is off by ``V3I_YANG`` (0.05° for NIRCam's long-wave coronagraphs); ``angle_key="PA_APER"`` uses the
keyword that has it added.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy.io import fits, registry

from astronmf.exceptions import FormatError
from astronmf.imaging.frames import Frames
from astronmf.imaging.geometry import Geometry
from astronmf.io.files import is_fits, number_array, open_fits, primary_header, provenance, unit_of
from astronmf.io.frames import DO_NOT_USE, flagged, merged_header, read_or_given_angles, reference_pixel

__all__ = ["read_jwst"]


def read_jwst(
    path: Any,
    *,
    center: tuple[float, float] | None = None,
    angles: Any = None,
    angle_key: str | None = None,
    pixel_scale: float | None = None,
    dq_bits: int = DO_NOT_USE,
) -> Frames:
    """Read a JWST file with SCI, ERR and DQ.

    Parameters
    ----------
    path
    center : (x, y), optional
        The star, 0-based; ``CRPIX1 − 1, CRPIX2 − 1`` by default.
    angles : (n,) array or path, optional
        Position angles of +y, instead of the header's.
    angle_key : str, optional
        The keyword with the position angle of +y; ``ROLL_REF`` by default.
    pixel_scale : float, optional
        Arcseconds a pixel; from the pixel's area by default.
    dq_bits : int, optional
        The DQ bits that exclude a pixel; DO_NOT_USE (1) by default.

    Returns
    -------
    Frames
        A frame for each integration; those of reference stars (``IS_PSF``) are marked.
    """
    hdus = open_fits(path)
    for name in ("SCI", "ERR"):
        if name not in hdus:
            msg = f"{path}: a JWST image has an extension {name}, this file has none"
            raise FormatError(msg)
    data = number_array(hdus["SCI"].data)
    data = data[None] if data.ndim == 2 else data
    sigma = number_array(hdus["ERR"].data)
    sigma = sigma[None] if sigma.ndim == 2 else sigma
    if sigma.shape != data.shape:
        msg = f"{path}: ERR must have the shape of SCI, {data.shape}, got {sigma.shape}"
        raise FormatError(msg)
    header = merged_header(hdus, hdus["SCI"])
    geometry = Geometry.of_shape(
        data.shape[1:],
        center or reference_pixel(header, data.shape),
        pixel_scale=pixel_scale if pixel_scale is not None else _pixel_scale(header),
        angles=read_or_given_angles(
            hdus, header, len(data), angles, angle_key or ("ROLL_REF" if angles is None else None)
        ),
    )
    # The pipeline writes NaN where it has nothing, with or without a flag: known, so not worth a warning.
    blank = np.isnan(data) & np.isnan(sigma)
    target = str(header.get("TARGPROP") or header.get("TARGNAME") or "target")
    return Frames(
        data,
        sigma,
        flagged(hdus, data.shape, dq_bits) | blank,
        geometry=geometry,
        unit=unit_of(header, path),
        names=[f"{target} {header.get('OBSERVTN', '')}:{i}".replace(" :", ":") for i in range(len(data))],
        is_reference=np.full(len(data), bool(header.get("IS_PSF", False))),
        meta=_meta(header, path, angle_key or "ROLL_REF"),
    )


def _pixel_scale(header: fits.Header) -> float | None:
    """Return the side of a square pixel, from its area."""
    area = header.get("PIXAR_A2")
    return None if area is None else float(np.sqrt(area))


def _meta(header: fits.Header, path: Any, angle_key: str) -> dict[str, Any]:
    """Return what is worth keeping of a header."""
    keep = {"object": "TARGPROP", "instrument": "INSTRUME", "filter": "FILTER"}
    about: dict[str, Any] = {name: str(header[key]) for name, key in keep.items() if header.get(key)}
    if "TARG_RA" in header and "TARG_DEC" in header:
        about |= {"ra": float(header["TARG_RA"]), "dec": float(header["TARG_DEC"])}
    return about | {"angle_key": angle_key, "inputs": provenance(path)}


def _identify(origin: str, path: Any, fileobj: Any, *args: Any, **kwargs: Any) -> bool:  # noqa: ARG001
    """Return whether a file to be read is JWST's."""
    if origin != "read" or path is None or not is_fits(path):
        return False
    return str(primary_header(path).get("TELESCOP", "")).strip() == "JWST"


registry.register_reader("jwst", Frames, read_jwst)
registry.register_identifier("jwst", Frames, _identify)
