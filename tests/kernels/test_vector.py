import numpy as np
import pytest

from astronmf.kernels._jit import jit
from astronmf.kernels._vector import FLAGS, VECTOR_BYTES, lanes, load, positive, store, total, zeros


@jit
def worked_on(values, out):
    """Write ``max(x y + x − y, 0)`` of the first two vectors to the second place of `out`; return its sum."""
    one, other = load(values, 0), load(values, lanes(values))
    result = positive(one * other + one - other)
    store(out, lanes(out), result)
    return total(result)


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def values(request):
    return np.random.default_rng(5).normal(size=3 * VECTOR_BYTES // request.param().itemsize).astype(request.param)


def test_a_vector_is_as_many_items_as_fit(values, form):
    assert form(lanes)(values) * values.itemsize == VECTOR_BYTES


def test_arithmetic_goes_item_by_item_and_writes_one_vector(values, form):
    size = lanes(values)
    x, y = values[:size], values[size : 2 * size]
    expected = np.maximum(x * y + x - y, 0)
    out = np.full_like(values, -1)
    result = form(worked_on)(values, out)
    tolerance = 1e-5 if values.dtype == np.float32 else 1e-13
    np.testing.assert_allclose(out[size : 2 * size], expected, atol=tolerance)
    assert (out[:size] == -1).all()
    assert (out[2 * size :] == -1).all()
    assert result == pytest.approx(expected.sum(), rel=tolerance)


def test_what_is_not_above_zero_becomes_zero_and_so_does_nan(values, form):
    values[3] = np.nan
    out = np.zeros_like(values)
    assert np.isfinite(form(worked_on)(values, out))
    assert out[lanes(values) + 3] == 0


def test_nan_goes_through_arithmetic(values, form):
    @jit
    def added(source, out):
        store(out, 0, load(source, 0) + load(source, 0) * zeros(source))

    values[3] = np.nan
    out = np.zeros_like(values)
    form(added)(values, out)
    np.testing.assert_array_equal(np.isnan(out), np.arange(out.size) == 3)


def test_vector_instructions_do_not_assume_that_nothing_is_nan():
    assert not {"nnan", "ninf", "fast"} & set(FLAGS)


def test_a_vector_starts_anywhere(values, form):
    @jit
    def shifted(source, out):
        store(out, 1, load(source, 3))

    out = np.zeros_like(values)
    shifted(values, out)
    np.testing.assert_array_equal(out[1 : 1 + lanes(values)], values[3 : 3 + lanes(values)])
