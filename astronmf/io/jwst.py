"""JWST coronagraphy, NIRCam and MIRI: ``*_calints``, ``*_rateints``, ``*_cal``, ``*_rate`` (``format="jwst"``).

Angles. ``ROLL_REF`` is the position angle of V3 at the aperture's reference point. The aperture's own +y is off by
``V3I_YANG``: by 0.05° for NIRCam's long-wave coronagraphs, but by almost 5° for MIRI's. For MIRI the reader therefore
uses ``PA_APER``, which has it added, or ``ROLL_REF − VPARITY × V3I_YANG``, which is the same, where a file lacks it;
for NIRCam ``ROLL_REF``, unless ``angle_key="PA_APER"`` is asked for. Both instruments' images are sky-handed.

The star is at CRPIX: the reference point of the aperture that ``APERNAME`` names, which for the coronagraphs (NIRCam's
masks, MIRI's four-quadrant phase masks and Lyot spot) is the point that the star was put on.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy.io import fits, registry

from astronmf._typing import FloatArray
from astronmf.exceptions import FormatError
from astronmf.imaging.frames import Frames
from astronmf.imaging.geometry import Geometry
from astronmf.io.dq import JWST, DqBits, chosen_bits, flagged
from astronmf.io.files import is_fits, kept, number_array, open_fits, primary_header, provenance, unit_of
from astronmf.io.frames import DO_NOT_USE, angle_of, merged_header, read_or_given_angles, reference_pixel

__all__ = ["read_jwst"]

# What is kept of a header, and under which name.
KEPT = {
    "object": "TARGPROP",
    "instrument": "INSTRUME",
    "filter": "FILTER",
    "aperture": "APERNAME",
    "coronagraph": "CORONMSK",
}


def read_jwst(
    path: Any,
    *,
    center: tuple[float, float] | None = None,
    angles: Any = None,
    angle_key: str | None = None,
    pixel_scale: float | None = None,
    dq_bits: DqBits = DO_NOT_USE,
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
        The keyword with the position angle of +y; by default ``ROLL_REF``, for MIRI ``PA_APER``.
    pixel_scale : float, optional
        Arcseconds a pixel; from the pixel's area by default.
    dq_bits : int, str or list, optional
        The DQ flags that exclude a pixel, as bits or by the data model's names ("DO_NOT_USE,SATURATED,JUMP_DET");
        DO_NOT_USE (1) by default.

    Returns
    -------
    Frames
        A frame for each integration; those of reference stars (``IS_PSF``) are marked.

    Raises
    ------
    FormatError
        If SCI or ERR is missing, or their shapes disagree.
    ValueError
        If a flag's name is not known, or the header lacks the angle.
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
    position_angles, used = _angles(hdus, header, len(data), angles, angle_key)
    geometry = Geometry.of_shape(
        data.shape[1:],
        center or reference_pixel(header, data.shape),
        pixel_scale=pixel_scale if pixel_scale is not None else _pixel_scale(header),
        angles=position_angles,
    )
    # The pipeline writes NaN where it has nothing, with or without a flag: known, so not worth a warning.
    blank = np.isnan(data) & np.isnan(sigma)
    target = str(header.get("TARGPROP") or header.get("TARGNAME") or "target")
    return Frames(
        data,
        sigma,
        flagged(hdus["DQ"].data if "DQ" in hdus else None, data.shape, chosen_bits(dq_bits, JWST)) | blank,
        geometry=geometry,
        unit=unit_of(header, path),
        names=[f"{target} {header.get('OBSERVTN', '')}:{i}".replace(" :", ":") for i in range(len(data))],
        is_reference=np.full(len(data), bool(header.get("IS_PSF", False))),
        meta=_meta(header, path, used),
    )


def _angles(
    hdus: fits.HDUList, header: fits.Header, count: int, angles: Any, key: str | None
) -> tuple[FloatArray | None, str]:
    """Return the position angle of +y for each integration, and what it comes from."""
    if angles is not None or key is not None:
        return read_or_given_angles(hdus, header, count, angles, key), key or "given"
    key = "PA_APER" if str(header.get("INSTRUME", "")).strip() == "MIRI" else "ROLL_REF"
    if key in header or key == "ROLL_REF":
        return np.full(count, angle_of(header, key)), key
    turn = angle_of(header, "VPARITY") * angle_of(header, "V3I_YANG")
    return np.full(count, angle_of(header, "ROLL_REF") - turn), "ROLL_REF - VPARITY * V3I_YANG"


def _pixel_scale(header: fits.Header) -> float | None:
    """Return the side of a square pixel, from its area."""
    area = header.get("PIXAR_A2")
    return None if area is None else float(np.sqrt(area))


def _meta(header: fits.Header, path: Any, angle_key: str) -> dict[str, Any]:
    """Return what is worth keeping of a header."""
    about = kept(header, KEPT)
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
