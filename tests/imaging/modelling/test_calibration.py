"""Calibration at the level of normal equations, where many trials take little time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from astronmf.imaging.modelling.calibration import calibrate, calibration_angles

M = 12
ANGLES = calibration_angles(M)


def turned(profiles, m=M):
    """Return every profile at m + 1 places around a circle of (m + 1) × size pixels, each place after the other."""
    size = profiles.shape[1] // (m + 1)
    return np.array([np.roll(profile, place * size) for profile in profiles for place in range(m + 1)])


def sources(width=1.5, seed=0, size=8):
    """Return two sources that overlap a little with each other, and with their neighbours where they are wide."""
    at = np.arange((M + 1) * size)
    centre = at.size // 2
    return np.array([np.exp(-0.5 * ((at - centre - 8.0 * j) / (width * (1 + j))) ** 2) for j in range(2)])


def calibrated(data, columns, t, angles=ANGLES):
    """Return the calibration of a circle of unit weights."""
    return calibrate(columns @ columns.T, columns @ data, np.ones(t, dtype=bool), angles)


@pytest.mark.parametrize(("width", "noise"), [(1.0, 1.0), (3.0, 5.0)])
def test_on_noise_alone_the_amplitude_has_no_bias_and_its_error_holds_68_percent(width, noise):
    rng, columns = np.random.default_rng(1), turned(sources(width))
    truth, found = np.array([7.0, -3.0]), []
    for _ in range(500):
        data = truth @ columns[:: M + 1] + noise * rng.standard_normal(columns.shape[1])
        one = calibrated(data, columns, 2)
        found.append((one.amplitudes - truth) / one.errors)
    pulls = np.array(found)
    assert (np.abs(pulls.mean(axis=0)) < 3 * pulls.std(axis=0) / np.sqrt(500)).all()
    np.testing.assert_allclose((np.abs(pulls) < 1).mean(axis=0), 0.683, atol=0.06)


def test_noise_that_is_correlated_over_many_pixels_is_in_the_error():
    rng, columns = np.random.default_rng(2), turned(sources())
    kernel, pulls, factors = np.exp(-0.5 * (np.arange(-12, 13) / 3.0) ** 2), [], []
    for _ in range(400):
        data = np.convolve(np.pad(rng.standard_normal(columns.shape[1]), 12, mode="wrap"), kernel, mode="valid")
        one = calibrated(data, columns, 2)
        pulls.append(one.amplitudes / one.errors)
        factors.append(one.noise_factor)
    assert (np.mean(factors, axis=0) > 2).all()
    np.testing.assert_allclose((np.abs(pulls) < 1).mean(axis=0), 0.683, atol=0.07)


@given(st.integers(0, 10**6), st.floats(-100, 100))
def test_light_that_is_the_same_at_all_angles_is_taken_off_exactly(seed, common):
    rng, columns = np.random.default_rng(seed), turned(sources())
    data = rng.standard_normal(columns.shape[1])
    rings = np.array([columns[j * (M + 1) : (j + 1) * (M + 1)].sum(axis=0) for j in range(2)])
    one, other = (calibrated(values, columns, 2) for values in (data, data + common * rings[0] - 3 * rings[1]))
    np.testing.assert_allclose(other.amplitudes, one.amplitudes, atol=1e-10 * (1 + abs(common)))
    np.testing.assert_allclose(other.errors, one.errors, rtol=1e-8, atol=1e-9 * (1 + abs(common)))
    np.testing.assert_allclose(other.null_amplitudes, one.null_amplitudes, atol=1e-9 * (1 + abs(common)))


@given(st.integers(0, 10**6))
def test_the_amplitude_is_linear_in_the_data_and_its_error_knows_nothing_of_the_source(seed):
    rng, columns = np.random.default_rng(seed), turned(sources())
    data = rng.standard_normal(columns.shape[1])
    one, other = (calibrated(values, columns, 2) for values in (data, data + 50 * columns[0] + 20 * columns[M + 1]))
    np.testing.assert_allclose(other.amplitudes - one.amplitudes, [50, 20], rtol=1e-9)
    np.testing.assert_allclose(other.raw - one.raw, [50, 20], rtol=1e-9)
    np.testing.assert_allclose(other.covariance, one.covariance, rtol=1e-6)
    np.testing.assert_allclose(other.bias, one.bias, atol=1e-9)


def test_the_unit_of_a_template_is_that_of_its_amplitude():
    rng, columns = np.random.default_rng(3), turned(sources())
    data = rng.standard_normal(columns.shape[1])
    unit = np.repeat([1e-9, 1e6], M + 1)[:, None]
    one, other = calibrated(data, columns, 2), calibrated(data, columns * unit, 2)
    np.testing.assert_allclose(other.amplitudes * unit[:: M + 1, 0], one.amplitudes, rtol=1e-9)
    np.testing.assert_allclose(other.noise_factor, one.noise_factor, rtol=1e-9)


def test_a_source_that_is_the_same_at_all_angles_cannot_be_calibrated_and_the_other_can():
    columns = turned(sources())
    columns[: M + 1] = 1.0
    data = 3.0 + 5.0 * columns[M + 1] + 0.1 * np.random.default_rng(4).standard_normal(columns.shape[1])
    found = calibrated(data, columns, 2)
    np.testing.assert_array_equal(np.isnan(found.amplitudes), [True, False])
    np.testing.assert_array_equal(np.isnan(found.errors), [True, False])
    assert found.raw[0] == pytest.approx(3.0, abs=0.1)
    assert abs(found.amplitudes[1] - 5) < 5 * found.errors[1]


def test_a_source_that_depends_on_another_takes_nothing_from_the_rest():
    columns = turned(sources())
    twice = np.concatenate([columns, columns[: M + 1]])
    data = 9.0 * columns[0] + 4.0 * columns[M + 1] + np.random.default_rng(5).standard_normal(columns.shape[1])
    one, other = calibrated(data, columns, 2), calibrated(data, twice, 3)
    np.testing.assert_array_equal(np.isnan(other.amplitudes), [True, False, True])
    assert other.amplitudes[1] == pytest.approx(one.amplitudes[1], rel=1e-8)
    assert other.errors[1] == pytest.approx(one.errors[1], rel=1e-6)


def test_places_where_nothing_is_seen_are_none_to_calibrate_with():
    columns = turned(sources())
    columns[[3, 4, M + 6]] = 0.0
    data = np.random.default_rng(6).standard_normal(columns.shape[1])
    found = calibrated(data, columns, 2)
    np.testing.assert_array_equal(np.isfinite(found.null_amplitudes).sum(axis=1), [M - 2, M - 1])
    assert np.isfinite(found.errors).all()
    assert found.degrees_of_freedom[0] < M - 2


def test_a_source_that_is_seen_nowhere_else_has_an_amplitude_without_a_known_error():
    columns = turned(sources())
    columns[1 : M + 1] = 0.0
    found = calibrated(np.random.default_rng(7).standard_normal(columns.shape[1]), columns, 2)
    assert np.isnan(found.errors[0])
    assert np.isnan(found.amplitudes[0])
    assert np.isfinite(found.amplitudes[1])


def test_a_template_that_is_not_known_is_left_out():
    columns = turned(sources())
    data = np.random.default_rng(8).standard_normal(columns.shape[1])
    found = calibrate(columns @ columns.T, columns @ data, np.array([False, True]), ANGLES)
    alone = calibrated(data, columns[M + 1 :], 1)
    assert np.isnan([found.amplitudes[0], found.raw[0], found.raw_errors[0]]).all()
    np.testing.assert_allclose(found.amplitudes[1], alone.amplitudes[0], rtol=1e-12)
    np.testing.assert_allclose(found.errors[1], alone.errors[0], rtol=1e-10)


def test_independent_places_are_counted():
    columns = turned(sources(0.3)[:1])
    found = calibrated(np.random.default_rng(9).standard_normal(columns.shape[1]), columns, 1)
    assert found.degrees_of_freedom[0] == pytest.approx(M - 1, abs=0.3)
    wide = turned(np.ones((1, (M + 1) * 8)) + sources(6.0)[:1])
    assert calibrated(np.random.default_rng(9).standard_normal(wide.shape[1]), wide, 1).degrees_of_freedom[0] < 7


def test_the_error_is_the_formal_one_times_what_nulls_show_times_student_s_widening():
    columns = turned(sources()[:1])
    found = calibrated(np.random.default_rng(9).standard_normal(columns.shape[1]), columns, 1)
    both = np.array([columns[0], columns.mean(axis=0)])
    formal = np.sqrt(np.linalg.inv(both @ both.T)[0, 0])
    widening = stats.t.ppf(stats.norm.cdf(1), found.degrees_of_freedom[0])
    assert found.errors[0] == pytest.approx(formal * found.noise_factor[0] * widening, rel=1e-9)


@given(st.integers(3, 40))
def test_angles_are_equal_parts_of_the_circle_and_never_half_a_turn(n):
    angles = calibration_angles(n)
    assert len(angles) == n
    assert (np.abs(angles - 180) > 1).all()
    assert (angles > 0).all()
    assert (angles < 360).all()
    np.testing.assert_allclose(np.diff(angles), angles[0])


@pytest.mark.parametrize(("contrast", "is_calibrated"), [(0.5, True), (0.2, True), (0.05, False), (0.005, False)])
def test_what_changes_by_less_than_a_tenth_when_it_is_turned_cannot_be_calibrated(contrast, is_calibrated):
    at = np.arange((M + 1) * 8)
    profile = 1 + contrast * np.sqrt(2) * np.cos(2 * np.pi * at / at.size)  # a variance of contrast² about its mean
    found = calibrated(profile, turned(profile[None]), 1)
    assert np.isfinite(found.amplitudes[0]) == is_calibrated
    assert found.raw[0] == pytest.approx(1.0)
