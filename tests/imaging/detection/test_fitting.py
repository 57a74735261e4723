"""Sources fitted to residuals."""

import numpy as np
import pytest
from detection_helpers import ANGLES, FWHM, POINT, SIZE, observed, reduced
from hypothesis import given, settings
from hypothesis import strategies as st

from astronmf.imaging.detection.candidates import Candidate, Candidates
from astronmf.imaging.detection.fitting import Fitter, Noise, Place
from astronmf.imaging.detection.matched import MatchedFilter, filtered
from astronmf.imaging.detection.point_response import PointResponse
from astronmf.imaging.geometry import polar, sky_position
from astronmf.imaging.injection import source_frames

UNIT = POINT.normalized


@pytest.fixture(scope="module")
def reduction():
    """Return a reduction with a companion of flux 60 at 9 pixels and 40 degrees."""
    return reduced("rdi", (9.0, 40.0, 60.0))


@pytest.mark.parametrize("smearing", [None, 7.0, "angles"])
@settings(max_examples=8)
@given(x=st.floats(6, 26), y=st.floats(6, 26))
def test_a_source_is_the_one_that_is_injected(smearing, x, y):
    frames = observed().science_frames()
    fitter = Fitter(_Reduction(frames), UNIT, smearing)
    expected = source_frames(frames.shape, frames.geometry, UNIT, *polar((16, 16), x, y), smearing)
    np.testing.assert_allclose(fitter.source(x, y), expected, atol=1e-9)


class _Reduction:
    """As much of a reduction as drawing a source takes."""

    def __init__(self, frames):
        self.science, self.center = frames, (16, 16)


def test_light_beyond_the_frame_is_lost_without_a_word():
    fitter = Fitter(_Reduction(observed().science_frames(angles=ANGLES * 0)), UNIT)
    assert fitter.source(32.0, 16.0).sum() < 0.7 * 8
    assert fitter.source(60.0, 16.0).sum() == 0


@pytest.mark.parametrize("direction", range(0, 360, 45))
def test_a_start_that_is_a_pixel_off_makes_no_difference(reduction, direction):
    x, y = sky_position((SIZE, SIZE), 9.0, 40.0)
    fitter = Fitter(reduction, UNIT)
    there = fitter.first((x, y))
    away = np.deg2rad(direction)
    near = fitter.first((x + 1.5 * np.cos(away), y + 1.5 * np.sin(away)))
    assert (near.x, near.y) == (pytest.approx(there.x, abs=0.01), pytest.approx(there.y, abs=0.01))
    assert near.flux == pytest.approx(there.flux, rel=1e-3)
    assert not near.fixed


def test_at_a_known_place_only_the_flux_is_fitted(reduction):
    x, y = sky_position((SIZE, SIZE), 9.0, 40.0)
    found = Fitter(reduction, UNIT).at((x, y))
    assert (found.x, found.y, found.fixed) == (x, y, True)
    assert np.isnan(found.position_error)
    assert found.flux == pytest.approx(60, abs=5 * found.curvature**-0.5)
    residuals = reduction.residuals
    left = np.nan_to_num(reduction.remaining(Fitter(reduction, UNIT).source(x, y)))
    weights = reduction.science.weights() * np.isfinite(residuals)
    information = np.sum(left * weights * left)
    assert found.curvature == pytest.approx(information)
    assert found.flux == pytest.approx(np.sum(left * weights * np.nan_to_num(residuals)) / information)


def test_where_nothing_is_seen_there_is_no_flux_and_no_error_message(reduction):
    found = Fitter(reduction, UNIT).at((60.0, 60.0))
    assert (found.flux, found.curvature) == (0, 0)
    free = Fitter(reduction, UNIT).first((60.0, 60.0))
    assert (free.x, free.y, free.flux) == (60, 60, 0)


def test_a_source_below_zero_is_measured_where_it_was_looked_for(reduction):
    start = sky_position((SIZE, SIZE), 9.0, 40.0)
    found = Fitter(reduction, UNIT).first(start, -reduction.residuals)
    assert (found.x, found.y) == start
    assert found.flux < 0


def test_from_what_is_left_a_known_source_is_corrected(reduction):
    fitter = Fitter(reduction, UNIT)
    best = fitter.first(sky_position((SIZE, SIZE), 9.0, 40.0))
    known = Place(best.flux - 3, best.x + 0.05, best.y - 0.02, best.position_error, best.curvature)
    better = fitter.fit(reduction.residuals - fitter.trace(known), known)
    assert better.flux == pytest.approx(best.flux, rel=0.01)
    assert (better.x, better.y) == (pytest.approx(best.x, abs=0.01), pytest.approx(best.y, abs=0.01))


def test_noise_is_that_of_the_place():
    flux = np.random.default_rng(1).normal(0.3, 2.0, (SIZE, SIZE))
    tests = MatchedFilter(flux, np.ones_like(flux), FWHM)
    noise = Noise.of(tests, Place(1.0, 20.2, 9.8, 0.1, 1.0))
    everywhere = tests.statistics()
    assert noise.n_test == everywhere.n_test[10, 20]
    assert noise.mean == everywhere.mean[10, 20]
    assert noise.error == pytest.approx(everywhere.scatter[10, 20] * np.sqrt(1 + 1 / noise.n_test))
    assert noise.snr(noise.mean + 3 * noise.error) == pytest.approx(3)
    assert 0 < noise.significance(noise.mean + 3 * noise.error) < 3


@pytest.mark.parametrize(("x", "y"), [(-3.0, 5.0), (40.0, 40.0), (16.0, 16.0)])
def test_noise_that_nothing_tells_of_is_unknown(x, y):
    flux = np.where(np.indices((SIZE, SIZE)).sum(axis=0) > 15, np.nan, 1.0)
    noise = Noise.of(MatchedFilter(flux, flux, FWHM), Place(1.0, x, y, 0.1, 4.0))
    assert np.isnan(noise.snr(3.0)) or noise.n_test > 1
    if noise.n_test < 2:
        assert np.isnan(noise.error)
        assert noise.error_of(Place(1.0, x, y, 0.1, 4.0)) == 0.5


def test_noise_without_scatter_has_no_ratio():
    assert np.isnan(Noise(0.0, 0.0, 10).snr(3.0))
    assert np.isnan(Noise(0.0, 0.0, 10).significance(3.0))


def test_what_is_within_a_fwhm_of_a_brighter_one_is_a_part_of_it(reduction):
    response = PointResponse.of(reduction, POINT)
    candidates = Candidates(
        response, Fitter(reduction, UNIT), reduction.residuals, filtered(response, reduction.residuals)
    )
    x, y = sky_position((SIZE, SIZE), 9.0, 40.0)
    bright, beside, apart = (
        Candidate(Place(flux, x + shift, y, 0.1, 1.0), flux) for shift, flux in ((0, 400.0), (2, 100.0), (4, 100.0))
    )
    candidates.known = [bright]
    candidates.new = [beside, apart]
    assert candidates.all == [bright, beside, apart]
    assert [candidates.stands_out(one, 5.0) for one in candidates.all] == [True, False, True]
    assert not candidates.stands_out(bright, 100.0)
