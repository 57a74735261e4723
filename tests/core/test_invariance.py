"""What must not change a result, and what must change it in a known way."""

from copy import copy

import helpers
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astronmf import NMF, SequentialNMF
from astronmf.core import problem as problem_module
from astronmf.core.problem import Problem
from astronmf.exceptions import MissingDataWarning

BRIEF = {"tol": 0, "max_iter": 15}

ESTIMATORS = {
    "sequential": SequentialNMF(3, **BRIEF),
    "sequential, single precision": SequentialNMF(3, dtype="float32", **BRIEF),
    "sequential, last only": SequentialNMF(3, refit="last", **BRIEF),
    "sequential, sampled": SequentialNMF(3, pixel_fraction=0.5, **BRIEF),
    "sequential, random": SequentialNMF(3, init="random", **BRIEF),
    "joint": NMF(3, **BRIEF),
    "joint, multiplicative": NMF(3, solver="mu", init="random", **BRIEF),
}

JUNK = [np.nan, np.inf, -np.inf, 1e30, -1e30]


@pytest.fixture(params=ESTIMATORS)
def fitted(request):
    """Return a function that fits an estimator of one kind and returns all that it found."""
    estimator = ESTIMATORS[request.param]

    def results(X, *others, **named):
        X = np.maximum(X, 0) if estimator.solver == "mu" else X
        return helpers.results_of(estimator.fit(X, *others, **named))

    return results


# Missing values


@pytest.mark.parametrize("junk", JUNK)
def test_what_stands_under_the_mask_changes_no_bit(noisy, fitted, junk):
    X, weights, mask = noisy.inputs
    helpers.assert_same_bits(fitted(np.where(mask, junk, X), weights, mask), fitted(X, weights, mask))


@pytest.mark.parametrize("junk", [np.nan, np.inf, 1e30, 0.0])
def test_a_weight_under_the_mask_changes_no_bit(noisy, fitted, junk):
    X, weights, mask = noisy.inputs
    helpers.assert_same_bits(fitted(X, np.where(mask, junk, weights), mask), fitted(X, weights, mask))


@pytest.mark.parametrize("no_weight", [0.0, np.nan, np.inf])
def test_a_weight_that_says_nothing_is_the_same_as_a_mask(noisy, fitted, no_weight):
    X, weights, mask = noisy.inputs
    helpers.assert_same_bits(fitted(X, np.where(mask, no_weight, weights)), fitted(X, weights, mask))


def test_without_weights_a_weight_of_zero_is_the_same_as_a_mask(noisy, fitted):
    helpers.assert_same_bits(fitted(noisy.X, (~noisy.mask).astype(float)), fitted(noisy.X, mask=noisy.mask))


def test_a_nan_is_the_same_as_a_mask_but_is_warned_of(noisy, fitted):
    X, weights, mask = noisy.inputs
    with pytest.warns(MissingDataWarning):
        found = fitted(np.where(mask, np.nan, X), weights)
    helpers.assert_same_bits(found, fitted(X, weights, mask))


@given(helpers.any_data(), st.sampled_from(JUNK))
def test_what_stands_under_the_mask_changes_no_bit_whatever_the_data(data, junk):
    X, weights, mask = data
    hidden = mask | (weights == 0)
    results = [
        helpers.results_of(SequentialNMF(2, tol=0, max_iter=5).fit(values, weights, mask))
        for values in (X, np.where(hidden, junk, X))
    ]
    helpers.assert_same_bits(*results)


# Scales


@pytest.mark.parametrize("factor", [4.0, 2.0**-40])
def test_weights_times_a_power_of_four_change_no_bit_of_the_factors_and_multiply_chi2(noisy, fitted, factor):
    X, weights, mask = noisy.inputs
    components, coefficients, chi2, *_ = fitted(X, weights, mask)
    scaled_components, scaled_coefficients, scaled_chi2, *_ = fitted(X, factor * weights, mask)
    helpers.assert_same_bits((scaled_components, scaled_coefficients), (components, coefficients))
    assert scaled_chi2 == factor * chi2


@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_uniform_weights_of_four_change_no_bit_of_the_factors(missing):
    data = helpers.simulate(20, 60, 3, seed=4, missing=missing)
    one, four = (SequentialNMF(3, **BRIEF).fit(data.X, np.full((20, 60), w), data.mask) for w in (1.0, 4.0))
    helpers.assert_same_bits((four.components_, four.coefficients_), (one.components_, one.coefficients_))
    assert four.chi2_ == 4 * one.chi2_


@given(helpers.any_data(), st.integers(-30, 30))
def test_weights_times_a_power_of_four_change_no_bit_whatever_the_data(data, power):
    X, weights, mask = data
    one, other = (SequentialNMF(2, tol=0, max_iter=5).fit(X, f * weights, mask) for f in (1.0, 4.0**power))
    helpers.assert_same_bits((one.components_, one.coefficients_), (other.components_, other.coefficients_))
    assert other.chi2_ == one.chi2_ * 4.0**power


@pytest.mark.parametrize("factor", [4.0, 2.0**-60])
def test_data_times_a_power_of_two_scale_the_coefficients_and_nothing_else(noisy, factor):
    X, weights, mask = noisy.inputs
    one, other = (SequentialNMF(3).fit(f * X, weights, mask) for f in (1.0, factor))
    helpers.assert_same_bits((other.components_, other.coefficients_), (one.components_, factor * one.coefficients_))
    assert other.chi2_ == factor**2 * one.chi2_


