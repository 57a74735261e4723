"""Components to FITS and back (``format="fits"``)."""

from __future__ import annotations

from typing import Any

import astropy.units as u
import numpy as np
from astropy.io import fits, registry
from astropy.table import Table

from astronmf.components import Components
from astronmf.exceptions import FormatError
from astronmf.io.files import (
    identify_fits,
    json_from,
    json_hdu,
    native_array,
    open_fits,
    to_ascii,
    unit_text,
    write_fits,
)

__all__ = ["component_hdus", "components_from", "read_components", "write_components"]


def write_components(components: Components, path: Any, *, overwrite: bool = False) -> None:
    """Write a basis: COMPONENTS, MASK, REFERENCES, STAGES, HISTORY and BASIS_META."""
    primary = fits.PrimaryHDU()
    primary.header["CONTENT"] = ("components", "what this file holds")
    primary.header["NCOMP"] = (len(components), "number of components")
    primary.header["CHI2"] = (float(components.history["chi2"][-1]), "of the build")
    write_fits([primary, *component_hdus(components)], path, overwrite=overwrite)


def component_hdus(components: Components) -> list[Any]:
    """Return the extensions that hold a basis."""
    image = fits.ImageHDU(components.data, name="COMPONENTS")
    image.header["NORM"] = (components.meta.get("normalization", ""), "of each component")
    mask = fits.ImageHDU(components.mask.astype(np.uint8), name="MASK")
    mask.header["MEANING"] = ("1 = not covered", "as in astropy masks")
    coefficients = fits.BinTableHDU(_coefficient_table(components), name="REFERENCES")
    if components.unit is not None:
        coefficients.header["BUNIT"] = unit_text(components.unit)
    stages = fits.ImageHDU(np.concatenate(components.stages), name="STAGES")
    stages.header["SIZES"] = (" ".join(str(len(stage)) for stage in components.stages), "components of each stage")
    history = fits.table_to_hdu(components.history)
    history.name = "HISTORY"
    return [image, mask, coefficients, stages, history, json_hdu(components.meta, "BASIS_META")]


def _coefficient_table(components: Components) -> Table:
    """Return a row for each observation: its name and its coefficients."""
    names = components.meta.get("references") or [f"observation {i}" for i in range(len(components.coefficients))]
    return Table(
        {
            "NAME": [to_ascii(name) for name in names],
            "COEFFICIENTS": components.coefficients,
            "STAGES": np.concatenate(components.stage_coefficients, axis=1),
        }
    )


def read_components(path: Any) -> Components:
    """Read a basis that `write_components` (or a reduction) wrote."""
    return components_from(open_fits(path), path)


def components_from(hdus: fits.HDUList, path: Any) -> Components:
    """Return the basis in an open file."""
    missing = [name for name in ("COMPONENTS", "REFERENCES", "STAGES", "HISTORY", "BASIS_META") if name not in hdus]
    if missing:
        msg = f"{path}: not a file of components (it has no extension {missing[0]})"
        raise FormatError(msg)
    coefficients = hdus["REFERENCES"]
    absent = {"COEFFICIENTS", "STAGES"} - set(coefficients.columns.names)
    if absent or "SIZES" not in hdus["STAGES"].header:
        msg = f"{path}: its extension REFERENCES or STAGES is not as this version writes it; build the components again"
        raise FormatError(msg)
    unit = coefficients.header.get("BUNIT")
    ends = np.cumsum([int(size) for size in hdus["STAGES"].header["SIZES"].split()])[:-1]
    return Components(
        data=native_array(hdus["COMPONENTS"].data),
        coefficients=native_array(coefficients.data["COEFFICIENTS"]),
        stages=tuple(np.split(native_array(hdus["STAGES"].data), ends)),
        stage_coefficients=tuple(np.split(native_array(coefficients.data["STAGES"]), ends, axis=1)),
        history=Table.read(hdus["HISTORY"]),
        unit=None if unit is None else u.Unit(unit),
        meta=json_from(hdus["BASIS_META"]),
    )


registry.register_reader("fits", Components, read_components)
registry.register_writer("fits", Components, write_components)
registry.register_identifier("fits", Components, identify_fits)
