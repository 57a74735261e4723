import naive
import numpy as np
import pytest
from helpers import row_problems
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from astronmf.kernels._jit import FAST_MATH
from astronmf.kernels._vector import lanes
from astronmf.kernels.nnls import active_set, coordinate_descent, solve_positive_definite


def descend(problems, kernel=coordinate_descent, first=0, sweeps=1, tolerance=0.0):
    solution = problems.start.copy()
    kernel(problems.packed, problems.right, solution, first, sweeps, tolerance)
    return solution


def solve_exactly(problems, kernel=active_set):
    k, m = problems.right.shape
    solution, solved = np.empty((k, m)), np.zeros(m, dtype=bool)
    kernel(problems.packed, problems.right, solution, solved)
    assert solved.all()
    return solution


def objectives(problems, solution):
    return naive.quadratic_form(problems.grams, problems.right, solution)


# Coordinate descent


@pytest.mark.parametrize("sweeps", [1, 12])
def test_coordinate_descent_takes_the_steps_of_its_formula(case, form, sweeps):
    expected = naive.coordinate_descent(case.grams, case.right, case.start, 0, sweeps)
    case.close(descend(case, form(coordinate_descent), sweeps=sweeps), expected, looser=10)


def test_coordinate_descent_holds_the_first_coordinates_fixed(case, form):
    first = case.right.shape[0] - 1
    found = descend(case, form(coordinate_descent), first=first, sweeps=3)
    np.testing.assert_array_equal(found[:first], case.start[:first])
    case.close(found, naive.coordinate_descent(case.grams, case.right, case.start, first, 3), looser=10)


@pytest.mark.parametrize("tolerance", [0.5, 0.2, 0.1, 0.05, 0.03, 0.01])
def test_a_tile_stops_when_a_sweep_brings_too_little_of_the_first_gain(form, tolerance):
    problems = row_problems(4, 70, False, np.float64)
    tile = lanes(problems.right)
    expected = naive.coordinate_descent(problems.grams, problems.right, problems.start, 0, 50, tolerance, tile)
    problems.close(descend(problems, form(coordinate_descent), sweeps=50, tolerance=tolerance), expected)


@pytest.mark.parametrize("shared", [False, True])
def test_a_coordinate_that_nothing_depends_on_becomes_zero(form, shared):
    problems = row_problems(4, 37, shared, np.float64, absent=[1, 3])
    found = descend(problems, form(coordinate_descent), sweeps=6)
    assert not found[[1, 3]].any()
    problems.close(found, naive.coordinate_descent(problems.grams, problems.right, problems.start, 0, 6))


