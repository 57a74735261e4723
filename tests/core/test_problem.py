import helpers
import numpy as np
import pytest

from astronmf.core.alternating import chi2, chi2_by_observation
from astronmf.core.problem import Problem, pair_products
from astronmf.core.results import in_problem_units
from astronmf.exceptions import MissingDataWarning

N, P, K = 7, 30, 2


def weights_of_kind(kind):
    """Return weights of each structure that the engine tells apart."""
    rng = np.random.default_rng(11)
    rows, columns = rng.uniform(0.2, 5, (N, 1)), rng.uniform(0.2, 5, (1, P))
    return {
        "none": None,
        "uniform": np.full((N, P), 0.3),
        "rows": rows,
        "columns": columns,
        "separable": rows * columns,
        "general": rng.uniform(0.2, 5, (N, P)),
        "general, float32": rng.uniform(0.2, 5, (N, P)).astype(np.float32),
    }[kind]


KINDS = ["none", "uniform", "rows", "columns", "separable", "general", "general, float32"]


@pytest.fixture(params=KINDS)
def weights(request):
    """Return weights of one structure."""
    return weights_of_kind(request.param)


@pytest.fixture(params=["complete", "gaps", "many gaps"])
def mask(request):
    """Return a mask that excludes nothing, few values, or half of them; one observation is always complete."""
    share = {"complete": 0.0, "gaps": 0.02, "many gaps": 0.5}[request.param]
    excluded = np.random.default_rng(12).random((N, P)) < share
    excluded[3] = False
    return excluded


@pytest.fixture
def data():
    """Return data, and factors that have nothing to do with them."""
    rng = np.random.default_rng(13)
    return rng.normal(1, 2, (N, P)), rng.random((N, K)), rng.random((K, P))


def effective(weights, mask):
    return np.where(mask, 0.0, np.broadcast_to(1.0 if weights is None else weights, (N, P)))


def test_chi2_of_any_factors_is_its_formula_whatever_the_weights(data, weights, mask):
    X, C, B = data
    problem = Problem.from_arrays(X, weights, mask)
    found = chi2(problem, *in_problem_units(problem, C, B)) * problem.chi2_unit
    assert found == pytest.approx(helpers.direct_chi2(X, effective(weights, mask), C, B), rel=1e-12)


def test_chi2_of_each_observation_is_its_formula(data, weights, mask):
    X, C, B = data
    problem = Problem.from_arrays(X, weights, mask)
    found = chi2_by_observation(problem, *in_problem_units(problem, C, B)) * problem.chi2_unit
    np.testing.assert_allclose(found, np.sum(effective(weights, mask) * (X - C @ B) ** 2, axis=1), rtol=1e-12)


def test_the_square_sum_is_its_formula(data, weights, mask):
    X = data[0]
    problem = Problem.from_arrays(X, weights, mask)
    assert problem.square_sum * problem.chi2_unit == pytest.approx(np.sum(effective(weights, mask) * X**2), rel=1e-12)
    assert problem.n_valid == int((~mask).sum())


def test_the_pixels_row_problems_are_their_formulas(data, weights, mask):
    problem = Problem.from_arrays(data[0], weights, mask)
    C, _ = in_problem_units(problem, *data[1:])
    block = slice(4, 21)
    gram, right = problem.component_system(pair_products(C), C, block)
    V = problem.weights_in(block).astype(float)
    expected = [np.einsum("ij,i,i->j", V, C[a], C[b]) for a in range(K) for b in range(a + 1)]
    np.testing.assert_allclose(np.broadcast_to(gram, (3, 17)), expected, rtol=1e-12)
    np.testing.assert_allclose(right, C @ problem.weighted[:, block], rtol=1e-12)


