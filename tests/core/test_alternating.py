import helpers
import numpy as np
import pytest
from hypothesis import assume, given

from astronmf import NMF, SequentialNMF
from astronmf.core import alternating
from astronmf.core.alternating import Settings, State, alternate, chi2, kkt
from astronmf.core.initialize import random_factors


@pytest.fixture
def started(noisy):
    """Return a problem with random factors, all read-only."""
    problem = helpers.problem_of(noisy)
    return problem, *(helpers.read_only(factor) for factor in random_factors(problem, 3, 1))


def assert_never_rises(trace, slack):
    trace = np.array(trace)
    assert (np.diff(trace) <= slack * trace.max(initial=0.0)).all()


# The multiplicative rule has no guard: where it has converged, its χ² moves by rounding.
@pytest.mark.parametrize(
    ("solver", "dtype", "slack"),
    [("cd", np.float32, 0.0), ("cd", np.float64, 0.0), ("mu", np.float32, 1e-5), ("mu", np.float64, 1e-12)],
)
@pytest.mark.parametrize("seed", range(4))
def test_chi2_never_rises_within_a_stage(solver, dtype, slack, seed):
    data = helpers.simulate(15, 40, 3, seed=seed)
    X = np.maximum(data.X, 0) if solver == "mu" else data.X
    fit = SequentialNMF(4, solver=solver, dtype=dtype, tol=0, max_iter=60).fit(X, *data.inputs[1:])
    for stage in fit.factorization_.stages:
        assert len(stage.chi2_trace) == stage.iterations > 0
        assert_never_rises(stage.chi2_trace, slack)


@given(helpers.any_data())
def test_chi2_never_rises_whatever_the_data(data):
    fit = SequentialNMF(2, tol=0, max_iter=12).fit(*data)
    for stage in fit.factorization_.stages:
        assert_never_rises(stage.chi2_trace, 0.0)


@given(helpers.any_data(lowest=0))
def test_chi2_never_rises_under_the_multiplicative_rule_whatever_the_data(data):
    fit = NMF(2, solver="mu", tol=0, max_iter=12).fit(*data)
    assert_never_rises(fit.factorization_.last.chi2_trace, 1e-12)


@given(helpers.any_data())
def test_a_stage_never_ends_above_the_one_before_it(data):
    totals = [stage.chi2 for stage in SequentialNMF(2, tol=0, max_iter=6).fit(*data).factorization_.stages]
    assert totals[1] <= totals[0] * (1 + 1e-12) + 1e-12 * np.sum(data[1] * data[0] ** 2)


@given(helpers.any_data())
def test_factors_are_finite_and_not_negative_whatever_the_data(data):
    fit = SequentialNMF(2, tol=0, max_iter=6).fit(*data)
    valid = (data[1] > 0) & ~data[2]
    for stage in fit.factorization_.stages:
        assert (stage.coefficients[valid.any(axis=1)] >= 0).all()
        assert (np.isnan(stage.components) | (stage.components >= 0)).all()
        assert np.isnan(stage.coefficients).all(axis=1).tolist() == (~valid.any(axis=1)).tolist()


@given(helpers.any_data())
def test_chi2_is_its_formula_whatever_the_data(data):
    X, weights, mask = data
    fit = SequentialNMF(2, tol=0, max_iter=6).fit(*data)
    used = np.where(mask, 0.0, weights)
    assume(np.isfinite(fit.components_[:, used.any(axis=0)]).all())  # every pixel of the model is reported
    direct = helpers.direct_chi2(X, used, fit.coefficients_, fit.components_)
    assert fit.chi2_ == pytest.approx(direct, rel=1e-9, abs=1e-9 * np.sum(used * X**2))


@pytest.mark.parametrize("solver", ["cd", "mu"])
def test_the_start_is_not_written_to(started, solver):
    problem, coefficients, components = started
    before = coefficients.copy(), components.copy()
    alternate(problem, coefficients, components, Settings(solver, 0.0, 4))
    helpers.assert_same_bits((coefficients, components), before)


@pytest.mark.parametrize("solver", ["cd", "mu"])
def test_fixed_components_stay_and_the_others_move(started, solver):
    problem, coefficients, components = started
    state = alternate(problem, coefficients, components, Settings(solver, 0.0, 8), fixed=2)
    np.testing.assert_array_equal(state.components[:2], components[:2])
    assert (state.components[2] != components[2]).any()
    assert (state.coefficients != coefficients).any(axis=1).all()


def test_a_converged_state_has_no_more_to_gain_than_the_tolerance(started):
    problem, coefficients, components = started
    state = alternate(problem, coefficients, components, Settings("cd", 1e-7, 5000))
    assert state.converged
    assert state.kkt <= 1e-7
    factors = state.coefficients, state.components
    assert state.kkt == pytest.approx(kkt(problem, State(*factors, chi2(problem, *factors))), rel=1e-9)
    assert kkt(problem, State(coefficients, components, chi2(problem, coefficients, components))) > 1e-2


def test_a_state_that_could_still_gain_has_not_converged_however_slowly_chi2_falls(started, monkeypatch):
    monkeypatch.setattr(alternating, "kkt", lambda *arguments: 0.5)
    state = alternate(*started, Settings("cd", 1e-2, 40))
    assert len(state.trace) == 40
    assert not state.converged


def test_the_last_chi2_of_the_trace_is_that_of_the_factors(started):
    problem, coefficients, components = started
    state = alternate(problem, coefficients, components, Settings("cd", 0.0, 25))
    assert state.trace[-1] == pytest.approx(chi2(problem, state.coefficients, state.components), rel=1e-11)


def test_extrapolation_ends_no_higher_than_three_times_as_many_multiplicative_steps(noisy):
    X = np.maximum(noisy.X, 0)
    fits = [NMF(3, solver=s, tol=0, max_iter=i).fit(X, *noisy.inputs[1:]) for s, i in (("cd", 60), ("mu", 180))]
    assert fits[0].chi2_ <= fits[1].chi2_ * (1 + 1e-6)