def test_descent_says_how_many_sweeps_its_tiles_took():
    problems = row_problems(4, 70, False, np.float64)
    tiles = -(-70 // lanes(problems.right))
    assert coordinate_descent(problems.packed, problems.right, problems.start.copy(), 0, 3, 0.0) == 3 * tiles
    assert coordinate_descent(problems.packed, problems.right, problems.start.copy(), 0, 50, 1.0) == tiles


def test_no_sweep_raises_any_items_objective(case):
    solution = case.start.copy()
    last = objectives(case, solution)
    for _ in range(6):
        coordinate_descent(case.packed, case.right, solution, 0, 1, 0.0)
        here = objectives(case, solution)
        assert (here <= last + 1e-5 * np.abs(last).max()).all()
        assert (solution >= 0).all()
        last = here


def test_many_sweeps_end_at_the_exact_solution():
    problems = row_problems(3, 50, False, np.float64)
    problems.close(descend(problems, sweeps=3000), solve_exactly(problems), looser=1e4)


# Exact solutions


def test_the_active_set_solution_is_scipys_from_the_design_matrix(case, form):
    found = solve_exactly(case, form(active_set))
    case.close(found, naive.active_set(case.designs, case.targets), looser=100)


def test_the_active_set_leaves_an_absent_coordinate_at_zero(form):
    problems = row_problems(4, 37, False, np.float64, absent=[0, 2])
    found = solve_exactly(problems, form(active_set))
    assert not found[[0, 2]].any()
    problems.close(found, naive.active_set(problems.designs, problems.targets), looser=100)


def test_identical_columns_share_one_coefficient_and_fit_as_well_as_one_alone():
    problems = row_problems(3, 40, False, np.float64)
    problems.designs[:, :, 2] = problems.designs[:, :, 0]
    found = solve_exactly(problems)
    alone = naive.active_set(problems.designs[:, :, :2], problems.targets)
    problems.close(np.stack([found[0] + found[2], found[1]]), alone, looser=1e4)


def test_twenty_strongly_correlated_columns_are_solved_as_scipy_does():
    rng = np.random.default_rng(3)
    problems = row_problems(20, 30, False, np.float64)
    problems.designs[:] = rng.random((30, 24, 1)) + 0.05 * rng.random((30, 24, 20))
    problems.close(solve_exactly(problems), naive.active_set(problems.designs, problems.targets), looser=1e6)


@st.composite
def whole_number_designs(draw):
    """Draw designs and targets of small whole numbers: columns often depend on each other, or are 0."""
    rows, k = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    numbers = st.integers(-4, 4)
    return draw(arrays(np.int64, (rows, k), elements=numbers)), draw(arrays(np.int64, rows, elements=numbers))


def solve_design(design, target):
    gram = np.ascontiguousarray(naive.pack((design.T @ design)[None].astype(float)))
    right = (design.T @ target)[:, None].astype(float)
    solution, solved = np.empty(right.shape), np.zeros(1, dtype=bool)
    active_set(gram, right, solution, solved)
    assert solved.all()
    return solution[:, 0]


@given(whole_number_designs())
def test_the_exact_solution_fulfils_the_karush_kuhn_tucker_conditions(problem):
    design, target = problem
    x = solve_design(design, target)
    slope = design.T @ (target - design @ x)
    assert (x >= 0).all()
    assert (slope <= 1e-8).all()
    assert np.abs(slope[x > 0]).max(initial=0.0) <= 1e-8


@given(whole_number_designs())
def test_the_exact_solution_fits_as_well_as_scipys(problem):
    design, target = problem
    expected = naive.active_set([design.astype(float)], [target.astype(float)])[:, 0]
    residuals = [np.linalg.norm(target - design @ x) for x in (solve_design(design, target), expected)]
    assert residuals[0] == pytest.approx(residuals[1], abs=1e-9)


# Linear systems


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("chosen", [[0], [3, 1], [4, 0, 2, 1, 3]])
def test_a_positive_definite_system_is_solved_on_the_chosen_coordinates(form, dtype, chosen):
    rng = np.random.default_rng(8)
    factor = rng.normal(size=(5, 9))
    factor /= np.linalg.norm(factor, axis=1, keepdims=True)
    matrix, right = (factor @ factor.T).astype(dtype), rng.normal(size=5).astype(dtype)
    index, out = np.array(chosen + [0] * (5 - len(chosen))), np.full(5, 7.0, dtype)
    assert form(solve_positive_definite)(matrix, right, index, len(chosen), out)
    expected = naive.solve(matrix[np.ix_(chosen, chosen)], right[chosen])
    np.testing.assert_allclose(out[: len(chosen)], expected, rtol=2e-4 if dtype is np.float32 else 1e-11)
    assert (out[len(chosen) :] == 7).all()


@pytest.mark.parametrize("cosine", [1.0, 1 - 1e-14])
def test_a_system_that_is_singular_to_rounding_is_refused(form, cosine):
    matrix = np.array([[1.0, cosine], [cosine, 1.0]])
    assert not form(solve_positive_definite)(matrix, np.ones(2), np.arange(2), 2, np.empty(2))


def test_no_compiler_flag_may_assume_that_nan_or_inf_do_not_occur():
    assert not {"nnan", "ninf", "fast"} & FAST_MATH
