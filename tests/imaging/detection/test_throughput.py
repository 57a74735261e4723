import astropy.units as u
import numpy as np
import pytest
import rotation_helpers
from hypothesis import given
from hypothesis import strategies as st
from imaging_helpers import observe

from astronmf.imaging import inject, reduce
from astronmf.imaging.detection import measure_throughput
from astronmf.imaging.detection.apertures import aperture_fluxes
from astronmf.imaging.detection.throughput import Throughput, patterns, spread_angles
from astronmf.imaging.injection import source_frames

POINT, THREE = rotation_helpers.POINT, rotation_helpers.THREE
ARRAYS = (
    "combined",
    "combined_uncertainty",
    "coverage",
    "residuals",
    "models",
    "coefficients",
    "covariances",
    "scale_factors",
    "scale_factor_errors",
)


@pytest.fixture(scope="module")
def sequence():
    return rotation_helpers.sequence()


@pytest.fixture(scope="module")
def reduction(sequence):
    return reduce(sequence.frames(unit="ct", pixel_scale=0.05), mode="adi", **THREE)


def of_mode(mode, sequence):
    """Return a reduction of the sequence by one of the modes, or with frames that have components of their own."""
    frames, stars = sequence.frames(), observe(seed=8).reference_frames(unit=None)
    if mode == "own":
        return reduce(frames, mode="adi", n_components=2, inner_radius=6, outer_radius=15, min_rotation=0.5, fwhm=3.0)
    return reduce(frames, None if mode == "adi" else stars, mode=mode, **THREE)


@pytest.mark.parametrize("mode", ["rdi", "adi", "ardi", "own"])
def test_companions_without_flux_leave_the_reduction_as_it_was_to_the_last_bit(mode, sequence):
    before = of_mode(mode, sequence)
    after = before.again(inject(before.science, POINT, [8.0, 12.0], [30.0, 200.0], 0.0))
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name), strict=True, err_msg=name)
    np.testing.assert_array_equal(after.components.data, before.components.data)
    np.testing.assert_array_equal(after.components.coefficients, before.components.coefficients)
    if before.self_reference is not None:
        np.testing.assert_array_equal(after.self_reference.hats, before.self_reference.hats)


def test_of_a_faint_companion_apertures_lose_what_the_forward_model_says(reduction):
    found = measure_throughput(reduction, POINT, [9.0], 5.0, position_angles=[70.0, 200.0], method="aperture")
    for row in found:
        source = source_frames(
            reduction.science.shape, reduction.science.geometry, POINT.normalized, 9.0, row["position_angle"]
        )
        angle = row["position_angle"]
        kept = reduction.combine_frames(reduction.remaining(source)).image
        whole = reduction.combine_frames(np.where(np.isfinite(reduction.residuals), source, np.nan)).image
        assert row["throughput"] == pytest.approx(in_aperture(kept, angle) / in_aperture(whole, angle), rel=0.05)
        assert 0.3 < row["throughput"] < 0.9


def in_aperture(image, angle):
    """Return the flux in an aperture at 9 pixels."""
    x, y = 16 - 9 * np.sin(angle.to_value(u.rad)), 16 + 9 * np.cos(angle.to_value(u.rad))
    return aperture_fluxes(image, np.array([x]), np.array([y]), POINT.fwhm / 2)[0]


def test_the_matched_filter_finds_all_of_the_flux(reduction):
    found = measure_throughput(reduction, POINT, [6.0, 9.0, 12.0], 20.0)
    assert len(found) == 12
    np.testing.assert_allclose(found["throughput"], 1, atol=0.05)
    np.testing.assert_allclose(found["recovered"], found["throughput"] * found["flux"])
    assert found["recovered"].unit == u.ct


def test_noise_has_no_part_in_it(sequence):
    quiet, loud = (reduce(rotation_helpers.sequence(noise=noise).frames(), mode="adi", **THREE) for noise in (0.3, 3.0))
    one, other = (measure_throughput(r, POINT, 9.0, 20.0, method="aperture")["throughput"] for r in (quiet, loud))
    np.testing.assert_allclose(one, other, rtol=0.1)


