import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from astronmf.exceptions import FormatError, GeometryWarning
from astronmf.io.eso import angles_between, check_frame_count, number, parallactic_angles, text

angle = st.floats(-360, 360)
turn = st.floats(-170, 170)
count = st.integers(1, 40)


@given(angle, turn, count, st.integers(-1, 1))
def test_the_shorter_way_round_is_taken_wherever_the_circle_is_cut(start, by, n, circles):
    found = angles_between(start, start + by + 360 * circles, n)
    np.testing.assert_allclose(found, start + by * (np.arange(n) + 0.5) / n, atol=1e-9)


@given(angle, turn, count)
def test_angles_run_evenly_and_lie_between_the_ends(start, by, n):
    found = angles_between(start, start + by, n)
    assert found.shape == (n,)
    np.testing.assert_allclose(np.diff(found), by / n, atol=1e-9)
    low, high = sorted((start, start + by))
    assert (found >= low - 1e-9).all()
    assert (found <= high + 1e-9).all()


@given(angle, turn, count)
def test_turning_back_gives_the_same_angles_backwards(start, by, n):
    there, back = angles_between(start, start + by, n), angles_between(start + by, start, n)
    np.testing.assert_allclose(np.exp(1j * np.deg2rad(there)), np.exp(1j * np.deg2rad(back[::-1])), atol=1e-9)


def test_a_passage_through_180_is_a_small_turn():
    np.testing.assert_allclose(angles_between(179.0, -179.0, 2), [179.5, 180.5])
    np.testing.assert_allclose(angles_between(1.0, 359.0, 2), [0.5, -0.5])


def header(**cards):
    made = fits.Header()
    for name, value in cards.items():
        made[f"HIERARCH ESO {name.replace('_', ' ')}"] = value
    return made


def test_the_parallactic_angle_is_that_of_the_middle_of_each_frame():
    cards = header(TEL_PARANG_START=10.0, TEL_PARANG_END=14.0)
    assert parallactic_angles(cards, 2, "a.fits").tolist() == [11.0, 13.0]
    assert parallactic_angles(cards, 1, "a.fits").tolist() == [12.0]


def test_a_keyword_that_is_missing_is_told_of():
    with pytest.raises(FormatError, match=r"a\.fits: the header has no ESO TEL PARANG END; give 'angles'"):
        parallactic_angles(header(TEL_PARANG_START=10.0), 2, "a.fits")


@pytest.mark.parametrize("value", ["unknown", None])
def test_a_keyword_without_a_number_is_told_of(value):
    with pytest.raises(FormatError, match=r"a\.fits: ESO TEL PARANG END must be a number, got .*; give 'angles'"):
        number(header(TEL_PARANG_END=value), "ESO TEL PARANG END", "a.fits")


def test_the_first_keyword_that_is_there_is_taken():
    assert text(header(DET_ID="IRDIS "), "ESO SEQ ARM", "ESO DET ID") == "IRDIS"
    assert text(header(), "ESO SEQ ARM") == ""


def test_frames_of_several_exposures_have_no_angles_in_one_header():
    with pytest.raises(FormatError, match=r"a\.fits: 11 frames, but the header is of an exposure of 10"):
        check_frame_count(header(DET_NDIT=10), 11, "a.fits")


def test_frames_that_were_taken_out_are_warned_of():
    with pytest.warns(GeometryWarning, match=r"a\.fits: 9 frames of an exposure of 10"):
        check_frame_count(header(DET_NDIT=10), 9, "a.fits")


@pytest.mark.parametrize(("cards", "n"), [({"DET_NDIT": 10}, 10), ({"DET_NDIT": 10}, 1), ({}, 7)])
def test_a_whole_exposure_its_mean_or_an_unknown_number_is_fine(cards, n):
    check_frame_count(header(**cards), n, "a.fits")
