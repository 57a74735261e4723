import helpers
import numpy as np
import pytest

from astronmf import SequentialNMF
from astronmf.core.problem import Problem
from astronmf.core.rank import (
    bayesian_information,
    held_out_blocks,
    held_out_chi2,
    principal_component_curve,
    total_variance,
)


def weighted_mean(X, weights):
    return np.sum(weights * X, axis=0) / np.sum(weights, axis=0)


@pytest.fixture(params=["uniform", "separable", "general"])
def weights(request):
    """Return weights of each structure, (20, 60)."""
    rng = np.random.default_rng(51)
    return {
        "uniform": np.full((20, 60), 1.0),
        "separable": rng.uniform(1, 9, (20, 1)) * rng.uniform(1, 9, 60),
        "general": rng.uniform(1, 9, (20, 60)),
    }[request.param]


@pytest.fixture(params=[0.0, 0.1], ids=["complete", "gaps"])
def valid_weights(request, weights):
    """Return the same weights with 0 where a value is missing; the first observation has them all."""
    missing = np.random.default_rng(52).random(weights.shape) < request.param
    missing[0] = False
    return np.where(missing, 0.0, weights)


def test_the_total_variance_is_its_formula(noisy, valid_weights, monkeypatch):
    helpers.use_small_blocks(monkeypatch, 7)
    problem = Problem.from_arrays(noisy.X, valid_weights)
    direct = np.sum(valid_weights * (noisy.X - weighted_mean(noisy.X, valid_weights)) ** 2)
    assert total_variance(problem) * problem.chi2_unit == pytest.approx(direct, rel=1e-10)


def test_the_fractional_residual_variance_is_its_formula(noisy, valid_weights):
    fit = SequentialNMF(3).fit(noisy.X, valid_weights)
    total = np.sum(valid_weights * (noisy.X - weighted_mean(noisy.X, valid_weights)) ** 2)
    direct = [
        helpers.direct_chi2(noisy.X, valid_weights, stage.coefficients, stage.components) / total
        for stage in fit.factorization_.stages
    ]
    np.testing.assert_allclose(fit.fractional_residual_variance_, direct, rtol=1e-9)
    assert (np.diff(direct) < 0).all()


def test_the_principal_component_curve_is_that_of_a_singular_value_decomposition(noisy, valid_weights):
    whitened = np.sqrt(valid_weights) * (noisy.X - weighted_mean(noisy.X, valid_weights))
    variances = np.linalg.svd(whitened, compute_uv=False) ** 2
    found = principal_component_curve(Problem.from_arrays(noisy.X, valid_weights), 6)
    np.testing.assert_allclose(found, (1 - np.cumsum(variances) / variances.sum())[:6], rtol=1e-9)


def test_the_principal_component_curve_ends_at_zero(noisy):
    curve = principal_component_curve(Problem.from_arrays(noisy.X), 20)
    assert curve.shape == (20,)
    assert (np.diff(curve) <= 0).all()
    assert curve[-1] == pytest.approx(0, abs=1e-12)


def test_the_bayesian_information_is_its_formula(noisy):
    factorization = SequentialNMF(3).fit(*noisy.inputs).factorization_
    size = int((~noisy.mask).sum())
    direct = [s.chi2 + k * (20 + 60 - k) * np.log(size) for k, s in enumerate(factorization.stages, start=1)]
    np.testing.assert_allclose(bayesian_information(factorization), direct, rtol=1e-12)


def test_the_bayesian_information_is_least_at_the_true_rank():
    data = helpers.simulate(40, 200, 3, seed=53)
    assert np.argmin(bayesian_information(SequentialNMF(5).fit(*data.inputs).factorization_)) == 2


# Holding out


@pytest.mark.parametrize("shape", [(5, 31), (4, 13, 11), (3, 6, 7, 8)])
@pytest.mark.parametrize("size", [1, 4])
def test_what_is_held_out_are_whole_blocks_of_each_observation(shape, size):
    held = held_out_blocks(shape, size, 0.4)
    assert held.shape == shape
    assert held.dtype == bool
    corners = held[(slice(None), *(slice(None, None, size) for _ in shape[1:]))]
    for axis in range(1, len(shape)):
        corners = np.repeat(corners, size, axis=axis)
    np.testing.assert_array_equal(held, corners[tuple(slice(length) for length in shape)])


@pytest.mark.parametrize("fraction", [0.05, 0.3])
def test_the_fraction_of_blocks_held_out_is_the_one_asked_for(fraction):
    assert held_out_blocks((40, 80, 80), 2, fraction).mean() == pytest.approx(fraction, rel=0.05)


def test_what_is_held_out_depends_on_the_seed_and_on_nothing_else():
    one, again, other = (held_out_blocks((9, 30), 3, 0.3, random_state=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_the_held_out_chi2_is_the_mean_over_valid_values_held_out(noisy):
    held = held_out_blocks((20, 60), 3, 0.2)
    factorization = SequentialNMF(3).fit(noisy.X, noisy.weights, noisy.mask | held).factorization_
    X = np.where(np.random.default_rng(54).random(noisy.X.shape) < 0.05, np.nan, noisy.X)
    usable = held & ~noisy.mask & np.isfinite(X)
    direct = [
        np.mean((noisy.weights * (X - stage.coefficients @ stage.components) ** 2)[usable])
        for stage in factorization.stages
    ]
    np.testing.assert_allclose(held_out_chi2(X, noisy.valid_weights, held, factorization), direct, rtol=1e-10)


def test_the_held_out_chi2_is_least_at_the_true_rank_and_near_one():
    data = helpers.simulate(60, 300, 3, seed=55)
    held = held_out_blocks(data.X.shape, 1, 0.1)
    factorization = SequentialNMF(5).fit(data.X, data.weights, data.mask | held).factorization_
    scores = held_out_chi2(data.X, data.valid_weights, held, factorization)
    assert np.argmin(scores) == 2
    assert scores[2] == pytest.approx(1.0, abs=0.15)


def test_values_that_a_component_says_nothing_of_do_not_make_the_held_out_chi2_nan():
    X, held, _, _ = helpers.two_groups()
    held[8, 12] = True
    factorization = SequentialNMF(2, tol=1e-9, max_iter=5000).fit(X, mask=held).factorization_
    assert np.isnan(factorization.last.components).any()
    assert np.isfinite(held_out_chi2(X, np.ones_like(X), held, factorization)).all()
