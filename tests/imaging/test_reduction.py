from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from imaging_helpers import PIXEL_SCALE, place

from astronmf.imaging import reduce


def with_position(reduction, ra=310.0, dec=-31.0):
    return replace(reduction, meta=reduction.meta | {"ra": ra, "dec": dec})


def arcseconds(values, wcs):
    """Return offsets in arcseconds, whatever the unit of the coordinates."""
    return u.Quantity(values, wcs.wcs.cunit[0]).to_value(u.arcsec)


def test_the_last_of_all_numbers_of_components_is_the_combined_image(reduction):
    cube = reduction.over_components()
    assert cube.shape == (3, 33, 33)
    np.testing.assert_array_equal(cube[-1], reduction.combined)


@pytest.mark.parametrize("scale", ["bff", "none", 0.9, [0.9, 1.0, 1.1, 1.0]])
def test_every_number_of_components_is_the_reduction_with_so_many(science, components, scale):
    cube = reduce(science, components=components, scale=scale).over_components()
    for k, image in enumerate(cube, start=1):
        single = reduce(science, components=components, n_components=k, scale=scale)
        np.testing.assert_array_equal(image, single.combined)


def test_more_components_leave_less_of_the_star(reduction):
    spreads = [np.nanstd(image) for image in reduction.over_components()]
    assert spreads == sorted(spreads, reverse=True)


def test_a_line_says_what_is_inside(reduction):
    expected = f"<Reduction: 4 frames of 33 x 33 pixels, 3 components, χ² {reduction.chi2:.6g}>"
    assert repr(reduction) == expected


def test_the_unit_is_that_of_the_science_frames(reduction, science):
    assert reduction.unit == science.unit == u.MJy / u.sr


@pytest.mark.parametrize("change", [lambda result: result, with_position], ids=["offsets", "position"])
def test_north_is_up_and_east_is_left(reduction, change):
    wcs = change(reduction).wcs()
    np.testing.assert_allclose(arcseconds(wcs.wcs.cdelt, wcs), [-PIXEL_SCALE, PIXEL_SCALE])
    np.testing.assert_allclose(wcs.wcs.crpix, [17, 17])
    assert wcs.wcs.get_pc().tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("position_angle", [0.0, 40.0, 128.0, 250.0])
def test_sky_coordinates_give_separation_and_position_angle(reduction, position_angle):
    wcs = with_position(reduction).wcs()
    star = SkyCoord(*wcs.wcs_pix2world(16, 16, 0), unit="deg")
    source = SkyCoord(*wcs.wcs_pix2world(*place((16, 16), 10, position_angle), 0), unit="deg")
    assert (star.ra.deg, star.dec.deg) == pytest.approx((310.0, -31.0))
    assert star.position_angle(source).deg == pytest.approx(position_angle, abs=1e-3)
    assert star.separation(source).arcsec == pytest.approx(10 * PIXEL_SCALE, rel=1e-4)


def test_without_a_position_coordinates_are_offsets_from_the_star(reduction):
    wcs = reduction.wcs()
    offsets = arcseconds(wcs.wcs_pix2world(*place((16, 16), 10, 90.0), 0), wcs)
    np.testing.assert_allclose(offsets, [10 * PIXEL_SCALE, 0], atol=1e-9)


def test_without_a_pixel_scale_there_are_no_coordinates(observation, components):
    result = reduce(observation.science_frames(pixel_scale=None), components=components)
    assert result.wcs() is None
    assert result.to_ccddata().wcs is None


def test_a_ccddata_has_image_errors_mask_unit_and_coordinates(observation, components):
    result = with_position(reduce(observation.science_frames(), components=components, inner_radius=3))
    image = result.to_ccddata()
    np.testing.assert_array_equal(image.data, result.combined)
    np.testing.assert_array_equal(image.uncertainty.array, result.combined_uncertainty)
    np.testing.assert_array_equal(image.mask, np.isnan(result.combined))
    assert image.unit == result.unit
    assert image.wcs.celestial.wcs.crval.tolist() == [310.0, -31.0]


def test_a_ccddata_of_frames_without_a_unit_is_dimensionless(observation):
    frames, others = observation.science_frames(unit=None), observation.reference_frames(unit=None)
    result = reduce(frames, others, n_components=2)
    assert result.to_ccddata().unit == u.dimensionless_unscaled


def test_errors_and_coverage_belong_to_the_image(reduction, science):
    assert reduction.coverage.max() == len(science)
    np.testing.assert_array_equal(np.isnan(reduction.combined), reduction.coverage == 0)
    np.testing.assert_array_equal(np.isnan(reduction.combined_uncertainty), reduction.coverage == 0)
    assert np.nanmin(reduction.combined_uncertainty) > 0


def test_given_factors_are_without_error(science, components):
    result = reduce(science, components=components, scale=[0.9, 1.0, 1.1, 1.2])
    assert result.scale_factors.tolist() == [0.9, 1.0, 1.1, 1.2]
    assert result.scale_factor_errors.tolist() == [0.0] * 4


def test_found_factors_are_1_within_their_errors(science, components):
    result = reduce(science, components=components)
    np.testing.assert_allclose((result.scale_factors - 1) / result.scale_factor_errors, 0, atol=4)


def test_a_frozen_result_cannot_be_changed(reduction):
    with pytest.raises(AttributeError):
        reduction.combined = None
