"""Coefficients of each observation and shared amplitudes, against one dense non-negative least-squares problem."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from astronmf.core.joint import JointSystem, coefficients_at, solve_joint, star_covariance


@dataclass(frozen=True)
class Dense:
    """Data (n, p), weights (n, p), components of each observation (n, k, p), templates (t, n, p), and free signs."""

    data: np.ndarray
    weights: np.ndarray
    bases: np.ndarray
    templates: np.ndarray
    free: np.ndarray

    @property
    def system(self):
        """The normal equations, one sum at a time."""
        weighted = self.weights * self.data
        return JointSystem(
            gram=np.array([(b * v) @ b.T for b, v in zip(self.bases, self.weights, strict=True)]),
            right=np.array([b @ w for b, w in zip(self.bases, weighted, strict=True)]),
            cross=np.array(
                [
                    (b * v) @ self.templates[:, i].T
                    for i, (b, v) in enumerate(zip(self.bases, self.weights, strict=True))
                ]
            ),
            template_gram=np.einsum("anp,np,bnp->ab", self.templates, self.weights, self.templates),
            template_right=np.einsum("anp,np->a", self.templates, weighted),
            square=float(np.sum(weighted * self.data)),
        )

    @property
    def stacked(self):
        """All of it as one matrix of (n k + t) weighted columns, and the weighted data."""
        n, k, p = self.bases.shape
        columns = np.zeros((n * k + len(self.templates), n, p))
        for i in range(n):
            columns[i * k : (i + 1) * k, i] = self.bases[i]
        columns[n * k :] = self.templates
        root = np.sqrt(self.weights)
        return (columns * root).reshape(len(columns), -1), (root * self.data).ravel()

    def oracle(self):
        """Return coefficients, amplitudes and χ² of the dense problem; columns of free sign come twice."""
        columns, data = self.stacked
        size = np.linalg.norm(columns, axis=1)
        size[size == 0] = 1.0
        unit = columns / size[:, None]
        signed = np.concatenate([unit, -unit[len(unit) - len(self.free) :][self.free]])
        found, left = nnls(signed.T, data, maxiter=100 * len(signed))
        x = found[: len(unit)]
        x[len(unit) - len(self.free) + np.flatnonzero(self.free)] -= found[len(unit) :]
        n, k, _ = self.bases.shape
        return (x / size)[: n * k].reshape(n, k), (x / size)[n * k :], left**2

    def chi2(self, coefficients, amplitudes):
        """Return χ², by its definition."""
        model = np.einsum("nk,nkp->np", coefficients, self.bases) + np.einsum("t,tnp->np", amplitudes, self.templates)
        return float(np.sum(self.weights * (self.data - model) ** 2))

    def gradients(self, solution):
        """Return half the derivatives of −χ² by the coefficients and by the amplitudes."""
        model = np.einsum("nk,nkp->np", solution.coefficients, self.bases)
        left = self.weights * (self.data - model - np.einsum("t,tnp->np", solution.amplitudes, self.templates))
        return np.einsum("nkp,np->nk", self.bases, left), np.einsum("tnp,np->t", self.templates, left)


@st.composite
def problems(draw, depend=False):
    """Draw a problem; with `depend`, some templates are sums of others or of components, or 0."""
    n, k, t = draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    p = 25
    bases = rng.gamma(1.0, 1.0, (n, k, p))
    if draw(st.booleans()):
        bases[:] = bases[0]
    templates = rng.normal(0.3, 1.0, (t, n, p)) * 10.0 ** rng.integers(-3, 4, (t, 1, 1))
    if depend:
        kind = draw(st.sampled_from(["zero", "component", "equal"]))
        templates[-1] = {"zero": 0 * templates[-1], "component": bases[:, 0], "equal": 2 * templates[0]}[kind]
    truth = np.maximum(rng.normal(1.0, 1.5, (n, k)), 0.0)
    amplitudes = rng.normal(0.5, 1.0, t) / np.maximum(np.abs(templates).max(axis=(1, 2)), 1e-3)
    noise = draw(st.sampled_from([0.0, 0.3, 3.0]))
    data = np.einsum("nk,nkp->np", truth, bases) + np.einsum("t,tnp->np", amplitudes, templates)
    data = data + noise * rng.normal(size=data.shape)
    weights = rng.uniform(0.2, 5.0, (n, p)) * (rng.random((n, p)) < draw(st.sampled_from([1.0, 0.7])))
    if draw(st.booleans()):
        weights[-1] = 0.0
    return Dense(data, weights, bases, templates, rng.random(t) < 0.5)


def same_up_to_rounding(found, expected, scale):
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-11 * scale)


@settings(max_examples=150)
@given(problems())
def test_the_joint_minimum_is_that_of_the_dense_problem(problem):
    system = problem.system
    found = solve_joint(system, problem.free)
    coefficients, amplitudes, chi2 = problem.oracle()
    assert found.converged
    same_up_to_rounding(problem.chi2(found.coefficients, found.amplitudes), chi2, system.square)
    same_up_to_rounding(found.chi2, chi2, system.square)
    determined = np.diag(found.curvature) > 1e-6 * np.diag(system.template_gram)
    if determined.all() and np.linalg.cond(_unit(found.curvature)) < 1e4:
        size = 1e-6 * np.sqrt(system.square / np.maximum(np.diag(system.template_gram), 1e-300))
        np.testing.assert_array_less(np.abs(found.amplitudes - amplitudes), size + 1e-300)
        seen = problem.weights.any(axis=1)
        np.testing.assert_allclose(found.coefficients[seen], coefficients[seen], rtol=1e-5, atol=1e-5)


def _unit(curvature):
    scale = 1 / np.sqrt(np.diag(curvature))
    return curvature * scale[:, None] * scale


@settings(max_examples=100)
@given(problems(depend=True))
def test_chi2_is_the_least_also_where_templates_depend_on_each_other_or_on_the_components(problem):
    system = problem.system
    found = solve_joint(system, problem.free)
    same_up_to_rounding(problem.chi2(found.coefficients, found.amplitudes), problem.oracle()[2], system.square)
    assert np.isfinite(found.amplitudes).all()
    assert (found.amplitudes[~problem.free] >= 0).all()


@given(problems())
def test_at_the_minimum_no_step_that_is_allowed_lowers_chi2(problem):
    system = problem.system
    found = solve_joint(system, problem.free)
    by_coefficient, by_amplitude = problem.gradients(found)
    own = 1e-8 * np.sqrt(np.maximum(np.diagonal(system.gram, axis1=1, axis2=2), 1e-30) * system.square)
    shared = 1e-8 * np.sqrt(np.diag(system.template_gram) * system.square)
    assert (by_coefficient <= own).all()
    assert (np.abs(by_coefficient) <= own)[found.coefficients > 0].all()
    assert (by_amplitude <= shared).all()
    assert (np.abs(by_amplitude) <= shared)[problem.free | (found.amplitudes > 0)].all()
    assert (found.coefficients >= 0).all()
    assert (found.amplitudes >= 0)[~problem.free].all()


@given(problems(), st.integers(0, 99))
def test_the_start_changes_nothing_and_is_never_better_than_the_end(problem, seed):
    system, rng = problem.system, np.random.default_rng(seed)
    reference = solve_joint(system, problem.free)
    scale = np.sqrt(system.square / np.maximum(np.diag(system.template_gram), 1e-300))
    start = rng.normal(size=len(scale)) * scale
    start = np.where(problem.free, start, np.abs(start))
    kept = start.copy()
    found = solve_joint(system, problem.free, start)
    np.testing.assert_array_equal(start, kept)
    assert found.chi2 <= coefficients_at(system, start).chi2 + 1e-11 * system.square
    same_up_to_rounding(found.chi2, reference.chi2, system.square)
    determined = np.diag(reference.curvature) > 1e-6 * np.diag(system.template_gram)
    if determined.all() and np.linalg.cond(_unit(reference.curvature)) < 1e4:
        assert (np.abs(found.amplitudes - reference.amplitudes) <= 1e-6 * scale).all()


@given(problems())
def test_covariances_are_blocks_of_the_inverse_of_all_normal_equations_on_the_active_set(problem):
    system = problem.system
    found = solve_joint(system, problem.free)
    columns, _ = problem.stacked
    n, k = found.coefficients.shape
    chosen = np.concatenate([(found.coefficients > 0).ravel(), np.ones(len(problem.free), dtype=bool)])
    size = np.linalg.norm(columns, axis=1)[chosen]
    if (size == 0).any():
        return
    unit = columns[chosen] / size[:, None]
    if np.linalg.cond(unit) > 1e4:
        return
    inverse = np.zeros((len(chosen), len(chosen)))
    inverse[np.ix_(chosen, chosen)] = np.linalg.inv(unit @ unit.T) / size[:, None] / size
    covariance = np.linalg.inv(found.curvature)
    np.testing.assert_allclose(covariance, inverse[n * k :, n * k :], rtol=1e-5, atol=1e-9 * np.abs(covariance).max())
    own = star_covariance(system, found, covariance)
    for i in range(n):
        block = slice(i * k, (i + 1) * k)
        np.testing.assert_allclose(own[i], inverse[block, block], rtol=1e-5, atol=1e-9 * np.abs(inverse).max())


@given(problems())
def test_coefficients_at_given_amplitudes_are_the_best_for_them(problem):
    system = problem.system
    amplitudes = np.arange(1.0, len(problem.free) + 1) * 0.3
    found = coefficients_at(system, amplitudes)
    left = problem.data - np.einsum("t,tnp->np", amplitudes, problem.templates)
    root = np.sqrt(problem.weights)
    expected = [nnls((r * b).T, r * x)[0] for r, b, x in zip(root, problem.bases, left, strict=True)]
    square = float(np.sum(problem.weights * left**2)) + system.square
    same_up_to_rounding(found.chi2, problem.chi2(np.array(expected), amplitudes), square)
    np.testing.assert_array_equal(found.amplitudes, amplitudes)


@given(problems(), st.integers(-6, 6))
def test_the_unit_of_a_template_is_that_of_its_amplitude(problem, power):
    factor = 4.0**power
    scaled = replace(problem, templates=problem.templates * factor)
    one, other = solve_joint(problem.system, problem.free), solve_joint(scaled.system, problem.free)
    np.testing.assert_allclose(other.amplitudes * factor, one.amplitudes, rtol=1e-12)
    np.testing.assert_array_equal(other.coefficients, one.coefficients)


def bright(scale):
    """Return a star of 1e6 sigma a pixel, a faint template that it hides, and another in units of its own."""
    rng = np.random.default_rng(4)
    bases = rng.gamma(1.0, 1.0, (3, 4, 200))
    star = 1e6 * np.einsum("nk,nkp->np", rng.gamma(1.0, 1.0, (3, 4)) * [1, 1, 1, 1e-6], bases)
    templates = rng.normal(size=(2, 3, 200)) * np.array([1.0, scale])[:, None, None]
    data = star + 0.5 * templates[0] + 2.0 / scale * templates[1] + rng.normal(size=star.shape)
    return Dense(data, np.ones(data.shape), bases, templates, np.array([True, True]))


@pytest.mark.parametrize("scale", [1.0, 1e9, 1e-9])
def test_a_faint_template_beside_a_bright_star_is_found_in_any_unit(scale):
    problem = bright(scale)
    found = solve_joint(problem.system, problem.free)
    columns, data = problem.stacked
    size = np.linalg.norm(columns, axis=1)
    expected = np.linalg.lstsq((columns / size[:, None]).T, data, rcond=None)[0] / size
    assert found.converged
    errors = np.sqrt(np.diag(np.linalg.inv(_unit(found.curvature))) / np.diag(found.curvature))
    assert (np.abs(found.amplitudes - expected[-2:]) < 0.3 * errors).all()  # one coefficient may be at its bound
    assert problem.chi2(found.coefficients, found.amplitudes) == pytest.approx(problem.oracle()[2], rel=1e-8)


def test_without_templates_the_coefficients_are_those_of_the_projection():
    problem = bright(1.0)
    bare = replace(problem, templates=problem.templates[:0], free=problem.free[:0])
    found = solve_joint(bare.system, bare.free)
    assert found.converged
    assert found.amplitudes.shape == (0,)
    assert found.curvature.shape == (0, 0)
    np.testing.assert_allclose(found.coefficients, bare.oracle()[0], rtol=1e-6, atol=1e-3)


def test_data_without_any_weight_give_zeros():
    problem = bright(1.0)
    found = solve_joint(replace(problem, weights=np.zeros((3, 200))).system, problem.free)
    np.testing.assert_array_equal(found.amplitudes, 0.0)
    np.testing.assert_array_equal(found.coefficients, 0.0)
    assert (found.chi2, found.converged) == (0.0, True)
