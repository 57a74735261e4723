import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from preparation_helpers import last_step, make_frames

from astronmf.imaging import Frames
from astronmf.imaging.preparation import bin_frames
from astronmf.imaging.preparation.binning import mean_angle


def test_bins_are_means_of_what_is_there_with_the_errors_of_such_means():
    frames = make_frames(masked=0.3)
    after = bin_frames(frames, 2)
    assert len(after) == 3
    for i, group in enumerate(([0, 1], [2, 3], [4])):
        data = np.ma.MaskedArray(frames.data[group], frames.mask[group])
        variance = np.ma.MaskedArray(frames.sigma[group] ** 2, frames.mask[group])
        np.testing.assert_array_equal(after.mask[i], data.mask.all(axis=0))
        good = ~after.mask[i]
        np.testing.assert_allclose(after.data[i][good], data.mean(axis=0)[good])
        np.testing.assert_allclose(after.sigma[i][good], (np.sqrt(variance.sum(axis=0)) / data.count(axis=0))[good])


def test_the_errors_are_those_that_the_means_have():
    data = np.random.default_rng(1).normal(0, 2, (40, 30, 30))
    after = bin_frames(Frames(data, 2.0, center=(15, 15)), 8)
    assert after.data.std() == pytest.approx(float(after.sigma.mean()), rel=0.05)


def test_names_angles_and_bins_say_what_was_averaged():
    after = bin_frames(make_frames(), 2)
    assert after.names == ["night 0 to night 1", "night 2 to night 3", "night 4"]
    np.testing.assert_allclose(after.angles, [354, 10, 22])
    assert last_step(after)["bins"] == [[0, 1], [2, 3], [4]]


@given(st.floats(-179, 359), st.lists(st.floats(0, 40), min_size=1, max_size=6))
def test_the_mean_angle_is_the_same_wherever_the_circle_begins(first, offsets):
    angles = np.array(offsets) + first
    low = 0 if first >= 0 else -180
    wrapped = (angles - low) % 360 + low
    found = mean_angle(wrapped)
    assert abs((found - angles.mean() + 180) % 360 - 180) < 1e-6
    assert low - 1e-6 <= found <= low + 360 + 1e-6


@pytest.mark.parametrize(("angles", "mean"), [([359, 1], 0), ([350, 20], 5), ([179, -179], 180), ([-10, -20], -15)])
def test_angles_are_averaged_the_shorter_way_around(angles, mean):
    assert abs((mean_angle(np.array(angles, float)) - mean + 180) % 360 - 180) < 1e-9


def test_science_frames_and_references_are_not_mixed():
    after = bin_frames(make_frames(is_reference=[False, False, False, True, True]), 2)
    np.testing.assert_array_equal(after.is_reference, [False, False, True])
    assert last_step(after)["bins"] == [[0, 1], [2], [3, 4]]


def test_the_rest_may_be_dropped():
    assert last_step(bin_frames(make_frames(), 2, drop_rest=True))["bins"] == [[0, 1], [2, 3]]
    with pytest.raises(ValueError, match="'n' must be at most 5, the number of frames, got 6"):
        bin_frames(make_frames(), 6, drop_rest=True)


def test_bins_of_one_change_no_bit_of_what_is_valid():
    frames = make_frames(kind=np.float32)
    after = bin_frames(frames, 1)
    np.testing.assert_array_equal(after.data[~after.mask], frames.data[~frames.mask])
    np.testing.assert_allclose(after.sigma[~after.mask], frames.sigma[~frames.mask], rtol=1e-6)
    assert after.names == frames.names


@pytest.mark.parametrize("n", [0, 2.5, True])
def test_a_number_that_is_none_is_refused(n):
    with pytest.raises(ValueError, match="'n' must be an integer of at least 1"):
        bin_frames(make_frames(), n)
