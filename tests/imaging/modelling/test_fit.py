from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from fit_helpers import ANGLES, LIMITS, PLANET, POINT, RING, SIZE, SOURCES, TRUTH, basis, pulls, scene, seen
from helpers import read_only
from imaging_helpers import disc

from astronmf import SequentialNMF
from astronmf.exceptions import DegeneracyWarning, MissingDataWarning
from astronmf.imaging import Frames, reduce
from astronmf.imaging.modelling.sources import PointSource, SkyImage

FLUXES = np.array(list(TRUTH.values()))
EXACT = {"psf": POINT, "systematics": 0.0}
QUICK = SequentialNMF(3, tol=1e-4)

pytestmark = [
    pytest.mark.filterwarnings("ignore:the companion at .* is outside the frame"),
    pytest.mark.filterwarnings("ignore:'imputation_mask' declares"),
]


def same(one, other):
    """Check that two fits are equal to the last bit."""
    for name in ("amplitudes", "covariance", "coefficients", "star", "residuals", "combined", "model", "chi2"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert one.status == other.status


# What is found


def test_without_noise_amplitudes_and_star_are_the_truth():
    observed = scene(0.0)
    fit = observed.reduced().fit(SOURCES, **EXACT)
    np.testing.assert_allclose(fit.amplitudes, FLUXES, rtol=1e-9)
    np.testing.assert_allclose(fit.coefficients, observed.coefficients, rtol=1e-9)
    region = np.isfinite(fit.star)
    np.testing.assert_allclose(fit.star[region], observed.star[region], rtol=1e-9, atol=1e-7)
    assert fit.status == ("determined", "determined")
    assert fit.chi2 < 1e-9
    assert fit.names == ("disk", "planet")


def test_pulls_have_mean_0_and_scatter_1():
    found = pulls(80, lambda one: one.reduced())
    assert (np.abs(found.mean(axis=0)) < 3 / np.sqrt(80)).all()
    assert (np.abs(found.std(axis=0) - 1) < 3 / np.sqrt(160)).all()


def test_what_was_declared_missing_takes_part():
    around = disc((SIZE, SIZE), 16, 16, 12)
    observed = scene()
    one, other = (
        observed.reduced().fit(SOURCES, **EXACT),
        observed.reduced(imputation_mask=around).fit(SOURCES, **EXACT),
    )
    np.testing.assert_allclose(one.amplitudes, other.amplitudes, rtol=1e-10)
    assert one.n_valid == other.n_valid


def test_the_star_the_light_and_the_residuals_are_the_data():
    observed = scene()
    data = observed.data.copy()
    mask = np.zeros(data.shape, dtype=bool)
    data[1, 20, 20], mask[1, 20, 20] = np.nan, True
    for how in ({}, {"star": "frame"}, {"star": "all", "calibration": "angles"}):
        fit = observed.reduced(data=data, missing=mask).fit(SOURCES, **(EXACT | how))
        known = np.isfinite(fit.residuals)
        total = fit.star + fit.light() + fit.residuals
        np.testing.assert_allclose(total[known], data[known], rtol=1e-12, atol=1e-9)
        assert known.sum() == fit.n_valid == np.isfinite(fit.star).sum() - 1
        both = np.isfinite(fit.combined)
        np.testing.assert_allclose(fit.combined[both], (fit.model + fit.residual)[both], rtol=1e-12, atol=1e-9)


def test_chi2_is_that_of_the_residuals_and_degrees_of_freedom_are_counted():
    observed = scene()
    fit = observed.reduced().fit(SOURCES, **EXACT)
    assert fit.chi2 == pytest.approx(np.nansum((fit.residuals / observed.sigma) ** 2), rel=1e-12)
    assert fit.n_parameters == 3 * len(ANGLES) + 2
    assert fit.reduced_chi2 == pytest.approx(1, abs=4 * np.sqrt(2 / fit.n_valid))


def test_frames_in_any_order_give_the_same():
    observed, order = scene(), [3, 0, 4, 2, 1]
    one = observed.reduced().fit(SOURCES, **EXACT)
    parts = {"data": observed.data[order], "uncertainty": observed.sigma[order], "angles": ANGLES[order]}
    other = observed.reduced(**parts).fit(SOURCES, **EXACT)
    np.testing.assert_allclose(other.amplitudes, one.amplitudes, rtol=1e-10)
    np.testing.assert_allclose(other.coefficients, one.coefficients[order], rtol=1e-9)


# Weights and missing values


def test_what_is_under_the_mask_changes_no_bit():
    observed = scene()
    mask = np.zeros(observed.data.shape, dtype=bool)
    mask[:, 14:19, 22:26] = True
    fits = [
        observed.reduced(data=np.where(mask, fill, observed.data), missing=mask).fit(SOURCES, **EXACT)
        for fill in (0.0, 1e30, np.nan)
    ]
    same(fits[0], fits[1])
    same(fits[0], fits[2])
    assert np.isnan(fits[0].residuals[mask]).all()


@pytest.mark.parametrize("nothing", [np.inf, np.nan, 0.0])
def test_an_error_that_says_nothing_is_a_missing_value(nothing):
    observed = scene()
    mask = np.zeros(observed.data.shape, dtype=bool)
    mask[:, 14:19, 22:26] = True
    with pytest.warns(MissingDataWarning, match="100 values of 'uncertainty'"):
        one = observed.reduced(uncertainty=np.where(mask, nothing, observed.sigma))
    same(one.fit(SOURCES, **EXACT), observed.reduced(missing=mask).fit(SOURCES, **EXACT))


@pytest.mark.parametrize("factor", [0.5, 1e-3])
def test_errors_scale_with_those_of_the_data(factor):
    observed = scene()
    one = observed.reduced().fit(SOURCES, **EXACT)
    other = observed.reduced(uncertainty=observed.sigma * factor).fit(SOURCES, **EXACT)
    np.testing.assert_allclose(other.amplitudes, one.amplitudes, rtol=1e-10)
    np.testing.assert_allclose(other.covariance, one.covariance * factor**2, rtol=1e-9)
    assert other.chi2 == pytest.approx(one.chi2 / factor**2, rel=1e-9)


def test_the_unit_of_the_data_is_that_of_amplitudes_and_images():
    observed, power = scene(), 2.0**40
    one = observed.reduced(unit="MJy/sr").fit(SOURCES, psf=POINT)
    large = observed.reduced(data=observed.data * power, uncertainty=observed.sigma * power).fit(SOURCES, psf=POINT)
    np.testing.assert_allclose(large.amplitudes, one.amplitudes * power, rtol=1e-12)
    np.testing.assert_allclose(large.combined, one.combined * power, rtol=1e-12, atol=1e-6 * power)
    assert (one.unit, large.unit) == (u.Unit("MJy/sr"), None)


def test_float32_agrees_with_float64_and_inputs_are_not_modified():
    observed = scene()
    reduction = observed.reduced()
    kept = [array.copy() for array in (reduction.science.data, reduction.models, reduction.residuals)]
    one = reduction.fit(SOURCES, psf=POINT, calibration="angles")
    for array, before in zip((reduction.science.data, reduction.models, reduction.residuals), kept, strict=True):
        np.testing.assert_array_equal(array, before)
    small = {"data": observed.data.astype(np.float32), "uncertainty": observed.sigma.astype(np.float32)}
    other = observed.reduced(**small).fit(SOURCES, psf=POINT, calibration="angles")
    np.testing.assert_allclose(other.amplitudes, one.amplitudes, rtol=1e-4)
    np.testing.assert_allclose(other.errors, one.errors, rtol=1e-3)
    assert other.amplitudes.dtype == np.float64


def test_one_frame_keeps_its_axis():
    observed = scene(angles=read_only([25.0]))
    fit = observed.reduced().fit(SOURCES, **EXACT)
    assert fit.residuals.shape == fit.star.shape == (1, SIZE, SIZE)
    assert fit.templates.shape == (2, 1, SIZE, SIZE)
    assert fit.coefficients.shape == (1, 3)
    assert (np.abs(fit.amplitudes - FLUXES) < 4 * fit.errors).all()


def test_without_errors_the_scatter_of_what_no_source_explains_is_the_error():
    found, stated = [], []
    for seed in range(30):
        fit = scene(seed=seed).reduced(uncertainty=None).fit(SOURCES, **EXACT)
        found.append(fit.amplitudes)
        stated.append(fit.errors)
    assert 0.8 < fit.reduced_chi2 < 1.2
    np.testing.assert_allclose(np.std(found, axis=0), np.mean(stated, axis=0), rtol=0.4)


def test_systematics_lower_the_weight_where_the_star_is_bright():
    reduction = scene().reduced()
    errors = [reduction.fit(SOURCES, psf=POINT, systematics=share).errors for share in (0.0, 0.02, 0.1)]
    assert (np.diff(errors, axis=0) > 0).all()
    as_array = reduction.fit(SOURCES, psf=POINT, systematics=0.1 * np.nan_to_num(reduction.models)).errors
    np.testing.assert_allclose(as_array, errors[2], rtol=1e-12)


# What templates may be


def test_templates_come_in_any_container():
    reduction = scene(0.0).reduced()
    images = np.array([seen(SOURCES[name], read_only([0.0]))[0] for name in SOURCES])
    expected = reduction.fit([SkyImage(image) for image in images]).amplitudes
    for templates in (list(images), tuple(images), images, dict(zip("ab", images, strict=True))):
        np.testing.assert_array_equal(reduction.fit(templates).amplitudes, expected)
    np.testing.assert_allclose(expected, FLUXES, rtol=0.01)  # interpolated
    single = reduction.fit(images[0])
    assert (single.names, single.amplitudes.shape) == (("template 0",), (1,))
    assert reduction.fit({"a": RING, "b": PLANET}, psf=POINT).names == ("a", "b")


@pytest.mark.parametrize("nothing", [[], {}, np.empty((0, SIZE, SIZE))])
def test_no_template_at_all_is_an_error(nothing):
    with pytest.raises(ValueError, match=r"'templates' must be at least one disk, planet or other source, got none"):
        scene().reduced().fit(nothing)


@pytest.mark.parametrize(
    ("templates", "how", "message"),
    [
        (PLANET, {}, "'psf' must be given"),
        (np.ones((5, 5)), {}, r"'template 0' must be of shape \(33, 33\)"),
        (np.full((SIZE, SIZE), np.nan), {}, r"'template 0' must be finite everywhere"),
        (RING, {"star": "annulus"}, "'annulus_width' must be given"),
        (RING, {"star": "stars"}, "'star' must be one of"),
        (RING, {"calibration": "radius"}, "'calibration' must be one of"),
        (RING, {"n_angles": 2}, "'n_angles' must be"),
        (RING, {"systematics": -0.1}, "'systematics' must be"),
        (RING, {"systematics": np.ones((4, 4))}, "'systematics' must"),
    ],
)
def test_what_cannot_be_fitted_is_told(templates, how, message):
    with pytest.raises(ValueError, match=message):
        scene().reduced().fit(templates, **how)


def templates_in(told):
    """Return the names of the templates that were warned of."""
    return [str(one.message).split("'")[1] for one in told if one.category is DegeneracyWarning]


# Amplitudes at their bound, and amplitudes that nothing determines


def test_an_amplitude_that_would_be_negative_is_0_at_its_bound_with_an_error():
    reduction = scene(truth={"disk": 900.0, "planet": -40.0}).reduced()
    free = reduction.fit(SOURCES, non_negative=False, **EXACT)
    bound = reduction.fit(SOURCES, **EXACT)
    assert abs(free.amplitudes[1] + 40) < 4 * free.errors[1]
    assert free.status == ("determined", "determined")
    assert (bound.amplitudes[1], bound.status[1]) == (0.0, "at bound")
    assert bound.errors[1] == pytest.approx(free.errors[1], rel=0.05)
    assert bound.n_parameters == free.n_parameters - 1
    assert bound.chi2 > free.chi2


def test_a_template_outside_the_region_is_unconstrained_and_changes_nothing_else():
    reduction = scene().reduced(outer_radius=14)
    alone = reduction.fit(SOURCES, **EXACT)
    corner = PointSource(22.5, 45.0)
    with pytest.warns(DegeneracyWarning, match="has no light where there are data") as told:
        fit = reduction.fit(SOURCES | {"far": corner, "none": np.zeros((SIZE, SIZE))}, **EXACT)
    assert templates_in(told) == ["far", "none"]
    assert fit.status == ("determined", "determined", "unconstrained", "unconstrained")
    np.testing.assert_allclose(fit.amplitudes[:2], alone.amplitudes, rtol=1e-12)
    np.testing.assert_allclose(fit.errors[:2], alone.errors, rtol=1e-12)
    assert np.isnan(fit.amplitudes[2:]).all()
    assert np.isnan(fit.errors[2:]).all()
    assert fit.condition_number == pytest.approx(alone.condition_number)
    np.testing.assert_allclose(fit.model, alone.model, atol=1e-9)


@pytest.mark.parametrize("calibration", [None, "angles"])
@pytest.mark.parametrize("non_negative", [True, False])
def test_templates_that_are_the_same_are_degenerate_and_the_rest_of_the_fit_is_as_without(calibration, non_negative):
    reduction, how = scene().reduced(), EXACT | {"calibration": calibration, "non_negative": non_negative}
    alone = reduction.fit(SOURCES, **how)
    with pytest.warns(DegeneracyWarning, match="cannot be told from the star's components or other templates") as told:
        fit = reduction.fit({"disk": RING, "planet": PLANET, "twin": RING}, **how)
    assert templates_in(told) == ["disk", "twin"]
    assert fit.status == ("degenerate", "determined", "degenerate")
    assert np.isnan(fit.amplitudes[[0, 2]]).all()
    assert np.isnan(fit.covariance[0]).all()
    np.testing.assert_allclose([fit.amplitudes[1], fit.errors[1]], [alone.amplitudes[1], alone.errors[1]], rtol=1e-6)
    known = np.isfinite(alone.residuals)
    if calibration is None:
        np.testing.assert_allclose(fit.residuals[known], alone.residuals[known], atol=1e-6)
    assert fit.condition_number > 1e12


@pytest.mark.parametrize("non_negative", [True, False])
def test_a_template_that_is_a_component_is_degenerate(non_negative):
    observed = scene(angles=read_only([0.0, 0.0]))
    component = SkyImage(np.nan_to_num(basis().data[1]), convolved=True)
    with pytest.warns(DegeneracyWarning, match="'halo' cannot be told"):
        fit = observed.reduced().fit({"halo": component, "planet": PLANET}, non_negative=non_negative, **EXACT)
    alone = observed.reduced().fit(PLANET, **EXACT)
    assert fit.status == ("degenerate", "determined")
    assert fit.amplitudes[1] == pytest.approx(alone.amplitudes[0], rel=1e-8)
    assert fit.errors[1] == pytest.approx(alone.errors[0], rel=1e-8)
    np.testing.assert_allclose(fit.coefficients, alone.coefficients, rtol=1e-6)


def test_a_template_that_is_nearly_a_sum_of_components_is_told_with_a_number():
    observed = scene(angles=read_only([0.0, 0.0]))
    halo = SkyImage(np.nan_to_num(basis().data[1]) + 1e-3 * seen(PLANET, read_only([0.0]))[0], convolved=True)
    with pytest.warns(DegeneracyWarning, match=r"its amplitude is (\d+) times what it would be alone") as told:
        fit = observed.reduced().fit({"halo": halo}, **EXACT)
    assert f"{fit.variance_inflation[0]:.0f}" in str(told[0].message)
    assert fit.variance_inflation[0] > 1e3
    assert fit.condition_number == pytest.approx(fit.variance_inflation[0])
    assert fit.status == ("determined",)


def test_templates_that_overlap_with_nothing_have_a_condition_number_of_1():
    blank = Frames(scene().data - scene().star, scene().sigma, angles=ANGLES)
    far = {"one": PointSource(11.0, 200.0), "other": PointSource(11.0, 20.0)}
    fit = reduce(blank, components=basis(), scale="none", **LIMITS).fit(far, **EXACT)
    assert 1 <= fit.condition_number < 1.1


@pytest.mark.parametrize("separation", [16.6, 17.0])
def test_a_point_whose_wings_alone_are_in_the_region_is_unconstrained(separation):
    reduction = scene().reduced(outer_radius=14)
    with pytest.warns(DegeneracyWarning, match=r"template 'far' has .* of its squared light where there are data"):
        found = reduction.fit({"far": PointSource(separation, 45.0)}, **EXACT)
    assert found.status == ("unconstrained",)
    assert np.isnan(found.amplitudes).all()
    assert found.covered[0] < 0.01


def test_a_point_that_is_mostly_outside_is_told_of():
    reduction = scene().reduced(outer_radius=14)
    with pytest.warns(DegeneracyWarning, match=r"has only .* what is seen of it are its wings"):
        found = reduction.fit(PointSource(15.3, 45.0), **EXACT)
    assert 0.01 < found.covered[0] < 0.1


def test_the_table_has_fluxes_in_the_unit_and_in_mjy():
    found = scene().reduced().fit(SOURCES, **EXACT)
    np.testing.assert_allclose(found.fluxes, found.amplitudes, rtol=0.05)  # sources of unit flux, cut by the frame
    plain = found.table()
    np.testing.assert_array_equal(plain["flux"], found.fluxes)
    assert "flux_density" not in plain.colnames
    geometry = replace(found.geometry, pixel_scale=0.063)
    table = replace(found, unit=u.MJy / u.sr, geometry=geometry).table()
    assert table["flux"].unit == u.MJy / u.sr * u.pix
    area = (0.063 * u.arcsec) ** 2
    np.testing.assert_allclose(table["flux_density"], (found.fluxes * u.MJy / u.sr * area).to(u.mJy), rtol=1e-12)
    np.testing.assert_allclose(
        table["flux_density_error"] / table["flux_density"], found.errors / found.amplitudes, rtol=1e-12
    )
