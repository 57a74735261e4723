from itertools import pairwise

import helpers
import numpy as np
import pytest

from astronmf import NMF, SequentialNMF
from astronmf.core.alternating import Settings
from astronmf.core.sequential import SequentialSettings, build, factorize, start_by_residuals
from astronmf.exceptions import ConvergenceWarning


def sparse_truth(noise=0.0):
    """Return rank-3 data, coefficients and components with pixels and observations that belong to one component."""
    rng = np.random.default_rng(21)
    coefficients, components = rng.gamma(2.0, 1.0, (30, 3)), rng.random((3, 40))
    coefficients[:9] *= np.repeat(np.eye(3), 3, axis=0)
    components[:, :9] *= np.repeat(np.eye(3), 3, axis=1)
    components /= np.linalg.norm(components, axis=1, keepdims=True)
    return coefficients @ components + noise * rng.normal(size=(30, 40)), coefficients, components


def matched(found, truth):
    """Return which found component is most like each true one."""
    return np.argmax(truth @ found.T, axis=1)


@pytest.mark.parametrize("make", [SequentialNMF, NMF])
def test_a_sparse_low_rank_matrix_without_noise_is_recovered(make):
    X, coefficients, components = sparse_truth()
    fit = make(3, tol=1e-10, max_iter=20_000).fit(X)
    order = matched(fit.components_, components)
    assert sorted(order) == [0, 1, 2]
    assert fit.chi2_ < 1e-8 * np.sum(X**2)
    np.testing.assert_allclose(fit.components_[order], components, atol=1e-3)
    np.testing.assert_allclose(fit.coefficients_[:, order], coefficients, atol=1e-2)


def test_at_the_true_rank_the_reduced_chi2_is_one():
    data = helpers.simulate(60, 400, 3, seed=22)
    fit = SequentialNMF(4).fit(*data.inputs)
    values = [fit.factorization_.reduced_chi2(stage) for stage in fit.factorization_.stages]
    assert values[2] == pytest.approx(1.0, abs=0.03)
    assert values[1] > 1.3
    assert values[3] == pytest.approx(1.0, abs=0.03)


def test_negative_noise_is_kept_so_that_empty_pixels_are_modelled_without_the_bias_of_clipping():
    rng = np.random.default_rng(23)
    signal = np.outer(rng.uniform(2, 4, 60), np.r_[np.ones(100), np.zeros(400)])
    X = signal + rng.normal(size=signal.shape)
    means = []
    for data in (X, np.maximum(X, 0)):
        fit = SequentialNMF(1).fit(data)
        means.append(fit.inverse_transform(fit.coefficients_)[:, 100:].mean())
    assert means[0] < 0.07
    assert means[1] == pytest.approx(0.40, abs=0.03)


# Stages


def test_every_stage_is_kept(noisy):
    stages = SequentialNMF(4).fit(*noisy.inputs).factorization_.stages
    assert [stage.n_components for stage in stages] == [1, 2, 3, 4]
    assert [stage.components.shape for stage in stages] == [(k, 60) for k in (1, 2, 3, 4)]
    assert [stage.coefficients.shape for stage in stages] == [(20, k) for k in (1, 2, 3, 4)]


@pytest.mark.parametrize("refit", ["all", "last"])
def test_a_stage_is_what_a_shorter_build_ends_with(noisy, refit):
    long = SequentialNMF(3, refit=refit).fit(*noisy.inputs).factorization_.stages[1]
    short = SequentialNMF(2, refit=refit).fit(*noisy.inputs).factorization_.last
    helpers.assert_same_bits(
        (long.components, long.coefficients, long.chi2_trace), (short.components, short.coefficients, short.chi2_trace)
    )


@pytest.mark.parametrize("options", [{}, {"pixel_fraction": 0.5}], ids=str)
def test_refitting_only_the_last_component_gives_strictly_nested_stages(options):
    data = helpers.simulate(20, 60, 3, seed=24, missing=0.0)
    stages = SequentialNMF(4, refit="last", **options).fit(*data.inputs).factorization_.stages
    for before, after in pairwise(stages):
        np.testing.assert_array_equal(after.components[:-1], before.components)
        assert (after.coefficients[:, :-1] != before.coefficients).any()


def test_stages_stay_nested_when_those_who_saw_a_pixel_turn_to_the_new_component():
    rng = np.random.default_rng(2)
    coefficients = np.zeros((8, 2))
    coefficients[:4, 0], coefficients[4:, 1] = rng.uniform(1, 2, 4), rng.uniform(3, 4, 4)
    X = coefficients @ (rng.random((2, 12)) * (rng.random((2, 12)) < 0.7))
    mask = np.zeros(X.shape, dtype=bool)
    mask[rng.permutation(8)[:5], 5] = mask[4:, 3] = mask[:4, 4] = True
    one, two = SequentialNMF(2, refit="last", tol=1e-4).fit(X, mask=mask).factorization_.stages
    np.testing.assert_array_equal(two.components[:1], one.components)


def test_refitting_all_components_fits_better_than_refitting_the_last(noisy):
    every, last = (SequentialNMF(4, refit=refit).fit(*noisy.inputs).chi2_ for refit in ("all", "last"))
    assert every < 0.999 * last


def test_chi2_falls_from_stage_to_stage_and_each_stage_starts_below_the_one_before(noisy):
    stages = SequentialNMF(5).fit(*noisy.inputs).factorization_.stages
    for before, after in pairwise(stages):
        assert after.chi2 < after.chi2_trace[0] < before.chi2


