"""What all places of the sky are told at once is what a source at each of them is told alone."""

from dataclasses import replace

import numpy as np
import pytest
from detection_helpers import ANGLES, HOW, POINT, SIZE, observed, reduced, signal_and_information
from imaging_helpers import disc, gaussian, observe

from astronmf.imaging import PSF, reduce
from astronmf.imaging.detection import point_response
from astronmf.imaging.detection.point_response import PointResponse
from astronmf.imaging.geometry import radius

INTERPOLATION = 0.03  # of the signal's scatter: how well a spline through whole pixels knows it between them
PLACES = 40


def in_mode(mode, *, errors=False, frames=None, **how):
    """Return a reduction; without errors unless they are asked for. `frames` changes both stacks of frames."""
    observation = observed()
    given = ({} if errors else {"uncertainty": None}) | (frames or {})
    references = (
        None if mode == "adi" else observation.reference_frames(**{k: v for k, v in given.items() if k != "mask"})
    )
    return reduce(observation.science_frames(**given), references, mode=mode, **(HOW | how))


def even_sized():
    observation = observe(size=34, angles=ANGLES)
    return reduce(observation.science_frames(uncertainty=None, center=(17, 17)), mode="adi", **HOW)


def of_frames_with_unequal_errors():
    observation = observed()
    sigma = np.broadcast_to(np.linspace(0.5, 2.0, 8)[:, None, None], observation.science.shape)
    return reduce(observation.science_frames(uncertainty=sigma), mode="adi", **HOW)


FEW_MISSING = np.random.default_rng(3).random((8, SIZE, SIZE)) < 0.02
SPOT = disc((SIZE, SIZE), 24, 19, 2)

#: Reductions, and how well the information is known where all frames see the source: relative errors at most. Weights
#: that differ from pixel to pixel, zones as narrow as the PSF, and edges of what is declared missing cost some.
CASES = {
    "rdi": (lambda: in_mode("rdi"), 0.03),
    "rdi, errors": (lambda: in_mode("rdi", errors=True), 0.04),
    "rdi, factor": (lambda: in_mode("rdi", scale=0.8), 0.03),
    "rdi, zones": (lambda: in_mode("rdi", annulus_width=5, n_segments=2), 0.08),
    "rdi, imputed": (lambda: in_mode("rdi", imputation_mask=SPOT), 0.03),
    "rdi, missing pixels": (lambda: in_mode("rdi", frames={"mask": FEW_MISSING}), 0.04),
    "rdi, off centre": (lambda: in_mode("rdi", frames={"center": (17.3, 15.6)}, outer_radius=13), 0.04),
    "rdi, no angles": (lambda: in_mode("rdi", frames={"angles": None}), 0.01),
    "adi": (lambda: in_mode("adi"), 0.03),
    "adi, errors": (lambda: in_mode("adi", errors=True), 0.08),
    "adi, unequal errors": (of_frames_with_unequal_errors, 0.04),
    "adi, factor": (lambda: in_mode("adi", scale=0.9), 0.03),
    "adi, zones": (lambda: in_mode("adi", annulus_width=5, n_segments=3), 0.1),
    "adi, own components": (lambda: in_mode("adi", min_rotation=0.5, fwhm=3.0), 0.04),
    "adi, own components in zones": (lambda: in_mode("adi", min_rotation=0.4, fwhm=3.0, annulus_width=6), 0.05),
    "adi, imputed": (lambda: in_mode("adi", imputation_mask=SPOT), 0.25),  # at its edge
    "adi, missing pixels": (lambda: in_mode("adi", frames={"mask": FEW_MISSING}), 0.04),
    "adi, mirrored": (lambda: in_mode("adi", frames={"parity": -1}), 0.03),
    "adi, even size": (even_sized, 0.03),
    "ardi": (lambda: in_mode("ardi"), 0.03),
    "ardi, own components": (lambda: in_mode("ardi", min_rotation=0.5, fwhm=3.0), 0.04),
}
SMEARED = {"rdi, smeared": (lambda: in_mode("rdi"), 0.04), "adi, smeared": (lambda: in_mode("adi"), 0.05)}


def some_places(response, least=0.5, inner=3.0):
    """Return the numbers of some places that at least such a share of the source is seen at."""
    y, x = response.places
    _, share = response.information
    center = response.reduction.center
    there = np.flatnonzero((share > least) & (np.hypot(x - center[0], y - center[1]) > inner))
    return np.random.default_rng(0).choice(there, min(PLACES, len(there)), replace=False)


@pytest.mark.filterwarnings("ignore:the science frames have no 'angles'")
@pytest.mark.parametrize(("case", "smearing"), [(case, None) for case in CASES] + [(case, 5.0) for case in SMEARED])
def test_all_places_at_once_are_told_what_each_is_alone(case, smearing):
    build, tolerance = (CASES | SMEARED)[case]
    reduction = build()
    response = PointResponse.of(reduction, POINT, smearing)
    chosen = some_places(response)
    y, x = (axis[chosen] for axis in response.places)
    signal, information = signal_and_information(reduction, POINT, x, y, smearing)
    found, share = response.information
    scatter = np.std(signal)
    np.testing.assert_allclose(
        response.signal(reduction.residuals)[chosen], signal, rtol=0, atol=INTERPOLATION * scatter
    )
    whole = share[chosen] > 0.95
    assert whole.sum() > PLACES / 3
    np.testing.assert_allclose(found[chosen][whole], information[whole], rtol=tolerance)
    np.testing.assert_allclose(found[chosen], information, rtol=tolerance + 0.03)
    assert np.std(found[chosen] / information) < 0.05


