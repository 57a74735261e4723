import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from astronmf.imaging.preparation.correlation import PairSums

seeds = st.integers(0, 2**32 - 1)


def drawn(seed, n=3, m=4, p=40):
    """Return two stacks with weights and validity, rubbish where they are missing."""
    rng = np.random.default_rng(seed)
    weights = np.where(rng.random((n, p)) < 0.2, 0, rng.uniform(0.5, 2, (n, p)))
    valid = rng.random((m, p)) < 0.8
    first = np.where(weights > 0, rng.normal(100, 3, (n, p)), 1e30)
    second = np.where(valid, rng.normal(50, 2, (m, p)), np.nan)
    return first, weights, second, valid


@given(seeds)
def test_every_pair_agrees_with_a_plain_calculation_on_its_common_pixels(seed):
    first, weights, second, valid = drawn(seed)
    sums = PairSums.of(first, weights, second, valid)
    for i, (x, w) in enumerate(zip(first, weights, strict=True)):
        for j, (y, good) in enumerate(zip(second, valid, strict=True)):
            use = good & (w > 0)
            x1, y1, w1 = x[use], y[use], w[use]
            covariance = np.cov(x1, y1, aweights=w1, ddof=0)
            expected = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
            np.testing.assert_allclose(sums.correlation()[i, j], expected, atol=1e-6)
            factor = (w1 * x1 * y1).sum() / (w1 * y1**2).sum()
            np.testing.assert_allclose(sums.factor()[i, j], factor, rtol=1e-9)
            scatter = np.sqrt(np.average((x1 - factor * y1) ** 2, weights=w1))
            np.testing.assert_allclose(sums.scatter()[i, j], scatter, rtol=1e-5)


@given(seeds, st.floats(0.1, 10), st.floats(-50, 50))
def test_a_correlation_knows_no_brightness_and_no_background(seed, factor, background):
    first, weights, second, valid = drawn(seed)
    one = PairSums.of(first, weights, second, valid).correlation()
    other = PairSums.of(first, weights, factor * second + background, valid).correlation()
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_what_cannot_be_compared_is_nan():
    first, second = np.arange(4.0)[None], np.array([[1.0, 2, 3, 4], [5, 5, 5, 5], [1, 2, 3, 4]])
    valid = np.array([[True] * 4, [True] * 4, [False] * 4])
    sums = PairSums.of(first, np.ones((1, 4)), second, valid)
    np.testing.assert_array_equal(np.isnan(sums.correlation()), [[False, True, True]])
    np.testing.assert_array_equal(np.isnan(sums.scatter()), [[False, False, True]])
