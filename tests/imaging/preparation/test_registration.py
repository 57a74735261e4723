import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astronmf.exceptions import GeometryWarning
from astronmf.imaging import Frames
from astronmf.imaging.preparation import center_by_correlation
from astronmf.imaging.preparation.registration import masked_correlation
from benchmarks import centering as scenes


@pytest.fixture(scope="module")
def speckles():
    return scenes.simulate(scenes.speckles, count=4)


@pytest.mark.parametrize("reference", ["first", "median"])
def test_displacements_are_found_and_the_guess_says_from_where(speckles, reference):
    frames, truth = speckles
    guess = truth[0] if reference == "first" else (40, 40)
    found = center_by_correlation(frames, reference=reference, guess=guess, inner_radius=5)
    np.testing.assert_allclose(found - found[0], truth - truth[0], atol=0.03)
    if reference == "first":
        np.testing.assert_allclose(found[0], truth[0], atol=1e-6)


def test_a_change_of_brightness_and_background_makes_no_difference(speckles):
    frames, _ = speckles
    changed = frames.data * np.array([1, 3, 0.2, 1])[:, None, None] + np.array([0, 50, -9, 1000])[:, None, None]
    one, other = (center_by_correlation(each, reference="first") for each in (frames, Frames(changed)))
    np.testing.assert_allclose(one, other, atol=1e-3)


@given(st.integers(-6, 6), st.integers(-6, 6))
@settings(max_examples=10)
def test_displacements_by_whole_pixels_are_found_exactly(dx, dy):
    y, x = np.indices((41, 43), dtype=float)
    cube = np.array([scenes.speckles(x - 21, y - 20), scenes.speckles(x - 21 - dx, y - 20 - dy)])
    found = center_by_correlation(Frames(cube), reference="first")
    np.testing.assert_allclose(found[1] - found[0], (dx, dy), atol=1e-3)


def test_displacements_beyond_the_limit_are_not_looked_for():
    y, x = np.indices((41, 41), dtype=float)
    cube = np.array([scenes.star(x - 20, y - 20), scenes.star(x - 27, y - 20)])
    found = center_by_correlation(Frames(cube), reference="first")
    np.testing.assert_allclose(found[1], (27, 20), atol=0.01)
    with pytest.warns(GeometryWarning, match="no centre found by cross-correlation in 1 of 2 frames"):
        assert np.isnan(center_by_correlation(Frames(cube), reference="first", max_shift=3)[1]).all()


def plain_correlation(image, template, dx, dy):
    """Return the correlation coefficient of the pixels that meet after a displacement, in plain loops."""
    pairs = [
        (image[y, x], template[y - dy, x - dx])
        for y in range(image.shape[0])
        for x in range(image.shape[1])
        if 0 <= y - dy < template.shape[0] and 0 <= x - dx < template.shape[1]
    ]
    pairs = [pair for pair in pairs if np.isfinite(pair).all()]
    return np.corrcoef(np.transpose(pairs))[0, 1]


@pytest.mark.parametrize("shift", [(0, 0), (2, -1), (-3, 3)])
def test_the_masked_correlation_is_that_of_the_pixels_that_meet(shift):
    rng = np.random.default_rng(2)
    image, template = rng.normal(5, 1, (2, 12, 13))
    image[rng.random(image.shape) < 0.1] = np.nan
    template[rng.random(image.shape) < 0.1] = np.nan
    dx, dy = shift
    found = masked_correlation(image, template)[11 + dy, 12 + dx]
    assert found == pytest.approx(plain_correlation(image, template, dx, dy), abs=1e-9)


def test_too_small_an_overlap_has_no_correlation():
    image = np.random.default_rng(3).normal(size=(9, 9))
    scores = masked_correlation(image, image)
    assert scores[0, 0] == -np.inf
    assert np.unravel_index(scores.argmax(), scores.shape) == (8, 8)


def test_an_unknown_reference_is_refused(speckles):
    with pytest.raises(ValueError, match="'reference' must be one of 'median', 'first', got 'last'"):
        center_by_correlation(speckles[0], reference="last")


def test_frames_that_are_far_apart_are_aligned_by_their_guesses_first():
    y, x = np.indices((81, 81), dtype=float)
    truth = np.array([(20.2, 30.0), (55.0, 50.7), (40.6, 41.1)])
    cube = np.array([scenes.speckles(x - place[0], y - place[1]) for place in truth])
    found = center_by_correlation(Frames(cube), guess=np.rint(truth), outer_radius=12)
    off = found - truth
    np.testing.assert_allclose(off - off.mean(axis=0), 0, atol=0.05)
