import astropy.units as u
import numpy as np
import pytest
import rotation_helpers
from astropy.table import QTable
from hypothesis import given
from hypothesis import strategies as st
from imaging_helpers import disc, observe

from astronmf.imaging import inject, reduce
from astronmf.imaging.detection import completeness_map, contrast_curve
from astronmf.imaging.detection.completeness import contrast_at

POINT, THREE = rotation_helpers.POINT, rotation_helpers.THREE
STAR = 1e5


@pytest.fixture(scope="module")
def frames():
    return rotation_helpers.sequence().frames(unit="ct", pixel_scale=0.05)


@pytest.fixture(scope="module")
def reduction(frames):
    return reduce(frames, mode="adi", **THREE)


def map_of(reduction, **options):
    """Return a map of one separation, quickly, of data that have no companion, unless told otherwise."""
    given = {"star_flux": STAR, "separations": [9.0], "n_position_angles": 4, "companions": None}
    return completeness_map(reduction, POINT, **(given | options))


@pytest.fixture(scope="module")
def found(reduction):
    return map_of(reduction, separations=[6.0, 13.5], n_position_angles=6)


def test_faint_companions_are_missed_and_bright_ones_found(found):
    np.testing.assert_array_equal(found["completeness"][:, 0], 0)
    np.testing.assert_array_equal(found["completeness"][:, -1], 1)
    np.testing.assert_array_equal(found["n_injected"], 6)
    np.testing.assert_allclose(found["completeness"], found["n_detected"] / found["n_injected"])


def test_about_half_are_found_at_the_contrast_curve(reduction, found):
    curve = contrast_curve(
        reduction, POINT, star_flux=STAR, separations=[6.0, 13.5], n_position_angles=1, companions=None
    )
    np.testing.assert_allclose(found["contrast_50"], curve["contrast"], rtol=0.3)
    assert (found["contrast_95"] > found["contrast_50"]).all()


def test_by_default_contrasts_surround_what_the_noise_lets_expect(found):
    ratio = found["contrast"][:, -1] / found["contrast"][:, 0]
    np.testing.assert_allclose(ratio, 4)
    assert (np.diff(found["contrast"], axis=1) > 0).all()
    assert found["contrast"][0, 0] != found["contrast"][1, 0]


def test_contrasts_and_separations_may_be_given(reduction):
    given = map_of(reduction, contrasts=[1e-5, 1e-3], separations=[0.3, 0.6] * u.arcsec, n_position_angles=2)
    np.testing.assert_array_equal(given["contrast"], [[1e-5, 1e-3]] * 2)
    np.testing.assert_array_equal(given["completeness"], [[0, 1]] * 2)
    np.testing.assert_allclose(given["separation"].to_value(u.pix), [6, 12])


def test_by_default_separations_cover_what_was_reduced(reduction):
    given = map_of(reduction, separations=None, contrasts=[1e-2], n_position_angles=1)
    distance = given["separation"].value
    np.testing.assert_allclose(np.diff(distance), 1.25 * POINT.fwhm)
    assert 3 <= distance[0] < 5
    assert 10 < distance[-1] < 15


def test_a_lower_threshold_finds_more(reduction):
    low, high = (map_of(reduction, threshold=threshold, contrasts=[7e-5, 1.2e-4]) for threshold in (3.0, 8.0))
    assert low["n_detected"].sum() > high["n_detected"].sum()


def test_companions_where_nothing_was_observed_are_not_counted():
    observation = observe(angles=np.zeros(3), n_references=12)
    hidden = disc((33, 33), 16, 25, 6)  # the first position angle is 0
    result = reduce(observation.science_frames(), observation.reference_frames(), mask=hidden, **THREE)
    found = map_of(result, contrasts=[1e-2])
    assert found["n_injected"][0, 0] == 3
    assert found["completeness"][0, 0] == 1


