import numpy as np
import pytest
from helpers import read_only
from hypothesis import given
from hypothesis import strategies as st
from imaging_helpers import observe
from rotation_helpers import ANNULUS, CENTER, FWHM, POINT, SHAPE, planet_in, sequence

from astronmf import SequentialNMF
from astronmf.imaging import build_components, inject, reduce
from astronmf.imaging.geometry import annulus, radius
from astronmf.imaging.zones import OUTSIDE, middle_radius, one_zone, pixels_of, zones_of

RING = read_only(annulus(SHAPE, CENTER, 3, 15))
DISTANCE = read_only(radius(SHAPE, CENTER))

regions = st.builds(
    lambda seed, share, inner: (
        (np.random.default_rng(seed).random((21, 17)) < share) & (radius((21, 17), (8, 10)) >= inner)
    ),
    st.integers(0, 2**31),
    st.floats(0.2, 1.0),
    st.floats(0.0, 6.0),
)
centers = st.tuples(st.floats(2, 14), st.floats(2, 18))


# Geometry


@given(regions, centers, st.none() | st.floats(1, 12), st.integers(1, 9))
def test_every_pixel_of_the_region_is_in_one_zone_and_no_other_is(region, center, width, segments):
    zones = zones_of(region, center, width, segments)
    np.testing.assert_array_equal(zones != OUTSIDE, region)
    assert sum(part.astype(int) for part in pixels_of(zones)).max() == 1


@given(regions, centers, st.none() | st.floats(1, 12), st.integers(1, 9))
def test_zones_are_numbered_without_gaps_from_0(region, center, width, segments):
    zones = zones_of(region, center, width, segments)
    assert np.unique(zones[region]).tolist() == list(range(zones.max() + 1))
    assert all(part.any() for part in pixels_of(zones))


def test_without_a_width_and_segments_the_region_is_one_zone():
    np.testing.assert_array_equal(zones_of(RING, CENTER), np.where(RING, 0, -1))
    np.testing.assert_array_equal(one_zone(RING), zones_of(RING, CENTER))


def test_annuli_have_their_width_and_are_numbered_outwards():
    zones = zones_of(RING, CENTER, 4)
    assert zones.max() == 2
    for number in range(3):
        edges = DISTANCE[zones == number].min(), DISTANCE[zones == number].max()
        assert edges[0] == pytest.approx(3 + 4 * number, abs=0.2)
        assert edges[0] < edges[1] <= 7 + 4 * number


@pytest.mark.parametrize(("width", "count"), [(8, 2), (8.5, 1), (5, 2), (4.7, 3), (100, 1)])
def test_what_is_left_outside_is_a_zone_if_it_is_half_as_wide(width, count):
    assert zones_of(RING, CENTER, width).max() + 1 == count


@given(regions, st.floats(1, 12))
def test_annuli_are_ordered_by_distance(region, width):
    zones = zones_of(region, (8, 10), width)
    distance = radius(region.shape, (8, 10))
    for number in range(zones.max()):
        assert distance[zones == number].max() < distance[zones == number + 1].min()


@pytest.mark.parametrize("segments", [2, 3, 5, 8])
def test_segments_are_equal_sectors(segments):
    zones = zones_of(RING, CENTER, None, segments)
    assert zones.max() + 1 == segments
    y, x = np.indices(SHAPE)
    turn = np.rad2deg(np.arctan2(y - 16, x - 16)) % 360
    for number in range(segments):
        here = turn[zones == number]
        assert here.min() >= number * 360 / segments
        assert here.max() < (number + 1) * 360 / segments


def test_annuli_are_cut_into_the_same_segments():
    np.testing.assert_array_equal(
        zones_of(RING, CENTER, 4, 3)[RING], (3 * zones_of(RING, CENTER, 4) + zones_of(RING, CENTER, None, 3))[RING]
    )


def test_the_middle_radius_is_half_way_between_the_edges():
    inner, *_, outer = pixels_of(zones_of(RING, CENTER, 4))
    assert middle_radius(inner, CENTER) == pytest.approx(5, abs=0.2)
    assert middle_radius(outer, CENTER) == pytest.approx(13, abs=0.2)
    assert middle_radius(RING, CENTER) == pytest.approx(9)


@pytest.mark.parametrize("width", [0, 0.5, -3, np.nan, "wide"])
def test_an_annulus_narrower_than_a_pixel_is_an_error(width):
    with pytest.raises((ValueError, TypeError), match="'annulus_width' must be a number"):
        zones_of(RING, CENTER, width)


