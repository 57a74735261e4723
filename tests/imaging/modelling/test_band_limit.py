"""A pixel is in the PSF, and not counted again; how finely a model is evaluated changes no frame."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage, signal

from astronmf.imaging import PSF, Frames, Geometry, Ring, SkyImage, reduce
from astronmf.imaging.modelling import Observer
from astronmf.imaging.modelling.band_limit import REACH, band_limited, decimated
from astronmf.imaging.modelling.brightness import SMALLEST_WIDTH

SIZE, MIDDLE, FINE = 61, 30, 9
BLUR = 1.3  # standard deviation of the PSF, pixels
ANGLES = np.array([10.0, 38.0])
RING = Ring(17.0, 40.0, 35.0, inner_width=2.0, g=0.3, flux=1.0)


def line(step, sigma=BLUR, half=10):
    """Return a Gaussian along one axis, of unit sum."""
    k = np.arange(-half * step, half * step + 1) / step
    values = np.exp(-0.5 * (k / sigma) ** 2)
    return values / values.sum()


POINT = PSF.of(np.outer(line(1), line(1)), 2.3548 * BLUR)


def observer(**parts):
    geometry = Geometry((MIDDLE, MIDDLE), 0.05, ANGLES)
    return Observer(geometry, (len(ANGLES), SIZE, SIZE), **({"psf": POINT} | parts))


def finely(model, angle):
    """Return what pixels of a ninth of the width show of a model, at the middle of whole ones."""
    at = (np.arange(SIZE * FINE) - FINE // 2) / FINE - MIDDLE
    x, y, turn = at[None, :], at[:, None], np.deg2rad(angle)
    image = model.brightness(y * np.sin(turn) - x * np.cos(turn), y * np.cos(turn) + x * np.sin(turn))
    for axis in (0, 1):
        image = ndimage.convolve1d(image, line(FINE), axis=axis, mode="constant")
    return image[FINE // 2 :: FINE, FINE // 2 :: FINE]


def truth(model):
    return np.array([finely(model, angle) for angle in ANGLES])


def off(one, other):
    """Return the largest difference, in peaks."""
    return float(np.abs(one - other).max() / np.abs(other).max())


@pytest.mark.parametrize("width", [0.5, 1.3])
@pytest.mark.parametrize("inclination", [0.0, 60.0])
@pytest.mark.parametrize("outer", [1.0, 2.0])
def test_a_narrow_ring_is_what_a_much_finer_grid_shows(width, inclination, outer):
    ring = replace(RING, inner_width=width, outer_width=outer * width, inclination=inclination)
    assert off(ring.frames(observer()), truth(ring)) < 1e-3
    assert off(ring.frames(observer(), oversampling=8), truth(ring)) < 2e-4


@pytest.mark.parametrize("oversampling", [2, 5])
def test_the_number_of_places_changes_nothing_of_a_resolved_ring(oversampling):
    seen = RING.frames(observer(), oversampling=oversampling)
    assert off(seen, RING.frames(observer(), oversampling=1)) < 1e-4


@pytest.mark.parametrize("places", [1, 2, 3])
def test_frames_are_continuous_where_the_number_of_places_changes(places):
    width = SMALLEST_WIDTH / places
    rings = [replace(RING, inclination=0.0, inner_width=width * (1 + step)) for step in (1e-6, -1e-6)]
    assert [ring._oversampling(None) for ring in rings] == [places, places + 1]
    one, other = (ring.frames(observer()) for ring in rings)
    assert off(one, other) < 5e-4


def test_a_ring_with_a_bend_at_its_ridge_is_sampled_more_finely():
    bent = replace(RING, inner_width=0.9, outer_width=3.0, inclination=0.0)
    assert bent._oversampling(None) == 2
    assert off(bent.frames(observer(), oversampling=1), truth(bent)) > 1e-3
    assert replace(bent, inner_width=3.0, outer_width=6.0)._oversampling(None) == 1
    assert replace(bent, inclination=90.0, height=2.0, inner_width=3.0, outer_width=5.0)._oversampling(None) == 1


def test_frames_are_continuous_at_the_frame_s_edge_and_through_a_mask():
    across = replace(RING, radius=30.0, inclination=0.0, inner_width=1.2)  # along the edge, where it is cut
    mask = np.ones((SIZE, SIZE))
    mask[:20] = 0.2
    one, other = (across.frames(observer(transmission=mask), oversampling=n) for n in (1, 2))
    assert off(other, one) < 1e-4


def test_without_a_psf_pixels_are_means():
    seen = replace(RING, inner_width=0.5).frames(observer(psf=None), oversampling=3)
    at = (np.arange(SIZE * 3) - 1) / 3 - MIDDLE
    x, y, turn = at[None, :], at[:, None], np.deg2rad(ANGLES[0])
    fine = replace(RING, inner_width=0.5).brightness(
        y * np.sin(turn) - x * np.cos(turn), y * np.cos(turn) + x * np.sin(turn)
    )
    np.testing.assert_allclose(seen[0], fine.reshape(SIZE, 3, SIZE, 3).mean(axis=(1, 3)), atol=1e-12 * fine.max())


@pytest.mark.parametrize("parts", [3, 5])
@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("width", [0.7, 1.3])
def test_an_image_on_finer_pixels_is_what_its_brightness_is(parts, cached, width):
    ring = replace(RING, inner_width=width)
    size = SIZE * parts // 2 * 2 + 1
    at = (np.arange(size) - size // 2) / parts
    image = ring.brightness(-at[None, :], at[:, None]) / parts**2
    found = SkyImage(image, pixel_scale=0.05 / parts).frames(observer(cached=cached))
    assert off(found, ring.frames(observer())) < 1e-3


def test_an_image_that_is_as_the_telescope_sees_it_is_averaged_as_ever():
    image = np.pad(np.random.default_rng(1).random((SIZE * 2, SIZE * 2)), SIZE)
    seen = observer(psf=POINT).image(image, ratio=1 / 3, convolved=True)
    np.testing.assert_array_equal(seen, observer(psf=None).image(image, ratio=1 / 3, convolved=True))


@pytest.mark.parametrize("oversampling", [2, 3, 5])
def test_what_pixels_can_show_passes_and_what_they_cannot_is_gone(oversampling):
    at = (np.arange((8 + 2 * REACH) * oversampling) + 0.5) / oversampling - 0.5 - REACH
    for cycles, passed in ((0.0, 1), (0.1, 1), (0.3, 1), (0.7, 0), (0.9, 0)):
        wave = np.cos(2 * np.pi * cycles * at + 0.3)
        found = decimated(np.ones((at.size, 1)) * wave, oversampling)
        expected = passed * np.cos(2 * np.pi * cycles * np.arange(8) + 0.3)
        np.testing.assert_allclose(found, np.tile(expected, (8, 1)), atol=2e-4)


def test_an_image_without_its_finest_structure_keeps_its_sum_and_what_is_smooth():
    noise = np.random.default_rng(2).normal(size=(40, 51))
    assert band_limited(noise, 0.3).sum() == pytest.approx(noise.sum())
    smooth = signal.windows.gaussian(60, 6)[:, None] * signal.windows.gaussian(61, 7)
    np.testing.assert_allclose(band_limited(smooth, 0.5), smooth, atol=1e-4)
    checked = np.indices((40, 51)).sum(axis=0) % 2 - 0.5
    assert np.abs(band_limited(checked, 0.5)[10:-10, 10:-10]).max() < 0.01


def noise_free(model, sigma):
    """Return the reduction of a ring alone, on a component that is elsewhere."""
    frames = 1e4 * truth(model)
    flat = np.full((1, SIZE, SIZE), 1e-3)
    flat[0, MIDDLE, MIDDLE] = 1.0
    science = Frames(frames, np.full(frames.shape, sigma), angles=ANGLES, center=(MIDDLE, MIDDLE))
    references = Frames(np.repeat(flat, 3, axis=0), center=(MIDDLE, MIDDLE))
    return reduce(science, references, n_components=1, scale="none", inner_radius=4, outer_radius=29)


def likelihood(result, width, **parts):
    start = replace(RING, inclination=60.0, inner_width=width, **parts)
    free = {"inner_width": (0.6, 3.0), "radius": (16.0, 18.0), "inclination": (58.0, 62.0)}
    return result.likelihood({"disk": start}, {"disk": free}, psf=POINT, systematics=0.0)


def test_a_narrow_width_is_found_without_bias():
    result = noise_free(replace(RING, inclination=60.0, inner_width=1.2), 1.0)
    found = likelihood(result, 1.6)
    best = dict(zip(found.names, found.maximize(), strict=True))
    assert best["disk.inner_width"] == pytest.approx(1.2, abs=0.01)


@pytest.mark.parametrize("places", [1, 2])
@pytest.mark.parametrize("outer", [None, 2.0])
def test_the_likelihood_does_not_jump_where_the_number_of_places_changes(places, outer):
    width = 2.0 / places  # at 60 degrees, half of it
    model = replace(RING, inclination=60.0, inner_width=width, outer_width=outer)
    light = 1e4 * truth(model)
    sigma = float(np.sqrt((light**2).sum())) / 300
    found = likelihood(noise_free(model, sigma), width, outer_width=outer)
    place = found.start
    at = found.names.index("disk.inner_width")
    values = []
    for step in (-1e-6, 1e-6):
        place[at] = width * (1 + step)
        values.append(found(place))
    assert abs(values[1] - values[0]) < 0.05
