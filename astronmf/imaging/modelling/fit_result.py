"""`TemplateFit`: what a joint fit of star and templates found."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

import astropy.units as u
import numpy as np
from astropy.table import QTable

from astronmf._formats import Stored
from astronmf._typing import FloatArray
from astronmf.imaging.geometry import Geometry
from astronmf.imaging.modelling.calibration import AngleCalibration
from astronmf.imaging.modelling.on_sky import OnSky, about
from astronmf.imaging.modelling.reduced import Reduced

__all__ = ["TemplateFit"]

BLANK: FloatArray = np.full((0, 0), np.nan)


@dataclass(frozen=True, eq=False)
class TemplateFit(OnSky, Stored):
    """Amplitudes of t templates in n frames, and what is left.

    Attributes
    ----------
    names : tuple of str
    amplitudes : (t,) array
        What each template is multiplied with: a flux for sources of unit flux. Calibrated, if that was asked for. NaN
        where `status` says that nothing determines it.
    covariance : (t, t) array
        Of the amplitudes, star and all templates fitted together; for a non-negative amplitude that is 0 as well, as
        if it were free.
    status : tuple of str
        "determined"; "at bound": 0, and it would be negative if it were free; "unconstrained": the template has no
        light where there are data; "degenerate": it cannot be told from the star or from other templates;
        "uncalibrated": it hardly changes when it is turned about the star, so that a calibration in position angle says
        nothing.
    chi2 : float
        ``Σ V (data − star − templates)²``, V with the systematic error in it.
    n_valid, n_parameters : int
        Values, and amplitudes and positive coefficients.
    condition_number : float
        Of the templates, the star eliminated; see `condition_number`.
    variance_inflation : (t,) array
        By how much star and other templates raise each variance; 1 is not at all. As for `condition_number`, that is
        with the components that are there without the templates, if more of these are at 0 with them: a template that
        is much like a component can take its place, and `covariance` then knows nothing of what it was before.
    covered : (t,) array
        The share of each template's squared light that is where there are data.
    coefficients : (groups, k) array
        Of the star's components in each frame, or its scale factors; NaN where no data say anything.
    coefficient_covariances : (groups, k, k) array
    star, residuals : (n, y, x) arrays
        In the detector's orientation; NaN outside the region, residuals also where data are missing. With `light`, the
        templates, they add up to the data.
    templates : (t, n, y, x) array
        In the detector's orientation, of amplitude 1.
    fitted : (t,) array
        The amplitudes in `residuals`; as `amplitudes`, but for those that are NaN there.
    calibration : AngleCalibration or None
    settings
        How the fit was made.
    combined, model, residual : (y, x) arrays
        North up: data less star, the templates, and the difference of the two.
    combined_uncertainty : (y, x) array
        1σ of single pixels of `combined`.
    unit : astropy unit or None
        Of the images.
    geometry : Geometry or None
        Of the frames.
    parameters : QTable or None
        Parameters of the templates that were fitted before, one a row: ``name``, ``value``, and more that is known.
    meta : dict
        What was observed; ``parameters`` of the fit, ``reduction`` (its own meta), ``inputs``, and the version.
    """

    names: tuple[str, ...]
    amplitudes: FloatArray
    covariance: FloatArray
    status: tuple[str, ...]
    chi2: float
    n_valid: int
    n_parameters: int
    condition_number: float
    variance_inflation: FloatArray
    covered: FloatArray
    coefficients: FloatArray
    coefficient_covariances: FloatArray
    star: FloatArray
    residuals: FloatArray
    templates: FloatArray
    fitted: FloatArray
    calibration: AngleCalibration | None = None
    settings: Any = None
    combined: FloatArray = field(default_factory=lambda: BLANK)
    combined_uncertainty: FloatArray = field(default_factory=lambda: BLANK)
    model: FloatArray = field(default_factory=lambda: BLANK)
    residual: FloatArray = field(default_factory=lambda: BLANK)
    unit: u.UnitBase | None = None
    geometry: Geometry | None = None
    parameters: QTable | None = None
    meta: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Return a line that says what was found."""
        found = ", ".join(
            f"{name} {value:.5g} ± {error:.2g}"
            for name, value, error in zip(self.names, self.amplitudes, self.errors, strict=True)
        )
        return f"<TemplateFit: {found}; χ²/dof {self.reduced_chi2:.4g}>"

    @property
    def errors(self) -> FloatArray:
        """1σ of each amplitude: (t,)."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def reduced_chi2(self) -> float:
        """χ² over the number of values less parameters."""
        return self.chi2 / max(self.n_valid - self.n_parameters, 1)

    @property
    def scale_factors(self) -> FloatArray | None:
        """The star's scale factors, (groups, k), where those were fitted instead of coefficients."""
        return None if self._has_components else self.coefficients

    @property
    def scale_factor_errors(self) -> FloatArray | None:
        """1σ of `scale_factors`."""
        if self._has_components:
            return None
        return np.sqrt(np.diagonal(self.coefficient_covariances, axis1=1, axis2=2))

    @property
    def _has_components(self) -> bool:
        return self.settings is None or self.settings.star == "components"

    @property
    def fluxes(self) -> FloatArray:
        """The light of each template in a frame, summed over its pixels, in `unit`: (t,)."""
        return np.asarray(self.amplitudes * self._totals)

    @property
    def _totals(self) -> FloatArray:
        """The sum of each template of amplitude 1, in the frame that shows most of it: (t,)."""
        return np.asarray(self.templates.sum(axis=(2, 3)).max(axis=1))

    def _density(self, fluxes: FloatArray) -> u.Quantity | None:
        """Return fluxes in mJy; `None` where the unit is no surface brightness, or the pixel scale is not known."""
        if self.unit is None or self.pixel_scale is None or not self.unit.is_equivalent(u.Jy / u.sr):
            return None
        return (fluxes * self.unit * (self.pixel_scale * u.arcsec) ** 2).to(u.mJy)

    def light(self) -> FloatArray:
        """Return the templates with their amplitudes, added up, in each frame: (n, y, x)."""
        return np.asarray(np.einsum("t,tnyx->nyx", self.fitted, self.templates))

    def table(self) -> QTable:
        """Return a row for each template: name, amplitude and error, status, and what the calibration says.

        ``flux`` and ``flux_error`` are those of the template's light in a frame, the sum over its pixels, through the
        transmission map and convolved; ``flux_density`` and its error the same in mJy, where the unit is a surface
        brightness and the pixel scale is known.
        """
        table = QTable({"name": list(self.names), "amplitude": self.amplitudes, "error": self.errors})
        table["snr"] = np.divide(self.amplitudes, self.errors, out=np.full(len(table), np.nan), where=self.errors > 0)
        table["status"] = list(self.status)
        for name, values in (("flux", self.fluxes), ("flux_error", self.errors * self._totals)):
            table[name] = values if self.unit is None else values * self.unit * u.pix
            density = self._density(values)
            if density is not None:
                table[name.replace("flux", "flux_density")] = density
        table["variance_inflation"], table["covered"] = self.variance_inflation, self.covered
        if self.calibration is not None:
            table["raw_amplitude"], table["raw_error"] = self.calibration.raw, self.calibration.raw_errors
            table["bias"] = self.calibration.bias
            table["noise_factor"] = self.calibration.noise_factor
            table["degrees_of_freedom"] = self.calibration.degrees_of_freedom
        table.meta |= {
            "chi2": self.chi2,
            "n_valid": self.n_valid,
            "reduced_chi2": self.reduced_chi2,
            "condition_number": self.condition_number,
        }
        return table

    def with_images(self, reduction: Reduced) -> TemplateFit:
        """Return the same with the frames combined, north up, as those of the reduction were."""
        residual = reduction.combine_frames(self.residuals)
        shown = np.where(np.isfinite(self.residuals), self.light(), np.nan)
        model = reduction.combine_frames(shown).image
        return replace(
            self,
            combined=residual.image + model,
            combined_uncertainty=residual.uncertainty,
            model=model,
            residual=residual.image,
            unit=reduction.unit,
            geometry=reduction.science.geometry,
            meta=about(reduction) | {"parameters": self._parameters(), "names": list(reduction.science.names)},
        )

    def _parameters(self) -> dict[str, Any]:
        """Return how the fit was made, an array in words."""
        known = {one.name: getattr(self.settings, one.name) for one in fields(self.settings)} if self.settings else {}
        return {name: f"array of shape {np.shape(value)}" if np.ndim(value) else value for name, value in known.items()}
