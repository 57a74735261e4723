import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import CCDData, NDData
from helpers import read_only

from astronmf.imaging import Frames
from astronmf.imaging.plain import plain_image, plain_values, values_in

IMAGE = read_only(np.arange(12.0).reshape(3, 4))
MASK = read_only(IMAGE == 5)


@pytest.mark.parametrize(
    "content",
    [
        np.ma.masked_array(IMAGE, MASK),
        NDData(IMAGE, mask=MASK),
        np.where(MASK, np.inf, IMAGE),
        np.where(MASK, np.nan, IMAGE).astype(">f4"),
    ],
    ids=["masked array", "NDData", "infinite", "big-endian"],
)
def test_what_is_masked_or_not_finite_becomes_nan(content):
    values, unit = plain_image("image", content)
    np.testing.assert_array_equal(values, np.where(MASK, np.nan, IMAGE))
    assert values.dtype == np.float64
    assert unit is None


@pytest.mark.parametrize("content", [IMAGE * u.Jy, NDData(IMAGE, unit=u.Jy), CCDData(IMAGE, unit=u.Jy)])
def test_units_are_told_apart_from_values(content):
    values, unit = plain_image("image", content)
    np.testing.assert_array_equal(values, IMAGE)
    assert unit == u.Jy


def test_frames_keep_their_first_axis():
    frames = Frames(IMAGE, mask=MASK, center=(1, 1), unit="Jy")
    values, unit = plain_values("frames", frames)
    assert values.shape == (1, 3, 4)
    assert np.isnan(values[0][MASK]).all()
    assert unit == u.Jy


def test_of_a_reduction_it_is_the_combined_image(reduction):
    values, unit = plain_image("image", reduction)
    np.testing.assert_array_equal(values, reduction.combined)
    assert unit == reduction.unit


def test_the_input_is_untouched():
    content = np.ma.masked_array(IMAGE.copy(), MASK)
    plain_image("image", content)
    np.testing.assert_array_equal(content.data, IMAGE)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (IMAGE[0], r"'image' must be of shape \(any, any\), got \(4,\)"),
        (np.full((3, 4), np.nan), "'image' must be an image with at least one valid pixel, got none"),
        (IMAGE + 1j, "'image' must be an array of real numbers"),
    ],
)
def test_what_is_no_image_is_an_error(content, message):
    with pytest.raises(ValueError, match=message):
        plain_image("image", content)


def test_values_are_converted_to_the_unit_that_is_wanted():
    np.testing.assert_allclose(values_in("flux", [1, 2] * u.Jy, u.mJy), [1000, 2000])
    np.testing.assert_array_equal(values_in("flux", [1, 2], u.mJy), [1, 2])
    assert values_in("flux", 3, None).shape == ()


def test_a_unit_where_there_is_none_to_compare_with_is_an_error():
    with pytest.raises(ValueError, match="'flux' must be without a unit, as the data are, got Jy"):
        values_in("flux", 1 * u.Jy, None)
