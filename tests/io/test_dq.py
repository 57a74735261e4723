import warnings

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st
from imaging_helpers import write_hdus

from astronmf.imaging import Frames
from astronmf.io.dq import JWST, NICMOS, STIS, chosen_bits, flag_names, flagged

TABLES = {"JWST": JWST, "STIS": STIS, "NICMOS": NICMOS}
each_table = pytest.mark.parametrize("names", TABLES.values(), ids=TABLES)


def subsets(names):
    return st.lists(st.sampled_from(sorted(names)), min_size=1, max_size=5, unique_by=names.get)


@each_table
def test_every_flag_is_one_bit(names):
    assert all(value > 0 and value & (value - 1) == 0 for value in names.values())


PUBLISHED = [
    (JWST, {"DO_NOT_USE": 1, "SATURATED": 2, "JUMP_DET": 4, "DROPOUT": 8, "OUTLIER": 16, "DEAD": 1024, "HOT": 2048}),
    (JWST, {"NON_SCIENCE": 512, "UNRELIABLE_SLOPE": 2**24, "OTHER_BAD_PIXEL": 2**30, "REFERENCE_PIXEL": 2**31}),
    (STIS, {"DETECTORPROB": 4, "DATAMASKED": 8, "HOTPIX": 16, "SATPIXEL": 256, "DATAREJECT": 8192}),
    (NICMOS, {"GROT": 16, "DEFECTIVE": 32, "SATURATED": 64, "CR_HIT": 512, "ZEROSIG": 2048}),
]


@pytest.mark.parametrize(("names", "published"), PUBLISHED)
def test_the_bits_are_the_published_ones(names, published):
    assert {name: names[name] for name in published} == published


@given(st.data(), st.sampled_from(sorted(TABLES)), st.sampled_from([",", "|", "+", ", "]), st.booleans())
def test_names_in_any_form_and_case_are_the_sum_of_their_bits(data, table, separator, lower):
    names = TABLES[table]
    chosen = data.draw(subsets(names))
    expected = sum(names[name] for name in chosen)
    text = separator.join(chosen)
    assert chosen_bits(text.lower() if lower else text, names) == expected
    assert chosen_bits(chosen, names) == expected
    assert chosen_bits(tuple(names[name] for name in chosen), names) == expected
    assert chosen_bits(expected, names) == expected
    assert chosen_bits(str(expected), names) == expected


@given(st.data(), st.sampled_from(sorted(TABLES)))
def test_a_tilde_chooses_all_other_flags(data, table):
    names = TABLES[table]
    chosen = data.draw(subsets(names))
    others = [value for value in names.values() if value not in {names[name] for name in chosen}]
    flags = np.array([0, *others, *(names[name] for name in chosen)])
    excluded = flagged(flags, flags.shape, chosen_bits("~(" + ",".join(chosen) + ")", names))
    assert excluded.tolist() == [False] + [True] * len(others) + [False] * len(chosen)


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1), st.integers(0, 2**32 - 1))
def test_a_pixel_is_excluded_if_it_has_any_of_the_bits(flags, bits):
    for kind in (np.uint32, np.int64, np.float64):
        values = np.array(flags, dtype=kind)
        assert flagged(values, values.shape, bits).tolist() == [(flag & bits) != 0 for flag in flags]
        assert flagged(values, values.shape, None).tolist() == [flag != 0 for flag in flags]


def test_the_highest_bit_of_short_integers_is_a_flag():
    flags = np.array([0, 1, -32768], dtype=np.int16)
    assert flagged(flags, (3,), chosen_bits("RESERVED2", NICMOS)).tolist() == [False, False, True]


def test_no_flags_exclude_nothing():
    assert not flagged(None, (2, 3), None).any()
    assert not flagged(np.array([0, 1, 3]), (3,), chosen_bits("none", JWST)).any()


def test_flags_of_one_frame_are_those_of_all():
    excluded = flagged(np.array([[0, 1]]), (3, 1, 2), None)
    assert excluded.tolist() == [[[False, True]]] * 3
    excluded[0] = True  # a mask of its own


def test_a_flag_that_is_named_twice_is_one_flag():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert chosen_bits("HOT,HOT", JWST) == JWST["HOT"]
        assert chosen_bits("CHARGELOSS,UNDERSAMP", JWST) == 128


def test_nothing_chosen_stays_nothing():
    assert chosen_bits(None, JWST) is None


WRONG = ["HOTT", "HOT,3", "1,HOT", "1,3", ["HOT", 4], [3], 1.5, True, "HOT,DEAD|WARM", object()]


@pytest.mark.parametrize("choice", WRONG)
def test_what_cannot_be_understood_is_an_error_that_lists_the_names(choice):
    with pytest.raises(ValueError, match=r"'dq_bits' must be an integer, or names of flags \(DO_NOT_USE, .*HOT"):
        chosen_bits(choice, JWST)


def test_names_without_a_table_are_an_error_that_says_so():
    with pytest.raises(ValueError, match=r"flags of this instrument have no names here.*got 'HOT'"):
        chosen_bits("HOT", None)
    assert chosen_bits("5", None) == 5


@pytest.mark.parametrize(
    ("cards", "names"),
    [
        ({"TELESCOP": "JWST", "INSTRUME": "MIRI"}, JWST),
        ({"TELESCOP": "HST", "INSTRUME": "STIS"}, STIS),
        ({"TELESCOP": "HST", "INSTRUME": "NICMOS"}, NICMOS),
        ({"TELESCOP": "HST", "INSTRUME": "WFC3"}, None),
        ({"INSTRUME": "STIS"}, None),
        ({}, None),
    ],
)
def test_the_header_says_whose_names_they_are(cards, names):
    assert flag_names(fits.Header(cards)) is names


@pytest.mark.parametrize("choice", ["SATURATED", ["SATURATED"], 2, "2"])
def test_the_general_format_knows_the_names_of_the_instrument(tmp_path, choice):
    primary = fits.PrimaryHDU()
    primary.header["TELESCOP"] = "JWST"
    flags = fits.ImageHDU(np.array([[[0, 1, 2], [3, 4, 6], [0, 0, 0]]], dtype=np.uint32), name="DQ")
    path = write_hdus(tmp_path / "a.fits", primary, fits.ImageHDU(np.ones((1, 3, 3)), name="SCI"), flags)
    mask = Frames.read(path, format="fits", dq_bits=choice).mask
    assert mask[0].ravel().nonzero()[0].tolist() == [2, 3, 5]


def test_the_general_format_refuses_names_of_an_instrument_that_it_does_not_know(tmp_path):
    path = write_hdus(tmp_path / "a.fits", fits.ImageHDU(np.ones((3, 3)), name="SCI"))
    with pytest.raises(ValueError, match="'dq_bits' must be an integer, or names of flags"):
        Frames.read(path, dq_bits="HOT")