def test_fluxes_of_1e_minus_17_in_single_precision_are_fitted_as_well_as_fluxes_of_1(noisy):
    X, uncertainty = ((1e-17 * values).astype(np.float32) for values in (noisy.X, noisy.uncertainty))
    small = SequentialNMF(3).fit(X, uncertainty=uncertainty, mask=noisy.mask)
    usual = SequentialNMF(3).fit(*noisy.inputs)
    assert small.components_.dtype == np.float32
    assert small.chi2_ == pytest.approx(usual.chi2_, rel=1e-4)
    np.testing.assert_allclose(small.components_, usual.components_, atol=2e-3)
    np.testing.assert_allclose(1e17 * small.coefficients_, usual.coefficients_, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_single_precision_finds_the_chi2_of_double_precision(noisy, k):
    single, double = (SequentialNMF(k, dtype=kind).fit(*noisy.inputs) for kind in ("float32", "float64"))
    assert single.coefficients_.dtype == single.components_.dtype == np.float32
    assert single.chi2_ == pytest.approx(double.chi2_, rel=1e-5)


# Order


def test_permuting_the_observations_permutes_the_coefficients(noisy):
    order = np.random.default_rng(0).permutation(20)
    whole = SequentialNMF(3, tol=1e-13, max_iter=5000)  # which items are solved together stops mattering at the end
    one, other = (copy(whole).fit(*data.inputs) for data in (noisy, noisy.rows(order)))
    np.testing.assert_allclose(other.coefficients_, one.coefficients_[order], atol=1e-6)
    np.testing.assert_allclose(other.components_, one.components_, atol=1e-6)


def test_permuting_the_pixels_permutes_the_components(noisy):
    order = np.random.default_rng(1).permutation(60)
    one = SequentialNMF(3, tol=1e-12, max_iter=5000).fit(*noisy.inputs)
    other = SequentialNMF(3, tol=1e-12, max_iter=5000).fit(*(array[:, order] for array in noisy.inputs))
    np.testing.assert_allclose(other.components_, one.components_[:, order], atol=1e-5)
    np.testing.assert_allclose(other.coefficients_, one.coefficients_, atol=1e-3)


def test_the_trailing_shape_is_only_a_shape(noisy):
    flat, cube = (SequentialNMF(3).fit(*data.inputs) for data in (noisy, noisy.reshape(5, 4, 3)))
    assert cube.components_.shape == (3, 5, 4, 3)
    helpers.assert_same_bits((cube.components_.reshape(3, 60), cube.chi2_), (flat.components_, flat.chi2_))


# Weight structure


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_separable_weights_give_what_the_same_weights_give_the_long_way(rows, columns, missing, monkeypatch):
    data = helpers.simulate(20, 60, 3, seed=6, missing=missing)
    rng = np.random.default_rng(7)
    weights = np.where(rows, rng.uniform(0.3, 3, (20, 1)), 1.0) * np.where(columns, rng.uniform(0.3, 3, (1, 60)), 1.0)
    mask = data.mask.copy()
    mask[0] = False
    assert Problem.from_arrays(data.X, weights, mask).is_separable
    quick = SequentialNMF(3, tol=1e-9).fit(data.X, weights, mask)
    monkeypatch.setattr(problem_module, "separable_scales", lambda given, valid, counts: None)
    slow = SequentialNMF(3, tol=1e-9).fit(data.X, weights, mask)
    assert quick.chi2_ == pytest.approx(slow.chi2_, rel=1e-8)
    np.testing.assert_allclose(quick.components_, slow.components_, atol=1e-4)
    np.testing.assert_allclose(quick.fractional_residual_variance_, slow.fractional_residual_variance_, rtol=1e-7)


# Threads


def on_threads(monkeypatch, count, data, estimator):
    monkeypatch.setenv("ASTRONMF_NUM_THREADS", str(count))
    return helpers.results_of(estimator.fit(*data.inputs))


@pytest.mark.parametrize("options", [{}, {"dtype": "float32"}, {"pixel_fraction": 0.5}], ids=str)
@pytest.mark.parametrize("width", [8, 64])
def test_one_thread_and_several_give_the_same_bits(monkeypatch, width, options):
    helpers.use_small_blocks(monkeypatch, width)
    data = helpers.simulate(30, 500, 3, seed=8)
    one, two, five = (on_threads(monkeypatch, count, data, SequentialNMF(3, **BRIEF, **options)) for count in (1, 2, 5))
    helpers.assert_same_bits(two, one)
    helpers.assert_same_bits(five, one)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_thread_and_two_give_the_same_bits_on_blocks_of_the_real_size(monkeypatch, dtype):
    data = helpers.simulate(100, 12_000, 3, seed=9, missing=0.05)
    brief = SequentialNMF(3, dtype=dtype, tol=0, max_iter=5)
    one, two = (on_threads(monkeypatch, count, data, brief) for count in (1, 2))
    helpers.assert_same_bits(two, one)


@pytest.mark.parametrize("missing", [0.0, 0.02, 0.3])
def test_one_thread_and_several_give_the_same_bits_for_uniform_weights(monkeypatch, missing):
    data = helpers.simulate(60, 4000, 3, seed=10, missing=missing)
    results = []
    for count in (1, 2, 5):
        monkeypatch.setenv("ASTRONMF_NUM_THREADS", str(count))
        results.append(helpers.results_of(SequentialNMF(3, **BRIEF).fit(data.X, mask=data.mask)))
    helpers.assert_same_bits(results[1], results[0])
    helpers.assert_same_bits(results[2], results[0])


def test_the_same_fit_twice_gives_the_same_bits(noisy, fitted):
    helpers.assert_same_bits(fitted(*noisy.inputs), fitted(*noisy.inputs))


# Inputs


def test_the_inputs_come_back_untouched(noisy, fitted):
    copies = [np.array(array) for array in noisy.inputs]
    fitted(*copies)  # writable, so that writing to them would succeed
    helpers.assert_same_bits(copies, noisy.inputs)
