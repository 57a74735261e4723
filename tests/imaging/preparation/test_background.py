import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import CCDData, StdDevUncertainty
from imaging_helpers import gaussian
from preparation_helpers import last_step, make_frames

from astronmf.imaging import Frames
from astronmf.imaging.preparation import subtract_background

SHAPE = (3, 61, 61)


def on_a_background(level, seed=1, noise=1.0):
    """Return frames of a star on a background of (y, x), with noise."""
    rng = np.random.default_rng(seed)
    return gaussian(SHAPE[1:], 30, 30, fwhm=6, peak=1000.0) + level + noise * rng.standard_normal(SHAPE)


def test_a_constant_is_found_without_being_misled_by_the_star_or_by_outliers():
    data = on_a_background(37.0) + np.array([0, 5, -60])[:, None, None]
    data[:, ::9, ::9] += 1e4
    after = subtract_background(Frames(data), inner_radius=12)
    np.testing.assert_allclose(last_step(after)["levels"], [37, 42, -23], atol=0.1)
    np.testing.assert_allclose(
        data - after.data, np.broadcast_to(np.reshape([37, 42, -23], (3, 1, 1)), SHAPE), atol=0.1
    )


def test_the_error_of_a_constant_is_that_of_the_median():
    found = [
        last_step(subtract_background(Frames(on_a_background(0.0, seed=seed)), inner_radius=25))["levels"]
        for seed in range(60)
    ]
    after = subtract_background(Frames(on_a_background(0.0), 1e-6), inner_radius=25)
    assert np.std(found) == pytest.approx(after.sigma[0, 0, 0], rel=0.25)


def test_a_slope_is_followed_by_a_map():
    y, x = np.indices(SHAPE[1:])
    level = 20 + 0.3 * x - 0.1 * y
    after = subtract_background(Frames(on_a_background(level)), "map", inner_radius=12, box_size=12)
    distance = np.hypot(x - 30, y - 30)
    far = (distance > 14) & (distance < 27)  # at the edges a map is extrapolated
    left = after.data[:, far]
    assert abs(np.median(left)) < 0.1
    assert left.std() < 1.5
    assert on_a_background(level)[:, far].std() > 4


def test_errors_are_added_in_quadrature():
    frames = make_frames()
    after = subtract_background(frames, 3.0, uncertainty=2.0)
    good = ~frames.mask
    np.testing.assert_allclose(after.sigma[good], np.hypot(frames.sigma[good], 2.0))
    np.testing.assert_allclose(after.data[good], frames.data[good] - 3.0)
    np.testing.assert_array_equal(subtract_background(frames, 3.0).sigma[good], frames.sigma[good])


GIVEN = {
    "number": lambda image: 3.0,
    "image": lambda image: image,
    "cube": lambda image: np.broadcast_to(image, (5, *image.shape)),
    "one number a frame": lambda image: np.full((5, 1, 1), 3.0),
    "Quantity": lambda image: u.Quantity(image / 1000, "1e3 adu"),
    "CCDData": lambda image: CCDData(image, unit="adu", uncertainty=StdDevUncertainty(np.full(image.shape, 1e-9))),
    "Frames": lambda image: Frames(image, unit="adu", center=(0, 0)),
}


@pytest.mark.parametrize("make", GIVEN.values(), ids=GIVEN)
def test_a_background_of_any_kind_may_be_given(make):
    frames = make_frames()
    after = subtract_background(frames, make(np.full(frames.shape[1:], 3.0)))
    np.testing.assert_allclose(after.data[~after.mask], frames.data[~frames.mask] - 3.0)
    assert last_step(after)["parameters"] == {"background": "given"}


def test_where_a_given_background_is_missing_the_result_is():
    frames = make_frames(masked=0)
    level = np.zeros(frames.shape[1:])
    level[3, 4] = np.nan
    image = np.ma.MaskedArray(level, np.broadcast_to(np.arange(35) == 7, level.shape))
    after = subtract_background(frames, image)
    expected = np.zeros(frames.shape, bool)
    expected[:, 3, 4] = expected[:, :, 7] = True
    np.testing.assert_array_equal(after.mask, expected)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"background": "median"}, "'background' must be one of 'constant', 'map', got 'median'"),
        ({"background": np.ones((3, 3))}, r"'background' must be of shape \(5, 33, 35\)"),
        ({"background": 3 * u.Jy}, "not convertible"),
        ({"background": 1.0, "uncertainty": -1.0}, "'uncertainty' must be non-negative, got -1.0"),
        ({"uncertainty": 1.0}, "'uncertainty' must be left out with background='constant'"),
        ({"inner_radius": 99}, "'outer_radius' must be such that pixels lie"),
        ({"sigma_clip": 0}, "'sigma_clip' must be a number in"),
        ({"background": "map", "box_size": 99}, r"'box_size' must be an integer in \[2, 33\], got 99"),
        ({"background": "map", "inner_radius": 20, "outer_radius": 20.5}, "'box_size' must be such that some boxes"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        subtract_background(make_frames(), **arguments)


def test_a_frame_without_a_valid_pixel_is_named():
    frames = make_frames()
    empty = Frames(frames, mask=np.reshape([0, 0, 1, 0, 0], (5, 1, 1)))
    with pytest.raises(ValueError, match="valid pixels between the radii, got none in night 2"):
        subtract_background(empty)


def test_a_unit_that_the_frames_lack_is_refused():
    with pytest.raises(ValueError, match="'background' must be without a unit, as the data are, got Jy"):
        subtract_background(Frames(np.ones((1, 3, 3))), 3 * u.Jy)
