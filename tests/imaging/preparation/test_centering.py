"""Where the star is, by every method, in frames with a known truth."""

import numpy as np
import pytest
from preparation_helpers import make_frames

from astronmf.exceptions import GeometryWarning
from astronmf.imaging import Frames
from astronmf.imaging.preparation import find_center
from astronmf.imaging.preparation.centering import METHODS
from benchmarks import centering as scenes

MIDDLE = scenes.SIZE // 2

# A scene with high signal to noise, the method's options, and how far off it may be (rms), in pixels.
CASES = {
    "gaussian": (scenes.star, {}, 0.01),
    "moffat": (scenes.saturated, {"saturation": 580.0}, 0.02),
    "doughnut": (scenes.doughnut, {"outer_radius": 12.0}, 0.01),
    "satellite_spots": (scenes.spots, {"separation": 22.0, "spot_radius": 6.0}, 0.05),
    "radon": (scenes.spikes, {"inner_radius": 8.0, "angles": (45.0, 135.0)}, 0.03),
    "cross_correlation": (scenes.speckles, {"inner_radius": 5.0}, 0.01),
}

every_method = pytest.mark.parametrize(("method", "case"), CASES.items(), ids=CASES)


def rms(found, truth, method):
    return float(np.sqrt(np.mean(scenes.errors(found, truth, method) ** 2)))


def test_every_method_has_a_case():
    assert set(CASES) == set(METHODS)


@every_method
def test_the_star_is_found_to_a_small_fraction_of_a_pixel(method, case):
    scene, options, limit = case
    frames, truth = scenes.simulate(scene, count=4)
    found = find_center(frames, method, **options)
    assert found.shape == (4, 2)
    assert rms(found, truth, method) < limit


@every_method
def test_masked_pixels_with_rubbish_in_them_do_not_move_it(method, case):
    scene, options, limit = case
    frames, truth = scenes.simulate(scene, count=3, seed=6)
    mask = np.random.default_rng(1).random(frames.shape) < 0.05
    mask[:, MIDDLE - 1 : MIDDLE + 2, MIDDLE - 1 : MIDDLE + 2] = True
    found = [
        find_center(Frames(np.where(mask, rubbish, frames.data), mask=mask), method, **options)
        for rubbish in (1e30, np.nan)
    ]
    np.testing.assert_array_equal(*found)
    assert rms(found[0], truth, method) < 3 * limit


@every_method
def test_single_precision_and_the_scale_of_the_data_do_not_matter(method, case):
    scene, options, _ = case
    frames, _ = scenes.simulate(scene, count=2)
    small = Frames((1e-17 * frames.data).astype(np.float32))
    if "saturation" in options:
        one = find_center(frames, method, **options)
        other = find_center(small, method, saturation=1e-17 * options["saturation"])
    else:
        one, other = find_center(frames, method, **options), find_center(small, method, **options)
    np.testing.assert_allclose(one, other, atol=2e-3)


@every_method
def test_a_frame_with_nothing_in_it_is_nan_with_a_warning_that_names_it(method, case):
    scene, options, _ = case
    frames, _ = scenes.simulate(scene, count=3)
    mask = np.zeros(frames.shape, bool)
    mask[1] = True
    with pytest.warns(GeometryWarning, match="in 1 of 3 frames, the first of them frame 1"):
        found = find_center(Frames(frames.data, mask=mask), method, **options)
    np.testing.assert_array_equal(np.isnan(found).all(axis=1), [False, True, False])


@every_method
def test_progress_is_told(method, case):
    scene, options, _ = case
    told = []
    find_center(scenes.simulate(scene, count=2)[0], method, progress=lambda *what: told.append(what), **options)
    assert told[-1][0] == told[-1][1]
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)


def test_the_methods_that_fit_use_errors_as_weights():
    frames, truth = scenes.simulate(scenes.star, count=3)
    y, x = np.indices(frames.shape[1:])
    beside = np.hypot(x - MIDDLE - 6, y - MIDDLE) < 3
    disturbed = np.where(beside, frames.data + 500, frames.data)
    sigma = np.broadcast_to(np.where(beside, 1e4, 5.0), frames.shape)
    assert rms(find_center(Frames(disturbed)), truth, "gaussian") > 0.1
    assert rms(find_center(Frames(disturbed, sigma)), truth, "gaussian") < 0.01


def test_one_image_is_taken_too():
    frames, truth = scenes.simulate(scenes.star, count=1)
    np.testing.assert_allclose(find_center(frames.data[0]), truth, atol=0.02)


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match=r"'method' must be one of 'gaussian', 'moffat', .*, got 'guess'"):
        find_center(make_frames(), "guess")


GUESSES = {
    "outside": ((40, 3), r"'guess' must be \(x, y\) inside frames of 35 x 33 pixels, got \(40.0, 3.0\) for night 0"),
    "nan": ((np.nan, 3), "'guess' must be .* inside"),
    "too many": (np.ones((4, 2)), r"'guess' must be of shape \(5, 2\)"),
}


@pytest.mark.parametrize(("guess", "words"), GUESSES.values(), ids=GUESSES)
def test_a_guess_that_is_no_place_in_the_frames_is_refused(guess, words):
    with pytest.raises(ValueError, match=words):
        find_center(make_frames(), guess=guess)
