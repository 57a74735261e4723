"""Companions of known flux and place come back, with errors that are true."""

from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from detection_helpers import FWHM, HOW, POINT, SIZE, observed, reduced, with_companions
from imaging_helpers import PIXEL_SCALE, disc

from astronmf.exceptions import ConvergenceWarning
from astronmf.imaging import build_components, inject, reduce
from astronmf.imaging.companions import Companion, companion_table, fit_companion
from astronmf.imaging.detection.matched import matched_filter
from astronmf.imaging.geometry import sky_position

HERE = (9.3, 200.0)
FLUX = 60.0
TRIALS = 44


def offset(companion, separation, position_angle):
    """Return how far a companion is from a place, (x, y) pixels."""
    x, y = sky_position((SIZE, SIZE), separation, position_angle)
    return np.array([companion.x - x, companion.y - y])


@pytest.fixture(scope="module")
def pulls():
    """Return errors over their 1σ of flux, x and y: of many injections into fresh noise, (trials, 3)."""
    basis = build_components(observed(n_references=60).reference_frames(), 3, inner_radius=2, outer_radius=15)
    found = []
    for trial in range(TRIALS):
        place = (7.0 + trial % 5, 137.5 * trial % 360)
        frames = with_companions(observed(seed=trial).science_frames(), (*place, FLUX))
        one = fit_companion(
            reduce(frames, components=basis, inner_radius=2, outer_radius=15, scale="none"),
            POINT,
            *place,
            max_reductions=0,
        )
        found.append([(one.flux - FLUX) / one.flux_error, *offset(one, *place) / one.position_error])
    return np.array(found)


def test_errors_of_fluxes_are_true(pulls):
    flux = pulls[:, 0]
    assert abs(flux.mean()) < 3 / np.sqrt(TRIALS)
    assert 0.75 < flux.std() < 1.35  # a dozen places tell the noise: a t distribution's tails


def test_errors_of_places_are_true(pulls):
    place = pulls[:, 1:]
    assert (np.abs(place.mean(axis=0)) < 3 / np.sqrt(TRIALS)).all()
    assert 0.75 < place.std() < 1.35


@pytest.mark.parametrize("mode", ["rdi", "adi"])
def test_over_position_angles_the_flux_comes_back_without_bias(mode):
    errors, places = [], []
    for angle in range(0, 360, 30):
        reduction = reduced(mode, (9.3, angle, FLUX), seed=angle)
        found = fit_companion(reduction, POINT, 9.3, angle)
        errors.append((found.flux - FLUX) / found.flux_error)
        places.append(offset(found, 9.3, angle) / found.position_error)
    assert abs(np.mean(errors)) < 3 / np.sqrt(12)
    assert np.abs(errors).max() < 4
    assert np.abs(places).max() < 4.5


def test_reductions_without_it_correct_the_forward_model():
    reduction = reduced("adi", (9.0, 330.0, 400.0), seed=300)
    forward = fit_companion(reduction, POINT, 9.0, 330.0, max_reductions=0)
    again = fit_companion(reduction, POINT, 9.0, 330.0, max_reductions=8)
    assert (forward.n_reductions, again.forward_flux) == (0, forward.flux)
    assert np.isnan(forward.flux_left)
    assert again.n_reductions > 1
    assert abs(again.flux_left) < 0.05 * again.flux_error
    assert abs(again.flux - 400) < 4 * again.flux_error
    assert abs(again.flux - 400) < abs(forward.flux - 400) + again.flux_error
    assert again.flux_error < forward.flux_error  # of a ring that is free of it


def test_with_other_stars_the_forward_model_is_all_that_is_needed():
    reduction = reduced("rdi", (*HERE, FLUX))
    forward, again = (fit_companion(reduction, POINT, *HERE, max_reductions=n) for n in (0, 5))
    assert again.n_reductions == 1
    assert again.flux == pytest.approx(forward.flux, abs=0.05 * forward.flux_error)
    assert again.snr == pytest.approx(forward.snr, rel=0.05)


def test_scale_factors_that_are_searched_are_followed():
    found = fit_companion(reduced("rdi", (*HERE, FLUX), scale="bff"), POINT, *HERE, max_reductions=2)
    assert abs(found.flux - FLUX) < 4 * found.flux_error


def test_a_cold_start_of_the_reductions_agrees_with_a_warm_one():
    reduction = reduced("adi", (*HERE, FLUX))
    warm, cold = (fit_companion(reduction, POINT, *HERE, warm=warm, max_reductions=8) for warm in (True, False))
    assert warm.flux == pytest.approx(cold.flux, abs=0.3 * cold.flux_error)


