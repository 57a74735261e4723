import helpers
import numpy as np
import pytest

from astronmf.core.initialize import new_component, positive_ratio, random_factors
from astronmf.core.problem import Problem


def empty(problem):
    """Return factors of no components."""
    n, p = problem.shape
    return np.zeros((0, n)), np.zeros((0, p))


def exact_problem():
    """Return a problem without noise, its coefficients and its components, component-first."""
    rng = np.random.default_rng(61)
    C, B = rng.integers(1, 9, (2, 6)).astype(float), rng.integers(0, 9, (2, 15)).astype(float)
    return Problem.from_arrays(C.T @ B), C, B


def test_a_residual_of_zero_gives_a_component_of_zero():
    problem, C, B = exact_problem()
    scale = problem.row_scale
    coefficient, pattern = new_component(problem, C * scale, B)
    assert not coefficient.any()
    assert not pattern.any()


def test_a_residual_that_is_nowhere_positive_gives_a_component_of_zero():
    problem = Problem.from_arrays(-np.ones((4, 5)))
    for factor in new_component(problem, *empty(problem)):
        assert not factor.any()


def test_a_rank_one_matrix_is_found_at_once():
    rng = np.random.default_rng(62)
    X = np.outer(rng.uniform(1, 2, 7), rng.random(11))
    problem = Problem.from_arrays(X)
    coefficient, pattern = new_component(problem, *empty(problem))
    np.testing.assert_allclose(np.outer(coefficient / problem.row_scale, pattern), X, rtol=1e-12)


def test_the_pattern_left_is_that_of_the_observation_with_most_left():
    residual = np.zeros((6, 15))
    residual[1, 2:4], residual[4, 9:12] = 0.5, 3.0
    problem = Problem.from_arrays(residual - 1e-3)
    coefficient, pattern = new_component(problem, *empty(problem))
    assert np.flatnonzero(pattern).tolist() == [9, 10, 11]
    assert coefficient.argmax() == 4


def test_a_large_value_of_little_weight_does_not_choose_the_pattern():
    X, weights = np.zeros((5, 8)), np.ones((5, 8))
    X[0, 1], weights[0, 1] = 100.0, 1e-6
    X[3, 6] = 1.0
    problem = Problem.from_arrays(X - 1e-3, weights)
    assert new_component(problem, *empty(problem))[1].argmax() == 6


def test_a_start_lowers_chi2(noisy):
    problem = helpers.problem_of(noisy)
    coefficient, pattern = new_component(problem, *empty(problem))
    model = np.outer(coefficient / problem.row_scale, pattern / problem.column_scale)
    weights = noisy.valid_weights
    assert np.sum(weights * (noisy.X - model) ** 2) < 0.7 * np.sum(weights * noisy.X**2)


def test_how_rows_and_columns_are_scaled_does_not_matter(noisy):
    rows, columns = (np.random.default_rng(63).uniform(0.5, 2, size) for size in ((20, 1), 60))
    one = Problem.from_arrays(noisy.X)
    other = Problem.from_arrays(noisy.X / rows / columns, (rows * columns) ** 2)
    products = [np.outer(*new_component(p, *empty(p))) * np.sqrt(p.chi2_unit) for p in (one, other)]
    np.testing.assert_allclose(products[0], products[1], atol=1e-12)


def test_random_factors_are_those_of_their_seed_and_have_the_datas_level(noisy):
    problem = helpers.problem_of(noisy)
    one, again, other = (random_factors(problem, 3, seed) for seed in (1, 1, 2))
    helpers.assert_same_bits(one, again)
    assert (one[0] != other[0]).any()
    assert [factor.shape for factor in one] == [(3, 20), (3, 60)]
    level = np.sum(problem.weights * (one[0].T @ one[1]) ** 2) / problem.square_sum
    assert 0.1 < level < 10


@pytest.mark.parametrize(("above", "below", "ratio"), [(3.0, 2.0, 1.5), (-3.0, 2.0, 0.0), (3.0, 0.0, 0.0)])
def test_a_positive_ratio_is_zero_where_there_is_none(above, below, ratio):
    assert positive_ratio(np.array([above]), np.array([below])) == [ratio]
