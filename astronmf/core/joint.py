"""Observations' own coefficients and amplitudes that all of them share, fitted together.

    min over C ≥ 0, a of   χ² = Σ_i Σ V_i (x_i − c_i B_i − a T_i)²

with the templates T, whose amplitudes a are common to all observations and non-negative where that is asked for. Given
a, each observation's coefficients are a small non-negative least-squares problem of their own. So χ² is a function of a
alone, convex, with a continuous gradient, and quadratic wherever the observations' active sets stay as they are: there
the coefficients can be eliminated (Schur complement), and the minimum of the piece is one small solution away. Such
steps, shortened where χ² would rise, end at the minimum as soon as a step changes no active set.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from astronmf._typing import BoolArray, FloatArray
from astronmf.core.uncertainty import active_set_covariance
from astronmf.kernels.nnls import active_set

__all__ = ["JointSolution", "JointSystem", "coefficients_at", "solve_joint", "star_covariance"]

MOST_STEPS = 50
MOST_SHORTER = 40
SMALLEST_GAIN = 1e-18  # of the data's own χ²: what a last step brings
ROUNDING = 1e-13  # of the data's own χ²
LARGEST_SLOPE = 0.5  # at the end of a step, of the slope that it begins with
SMALLEST_LEFT = 1e-12  # of a template's curvature: with less outside the star's components it is not told from them


@dataclass(frozen=True)
class JointSystem:
    """The normal equations of n observations of k components and t shared templates.

    Attributes
    ----------
    gram : (n, k, k) array
        ``B_i V_i B_iᵀ``.
    right : (n, k) array
        ``B_i V_i x_i``.
    cross : (n, k, t) array
        ``B_i V_i T_iᵀ``.
    template_gram : (t, t) array
        ``Σ_i T_i V_i T_iᵀ``.
    template_right : (t,) array
        ``Σ_i T_i V_i x_i``.
    square : float
        ``Σ_i Σ V_i x_i²``.
    """

    gram: FloatArray
    right: FloatArray
    cross: FloatArray
    template_gram: FloatArray
    template_right: FloatArray
    square: float


@dataclass(frozen=True)
class JointSolution:
    """The minimum.

    Attributes
    ----------
    amplitudes : (t,) array
    coefficients : (n, k) array
    curvature : (t, t) array
        Half the second derivative of χ² by the amplitudes, the coefficients following on their active sets: the
        inverse of the amplitudes' covariance.
    gradient : (t,) array
        The curvature times the amplitudes at which χ² would be least, of free sign, if no active set changed.
    chi2 : float
    converged : bool
    """

    amplitudes: FloatArray
    coefficients: FloatArray
    curvature: FloatArray
    gradient: FloatArray
    chi2: float
    converged: bool = True


def solve_joint(system: JointSystem, free: BoolArray, start: FloatArray | None = None) -> JointSolution:
    """Return the minimum of χ².

    Where templates depend on each other or on the star's components it is one of many.

    Parameters
    ----------
    system
    free : (t,) array of bool
        Amplitudes that may be negative.
    start : (t,) array, optional
        Amplitudes to start from; 0 by default.
    """
    packed = _packed(system)
    first = np.zeros(len(free)) if start is None else start
    amplitudes = np.where(free, first, np.maximum(first, 0.0))
    here = _piece(system, packed, amplitudes)
    for _ in range(MOST_STEPS):
        move = _minimum(system, here, free, amplitudes) - amplitudes
        if not -here.slope(amplitudes, move) > SMALLEST_GAIN * system.square:
            return _solution(amplitudes, here, converged=here.solved)
        step, there = _lower(system, packed, amplitudes, move, here)
        settled = step == 1.0 and np.array_equal(here.active, there.active)
        amplitudes, here = amplitudes + step * move, there
        if settled:
            return _solution(amplitudes, here, converged=here.solved)
    return _solution(amplitudes, here, converged=False)


def _lower(
    system: JointSystem, packed: FloatArray, amplitudes: FloatArray, move: FloatArray, here: _Piece
) -> tuple[float, _Piece]:
    """Return the part of a move that lowers χ², and the piece at its end.

    χ² is convex: as long as it still falls at the end, it has fallen all the way. Where it rises again there, the least
    along the move is looked for by Newton's steps within the bounds that are known by then.
    """
    begin, low, high, step = here.slope(amplitudes, move), 0.0, 1.0, 1.0
    for _ in range(MOST_SHORTER):
        there = _piece(system, packed, amplitudes + step * move)
        end = there.slope(amplitudes + step * move, move)
        gained = end <= 0 or there.chi2 <= here.chi2 + ROUNDING * system.square
        if (step == 1.0 and end <= 0) or (gained and abs(end) <= LARGEST_SLOPE * -begin):
            break
        low, high = (low, step) if end > 0 else (step, high)
        bend = float(2 * move @ there.curvature @ move)
        nearer = step - end / bend if bend > 0 else low
        step = nearer if low < nearer < high else (low + high) / 2
    return step, there


def coefficients_at(system: JointSystem, amplitudes: FloatArray) -> JointSolution:
    """Return the best coefficients for amplitudes that are given."""
    return _solution(amplitudes, _piece(system, _packed(system), amplitudes))


def star_covariance(system: JointSystem, solution: JointSolution, covariance: FloatArray) -> FloatArray:
    """Return the covariance of each observation's coefficients, the amplitudes' errors included: (n, k, k).

    Parameters
    ----------
    system, solution
    covariance : (t, t) array
        Of the amplitudes.
    """
    active = solution.coefficients > 0
    own = active_set_covariance(system.gram, active)
    follows = own @ system.cross
    return np.asarray(own + follows @ covariance @ np.swapaxes(follows, 1, 2))


def _packed(system: JointSystem) -> FloatArray:
    """Return the observations' Gram matrices as the kernels take them: (k (k + 1) / 2, n)."""
    rows, columns = np.tril_indices(system.gram.shape[1])
    return np.ascontiguousarray(system.gram[:, rows, columns].T)