@pytest.mark.parametrize("mode", ["rdi", "adi"])
@pytest.mark.parametrize("direction", range(0, 360, 60))
def test_a_start_that_is_a_fwhm_off_ends_at_the_same_place(mode, direction):
    reduction = reduced(mode, (*HERE, FLUX))
    expected = fit_companion(reduction, POINT, *HERE, max_reductions=0)
    x, y = sky_position((SIZE, SIZE), *HERE)
    right, up = 0.97 * FWHM * np.cos(np.deg2rad(direction)), 0.97 * FWHM * np.sin(np.deg2rad(direction))
    off = np.hypot(x + right - 16, y + up - 16), np.rad2deg(np.arctan2(16 - x - right, y + up - 16))
    found = fit_companion(reduction, POINT, *off, max_reductions=0)
    assert (found.x, found.y) == (pytest.approx(expected.x, abs=0.02), pytest.approx(expected.y, abs=0.02))
    assert found.flux == pytest.approx(expected.flux, rel=0.01)


@pytest.mark.parametrize("max_reductions", [0, 2])
def test_where_nothing_is_the_flux_at_that_place_is_measured_and_it_is_said(max_reductions):
    reduction = reduced("adi", seed=4)
    with pytest.warns(ConvergenceWarning, match=r"nothing within a FWHM of \(19.2, 7.3\) stands out by 3 sigma"):
        found = fit_companion(reduction, POINT, *HERE, max_reductions=max_reductions)
    assert (found.separation, found.position_angle) == (pytest.approx(9.3), pytest.approx(200))
    assert abs(found.snr) < 3.5
    assert np.isnan(found.position_error)
    assert found.flux_error > 0


@pytest.mark.parametrize("separation", [1.0, 15.9, 40.0])
def test_a_place_where_nothing_was_reduced_is_an_error(separation):
    reduction = reduced("rdi", (*HERE, FLUX))
    with pytest.raises(ValueError, match="'separation' must be inside what was reduced, got"):
        fit_companion(reduction, POINT, separation, 30.0)


def test_without_the_reference_frames_nothing_can_be_reduced_again():
    reduction = replace(reduced("ardi", (*HERE, FLUX)), references=None)
    fit_companion(reduction, POINT, *HERE, max_reductions=0)
    with pytest.raises(ValueError, match="'max_reductions' must be 0 where the frames of the reference stars are not"):
        fit_companion(reduction, POINT, *HERE)


def test_a_factor_in_the_psf_changes_nothing():
    reduction = reduced("rdi", (*HERE, FLUX))
    one, other = (fit_companion(reduction, psf, *HERE, max_reductions=1) for psf in (POINT, POINT.scaled(1e4)))
    for name in Companion.__dataclass_fields__:
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-6, abs=1e-9)


def test_places_may_be_given_on_the_sky():
    reduction = reduced("rdi", (*HERE, FLUX))
    one = fit_companion(reduction, POINT, *HERE, max_reductions=0)
    other = fit_companion(
        reduction, POINT, 1e3 * HERE[0] * PIXEL_SCALE * u.mas, np.deg2rad(HERE[1]) * u.rad, max_reductions=0
    )
    assert one.flux == pytest.approx(other.flux, rel=1e-6)


def test_peak_and_aperture_flux_are_those_of_the_source():
    found = fit_companion(reduced("rdi", (*HERE, FLUX)), POINT, *HERE, max_reductions=0)
    assert found.peak / found.flux == pytest.approx(POINT.peak / POINT.flux)
    assert found.aperture_flux / found.flux == pytest.approx(POINT.aperture_flux(FWHM / 2) / POINT.flux)
    assert found.snr == pytest.approx(found.flux / found.flux_error, abs=2)  # less the mean of the ring
    assert found.n_test == matched_filter(reduced("rdi"), POINT).statistics().n_test[round(found.y), round(found.x)]


def test_the_table_is_in_the_frames_unit_and_in_pixels_and_arcseconds():
    reduction = reduced("rdi", (*HERE, FLUX))
    table = companion_table([fit_companion(reduction, POINT, *HERE, max_reductions=0)], reduction, 1e5 * u.kJy / u.sr)
    for name in ("flux", "flux_error", "peak", "aperture_flux"):
        assert table[name].unit == reduction.unit
    for name in ("x", "y", "position_error", "separation"):
        assert table[name].unit == u.pix
    assert table["separation_angle"].unit == u.arcsec
    assert table["separation_angle"][0].value == pytest.approx(table["separation"][0].value * PIXEL_SCALE)
    expected = np.rad2deg(table["position_error"][0].value / table["separation"][0].value)
    assert table["position_angle_error"][0].to_value(u.deg) == pytest.approx(expected)
    assert table["contrast"][0] == pytest.approx(table["flux"][0].value / 1e2)
    assert table["n_test"].dtype.kind == "i"


