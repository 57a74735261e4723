import numpy as np
import pytest
from helpers import read_only
from scipy import ndimage

from astronmf.imaging.detection.apertures import ApertureMap, aperture_fluxes, ring_angles

NOISE = np.random.default_rng(1).normal(size=(41, 37))
IMAGE = read_only(ndimage.gaussian_filter(NOISE, 1.3))
RADIUS = 2.3


def overlap_by_counting(x, y, radius, shape, fine=40):
    """Return the share of each pixel inside a circle, by counting points: (y, x)."""
    steps = (np.arange(fine) + 0.5) / fine - 0.5
    rows, columns = np.indices(shape)
    inside = [np.hypot(columns + b - x, rows + a - y) < radius for a in steps for b in steps]
    return np.mean(inside, axis=0)


def test_pixels_count_by_their_overlap():
    expected = np.sum(IMAGE * overlap_by_counting(17.3, 20.8, RADIUS, IMAGE.shape))
    assert aperture_fluxes(IMAGE, np.array([17.3]), np.array([20.8]), RADIUS)[0] == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize(("x", "y"), [(1.7, 20), (20, 1.7), (34.4, 20), (20, 38.4), (-5, 3), (100, 100)])
def test_an_aperture_beyond_the_edge_has_no_flux(x, y):
    assert np.isnan(aperture_fluxes(IMAGE, np.array([x]), np.array([y]), RADIUS)[0])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_aperture_with_a_missing_pixel_has_no_flux(value):
    holed = IMAGE.copy()
    holed[20, 20] = value
    fluxes = aperture_fluxes(holed, np.array([18.0, 17.0]), np.array([20.0, 20.0]), RADIUS)
    assert np.isnan(fluxes[0])
    assert fluxes[1] == aperture_fluxes(IMAGE, np.array([17.0]), np.array([20.0]), RADIUS)[0]


def test_no_aperture_is_no_flux():
    assert aperture_fluxes(IMAGE, np.empty(0), np.empty(0), RADIUS).shape == (0,)


def test_on_pixels_the_map_is_exact():
    y, x = np.mgrid[3:38, 3:34]
    found = ApertureMap.of(IMAGE, RADIUS).at(x, y)
    exact = aperture_fluxes(IMAGE, x.ravel(), y.ravel(), RADIUS).reshape(x.shape)
    np.testing.assert_allclose(found, exact, atol=1e-12)


@pytest.mark.parametrize(("image", "tolerance"), [(IMAGE, 4e-3), (NOISE, 2e-2)], ids=["smooth", "white noise"])
@pytest.mark.parametrize("radius", [1.15, 2.3])
def test_between_pixels_the_map_is_nearly_exact(image, tolerance, radius):
    x, y = np.random.default_rng(2).uniform([[4], [4]], [[32], [36]], (2, 500))
    exact = aperture_fluxes(image, x, y, radius)
    error = ApertureMap.of(image, radius).at(x, y) - exact
    assert error.std() < tolerance * exact.std()


def test_the_map_knows_what_is_missing():
    holed = IMAGE.copy()
    holed[20, 20], holed[30, :5] = np.nan, np.inf
    x, y = np.random.default_rng(3).uniform([[-3], [-3]], [[39], [43]], (2, 4000))
    found, exact = ApertureMap.of(holed, RADIUS).at(x, y), aperture_fluxes(holed, x, y, RADIUS)
    assert np.isnan(found[np.isnan(exact)]).all()
    assert np.isnan(found).mean() < np.isnan(exact).mean() + 2e-3


def test_what_a_missing_pixel_held_changes_no_bit():
    images = [IMAGE.copy() for _ in range(2)]
    images[0][20, 20], images[1][20, 20] = np.nan, -np.inf
    y, x = np.indices(IMAGE.shape)
    one, other = (ApertureMap.of(image, RADIUS).at(x, y) for image in images)
    np.testing.assert_array_equal(one, other)


def test_touching_apertures_are_one_diameter_apart_and_go_clockwise():
    (turn,) = ring_angles(np.array([16.45]), 22, 4.6, "touching", flanks=True)
    places = 16.45 * np.exp(1j * np.append(0, turn))
    np.testing.assert_allclose(np.abs(np.diff(places)), 4.6)
    assert turn[0] < 0


def test_even_apertures_leave_no_gap():
    (turn,) = ring_angles(np.array([16.45]), 22, 4.6, "even", flanks=True)
    np.testing.assert_allclose(np.diff(turn), -2 * np.pi / 22)
    assert turn[-1] == pytest.approx(-2 * np.pi * 21 / 22)


@pytest.mark.parametrize("spacing", ["touching", "even"])
def test_the_flanks_are_the_first_and_the_last(spacing):
    every, fewer = (ring_angles(np.array([9.0, 9.1]), 12, 4.6, spacing, flanks=flanks) for flanks in (True, False))
    np.testing.assert_array_equal(fewer, every[:, 1:-1])


def test_another_spacing_is_an_error():
    with pytest.raises(ValueError, match="'spacing' must be one of 'touching', 'even', got 'wide'"):
        ring_angles(np.array([9.0]), 12, 4.6, "wide", flanks=True)