def test_a_stage_that_has_converged_says_so_and_has_no_more_to_gain(noisy):
    for stage in SequentialNMF(3, tol=1e-7).fit(*noisy.inputs).factorization_.stages:
        assert stage.converged
        assert 0 <= stage.kkt <= 1e-7
        assert stage.iterations == len(stage.chi2_trace)
        assert stage.chi2_trace[-1] == pytest.approx(stage.chi2, rel=1e-10)
        assert stage.seconds > 0


def test_what_a_stage_could_still_gain_counts_only_what_it_may_move(noisy):
    asked, not_asked = (SequentialNMF(3, refit="last", tol=tol, max_iter=500).fit(*noisy.inputs) for tol in (1e-8, 0))
    assert asked.history_["kkt"].max() < 1e-8
    assert not_asked.history_["kkt"].max() < 1e-8


def test_a_stage_that_has_not_converged_is_warned_of_by_number_and_limit(noisy):
    with pytest.warns(ConvergenceWarning, match=r"2 of 3 stages.*'tol'=1e-06.*'max_iter'.*: 2, 3\); raise 'max_iter'"):
        fit = SequentialNMF(3, max_iter=12).fit(*noisy.inputs)
    assert list(fit.history_["converged"]) == [True, False, False]


def test_a_stage_that_single_precision_ends_is_warned_of_as_such(noisy):
    with pytest.warns(ConvergenceWarning, match=r"stages ended above 'tol'=1e-12, where rounding.*dtype='float64'"):
        SequentialNMF(2, tol=1e-12, max_iter=5000, dtype="float32").fit(*noisy.inputs)


def test_a_tolerance_of_zero_asks_for_no_convergence_and_gets_no_warning(noisy):
    assert not SequentialNMF(2, tol=0, max_iter=4).fit(*noisy.inputs).factorization_.last.converged


# Starts


def test_a_build_goes_on_from_given_components(noisy):
    first = SequentialNMF(2).fit(*noisy.inputs)
    onward = SequentialNMF(4, init=(first.coefficients_, first.components_)).fit(*noisy.inputs)
    assert list(onward.history_["stage"]) == [2, 3, 4]
    assert onward.factorization_.stages[0].chi2 == pytest.approx(first.chi2_, rel=1e-5)
    assert onward.chi2_ == pytest.approx(SequentialNMF(4).fit(*noisy.inputs).chi2_, rel=1e-3)


def test_a_build_goes_on_from_components_with_pixels_and_observations_that_are_nan(noisy):
    mask = noisy.mask.copy()
    mask[:, 7] = mask[4] = True
    first = SequentialNMF(2).fit(noisy.X, noisy.weights, mask)
    onward = SequentialNMF(3, init=(first.coefficients_, first.components_)).fit(noisy.X, noisy.weights, mask)
    assert onward.factorization_.stages[0].chi2 == pytest.approx(first.chi2_, rel=1e-5)
    np.testing.assert_array_equal(np.isnan(onward.components_).any(axis=0), np.arange(60) == 7)


def test_as_many_given_components_as_asked_for_are_refined(noisy):
    start = noisy.coefficients, noisy.components
    fit = SequentialNMF(3, init=start).fit(*noisy.inputs)
    assert list(fit.history_["stage"]) == [3]
    assert fit.chi2_ < helpers.direct_chi2(noisy.X, noisy.valid_weights, *start)


def test_a_joint_fit_of_given_factors_starts_at_their_chi2(noisy):
    start = noisy.coefficients, noisy.components
    fit = NMF(3, init=start, tol=0, max_iter=1).fit(*noisy.inputs)
    at_start = helpers.direct_chi2(noisy.X, noisy.valid_weights, *start)
    assert 0.5 * at_start < fit.chi2_ < at_start


@pytest.mark.parametrize("make", [NMF, SequentialNMF])
def test_a_random_start_is_that_of_its_seed_and_of_no_other(noisy, make):
    fits = [make(3, init="random", random_state=s, tol=0, max_iter=3).fit(*noisy.inputs) for s in (1, 1, 2)]
    helpers.assert_same_bits(*(helpers.results_of(fit) for fit in fits[:2]))
    assert (fits[2].components_ != fits[0].components_).any()


def test_random_starts_end_near_the_chi2_of_the_start_by_residuals(noisy):
    best = NMF(3).fit(*noisy.inputs).chi2_
    for seed in range(5):
        assert NMF(3, init="random", random_state=seed).fit(*noisy.inputs).chi2_ == pytest.approx(best, rel=0.02)


def test_learning_on_part_of_the_pixels_ends_where_the_whole_build_ends_after_fewer_iterations():
    data = helpers.simulate(40, 4000, 4, seed=25)
    whole, sampled = (SequentialNMF(4, pixel_fraction=f).fit(*data.inputs) for f in (None, 0.2))
    assert list(sampled.history_["stage"]) == [1, 2, 3, 4]
    assert sampled.history_["converged"].all()
    np.testing.assert_allclose(sampled.history_["chi2"], whole.history_["chi2"], rtol=1e-4)
    assert sampled.history_["iterations"].sum() < whole.history_["iterations"].sum()


# Function and class


def test_the_sequential_class_is_the_function(noisy):
    found = build(helpers.problem_of(noisy), 3, Settings(), SequentialSettings())
    fitted = SequentialNMF(3).fit(*noisy.inputs).factorization_
    for one, other in zip(found.stages, fitted.stages, strict=True):
        helpers.assert_same_bits((one.coefficients, one.components), (other.coefficients, other.components))


def test_the_joint_class_is_the_function(noisy):
    problem = helpers.problem_of(noisy)
    found = factorize(problem, *start_by_residuals(problem, 3, Settings()), Settings()).last
    fitted = NMF(3).fit(*noisy.inputs).factorization_.last
    helpers.assert_same_bits((found.coefficients, found.components), (fitted.coefficients, fitted.components))
