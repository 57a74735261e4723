import helpers
import numpy as np
import pytest
from scipy.optimize import nnls

from astronmf import SequentialNMF
from astronmf.core.problem import Problem
from astronmf.core.projection import project, unpack_gram
from astronmf.core.uncertainty import active_set_covariance, model_variance


def smooth_components(k, p):
    """Return overlapping bumps of unit norm: (k, p)."""
    pixels = np.arange(p)
    bumps = np.exp(-0.5 * ((pixels - p * (np.arange(k)[:, None] + 0.5) / k) / (0.35 * p / k)) ** 2) + 0.05
    return bumps / np.linalg.norm(bumps, axis=1, keepdims=True)


@pytest.fixture(params=["general", "separable"])
def observed(request):
    """Return data, weights, mask and components; about a third of the coefficients end at 0."""
    rng = np.random.default_rng(31)
    components = smooth_components(4, 50)
    coefficients = np.maximum(rng.normal(1, 2, (25, 4)), 0)
    weights = rng.uniform(0.5, 20, (25, 1)) * rng.uniform(0.5, 2, (1, 50))
    mask = rng.random((25, 50)) < 0.1
    if request.param == "general":
        weights = weights * rng.uniform(0.5, 2, (25, 50))
    else:
        mask[0] = False
    X = coefficients @ components + rng.normal(size=(25, 50)) / np.sqrt(weights)
    return X, weights, mask, components


def test_the_projection_is_scipys_row_by_row(observed):
    X, weights, mask, components = observed
    root = np.sqrt(np.where(mask, 0.0, weights))
    expected = np.array([nnls((r * components).T, r * x)[0] for r, x in zip(root, X, strict=True)])
    found = project(Problem.from_arrays(X, weights, mask), components)
    np.testing.assert_allclose(found.coefficients, expected, rtol=1e-10, atol=1e-12)
    assert 0.1 < (~found.active).mean() < 0.6
    np.testing.assert_array_equal(found.active, expected > 0)


def test_transform_is_the_projection_on_the_fitted_components(noisy):
    fit = SequentialNMF(3).fit(*noisy.inputs)
    fresh = helpers.simulate(8, 60, 3, seed=32)
    root = np.sqrt(fresh.valid_weights)
    expected = [nnls((r * fit.components_).T, r * x)[0] for r, x in zip(root, fresh.X, strict=True)]
    np.testing.assert_allclose(fit.transform(*fresh.inputs), expected, rtol=1e-9, atol=1e-12)


def test_transform_of_the_fitted_data_lowers_chi2_no_further(noisy):
    fit = SequentialNMF(3, tol=1e-9).fit(*noisy.inputs)
    assert fit.project(*noisy.inputs).chi2.sum() == pytest.approx(fit.chi2_, rel=1e-8)


def test_chi2_and_the_number_of_values_are_counted_for_each_observation(observed):
    X, weights, mask, components = observed
    found = project(Problem.from_arrays(X, weights, mask), components)
    residual = X - found.coefficients @ components
    np.testing.assert_allclose(found.chi2, np.sum(np.where(mask, 0, weights) * residual**2, axis=1), rtol=1e-10)
    np.testing.assert_array_equal(found.n_valid, (~mask).sum(axis=1))


def test_one_component_keeps_its_axes(observed):
    X, weights, mask, components = observed
    found = project(Problem.from_arrays(X[:1], weights[:1], mask[:1]), components[:1])
    assert found.coefficients.shape == (1, 1)
    assert found.covariance.shape == (1, 1, 1)


def test_the_covariance_is_the_inverse_of_the_active_curvature_and_zero_elsewhere(observed):
    X, weights, mask, components = observed
    found = project(Problem.from_arrays(X, weights, mask), components)
    for covariance, active, V in zip(found.covariance, found.active, np.where(mask, 0, weights), strict=True):
        B = components[active]
        chosen = np.ix_(active, active)
        np.testing.assert_allclose(covariance[chosen], np.linalg.inv((B * V) @ B.T), rtol=1e-9)
        assert not covariance[~active].any()
        assert not covariance[:, ~active].any()


def test_coefficients_and_models_scatter_as_their_covariance_says():
    rng = np.random.default_rng(33)
    components = smooth_components(3, 40)
    truth, weights = np.array([5.0, 8.0, 6.0]), rng.uniform(4, 60, 40)
    X = truth @ components + rng.normal(size=(4000, 40)) / np.sqrt(weights)
    found = project(Problem.from_arrays(X, np.broadcast_to(weights, X.shape)), components)
    assert found.active.all()
    predicted, scatter = found.covariance[0], np.cov(found.coefficients.T)
    np.testing.assert_allclose(scatter, predicted, atol=0.06 * predicted.max())
    np.testing.assert_allclose(found.coefficients.mean(axis=0), truth, atol=5 * np.sqrt(predicted.max() / 4000))
    variances = np.var(found.coefficients @ components, axis=0)
    np.testing.assert_allclose(model_variance(components, predicted), variances, rtol=0.12)


def test_an_observation_without_a_valid_value_has_nan_coefficients_and_moves_no_other(observed):
    X, weights, mask, components = observed
    hidden = mask.copy()
    hidden[4] = True
    found, usual = (project(Problem.from_arrays(X, weights, m), components) for m in (hidden, mask))
    others = np.arange(25) != 4
    assert np.isnan(found.coefficients[4]).all()
    assert found.n_valid[4] == 0
    np.testing.assert_allclose(found.coefficients[others], usual.coefficients[others], rtol=1e-12)


def test_pixels_that_the_components_do_not_cover_take_no_part(observed):
    X, weights, mask, components = observed
    hole = np.arange(50) < 6
    punched, masked = np.where(hole, np.nan, components), mask | hole
    problem = Problem.from_arrays(np.where(hole, 1e30, X), weights, masked)
    filled = project(Problem.from_arrays(X, weights, masked), components)
    helpers.assert_same_fields(project(problem, punched), filled)


@pytest.mark.parametrize("cosine", [1.0, 1 - 1e-15])
def test_dependent_active_components_have_no_finite_covariance(cosine):
    gram = np.array([[[4.0, 6 * cosine], [6 * cosine, 9.0]]])
    found = active_set_covariance(gram, np.ones((1, 2), dtype=bool))
    assert np.isnan(found).all()


def test_a_component_that_is_zero_everywhere_gets_no_flux_and_no_variance(observed):
    X, weights, mask, components = observed
    components = np.vstack([components, np.zeros(50)])
    found = project(Problem.from_arrays(X, weights, mask), components)
    assert not found.coefficients[:, 4].any()
    assert not found.covariance[:, 4].any()


def test_the_models_variance_is_its_formula():
    rng = np.random.default_rng(34)
    components, root = rng.random((3, 4, 5)), rng.normal(size=(3, 3))
    covariance = root @ root.T
    expected = np.einsum("ayx,ab,byx->yx", components, covariance, components)
    np.testing.assert_allclose(model_variance(components, covariance), expected, rtol=1e-12)


def test_packed_triangles_unpack_to_symmetric_matrices():
    full = unpack_gram(np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]), 2)
    np.testing.assert_array_equal(full, [[[1, 2], [2, 3]], [[10, 20], [20, 30]]])
