"""Companions that are there are found, one by one, and nothing else is."""

import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable
from detection_helpers import FWHM, HOW, POINT, SIZE, observed, reduced
from imaging_helpers import gaussian
from scipy import ndimage

from astronmf.exceptions import ConvergenceWarning
from astronmf.imaging import PSF, Frames, reduce
from astronmf.imaging.detection.search import find_companions
from astronmf.imaging.geometry import polar, sky_position
from astronmf.io.files import open_fits

ONE = (9.3, 200.0, 60.0)


@pytest.fixture(scope="module")
def nothing():
    """Return the search of a star without companions."""
    return find_companions(reduced("rdi"), POINT)


def distance(companion, separation, position_angle):
    """Return how far a companion is from a place, pixels."""
    x, y = sky_position((SIZE, SIZE), separation, position_angle)
    return np.hypot(companion.x - x, companion.y - y)


@pytest.mark.parametrize("mode", ["rdi", "adi", "ardi"])
def test_a_companion_is_found_where_it_is_with_its_flux(mode):
    (found,) = find_companions(reduced(mode, ONE), POINT, max_reductions=4).companions
    assert distance(found, *ONE[:2]) < 4 * found.position_error
    assert abs(found.flux - ONE[2]) < 4 * found.flux_error
    assert found.snr > 10
    assert found.significance > 5
    assert abs(found.flux_left) < found.flux_error / 10


def test_a_fainter_one_beside_it_is_found_as_well():
    faint = (9.0, 80.0, 30.0)
    search = find_companions(reduced("rdi", ONE, faint), POINT)
    assert [round(one.flux, -1) for one in search.companions] == [60, 30]
    for found, (separation, angle, flux) in zip(search.companions, (ONE, faint), strict=True):
        assert distance(found, separation, angle) < 0.4
        assert abs(found.flux - flux) < 4 * found.flux_error


@pytest.mark.parametrize("mode", ["rdi", "adi"])
def test_two_of_the_same_brightness_and_separation_do_not_hide_each_other(mode):
    both = ((9.0, 40.0, 100.0), (9.0, 200.0, 100.0))
    search = find_companions(reduced(mode, *both), POINT)
    assert len(search.companions) == 2
    angles = sorted(one.position_angle for one in search.companions)
    np.testing.assert_allclose(angles, [40, 200], atol=2)


def test_what_a_bright_one_hides_is_found_when_the_data_are_reduced_without_it():
    reduction = reduced("adi", (9.0, 330.0, 400.0), (9.0, 90.0, 30.0), seed=300)
    alone = find_companions(reduction, POINT)
    search = find_companions(reduction, POINT, max_reductions=8)
    assert len(alone.companions) == 1
    assert len(search.companions) == 2
    bright, faint = search.companions
    assert abs(bright.flux - 400) < 4 * bright.flux_error
    assert abs(faint.flux - 30) < 4 * faint.flux_error
    assert abs(bright.flux - 400) < abs(bright.forward_flux - 400) + bright.flux_error
    assert bright.n_reductions > faint.n_reductions > 0


@pytest.mark.parametrize("width", [0.9, 1.1])
def test_a_psf_that_is_not_quite_right_makes_no_companions_around_a_bright_one(width):
    psf = PSF(gaussian((15, 15), 7, 7, fwhm=width * FWHM), width * FWHM)
    (found,) = find_companions(reduced("rdi", (9.0, 200.0, 400.0)), psf).companions
    assert distance(found, 9.0, 200.0) < 0.3


@pytest.mark.parametrize("mode", ["rdi", "adi"])
def test_where_there_is_nothing_nothing_is_found(mode):
    for seed in range(4):
        search = find_companions(reduced(mode, seed=seed), POINT)
        assert search.companions == []
        assert len(search.table) == 0
        assert np.nanmax(search.significance) < 5
        assert search.noise.flux is not None


def test_an_empty_table_has_the_same_columns(nothing):
    found = find_companions(reduced("rdi", ONE), POINT)
    assert nothing.table.colnames == found.table.colnames
    assert [str(column.unit) for column in nothing.table.itercols() if column.dtype.kind == "f"] == [
        str(column.unit) for column in found.table.itercols() if column.dtype.kind == "f"
    ]


@pytest.mark.parametrize("companions", [[], [ONE]], ids=["none", "one"])
def test_the_table_survives_a_file(companions, tmp_path):
    table = find_companions(reduced("rdi", *companions), POINT, star_flux=1e5).table
    table.write(tmp_path / "found.ecsv")
    back = QTable.read(tmp_path / "found.ecsv")
    assert back.colnames == table.colnames
    for name in table.colnames:
        np.testing.assert_array_equal(np.asarray(back[name]), np.asarray(table[name]))
        assert getattr(back[name], "unit", None) == getattr(table[name], "unit", None)
    assert back.meta["threshold"] == 5.0
    assert back.meta["center"] == [16, 16]


def test_the_table_says_what_was_searched(nothing):
    meta = nothing.table.meta
    assert meta["fwhm"] == FWHM
    assert meta["searched_pixels"] == np.isfinite(nothing.filter.flux).sum()
    assert 0 < meta["expected_false_positives"] < 1e-4


def test_the_most_significant_come_first_and_no_more_than_are_asked_for():
    places = [(6.0, 10.0, 60.0), (9.0, 130.0, 150.0), (12.0, 250.0, 90.0)]
    reduction = reduced("rdi", *places)
    search = find_companions(reduction, POINT)
    assert len(search.companions) == 3
    assert (np.diff([one.significance for one in search.companions]) < 0).all()
    assert len(find_companions(reduction, POINT, max_companions=2).companions) == 2


