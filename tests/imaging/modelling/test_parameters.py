"""The table of parameters: units, errors by source, and lengths on the sky."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from fit_helpers import POINT, SOURCES, scene, seen

from astronmf.imaging.modelling.callable_model import CallableModel
from astronmf.imaging.modelling.parameters import UNITS, noise_factor_of, noise_factors, parameter_table
from astronmf.imaging.modelling.rings import EdgeOnDisk, Ring

FREE = {"disk": {"radius": (6, 10), "inclination": (40, 70)}, "planet": {"separation": (9, 13)}}
VALUES = np.array([8.0, 55.0, 11.0])


@cache
def calibrated(*factors):
    """Return a fit whose calibration found some noise factors."""
    fit = scene().reduced().fit(SOURCES, psf=POINT, calibration="angles")
    return replace(fit, calibration=replace(fit.calibration, noise_factor=np.array(factors)))


@cache
def likelihood(pixel_scale=None, free=("disk", "planet")):
    return scene().reduced(pixel_scale=pixel_scale).likelihood(SOURCES, {name: FREE[name] for name in free}, psf=POINT)


def test_every_source_has_the_noise_factor_that_its_calibration_found():
    assert noise_factors(calibrated(30.0, 3.7)) == {"disk": 30.0, "planet": 3.7}
    assert noise_factors(calibrated(np.nan, 0.0)) == {"disk": 1.0, "planet": 1.0}
    fit = scene().reduced().fit(SOURCES, psf=POINT, calibration="angles")
    assert list(noise_factors(fit).values()) == list(fit.calibration.noise_factor)
    assert noise_factors(replace(fit, calibration=None)) == {"disk": 1.0, "planet": 1.0}


def test_the_largest_noise_factor_of_the_sources_counts_where_there_is_one_for_all():
    assert noise_factor_of(calibrated(30.0, 3.7), ["planet"]) == 3.7
    assert noise_factor_of(calibrated(30.0, 3.7), ["disk", "planet"]) == 30.0
    assert noise_factor_of(calibrated(0.4, 0.7), ["disk", "planet"]) == 0.7
    assert noise_factor_of(replace(calibrated(2.0, 3.0), calibration=None), ["disk"]) == 1.0


def test_the_errors_of_a_source_grow_with_its_own_noise_factor():
    usual = parameter_table(likelihood(), VALUES)
    np.testing.assert_array_equal(usual["error"], np.sqrt(np.diag(likelihood().covariance(VALUES))))
    widened = parameter_table(likelihood(), VALUES, noise_factors={"disk": 30.0, "planet": 3.7})
    np.testing.assert_allclose(widened["error"] / usual["error"], [30.0, 30.0, 3.7])
    np.testing.assert_array_equal(widened["value"], VALUES)


def test_parameters_have_units_and_lengths_are_in_arcseconds_where_the_scale_is_known():
    plain = parameter_table(likelihood(), VALUES)
    assert list(plain["unit"]) == ["pix", "deg", "pix"]
    assert "arcsec" not in plain.colnames
    scaled = parameter_table(likelihood(0.05), VALUES)
    np.testing.assert_allclose(scaled["arcsec"], [0.4, np.nan, 0.55])
    np.testing.assert_allclose(scaled["arcsec_error"], scaled["error"] * np.array([0.05, np.nan, 0.05]))


@pytest.mark.parametrize("kind", [Ring, EdgeOnDisk])
def test_every_length_and_direction_of_a_disk_has_its_unit(kind):
    assert {UNITS[name] for name in kind.LENGTHS} == {"pix"}
    assert {UNITS[name] for name in kind.DIRECTIONS} == {"deg"}


def test_the_unit_of_a_parameter_of_a_function_is_unknown():
    def blob(radius):
        y, x = np.indices((33, 33)) - 16
        return np.exp(-0.5 * ((x - 7) ** 2 + y**2) / radius**2)

    sources = {"blob": CallableModel(blob, {"radius": 2.0})}
    light = seen(sources["blob"].with_parameters(radius=2.0))
    reduction = scene().plus(20 * light).reduced(pixel_scale=0.05)
    found = reduction.likelihood(SOURCES | sources, {"blob.radius": (1, 3)}, psf=POINT)
    table = parameter_table(found, np.array([2.0]))
    assert list(table["unit"]) == [""]
    assert np.isnan(table["arcsec"]).all()
