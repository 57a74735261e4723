import helpers
import numpy as np
import pytest

from astronmf import NMF, SequentialNMF
from astronmf.core.problem import Problem
from astronmf.core.results import in_callers_units, in_problem_units, undetermined


@pytest.mark.parametrize("make", [SequentialNMF, NMF])
def test_components_have_unit_norm_over_their_valid_pixels(noisy, make):
    fit = make(3).fit(*noisy.inputs)
    np.testing.assert_allclose(np.nansum(fit.components_**2, axis=1), 1.0, rtol=1e-12)


def test_units_undo_each_other():
    rng = np.random.default_rng(41)
    problem = Problem.from_arrays(1e3 * rng.normal(size=(6, 9)), rng.uniform(1, 2, (6, 1)) * rng.uniform(1, 2, 9))
    C, B = rng.random((6, 2)), rng.random((2, 9))
    flux, pixels = in_callers_units(problem, *in_problem_units(problem, C, B), np.zeros((2, 9), dtype=bool))
    np.testing.assert_allclose(flux @ pixels, C @ B, rtol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(pixels, axis=1), 1.0, rtol=1e-12)


def test_a_pixel_that_no_observation_saw_is_nan_and_no_other(noisy):
    mask = noisy.mask.copy()
    mask[:, [7, 30]] = True
    fit = SequentialNMF(3).fit(noisy.X, noisy.weights, mask)
    unseen = np.isin(np.arange(60), [7, 30])
    for array in (fit.components_, fit.inverse_transform(fit.coefficients_)):
        np.testing.assert_array_equal(np.isnan(array), np.broadcast_to(unseen, array.shape))
    assert fit.reduced_chi2_ == pytest.approx(fit.chi2_ / (fit.n_valid_ - 3 * (20 + 58 - 3)))


def test_a_model_of_no_flux_is_zero_but_not_where_no_observation_saw_anything(noisy):
    fit = SequentialNMF(2).fit(noisy.X, noisy.weights, noisy.mask | (np.arange(60) == 7))
    np.testing.assert_array_equal(fit.inverse_transform(np.zeros((1, 2)))[0], np.where(np.arange(60) == 7, np.nan, 0.0))


def test_a_pixel_that_no_observation_saw_changes_nothing_elsewhere(noisy):
    kept = np.arange(60) != 7
    mask = noisy.mask | ~kept
    whole = SequentialNMF(3).fit(noisy.X, noisy.weights, mask)
    cut = SequentialNMF(3).fit(*(array[:, kept] for array in noisy.inputs))
    assert whole.chi2_ == pytest.approx(cut.chi2_, rel=1e-6)
    np.testing.assert_allclose(whole.components_[:, kept], cut.components_, atol=1e-3)


def test_an_observation_without_a_valid_value_is_nan_and_changes_nothing_for_the_others(noisy):
    others = np.arange(20) != 6
    mask = noisy.mask | ~others[:, None]
    whole = SequentialNMF(3, tol=1e-13, max_iter=5000).fit(noisy.X, noisy.weights, mask)
    cut = SequentialNMF(3, tol=1e-13, max_iter=5000).fit(*noisy.rows(others).inputs)
    assert np.isnan(whole.coefficients_[6]).all()
    assert np.isnan(whole.inverse_transform(whole.coefficients_)[6]).all()
    assert whole.reduced_chi2_ == pytest.approx(cut.reduced_chi2_, rel=1e-9)
    np.testing.assert_allclose(whole.coefficients_[others], cut.coefficients_, atol=1e-4)
    np.testing.assert_allclose(whole.components_, cut.components_, atol=1e-4)


def test_a_pixel_that_only_observations_without_a_component_see_is_nan_for_that_component():
    X, mask, _, B = helpers.two_groups()
    fit = SequentialNMF(2, tol=1e-9, max_iter=5000).fit(X, mask=mask)
    first = int(np.argmin(fit.components_[:, 15]))
    assert np.isnan(fit.components_).sum() == 1
    assert np.isnan(fit.components_[first, 5])
    assert fit.components_[1 - first, 5] == pytest.approx(B[1, 5] / np.linalg.norm(B[1]), rel=1e-3)


def test_the_model_of_an_observation_is_nan_where_a_component_that_it_uses_is():
    X, mask, _, _ = helpers.two_groups()
    fit = SequentialNMF(2, tol=1e-9, max_iter=5000).fit(X, mask=mask)
    model = fit.inverse_transform(fit.coefficients_)
    assert np.isnan(model[:6, 5]).all()
    assert np.isfinite(np.delete(model, 5, axis=1)).all()


def test_undetermined_pixels_are_those_that_the_carriers_of_a_component_do_not_see():
    X, mask, C, _ = helpers.two_groups()
    found = undetermined(Problem.from_arrays(X, mask=mask), np.ascontiguousarray(C.T))
    expected = np.zeros((2, 20), dtype=bool)
    expected[0, 5] = True
    np.testing.assert_array_equal(found, expected)


def test_a_component_that_nothing_carries_is_undetermined_only_where_nothing_was_seen():
    X, mask, C, _ = helpers.two_groups()
    mask[:, 0] = True
    found = undetermined(Problem.from_arrays(X, mask=mask), np.zeros_like(C.T))
    np.testing.assert_array_equal(found, np.broadcast_to(np.arange(20) == 0, (2, 20)))


@pytest.mark.parametrize("make", [SequentialNMF, NMF])
@pytest.mark.parametrize("level", [0.0, -1.0])
def test_data_without_anything_positive_have_components_of_zero(make, level):
    X = np.full((4, 6), level)
    fit = make(2).fit(X)
    assert not fit.components_.any()
    assert not fit.coefficients_.any()
    assert fit.chi2_ == np.sum(X**2)


def test_degrees_of_freedom_that_are_used_up_make_the_reduced_chi2_nan():
    fit = SequentialNMF(2, tol=0, max_iter=3).fit(helpers.simulate(2, 5, 2, seed=1, missing=0.0).X)
    assert np.isnan(fit.reduced_chi2_)


def test_results_are_frozen(noisy):
    stage = SequentialNMF(1).fit(*noisy.inputs).factorization_.last
    with pytest.raises(AttributeError, match="chi2"):
        stage.chi2 = 0.0