def test_the_threshold_decides():
    reduction = reduced("rdi", (9.3, 200.0, 12.0))
    (found,) = find_companions(reduction, POINT, threshold=3.0).companions
    assert len(find_companions(reduction, POINT, threshold=found.significance - 0.01).companions) == 1
    assert len(find_companions(reduction, POINT, threshold=found.significance + 0.01).companions) == 0


def test_maps_of_signal_to_noise_are_those_without_the_companions():
    search = find_companions(reduced("rdi", ONE), POINT)
    (found,) = search.companions
    row, column = round(found.y), round(found.x)
    assert search.snr[row, column] == pytest.approx(found.snr, rel=0.15)
    assert search.significance[row, column] > search.filter.significance[row, column]
    assert abs(search.noise.snr[row, column]) < 2


def test_contrasts_are_relative_to_the_star():
    frames = reduced("rdi", ONE)
    (row,) = find_companions(frames, POINT, star_flux=1e4 * u.MJy / u.sr).table
    assert row["contrast"] == pytest.approx(row["flux"].value / 1e4)
    assert row["contrast_error"] == pytest.approx(row["flux_error"].value / 1e4)
    assert "contrast" not in find_companions(frames, POINT).table.colnames


def test_a_search_at_the_frame_s_edge_is_no_error():
    observation = observed()
    reduction = reduce(observation.science_frames(), observation.reference_frames(), n_components=3)
    search = find_companions(reduction, POINT, threshold=2.5)
    assert all(np.isfinite(one.flux) for one in search.companions)


def test_one_frame_without_angles_can_be_searched():
    observation = observed()
    data = observation.science[:1] + gaussian((SIZE, SIZE), 24, 20, peak=30.0)
    frames = observation.science_frames(data=data, uncertainty=observation.science_sigma[:1], angles=None)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the science frames have no 'angles'")
        reduction = reduce(frames, observation.reference_frames(), **HOW)
        (found,) = find_companions(reduction, POINT, max_reductions=2).companions
    assert (found.x, found.y) == (pytest.approx(24, abs=0.2), pytest.approx(20, abs=0.2))


def test_a_companion_that_was_declared_missing_is_found_with_all_its_flux():
    region = np.hypot(*np.subtract(np.indices((SIZE, SIZE)).T, (20, 25)).T) < 3.5  # (y, x)
    observation = observed()
    frames = reduced("rdi", (*polar((16, 16), 25, 20), 50.0)).science
    reduction = reduce(frames, observation.reference_frames(), **HOW, imputation_mask=region)
    (found,) = find_companions(reduction, POINT).companions
    assert (found.x, found.y) == (pytest.approx(25, abs=0.3), pytest.approx(20, abs=0.3))
    assert abs(found.flux - 50) < 4 * found.flux_error


def test_what_is_still_left_after_the_last_reduction_is_told_of():
    reduction = reduced("adi", (9.0, 330.0, 400.0), seed=300)
    with pytest.warns(ConvergenceWarning, match="sigma of a companion is left after the last reduction"):
        find_companions(reduction, POINT, max_reductions=1)


def test_the_steps_are_told():
    told = []
    find_companions(reduced("rdi", ONE), POINT, max_reductions=3, progress=lambda *step: told.append(step))
    assert {what for _, _, what in told} == {"companions", "reductions without the companions"}
    assert all(done <= total for done, total, _ in told)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 0.5}, "'threshold' must be a number in"),
        ({"max_companions": 0}, "'max_companions' must be an integer of at least 1, got 0"),
        ({"max_reductions": -1}, "'max_reductions' must be an integer of at least 0, got -1"),
        ({"star_flux": 3 * u.s}, "not convertible"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    with pytest.raises((ValueError, u.UnitConversionError), match=message):
        find_companions(reduced("rdi", ONE), POINT, **options)


def test_inputs_are_not_changed():
    reduction = reduced("adi", ONE)
    before = reduction.residuals.copy(), reduction.science.data.copy(), reduction.components.data.copy()
    find_companions(reduction, POINT, max_reductions=2)
    for one, other in zip(
        before, (reduction.residuals, reduction.science.data, reduction.components.data), strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("planet", [True, False])
def test_beta_pictoris_b_is_found_and_nothing_else(realdata, planet):
    folder, name = realdata / "hci_naco_betapic", "" if planet else "noplanet_"
    cube = open_fits(folder / f"naco_betapic_{name}cube.fits")[0].data.astype(float)
    angles = open_fits(folder / f"naco_betapic_{name}pa.fits")[0].data.ravel() - 104.84 + 0.45
    cube = np.stack([ndimage.shift(image, (50 - 51.05, 50 - 51.2)) for image in cube[::2]])
    frames = Frames(cube, angles=angles[::2], center=(50, 50), pixel_scale=0.02719)
    reduction = reduce(frames, mode="adi", n_components=8, inner_radius=4, outer_radius=30)
    search = find_companions(reduction, PSF.of(open_fits(folder / "naco_betapic_psf.fits")[0].data))
    assert len(search.companions) == planet
    for found in search.companions:
        assert found.separation == pytest.approx(16.45, abs=0.15)
        assert found.position_angle == pytest.approx(210.9, abs=0.7)
        assert found.snr > 12