def test_a_companion_in_the_data_does_not_spoil_it(frames):
    spoilt = reduce(inject(frames, POINT, **rotation_helpers.PLANET, flux=200.0), mode="adi", **THREE)
    levels = {"contrasts": [3e-4], "n_position_angles": 3}
    found, hidden = (map_of(spoilt, companions=companions, **levels) for companions in ("find", None))
    assert found["completeness"][0, 0] == 1
    assert hidden["completeness"][0, 0] < 1


def test_the_table_comes_back_from_a_file(tmp_path, found):
    found.write(tmp_path / "map.ecsv")
    back = QTable.read(tmp_path / "map.ecsv")
    assert back.colnames == found.colnames
    assert dict(back.meta) == dict(found.meta)
    for name in found.colnames:
        np.testing.assert_array_equal(back[name], found[name])


def test_the_table_says_how_it_was_made(found):
    assert (found.meta["threshold"], found.meta["n_position_angles"], found.meta["warm"]) == (5.0, 6, True)
    assert found.meta["star_flux"] == STAR
    np.testing.assert_allclose(found["separation_angle"].to_value(u.arcsec), [0.3, 0.675])


def test_progress_goes_to_the_end(reduction):
    calls = []
    map_of(reduction, contrasts=[1e-4, 1e-3], n_position_angles=3, progress=lambda *call: calls.append(call))
    assert calls == [(i + 1, 6, "reductions with injected companions") for i in range(6)]


def test_between_two_contrasts_the_share_is_linear_in_the_logarithm():
    levels, count = np.array([1.0, 10.0, 100.0]), np.array([10, 10, 10])
    assert contrast_at(0.5, levels, np.array([0, 5, 10]), count) == pytest.approx(10)
    assert contrast_at(0.75, levels, np.array([0, 5, 10]), count) == pytest.approx(10**1.5)
    assert contrast_at(0.25, levels, np.array([0, 5, 10]), count) == pytest.approx(10**0.5)


def test_shares_that_were_not_reached_or_always_are_have_no_contrast():
    levels, count = np.array([1.0, 10.0]), np.array([10, 10])
    assert np.isnan(contrast_at(0.5, levels, np.array([0, 4]), count))
    assert np.isnan(contrast_at(0.5, levels, np.array([6, 10]), count))
    assert np.isnan(contrast_at(0.5, levels, np.array([0, 0]), np.array([0, 10])))


def test_counts_that_fall_are_averaged():
    levels, count = np.array([1.0, 2.0, 4.0, 8.0]), np.full(4, 10)
    uneven = contrast_at(0.5, levels, np.array([0, 6, 4, 10]), count)
    assert uneven == pytest.approx(contrast_at(0.5, levels, np.array([0, 5, 5, 10]), count))


@given(
    found=st.lists(st.integers(0, 8), min_size=2, max_size=8),
    share=st.floats(0.05, 0.95),
)
def test_the_contrast_lies_among_those_that_were_tried_and_rises_with_the_share(found, share):
    levels, count = np.geomspace(1, 50, len(found)), np.full(len(found), 8)
    one, other = (contrast_at(level, levels, np.array(found), count) for level in (share, share + 0.04))
    assert np.isnan(one) or 1 <= one <= 50
    assert np.isnan(one) or np.isnan(other) or other >= one


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"contrasts": [1e-3, 1e-4]}, "'contrasts' must be at least one number above 0, in growing order"),
        ({"contrasts": [0.0, 1e-4]}, "'contrasts' must be at least one number above 0, in growing order"),
        ({"contrasts": []}, "'contrasts' must be at least one number above 0, in growing order"),
        ({"threshold": 0.5}, "'threshold' must be a number in"),
        ({"n_position_angles": 0}, "'n_position_angles' must be an integer of at least 1"),
        ({"separations": [99.0]}, "'separations' must be in"),
        ({"star_flux": None}, "'star_flux' must be given"),
    ],
)
def test_arguments_that_make_no_sense_are_errors(reduction, options, message):
    with pytest.raises(ValueError, match=message):
        map_of(reduction, **options)