EXACT = (
    "rdi, imputed",
    "adi, errors",
    "adi, unequal errors",
    "adi, zones",
    "adi, imputed",
    "adi, own components",
    "ardi",
)


@pytest.mark.parametrize("case", EXACT)
def test_the_adjoint_of_the_forward_model_is_exact(case):
    reduction = CASES[case][0]()
    response = PointResponse.of(reduction, POINT)
    sources = np.random.default_rng(1).normal(size=reduction.science.shape)
    weighted = response.weights * np.nan_to_num(reduction.residuals)
    expected = np.sum(np.nan_to_num(reduction.remaining(sources)) * weighted)
    assert np.sum(sources * response._adjoint(reduction.residuals)) == pytest.approx(expected, rel=1e-6)


def test_where_nothing_is_turned_nothing_is_interpolated(observation, components):
    reduction = reduce(observation.science_frames(angles=np.zeros(4)), components=components, scale="none")
    response = PointResponse.of(reduction, POINT)
    y, x = response.places
    signal, information = signal_and_information(reduction, POINT, x[::40], y[::40])
    scale = np.sqrt(information)
    np.testing.assert_allclose(response.signal(reduction.residuals)[::40] / scale, signal / scale, atol=1e-6)
    np.testing.assert_allclose(response.information[0][::40], information, rtol=0.03)  # errors differ between pixels


def test_one_frame_is_enough():
    reduction = in_mode("rdi")
    one = reduce(reduction.science[0], components=reduction.components, inner_radius=2, outer_radius=15)
    response = PointResponse.of(one, POINT)
    chosen = some_places(response)
    y, x = (axis[chosen] for axis in response.places)
    signal, information = signal_and_information(one, POINT, x, y)
    np.testing.assert_allclose(response.signal(one.residuals)[chosen], signal, atol=1e-6 * np.std(signal))
    np.testing.assert_allclose(response.information[0][chosen], information, rtol=1e-3)


def test_a_psf_larger_than_the_frame_is_no_other():
    reduction = in_mode("rdi")
    large = PSF(gaussian((71, 71), 35, 35, fwhm=3.0), 3.0)
    small = PSF(gaussian((25, 25), 12, 12, fwhm=3.0), 3.0)
    one, other = (PointResponse.of(reduction, psf) for psf in (large, small))
    np.testing.assert_allclose(one.signal(reduction.residuals), other.signal(reduction.residuals), atol=1e-6)
    for left, right in zip(one.information, other.information, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-6 * right.max())


def test_blocks_of_places_change_nothing(monkeypatch):
    reduction = in_mode("adi", annulus_width=5)
    expected = PointResponse.of(reduction, POINT).information
    monkeypatch.setattr(point_response, "LARGEST_BLOCK", 3000)
    for one, other in zip(PointResponse.of(reduction, POINT).information, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_a_source_that_is_declared_missing_keeps_all_that_is_known_of_it():
    reduction = in_mode("adi", imputation_mask=disc((SIZE, SIZE), 26, 19, 4))
    response = PointResponse.of(reduction, POINT)
    y, x = response.places
    (here,) = np.flatnonzero((y == 19) & (x == 26))
    whole = 8 * np.square(response.psf.data).sum()
    assert response.information[0][here] == pytest.approx(whole, rel=0.03)


def test_a_frame_whose_components_depend_on_each_other_is_left_out():
    reduction = in_mode("rdi")
    covariances = reduction.covariances.copy()
    covariances[2] = np.nan
    mask = reduction.science.mask.copy()
    mask[2] = True
    without = replace(reduction, covariances=covariances)
    residuals = np.where(mask, np.nan, reduction.residuals)
    masked = replace(reduction, science=reduction.science[:], residuals=residuals)
    one, other = PointResponse.of(without, POINT), PointResponse.of(masked, POINT)
    np.testing.assert_allclose(one.signal(without.residuals), other.signal(residuals), atol=1e-9)
    np.testing.assert_allclose(one.information[0], other.information[0], rtol=1e-3, atol=1e-6)


def test_places_reach_as_far_as_the_region():
    response = PointResponse.of(in_mode("rdi"), POINT)
    y, x = response.places
    distance = radius((SIZE, SIZE), (16, 16))
    np.testing.assert_array_equal(sorted(zip(y, x, strict=True)), np.argwhere(distance <= 15))
    assert response.reduction.choice.n_zones == 1


def test_the_share_is_how_much_of_the_source_is_seen():
    reduction = in_mode("rdi", inner_radius=0)
    response = PointResponse.of(reduction, POINT)
    y, x = response.places
    _, share = response.information
    distance = np.hypot(x - 16, y - 16)
    np.testing.assert_allclose(share[distance < 10], 1.0, atol=1e-3)
    assert 0.3 < share[distance > 14.5].mean() < 0.7


@pytest.mark.parametrize("mode", ["rdi", "adi"])
def test_the_reduction_comes_back_untouched(mode):
    reduction = reduced(mode, (9.0, 40.0, 50.0))
    names = ("residuals", "models", "covariances", "combined")
    before = {name: getattr(reduction, name).copy() for name in names} | {"data": reduction.science.data.copy()}
    response = PointResponse.of(reduction, POINT)
    response.signal(reduction.residuals)
    _ = response.information
    for name in names:
        np.testing.assert_array_equal(getattr(reduction, name), before[name])
    np.testing.assert_array_equal(reduction.science.data, before["data"])