@pytest.mark.parametrize("segments", [0, -1, 2.5, True])
def test_segments_that_are_no_number_of_parts_are_an_error(segments):
    with pytest.raises((ValueError, TypeError), match="'n_segments' must be an integer"):
        zones_of(RING, CENTER, None, segments)


# Reductions


MODES = {
    "rdi": {"mode": "rdi", "scale": "none"},
    "adi": {"mode": "adi"},
    "ardi": {"mode": "ardi"},
    "adi, own references": {"mode": "adi", "min_rotation": 0.5, "fwhm": FWHM},
}
every_mode = pytest.mark.parametrize("options", MODES.values(), ids=MODES)
parts_of_the_region = pytest.mark.parametrize(
    "parts", [{"annulus_width": 6}, {"n_segments": 2}, {"annulus_width": 6, "n_segments": 3}], ids=str
)
TURNING = sequence(n=7)
QUICK = SequentialNMF(tol=1e-3)


def references():
    return observe(n_references=6).reference_frames(unit=None, pixel_scale=None)


def reduced(frames, options, **parts):
    others = () if options["mode"] == "adi" else (references(),)
    return reduce(frames, *others, n_components=2, estimator=QUICK, **ANNULUS, **options, **parts)


@every_mode
@parts_of_the_region
def test_each_zone_is_what_a_reduction_of_it_alone_is(options, parts):
    whole = reduced(TURNING.frames(), options, **parts)
    zones = zones_of(RING, CENTER, **parts)
    np.testing.assert_array_equal(whole.choice.zone_numbers, zones)
    source = planet_in(whole.science)
    for number, pixels in enumerate(pixels_of(zones)):
        alone = reduced(TURNING.frames(), options, mask=~pixels)
        columns = slice(2 * number, 2 * number + 2)
        np.testing.assert_array_equal(whole.residuals[:, pixels], alone.residuals[:, pixels])
        np.testing.assert_array_equal(whole.models[:, pixels], alone.models[:, pixels])
        np.testing.assert_array_equal(whole.coefficients[:, columns], alone.coefficients)
        np.testing.assert_array_equal(whole.covariances[:, columns, columns], alone.covariances)
        found, expected = whole.remaining(source)[:, pixels], alone.remaining(source)[:, pixels]
        np.testing.assert_allclose(found, expected, atol=1e-12)


@every_mode
def test_what_happens_in_another_zone_does_not_matter(options):
    frames = TURNING.frames()
    before = reduced(frames, options, annulus_width=6)
    outer = before.choice.zone_numbers == 1
    changed = frames.replace_data(np.where(outer, 7.0 + frames.data[::-1], frames.data))
    after = reduced(changed, options, annulus_width=6)
    np.testing.assert_array_equal(after.residuals[:, ~outer], before.residuals[:, ~outer])
    assert not np.array_equal(after.residuals[:, outer], before.residuals[:, outer])


@every_mode
def test_a_zone_without_valid_data_in_a_frame_is_blank_there_and_only_there(options):
    zones = zones_of(RING, CENTER, 6)
    mask = np.zeros(TURNING.data.shape, bool)
    mask[4, zones == 1] = True
    result = reduced(TURNING.frames(mask=mask), options, annulus_width=6)
    np.testing.assert_array_equal(np.isnan(result.residuals), mask | ~RING)
    assert np.isnan(result.coefficients[4, 2:]).all()
    assert np.isfinite(result.coefficients[4, :2]).all()
    assert np.isfinite(np.delete(result.coefficients, 4, axis=0)).all()
    remaining = result.remaining(planet_in(result.science))
    np.testing.assert_array_equal(np.isnan(remaining), np.isnan(result.residuals))


@pytest.mark.parametrize("mode", ["rdi", "adi"])
def test_a_zone_that_no_frame_of_the_library_has_is_an_error_that_says_where(mode):
    mask = np.broadcast_to(zones_of(RING, CENTER, None, 4) == 2, TURNING.data.shape)
    named, others = ("science", ()) if mode == "adi" else ("references", (TURNING.frames(mask=mask),))
    frames = TURNING.frames(mask=mask) if mode == "adi" else TURNING.frames()
    message = rf"'{named}' must be such that they have pixels in every zone, got none in 1 of 4 \(one is at x=11, y=2\)"
    with pytest.raises(ValueError, match=message):
        reduce(frames, *others, mode=mode, n_components=2, n_segments=4, **ANNULUS)
    reduce(frames, *others, mode=mode, n_components=2, n_segments=4, mask=mask[0], **ANNULUS)


