from dataclasses import replace

import numpy as np
import pytest
from imaging_helpers import disc, observe
from scipy.optimize import nnls

from astronmf.exceptions import MissingDataWarning
from astronmf.imaging import reduce
from astronmf.imaging.target import Choice, residual_variances

SPOT = disc((33, 33), 22, 19, 3)
UNTURNED = np.zeros(4)


def test_residuals_and_models_add_up_to_the_data(science, reduction):
    np.testing.assert_allclose(reduction.residuals + reduction.models, science.data, rtol=1e-13)


@pytest.mark.parametrize("scale", ["bff", 0.9])
def test_models_include_the_scale_factor(science, components, scale):
    result = reduce(science, components=components, scale=scale)
    basis = components.data.reshape(3, -1)
    expected = (result.coefficients * result.scale_factors[:, None]) @ basis
    np.testing.assert_allclose(result.models.reshape(4, -1), expected, rtol=1e-12)


def test_coefficients_are_the_exact_non_negative_least_squares_solution(science, components, reduction):
    basis = components.data.reshape(3, -1)
    for frame, sigma, found in zip(science.data, science.sigma, reduction.coefficients, strict=True):
        expected, _ = nnls((basis / sigma.ravel()).T, (frame / sigma).ravel())
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_chi2_is_the_weighted_sum_of_squared_residuals(science, reduction):
    assert reduction.chi2 == pytest.approx(np.sum((reduction.residuals / science.sigma) ** 2), rel=1e-12)
    assert reduction.n_valid == science.data.size
    assert 0.9 < reduction.chi2 / reduction.n_valid < 1.7


def test_the_model_covers_pixels_declared_missing(science, components):
    result = reduce(science, components=components, imputation_mask=SPOT, imputation_frame="detector")
    assert np.isfinite(result.models[:, SPOT]).all()
    assert np.isfinite(result.residuals[:, SPOT]).all()
    assert (result.weights[:, SPOT] == 0).all()


def test_a_source_declared_missing_does_not_change_the_model(science, components):
    options = {"components": components, "imputation_mask": SPOT, "imputation_frame": "detector"}
    before = reduce(science, **options)
    after = reduce(science.replace_data(science.data + 1e6 * SPOT), **options)
    np.testing.assert_array_equal(after.coefficients, before.coefficients)
    np.testing.assert_array_equal(after.covariances, before.covariances)
    np.testing.assert_array_equal(after.models, before.models)
    np.testing.assert_allclose((after.residuals - before.residuals)[:, SPOT], 1e6, rtol=1e-9)


def test_pixels_outside_the_radii_do_not_change_the_result(observation, components):
    options = {"components": components, "inner_radius": 4, "outer_radius": 13}
    science = observation.science_frames(angles=UNTURNED)
    before = reduce(science, **options)
    outside = ~before.choice.region
    after = reduce(science.replace_data(science.data + 1e6 * outside), **options)
    np.testing.assert_array_equal(after.combined, before.combined)
    assert np.isnan(before.models[:, outside]).all()
    assert np.isnan(before.combined[outside]).all()


def test_a_missing_value_blanks_its_own_pixel_and_no_other(observation, components):
    data = np.array(observation.science)
    data[1, 12, 20] = np.nan
    with pytest.warns(MissingDataWarning, match="^1 values of 'data'"):
        frames = observation.science_frames(data=data, angles=UNTURNED)
    before = reduce(observation.science_frames(angles=UNTURNED), components=components, scale="none")
    after = reduce(frames, components=components, scale="none")
    blank = np.isnan(after.residuals)
    assert blank[1, 12, 20]
    assert blank.sum() == 1
    others = [0, 2, 3]
    np.testing.assert_allclose(after.residuals[others], before.residuals[others], atol=1e-9)
    shift = np.abs(after.residuals[1] - before.residuals[1])
    assert np.nanmax(shift) < 0.1  # its coefficients moved by what one value in a thousand says
    assert np.isfinite(after.combined).all()
    assert after.coverage[12, 20] == 3


def test_a_masked_value_is_the_same_as_a_missing_one(observation, components):
    mask = np.zeros(observation.science.shape, bool)
    mask[1, 12, 20] = True
    masked = reduce(observation.science_frames(mask=mask), components=components)
    spoilt = np.where(mask, np.nan, observation.science)
    missing = reduce(observation.science_frames(data=spoilt, mask=mask), components=components)
    np.testing.assert_array_equal(masked.combined, missing.combined)


