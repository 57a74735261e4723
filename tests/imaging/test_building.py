import numpy as np
import pytest
from imaging_helpers import disc, observe
from rotation_helpers import ANNULUS, CENTER, SHAPE, around_planet, exact, sequence

from astronmf import SequentialNMF
from astronmf.exceptions import MissingDataWarning
from astronmf.imaging import build_components
from astronmf.imaging.building import Library, components_of, region_of
from astronmf.imaging.zones import one_zone, pixels_of, zones_of

TURNING = sequence(n=9, uneven=0.3)
FRAMES = TURNING.frames()
RING = region_of(FRAMES, 3, 15, None)
QUICK = SequentialNMF(3, tol=1e-4)
EVERYWHERE = np.ones(SHAPE, bool)


def hidden_planet():
    """Return a region that moves from frame to frame."""
    return np.stack([np.roll(around_planet(3), i - 4, axis=0) for i in range(9)])


def test_a_library_gives_data_weights_and_mask_of_some_pixels_of_some_frames():
    mask, missing = np.random.default_rng(1).random((2, 9, *SHAPE)) < 0.1
    library = Library(TURNING.frames(mask=mask), missing)
    rows, pixels = [2, 5, 7], disc(SHAPE, 10, 12, 4)
    data, weights, hidden = library.values(pixels, rows)
    np.testing.assert_array_equal(data, TURNING.data[rows][:, pixels])
    np.testing.assert_allclose(weights, TURNING.sigma[rows][:, pixels] ** -2.0, rtol=1e-14)
    np.testing.assert_array_equal(hidden, (mask | missing)[rows][:, pixels])


def test_a_library_without_errors_has_no_weights():
    assert Library(TURNING.frames(uncertainty=None)).values(RING)[1] is None


def test_frames_that_have_something_in_the_region_are_counted():
    mask = np.zeros((9, *SHAPE), bool)
    mask[1], mask[4, RING] = True, True
    with pytest.warns(MissingDataWarning, match=r"^2 reference frames have no valid pixel .* \(first: frame 1\)$"):
        assert Library(TURNING.frames(mask=mask)).count(RING) == 7
    assert Library(TURNING.frames(mask=mask), n_science=9).count(RING) == 7  # `reduce` says it of science frames


def test_only_references_are_told_of_among_science_frames():
    mask = np.zeros((9, *SHAPE), bool)
    mask[[1, 6]] = True
    with pytest.warns(MissingDataWarning, match=r"^1 reference frames .* \(first: frame 6\)$"):
        assert Library(TURNING.frames(mask=mask), n_science=5).count(RING) == 7


@pytest.mark.parametrize(("n_science", "name"), [(0, "references"), (9, "science"), (5, "references")])
def test_a_library_with_nothing_in_it_is_an_error_that_names_what_was_given(n_science, name):
    library = Library(FRAMES, np.ones(FRAMES.shape, bool), n_science)
    with pytest.raises(ValueError, match=f"'{name}' must be such that they have pixels in the region, got none"):
        components_of(library, one_zone(RING), 2)


def test_what_is_declared_missing_is_missing():
    hidden = hidden_planet()
    declared = components_of(Library(FRAMES, hidden), one_zone(RING), 3, QUICK)
    masked = components_of(Library(TURNING.frames(mask=hidden)), one_zone(RING), 3, QUICK)
    np.testing.assert_array_equal(declared.data, masked.data)
    assert declared.meta["n_valid"] == masked.meta["n_valid"] == (~hidden & RING).sum()


@pytest.mark.parametrize("value", [1e30, -1e6])
def test_what_is_declared_missing_does_not_end_in_the_components(value):
    hidden = hidden_planet()
    spoilt = FRAMES.replace_data(np.where(hidden, value, FRAMES.data))
    before, after = (components_of(Library(frames, hidden), one_zone(RING), 3, QUICK) for frames in (FRAMES, spoilt))
    np.testing.assert_array_equal(after.data, before.data)
    np.testing.assert_array_equal(after.coefficients, before.coefficients)


@pytest.mark.parametrize("value", [1e30, np.nan])
@pytest.mark.filterwarnings("ignore:.* values of 'data' are NaN:astronmf.exceptions.MissingDataWarning")
def test_what_is_outside_the_region_does_not_matter(value):
    spoilt = TURNING.frames(data=np.where(RING, TURNING.data, value))
    before, after = (build_components(frames, 2, estimator=QUICK, **ANNULUS) for frames in (FRAMES, spoilt))
    np.testing.assert_array_equal(after.data, before.data)
    np.testing.assert_array_equal(np.isnan(before.data), np.broadcast_to(~RING, before.data.shape))


# Zones


PARTS = {"annulus_width": 6, "n_segments": 2}


@pytest.fixture(scope="module")
def in_zones():
    """Return three components in each of four zones, and the zones."""
    return build_components(FRAMES, 3, estimator=QUICK, **ANNULUS, **PARTS), zones_of(RING, CENTER, **PARTS)


def test_components_of_a_zone_are_0_in_the_others(in_zones):
    basis, zones = in_zones
    assert basis.data.shape == (12, *SHAPE)
    assert basis.meta["n_zones"] == 4
    for number, pixels in enumerate(pixels_of(zones)):
        own = basis.data[3 * number : 3 * number + 3]
        assert (own[:, RING & ~pixels] == 0).all()
        np.testing.assert_allclose(np.sqrt(np.sum(own[:, pixels] ** 2, axis=1)), 1, rtol=1e-12)
    np.testing.assert_array_equal(basis.mask, ~RING)


