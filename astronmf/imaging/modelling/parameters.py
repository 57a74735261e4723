"""The parameters of a fit in words and numbers: what is best, and how well it is known."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from astropy.table import QTable

from astronmf._typing import FloatArray
from astronmf.imaging.modelling.fit_result import TemplateFit
from astronmf.imaging.modelling.likelihood import Likelihood
from astronmf.imaging.modelling.sampling import Posterior

__all__ = ["noise_factor_of", "parameter_table"]


def noise_factor_of(fit: TemplateFit, sources: Iterable[str]) -> float:
    """Return by how much errors are larger than stated: the largest that a calibration found, of some sources.

    1 without a calibration.
    """
    if fit.calibration is None:
        return 1.0
    factors = [fit.calibration.noise_factor[fit.names.index(name)] for name in sources]
    known = [float(factor) for factor in factors if np.isfinite(factor) and factor > 0]
    return max(known, default=1.0)


def parameter_table(likelihood: Likelihood, best: FloatArray, posterior: Posterior | None = None) -> QTable:
    """Return a row for each free parameter: name, best value, its error, range, and of samples median and 68.3 %.

    The error is that of `Likelihood.covariance`.
    """
    low, high = np.array(list(likelihood.bounds.values()), dtype=np.float64).T
    errors = np.sqrt(np.diag(likelihood.covariance(best)))
    table = QTable({"name": likelihood.names, "value": best, "error": errors, "low": low, "high": high})
    if posterior is not None:
        found = posterior.table()[: len(likelihood.names)]
        for name in ("median", "lower", "upper"):
            table[name] = np.asarray(found[name])
    return table
