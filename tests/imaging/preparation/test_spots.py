import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astronmf.exceptions import GeometryWarning
from astronmf.imaging import Frames
from astronmf.imaging.preparation import center_by_spots
from astronmf.imaging.preparation.spots import crossing
from benchmarks import centering as scenes


@pytest.fixture(scope="module")
def simulated():
    return scenes.simulate(scenes.spots, count=3)


def test_places_in_any_order_give_the_same_as_separation_and_angle(simulated):
    frames, truth = simulated
    reach = 22 / np.sqrt(2)
    places = 40 + reach * np.array([(1, 1), (-1, -1), (-1, 1), (1, -1)])
    found = center_by_spots(frames, spots=places, spot_radius=6)
    np.testing.assert_allclose(found, center_by_spots(frames, separation=22, spot_radius=6), atol=0.02)
    np.testing.assert_allclose(found, truth, atol=0.06)


@pytest.mark.parametrize("turn", [90, -180, 270])
def test_any_of_the_four_angles_says_the_same(simulated, turn):
    frames, _ = simulated
    one, other = (center_by_spots(frames[0], separation=22, angle=angle) for angle in (45, 45 + turn))
    np.testing.assert_allclose(one, other, atol=1e-3)


points = st.tuples(st.floats(-5, 5), st.floats(-5, 5))


@given(points, st.floats(0, 90), st.lists(st.floats(5, 40), min_size=4, max_size=4))
def test_lines_through_spots_at_unequal_distances_cross_at_the_star(star, angle, distances):
    turns = np.deg2rad(angle + 90 * np.arange(4))
    spots = np.array(star) + np.array(distances)[:, None] * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    np.testing.assert_allclose(crossing(spots), star, atol=1e-9)


def test_parallel_lines_cross_nowhere():
    assert np.isnan(crossing(np.array([(0.0, 0.0), (1.0, 0.0), (0.0, 5.0), (1.0, 5.0)]))).all()


def test_a_missing_spot_makes_its_frame_nan(simulated):
    frames, truth = simulated
    mask = np.zeros(frames.shape, bool)
    mask[1, 48:64, 48:64] = True
    with pytest.warns(GeometryWarning, match="no centre found by satellite spots in 1 of 3 frames"):
        found = center_by_spots(Frames(frames.data, mask=mask), separation=22, spot_radius=6)
    np.testing.assert_allclose(found[[0, 2]], truth[[0, 2]], atol=0.06)
    assert np.isnan(found[1]).all()


def test_where_there_are_no_spots_none_are_found():
    frames, _ = scenes.simulate(scenes.halo, count=2)
    with pytest.warns(GeometryWarning, match="in 2 of 2 frames"):
        assert np.isnan(center_by_spots(frames, separation=22)).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "'spots' must be given as four"),
        ({"spots": np.zeros((4, 2)), "separation": 3}, "'spots' and 'separation' say the same thing"),
        ({"spots": np.zeros((3, 2))}, r"'spots' must be of shape \(4, 2\), got \(3, 2\)"),
        ({"separation": 0}, "'separation' must be a number above 0"),
        ({"separation": 9, "spot_radius": 1}, "'spot_radius' must be a number in"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(simulated, options, words):
    with pytest.raises(ValueError, match=words):
        center_by_spots(simulated[0], **options)
