import numpy as np
import pytest

from astronmf.core.gaps import Gaps
from astronmf.core.problem import Problem, pair_products


def gappy(missing, n=12, p=40):
    """Return which values are valid, with a pixel that only one observation has and one that none has."""
    valid = np.random.default_rng(1).random((n, p)) >= missing
    valid[1:, 7] = False
    valid[0, 7] = True
    valid[:, 9] = False
    return valid


@pytest.fixture
def valid():
    return gappy(0.02, 40, 80)


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    return np.dtype(request.param)


def test_exceptions_are_counted_from_the_nearer_end(valid, dtype):
    gaps = Gaps.find(valid, dtype)
    assert not gaps.complete[[7, 9]].any()
    assert gaps.complete.sum() == 78
    assert set(gaps.sign[gaps.pixels == 7]) == {1}
    assert not (gaps.pixels == 9).any()
    assert set(gaps.sign[gaps.complete[gaps.pixels]]) == {-1}


@pytest.mark.parametrize("block", [slice(0, 80), slice(5, 33), slice(9, 10)], ids=str)
def test_weights_of_a_block_are_those_that_they_were_found_from(valid, dtype, block):
    found = Gaps.find(valid, dtype).weights(40, block, dtype)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, valid[:, block])


@pytest.mark.parametrize("block", [slice(0, 80), slice(5, 33), slice(9, 10)], ids=str)
def test_gram_matrices_are_those_of_the_valid_values(valid, dtype, block):
    rng = np.random.default_rng(2)
    gaps = Gaps.find(valid, dtype)
    V = valid[:, block].astype(float)
    of_observations = pair_products(rng.random((3, 40)).astype(dtype))
    of_pixels = pair_products(rng.random((3, V.shape[1])).astype(dtype))
    tolerance = 1e-4 if dtype == np.float32 else 1e-12
    gram = np.broadcast_to(gaps.component_gram(of_observations, block), (6, V.shape[1]))
    np.testing.assert_allclose(gram, of_observations @ V, rtol=tolerance, atol=tolerance)
    gram = np.broadcast_to(gaps.coefficient_gram(of_pixels, 40, block), (6, 40))
    np.testing.assert_allclose(gram, of_pixels @ V.T, rtol=tolerance, atol=tolerance)


def test_pixels_without_exceptions_share_one_gram_matrix(valid, dtype):
    gaps = Gaps.find(np.ones((40, 80), dtype=bool), dtype)
    products = np.ones((6, 40), dtype)
    assert gaps.component_gram(products, slice(0, 80)).shape == (6, 1)
    assert gaps.coefficient_gram(np.ones((6, 80), dtype), 40, slice(0, 80)).shape == (6, 1)


def test_missing_values_are_erased_and_no_others(valid, dtype):
    values = np.random.default_rng(3).random((40, 28)).astype(dtype)
    expected = np.where(valid[:, 5:33], values, 0)
    Gaps.find(valid, dtype).erase(values, slice(5, 33))
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("kept", [[3, 7, 9, 60], [0], [79, 2, 9]], ids=str)
def test_a_subset_has_the_exceptions_of_its_pixels(valid, dtype, kept):
    part = Gaps.find(valid, dtype).subset(np.array(kept))
    np.testing.assert_array_equal(part.weights(40, slice(0, len(kept)), dtype), valid[:, kept])


@pytest.mark.parametrize("missing", [0.1, 0.5])
def test_many_missing_values_are_left_to_the_dense_product(missing, dtype):
    assert Gaps.find(gappy(missing), dtype) is None


def test_an_observation_that_lacks_half_of_the_pixels_is_left_to_the_dense_product(dtype):
    valid = np.ones((100, 60), dtype=bool)
    valid[3, :31] = False
    assert Gaps.find(valid, dtype) is None


def test_few_missing_values_are_stored_as_exceptions_and_many_as_what_is_valid():
    X = np.random.default_rng(4).random((40, 80))
    few, many = (Problem.from_arrays(X, mask=~gappy(missing, 40, 80)) for missing in (0.02, 0.3))
    assert few.weights is None
    assert many.gaps is None
    assert many.weights.dtype == bool


@pytest.mark.parametrize("contrast", [1e3, 1e6, 1e9])
def test_what_is_left_beside_a_bright_missing_core_keeps_its_digits(dtype, contrast):
    rng = np.random.default_rng(7)
    components = rng.random((3, 600)).astype(dtype)
    components[:, :5] *= contrast
    valid = np.ones((40, 600), dtype=bool)
    valid[:6, :5] = False
    gaps = Gaps.find(valid, dtype)
    found = gaps.coefficient_gram(pair_products(components), 40, slice(0, 600))
    expected = pair_products(components).astype(float) @ valid.T
    np.testing.assert_allclose(found, expected, rtol=1e-5 if dtype == np.float32 else 1e-11)


def test_a_component_of_one_bright_frame_that_misses_the_pixel_keeps_its_digits(dtype):
    rng = np.random.default_rng(8)
    coefficients = rng.random((3, 40)).astype(dtype)
    coefficients[1, 4] = 1e9
    valid = np.ones((40, 600), dtype=bool)
    valid[4, :9] = False
    found = Gaps.find(valid, dtype).component_gram(pair_products(coefficients), slice(0, 600))
    expected = pair_products(coefficients).astype(float) @ valid
    np.testing.assert_allclose(found, expected, rtol=1e-5 if dtype == np.float32 else 1e-11)