def test_a_build_that_starts_from_the_components_that_are_there_finds_the_same(reduction):
    cold, warm = (measure_throughput(reduction, POINT, [6.0, 12.0], 20.0, warm=warm) for warm in (False, True))
    np.testing.assert_allclose(warm["throughput"], cold["throughput"], atol=0.02)


def test_several_companions_in_the_same_frames_do_not_disturb_each_other(reduction):
    together = measure_throughput(reduction, POINT, [5.0, 13.0], 10.0, position_angles=[70.0], method="aperture")
    alone = [
        measure_throughput(reduction, POINT, separation, 10.0, position_angles=[70.0], method="aperture")
        for separation in (5.0, 13.0)
    ]
    expected = [table["throughput"][0] for table in alone]
    np.testing.assert_allclose(together["throughput"], expected, rtol=0.05)


def test_separations_may_be_angles_and_fluxes_quantities(reduction):
    plain = measure_throughput(reduction, POINT, 9.0, 20.0, position_angles=1)
    angle = measure_throughput(reduction, POINT, 450 * u.mas, 0.02 * u.kct, position_angles=1)
    np.testing.assert_allclose(angle["throughput"], plain["throughput"])
    assert plain["separation"].unit == u.pix


def test_where_nothing_can_be_measured_it_is_not_a_number(reduction):
    found = measure_throughput(reduction, POINT, [9.0, 15.4], 20.0, position_angles=[0.0], method="aperture")
    np.testing.assert_array_equal(np.isnan(found["throughput"]), [False, True])


def test_progress_goes_to_the_end(reduction):
    calls = []
    measure_throughput(reduction, POINT, [6.0, 9.0], 20.0, position_angles=2, progress=lambda *call: calls.append(call))
    assert calls == [(i + 1, 4, "reductions with injected companions") for i in range(4)]


@given(
    separations=st.lists(st.floats(1, 100), min_size=1, max_size=20),
    apart=st.floats(0.5, 20),
)
def test_companions_that_share_frames_are_far_enough_apart(separations, apart):
    groups = patterns(np.array(separations), apart)
    assert sorted(index for group in groups for index in group) == list(range(len(separations)))
    for group in groups:
        steps = np.diff([separations[index] for index in group])
        assert (steps >= apart * (1 - 1e-6)).all()


def test_even_separations_are_interleaved():
    assert patterns(np.arange(4.0, 40.0, 4.0), 12.0) == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]


@given(n_separations=st.integers(1, 12), n_angles=st.integers(1, 8))
def test_position_angles_are_even_and_differ_from_one_separation_to_the_next(n_separations, n_angles):
    angles = spread_angles(n_separations, n_angles)
    assert angles.shape == (n_separations, n_angles)
    np.testing.assert_allclose(np.diff(np.sort(angles, axis=1), axis=1), 360 / n_angles)
    assert len(np.unique(np.round(angles, 6))) == angles.size


def test_means_and_errors_are_of_what_is_known():
    values = np.array([[1.0, 0.8, np.nan], [0.5, np.nan, np.nan], [np.nan] * 3])
    found = Throughput(np.arange(3.0), np.zeros((3, 3)), np.ones(3), values)
    np.testing.assert_allclose(found.mean, [0.9, 0.5, np.nan])
    np.testing.assert_allclose(found.error, [0.1, np.nan, np.nan])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"flux": 0.0}, "'flux' must be finite and above 0, got 0.0"),
        ({"flux": [1.0, np.nan]}, "'flux' must be finite and above 0"),
        ({"flux": [1.0, 2.0, 3.0]}, r"'flux' must be of shape \(2,\)"),
        ({"flux": 1.0 * u.Jy}, "not convertible"),
        ({"position_angles": 0}, "'position_angles' must be an integer of at least 1, got 0"),
        ({"position_angles": []}, "'position_angles' must be a number of them, or at least one"),
        ({"position_angles": [np.inf]}, "'position_angles' must be a number of them, or at least one"),
        ({"separations": [3.0, 99.0]}, "'separation' must be such that the companion is inside the frame"),
        ({"method": "eye"}, "'method' must be one of 'matched', 'aperture'"),
    ],
)
def test_arguments_that_make_no_sense_are_errors(reduction, changes, message):
    given = {"separations": [6.0, 9.0], "flux": 20.0} | changes
    with pytest.raises(ValueError, match=message):
        measure_throughput(reduction, POINT, **given)
