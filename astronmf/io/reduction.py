"""Reductions to FITS and back (``format="fits"``): one file that says all, and where it came from."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from astropy.io import fits, registry
from astropy.table import Table
from astropy.wcs import WCS

from astronmf._typing import FloatArray, IntArray, Progress, no_progress
from astronmf.components import Components
from astronmf.exceptions import FormatError
from astronmf.imaging.frames import Frames
from astronmf.imaging.geometry import Geometry
from astronmf.imaging.own_bases import OwnBases
from astronmf.imaging.reduction import Reduction
from astronmf.imaging.self_reference import SelfReference
from astronmf.imaging.target import Choice
from astronmf.io.components import component_hdus, components_from
from astronmf.io.files import (
    from_ascii,
    identify_fits,
    json_from,
    json_hdu,
    native_array,
    open_fits,
    to_ascii,
    unit_of,
    unit_text,
    write_fits,
)
from astronmf.io.frames import frame_columns, geometry_to_header

__all__ = ["describe_place", "describe_sky", "read_reduction", "write_cube", "write_reduction"]

# What a pixel of the science frames did: bits of the extension STATUS.
EXTENSIONS = ("COMBINED", "COMBINED_ERR", "COVERAGE", "RESIDUALS", "MODELS", "STATUS", "COEFFICIENTS", "META")

MASKED, OUTSIDE, IMPUTED, NOT_JUDGED = 1, 2, 4, 8


def write_reduction(reduction: Reduction, path: Any, *, overwrite: bool = False) -> None:
    """Write COMBINED, COMBINED_ERR, COVERAGE, RESIDUALS, MODELS, SCIENCE_ERR, STATUS, the tables and the components."""
    science = reduction.science
    images = [
        ("COMBINED", reduction.combined),
        ("COMBINED_ERR", reduction.combined_uncertainty),
        ("COVERAGE", reduction.coverage.astype(np.int32)),
        ("RESIDUALS", reduction.residuals),
        ("MODELS", reduction.models),
    ]
    if science.sigma is not None:
        images.append(("SCIENCE_ERR", np.ascontiguousarray(science.sigma)))
    images += [("STATUS", _status(reduction)), ("ZONES", reduction.choice.zone_numbers.astype(np.int32))]
    hdus: list[Any] = [_primary(reduction)]
    for name, values in images:
        hdus.append(fits.ImageHDU(values, name=name))
        if reduction.unit is not None and name not in ("COVERAGE", "STATUS", "ZONES"):
            hdus[-1].header["BUNIT"] = unit_text(reduction.unit)
    describe_sky(reduction, hdus[1].header, hdus[2].header, hdus[3].header)
    geometry_to_header(next(h for h in hdus if h.name == "RESIDUALS").header, science.geometry)
    hdus += [fits.BinTableHDU(_coefficient_table(reduction), name="COEFFICIENTS"), *_self_reference_hdus(reduction)]
    hdus += [*component_hdus(reduction.components), json_hdu(reduction.meta, "META"), _input_table(reduction)]
    write_fits(hdus, path, overwrite=overwrite)


def write_cube(reduction: Reduction, path: Any, *, overwrite: bool = False, progress: Progress = no_progress) -> None:
    """Write the combined image for every number of components, (stages, y, x)."""
    hdu = fits.PrimaryHDU(reduction.over_components(progress))
    if reduction.unit is not None:
        hdu.header["BUNIT"] = unit_text(reduction.unit)
    describe_sky(reduction, hdu.header)
    sizes = [len(stage) for stage in reduction.components.stages]
    hdu.header["SIZES"] = (" ".join(map(str, sizes)), "number of components of each plane")
    write_fits([hdu], path, overwrite=overwrite)


def _primary(reduction: Reduction) -> fits.PrimaryHDU:
    """Return the header that says how to run this again."""
    hdu = fits.PrimaryHDU()
    header = hdu.header
    header["CONTENT"] = ("reduction", "what this file holds")
    header["CREATOR"] = (f"astronmf {reduction.meta.get('version', '')}", "software and version")
    for keyword, key in (("OBJECT", "object"), ("INSTRUME", "instrument"), ("FILTER", "filter")):
        if key in reduction.meta:
            header[keyword] = to_ascii(str(reduction.meta[key]))
    header["NCOMP"] = (len(reduction.components), "number of components")
    header["NFRAMES"] = (len(reduction.science), "science frames")
    header["CHI2"] = (reduction.chi2, "of the science frames, all fitted pixels")
    header["NVALID"] = (reduction.n_valid, "fitted pixels")
    header["SEED"] = (str(reduction.components.meta.get("random_state")), "random state of the build")
    header["COMMAND"] = to_ascii(str(reduction.meta.get("command", "astronmf.imaging.reduce")))
    header["PARAMS"] = json.dumps(reduction.meta["parameters"], default=str)
    for i, item in enumerate(reduction.meta.get("inputs", [])):
        header[f"INP{i:04d}"] = f"{to_ascii(item['name'])} sha256:{item['sha256']}"
    return hdu


def describe_sky(reduction: Reduction, *headers: fits.Header) -> None:
    """Write north-up coordinates to the headers of the combined images."""
    for header in headers:
        describe_place(reduction.wcs(), reduction.center, reduction.science.geometry.pixel_scale, header)


def describe_place(wcs: WCS | None, center: tuple[int, int], pixel_scale: float | None, header: fits.Header) -> None:
    """Write coordinates, the star's pixel and the pixels' size to the header of a north-up image."""
    if wcs is not None:
        header.update(wcs.to_header())
        header["PIXSCALE"] = (pixel_scale, "arcsec per pixel")
    header["CRPIX1"] = (center[0] + 1, "star's x, 1-based")
    header["CRPIX2"] = (center[1] + 1, "star's y, 1-based")


def _coefficient_table(reduction: Reduction) -> Table:
    """Return a row for each science frame: name, angle, coefficients, covariance, scale factor."""
    columns = frame_columns(reduction.science) | {
        "COEFFICIENTS": reduction.coefficients,
        "COVARIANCE": reduction.covariances,
        "SCALE": reduction.scale_factors,
        "SCALE_ERR": reduction.scale_factor_errors,
    }
    return Table(columns)


def _self_reference_hdus(reduction: Reduction) -> list[fits.ImageHDU]:
    """Return how the models follow the science frames, if they were built from them."""
    found = reduction.self_reference
    if found is None:
        return []
    hdus = [fits.ImageHDU(found.hats, name="HATS")]
    if found.other_weights.size:
        hdus.append(fits.ImageHDU(found.other_weights, name="OTHER_WEIGHTS"))
    if found.own is not None:
        hdus.append(fits.ImageHDU(found.own.group.astype(np.int32), name="OWN_GROUP"))
        hdus.append(fits.ImageHDU(found.own.data, name="OWN_COMPONENTS"))
        hdus.append(fits.ImageHDU(found.own.coefficients, name="OWN_COEFFICIENTS"))
    return hdus


def _self_reference_from(hdus: fits.HDUList, components: Components) -> SelfReference | None:
    """Return what `_self_reference_hdus` wrote."""
    if "HATS" not in hdus:
        return None
    hats, own = native_array(hdus["HATS"].data), None
    others = native_array(hdus["OTHER_WEIGHTS"].data) if "OTHER_WEIGHTS" in hdus else np.zeros((len(hats), 0))
    if "OWN_GROUP" in hdus:
        names = ("OWN_GROUP", "OWN_COMPONENTS", "OWN_COEFFICIENTS")
        own = OwnBases(*(native_array(hdus[name].data) for name in names))
    coefficients = native_array(hdus["COEFFICIENTS"].data["COEFFICIENTS"])
    return SelfReference(hats, coefficients, components.coefficients, others, own)


def _input_table(reduction: Reduction) -> fits.BinTableHDU:
    """Return each input's name and SHA-256."""
    inputs = reduction.meta.get("inputs", [])
    columns = {"NAME": [to_ascii(i["name"]) for i in inputs] or [""], "SHA256": [i["sha256"] for i in inputs] or [""]}
    return fits.BinTableHDU(Table(columns), name="INPUTS")


