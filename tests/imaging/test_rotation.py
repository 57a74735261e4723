import warnings

import astropy.units as u
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rotation_helpers import ANNULUS, FWHM, THREE, sequence

from astronmf import SequentialNMF
from astronmf.exceptions import GeometryWarning
from astronmf.imaging import Frames, reduce
from astronmf.imaging.rotation import allowed_references, check_rotation, needed_rotation, separations_in_angle

TURNING = sequence(n=12, span=60.0)
OWN = {"mode": "adi", "min_rotation": 0.5, "fwhm": FWHM}

some_angles = st.lists(st.floats(-720, 720), min_size=2, max_size=12).map(np.array)


def frames_at(angles):
    """Return blank frames."""
    return Frames(np.zeros((len(angles), 5, 5)), angles=angles)


# Angles


def test_without_angles_there_is_no_differential_imaging_by_angle():
    with pytest.raises(
        ValueError, match=r"'angles' must be known .*, got None; give them \(angles=… to Frames, --angles"
    ):
        reduce(TURNING.frames(angles=None), mode="adi", **THREE)


@pytest.mark.parametrize("angles", [np.zeros(12), np.full(12, 33.3), np.linspace(10, 10.09, 12), 360.0 * np.arange(12)])
@pytest.mark.parametrize("mode", ["adi", "ardi"])
def test_a_sky_that_does_not_turn_is_an_error(angles, mode):
    others = () if mode == "adi" else (TURNING.frames(),)
    with pytest.raises(ValueError, match=r"'angles' must be such that the sky turns by at least 0\.1°.*mode='rdi'"):
        reduce(TURNING.frames(angles=angles), *others, mode=mode, **THREE)


def test_one_frame_does_not_turn():
    with pytest.raises(ValueError, match=r"'angles' must be such that the sky turns .*, got 0° from 1 frames"):
        reduce(TURNING.frames()[3], mode="adi", **THREE)


@pytest.mark.parametrize("mode", ["adi", "rdi"])
def test_angles_may_be_constant_where_references_are_given(mode):
    frames = TURNING.frames(angles=np.zeros(12))
    if mode == "rdi":
        assert np.isfinite(reduce(frames, TURNING.frames(), mode=mode, scale="none", **THREE).combined).any()
        return
    with pytest.raises(ValueError, match="use mode='rdi' with references"):
        reduce(frames, mode=mode, **THREE)


def test_angles_in_radians_are_asked_about():
    with pytest.warns(GeometryWarning, match=r"all 'angles' lie within ±2π and turn by 1\.05: .* are they radians\?"):
        check_rotation(frames_at(np.deg2rad(TURNING.angles)))


def test_angles_with_their_unit_are_right_without_a_word():
    given_in_radians = TURNING.frames(angles=np.deg2rad(TURNING.angles) * u.rad)
    np.testing.assert_allclose(check_rotation(given_in_radians), TURNING.angles, rtol=1e-14)
    expected = reduce(TURNING.frames(), mode="adi", **THREE)
    np.testing.assert_allclose(reduce(given_in_radians, mode="adi", **THREE).combined, expected.combined, atol=1e-9)


def test_angles_that_turn_back_are_told_of_with_the_first_that_does():
    with pytest.warns(
        GeometryWarning, match=r"do not run in one direction \(first turn back: frame 3\).*order of time"
    ):
        check_rotation(frames_at([0.0, 10.0, 20.0, 15.0, 30.0]))


def test_a_pause_is_no_turn_back():
    check_rotation(frames_at([10.0, 10.0, 20.0, 20.0, 31.0]))
    with pytest.warns(GeometryWarning, match="first turn back: frame 4"):
        check_rotation(frames_at([10.0, 10.0, 8.0, 8.0, 9.0]))


@pytest.mark.parametrize("start", [0.0, 340.0, -10.0, 170.0, 719.0])
@pytest.mark.parametrize("direction", [1, -1])
def test_the_end_of_the_circle_is_no_turn_back(start, direction):
    turn = start + direction * np.linspace(0, 60, 7)
    for angles in (turn % 360, (turn + 180) % 360 - 180):
        np.testing.assert_array_equal(check_rotation(frames_at(angles)), angles)


@given(st.floats(-720, 720), st.floats(0.5, 20), st.integers(3, 12), st.sampled_from([1, -1]))
def test_no_sequence_in_one_direction_is_told_of_wherever_it_starts(start, step, n, direction):
    angles = (start + direction * step * np.arange(n)) % 360
    if np.abs(angles).max() > 2 * np.pi:
        check_rotation(frames_at(angles))


@pytest.mark.parametrize("options", [{"mode": "adi"}, OWN, OWN | {"annulus_width": 6}], ids=str)
def test_a_reduction_says_what_is_odd_about_its_angles_once(options):
    frames = TURNING.frames()[[1, 0, 4, 6, 8, 11]]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        result = reduce(frames, n_components=2, estimator=SequentialNMF(tol=1e-3), **ANNULUS, **options)
        result.again(result.science)
        result.over_components()
    assert len(said) == 1
    assert "do not run in one direction" in str(said[0].message)


def test_the_direction_of_the_sky_s_turn_does_not_matter():
    forth = reduce(TURNING.frames(), **OWN, **THREE)
    back = reduce(TURNING.frames(angles=-TURNING.angles), **OWN, **THREE)
    np.testing.assert_array_equal(back.residuals, forth.residuals)