def test_components_of_zones_are_those_of_each_zone_alone(in_zones):
    basis, zones = in_zones
    for number, pixels in enumerate(pixels_of(zones)):
        alone = build_components(FRAMES, 3, mask=~pixels, estimator=QUICK)
        columns = slice(3 * number, 3 * number + 3)
        np.testing.assert_array_equal(basis.data[columns][:, pixels], alone.data[:, pixels])
        np.testing.assert_array_equal(basis.coefficients[:, columns], alone.coefficients)


def test_every_stage_has_as_many_components_in_every_zone(in_zones):
    basis, zones = in_zones
    assert [len(stage) for stage in basis.stages] == [4, 8, 12]
    assert basis.history["stage"].tolist() == [4, 8, 12]
    pixels = pixels_of(zones)[2]
    alone = build_components(FRAMES, 2, mask=~pixels, estimator=QUICK)
    np.testing.assert_array_equal(basis.at(8).data[4:6][:, pixels], alone.data[:, pixels])
    np.testing.assert_array_equal(basis.at(8).coefficients[:, 4:6], alone.coefficients)


@pytest.mark.parametrize("size", [3, 5, 9])
def test_a_number_that_is_no_stage_s_is_an_error(in_zones, size):
    message = rf"'n_components' must be (an integer in \[4, 12\]|the number of a stage, 4, 8, 12), got {size}"
    with pytest.raises(ValueError, match=message):
        in_zones[0].at(size)


def test_the_history_of_zones_is_that_of_all_together(in_zones):
    basis, zones = in_zones
    alone = [build_components(FRAMES, 3, mask=~pixels, estimator=QUICK) for pixels in pixels_of(zones)]
    for stage in range(3):
        rows = [part.history[stage] for part in alone]
        found = basis.history[stage]
        assert found["chi2"] == pytest.approx(sum(row["chi2"] for row in rows), rel=1e-12)
        assert found["iterations"] == max(row["iterations"] for row in rows)
        assert found["kkt"] == max(row["kkt"] for row in rows)
        assert found["converged"] == all(row["converged"] for row in rows)
        for name in ("fractional_residual_variance", "reduced_chi2"):
            below = sum(row["chi2"] / row[name] for row in rows)
            assert found[name] == pytest.approx(found["chi2"] / below, rel=1e-12)
    assert basis.meta["n_valid"] == sum(part.meta["n_valid"] for part in alone) == 9 * RING.sum()
    assert basis.meta["reduced_chi2"] == basis.history["reduced_chi2"][-1]


def test_zones_without_freedom_left_have_no_reduced_chi2():
    basis = build_components(FRAMES[:2], 2, estimator=QUICK, **ANNULUS, **PARTS)
    assert np.isnan(basis.meta["reduced_chi2"])


# Settings


def test_a_start_is_refined_to_as_many_components_at_once():
    library, zones = Library(FRAMES), zones_of(RING, CENTER, **PARTS)
    rough = components_of(library, zones, 3, SequentialNMF(tol=1e-2))
    fine = components_of(library, zones, 3, exact(tol=1e-8), start=rough)
    assert [len(stage) for stage in fine.stages] == [12]
    assert fine.history["chi2"][-1] <= rough.history["chi2"][-1]
    cold = components_of(library, zones, 3, exact(tol=1e-8))
    assert fine.history["chi2"][-1] == pytest.approx(cold.history["chi2"][-1], rel=1e-3)


def test_a_start_with_a_frame_that_has_nothing_is_refined():
    mask = np.zeros((9, *SHAPE), bool)
    mask[3] = True
    library = Library(TURNING.frames(mask=mask), n_science=9)
    first = components_of(library, one_zone(RING), 3, QUICK)
    again = components_of(library, one_zone(RING), 3, QUICK, start=first)
    assert np.isnan(again.coefficients[3]).all()
    np.testing.assert_allclose(again.data, first.data, atol=0.02)


def test_the_settings_of_the_build_are_kept():
    given = SequentialNMF(
        2, tol=1e-2, max_iter=50, refit="last", init="random", pixel_fraction=0.5, dtype="f4", random_state=5
    )
    meta = build_components(FRAMES, estimator=given, **ANNULUS).meta
    kept = {"tol": 1e-2, "max_iter": 50, "refit": "last", "random_state": 5}
    kept |= {"solver": "cd", "init": "random", "pixel_fraction": 0.5, "dtype": "float32"}
    assert {name: meta[name] for name in kept} == kept


def test_a_number_of_components_that_a_zone_cannot_have_is_an_error():
    with pytest.raises(ValueError, match=r"'n_components' must be an integer in \[1, 9\], got 10"):
        build_components(FRAMES, 10, annulus_width=6, **ANNULUS)


def test_ten_components_of_each_zone_by_default():
    many = observe(n_references=12, size=15).reference_frames()
    basis = build_components(many, annulus_width=4, estimator=SequentialNMF(tol=1e-2), outer_radius=7)
    assert len(basis) == 2 * 10


def test_progress_is_told_of_every_zone():
    calls = []
    build_components(FRAMES, 2, annulus_width=6, progress=lambda *call: calls.append(call[:2]), **ANNULUS)
    assert calls == [(1, 2), (2, 2)] * 2


def test_frames_come_back_untouched():
    frames, hidden = TURNING.frames(), hidden_planet()
    kept = [np.array(array) for array in (frames.data, frames.sigma, frames.mask, hidden)]
    components_of(Library(frames, hidden), zones_of(RING, CENTER, 6), 2, QUICK)
    for array, copy in zip((frames.data, frames.sigma, frames.mask, hidden), kept, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("mask", [EVERYWHERE, ~RING | around_planet(40)])
def test_a_mask_that_leaves_nothing_is_an_error(mask):
    with pytest.raises(ValueError, match="'mask' must be such that pixels are left between the radii"):
        build_components(FRAMES, 2, mask=mask, **ANNULUS)
