import numpy as np
import pytest
from helpers import read_only

from astronmf.imaging import Geometry
from astronmf.imaging.combination import combine, turn

SHAPE = (5, 6, 7)
FRAMES = np.random.default_rng(1).normal(size=SHAPE)
FRAMES[1, 2, 3] = FRAMES[:, 5, 5] = FRAMES[1:, 0, 0] = np.nan
FRAMES = read_only(FRAMES)
VARIANCES = read_only(np.random.default_rng(2).uniform(0.5, 4, SHAPE))
SEEN = np.isfinite(FRAMES).sum(axis=0)


@pytest.fixture(params=["mean", "median", "weighted"])
def method(request):
    return request.param


def nan_free(values):
    """Return one pixel's values that are there, and their variances."""
    return FRAMES[(slice(None), *values)][there(values)], VARIANCES[(slice(None), *values)][there(values)]


def there(pixel):
    return np.isfinite(FRAMES[(slice(None), *pixel)])


def expected(method, pixel):
    """Return a pixel's value and variance, written as they stand."""
    values, variances = nan_free(pixel)
    if method == "weighted":
        return np.sum(values / variances) / np.sum(1 / variances), 1 / np.sum(1 / variances)
    variance = np.sum(variances) / values.size**2
    if method == "mean":
        return np.mean(values), variance
    return np.median(values), variance * (np.pi / 2 if values.size > 2 else 1)


def test_every_pixel_is_what_the_formula_says(method):
    found = combine(FRAMES, VARIANCES, method)
    for pixel in zip(*np.nonzero(SEEN), strict=True):
        value, variance = expected(method, pixel)
        assert found.image[pixel] == pytest.approx(value, rel=1e-12)
        assert found.uncertainty[pixel] ** 2 == pytest.approx(variance, rel=1e-12)


def test_a_pixel_that_no_frame_has_is_blank(method):
    found = combine(FRAMES, VARIANCES, method)
    np.testing.assert_array_equal(np.isnan(found.image), SEEN == 0)
    np.testing.assert_array_equal(np.isnan(found.uncertainty), SEEN == 0)


def test_coverage_counts_the_frames_that_have_a_value(method):
    np.testing.assert_array_equal(combine(FRAMES, VARIANCES, method).coverage, SEEN)


def test_a_frame_without_a_variance_does_not_count(method):
    variances = np.array(VARIANCES)
    variances[4] = np.nan
    found, without = combine(FRAMES, variances, method), combine(FRAMES[:4], VARIANCES[:4], method)
    np.testing.assert_array_equal(found.image, without.image)
    np.testing.assert_array_equal(found.coverage, without.coverage)


def test_one_frame_is_its_own_combination(method):
    found = combine(FRAMES[:1], VARIANCES[:1], method)
    np.testing.assert_allclose(found.image, FRAMES[0], rtol=1e-14)
    known = np.isfinite(FRAMES[0])
    np.testing.assert_allclose(found.uncertainty[known], np.sqrt(VARIANCES[0][known]), rtol=1e-14)


def test_the_errors_of_noise_are_its_scatter(method):
    rng = np.random.default_rng(3)
    variances = rng.uniform(0.8, 1.3, (9, 50, 50))
    found = combine(rng.normal(size=variances.shape) * np.sqrt(variances), variances, method)
    assert np.std(found.image / found.uncertainty) == pytest.approx(1, abs=0.06)


def test_an_unknown_method_is_an_error():
    with pytest.raises(ValueError, match="'combine' must be one of 'mean', 'median', 'weighted', got 'sum'"):
        combine(FRAMES, VARIANCES, "sum")


def test_each_frame_is_turned_by_its_own_angle():
    cube = np.random.default_rng(4).normal(size=(3, 9, 9))
    turned = turn(cube, Geometry(center=(4, 4), angles=[0.0, 90.0, 180.0]))
    expected = [np.rot90(frame, -i) for i, frame in enumerate(cube)]
    np.testing.assert_allclose(turned[:, 1:-1, 1:-1], np.array(expected)[:, 1:-1, 1:-1], atol=1e-9)
