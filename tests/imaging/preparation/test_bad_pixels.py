import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from imaging_helpers import gaussian, place
from preparation_helpers import last_step, make_frames

from astronmf.imaging import Frames
from astronmf.imaging.preparation import mask_bad_pixels

SIZE = 61
MIDDLE = SIZE // 2
NOISE = 5.0


def scene(count=8, seed=0, fwhm=3.0, planets=((15, 40, 500.0), (24, 140, 3000.0))):
    """Return a star with halo, speckles that vary, and planets that wander, and where the planets are."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((SIZE, SIZE)) - MIDDLE
    halo = 2000 * (1 + (x**2 + y**2) / 16) ** -1.5
    sources = np.zeros((count, SIZE, SIZE))
    for i in range(count):
        for separation, angle, peak in planets:
            where = place((MIDDLE, MIDDLE), separation, angle, 7.0 * i)
            sources[i] += gaussian(halo.shape, *where, fwhm=fwhm, peak=peak)
    star = halo * rng.normal(1, 0.03, (count, 1, 1))
    return star + sources + np.sqrt(NOISE**2 + halo) * rng.standard_normal(star.shape), sources


@pytest.fixture(scope="module")
def struck():
    """Return frames, with hot and dead pixels and cosmic rays; which values are bad; and which hold planets."""
    data, sources = scene()
    rng = np.random.default_rng(1)
    y, x = np.indices((SIZE, SIZE)) - MIDDLE
    far = np.hypot(x, y) > 6
    steady = (rng.random(far.shape) < 0.004) & far
    rays = (rng.random(data.shape) < 0.002) & far
    rays |= np.roll((rng.random(data.shape) < 0.0005) & far, 1, axis=2)
    data = data + steady * rng.choice([-400.0, 400.0, 2000.0], far.shape) + rays * rng.uniform(300, 4000, data.shape)
    return Frames(data), steady | rays, sources > NOISE


def test_bad_pixels_are_found_and_planets_are_not(struck):
    frames, bad, planets = struck
    found = mask_bad_pixels(frames).mask
    assert (found & bad).sum() > 0.9 * bad.sum()
    assert not (found & ~bad & planets).any()
    assert (found & ~bad).sum() < 1e-4 * found.size


def test_marks_change_the_mask_only_and_are_counted(struck):
    frames, bad, _ = struck
    after = mask_bad_pixels(frames)
    np.testing.assert_array_equal(after.data, frames.data)
    assert last_step(after)["masked"] == after.mask.sum(axis=(1, 2)).tolist()
    assert last_step(after)["always"] == after.mask.all(axis=0).sum()
    assert after.mask.all(axis=0).sum() >= 0.8 * bad.all(axis=0).sum()


def test_what_was_masked_stays_masked_and_is_not_counted_again(struck):
    frames, bad, _ = struck
    after = mask_bad_pixels(Frames(frames.data, mask=bad))
    assert after.mask[bad].all()
    assert sum(last_step(after)["masked"]) == after.mask.sum() - bad.sum()


inside = st.floats(-0.5, 0.5)


@settings(max_examples=15)
@given(inside, inside, st.floats(2, 5), st.floats(50, 1e4))
def test_no_point_source_is_taken_for_a_bad_pixel_wherever_it_falls_and_however_bright(dx, dy, fwhm, peak):
    noise = np.random.default_rng(2).standard_normal((3, 31, 31))
    source = gaussian((31, 31), 23 + dx, 15 + dy, fwhm=fwhm, peak=peak)
    source += gaussian((31, 31), 23 + dx, 18.3 + dy, fwhm=fwhm, peak=0.3 * peak)
    assert not mask_bad_pixels(Frames(source + noise), exclude_radius=0).mask.any()
    assert not mask_bad_pixels(Frames(source + noise[0]), exclude_radius=0).mask.any()


def test_a_cosmic_ray_on_a_source_does_not_take_the_source_with_it():
    noise = np.random.default_rng(3).standard_normal((4, 31, 31))
    source = gaussian((31, 31), 20, 15, fwhm=2.5, peak=3000.0)
    data = source + noise
    data[1, 15, 21] += 20000
    found = mask_bad_pixels(Frames(data), exclude_radius=0).mask
    assert np.argwhere(found).tolist() == [[1, 15, 21]]


@pytest.mark.parametrize("hit", [(1, 1), (1, 4), (2, 2), (3, 3)], ids=str)
def test_large_hits_are_found_whole_if_sources_are_wider(hit):
    data = np.random.default_rng(4).standard_normal((4, 31, 31))
    data[2, 20 : 20 + hit[0], 22 : 22 + hit[1]] += 500
    found = mask_bad_pixels(Frames(data), fwhm=3).mask
    expected = np.zeros_like(found)
    expected[2, 20 : 20 + hit[0], 22 : 22 + hit[1]] = True
    np.testing.assert_array_equal(found, expected)


def test_nothing_near_the_star_is_judged():
    data = np.random.default_rng(5).standard_normal((4, 31, 31))
    data[:, 15, 15] = data[2, 15, 18] = data[2, 15, 22] = 1000
    found = mask_bad_pixels(Frames(data), exclude_radius=5).mask
    assert np.argwhere(found).tolist() == [[2, 15, 22]]


def test_errors_that_are_larger_than_the_scatter_are_believed():
    data = np.random.default_rng(6).standard_normal((4, 31, 31))
    data[2, 5, 5] = 40
    assert mask_bad_pixels(Frames(data, 1.0)).mask[2, 5, 5]
    assert not mask_bad_pixels(Frames(data, 20.0)).mask.any()


def test_one_frame_is_judged_by_its_surroundings_alone():
    image = np.random.default_rng(7).standard_normal((31, 31))
    image[4, 8], image[25, 20] = 60, -60
    assert np.argwhere(mask_bad_pixels(Frames(image)).mask[0]).tolist() == [[4, 8], [25, 20]]


@pytest.mark.parametrize(("options", "count"), [({"spatial": False}, 1), ({"temporal": False}, 5), ({}, 5)])
def test_each_search_can_be_left_out(options, count):
    data = np.random.default_rng(8).standard_normal((4, 31, 31))
    data[:, 4, 8] = 200
    data[1, 25, 20] = 200
    assert mask_bad_pixels(Frames(data), **options).mask.sum() == count


def test_without_both_searches_nothing_is_found():
    assert not mask_bad_pixels(make_frames(masked=0), spatial=False, temporal=False).mask.any()


def test_frames_that_are_masked_all_over_are_no_trouble():
    frames = make_frames()
    assert mask_bad_pixels(Frames(frames.data, mask=True)).mask.all()


@pytest.mark.parametrize("name", ["threshold", "exclude_radius"])
def test_limits_below_zero_are_refused(name):
    with pytest.raises(ValueError, match=f"'{name}' must be a number in"):
        mask_bad_pixels(make_frames(), **{name: -1})


def test_the_planet_of_beta_pic_stays_and_dead_pixels_go(realdata):
    folder = realdata / "hci_naco_betapic"
    cube, without = (fits.getdata(folder / f"naco_betapic_{name}.fits")[::6] for name in ("cube", "noplanet_cube"))
    planet = cube - without > 10
    after = mask_bad_pixels(Frames(cube, center=(51.2, 51.05)))
    assert not (after.mask & planet).any()
    assert after.mask[:, 96, 69].all()  # a dead pixel that the eye sees in every frame
    assert 0 < after.mask.mean() < 0.002
