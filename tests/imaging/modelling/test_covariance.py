import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astronmf.imaging.modelling.covariance import (
    condition_number,
    inverse_of_known,
    told_from_star,
    variance_inflation,
)


def curvature(t, seed=0, scales=0.0):
    """Return a curvature of templates in units that differ by powers of ten."""
    rng = np.random.default_rng(seed)
    columns = rng.normal(size=(t, 30)) * 10.0 ** (scales * rng.normal(size=(t, 1)))
    return columns @ columns.T


@given(st.integers(1, 6), st.integers(0, 99), st.sampled_from([0.0, 4.0]))
def test_what_is_known_has_the_inverse_in_any_units(t, seed, scales):
    given_one = curvature(t, seed, scales)
    inverse, found = inverse_of_known(given_one, np.ones(t, dtype=bool))
    assert found.all()
    scale = np.sqrt(np.diag(given_one))
    unit = given_one / scale[:, None] / scale
    np.testing.assert_allclose(inverse * scale[:, None] * scale, np.linalg.inv(unit), rtol=1e-9, atol=1e-12)


def test_what_is_not_known_is_left_out():
    whole = curvature(4)
    known = np.array([True, False, True, True])
    inverse, found = inverse_of_known(whole, known)
    np.testing.assert_array_equal(found, known)
    np.testing.assert_allclose(inverse[np.ix_(known, known)], np.linalg.inv(whole[np.ix_(known, known)]), rtol=1e-10)
    assert (inverse[1] == 0).all()


def test_templates_that_depend_on_each_other_are_not_known_and_the_others_are():
    rng = np.random.default_rng(1)
    columns = rng.normal(size=(4, 30))
    columns[3] = columns[0] - 2 * columns[1]
    inverse, found = inverse_of_known(columns @ columns.T, np.ones(4, dtype=bool))
    np.testing.assert_array_equal(found, [False, False, True, False])
    expected = np.linalg.inv(columns[:3] @ columns[:3].T)[2, 2]
    assert inverse[2, 2] == pytest.approx(expected, rel=1e-9)


def test_no_template_with_weight_is_known():
    inverse, found = inverse_of_known(np.zeros((2, 2)), np.ones(2, dtype=bool))
    assert not found.any()
    np.testing.assert_array_equal(inverse, 0)


def test_what_lies_within_the_star_s_span_but_for_rounding_is_not_told_from_it():
    alone = np.diag([1.0, 1e20, 1e-20, 0.0])
    left = np.diag([1e-16, 1e14, 1e-28, 0.0])
    np.testing.assert_array_equal(told_from_star(alone, left), [False, True, True, False])


def test_inflation_is_1_alone_and_the_condition_number_too():
    alone = np.diag([4.0, 100.0])
    np.testing.assert_allclose(variance_inflation(alone, np.linalg.inv(alone)), 1.0)
    assert condition_number(alone, alone) == pytest.approx(1.0)


@given(st.floats(1e-6, 0.99))
def test_a_single_template_has_its_inflation_as_its_condition_number(left):
    alone, rest = np.array([[7.0]]), np.array([[7.0 * left]])
    assert condition_number(alone, rest) == pytest.approx(1 / left)
    assert variance_inflation(alone, np.linalg.inv(rest))[0] == pytest.approx(1 / left)


@given(st.floats(-0.99, 0.99), st.floats(1e-3, 1e3))
def test_two_templates_that_overlap_have_a_condition_number_in_any_unit(overlap, unit):
    alone = np.array([[1.0, overlap * unit], [overlap * unit, unit**2]])
    expected = (1 + abs(overlap)) / (1 - abs(overlap))
    assert condition_number(alone, alone) == pytest.approx(expected, rel=1e-6)


def test_the_condition_number_of_nothing_and_of_what_is_not_determined():
    assert np.isnan(condition_number(np.zeros((1, 1)), np.zeros((1, 1))))
    assert np.isnan(condition_number(np.empty((0, 0)), np.empty((0, 0))))
    assert condition_number(np.eye(1), np.zeros((1, 1))) == np.inf


@pytest.mark.parametrize(("apart", "is_known"), [(1e-2, True), (1e-5, True), (1e-8, False)])
def test_templates_that_differ_in_a_hundred_thousandth_of_their_curvature_are_told_apart(apart, is_known):
    inverse, found = inverse_of_known(np.array([[1.0, 1.0 - apart], [1.0 - apart, 1.0]]), np.ones(2, dtype=bool))
    assert found.tolist() == [is_known, is_known]
    if is_known:
        assert inverse[0, 0] == pytest.approx(1 / (2 * apart), rel=0.01)
