import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from astronmf.imaging.detection import (
    detection_threshold,
    penalty,
    resolution_elements,
    significance,
    threshold,
    two_sample_snr,
)

counts = st.integers(2, 2000)


@pytest.mark.parametrize(
    ("separation", "expected"), [(0.0, 0), (0.49, 0), (0.5, 2), (1.0, 6), (2.0, 12), (3.0, 18), (10.0, 62)]
)
def test_as_many_circles_fit_on_a_ring_as_geometry_says(separation, expected):
    assert resolution_elements(4.6 * separation, 4.6) == expected


def test_far_out_the_elements_are_the_circumference_in_fwhm():
    r = np.array([1e3, 1e4])
    np.testing.assert_allclose(resolution_elements(r, 3.0), 2 * np.pi * r / 3, rtol=1e-3)


@given(separation=st.floats(0.6, 200), fwhm=st.floats(1, 20))
def test_neighbours_on_a_ring_do_not_overlap(separation, fwhm):
    count = resolution_elements(separation * fwhm, fwhm)
    assert 2 * separation * fwhm * np.sin(np.pi / count) >= fwhm * (1 - 1e-7)
    assert 2 * separation * fwhm * np.sin(np.pi / (count + 1)) < fwhm


def test_the_ratio_is_that_of_the_published_formula():
    tests = np.array([1.0, 4.0, 2.0, 3.5, 2.2])
    expected = (20 - tests.mean()) / (tests.std(ddof=1) * np.sqrt(1 + 1 / 5))
    assert two_sample_snr(20, tests.mean(), tests.std(ddof=1), 5) == pytest.approx(expected)


def test_the_ratio_is_scipys_two_sample_t_test_of_one_value():
    rng = np.random.default_rng(1)
    tests = rng.normal(size=11)
    found = two_sample_snr(2.5, tests.mean(), tests.std(ddof=1), 11)
    assert found == pytest.approx(stats.ttest_ind([2.5], tests).statistic)


@pytest.mark.parametrize(("n", "deviation"), [(0, 1.0), (1, 1.0), (5, 0.0), (5, np.nan)])
def test_without_a_scatter_there_is_no_ratio(n, deviation):
    assert np.isnan(two_sample_snr(5.0, 1.0, deviation, n))


def test_of_many_elements_the_significance_is_the_ratio():
    np.testing.assert_allclose(significance([-3.0, 0.0, 2.0, 5.0], 10**8), [-3, 0, 2, 5], atol=1e-5)


@given(snr=st.floats(-20, 20), n=counts)
def test_the_significance_has_the_false_positive_probability_of_the_ratio(snr, n):
    assert stats.norm.sf(significance(snr, n)) == pytest.approx(stats.t.sf(snr, n - 1), rel=1e-9)


@given(sigma=st.floats(-30, 30), n=counts)
def test_the_threshold_is_the_reverse_of_the_significance(sigma, n):
    assert significance(threshold(sigma, n), n) == pytest.approx(sigma, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("n", [2, 3, 6, 21, 101, 1001, 100_001])
def test_the_significance_rises_however_far_out(n):
    snr = np.concatenate([np.linspace(0, 20, 500), np.geomspace(20.1, 1e15, 500)])
    found = significance(snr, n)
    assert np.isfinite(found).all()
    assert (np.diff(found) > 0).all()
    np.testing.assert_array_equal(significance(-snr, n), -found)


@pytest.mark.parametrize("n", [101, 1001, 100_001])
def test_where_probabilities_leave_double_precision_the_significance_has_no_step(n):
    edge = stats.t.isf(1e-290, n - 1)
    snr = edge * np.linspace(0.99, 1.01, 21)
    steps = np.diff(significance(snr, n))
    np.testing.assert_allclose(steps, steps.mean(), rtol=0.02)


@pytest.mark.parametrize(("snr", "n"), [(np.nan, 9), (3.0, 1), (3.0, 0)])
def test_what_is_not_known_stays_unknown(snr, n):
    assert np.isnan(significance(snr, n))


def test_a_threshold_needs_two_test_apertures():
    np.testing.assert_array_equal(np.isnan(threshold(5.0, [0, 1, 2])), [True, True, False])


@pytest.mark.parametrize("sigma", [31, -31, np.nan, np.inf])
def test_a_threshold_beyond_double_precision_is_an_error(sigma):
    with pytest.raises(ValueError, match=r"'sigma' must be numbers in \[-30, 30\]"):
        threshold(sigma, 9)


@pytest.mark.parametrize(("sigma", "n_test"), [(1.0, 5), (2.0, 5), (2.0, 11), (2.5, 23)])
def test_noise_passes_the_threshold_as_often_as_it_should(sigma, n_test):
    values = np.random.default_rng(3).normal(size=(400_000, n_test + 1))
    tests = values[:, 1:]
    ratios = two_sample_snr(values[:, 0], tests.mean(axis=1), tests.std(axis=1, ddof=1), n_test)
    expected = stats.norm.sf(sigma)
    error = np.sqrt(expected / len(values))
    assert np.mean(ratios > threshold(sigma, n_test)) == pytest.approx(expected, abs=4 * error)


def test_close_to_the_star_the_threshold_is_much_higher():
    found = detection_threshold(5.0, 4.6 * np.array([1.0, 2.0, 5.0, 100.0]), 4.6)
    # Six elements at one FWHM: five are left to tell the scatter, of four degrees of freedom.
    assert found[0] == pytest.approx(stats.t.isf(stats.norm.sf(5.0), 4) * np.sqrt(1.2))
    assert (np.diff(found) < 0).all()
    assert found[-1] == pytest.approx(5.0, rel=0.02)


def test_where_fewer_than_three_elements_fit_there_is_no_threshold():
    assert np.isnan(detection_threshold(5.0, 2.3, 4.6))


def test_the_penalty_is_the_threshold_over_the_sigma():
    assert penalty(3.0, 9.2, 4.6) == pytest.approx(detection_threshold(3.0, 9.2, 4.6) / 3)
    with pytest.raises(ValueError, match="'sigma' must be a number above 0"):
        penalty(0.0, 9.2, 4.6)


def test_scalars_give_scalars_and_arrays_arrays():
    assert np.ndim(significance(3.0, 9)) == np.ndim(threshold(3.0, 9)) == np.ndim(resolution_elements(9.0, 3.0)) == 0
    assert significance(np.ones((2, 3)), 9).shape == (2, 3)
