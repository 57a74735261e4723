"""The multiplicative rule against its published implementation, and both estimators against published factors."""

import contextlib
import io

import helpers
import numpy as np
import pytest
from NonnegMFPy import nmf as published

from astronmf import NMF, SequentialNMF
from astronmf.core.initialize import random_factors


@pytest.fixture(params=["general", "uniform"])
def positive(request, noisy):
    """Return data at or above 0, weights and a mask, as `fit` takes them, and a start."""
    weights = noisy.weights if request.param == "general" else np.ones_like(noisy.weights)
    C, B = random_factors(helpers.problem_of(noisy), 3, 71)
    return (np.maximum(noisy.X, 0), weights, noisy.mask), (C.T, B)


def published_fit(X, weights, mask, start, iterations):
    """Return NonnegMFPy after so many iterations; its W are coefficients, its H components."""
    C, B = start
    found = published.NMF(X, W=C, H=B, V=weights, M=~mask, n_components=B.shape[0])
    with contextlib.redirect_stdout(io.StringIO()):
        found.SolveNMF(maxiters=iterations, tol=-1)
    return found


@pytest.mark.parametrize("iterations", [1, 5, 50])
def test_the_multiplicative_rule_is_that_of_nonnegmfpy(positive, iterations):
    inputs, start = positive
    expected = published_fit(*inputs, start, iterations)
    found = NMF(3, solver="mu", init=start, tol=0, max_iter=iterations).fit(*inputs)
    norm = np.linalg.norm(expected.H, axis=1)
    np.testing.assert_allclose(found.components_, expected.H / norm[:, None], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(found.coefficients_, expected.W * norm, rtol=1e-10, atol=1e-10)
    assert found.chi2_ / found.n_valid_ == pytest.approx(expected.cost, rel=1e-10)


def test_coordinate_descent_ends_below_a_thousand_published_iterations(positive):
    inputs, start = positive
    expected = published_fit(*inputs, start, 1000)
    found = NMF(3, init=start).fit(*inputs)
    assert found.chi2_ <= expected.cost * expected.V_size * (1 + 1e-5)


@pytest.fixture(scope="module")
def doublets(realdata):
    """Return nearly-NMF's simulated doublets (a third of the values negative), their weights and χ² of its factors."""
    folder = realdata / "reference_nearly_nmf"
    names = ("doublet_dataset", "doublet_weights", "W_nearly_truth", "H_nearly_truth")
    X, weights, C, B = (np.load(folder / f"{name}.npy") for name in names)
    return X, weights, np.sum(weights * (X - C @ B) ** 2)


@pytest.mark.parametrize("make", [SequentialNMF, NMF])
def test_default_settings_fit_the_doublets_at_least_as_well_as_nearly_nmf(doublets, make):
    X, weights, reference = doublets
    assert make(2).fit(X, weights).chi2_ <= reference
