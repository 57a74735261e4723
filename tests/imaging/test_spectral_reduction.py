import astropy.units as u
import numpy as np
import pytest
from helpers import read_only

from astronmf.imaging import SpectralReduction

IMAGES = read_only(np.random.default_rng(1).normal(size=(3, 6, 9)))
ERRORS = read_only(np.random.default_rng(2).uniform(0.5, 2, (3, 6, 9)))


@pytest.fixture
def reduction():
    images = np.array(IMAGES)
    images[0, 0, 0] = images[:, 5, 8] = np.nan
    meta = {"parameters": {"mode": "sdi"}}
    return SpectralReduction(
        images, ERRORS, np.ones(images.shape, int), np.array([1.0, 1.2, 1.5]), unit=u.Jy, meta=meta
    )


def test_channels_collapse_by_inverse_variance_each_pixel_from_those_that_have_it(reduction):
    weights = np.where(np.isnan(reduction.combined), 0.0, ERRORS**-2)
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = np.nansum(weights * reduction.combined, axis=0) / weights.sum(axis=0)
        errors = np.where(weights.any(axis=0), weights.sum(axis=0) ** -0.5, np.nan)
    np.testing.assert_allclose(reduction.collapsed, expected, rtol=1e-12)
    np.testing.assert_allclose(reduction.collapsed_uncertainty, errors, rtol=1e-12)
    assert np.isnan(reduction.collapsed[5, 8])


def test_channels_collapse_by_their_mean_or_median_where_that_is_asked_for(reduction):
    np.testing.assert_allclose(reduction.collapse("mean").image[1:5], IMAGES[:, 1:5].mean(axis=0))
    np.testing.assert_allclose(reduction.collapse("median").image[1:5], np.median(IMAGES[:, 1:5], axis=0))
    with pytest.raises(ValueError, match="'combine' must be one of"):
        reduction.collapse("sum")


def test_one_channel_collapses_to_itself():
    one = SpectralReduction(IMAGES[:1], ERRORS[:1], np.ones((1, 6, 9), int), np.array([1.0]))
    np.testing.assert_allclose(one.collapsed, IMAGES[0])
    np.testing.assert_allclose(one.collapsed_uncertainty, ERRORS[0])


def test_the_star_is_at_the_centre_pixel_and_it_says_what_is_inside(reduction):
    assert reduction.center == (4, 3)
    assert len(reduction) == 3
    assert repr(reduction) == "<SpectralReduction: 3 channels, 1-1.5 µm, of 6 x 9 pixels, mode 'sdi'>"
