"""An image is placed, scaled and turned as its coordinates say; what it cannot be told is asked for."""

from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import CCDData, NDData
from astropy.wcs import WCS
from helpers import read_only
from imaging_helpers import gaussian, place

from astronmf.exceptions import GeometryWarning
from astronmf.imaging import PSF, Frames, Geometry, PointSource, SkyImage, inject, inject_image, reduce
from astronmf.imaging.geometry import center_pixel, sky_position
from astronmf.imaging.modelling import Observer, Source, as_source
from astronmf.imaging.modelling.sources import is_surface_brightness
from astronmf.imaging.modelling.together import Together

SHAPE = (3, 41, 43)
SCALE = 0.05
POINT = PSF(gaussian((15, 15), 7, 7, fwhm=3.0), 3.0)
PLANET = read_only(gaussian(SHAPE[1:], *sky_position(SHAPE[1:], 9.0, 130.0), fwhm=4.0))


def observer(**parts):
    geometry = Geometry((21.4, 20.2), parts.pop("pixel_scale", SCALE), [0.0, 20.0, -55.0])
    return Observer(geometry, SHAPE, **({"unit": u.mJy} | parts))


def seen(image, **parts):
    return image.frames(observer(**parts))


def model(size, star, scale, position_angle=130.0):
    """Return a planet at 450 mas in an image of other pixels."""
    width = SCALE / scale
    return gaussian((size, size), *place(star, 9.0 * width, position_angle), fwhm=4.0 * width)


