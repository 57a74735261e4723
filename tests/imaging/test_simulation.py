"""The embedded observation, whose truth is known: does the disk's flux come back, and is the error honest?"""

import warnings

import numpy as np
import pytest
from imaging_helpers import centroid, disc, place

from astronmf.datasets import load_simulated
from astronmf.exceptions import MissingDataWarning
from astronmf.imaging import build_components, reduce

INNER, OUTER = 5, 40  # λ/D
BRIGHT = 0.1  # of the disk's peak


@pytest.fixture(scope="module")
def simulated():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MissingDataWarning)  # a few values are NaN without a flag: data/README.md
        return load_simulated()


@pytest.fixture(scope="module")
def radii(simulated):
    pixels = simulated.pixels_per_resolution_element
    return {"inner_radius": INNER * pixels, "outer_radius": OUTER * pixels}


@pytest.fixture(scope="module")
def components(simulated, radii):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MissingDataWarning)  # pixels that are defective in every frame
        return build_components(simulated.references, 10, **radii)


@pytest.fixture(scope="module")
def masked(simulated, components, radii):
    """Return the reduction with disk and planet declared missing."""
    return reduce(simulated.science, components=components, **radii, imputation_mask=simulated.source_region())


@pytest.fixture(scope="module")
def unmasked(simulated, components, radii):
    """Return the reduction that lets the model take of the disk what it can."""
    return reduce(simulated.science, components=components, **radii, scale="none")


def fraction(image, disk, reduction):
    """Return the flux of an image over the disk's, where the disk is bright and the reduction has a value."""
    seen = (disk > BRIGHT * disk.max()) & np.isfinite(reduction.combined)
    return image[seen].sum() / disk[seen].sum()


def test_the_radii_are_those_of_the_field(simulated, radii):
    assert radii == {"inner_radius": 10.0, "outer_radius": 80.0}
    assert simulated.science.shape == (8, 169, 169)
    assert simulated.references.shape == (48, 169, 169)


def test_a_disk_declared_missing_keeps_its_flux(simulated, masked):
    assert fraction(masked.combined, simulated.disk, masked) == pytest.approx(1, abs=0.03)


def test_residuals_away_from_the_source_are_noise(simulated, masked):
    away = np.isfinite(masked.residuals) & ~masked.choice.imputed & masked.choice.region
    assert 0.85 < np.std((masked.residuals / simulated.science.sigma)[away]) < 1.15


def test_errors_of_the_image_are_its_scatter_away_from_the_source(simulated, masked):
    away = np.isfinite(masked.combined) & ~simulated.source_region(1e-3)
    assert 0.7 < np.std((masked.combined / masked.combined_uncertainty)[away]) < 1.15


def test_a_disk_that_is_not_declared_missing_loses_flux(simulated, unmasked):
    assert fraction(unmasked.combined, simulated.disk, unmasked) < 0.9


def test_the_forward_model_predicts_the_loss(simulated, unmasked):
    measured = fraction(unmasked.combined, simulated.disk, unmasked)
    predicted = fraction(unmasked.forward(simulated.disk), simulated.disk, unmasked)
    assert predicted == pytest.approx(measured, rel=0.02)


def test_the_forward_model_of_a_disk_declared_missing_keeps_its_flux(simulated, masked):
    predicted = fraction(masked.forward(simulated.disk), simulated.disk, masked)
    assert predicted == pytest.approx(fraction(masked.combined, simulated.disk, masked), abs=0.02)


def test_the_planet_is_found_where_it_is(simulated, masked):
    shape, truth = masked.combined.shape, simulated.truth
    expected = place(masked.center, truth["PLSEP"], truth["PLPA"])
    found = centroid(np.where(disc(shape, *expected, 3), masked.combined, 0))
    np.testing.assert_allclose(found, expected, atol=0.5)


def test_the_planet_keeps_its_flux(simulated, masked):
    x, y = place(masked.center, simulated.truth["PLSEP"], simulated.truth["PLPA"])
    near = disc(masked.combined.shape, x, y, 3)
    assert masked.combined[near].sum() / simulated.planet[near].sum() == pytest.approx(1, abs=0.1)


def test_the_forward_model_predicts_what_is_left_of_the_planet(simulated, unmasked):
    x, y = place(unmasked.center, simulated.truth["PLSEP"], simulated.truth["PLPA"])
    near = disc(unmasked.combined.shape, x, y, 3)
    both = unmasked.forward(simulated.planet + simulated.disk)
    assert unmasked.combined[near].sum() / both[near].sum() == pytest.approx(1, abs=0.1)


def test_only_counted_pixels_of_the_field_are_blank(masked):
    blank = np.isnan(masked.residuals) & masked.choice.region
    lost = masked.science.mask | masked.components.mask
    np.testing.assert_array_equal(blank, lost & masked.choice.region)


def test_the_planet_is_the_brightest_thing_around(simulated, masked):
    shape, truth = masked.combined.shape, simulated.truth
    expected = place(masked.center, truth["PLSEP"], truth["PLPA"])
    around = np.where(disc(shape, *expected, 8), masked.combined, -np.inf)
    assert disc(shape, *expected, 1.5).flat[np.nanargmax(around)]
