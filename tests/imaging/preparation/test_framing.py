import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from imaging_helpers import same_frames
from preparation_helpers import make_frames

from astronmf.imaging import Frames
from astronmf.imaging.preparation import crop, pad

sizes = st.integers(1, 33)


def star_at_its_pixel(frames):
    """Return a marker's place: the pixel that was the star's."""
    return [int(i) for i in np.argwhere(frames.data[0] == 1)[0]]


@given(sizes, sizes, st.floats(-0.49, 0.49), st.floats(-0.49, 0.49))
def test_cutting_puts_the_star_s_pixel_at_half_the_size_and_the_centre_follows(height, width, dx, dy):
    image = np.zeros((33, 33))
    image[16, 16] = 1
    small = crop(Frames(image, center=(16 + dx, 16 + dy)), (height, width))
    assert small.shape == (1, height, width)
    assert star_at_its_pixel(small) == [height // 2, width // 2]
    np.testing.assert_allclose(small.geometry.center, (width // 2 + dx, height // 2 + dy), atol=1e-12)


@given(st.integers(33, 60), st.integers(35, 60), st.integers(-6, 6), st.integers(-6, 6))
def test_padding_and_cutting_again_changes_no_bit(height, width, dx, dy):
    frames = make_frames(center=(17 + dx, 16 + dy))
    try:
        large = pad(frames, (height, width))
    except ValueError as error:
        assert "'size' must be at least" in str(error)  # noqa: PT017 (either outcome is right for some sizes)
        return
    assert large.shape == (5, height, width)
    assert large.geometry.center == (width // 2, height // 2)
    assert large.mask.sum() - frames.mask.sum() == 5 * (height * width - 33 * 35)
    assert np.isnan(large.data[large.mask]).sum() == 5 * (height * width - 33 * 35)
    if dx == dy == 0:
        again = crop(large, (33, 35))
        assert again.meta["preparation"][-1]["step"] == "crop"
        same_frames(again, frames)


def test_one_number_is_both_sides():
    assert crop(make_frames(), 9).shape == (5, 9, 9)


def test_half_pixel_centres_of_even_frames_stay_half_pixel_centres():
    assert crop(Frames(np.ones((1, 10, 10)), center=(4.5, 4.5)), 6).geometry.center == (2.5, 2.5)


@pytest.mark.parametrize(
    ("step", "size", "words"),
    [
        (crop, 35, r"'size' must be at most 33 along y, where the star is, got 35; pad the frames first"),
        (crop, (33, 36), r"'size' must be at most 35 along x, where the star is, got 36"),
        (crop, 0, "'size' must be an integer of at least 1, got 0"),
        (crop, (1, 2, 3), r"'size' must be of shape \(2,\)"),
        (crop, 3.5, "'size' must be an integer of at least 1"),
        (pad, 33, r"'size' must be at least 35 along x, where the star is, got 33; crop the frames"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_with_those_that_do(step, size, words):
    with pytest.raises(ValueError, match=words):
        step(make_frames(), size)


def test_the_sizes_that_are_named_fit():
    frames = make_frames(center=(20, 11))
    assert crop(frames, (23, 30)).shape == (5, 23, 30)
    with pytest.raises(ValueError, match="at most 23 along y"):
        crop(frames, (24, 30))
    with pytest.raises(ValueError, match="at most 30 along x"):
        crop(frames, (23, 31))
    assert pad(frames, (43, 40)).shape == (5, 43, 40)
    with pytest.raises(ValueError, match="at least 43 along y"):
        pad(frames, (42, 40))
