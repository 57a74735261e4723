"""What the engine returns: frozen, in the caller's units, observations first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from astronmf._typing import BoolArray, FloatArray, IntArray
from astronmf.core.parallel import map_blocks
from astronmf.core.problem import Problem

__all__ = ["Factorization", "Projection", "Stage"]

# Below this share a component's pixel is more than thirty times as noisy as where all observations see it.
SMALLEST_SHARE = 1e-3


@dataclass(frozen=True)
class Stage:
    """The best factorization found with a given number of components.

    Attributes
    ----------
    n_components : int
    coefficients : (n, k) array
        They carry the flux; NaN for an observation without a valid value.
    components : (k, p) array
        Non-negative, of unit L2 norm over their valid pixels; NaN where no observation that carries the component
        is valid.
    chi2 : float
        ``Σ V (X − C B)²`` over the valid values.
    fractional_residual_variance : float
        χ² over ``Σ V (X − x̄)²``, with ``x̄`` each pixel's weighted mean (Ren+ 2018).
    iterations : int
        On all pixels; those on a sample of the pixels, if there was one, are not counted.
    kkt : float
        What steps along single coordinates could still remove of χ², as a fraction of χ²; 0 at a stationary point.
    converged : bool
        Whether both the last relative change of χ² and `kkt` are below the tolerance.
    seconds : float
        Wall-clock time of the stage.
    chi2_trace : tuple of float
        χ² after each iteration; it never rises.
    seconds_trace : tuple of float
        Seconds from the stage's beginning to each value of `chi2_trace`.
    """

    n_components: int
    coefficients: FloatArray
    components: FloatArray
    chi2: float
    fractional_residual_variance: float
    iterations: int
    kkt: float
    converged: bool
    seconds: float
    chi2_trace: tuple[float, ...]
    seconds_trace: tuple[float, ...]


@dataclass(frozen=True)
class Factorization:
    """The stages of a sequential build, or the single stage of a joint one.

    Attributes
    ----------
    stages : tuple of Stage
        With a growing number of components; the last is the result.
    n_valid : int
        How many values took part.
    observed : (n,) array of bool
        Observations that have a valid value.
    supported : (p,) array of bool
        Pixels that have a valid value.
    """

    stages: tuple[Stage, ...]
    n_valid: int
    observed: BoolArray
    supported: BoolArray

    @property
    def last(self) -> Stage:
        """The stage with the most components."""
        return self.stages[-1]

    def degrees_of_freedom(self, stage: Stage) -> int:
        """Return ``N_valid − k (n + p − k)``: a rank-k product has that many free numbers."""
        n, p = int(self.observed.sum()), int(self.supported.sum())
        return self.n_valid - stage.n_components * (n + p - stage.n_components)

    def reduced_chi2(self, stage: Stage) -> float:
        """Return χ² over the degrees of freedom, NaN where there are none left."""
        freedom = self.degrees_of_freedom(stage)
        return stage.chi2 / freedom if freedom > 0 else float("nan")


@dataclass(frozen=True)
class Projection:
    """Observations modelled with fixed components.

    Attributes
    ----------
    coefficients : (m, k) array
        The exact non-negative least-squares solution; NaN for an observation without a valid value.
    covariance : (m, k, k) array
        Of the coefficients on the active set (those above 0), ``(B_A V B_Aᵀ)⁻¹``; 0 for the others. It is a
        covariance if the weights are ``1/σ²``.
    chi2 : (m,) array
    n_valid : (m,) array of int
    """

    coefficients: FloatArray
    covariance: FloatArray
    chi2: FloatArray
    n_valid: IntArray

    @property
    def active(self) -> BoolArray:
        """Which coefficients are above 0: (m, k) bool."""
        return np.asarray(self.coefficients > 0)


def in_callers_units(
    problem: Problem, coefficients: FloatArray, components: FloatArray, unknown: BoolArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Undo the problem's scaling and normalise: (k, n), (k, p) to (n, k), (k, p) with unit-norm components.

    A component that is zero everywhere stays zero, with zero coefficients. Observations without a valid value become
    NaN, and so do the `unknown` pixels of a component, (k, p) bool; by default those that are `undetermined`.
    """
    if unknown is None:
        unknown = undetermined(problem, coefficients)
    pixels = components / problem.column_scale
    pixels[unknown] = 0.0
    norm = np.sqrt(np.einsum("ij,ij->i", pixels, pixels))
    safe = np.where(norm > 0, norm, 1.0)
    flux = coefficients.astype(np.float64).T / problem.row_scale[:, None] * norm
    pixels /= safe[:, None]
    pixels[unknown] = np.nan
    flux[~problem.observed] = np.nan
    return flux.astype(problem.dtype), pixels.astype(problem.dtype, copy=False)


def undetermined(problem: Problem, coefficients: FloatArray) -> BoolArray:
    """Return the pixels at which the data say nothing of a component: (k, p) bool.

    Those without a valid value; and those where the observations that carry the component are all missing, so that
    what was found there is 0 or noise over almost 0. The measure is the share of the component's squared coefficients
    that belongs to observations that see the pixel.

    Parameters
    ----------
    problem
    coefficients : (k, n) array
    """
    power = coefficients.astype(np.float64) ** 2
    total = power.sum(axis=1, keepdims=True)
    out = np.empty((coefficients.shape[0], problem.shape[1]), dtype=bool)

    def of_block(block: slice) -> None:
        seen = power @ (problem.weights_in(block) > 0)
        out[:, block] = (seen < SMALLEST_SHARE * total) & (total > 0)

    map_blocks(of_block, problem.blocks())
    out |= ~problem.supported
    return out


def in_problem_units(
    problem: Problem, coefficients: FloatArray, components: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return a caller's (n, k), (k, p) factors as scaled, component-first copies; NaN becomes 0."""
    flux = np.nan_to_num(coefficients.astype(np.float64)) * problem.row_scale[:, None]
    pixels = np.nan_to_num(components.astype(np.float64)) * problem.column_scale
    return np.ascontiguousarray(flux.T, dtype=problem.dtype), np.ascontiguousarray(pixels, dtype=problem.dtype)
