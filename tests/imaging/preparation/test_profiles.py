import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from imaging_helpers import gaussian

from astronmf.exceptions import GeometryWarning
from astronmf.imaging import Frames
from astronmf.imaging.preparation import center_by_profile
from benchmarks import centering as scenes

offsets = st.floats(-3, 3)


@given(offsets, offsets, st.floats(2.5, 8), st.floats(-50, 50))
def test_a_noiseless_gaussian_is_found_exactly_on_any_background(dx, dy, fwhm, background):
    image = background + gaussian((31, 33), 16 + dx, 15 + dy, fwhm=fwhm, peak=100.0)
    np.testing.assert_allclose(center_by_profile(Frames(image)), [(16 + dx, 15 + dy)], atol=1e-3)


@pytest.mark.parametrize("profile", ["gaussian", "moffat"])
def test_a_halo_around_a_covered_core_is_enough(profile):
    frames, truth = scenes.simulate(scenes.halo, count=3)
    found = center_by_profile(frames, profile, inner_radius=8, outer_radius=30)
    np.testing.assert_allclose(found, truth, atol=0.05)


def test_the_annulus_follows_the_star_from_a_guess_that_is_far_off():
    frames, truth = scenes.simulate(scenes.halo, count=2)
    found = center_by_profile(frames, "moffat", guess=(37, 44), inner_radius=8, outer_radius=25)
    np.testing.assert_allclose(found, truth, atol=0.05)


def test_saturated_pixels_take_no_part():
    frames, truth = scenes.simulate(scenes.saturated, count=2)
    stuck = np.where(frames.data > 580, 65535.0, frames.data)
    stuck[:, 40, 42] = 65535.0
    np.testing.assert_allclose(center_by_profile(Frames(stuck), "moffat", saturation=580), truth, atol=0.05)


def test_each_frame_may_have_its_own_guess():
    cube = np.array([gaussian((41, 41), 10, 12, peak=50), gaussian((41, 41), 30, 29, peak=50)])
    found = center_by_profile(Frames(cube), guess=[(11, 11), (29, 30)], outer_radius=6)
    np.testing.assert_allclose(found, [(10, 12), (30, 29)], atol=1e-3)


def test_noise_alone_is_no_star():
    noise = np.random.default_rng(1).standard_normal((1, 31, 31))
    with pytest.warns(GeometryWarning, match="no centre found by a gaussian fit in 1 of 1 frames"):
        assert np.isnan(center_by_profile(Frames(noise), outer_radius=8)).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"profile": "airy"}, "'profile' must be one of 'gaussian', 'moffat', 'doughnut', got 'airy'"),
        ({"inner_radius": 60}, "'outer_radius' must be such that pixels lie"),
        ({"inner_radius": -1}, "'inner_radius' must be a number in"),
        ({"saturation": np.nan}, "'saturation' must be a finite number, got nan"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        center_by_profile(Frames(np.ones((2, 31, 31))), **options)