def _status(reduction: Reduction) -> IntArray:
    """Return what each science pixel did, as bits: 1 masked, 2 outside the region, 4 declared missing, 8 not judged."""
    choice = reduction.choice
    status = np.where(reduction.science.mask, MASKED, 0) + np.where(choice.region, 0, OUTSIDE)
    status += np.where(choice.imputed, IMPUTED, 0) + np.where(choice.scale_region, 0, NOT_JUDGED)
    return status.astype(np.uint8)


def read_reduction(path: Any) -> Reduction:
    """Read a reduction; the science data are its residuals plus its models, so those outside the region are gone."""
    hdus = open_fits(path)
    missing = [name for name in EXTENSIONS if name not in hdus]
    if missing:
        msg = f"{path}: not a reduction (it has no extension {missing[0]})"
        raise FormatError(msg)
    table = hdus["COEFFICIENTS"].data
    status = native_array(hdus["STATUS"].data)
    residuals, models = native_array(hdus["RESIDUALS"].data), native_array(hdus["MODELS"].data)
    components = components_from(hdus, path)
    return Reduction(
        combined=native_array(hdus["COMBINED"].data),
        combined_uncertainty=native_array(hdus["COMBINED_ERR"].data),
        coverage=native_array(hdus["COVERAGE"].data),
        residuals=residuals,
        models=models,
        coefficients=native_array(table["COEFFICIENTS"]),
        covariances=native_array(table["COVARIANCE"]),
        scale_factors=native_array(table["SCALE"]),
        scale_factor_errors=native_array(table["SCALE_ERR"]),
        components=components,
        science=_science(hdus, residuals + models, status, path),
        choice=Choice(
            region=(status[0] & OUTSIDE) == 0,
            imputed=(status & IMPUTED) > 0,
            scale_region=(status[0] & NOT_JUDGED) == 0,
            zones=native_array(hdus["ZONES"].data) if "ZONES" in hdus else None,
        ),
        meta=json_from(hdus["META"]),
        self_reference=_self_reference_from(hdus, components),
    )


def _science(hdus: fits.HDUList, data: FloatArray, status: IntArray, path: Any) -> Frames:
    """Return the science frames as far as the file has them."""
    header, table = hdus["RESIDUALS"].header, hdus["COEFFICIENTS"].data
    geometry = Geometry(
        center=(header["CRPIX1"] - 1, header["CRPIX2"] - 1),
        pixel_scale=header.get("PIXSCALE"),
        angles=table["ANGLE"] if "ANGLE" in table.names else None,
        parity=header["PARITY"],
    )
    sigma = native_array(hdus["SCIENCE_ERR"].data) if "SCIENCE_ERR" in hdus else None
    mask = ((status & MASKED) > 0) | ~np.isfinite(data)
    return Frames(
        data,
        sigma,
        mask,
        geometry=geometry,
        unit=unit_of(header, path),
        names=[from_ascii(str(name)) for name in table["NAME"]],
    )


registry.register_reader("fits", Reduction, read_reduction)
registry.register_writer("fits", Reduction, write_reduction)
registry.register_identifier("fits", Reduction, identify_fits)
