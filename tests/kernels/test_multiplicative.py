import naive
import numpy as np
import pytest
from helpers import row_problems

from astronmf.kernels.multiplicative import multiplicative_step


@pytest.mark.parametrize("steps", [1, 5])
@pytest.mark.parametrize("first", [0, 1])
def test_every_coordinate_is_multiplied_by_its_ratio_at_the_start(case, form, first, steps):
    grams, right, expected = np.abs(case.grams), np.abs(case.right), case.start
    solution = case.start.copy()
    for _ in range(steps):
        form(multiplicative_step)(np.abs(case.packed), right, solution, first)
        expected = naive.multiplicative_step(grams, right, expected, first)
    case.close(solution, expected, looser=10)


def test_a_coordinate_with_nothing_below_the_ratio_becomes_zero(form):
    problems = row_problems(3, 40, False, np.float64, absent=[1])
    solution = problems.start.copy()
    form(multiplicative_step)(np.abs(problems.packed), np.abs(problems.right), solution, 0)
    assert not solution[1].any()
    assert np.isfinite(solution).all()