@dataclass(frozen=True)
class _Piece:
    """The quadratic that χ² is near some amplitudes: ``aᵀ curvature a − 2 gradientᵀ a``, up to a constant."""

    coefficients: FloatArray
    active: BoolArray
    curvature: FloatArray
    gradient: FloatArray
    chi2: float
    solved: bool

    def slope(self, amplitudes: FloatArray, move: FloatArray) -> float:
        """Return the derivative of χ² along a move, at amplitudes in the piece."""
        return float(2 * move @ (self.curvature @ amplitudes - self.gradient))


def _solution(amplitudes: FloatArray, piece: _Piece, *, converged: bool = True) -> JointSolution:
    return JointSolution(
        amplitudes, piece.coefficients, piece.curvature, piece.gradient, piece.chi2, converged=converged
    )


def _piece(system: JointSystem, packed: FloatArray, amplitudes: FloatArray) -> _Piece:
    """Solve for the coefficients at given amplitudes, and eliminate them."""
    n, k, t = system.cross.shape
    right = system.right - system.cross @ amplitudes
    solution, solved = np.zeros((k, n)), np.zeros(n, dtype=bool)
    active_set(packed, np.ascontiguousarray(right.T), solution, solved)
    coefficients = solution.T
    active = coefficients > 0
    both = np.concatenate([system.cross, system.right[:, :, None]], axis=2) * active[:, :, None]
    followed = _eliminated(system.gram, active, both)
    left = np.einsum("nkt,nks->ts", both[:, :, :t], followed)
    chi2 = (
        system.square
        - np.sum(coefficients * right)
        - 2 * amplitudes @ system.template_right
        + amplitudes @ system.template_gram @ amplitudes
    )
    curvature, gradient = system.template_gram - left[:, :t], system.template_right - left[:, t]
    return _Piece(coefficients, active, curvature, gradient, max(float(chi2), 0.0), bool(solved.all()))


def _eliminated(gram: FloatArray, active: BoolArray, right: FloatArray) -> FloatArray:
    """Return ``G_A⁻¹ right`` of each observation, 0 off its active set; rows scaled so that rounding has one unit."""
    k = gram.shape[1]
    diagonal = np.arange(k)
    size = gram[:, diagonal, diagonal]
    scale = np.where(active, 1.0 / np.sqrt(np.where(active, size, 1.0)), 0.0)
    unit = gram * scale[:, :, None] * scale[:, None, :]
    unit[:, diagonal, diagonal] = 1.0
    return np.asarray(np.linalg.solve(unit, right * scale[:, :, None]) * scale[:, :, None])


def _minimum(system: JointSystem, piece: _Piece, free: BoolArray, now: FloatArray) -> FloatArray:
    """Return the minimum of a quadratic over amplitudes that are at least 0 where they are not free.

    Those of templates that cannot be told from the star's components stay as they are.
    """
    left = np.diag(piece.curvature)
    known = left > SMALLEST_LEFT * np.diag(system.template_gram)
    scale = np.where(known, 1.0 / np.sqrt(np.where(known, left, 1.0)), 0.0)
    curvature = piece.curvature * scale[:, None] * scale
    gradient = (piece.gradient - piece.curvature @ np.where(known, 0.0, now)) * scale
    out, bound = np.zeros(len(free)), ~free
    inverse = np.linalg.pinv(curvature[np.ix_(free, free)], rcond=1e-13, hermitian=True)
    shared = curvature[np.ix_(bound, free)] @ inverse
    if bound.any():
        gram = curvature[np.ix_(bound, bound)] - shared @ curvature[np.ix_(free, bound)]
        right = gradient[bound] - shared @ gradient[free]
        solution, solved = np.zeros((len(right), 1)), np.zeros(1, dtype=bool)
        active_set(gram[np.tril_indices(len(right))][:, None].copy(), right[:, None].copy(), solution, solved)
        out[bound] = solution[:, 0]
    out[free] = inverse @ (gradient[free] - curvature[np.ix_(free, bound)] @ out[bound])
    return np.where(known, out * scale, now)
