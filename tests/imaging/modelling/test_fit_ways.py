"""Fits with scale factors, calibrated fits, and fits to frames that are their own library."""

from dataclasses import replace

import numpy as np
import pytest
from fit_helpers import ANGLES, LIMITS, PLANET, POINT, SIZE, SOURCES, TRUTH, basis, pulls, scene, seen
from helpers import read_only
from imaging_helpers import disc
from rotation_helpers import FWHM, THREE, sequence
from rotation_helpers import PLANET as ORBITING
from rotation_helpers import POINT as STAMP

from astronmf import SequentialNMF
from astronmf.exceptions import ConvergenceWarning, DegeneracyWarning, MissingDataWarning
from astronmf.imaging import Frames, Reduction, build_components, reduce
from astronmf.imaging.companions import fit_companion
from astronmf.imaging.modelling.rings import Ring
from astronmf.imaging.modelling.sources import PointSource

FLUXES = np.array(list(TRUTH.values()))
EXACT = {"psf": POINT, "systematics": 0.0}
QUICK = SequentialNMF(3, tol=1e-4)

pytestmark = [
    pytest.mark.filterwarnings("ignore:the companion at .* is outside the frame"),
    pytest.mark.filterwarnings("ignore:'imputation_mask' declares"),
]


# Scale factors of the models that are there


FACTORS = np.array([0.9, 1.0, 1.1, 0.8, 1.2])


def groups_of(star):
    """Return the values, (n, y, x) bool, that share each factor."""
    n, y, x = len(ANGLES), SIZE, SIZE
    frame = np.arange(n)[:, None, None] * np.ones((1, y, x))
    distance = np.hypot(*(np.indices((y, x)) - 16))[None] * np.ones((n, 1, 1))
    return {
        "frame": [frame == i for i in range(n)],
        "roll": [np.isin(frame, rows) for rows in ((0, 1), (2, 3), (4,))],
        "annulus": [distance < 9, distance >= 9],
        "all": [frame >= 0],
    }[star]


def closed_form(observed, reduction, groups):
    """Return factors and amplitudes of ordinary least squares, and their errors."""
    models = reduction.models / reduction.scale_factors[:, None, None]
    known = np.isfinite(models)
    columns = [np.where(group, models, 0.0)[known] for group in groups]
    unscaled = replace(reduction, scale_factors=np.ones(len(ANGLES)))
    columns += [unscaled.remaining(seen(source))[known] for source in SOURCES.values()]
    root = 1 / observed.sigma[known]
    design = (np.array(columns) * root).T
    found = np.linalg.lstsq(design, observed.data[known] * root, rcond=None)[0]
    return found, np.sqrt(np.diag(np.linalg.inv(design.T @ design)))


@pytest.mark.parametrize("star", ["frame", "roll", "annulus", "all"])
def test_scale_factors_are_those_of_least_squares(star):
    observed = scene()
    reduction = observed.reduced(scale=FACTORS, imputation_mask=disc((SIZE, SIZE), 16, 16, 13.5))
    fit = reduction.fit(SOURCES, star=star, annulus_width=6.0, max_reductions=0, **EXACT)
    expected, errors = closed_form(observed, reduction, groups_of(star))
    np.testing.assert_allclose([*fit.scale_factors.ravel(), *fit.amplitudes], expected, rtol=1e-9)
    np.testing.assert_allclose([*fit.scale_factor_errors.ravel(), *fit.errors], errors, rtol=1e-9)
    assert (np.abs(fit.amplitudes - FLUXES) < 4 * fit.errors).all()
    assert (np.abs(fit.scale_factors - 1) < 4 * fit.scale_factor_errors + 1e-3).all()


