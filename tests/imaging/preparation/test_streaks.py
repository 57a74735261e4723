import numpy as np
import pytest

from astronmf.imaging import Frames
from astronmf.imaging.preparation import center_by_streaks
from benchmarks import centering as scenes


@pytest.fixture(scope="module")
def spikes():
    return scenes.simulate(scenes.spikes, count=3)


@pytest.mark.parametrize("angles", [(45, 135), (135, 225), None])
def test_two_crossing_spikes_are_found_with_and_without_their_directions(spikes, angles):
    frames, truth = spikes
    np.testing.assert_allclose(center_by_streaks(frames, angles=angles, inner_radius=8), truth, atol=0.04)


def test_a_guess_that_is_some_pixels_off_makes_no_difference(spikes):
    frames, truth = spikes
    found = center_by_streaks(frames, guess=(43, 38), inner_radius=8, angles=(45, 135))
    np.testing.assert_allclose(found, truth, atol=0.04)


def test_spikes_are_found_when_half_of_one_arm_is_missing(spikes):
    frames, truth = spikes
    mask = np.zeros(frames.shape, bool)
    mask[:, 55:, 55:] = True
    found = center_by_streaks(Frames(frames.data, mask=mask), angles=(45, 135), inner_radius=8)
    np.testing.assert_allclose(found, truth, atol=0.04)


def test_streaks_of_speckles_point_at_the_star_to_about_a_pixel():
    frames, truth = scenes.simulate(scenes.streaks, count=2)
    found = center_by_streaks(frames, sides=1, inner_radius=10, outer_radius=38, smoothing=1.5)
    np.testing.assert_allclose(found, truth, atol=2)


def test_turning_a_frame_turns_what_is_found(spikes):
    frames, _ = spikes
    straight = center_by_streaks(frames[0], inner_radius=8, angles=(45, 135))[0]
    turned = center_by_streaks(Frames(np.rot90(frames.data[0])), inner_radius=8, angles=(45, 135))[0]
    np.testing.assert_allclose(turned, (straight[1], scenes.SIZE - 1 - straight[0]), atol=0.02)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sides": 3}, "'sides' must be one of 1, 2, got 3"),
        ({"angles": [[1, 2]]}, "'angles' must be of shape"),
        ({"angles": [np.nan]}, "'angles' must be a finite number"),
        ({"max_shift": 0}, "'max_shift' must be a number in"),
        ({"smoothing": 0}, "'smoothing' must be a number in"),
        ({"inner_radius": 99}, "'outer_radius' must be such that pixels lie"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(spikes, options, words):
    with pytest.raises(ValueError, match=words):
        center_by_streaks(spikes[0], **options)
