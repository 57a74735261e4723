"""What a signal-to-noise ratio is worth when few resolution elements say what the noise is.

Close to the star there are only a few resolution elements at a separation. Their scatter is itself uncertain, so that
the ratio of a signal to it has a Student-t distribution instead of a Gaussian one (Mawet et al. 2014, ApJ 792, 97).

Numbers of sigma here are Gaussian equivalents: those of the Gaussian deviation that noise exceeds as often.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special, stats

from astronmf._typing import FloatArray, IntArray
from astronmf._validation import as_real_array, check_number, fail

__all__ = ["detection_threshold", "penalty", "resolution_elements", "significance", "threshold", "two_sample_snr"]

POLISHING_STEPS = 3

LARGEST_SIGMA = 30.0  # beyond this the t quantile of few degrees of freedom leaves double precision
SMALLEST_PROBABILITY = 1e-290


def resolution_elements(separation: Any, fwhm: float) -> Any:
    """Return how many circles of one FWHM fit side by side at a separation.

    Their middles are at the separation from the star and one FWHM apart:

        n = floor(π / arcsin(FWHM / 2r)),

    which tends to the circumference in FWHM, ``2πr / FWHM``.

    Parameters
    ----------
    separation : float or array
        r, in pixels.
    fwhm : float
        In pixels.

    Returns
    -------
    int or array of int
        0 below half a FWHM, where none fits.
    """
    r = np.abs(as_real_array("separation", separation).astype(np.float64))
    size = check_number("fwhm", fwhm, np.nextafter(0, 1))
    fits = r >= size / 2
    half = np.arcsin(np.divide(size / 2, r, out=np.ones_like(r), where=fits))
    count: IntArray = np.where(fits, np.floor(np.pi / half + 1e-9), 0.0).astype(int)
    return count[()]


def two_sample_snr(signal: Any, mean: Any, deviation: Any, n_test: Any) -> Any:
    """Return the signal-to-noise ratio of the two-sample t test with one value in the first sample.

        S/N = (x₁ − x̄₂) / (s₂ √(1 + 1/n₂))        (Mawet et al. 2014, equation 9)

    Parameters
    ----------
    signal : float or array
        x₁, the flux in the aperture that is tested.
    mean, deviation : float or array
        x̄₂ and s₂ of the fluxes in the test apertures; s₂ with n₂ − 1 in its denominator.
    n_test : int or array
        n₂, the number of test apertures.

    Returns
    -------
    float or array
        NaN where fewer than two test apertures leave s₂ unknown, or s₂ is 0.
    """
    x, m, s, n = np.broadcast_arrays(
        *(np.asarray(part, dtype=np.float64) for part in (signal, mean, deviation, n_test))
    )
    known = (n >= 2) & (s > 0)
    noise = np.where(known, s * np.sqrt(1 + 1 / np.maximum(n, 1)), np.nan)
    return ((x - m) / noise)[()]


def significance(snr: Any, n_test: Any) -> Any:
    """Return the Gaussian deviation that noise exceeds as often as it exceeds an S/N of a two-sample t test.

        Φ(−σ) = P(t > S/N),    t of n₂ − 1 degrees of freedom

    Parameters
    ----------
    snr : float or array
        Of `two_sample_snr`.
    n_test : int or array
        n₂, the number of test apertures.

    Returns
    -------
    float or array
        In sigma, of the sign of `snr`; NaN where it is NaN or there are fewer than two test apertures. Finite and
        rising however far out: tail probabilities are taken as logarithms where they would underflow.
    """
    t, n = np.broadcast_arrays(*(np.asarray(part, dtype=np.float64) for part in (snr, n_test)))
    known = np.isfinite(t) & (n >= 2)
    out = np.full(t.shape, np.nan)
    size = np.abs(t[known])
    out[known] = np.copysign(-special.ndtri_exp(_log_tail(size, n[known] - 1.0)), t[known])
    return out[()]


def threshold(sigma: Any, n_test: Any) -> Any:
    """Return the S/N of a two-sample t test that noise exceeds as often as a Gaussian exceeds `sigma`.

    The reverse of `significance`. The flux that goes with it is ``threshold · s₂ √(1 + 1/n₂)`` above the mean of the
    test apertures (Mawet et al. 2014, equation 10).

    Parameters
    ----------
    sigma : float or array
        Of a Gaussian, −30 to 30.
    n_test : int or array
        n₂, the number of test apertures.

    Returns
    -------
    float or array
        NaN where there are fewer than two test apertures.
    """
    wanted, n = np.broadcast_arrays(*(np.asarray(part, dtype=np.float64) for part in (sigma, n_test)))
    if not (np.abs(wanted) <= LARGEST_SIGMA).all():
        raise fail("sigma", f"numbers in [{-LARGEST_SIGMA:g}, {LARGEST_SIGMA:g}]", sigma)
    known = n >= 2
    out = np.full(wanted.shape, np.nan)
    probability, degrees = stats.norm.logsf(np.abs(wanted[known])), n[known] - 1.0
    size = _polished(stats.t.isf(np.exp(probability), degrees), probability, degrees)
    out[known] = np.copysign(size, wanted[known])
    return out[()]


def _polished(t: FloatArray, wanted: FloatArray, degrees: FloatArray) -> FloatArray:
    """Return values of t nearer to a tail of a wanted log-probability: Newton's steps in ``log t``.

    What inverts the distribution is off by orders of magnitude in the farthest tails, by versions of SciPy.
    """
    for _ in range(POLISHING_STEPS):
        tail = _log_tail(t, degrees)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = (tail - wanted) / (t * np.exp(stats.t.logpdf(t, degrees) - tail))
        t = t * np.exp(np.where(np.isfinite(step), step, 0.0))
    return t


def detection_threshold(sigma: float, separation: Any, fwhm: float) -> Any:
    """Return how far above the mean of its separation a source must be, in units of the scatter there.

        τ = t⁻¹(Φ(−σ); n₂ − 1) · √(1 + 1/n₂)        (Mawet et al. 2014, equation 10)

    with n₂ one less than the number of `resolution_elements`: one holds the source.

    Parameters
    ----------
    sigma : float
        Of a Gaussian: 5 stands for a false positive probability of 2.9e-7 in each resolution element.
    separation : float or array
        Pixels.
    fwhm : float
        Pixels.

    Returns
    -------
    float or array
        Times the scatter of aperture fluxes, this is the least flux that counts as a detection. NaN where fewer than
        three resolution elements fit.
    """
    n_test = np.asarray(resolution_elements(separation, fwhm)) - 1
    return (threshold(sigma, n_test) * np.sqrt(1 + 1 / np.maximum(n_test, 1)))[()]


def penalty(sigma: float, separation: Any, fwhm: float) -> Any:
    """Return by what factor small samples raise the threshold: `detection_threshold` over `sigma`."""
    return detection_threshold(check_number("sigma", sigma, np.nextafter(0, 1)), separation, fwhm) / sigma


def _log_tail(t: FloatArray, degrees: FloatArray) -> FloatArray:
    """Return ``log P(T > t)`` for t ≥ 0 and a Student-t variable T.

    Where the probability leaves double precision, its logarithm is that of the incomplete beta function

        P = I_z(a, ½) / 2 = zᵃ √(1 − z) ₂F₁(a + ½, 1; a + 1; z) / (2 a B(a, ½)),    a = ν/2, z = ν / (ν + t²)
    """
    probability = stats.t.sf(t, degrees)
    far = probability < SMALLEST_PROBABILITY
    out = np.log(np.where(far, 1.0, probability))
    a = degrees[far] / 2
    log_z = -2 * np.log(np.hypot(1.0, t[far] / np.sqrt(degrees[far])))
    z = np.exp(log_z)
    series = np.log(special.hyp2f1(a + 0.5, 1.0, a + 1.0, z))
    out[far] = a * log_z + 0.5 * np.log1p(-z) + series - np.log(2 * a) - special.betaln(a, 0.5)
    return np.asarray(out)