def offsets(star, scale, rotation=0.0, mirrored=False, unit="arcsec"):
    """Return a WCS of offsets from the star."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["XOFFSET", "YOFFSET"]
    wcs.wcs.cunit = [unit, unit]
    _place(wcs, star, scale * u.arcsec.to(unit), rotation, mirrored)
    return wcs


def celestial(star, scale, rotation=0.0, mirrored=False, coordinates=(311.3, -31.3)):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = coordinates
    _place(wcs, star, scale / 3600, rotation, mirrored)
    return wcs


def _place(wcs, star, scale, rotation, mirrored):
    wcs.wcs.crpix = np.add(star, 1)
    angle = np.deg2rad(rotation)
    flip = -1 if mirrored else 1
    east, north = (-flip * np.cos(angle), np.sin(angle)), (flip * np.sin(angle), np.cos(angle))
    wcs.wcs.cd = scale * np.array([east, north])


def test_an_image_on_the_pixels_of_the_combined_one_is_taken_as_it_is():
    expected = observer().image(PLANET, convolved=True)
    for image in (PLANET, PLANET * u.mJy, PLANET / 1000 * u.Jy, NDData(PLANET), CCDData(PLANET, unit=u.mJy)):
        np.testing.assert_allclose(seen(SkyImage(image)), expected, atol=1e-15)


@pytest.mark.parametrize(("size", "scale"), [(95, 0.025), (151, 0.016), (33, 0.07), (45, 0.05 * (1 + 1e-12))])
@pytest.mark.parametrize("given", [lambda scale: scale, lambda scale: scale * 1000 * u.mas])
def test_an_image_of_other_pixels_is_in_its_place_with_its_total_flux(size, scale, given):
    image = model(size, (size // 2, size // 2), scale)
    found = seen(SkyImage(image / image.sum(), pixel_scale=given(scale)))
    np.testing.assert_allclose(found.sum(axis=(1, 2)), 1.0, rtol=1e-3)
    expected = observer().image(PLANET / PLANET.sum(), convolved=True)
    np.testing.assert_allclose(found, expected, atol=0.03 * expected.max())


def test_an_image_in_surface_brightness_keeps_its_values():
    image = model(95, (47, 47), 0.025)
    found = seen(SkyImage(image * u.MJy / u.sr, pixel_scale=0.025), unit=u.Jy / u.arcsec**2)
    expected = observer().image(PLANET * (u.MJy / u.sr).to(u.Jy / u.arcsec**2), convolved=True)
    np.testing.assert_allclose(found, expected, atol=0.03 * expected.max())


@pytest.mark.parametrize(
    ("unit", "answer"),
    [
        (None, False),
        ("mJy", False),
        ("electron / s", False),
        ("MJy / sr", True),
        ("Jy / arcsec2", True),
        ("W / (m2 um deg2)", True),
        ("Jy / pix", False),
        ("", False),
    ],
)
def test_a_surface_brightness_is_a_unit_per_solid_angle(unit, answer):
    assert is_surface_brightness(None if unit is None else u.Unit(unit)) is answer


def test_the_star_may_be_anywhere_on_the_image():
    star = (30.3, 60.8)
    found = seen(SkyImage(model(95, star, 0.025), pixel_scale=0.025, center=star), unit=u.MJy / u.sr)
    np.testing.assert_allclose(found, observer().image(PLANET, convolved=True), atol=0.03)


@pytest.mark.parametrize("rotation", [0.0, 0.05, 25.0, -120.0])
@pytest.mark.parametrize("kind", [offsets, celestial, lambda *how: offsets(*how, unit="deg")])
def test_coordinates_say_where_the_star_and_north_are_and_how_large_pixels_are(kind, rotation):
    star = (45.2, 50.9)
    image = model(95, star, 0.025, 130.0 - rotation)
    found = seen(SkyImage(CCDData(image, unit=u.MJy / u.sr, wcs=kind(star, 0.025, rotation))), unit=u.MJy / u.sr)
    np.testing.assert_allclose(found, observer().image(PLANET, convolved=True), atol=0.03)


def test_known_coordinates_of_the_star_count_more_than_the_reference_pixel():
    star, scale = (45.2, 50.9), 0.025
    image = model(95, star, scale)
    wcs = celestial((10.0, 20.0), scale, coordinates=(311.3, -31.3))
    where = wcs.pixel_to_world(*star)
    content = CCDData(image, unit=u.MJy / u.sr, wcs=wcs)
    found = seen(SkyImage(content), unit=u.MJy / u.sr, star=(where.ra.deg, where.dec.deg))
    np.testing.assert_allclose(found, observer().image(PLANET, convolved=True), atol=0.03)


def test_what_is_given_counts_more_than_coordinates():
    star = (45.0, 50.0)
    image = CCDData(model(95, star, 0.025), unit=u.mJy, wcs=offsets((3, 4), 0.8))
    plain = SkyImage(model(95, star, 0.025), pixel_scale=0.025, center=star)
    np.testing.assert_allclose(seen(SkyImage(image, pixel_scale=0.025, center=star)), seen(plain), atol=1e-15)


@pytest.mark.parametrize("about", [{}, {"ra": 311.3, "dec": -31.3}])
def test_what_a_reduction_writes_as_coordinates_is_read_back(science, components, about):
    frames = Frames(science, meta=about)
    result = reduce(frames, components=components, scale="none")
    source = gaussian(result.combined.shape, *sky_position(result.combined.shape, 8.0, 60.0), fwhm=4)
    image = CCDData(source, unit=result.unit, wcs=result.wcs())
    np.testing.assert_allclose(result.forward(image), result.forward(source), atol=1e-7)


def test_sky_coordinates_without_the_star_on_them_are_an_error():
    wcs = celestial((20, 20), SCALE)
    image = SkyImage(CCDData(PLANET, unit=u.mJy, wcs=wcs))
    with pytest.raises(ValueError, match="'wcs' must be of a sky on which the star is"):
        seen(image, star=(131.3, 31.3))


@pytest.mark.parametrize("kind", [offsets, celestial])
def test_a_mirror_image_is_an_error(kind):
    image = CCDData(PLANET, unit=u.mJy, wcs=kind((21, 20), SCALE, mirrored=True))
    with pytest.raises(ValueError, match="'wcs' must be that of an image with east left of north, got a mirror image"):
        SkyImage(image)


def test_oblong_pixels_are_an_error():
    wcs = offsets((21, 20), SCALE)
    wcs.wcs.cd = [[-0.05, 0], [0, 0.06]]
    with pytest.raises(ValueError, match="'wcs' must be that of square pixels"):
        SkyImage(CCDData(PLANET, unit=u.mJy, wcs=wcs))


def test_axes_that_are_no_angles_are_an_error():
    wcs = offsets((21, 20), SCALE)
    wcs.wcs.cunit = ["pix", "pix"]
    with pytest.raises(ValueError, match="'wcs' must be of axes that are angles"):
        SkyImage(CCDData(PLANET, unit=u.mJy, wcs=wcs))


def test_an_image_of_another_size_needs_a_pixel_scale():
    with pytest.raises(
        ValueError, match=r"'image' must be of shape \(41, 43\), got \(31, 31\); give its 'pixel_scale'"
    ):
        seen(SkyImage(np.ones((31, 31))))


def test_an_image_smaller_than_the_field_is_fine_with_one():
    small = seen(SkyImage(PLANET[4:-4, 5:-5], pixel_scale=SCALE))
    np.testing.assert_allclose(small, seen(SkyImage(PLANET)), atol=2e-3)


def test_a_pixel_scale_needs_that_of_the_frames():
    with pytest.raises(ValueError, match="'pixel_scale' must be left out, where the frames' own is not known"):
        seen(SkyImage(PLANET, pixel_scale=SCALE), pixel_scale=None)


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan])
def test_a_pixel_scale_is_above_zero(scale):
    with pytest.raises(ValueError, match="'pixel_scale' must be a number above 0"):
        SkyImage(PLANET, pixel_scale=scale)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_image_with_holes_is_an_error_that_counts_them(value):
    image = PLANET.copy()
    image[3, 4:6] = value
    with pytest.raises(ValueError, match=r"'disk' must be finite everywhere \(0 where there is no source\), got 2 NaN"):
        as_source("disk", image)


def test_masked_pixels_are_holes():
    mask = PLANET > 0.9
    for image in (np.ma.array(PLANET, mask=mask), CCDData(PLANET, unit=u.mJy, mask=mask)):
        with pytest.raises(ValueError, match="'image' must be finite everywhere"):
            SkyImage(image)


@pytest.mark.parametrize("shape", [(5,), (2, 5, 5)])
def test_an_image_has_two_axes(shape):
    with pytest.raises(ValueError, match=r"'image' must be of shape \(any, any\)"):
        SkyImage(np.ones(shape))


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        (u.m, "'image' must be in a unit that converts to mJy, got m"),
        (
            u.MJy / u.sr,
            "'image' must be in mJy, flux per pixel, .* got MJy / sr, a surface brightness; multiply",
        ),
        (u.Jy / u.beam, "'image' must be in a unit that converts to mJy, got Jy / beam"),
    ],
)
def test_a_unit_of_something_else_is_an_error(unit, message):
    with pytest.raises(ValueError, match=message):
        seen(SkyImage(PLANET * unit))


def test_a_unit_needs_that_of_the_frames():
    with pytest.raises(ValueError, match="'image' must be without a unit, as the data are, got mJy"):
        seen(SkyImage(PLANET * u.mJy), unit=None)


def test_the_unit_may_be_told():
    np.testing.assert_allclose(seen(SkyImage(PLANET, unit="Jy")), 1000 * seen(SkyImage(PLANET)), atol=1e-12)


def test_an_image_is_convolved_where_there_is_a_psf_unless_it_is_already():
    blurred, plain = observer(psf=POINT).image(PLANET, convolved=False), observer().image(PLANET, convolved=True)
    assert np.abs(blurred - plain).max() > 0.1
    np.testing.assert_array_equal(seen(SkyImage(PLANET), psf=POINT), blurred)
    np.testing.assert_array_equal(seen(SkyImage(PLANET, convolved=False), psf=POINT), blurred)
    np.testing.assert_array_equal(seen(SkyImage(PLANET, convolved=True), psf=POINT), plain)
    np.testing.assert_array_equal(seen(SkyImage(PLANET)), plain)
    np.testing.assert_array_equal(seen(SkyImage(PLANET, convolved=True)), plain)


def test_an_image_that_is_to_be_convolved_needs_a_psf():
    with pytest.raises(ValueError, match="'psf' must be given, for a source that is not convolved yet"):
        seen(SkyImage(PLANET, convolved=False))


def test_negative_and_zero_images_are_images():
    np.testing.assert_array_equal(seen(SkyImage(-PLANET)), -seen(SkyImage(PLANET)))
    assert (seen(SkyImage(np.zeros(SHAPE[1:]))) == 0).all()


def test_an_image_is_not_modified():
    image = PLANET.copy()
    seen(SkyImage(image), psf=POINT)
    np.testing.assert_array_equal(image, PLANET)


def test_a_planet_is_what_is_injected():
    frames = Frames(np.zeros(SHAPE), geometry=observer().geometry, unit="mJy")
    for flux in (30.0, 0.03 * u.Jy):
        found = seen(PointSource(450 * u.mas, 130.0, flux), psf=POINT)
        np.testing.assert_allclose(found, inject(frames, POINT, 9.0, 130.0, 30.0).data, atol=1e-12)


def test_a_planet_needs_a_psf_and_a_flux_in_the_frames_unit():
    with pytest.raises(ValueError, match="'psf' must be given"):
        seen(PointSource(9.0, 130.0))
    with pytest.raises(ValueError, match="'flux' must be without a unit, as the data are"):
        seen(PointSource(9.0, 130.0, 1 * u.mJy), psf=POINT, unit=None)
    with pytest.raises(ValueError, match="'flux' must be in a unit that converts to mJy, got m"):
        seen(PointSource(9.0, 130.0, 1 * u.m), psf=POINT)


def test_anything_that_knows_its_frames_is_a_source():
    class Flat:
        def frames(self, observer):
            return np.ones(observer.shape)

    flat = Flat()
    assert isinstance(flat, Source)
    assert as_source("flat", flat) is flat
    frames = Frames(np.zeros(SHAPE), geometry=observer().geometry)
    assert (inject_image(frames, flat).data == 1).all()
    with pytest.raises(ValueError, match="'pixel_scale' must be left out for a source that is no image"):
        as_source("flat", flat, pixel_scale=0.1)


def test_a_pixel_scale_may_come_with_the_image_or_beside_it():
    image = model(95, (47, 47), 0.025)
    one = seen(as_source("image", image, pixel_scale=0.025))
    np.testing.assert_array_equal(seen(as_source("image", SkyImage(image), pixel_scale=0.025)), one)
    np.testing.assert_array_equal(seen(as_source("image", SkyImage(image, pixel_scale=0.025))), one)


@pytest.mark.parametrize("content", [None, b"disk.fits"])
def test_what_is_no_image_is_an_error_that_names_it(content):
    with pytest.raises(ValueError, match="'template' must be an array of real numbers"):
        as_source("template", content)


def test_the_star_is_at_n_over_2_by_default():
    image = np.zeros((10, 12))
    x, y = center_pixel(image.shape)
    image[y, x] = 1.0
    geometry = Geometry((4.0, 5.0), SCALE)
    frames = SkyImage(image, pixel_scale=SCALE).frames(Observer(geometry, (1, 9, 9)))
    assert frames[0, 5, 4] == 1
    assert frames.sum() == 1


@pytest.mark.parametrize("content", ["disk.fits", Path("disk.fits")])
def test_the_name_of_a_file_is_an_error_that_says_how_it_is_read(content):
    message = "'template 0' must be a source or an image, got the name of a file, 'disk.fits'; read it first"
    with pytest.raises(ValueError, match=message):
        as_source("template 0", content)


def test_several_sources_are_added_up():
    planet, total = (
        PointSource(9.0, 130.0),
        seen(PointSource(9.0, 130.0), psf=POINT) + seen(SkyImage(PLANET), psf=POINT),
    )
    for content in ([planet, PLANET], (planet, SkyImage(PLANET)), {"planet": planet, "disk": PLANET}):
        source = as_source("source", content)
        assert isinstance(source, Together)
        np.testing.assert_allclose(seen(source, psf=POINT), total, atol=1e-15)
    with pytest.raises(ValueError, match="'disk' must be finite everywhere"):
        as_source("source", {"planet": planet, "disk": PLANET * np.nan})


def test_rows_of_numbers_are_one_image():
    np.testing.assert_array_equal(as_source("image", list(PLANET)).data, PLANET)
    np.testing.assert_array_equal(as_source("image", PLANET.tolist()).data, PLANET)


@pytest.mark.parametrize("unit", [u.Jy, u.Jy / u.pix])
@pytest.mark.parametrize("frames_unit", [u.mJy, u.mJy / u.pix])
def test_flux_and_flux_per_pixel_are_the_same(unit, frames_unit):
    found = seen(SkyImage(PLANET / 1000 * unit), unit=frames_unit)
    np.testing.assert_allclose(found, seen(SkyImage(PLANET)), atol=1e-12)


@pytest.mark.parametrize("unit", [u.Jy, u.mJy / u.pix])
@pytest.mark.parametrize("scale", [0.025, SCALE])
def test_flux_per_pixel_becomes_a_surface_brightness_by_the_area_of_its_own_pixels(unit, scale):
    size = int(47 * SCALE / scale) // 2 * 2 + 1
    image = model(size, (size // 2, size // 2), scale)
    area = (scale * u.arcsec) ** 2
    brightness = (image * (u.Jy if unit == u.Jy else u.mJy) / area).to(u.MJy / u.sr)
    found = seen(SkyImage(image * unit, pixel_scale=scale), unit=u.MJy / u.sr)
    expected = seen(SkyImage(brightness, pixel_scale=scale), unit=u.MJy / u.sr)
    np.testing.assert_allclose(found, expected, atol=1e-10 * expected.max())


def test_flux_becomes_a_surface_brightness_on_the_frames_own_pixels_if_their_scale_is_known():
    found = seen(SkyImage(PLANET * u.Jy), unit=u.Jy / u.arcsec**2)
    np.testing.assert_allclose(found, seen(SkyImage(PLANET)) / SCALE**2, atol=1e-10)
    with pytest.raises(ValueError, match="got Jy, where the frames' pixel scale is not known"):
        seen(SkyImage(PLANET * u.Jy), unit=u.Jy / u.arcsec**2, pixel_scale=None)


def test_a_planet_s_flux_in_frames_of_surface_brightness_is_its_sum_times_the_pixel_s_area():
    found = seen(PointSource(9.0, 130.0, 2 * u.Jy), psf=POINT, unit=u.Jy / u.arcsec**2)
    np.testing.assert_allclose(found.sum(axis=(1, 2)) * SCALE**2, 2.0, rtol=1e-4)


def test_an_image_that_is_cut_off_is_named():
    with pytest.warns(GeometryWarning, match="'disk' has 50% of its peak along its edge"):
        as_source("disk", gaussian((15, 15), 7, 11, fwhm=6.0), pixel_scale=SCALE).frames(observer())
