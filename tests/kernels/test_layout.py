import naive
import numpy as np
import pytest

from astronmf.kernels.layout import fill, survey


@pytest.fixture(params=[(np.float32, np.float64), (np.float64, np.float32), (np.float64, np.float64)], ids=str)
def given(request):
    """Return data and weights, (4, 37), with everything in them that makes a value missing, and a mask."""
    rng = np.random.default_rng(6)
    data = rng.normal(size=(4, 37)).astype(request.param[0])
    weights = rng.uniform(0.5, 2, (4, 37)).astype(request.param[1])
    data[0, [1, 30]], data[1, 2], data[2, 3] = np.nan, np.inf, -np.inf
    weights[0, 4], weights[1, 5], weights[2, 6] = 0, np.nan, np.inf
    weights[0, 1] = 0
    mask = rng.random((4, 37)) < 0.1
    return data, weights, mask


def test_a_survey_finds_what_is_valid_and_adds_it_up(given, form):
    valid, sums = np.zeros((4, 37), dtype=bool), np.full((4, 4), np.nan)
    form(survey)(*given, valid, sums)
    expected_valid, expected_sums = naive.survey(*given)
    np.testing.assert_array_equal(valid, expected_valid)
    np.testing.assert_array_equal(sums[:, :2], expected_sums[:, :2])
    np.testing.assert_allclose(sums[:, 2:], expected_sums[:, 2:], rtol=1e-12)


@pytest.mark.parametrize("kept", [np.float32, np.float64])
def test_filling_writes_weights_and_weighted_data_and_zero_for_what_is_missing(given, kept, form):
    data, weights, _ = given
    valid, _ = naive.survey(*given)
    weighted, own, squares = np.full((4, 37), np.nan, kept), np.full((4, 37), np.nan, kept), np.full(4, np.nan)
    form(fill)(data, weights, valid, 0.5, 4.0, 0.0, weighted, own, squares)
    tolerance = 1e-6 if kept is np.float32 else 1e-13
    expected = naive.fill(data, weights, valid, 0.5, 4.0)
    for found, wanted in zip((weighted, own, squares), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=tolerance)


def test_a_weight_below_the_smallest_is_missing(given, form):
    data, weights, _ = given
    valid, _ = naive.survey(*given)
    expected = valid & (weights >= 1.2)
    weighted, own, squares = np.empty((4, 37)), np.empty((4, 37)), np.empty(4)
    form(fill)(data, weights, valid, 1.0, 1.0, 1.2, weighted, own, squares)
    np.testing.assert_array_equal(valid, expected)
    np.testing.assert_array_equal(own > 0, expected)
    assert not weighted[~expected].any()
