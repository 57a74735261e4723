"""Fits of templates to FITS and back (``format="fits"``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits, registry
from astropy.table import QTable

from astronmf.exceptions import FormatError
from astronmf.imaging.modelling.calibration import AngleCalibration
from astronmf.imaging.modelling.fit import Settings
from astronmf.imaging.modelling.fit_result import TemplateFit
from astronmf.imaging.modelling.sampling import Posterior
from astronmf.io.files import (
    identify_fits,
    json_from,
    json_hdu,
    native_array,
    open_fits,
    table_hdu,
    to_ascii,
    write_fits,
)
from astronmf.io.modelling import (
    checked_extensions,
    frame_geometry,
    frame_table,
    image_hdus,
    input_table,
    names_from,
    optional_image,
    primary_hdu,
)

__all__ = ["EXTENSIONS", "check_chain", "read_fit", "write_fit"]

HDF5 = b"\x89HDF\r\n\x1a\n"

EXTENSIONS = ("COMBINED", "MODEL", "RESIDUAL", "FRAME_RESIDUALS", "TEMPLATES", "AMPLITUDES", "COVARIANCE", "META")


def write_fit(fit: TemplateFit, path: Any, *, overwrite: bool = False, posterior: Posterior | None = None) -> None:
    """Write COMBINED (data less star), COMBINED_ERR, MODEL, RESIDUAL, the frames, and the tables.

    Parameters
    ----------
    fit : TemplateFit
    path
    overwrite
        Whether a file that is there may be replaced.
    posterior : Posterior, optional
        Its samples, without the burn-in, become the table SAMPLES.
    """
    north_up = {
        "COMBINED": fit.combined,
        "COMBINED_ERR": fit.combined_uncertainty,
        "MODEL": fit.model,
        "RESIDUAL": fit.residual,
    }
    frames = {"FRAME_RESIDUALS": fit.residuals, "FRAME_STAR": fit.star, "TEMPLATES": fit.templates}
    cards = {
        "NTEMPL": (len(fit.names), "templates"),
        "NFRAMES": (len(fit.residuals), "science frames"),
        "CHI2": (fit.chi2, "of all fitted values"),
        "NVALID": (fit.n_valid, "fitted values"),
        "NPARAM": (fit.n_parameters, "amplitudes and positive coefficients"),
    }
    if np.isfinite(fit.condition_number):
        cards["CONDNUM"] = (fit.condition_number, "condition number of the templates")
    hdus = [
        primary_hdu(fit, "template fit", **cards),
        *image_hdus(fit, fit.unit, north_up, frames),
        table_hdu(_amplitude_columns(fit), "AMPLITUDES"),
        fits.ImageHDU(fit.covariance, name="COVARIANCE"),
        frame_table(fit, len(fit.residuals), "FRAMES"),
        fits.ImageHDU(fit.coefficients, name="COEFFICIENTS"),
        fits.ImageHDU(fit.coefficient_covariances, name="COEFFICIENT_COV"),
        *_null_hdus(fit),
        *_parameter_hdus(fit, posterior),
        json_hdu(fit.meta, "META"),
        input_table(fit),
    ]
    write_fits(hdus, path, overwrite=overwrite)


def _amplitude_columns(fit: TemplateFit) -> dict[str, Any]:
    """Return a row for each template."""
    columns: dict[str, Any] = {
        "NAME": [to_ascii(name) for name in fit.names],
        "AMPLITUDE": fit.amplitudes,
        "ERROR": fit.errors,
        "STATUS": list(fit.status),
        "VARIANCE_INFLATION": fit.variance_inflation,
        "COVERED": fit.covered,
        "FLUX": fit.fluxes,
        "FITTED": fit.fitted,
    }
    found = fit.calibration
    if found is None:
        return columns
    return columns | {
        "RAW_AMPLITUDE": found.raw,
        "RAW_ERROR": found.raw_errors,
        "BIAS": found.bias,
        "NOISE_FACTOR": found.noise_factor,
        "DEGREES_OF_FREEDOM": found.degrees_of_freedom,
    }


def _null_hdus(fit: TemplateFit) -> list[Any]:
    """Return what the templates found at other angles: a row for each angle, a value for each template."""
    found = fit.calibration
    if found is None:
        return []
    hdu = table_hdu({"ANGLE": found.angles, "AMPLITUDE": np.ascontiguousarray(found.null_amplitudes.T)}, "NULLS")
    hdu.header["COMMENT"] = "AMPLITUDE: one for each row of AMPLITUDES"
    calibrated = {"AMPLITUDE": found.amplitudes, "COVARIANCE": found.covariance}
    return [hdu, table_hdu(calibrated, "CALIBRATED")]


def _parameter_hdus(fit: TemplateFit, posterior: Posterior | None) -> list[Any]:
    """Return the parameters that were fitted, and their samples."""
    hdus = []
    if fit.parameters is not None:
        table = {name.upper(): np.asarray(fit.parameters[name]) for name in fit.parameters.colnames}
        hdus.append(table_hdu(table | {"NAME": [to_ascii(str(name)) for name in table["NAME"]]}, "PARAMETERS"))
    if posterior is not None:
        samples = posterior.flat()
        named = {to_ascii(name): samples[:, i] for i, name in enumerate(posterior.columns)}
        hdus.append(table_hdu(named, "SAMPLES"))
    return hdus


def read_fit(path: Any) -> TemplateFit:
    """Read a fit.

    Raises
    ------
    FormatError
        If the file is none.
    """
    hdus = open_fits(path)
    unit = checked_extensions(hdus, EXTENSIONS, "a fit of templates", path)
    header, table, meta = hdus[0].header, hdus["AMPLITUDES"].data, json_from(hdus["META"])
    images = {name: native_array(hdus[name].data) for name in EXTENSIONS[:5]}
    return TemplateFit(
        names=tuple(names_from(table["NAME"])),
        amplitudes=native_array(table["AMPLITUDE"]),
        covariance=native_array(hdus["COVARIANCE"].data),
        status=tuple(map(str, table["STATUS"])),
        chi2=float(header["CHI2"]),
        n_valid=int(header["NVALID"]),
        n_parameters=int(header["NPARAM"]),
        condition_number=float(header.get("CONDNUM", np.inf)),
        variance_inflation=native_array(table["VARIANCE_INFLATION"]),
        covered=native_array(table["COVERED"]),
        coefficients=native_array(hdus["COEFFICIENTS"].data),
        coefficient_covariances=native_array(hdus["COEFFICIENT_COV"].data),
        star=native_array(hdus["FRAME_STAR"].data),
        residuals=images["FRAME_RESIDUALS"],
        templates=images["TEMPLATES"],
        fitted=native_array(table["FITTED"]),
        calibration=_calibration(hdus),
        settings=Settings(**meta["parameters"]) if meta.get("parameters") else None,
        combined=images["COMBINED"],
        combined_uncertainty=optional_image(hdus, "COMBINED_ERR"),
        model=images["MODEL"],
        residual=images["RESIDUAL"],
        unit=unit,
        geometry=frame_geometry(hdus["FRAME_RESIDUALS"].header, hdus["FRAMES"].data),
        parameters=_parameters(hdus),
        meta=meta,
    )


def _calibration(hdus: fits.HDUList) -> AngleCalibration | None:
    """Return what `_null_hdus` wrote."""
    if "NULLS" not in hdus:
        return None
    nulls, each, found = hdus["NULLS"].data, hdus["AMPLITUDES"].data, hdus["CALIBRATED"].data
    return AngleCalibration(
        angles=native_array(nulls["ANGLE"]),
        amplitudes=native_array(found["AMPLITUDE"]),
        covariance=native_array(found["COVARIANCE"]),
        raw=native_array(each["RAW_AMPLITUDE"]),
        raw_errors=native_array(each["RAW_ERROR"]),
        null_amplitudes=native_array(nulls["AMPLITUDE"]).T,
        noise_factor=native_array(each["NOISE_FACTOR"]),
        degrees_of_freedom=native_array(each["DEGREES_OF_FREEDOM"]),
    )


def _parameters(hdus: fits.HDUList) -> QTable | None:
    """Return the parameters that were fitted."""
    if "PARAMETERS" not in hdus:
        return None
    data = hdus["PARAMETERS"].data
    table = QTable({name.lower(): native_array(data[name]) for name in data.names if name != "NAME"})
    table.add_column(names_from(data["NAME"]), name="name", index=0)
    return table


def check_chain(path: Any) -> None:
    """Raise if a file that is there is no HDF5 file, in which a chain could be.

    Raises
    ------
    FormatError
        If it is none.
    """
    where = Path(path)
    if not where.exists():
        return
    with where.open("rb") as file:
        if file.read(len(HDF5)) != HDF5:
            msg = f"{where}: not an HDF5 file, and so no chain to go on with"
            raise FormatError(msg)


registry.register_reader("fits", TemplateFit, read_fit)
registry.register_writer("fits", TemplateFit, write_fit)
registry.register_identifier("fits", TemplateFit, identify_fits)