@pytest.mark.parametrize("mode", ["rdi", "ardi"])
def test_a_zone_that_no_science_frame_has_is_blank(mode):
    zones = zones_of(RING, CENTER, 6)
    mask = np.broadcast_to(zones == 1, TURNING.data.shape)
    result = reduced(TURNING.frames(mask=mask), {"mode": mode, "scale": "none"}, annulus_width=6)
    np.testing.assert_array_equal(np.isnan(result.residuals), np.broadcast_to(zones != 0, mask.shape))
    assert np.isnan(result.coefficients[:, 2:]).all()
    assert np.isfinite(result.combined).any()


def test_a_zone_that_none_of_a_frame_s_own_references_has_is_blank_in_that_frame():
    zones = zones_of(RING, CENTER, 6)
    mask = np.broadcast_to(zones == 1, TURNING.data.shape).copy()
    mask[:2] = False  # those two are too near to each other
    result = reduced(TURNING.frames(mask=mask), MODES["adi, own references"] | {"min_rotation": 1.5}, annulus_width=6)
    assert np.isnan(result.residuals[0, zones == 1]).all()
    assert np.isfinite(result.residuals[0, zones == 0]).all()


def test_variances_and_chi2_add_up_over_zones():
    options = MODES["adi"]
    whole = reduced(TURNING.frames(), options, annulus_width=6)
    parts = [reduced(TURNING.frames(), options, mask=~pixels) for pixels in pixels_of(whole.choice.zone_numbers)]
    assert whole.chi2 == pytest.approx(sum(part.chi2 for part in parts), rel=1e-12)
    assert whole.n_valid == sum(part.n_valid for part in parts)


def test_a_planet_is_subtracted_in_its_own_zone_only():
    zones = zones_of(RING, CENTER, 6)
    result = reduced(TURNING.frames(), MODES["adi"], annulus_width=6)
    source = np.where(zones == 1, inject(TURNING.frames(), POINT, 12.0, 70.0, 1.0).data - TURNING.data, 0.0)
    remaining = result.remaining(source)
    assert (remaining[:, zones == 0] == 0).all()
    assert np.abs(remaining[:, zones == 1] - source[:, zones == 1]).max() > 0.1 * source.max()


@every_mode
def test_every_number_of_components_is_the_reduction_with_so_many(options):
    result = reduced(TURNING.frames(), options, annulus_width=6)
    others = () if options["mode"] == "adi" else (references(),)
    single = reduce(TURNING.frames(), *others, n_components=1, annulus_width=6, estimator=QUICK, **ANNULUS, **options)
    cube = result.over_components()
    np.testing.assert_array_equal(cube[0], single.combined)
    np.testing.assert_array_equal(cube[1], result.combined)


def test_components_of_zones_serve_again_and_fewer_of_them_too():
    basis = build_components(references(), 3, annulus_width=6, **ANNULUS)
    options = {"annulus_width": 6, "scale": "none", **ANNULUS}
    for k in (1, 3):
        fresh = reduce(TURNING.frames(), references(), n_components=k, **options)
        found = reduce(TURNING.frames(), components=basis, n_components=k, **options)
        np.testing.assert_array_equal(found.combined, fresh.combined)
        assert found.meta["parameters"]["n_components"] == k


OTHER_ZONES = {
    "none": ({}, "'components' must be built in as many zones as are reduced, 1, got 2"),
    "more": ({"annulus_width": 4}, "'components' must be built in as many zones as are reduced, 3, got 2"),
    "as many": ({"n_segments": 2}, "'components' must be built in the zones that are reduced, got others"),
    "moved": ({"annulus_width": 6, "inner_radius": 5}, "'components' must be built in the zones that are reduced"),
}


@pytest.mark.parametrize(("parts", "message"), OTHER_ZONES.values(), ids=OTHER_ZONES)
def test_components_of_other_zones_are_an_error(parts, message):
    basis = build_components(references(), 2, annulus_width=6, **ANNULUS)
    with pytest.raises(ValueError, match=message):
        reduce(TURNING.frames(), components=basis, scale="none", **(ANNULUS | parts))
