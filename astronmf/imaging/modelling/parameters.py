"""The parameters of a fit in words and numbers: what is best, in what unit, and how well it is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from astropy.table import QTable

from astronmf._typing import FloatArray
from astronmf.imaging.modelling.callable_model import CallableModel
from astronmf.imaging.modelling.fit_result import TemplateFit
from astronmf.imaging.modelling.likelihood import Likelihood
from astronmf.imaging.modelling.sampling import Posterior

__all__ = ["UNITS", "noise_factor_of", "noise_factors", "parameter_table"]

LENGTHS = (
    "radius",
    "inner_width",
    "outer_width",
    "offset_along",
    "offset_across",
    "height",
    "separation",
    "break_radius",
    "core",
    "offset",
)

#: What parameters are measured in, by their names; those that are not here have no unit.
UNITS = {"inclination": "deg", "position_angle": "deg"} | dict.fromkeys(LENGTHS, "pix")


def noise_factors(fit: TemplateFit) -> dict[str, float]:
    """Return by how much errors are larger than stated, as a calibration found, for each source.

    1 without a calibration, and for a source that it says nothing about.
    """
    if fit.calibration is None:
        return dict.fromkeys(fit.names, 1.0)
    found = zip(fit.names, fit.calibration.noise_factor, strict=True)
    return {name: float(factor) if np.isfinite(factor) and factor > 0 else 1.0 for name, factor in found}


def noise_factor_of(fit: TemplateFit, sources: Iterable[str]) -> float:
    """Return the largest of some sources' `noise_factors`: for `Likelihood.noise_factor`, one number for all of them.

    What is sampled with it has widths that are upper limits for the sources of smaller factors.
    """
    factors = noise_factors(fit)
    known = [factors[name] for name in sources]
    return max(known, default=1.0)


def parameter_table(
    likelihood: Likelihood,
    best: FloatArray,
    posterior: Posterior | None = None,
    *,
    noise_factors: Mapping[str, float] | None = None,
) -> QTable:
    """Return a row for each free parameter.

    Parameters
    ----------
    likelihood : Likelihood
    best : (d,) array
        The best parameters.
    posterior : Posterior, optional
        Their samples.
    noise_factors : mapping of str to float, optional
        By how much errors are larger than the likelihood says, for each source; those of `noise_factors` go with a
        likelihood of ``noise_factor`` 1.

    Returns
    -------
    QTable
        ``name``, ``value``, ``error`` (of `Likelihood.covariance`, times the factor of the parameter's own source),
        ``unit`` ("pix", "deg", or "" for a number without one or of an unknown one), ``low`` and ``high`` of the range;
        of samples ``median``, ``lower`` and ``upper`` (68.3 %); where the pixel scale is known ``arcsec`` and
        ``arcsec_error``, NaN for what is no length.
    """
    low, high = np.array(list(likelihood.bounds.values()), dtype=np.float64).T
    factors = [(noise_factors or {}).get(name.partition(".")[0], 1.0) for name in likelihood.names]
    errors = np.sqrt(np.diag(likelihood.covariance(best))) * factors
    units = [_unit(likelihood.sources, name) for name in likelihood.names]
    table = QTable({"name": likelihood.names, "value": best, "error": errors, "unit": units, "low": low, "high": high})
    if posterior is not None:
        found = posterior.table()[: len(likelihood.names)]
        for name in ("median", "lower", "upper"):
            table[name] = np.asarray(found[name])
    scale = likelihood.observer.geometry.pixel_scale
    if scale is not None:
        scales = np.where(np.array(units) == "pix", scale, np.nan)
        table["arcsec"], table["arcsec_error"] = best * scales, errors * scales
    return table


def _unit(sources: Mapping[str, Any], name: str) -> str:
    """Return what a parameter is measured in; only its author knows that of a function's."""
    source, _, parameter = name.partition(".")
    return "" if isinstance(sources[source], CallableModel) else UNITS.get(parameter, "")
