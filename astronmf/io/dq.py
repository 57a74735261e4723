"""Data-quality flags: what each instrument calls its bits, and which pixels a choice of them excludes.

Choices are astropy's (`astropy.nddata.bitmask`): an integer, names joined by ``,``, ``|`` or ``+``, a list of names or
of powers of 2, and ``~`` before the names for all others. Names are taken in any case.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.nddata.bitmask import bitfield_to_boolean_mask, extend_bit_flag_map, interpret_bit_flags

from astronmf._typing import BoolArray
from astronmf._validation import check_broadcast, fail

__all__ = ["JWST", "NICMOS", "STIS", "DqBits", "chosen_bits", "flag_names", "flagged"]

#: How a choice of flags may be given.
DqBits = int | str | Sequence[int] | Sequence[str] | None

#: The JWST data model's flags (``stdatamodels.jwst.datamodels.dqflags``, version 6.0).
JWST = {
    "DO_NOT_USE": 2**0,
    "SATURATED": 2**1,
    "JUMP_DET": 2**2,
    "DROPOUT": 2**3,
    "OUTLIER": 2**4,
    "PERSISTENCE": 2**5,
    "AD_FLOOR": 2**6,
    "CHARGELOSS": 2**7,
    "RESERVED": 2**8,
    "NON_SCIENCE": 2**9,
    "DEAD": 2**10,
    "HOT": 2**11,
    "WARM": 2**12,
    "LOW_QE": 2**13,
    "RC": 2**14,
    "TELEGRAPH": 2**15,
    "NONLINEAR": 2**16,
    "BAD_REF_PIXEL": 2**17,
    "NO_FLAT_FIELD": 2**18,
    "NO_GAIN_VALUE": 2**19,
    "NO_LIN_CORR": 2**20,
    "NO_SAT_CHECK": 2**21,
    "UNRELIABLE_BIAS": 2**22,
    "UNRELIABLE_DARK": 2**23,
    "UNRELIABLE_SLOPE": 2**24,
    "UNRELIABLE_FLAT": 2**25,
    "OPEN": 2**26,
    "ADJ_OPEN": 2**27,
    "FLUX_ESTIMATED": 2**28,
    "MSA_FAILED_OPEN": 2**29,
    "OTHER_BAD_PIXEL": 2**30,
    "REFERENCE_PIXEL": 2**31,
    "UNDERSAMP": 2**7,  # this and the next two are the names of these bits in older files
    "UNRELIABLE_ERROR": 2**8,
    "UNRELIABLE_RESET": 2**28,
}

#: STIS's flags (STIS Data Handbook; the names are those of calstis, ``stisdq.h``).
STIS = {
    "SOFTERR": 1,  # Reed-Solomon decoding
    "DATALOST": 2,
    "DETECTORPROB": 4,  # bad, or beyond the aperture
    "DATAMASKED": 8,  # behind the occulting bar
    "HOTPIX": 16,
    "LARGEBLEM": 32,
    "OVERSCAN": 128,
    "SATPIXEL": 256,
    "CALIBDEFECT": 512,
    "SMALLBLEM": 1024,
    "X1D_BAD_BACKGROUND": 2048,
    "X1D_DISCARDED": 4096,
    "DATAREJECT": 8192,  # cosmic rays
    "NOT_CTI_CORR": 16384,
}

#: NICMOS's flags (NICMOS Data Handbook; the names are those of calnica, ``calnic.h``).
NICMOS = {
    "REED_SOL": 1,
    "BAD_LIN": 2,
    "BAD_DARK": 4,
    "BAD_FLAT": 8,
    "GROT": 16,
    "DEFECTIVE": 32,  # hot or cold
    "SATURATED": 64,
    "MISSING": 128,
    "BADPIX": 256,
    "CR_HIT": 512,
    "SOURCE": 1024,
    "ZEROSIG": 2048,  # signal in the zeroth read
    "USER1": 4096,
    "USER2": 8192,
    "HIGH_CURVATURE": 16384,
    "RESERVED2": 32768,
}


def flag_names(header: fits.Header) -> Mapping[str, int] | None:
    """Return the names and values of the flags of a file's instrument, or `None` where they are not known here."""
    telescope = str(header.get("TELESCOP", "")).strip()
    instrument = str(header.get("INSTRUME", "")).strip()
    if telescope == "JWST":
        return JWST
    return {"STIS": STIS, "NICMOS": NICMOS}.get(instrument) if telescope == "HST" else None


def chosen_bits(dq_bits: DqBits, names: Mapping[str, int] | None) -> int | None:
    """Return a choice of flags as one integer.

    Parameters
    ----------
    dq_bits
        An integer, names ("HOT,DEAD", "HOT|DEAD", "~SOURCE"), or a list of names or of powers of 2; "none" for no flag
        at all. `None` stays `None`.
    names : mapping from str to int, or None
        The flags that have names.

    Raises
    ------
    ValueError
        If a name is not known, or the choice is not one of the above.
    """
    if dq_bits is None:
        return None
    table = extend_bit_flag_map("Names", **(names or {}))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a flag that is named twice is still one flag
            bits = interpret_bit_flags(_without_blanks(dq_bits), flag_name_map=table)
    except (AttributeError, TypeError, ValueError) as error:
        known = ", ".join(names) if names else "but flags of this instrument have no names here"
        raise fail("dq_bits", f"an integer, or names of flags ({known})", repr(dq_bits)) from error
    return 0 if bits is None else int(bits)


def _without_blanks(choice: Any) -> Any:
    """Return a choice without the blanks between its flags, which not every version of astropy takes."""
    return "".join(choice.split()) if isinstance(choice, str) else choice


def flagged(flags: Any, shape: tuple[int, ...], bits: int | None) -> BoolArray:
    """Return which pixels a DQ array excludes.

    Parameters
    ----------
    flags : integer array, or None
        Of a shape that broadcasts to `shape`; `None` excludes nothing.
    shape
        Of the data.
    bits : int or None
        The bits that exclude a pixel; `None` is any bit.

    Returns
    -------
    bool array of `shape`
        `True` = excluded.
    """
    if flags is None:
        return np.zeros(shape, dtype=bool)
    values = np.asarray(flags).astype(np.int64)
    mask = bitfield_to_boolean_mask(values, 0) if bits is None else bitfield_to_boolean_mask(values, bits, True)
    return np.array(check_broadcast("DQ", mask, shape), dtype=bool)