def test_without_scale_and_unit_columns_are_plain():
    observation = observed()
    plain = {"unit": None, "pixel_scale": None, "uncertainty": None}
    frames = with_companions(observation.science_frames(**plain), (*HERE, FLUX))
    reduction = reduce(frames, observation.reference_frames(**plain), **HOW)
    found = fit_companion(reduction, POINT, *HERE, max_reductions=0)
    table = companion_table([found], reduction)
    assert "separation_angle" not in table.colnames
    assert not hasattr(table["flux"], "unit") or table["flux"].unit is None
    assert abs(found.flux - FLUX) < 4 * found.flux_error


@pytest.mark.parametrize("factor", [1e-9, 1e12])
def test_the_unit_s_size_does_not_matter(factor):
    observation = observed()
    frames = with_companions(observation.science_frames(uncertainty=None), (*HERE, FLUX))
    references = observation.reference_frames(uncertainty=None)
    found = []
    for scale in (1.0, factor):
        both = (stack.replace_data(stack.data * scale) for stack in (frames, references))
        found.append(fit_companion(reduce(*both, **HOW), POINT, *HERE, max_reductions=1))
    assert found[1].flux / factor == pytest.approx(found[0].flux, rel=1e-4)
    assert found[1].flux_error / factor == pytest.approx(found[0].flux_error, rel=1e-3)
    assert found[1].x == pytest.approx(found[0].x, abs=1e-3)
    assert found[1].position_error == pytest.approx(found[0].position_error, rel=1e-2)


@pytest.mark.parametrize("shape", ["parity", "off centre", "even", "float32", "missing"])
def test_whatever_the_frames_are_like_the_companion_comes_back(shape):
    observation = observed(size=34 if shape == "even" else SIZE)
    mask = np.random.default_rng(1).random(observation.science.shape) < 0.05
    changes = {
        "parity": {"parity": -1},
        "off centre": {"center": (17.3, 15.6)},
        "even": {"center": (17, 17)},
        "float32": {"data": observation.science.astype(np.float32)},
        "missing": {"mask": mask, "data": np.where(mask, 1e30, observation.science)},
    }[shape]
    others = {name: value for name, value in changes.items() if name in ("parity", "center")}
    frames = with_companions(observation.science_frames(**changes), (*HERE, FLUX))
    how = HOW | {"outer_radius": 13}
    reduction = reduce(frames, observation.reference_frames(**others), **how)
    found = fit_companion(reduction, POINT, *HERE, max_reductions=2)
    assert abs(found.flux - FLUX) < 4 * found.flux_error
    assert found.separation == pytest.approx(HERE[0], abs=0.3)
    assert found.position_angle == pytest.approx(HERE[1], abs=2)


@pytest.mark.parametrize("smearing", [10.0, "angles"])
def test_a_smeared_companion_needs_a_smeared_model(smearing):
    observation = observed()
    frames = inject(observation.science_frames(), POINT, 11.0, 200.0, 200.0, smearing=smearing)
    reduction = reduce(frames, observation.reference_frames(), **HOW)
    sharp = fit_companion(reduction, POINT, 11.0, 200.0, max_reductions=0)
    smeared = fit_companion(reduction, POINT, 11.0, 200.0, max_reductions=0, smearing=smearing)
    assert abs(smeared.flux - 200) < 4 * smeared.flux_error
    assert sharp.flux < 200 - 3 * sharp.flux_error


def test_a_companion_that_was_declared_missing_keeps_its_flux():
    observation = observed()
    frames = with_companions(observation.science_frames(), (*HERE, FLUX))
    mask = disc((SIZE, SIZE), *sky_position((SIZE, SIZE), *HERE), FWHM)
    reduction = reduce(frames, observation.reference_frames(), **HOW, imputation_mask=mask)
    found = fit_companion(reduction, POINT, *HERE, max_reductions=1)
    assert abs(found.flux - FLUX) < 4 * found.flux_error


def test_what_is_left_after_too_few_reductions_is_told_of():
    reduction = reduced("adi", (9.0, 330.0, 400.0), seed=300)
    with pytest.warns(ConvergenceWarning, match="after 1 reductions without the companion, .* is left"):
        fit_companion(reduction, POINT, 9.0, 330.0, max_reductions=1)


def test_inputs_are_not_changed():
    reduction = reduced("adi", (*HERE, FLUX))
    arrays = (reduction.residuals, reduction.science.data, reduction.components.data, reduction.coefficients)
    before = [array.copy() for array in arrays]
    fit_companion(reduction, POINT, *HERE, max_reductions=2)
    for array, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_the_steps_are_told():
    told = []
    fit_companion(reduced("rdi", (*HERE, FLUX)), POINT, *HERE, progress=lambda *step: told.append(step))
    assert told == [(1, 5, "reductions without the companion")]