def test_the_observations_row_problems_are_their_formulas(data, weights, mask, monkeypatch):
    helpers.use_small_blocks(monkeypatch, 8)
    problem = Problem.from_arrays(data[0], weights, mask)
    _, B = in_problem_units(problem, *data[1:])
    gram, right = problem.coefficient_system(B)
    V = problem.weights_in(slice(0, P))
    expected = [np.einsum("ij,j,j->i", V, B[a], B[b]) for a in range(K) for b in range(a + 1)]
    np.testing.assert_allclose(gram, expected, rtol=1e-12)
    np.testing.assert_allclose(right, B @ problem.weighted.T, rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_separable_weights_are_seen_to_be_separable_and_only_they(data, mask, kind):
    problem = Problem.from_arrays(data[0], weights_of_kind(kind), mask)
    assert problem.is_separable != kind.startswith("general")


def test_weights_a_millionth_away_from_separable_are_not_taken_for_separable(data):
    weights = weights_of_kind("separable").copy()
    weights[2, 5] *= 1 + 1e-6
    assert not Problem.from_arrays(data[0], weights).is_separable


def test_a_subset_of_the_pixels_is_the_problem_of_those_pixels(data, weights, mask):
    X, C, B = data
    pixels = np.array([0, 3, 4, 17, 29])
    problem = Problem.from_arrays(X, weights, mask).subset(pixels)
    found = chi2(problem, *in_problem_units(problem, C, B[:, pixels])) * problem.chi2_unit
    V = effective(weights, mask)[:, pixels]
    assert found == pytest.approx(helpers.direct_chi2(X[:, pixels], V, C, B[:, pixels]), rel=1e-12)
    assert problem.square_sum * problem.chi2_unit == pytest.approx(np.sum(V * X[:, pixels] ** 2), rel=1e-12)
    assert problem.shape == (N, 5)
    assert problem.n_valid == int((V > 0).sum())


def test_blocks_cover_every_pixel_once(data, monkeypatch):
    helpers.use_small_blocks(monkeypatch, 8)
    covered = [j for block in Problem.from_arrays(data[0]).blocks() for j in range(P)[block]]
    assert covered == list(range(P))


@pytest.mark.parametrize(
    ("given", "asked", "found"),
    [("f4", None, "f4"), ("f8", None, "f8"), ("i2", None, "f8"), ("f2", None, "f8"), ("f8", "f4", "f4")],
)
def test_the_computation_is_in_the_datas_type_or_the_one_asked_for(data, given, asked, found):
    assert Problem.from_arrays(data[0].astype(given), dtype=asked).dtype == np.dtype(found)


def test_sums_that_overflow_are_refused_and_not_returned_as_nan():
    with pytest.raises(ValueError, match=r"'X' must be such that the sum of weights × X² is finite.*1e\+300"):
        Problem.from_arrays(np.full((2, 3), 1e300))


def test_sums_that_underflow_are_refused_and_not_returned_as_zero():
    with pytest.raises(ValueError, match=r"'X' must be such that the sum of weights × X² is above 0.*1e-170"):
        Problem.from_arrays(np.full((2, 3), 1e-170))
    assert Problem.from_arrays(np.zeros((2, 3))).square_sum == 0


@pytest.mark.parametrize("small", [1e-40, 1e-50])
def test_a_weight_beyond_the_reach_of_single_precision_is_missing_there(data, small):
    weights = np.random.default_rng(14).uniform(0.5, 2, (N, P))
    weights[:, 7] = small
    with pytest.warns(MissingDataWarning, match=f"{N} of {N * P} weights are below 1e-30 of the mean weight"):
        single = Problem.from_arrays(data[0], weights, dtype="f4")
    double = Problem.from_arrays(data[0], weights, dtype="f8")
    assert not single.supported[7]
    assert single.n_valid == N * (P - 1)
    assert double.supported[7]
    assert double.n_valid == N * P


def test_stretches_that_only_touch_one_another_in_a_chain_are_seen_to_be_separable(data):
    weights = np.outer(np.arange(1.0, N + 1), np.linspace(1, 2, P))
    starts = np.linspace(0, P - 10, N).astype(int)[np.random.default_rng(15).permutation(N)]
    mask = (np.arange(P) < starts[:, None]) | (np.arange(P) >= starts[:, None] + 10)
    assert Problem.from_arrays(data[0], weights, mask).is_separable


def test_very_many_observations_come_in_narrow_blocks():
    problem = Problem.from_arrays(np.ones((60_000, 70), dtype=np.float32))
    assert max(block.stop - block.start for block in problem.blocks()) <= 64
