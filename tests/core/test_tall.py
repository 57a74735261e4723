"""A problem of many more observations than pixels is worked on the other way up, and nobody should notice."""

import helpers
import numpy as np
import pytest

from astronmf import NMF, SequentialNMF
from astronmf.core import alternating
from astronmf.core import problem as problem_module
from astronmf.core.alternating import State, chi2, kkt
from astronmf.core.problem import Problem

N, P, K = 90, 30, 3


@pytest.fixture(params=["uniform", "separable", "general"])
def weights(request):
    rng = np.random.default_rng(1)
    rows, columns = rng.uniform(0.2, 5, (N, 1)), rng.uniform(0.2, 5, (1, P))
    return {"uniform": None, "separable": rows * columns, "general": rng.uniform(0.2, 5, (N, P))}[request.param]


@pytest.fixture(params=[0.0, 0.02, 0.4], ids=["complete", "gaps", "many gaps"])
def mask(request):
    excluded = np.random.default_rng(2).random((N, P)) < request.param
    excluded[3] = False
    return excluded


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def problem(request, weights, mask):
    X = np.random.default_rng(3).normal(1, 2, (N, P)).astype(request.param)
    return Problem.from_arrays(X, weights, mask)


def all_weights(problem):
    return np.concatenate([problem.weights_in(block) for block in problem.blocks()], axis=1)


def test_a_problem_the_other_way_up_is_that_of_the_transposed_data(problem, weights, mask):
    assert problem.is_tall
    other = problem.flipped()
    assert other.shape == (P, N)
    assert np.shares_memory(other.weighted, problem.weighted)
    np.testing.assert_array_equal(other.counts, (~mask).sum(axis=0))
    np.testing.assert_array_equal(other.supported, problem.observed)
    np.testing.assert_array_equal(other.observed, problem.supported)
    V = np.concatenate([other.weights_in(block) for block in other.blocks()], axis=1)
    np.testing.assert_array_equal(
        V, np.concatenate([problem.weights_in(block) for block in problem.blocks()], axis=1).T
    )
    assert other.square_sum == pytest.approx(problem.square_sum, rel=1e-6)


def test_factors_mean_the_same_the_other_way_up(problem):
    rng = np.random.default_rng(4)
    factors = rng.random((K, N)).astype(problem.dtype), rng.random((K, P)).astype(problem.dtype)
    state, other = State(*factors, 1.0), State(*factors, 1.0).flipped()
    tolerance = 1e-4 if problem.dtype == np.float32 else 1e-10
    assert chi2(problem.flipped(), *factors[::-1]) == pytest.approx(chi2(problem, *factors), rel=tolerance)
    assert kkt(problem.flipped(), other) == pytest.approx(kkt(problem, state), rel=tolerance)
    upright, flipped = problem.coefficient_system(factors[1]), problem.flipped().component_system
    products = problem_module.pair_products(factors[1])
    turned = [flipped(products, factors[1], block) for block in problem.flipped().blocks()]
    for mine, parts in zip(upright, zip(*turned, strict=True), strict=True):
        theirs = np.concatenate([np.broadcast_to(part, (len(part), N)) for part in parts], axis=1)
        np.testing.assert_allclose(theirs, mine, rtol=tolerance * 10, atol=tolerance)


def both_ways(monkeypatch, make, *data):
    """Return fits of tall data, worked on upright and flipped."""
    flipped = make().fit(*data)
    monkeypatch.setattr(problem_module, "TALL", np.inf)
    return make().fit(*data), flipped


@pytest.mark.parametrize("make", [NMF, SequentialNMF])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_tall_fit_has_the_same_minimum_and_the_same_layout(monkeypatch, make, dtype):
    data = helpers.simulate(400, 40, 2, seed=5, noise=0.05)
    tol = 1e-6 if dtype == np.float32 else 1e-9
    upright, flipped = both_ways(monkeypatch, lambda: make(2, tol=tol, max_iter=5000, dtype=dtype), *data.inputs)
    assert flipped.chi2_ == pytest.approx(upright.chi2_, rel=1e-5)
    assert flipped.coefficients_.shape == (400, 2)
    best = (flipped.components_ @ upright.components_.T).max(axis=1)
    np.testing.assert_allclose(best, 1, atol=1e-2)
    np.testing.assert_allclose(np.linalg.norm(flipped.components_, axis=1), 1, rtol=1e-5)
    trace = flipped.factorization_.last.chi2_trace
    assert (np.diff(trace) <= 0).all()


def test_unseen_observations_and_pixels_are_nan_in_a_tall_fit():
    data = helpers.simulate(200, 30, 2, seed=6)
    X = np.array(data.X)
    X[7], X[:, 11] = np.nan, np.nan
    fit = SequentialNMF(2).fit(X, data.weights, mask=np.isnan(X))
    assert np.isnan(fit.coefficients_[7]).all()
    assert np.isnan(fit.coefficients_).sum() == 2
    assert np.isnan(fit.components_[:, 11]).all()
    assert np.isnan(fit.components_).sum() == 2


def test_coefficients_are_sampled_like_pixels(monkeypatch):
    data = helpers.simulate(30_000, 40, 3, seed=7)
    sizes = []
    alternate = alternating.alternate

    def spied(problem, *arguments, **named):
        sizes.append(problem.shape)
        return alternate(problem, *arguments, **named)

    monkeypatch.setattr(alternating, "alternate", spied)
    sampled = SequentialNMF(3).fit(*data.inputs)
    assert min(p for _, p in sizes) <= 3001
    whole = SequentialNMF(3, pixel_fraction=None).fit(*data.inputs)
    assert sampled.chi2_ == pytest.approx(whole.chi2_, rel=1e-5)


@pytest.mark.parametrize("make", [lambda: NMF(2, solver="mu"), lambda: SequentialNMF(2, refit="last")])
def test_what_tells_observations_from_pixels_is_never_flipped(monkeypatch, make):
    data = helpers.simulate(60, 10, 2, seed=8)
    flips = []
    flipped = Problem.flipped
    monkeypatch.setattr(Problem, "flipped", lambda self: flips.append(1) or flipped(self))
    make().set_params(tol=0, max_iter=5).fit(np.abs(data.X), data.weights, data.mask)
    assert not flips
    NMF(2, tol=1e-3).fit(*data.inputs)
    assert flips


def test_a_pixel_that_hardly_any_observation_has_keeps_a_problem_upright():
    X = np.random.default_rng(9).random((200, 20))
    mask = np.zeros(X.shape, dtype=bool)
    mask[2:, 4] = True
    assert not Problem.from_arrays(X, mask=mask).is_tall
    assert Problem.from_arrays(X, X + 1, mask).is_tall