@pytest.mark.parametrize("star", ["frame", "roll", "all"])
def test_what_models_have_taken_up_of_the_sources_is_accounted_for(star):
    observed = scene(0.0)
    fit = observed.reduced().fit(SOURCES, star=star, **EXACT)
    np.testing.assert_allclose(fit.amplitudes, FLUXES, rtol=1e-7)
    np.testing.assert_allclose(fit.scale_factors, 1.0, rtol=1e-8)
    region = np.isfinite(fit.star)
    np.testing.assert_allclose(fit.star[region], observed.star[region], rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("star", ["frame", "all"])
def test_a_factor_of_0_in_the_reduction_is_no_factor_of_0_in_the_fit(star):
    observed = scene(0.0)
    fit = observed.reduced(scale=FACTORS * [1, 0, 1, 1, 0]).fit(SOURCES, star=star, max_reductions=5, **EXACT)
    np.testing.assert_allclose(fit.scale_factors, 1.0, rtol=1e-3)
    np.testing.assert_allclose(fit.amplitudes, FLUXES, rtol=1e-3)


def test_a_factor_that_no_data_know_is_nan():
    observed = scene()
    mask = np.zeros(observed.data.shape, dtype=bool)
    mask[2] = True
    with pytest.warns(MissingDataWarning, match="1 science frames have no pixel to fit"):
        reduction = observed.reduced(missing=mask)
    fit = reduction.fit(SOURCES, star="frame", **EXACT)
    np.testing.assert_array_equal(np.isnan(fit.scale_factors).ravel(), np.arange(5) == 2)
    np.testing.assert_array_equal(np.isnan(fit.scale_factor_errors), np.isnan(fit.scale_factors))
    assert (np.abs(fit.amplitudes - FLUXES) < 4 * fit.errors).all()


# Calibration in position angle


def test_a_halo_that_is_at_all_angles_is_taken_off_by_the_calibration():
    observed = scene()
    y, x = np.indices((SIZE, SIZE)) - 16
    halo = 8.0 * np.exp(-0.5 * ((np.hypot(x, y) - 11) / 2.0) ** 2)
    reduction = observed.plus(halo).reduced()
    plain, fit = (reduction.fit(PLANET, calibration=how, **EXACT) for how in (None, "angles"))
    assert plain.amplitudes[0] - 40 > 20 * plain.errors[0]
    assert abs(fit.amplitudes[0] - 40) < 4 * fit.errors[0]
    assert fit.calibration.raw[0] == pytest.approx(plain.amplitudes[0], rel=1e-9)
    assert fit.calibration.bias[0] == pytest.approx(plain.amplitudes[0] - fit.amplitudes[0])


def test_a_ring_that_is_face_on_cannot_be_calibrated():
    face_on = Ring(8.0, 0.0, 0.0, inner_width=1.2)
    observed = scene(truth={}).plus(500 * seen(face_on))
    with pytest.warns(DegeneracyWarning, match="'ring' hardly changes when it is turned about the star"):
        fit = observed.reduced().fit({"ring": face_on, "planet": PLANET}, calibration="angles", **EXACT)
    assert fit.status == ("uncalibrated", "determined")
    assert np.isnan([fit.amplitudes[0], fit.errors[0]]).all()
    assert abs(fit.calibration.raw[0] - 500) < 4 * fit.calibration.raw_errors[0]
    assert abs(fit.amplitudes[1]) < 4 * fit.errors[1]
    assert fit.fitted[0] == fit.calibration.raw[0]


def test_disk_and_planet_are_calibrated_together():
    found = pulls(40, lambda one: one.reduced(), calibration="angles")
    assert (np.abs(found.mean(axis=0)) < 3 * found.std(axis=0) / np.sqrt(40)).all()
    assert ((np.abs(found) < 1).mean(axis=0) > 0.5).all()


def test_a_place_that_turns_out_of_the_frames_is_none_to_calibrate_with():
    observed, top = scene(angles=read_only([0.0, 0.0])), slice(0, 24)
    cut = Frames(observed.data[:, top], observed.sigma[:, top], angles=observed.angles, center=(16, 16))
    own = build_components(Frames(np.nan_to_num(basis().data[:, top]), center=(16, 16)), 3, **LIMITS)
    result = reduce(cut, components=own, scale="none", **LIMITS)
    fit = result.fit(PointSource(12.0, 160.0), calibration="angles", psf=POINT)
    assert np.isfinite(fit.amplitudes).all()
    assert 2 < np.isfinite(fit.calibration.null_amplitudes).sum() < 12


# The star's own frames as the library


def test_the_fit_of_a_planet_in_a_sequence_is_its_flux_and_agrees_with_that_of_a_companion():
    result = reduce(sequence().with_planet(150.0), mode="adi", estimator=QUICK, **THREE)
    fit = result.fit(PointSource(**ORBITING), psf=STAMP, systematics=0)
    alone = fit_companion(result, STAMP, **ORBITING)
    assert abs(fit.amplitudes[0] - 150) < 4 * fit.errors[0]
    assert abs(fit.amplitudes[0] - alone.flux) < 2 * alone.flux_error
    total = fit.star + fit.light() + fit.residuals
    known = np.isfinite(total)
    np.testing.assert_allclose(total[known], result.science.data[known], rtol=1e-9)
    assert fit.variance_inflation[0] > 1


@pytest.mark.parametrize(
    ("how", "star"),
    [
        ({"mode": "adi", "annulus_width": 6}, "components"),
        ({"mode": "adi", "min_rotation": 0.5, "fwhm": FWHM}, "components"),
        ({"mode": "adi"}, "frame"),
        ({"mode": "ardi"}, "components"),
    ],
    ids=["annuli", "min_rotation", "factors", "ardi"],
)
def test_every_mode_finds_the_planet(how, star):
    references = sequence(n=6, seed=9).frames(angles=None) if how["mode"] == "ardi" else None
    result = reduce(sequence().with_planet(150.0), references, estimator=QUICK, **THREE, **how)
    fit = result.fit(PointSource(**ORBITING), psf=STAMP, systematics=0, max_reductions=6, star=star)
    assert abs(fit.amplitudes[0] - 150) < 4 * fit.errors[0]
    assert fit.errors[0] < 15


def test_without_reductions_the_forward_model_alone_is_used():
    result, counted = reduce(sequence().with_planet(150.0), mode="adi", estimator=QUICK, **THREE), []
    fit = result.fit(PointSource(**ORBITING), psf=STAMP, max_reductions=0, progress=lambda *at: counted.append(at))
    assert counted == []
    assert abs(fit.amplitudes[0] - 150) < 0.1 * 150


def test_amplitudes_that_still_change_are_told():
    result = reduce(sequence().with_planet(2000.0), mode="adi", estimator=QUICK, **THREE)
    with pytest.warns(ConvergenceWarning, match="after 1 reductions without the templates"):
        result.fit(PointSource(**ORBITING), psf=STAMP, systematics=0, max_reductions=1)


@pytest.mark.parametrize("mode", ["rdi", "adi"])
def test_a_reduction_from_a_file_is_fitted_the_same(mode, tmp_path):
    adi = mode == "adi"
    result = reduce(sequence().with_planet(150.0), mode="adi", estimator=QUICK, **THREE) if adi else scene().reduced()
    result.write(tmp_path / "reduction.fits")
    sources, psf = (PointSource(**ORBITING), STAMP) if adi else (SOURCES, POINT)
    one, other = (r.fit(sources, psf=psf) for r in (result, Reduction.read(tmp_path / "reduction.fits")))
    np.testing.assert_allclose(other.amplitudes, one.amplitudes, rtol=1e-10)
    np.testing.assert_allclose(other.errors, one.errors, rtol=1e-10)
    assert other.chi2 == pytest.approx(one.chi2, rel=1e-10)