@pytest.mark.parametrize(("fitted", "share"), [(False, 0.64), (True, 0.64 - 1.6)])
def test_variances_are_those_of_data_and_model(science, components, reduction, fitted, share):
    basis = components.data.reshape(3, -1)
    choice = replace(reduction.choice, imputed=np.full(science.shape, not fitted))
    found = residual_variances(
        science, reduction.residuals, choice, reduction.bases, reduction.covariances, np.full(4, 0.8)
    ).reshape(4, -1)
    for i, covariance in enumerate(reduction.covariances):
        expected = science.sigma[i].ravel() ** 2 + share * np.einsum("ap,ab,bp->p", basis, covariance, basis)
        np.testing.assert_allclose(found[i], expected, rtol=1e-12)


def test_residuals_scatter_as_their_variances_say(observation, components):
    star, hidden = observation.science_star[0], np.zeros((200, 33, 33), bool)
    hidden[:, 12:15, 18:21] = True
    noise = np.random.default_rng(11).standard_normal((200, *star.shape))
    frames = observation.science_frames(data=star + 2.0 * noise, uncertainty=2.0, angles=np.zeros(200))
    result = reduce(frames, components=components, scale="none", imputation_mask=hidden)
    found = residual_variances(
        frames, result.residuals, result.choice, result.bases, result.covariances, result.scale_factors
    )
    np.testing.assert_allclose(result.residuals.var(axis=0).mean() / found.mean(), 1, rtol=0.01)
    inside = hidden[0]
    assert result.residuals.var(axis=0)[inside].mean() / found.mean(axis=0)[inside].mean() == pytest.approx(1, rel=0.1)


def test_the_covariance_is_the_inverse_of_the_weighted_gram_matrix(science, components, reduction):
    basis = components.data.reshape(3, -1)
    for weights, covariance in zip(science.weights().reshape(4, -1), reduction.covariances, strict=True):
        np.testing.assert_allclose(covariance @ ((basis * weights) @ basis.T), np.eye(3), atol=1e-9)


def test_coefficients_scatter_as_their_covariance_says(observation, components):
    star = observation.science_star[0]
    noise = np.random.default_rng(9).standard_normal((200, *star.shape))
    frames = observation.science_frames(data=star + 2.0 * noise, uncertainty=2.0, angles=np.zeros(200))
    result = reduce(frames, components=components, scale="none")
    pulls = (result.coefficients - result.coefficients.mean(axis=0)) / np.sqrt(
        np.diagonal(result.covariances, axis1=1, axis2=2)
    )
    np.testing.assert_allclose(pulls.std(axis=0), 1, atol=0.2)


def test_without_errors_they_come_from_the_scatter_of_the_residuals():
    plain = observe(noise=3.0, angles=UNTURNED, n_references=60)
    frames = plain.science_frames(uncertainty=None)
    result = reduce(frames, plain.reference_frames(uncertainty=None), n_components=3)
    assert (result.weights == 1).all()
    assert result.meta["errors"] == "from the scatter of the residuals"
    assert "uniform" in result.components.meta["weights_origin"]
    assert np.median(result.combined_uncertainty) == pytest.approx(3.0 / np.sqrt(4), rel=0.1)
    assert np.std(result.combined / result.combined_uncertainty) == pytest.approx(1, abs=0.15)


def test_given_errors_are_noted(reduction):
    assert reduction.meta["errors"] == "given"
    assert reduction.components.meta["weights_origin"] == "1/σ² of the references"


def test_the_fit_uses_the_region_less_what_is_imputed(science):
    region, imputed = np.zeros((33, 33), bool), np.zeros(science.shape, bool)
    region[5:20] = True
    imputed[2, 8:12] = True
    weights = Choice(region, imputed, region).weights(science)
    np.testing.assert_array_equal(weights > 0, region & ~imputed)


def test_a_scale_region_chooses_what_a_factor_is_judged_by(observation, components):
    halves = np.arange(33)[:, None] < np.full(33, 16)
    brighter = observation.science * np.where(halves, 1.0, 1.1)
    frames = observation.science_frames(data=brighter)
    near = reduce(frames, components=components, scale_region=halves)
    far = reduce(frames, components=components, scale_region=~halves)
    assert (far.scale_factors - near.scale_factors > 0.03).all()


def test_pixels_declared_missing_do_not_judge_a_factor(science, components):
    options = {"components": components, "imputation_mask": SPOT, "imputation_frame": "detector"}
    faint = science.data - 0.1 * reduce(science, **options, scale="none").models
    before, after = (
        reduce(science.replace_data(faint + source * SPOT), **options, scale="bff-ren2018") for source in (0.0, 30.0)
    )
    np.testing.assert_array_equal(after.scale_factors, before.scale_factors)


def test_the_model_is_the_star(observation, science, reduction):
    error = (reduction.models - observation.science_star) / science.sigma
    assert np.std(error) < 0.9  # three components of eight references: their noise is in the model