@given(some_angles)
def test_separations_are_those_of_directions_on_a_circle(angles):
    found = separations_in_angle(angles)
    turn = np.exp(1j * np.deg2rad(angles))
    expected = np.rad2deg(np.abs(np.angle(turn[:, None] / turn[None, :])))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert ((found >= 0) & (found <= 180)).all()


# Movement


@pytest.mark.parametrize("radius", [2.0, 5.0, 30.0])
@pytest.mark.parametrize("min_rotation", [0.0, 0.3, 1.0])
def test_the_needed_rotation_moves_a_source_by_so_many_fwhm(radius, min_rotation):
    turn = np.deg2rad(needed_rotation(min_rotation, 4.0, radius))
    moved = np.hypot(radius * np.sin(turn), radius * (1 - np.cos(turn)))
    assert moved == pytest.approx(4 * min_rotation, abs=1e-9)


def test_a_source_that_cannot_move_so_far_would_have_to_turn_to_the_other_side():
    assert needed_rotation(1.0, 4.0, 1.5) == pytest.approx(180)
    assert needed_rotation(1.0, 4.0, 0.0) == pytest.approx(180)


@given(st.floats(0, 3), st.floats(1, 8), st.floats(0.5, 100), st.floats(1, 2))
def test_farther_out_less_rotation_is_needed(min_rotation, fwhm, radius, more):
    least = needed_rotation(min_rotation, fwhm, radius)
    assert 0 <= needed_rotation(min_rotation, fwhm, more * radius) <= least + 1e-9
    assert needed_rotation(more * min_rotation, fwhm, radius) >= least - 1e-9


@given(some_angles, st.floats(0, 2), st.floats(1, 30))
def test_references_are_the_frames_in_which_the_source_has_moved(angles, min_rotation, radius):
    if np.ptp(np.unwrap(angles, period=360)) < 0.1:
        return
    allowed = allowed_references(frames_at(angles), radius, min_rotation, 4.0, 0)
    x, y = radius * np.cos(np.deg2rad(angles)), radius * np.sin(np.deg2rad(angles))
    for i in range(len(angles)):
        for j in range(len(angles)):
            moved = np.hypot(x[i] - x[j], y[i] - y[j])
            if abs(moved - 4 * min_rotation) > 1e-3:  # as near to the limit as rounding is no matter
                assert allowed[i, j] == (i != j and moved > 4 * min_rotation)
    np.testing.assert_array_equal(allowed, allowed.T)


@pytest.mark.parametrize("min_rotation", [0.0, 0.5])
def test_no_frame_models_itself(min_rotation):
    allowed = allowed_references(TURNING.frames(), 9.0, min_rotation, 4.0, 1)
    assert not allowed.diagonal().any()
    assert (allowed.sum(axis=1) > 0).all()


# Too few references


def test_too_few_references_name_frames_and_reason():
    message = (
        r"^'min_rotation' must be such that every frame keeps 6 references or more, got 1: at 9\.0 pixels that is "
        r"19\.2°, too much for 6 of 12 frames: frame 3 at -3\.64° \(5 left\), .*; "
        r"lower min_rotation or n_components, or reduce from a larger radius on$"
    )
    with pytest.raises(ValueError, match=message):
        allowed_references(TURNING.frames(), 9.0, 1.0, FWHM, 6)


def test_references_of_other_stars_count():
    allowed_references(TURNING.frames(), 9.0, 1.0, FWHM, 6, n_others=1)


def test_too_few_references_are_told_of_before_anything_is_built():
    calls = []
    with pytest.raises(ValueError, match="'min_rotation' must be such that every frame keeps 3 references"):
        reduce(TURNING.frames(), mode="adi", min_rotation=3.0, fwhm=FWHM, progress=lambda *c: calls.append(c), **THREE)
    assert not calls


def test_the_innermost_zone_needs_the_most():
    with pytest.raises(ValueError, match=r"at 4\.9 pixels that is 55\.2°"):
        reduce(TURNING.frames(), mode="adi", min_rotation=1.5, fwhm=FWHM, annulus_width=4, **THREE)
    reduce(TURNING.frames(), mode="adi", min_rotation=1.0, fwhm=FWHM, **THREE)


@pytest.mark.parametrize("mode", ["adi", "ardi"])
def test_a_rotation_in_fwhm_needs_the_fwhm(mode):
    others = () if mode == "adi" else (TURNING.frames(),)
    with pytest.raises(ValueError, match="'fwhm' must be given, in pixels, with 'min_rotation', got None"):
        reduce(TURNING.frames(), *others, mode=mode, min_rotation=0.5, **THREE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fwhm": 0.0}, "'fwhm' must be a number"),
        ({"fwhm": -2.0}, "'fwhm' must be a number"),
        ({"fwhm": np.nan}, "'fwhm' must be a number"),
        ({"min_rotation": -0.5}, "'min_rotation' must be a number"),
        ({"min_rotation": np.nan}, "'min_rotation' must be a number"),
    ],
    ids=str,
)
def test_numbers_that_mean_nothing_are_errors(options, message):
    with pytest.raises(ValueError, match=message):
        reduce(TURNING.frames(), **(OWN | options), **THREE)


def test_other_stars_need_no_rotation():
    with pytest.raises(ValueError, match=r"'min_rotation' must be left out with mode='rdi', .* got 0\.5"):
        reduce(TURNING.frames(), TURNING.frames(), mode="rdi", min_rotation=0.5, fwhm=FWHM, **THREE)
