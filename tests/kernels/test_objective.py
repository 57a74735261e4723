import naive
import numpy as np
import pytest
from helpers import row_problems

from astronmf.kernels.objective import (
    coordinate_gain,
    positive_energy,
    quadratic_form,
    residual_chi2,
    square_sums,
)


def per_item(kernel, problems, *arguments):
    out = np.full(problems.right.shape[1], np.nan)
    kernel(problems.packed, problems.right, problems.start, *arguments, out)
    return out


def test_the_quadratic_form_is_its_formula(case, form):
    expected = naive.quadratic_form(case.grams, case.right, case.start)
    case.close(per_item(form(quadratic_form), case), expected)


@pytest.mark.parametrize("first", [0, 1])
def test_the_gain_is_what_each_coordinate_alone_could_remove(case, form, first):
    expected = naive.coordinate_gain(case.grams, case.right, case.start, first)
    case.close(per_item(form(coordinate_gain), case, first), expected, looser=10)


def test_a_coordinate_that_nothing_depends_on_gains_nothing(form):
    problems = row_problems(3, 35, False, np.float64, absent=[0])
    expected = naive.coordinate_gain(problems.grams, problems.right, problems.start, 0)
    problems.close(per_item(form(coordinate_gain), problems, 0), expected)


def test_at_the_solution_there_is_nothing_to_gain_and_elsewhere_there_is(case):
    exact = naive.active_set(case.designs, case.targets).astype(case.dtype)
    gain = np.empty(case.right.shape[1])
    coordinate_gain(case.packed, case.right, exact, 0, gain)
    scale = np.abs(naive.quadratic_form(case.grams, case.right, exact)).max()
    assert gain.max() < 1e-6 * scale
    assert per_item(coordinate_gain, case, 0).max() > 1e-3 * scale


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def block(request):
    """Return weights (a fifth of them 0), data and a model, (5, 37), in each type."""
    rng = np.random.default_rng(4)
    weights = rng.random((5, 37)) * (rng.random((5, 37)) > 0.2)
    arrays = (weights, rng.normal(size=(5, 37)), rng.random((5, 37)))
    return tuple(array.astype(request.param) for array in arrays)


@pytest.mark.parametrize(
    ("kernel", "oracle"), [(residual_chi2, naive.residual_chi2), (positive_energy, naive.positive_energy)]
)
def test_a_blocks_residuals_are_added_to_what_is_there(kernel, oracle, block, form):
    weights, data, model = block
    out = np.arange(5.0)
    form(kernel)(weights, weights * data, model, out)
    tolerance = 1e-5 if weights.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(out, np.arange(5) + oracle(weights, data, model), rtol=tolerance)


@pytest.mark.parametrize("kernel", [residual_chi2, positive_energy])
def test_a_model_of_nan_where_the_weight_is_zero_does_not_count(kernel, block, form):
    weights, data, model = block
    out, poisoned = np.zeros((2, 5))
    form(kernel)(weights, weights * data, model, out)
    form(kernel)(weights, weights * data, np.where(weights > 0, model, np.nan).astype(model.dtype), poisoned)
    np.testing.assert_array_equal(poisoned, out)


def test_sums_of_squares_are_added_to_what_is_there(block, form):
    values = block[1]
    out = np.arange(5.0)
    form(square_sums)(values, out)
    expected = np.arange(5) + [sum(float(x) ** 2 for x in row) for row in values]
    np.testing.assert_allclose(out, expected, rtol=1e-5 if values.dtype == np.float32 else 1e-12)
