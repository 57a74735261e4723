import naive
import numpy as np
import pytest

from astronmf.kernels.gram import add_products, packed, pair_products


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("k", "m"), [(1, 1), (1, 40), (5, 33)])
def test_pair_products_are_all_products_of_two_rows(k, m, dtype, form):
    factor = np.random.default_rng(k).random((k, m)).astype(dtype)
    out = np.empty((k * (k + 1) // 2, m), dtype)
    form(pair_products)(factor, out)
    np.testing.assert_array_equal(out, naive.pair_products(factor))


def test_a_triangle_is_packed_row_by_row_whichever_index_comes_first(form):
    places = [form(packed)(a, b) for a in range(5) for b in range(a + 1)]
    assert places == list(range(15))
    assert form(packed)(1, 3) == form(packed)(3, 1) == 7


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_are_added_to_the_columns_that_are_named_as_often_as_they_are(dtype, form):
    rng = np.random.default_rng(3)
    products, out = rng.random((6, 9)).astype(dtype), rng.random((6, 4)).astype(dtype)
    source, target = np.array([0, 8, 8, 3], np.int32), np.array([3, 0, 3, 3], np.int32)
    sign = np.array([1, -1, 1, -1], dtype)
    expected = naive.add_products(products, source, target, sign, out)
    form(add_products)(products, source, target, sign, out)
    np.testing.assert_allclose(out, expected, rtol=1e-5 if dtype is np.float32 else 1e-13)
