"""Calibration in position angle: what the same template finds where nothing is.

A template's formal error knows the errors of the data. What a star differs by from the components is correlated over
many pixels, and a template collects it: as a bias that is common to all position angles (light at the same distance
from the star), and as a scatter from one angle to the next. Both are measured with the template turned about the star.

Let ``T_0`` be the template and ``T_1 … T_m`` the same turned to m other angles. Fitted together with their mean
``R = (T_0 + … + T_m)/(m + 1)``, of free sign, ``T_0`` keeps the amplitude by which it stands out of the common light:
the calibrated amplitude. (With an amplitude for each of ``T_1 … T_m`` instead the result is the same where they do not
overlap; where they do, their differences are hardly determined, and their noise ends in the amplitude.) Then the source
is taken off, and each turned template is fitted in the place of ``T_0``: the null amplitudes. Their squares over what
formal errors predict for them give the factor that the formal error grows by; as there are few of them, and fewer that
are independent, the error is widened to hold 68.3 % of Student's t distribution.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special  # not scipy.stats, which takes as long to import as all of this package

from astronmf._typing import BoolArray, FloatArray
from astronmf.imaging.modelling.covariance import inverse_of_known

__all__ = ["AngleCalibration", "calibrate", "calibration_angles"]

ONE_SIGMA = float(special.ndtr(1.0))
LARGEST_INFLATION = 100.0  # of a variance by the common light: a template with more hardly changes when it is turned


@dataclass(frozen=True, eq=False)
class AngleCalibration:
    """What t templates found at m other angles.

    Attributes
    ----------
    angles : (m,) array
        Degrees by which the templates were turned, east of north.
    amplitudes : (t,) array
        Bias taken off; NaN for a template that hardly changes when it is turned.
    covariance : (t, t) array
        With the noise that the nulls show.
    raw, raw_errors : (t,) arrays
        Of the fit without calibration, of free sign.
    null_amplitudes : (t, m) array
        At the other angles, source and common light taken off; NaN where the turned template sees nothing.
    noise_factor : (t,) array
        By how much the null amplitudes scatter more than formal errors say.
    degrees_of_freedom : (t,) array
        How many independent nulls that is. A ring that is nearly face-on has hardly any.
    """

    angles: FloatArray
    amplitudes: FloatArray
    covariance: FloatArray
    raw: FloatArray
    raw_errors: FloatArray
    null_amplitudes: FloatArray
    noise_factor: FloatArray
    degrees_of_freedom: FloatArray

    @property
    def bias(self) -> FloatArray:
        """What was taken off the amplitudes: (t,)."""
        return self.raw - self.amplitudes

    @property
    def errors(self) -> FloatArray:
        """1σ of the amplitudes: (t,)."""
        return np.sqrt(np.diag(self.covariance))


def calibration_angles(n_angles: int) -> FloatArray:
    """Return by how many degrees templates are turned: equal parts of the circle, without the template's own place.

    An odd number of parts keeps point-symmetric templates from meeting themselves after half a turn.
    """
    parts = n_angles + 1 + n_angles % 2
    return np.asarray(np.arange(1, n_angles + 1) * (360.0 / parts))


def calibrate(curvature: FloatArray, gradient: FloatArray, known: BoolArray, angles: FloatArray) -> AngleCalibration:
    """Return calibrated amplitudes.

    Parameters
    ----------
    curvature : (t (m + 1), t (m + 1)) array
        Inverse covariance of the amplitudes of all templates at all angles, the star eliminated; each template is
        followed by itself at the m other angles.
    gradient : (t (m + 1),) array
        Curvature times the best amplitudes.
    known : (t,) array of bool
        Templates that star components cannot stand for. Those that depend on each other are fitted together.
    angles : (m,) array
    """
    t, m = len(known), len(angles)
    first = np.arange(t) * (m + 1)
    columns = np.zeros((len(gradient), 2 * t))
    columns[first, np.arange(t)] = 1.0
    for j in range(t):
        columns[first[j] : first[j] + m + 1, t + j] = 1.0 / (m + 1)
    usable = np.tile(known, 2)
    inverse, found = inverse_of_known(columns.T @ curvature @ columns, usable)
    rows = inverse[:t] @ columns.T  # the amplitudes as a linear map of the gradient
    amplitudes = rows @ gradient
    raw, raw_known = inverse_of_known(curvature[np.ix_(first, first)], known)
    found[:t] &= np.diag(inverse)[:t] <= LARGEST_INFLATION * np.diag(raw)
    left = gradient - curvature[:, first] @ amplitudes
    without = np.eye(len(gradient)) - curvature[:, first] @ rows
    nulls, factor, freedom = np.full((t, m), np.nan), np.full(t, np.nan), np.full(t, np.nan)
    for j in np.flatnonzero(found[:t]).tolist():
        maps = _null_maps(curvature, columns, usable, j, first[j] + 1 + np.arange(m))
        seen = np.isfinite(maps[:, 0])
        nulls[j] = maps @ left
        moved = maps[seen] @ without
        spread = moved @ curvature @ moved.T
        trace = float(np.trace(spread))
        if seen.any() and trace > 0:
            factor[j] = np.sqrt(np.sum(nulls[j, seen] ** 2) / trace)
            freedom[j] = trace**2 / float(np.sum(spread**2))
    widened = factor * special.stdtrit(freedom, ONE_SIGMA)
    unknown = np.where(raw_known, 0.0, np.nan)
    return AngleCalibration(
        angles=angles,
        amplitudes=np.where(found[:t], amplitudes, np.nan),
        covariance=inverse[:t, :t] * widened[:, None] * widened,
        raw=raw @ gradient[first] + unknown,
        raw_errors=np.sqrt(np.diag(raw)) + unknown,
        null_amplitudes=nulls,
        noise_factor=factor,
        degrees_of_freedom=freedom,
    )


def _null_maps(
    curvature: FloatArray, columns: FloatArray, usable: BoolArray, template: int, places: FloatArray
) -> FloatArray:
    """Return the linear map from the gradient to a template's amplitude at each place, NaN where nothing is seen."""
    maps = np.full((len(places), len(curvature)), np.nan)
    for row, place in zip(maps, places, strict=True):
        design = columns.copy()
        design[:, template] = 0.0
        design[place, template] = 1.0
        inverse, found = inverse_of_known(design.T @ curvature @ design, usable)
        if found[template]:
            row[:] = inverse[template] @ design.T
    return maps
