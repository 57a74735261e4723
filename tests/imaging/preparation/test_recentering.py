import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from imaging_helpers import centroid, gaussian
from preparation_helpers import last_step, make_frames, valid_data

from astronmf.exceptions import GeometryWarning
from astronmf.imaging import Frames
from astronmf.imaging.preparation import find_center, recenter, set_center
from benchmarks import centering as scenes

places = st.floats(16, 24)


@given(places, places, st.sampled_from([(41, 41), (40, 42), (41, 40)]))
def test_the_star_lands_on_the_middle_pixel(x, y, shape):
    moved = recenter(Frames(gaussian(shape, x, y, fwhm=4.0), center=(x, y)), (x, y))
    middle = (shape[1] // 2, shape[0] // 2)
    assert moved.geometry.center == middle
    core = np.where(moved.mask, 0, moved.data)[0, middle[1] - 7 : middle[1] + 8, middle[0] - 7 : middle[0] + 8]
    np.testing.assert_allclose(centroid(core), (7, 7), atol=0.02)


def test_stars_that_are_found_are_all_brought_to_one_pixel():
    frames, truth = scenes.simulate(scenes.star, count=3)
    moved = recenter(frames, method="gaussian")
    np.testing.assert_allclose(last_step(moved)["centers"], truth, atol=0.02)
    np.testing.assert_allclose(find_center(moved), np.full((3, 2), 40.0), atol=0.01)
    assert last_step(moved)["parameters"] == {"method": "gaussian", "to": [40, 40], "order": 3}


@given(st.integers(-4, 4), st.integers(-4, 4), st.sampled_from([np.float32, np.float64]))
def test_a_displacement_by_whole_pixels_changes_no_bit(dx, dy, kind):
    frames = make_frames(kind=kind)
    moved = recenter(frames, (17 - dx, 16 - dy))
    from_y, to_y = slice(max(-dy, 0), 33 - max(dy, 0)), slice(max(dy, 0), 33 - max(-dy, 0))
    from_x, to_x = slice(max(-dx, 0), 35 - max(dx, 0)), slice(max(dx, 0), 35 - max(-dx, 0))
    for name in ("data", "sigma", "mask"):
        before, after = getattr(frames, name), getattr(moved, name)
        np.testing.assert_array_equal(after[:, to_y, to_x], before[:, from_y, from_x], strict=True)
    outside = np.ones(frames.shape[1:], bool)
    outside[to_y, to_x] = False
    assert moved.mask[:, outside].all()


def test_a_missing_pixel_does_not_spread_but_moves_along():
    image = np.full((21, 21), 7.0)
    image[9, 12] = np.nan
    moved = recenter(Frames(image, mask=np.isnan(image)), (10.3, 9.9))
    assert np.argwhere(moved.mask[0, 2:-2, 2:-2]).tolist() == [[7, 10]]
    np.testing.assert_allclose(moved.data[0, 2:-2, 2:-2][~moved.mask[0, 2:-2, 2:-2]], 7.0)


def test_pixels_that_come_from_beyond_the_frame_are_masked():
    moved = recenter(Frames(np.ones((11, 11))), (7.6, 5))
    np.testing.assert_array_equal(moved.mask[0].all(axis=0), [False] * 8 + [True] * 3)
    assert not moved.mask[0, :, :8].any()


def test_variances_are_interpolated_linearly():
    sigma = np.ones((1, 11, 11))
    sigma[0, 5, 5] = 3.0
    moved = recenter(Frames(np.zeros((1, 11, 11)), sigma), (5.25, 5))
    np.testing.assert_allclose(np.square(moved.sigma[0, 5, 3:7]), [1, 1 + 8 * 0.25, 1 + 8 * 0.75, 1])


def test_each_frame_moves_by_its_own_displacement():
    cube = np.array([gaussian((21, 21), 8, 9), gaussian((21, 21), 12, 11)])
    moved = recenter(Frames(cube), [(8, 9), (12, 11)], to=(10, 12))
    assert moved.geometry.center == (10, 12)
    for image in valid_data(moved):
        assert np.unravel_index(np.nanargmax(image), image.shape) == (12, 10)


def test_where_the_star_is_may_only_be_noted():
    frames = make_frames()
    noted = set_center(frames, (16.3, 16.8))
    assert noted.geometry.center == (16.3, 16.8)
    np.testing.assert_array_equal(noted.data, frames.data)
    np.testing.assert_array_equal(noted.mask, frames.mask)


def test_one_centre_for_stars_that_are_apart_is_warned_of():
    places = np.array([(17, 16)] * 4 + [(18, 16)])
    with pytest.warns(GeometryWarning, match=r"the star moves by 0.45 pixels \(rms\) between frames"):
        noted = set_center(make_frames(), places)
    assert noted.geometry.center == (17, 16)
    assert last_step(noted)["scatter"] == pytest.approx(np.sqrt(0.2))


def test_a_star_that_is_not_found_is_an_error():
    frames, _ = scenes.simulate(scenes.star, count=2)
    mask = np.zeros(frames.shape, bool)
    mask[1] = True
    words = r"'method' must be one that finds the star in every frame, got none for frame 1 \(1 such frames\)"
    with pytest.warns(GeometryWarning), pytest.raises(ValueError, match=words):
        recenter(Frames(frames.data, mask=mask))


@pytest.mark.parametrize("step", [recenter, set_center])
def test_centres_and_a_method_are_one_too_many(step):
    with pytest.raises(ValueError, match="'centers' and 'method' say the same thing"):
        step(make_frames(), (17, 16), method="gaussian")
    with pytest.raises(ValueError, match="'centers' must be given without options of a method such as 'saturation'"):
        step(make_frames(), (17, 16), saturation=3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"order": 0}, r"'order' must be an integer in \[1, 5\], got 0"),
        ({"to": (99, 0)}, r"'to' must be \(x, y\) inside frames"),
        ({"centers": (99, 0)}, r"'centers' must be \(x, y\) inside frames"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        recenter(make_frames(), **({"centers": (17, 16)} | options))
