import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from imaging_helpers import gaussian
from preparation_helpers import last_step, make_frames

from astronmf.imaging import Frames
from astronmf.imaging.preparation import normalize_flux
from astronmf.imaging.preparation.normalization import star_flux

STAR = gaussian((33, 33), 16.2, 15.7, fwhm=5.0, peak=1000.0)

brightness = arrays(np.float64, 5, elements=st.floats(0.1, 10))


def of_brightness(factors, **options):
    return Frames(STAR * np.reshape(factors, (-1, 1, 1)), center=(16.2, 15.7), **options)


@given(brightness)
def test_all_frames_end_with_the_median_flux(factors):
    after = normalize_flux(of_brightness(factors), outer_radius=8)
    np.testing.assert_allclose(after.data, np.broadcast_to(STAR * np.median(factors), after.shape), rtol=1e-9)
    np.testing.assert_allclose(last_step(after)["factors"], factors / np.median(factors), rtol=1e-9)


def test_an_annulus_measures_what_an_aperture_does_where_the_core_is_covered():
    factors = [1, 2, 0.5, 1, 3]
    frames = of_brightness(factors)
    covered = Frames(np.where(STAR > 500, np.nan, frames.data), mask=STAR > 500, center=(16.2, 15.7))
    after = normalize_flux(covered, inner_radius=4, outer_radius=8)
    np.testing.assert_allclose(last_step(after)["factors"], factors, rtol=1e-9)


def test_the_flux_in_an_aperture_counts_pixels_by_their_share():
    flat = Frames(np.ones((2, 33, 33)), center=(16.2, 15.7))
    np.testing.assert_allclose(star_flux(flat, 0, 7.3), np.pi * 7.3**2, rtol=1e-9)
    np.testing.assert_allclose(star_flux(flat, 3, 7.3), np.pi * (7.3**2 - 9), rtol=1e-9)
    np.testing.assert_allclose(star_flux(flat), np.pi * 16.2**2, rtol=1e-9)  # to the nearest edge


@given(st.integers(0, 2**32 - 1))
def test_what_a_frame_misses_does_not_change_its_factor(seed):
    factors = np.array([1, 2, 0.5, 1, 3])
    mask = np.random.default_rng(seed).random((5, 33, 33)) < 0.2
    after = normalize_flux(of_brightness(factors, mask=mask), outer_radius=8)
    np.testing.assert_allclose(last_step(after)["factors"], factors, rtol=0.2)


def test_errors_are_divided_too_and_the_signal_to_noise_is_kept():
    frames = make_frames()
    after = normalize_flux(frames, outer_radius=8)
    good = ~frames.mask
    np.testing.assert_allclose((after.data / after.sigma)[good], (frames.data / frames.sigma)[good])


def test_the_flux_to_reach_may_be_given():
    science, references = of_brightness([2.0, 2.0]), of_brightness([1.0, 5.0])
    goal = float(star_flux(science, 0, 8).mean())
    after = normalize_flux(references, to=goal, outer_radius=8)
    np.testing.assert_allclose(after.data, science.data)


def test_factors_may_be_given():
    frames = make_frames(masked=0)
    after = normalize_flux(frames, [1, 2, 3, 4, 5])
    np.testing.assert_allclose(after.data * np.reshape([1, 2, 3, 4, 5], (5, 1, 1)), frames.data)
    np.testing.assert_allclose(normalize_flux(frames, 2).data, frames.data / 2)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"factors": [1, 2, 0, 4, 5]}, "'factors' must be numbers above 0, got 0 for night 2"),
        ({"factors": [1, 2]}, r"'factors' must be of shape \(5,\)"),
        ({"factors": 1, "to": 3}, "'factors' and 'to' say the same thing"),
        ({"to": 0}, "'to' must be a number above 0"),
        ({"inner_radius": 9, "outer_radius": 4}, "'outer_radius' must be such that pixels lie"),
        ({"inner_radius": 16.7}, "'outer_radius' must be above inner_radius=16.7, got 16.5"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        normalize_flux(make_frames(), **options)


def test_a_frame_without_flux_is_named():
    with pytest.raises(ValueError, match=r"such that every frame has flux above 0 .* got -.* for frame 1"):
        normalize_flux(of_brightness([1, -1, 1, 1, 1]), outer_radius=8)
