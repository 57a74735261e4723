"""A small simulated observation, sources of known place, and files of frames, for the tests of imaging, io and cli."""

from dataclasses import dataclass, field

import numpy as np
from astropy.io import fits
from helpers import read_only

from astronmf.imaging import Frames

SIZE = 33
ANGLES = read_only([0.0, 25.0, 90.0, 131.0])
PIXEL_SCALE = 0.063


@dataclass(frozen=True)
class Observation:
    """Frames of a star in three non-negative patterns with noise of uneven σ; every array is read-only.

    No disk and no planet. The patterns' amplitudes differ less between science frames than between references, so that
    non-negative components of the references can make up every science frame.
    """

    science: np.ndarray
    references: np.ndarray
    science_sigma: np.ndarray
    reference_sigma: np.ndarray
    science_star: np.ndarray
    angles: np.ndarray = field(default_factory=lambda: ANGLES)

    def science_frames(self, **changes):
        """Return the science frames; `changes` replace arguments of `Frames`, among them `data`."""
        given = {"data": self.science, "uncertainty": self.science_sigma, "angles": self.angles, "unit": "MJy/sr"}
        return Frames(**(given | {"pixel_scale": PIXEL_SCALE} | changes))

    def reference_frames(self, **changes):
        """Return the reference frames; `changes` as above."""
        given = {"data": self.references, "uncertainty": self.reference_sigma, "unit": "MJy/sr"}
        return Frames(**(given | {"pixel_scale": PIXEL_SCALE} | changes))


def observe(size=SIZE, angles=ANGLES, n_references=8, seed=1, noise=1.0):
    """Return an observation of `size` x `size` pixels with the star at the centre pixel."""
    rng = np.random.default_rng(seed)
    patterns = star_patterns(size).reshape(3, -1)
    parts = {}
    # Patterns differ less from one science frame to the next than between references: non-negative components of the
    # references can make up every science frame.
    for name, count, spread in (("science", len(angles), 0.15), ("reference", n_references, 0.9)):
        star = (rng.uniform(1 - spread, 1 + spread, (count, 3)) @ patterns).reshape(count, size, size)
        sigma = noise * rng.uniform(0.7, 1.3, star.shape)
        parts[name] = star, sigma, star + sigma * rng.standard_normal(star.shape)
    (star, science_sigma, science), (_, reference_sigma, references) = parts["science"], parts["reference"]
    arrays = (science, references, science_sigma, reference_sigma, star)
    return Observation(*(read_only(array) for array in arrays), angles=read_only(angles))


def star_patterns(size):
    """Return three halos of speckles that no combination of the other two can imitate."""
    middle = size // 2
    y, x = np.indices((size, size)) - middle
    distance, turn = np.hypot(x, y), np.arctan2(y, x)
    halo = 300 * np.exp(-distance / 6)
    waves = [1 + 0.9 * np.cos((m + 2) * turn + m) * np.cos(distance / (1.5 + m)) for m in range(3)]
    return np.array([halo * wave for wave in waves])


def gaussian(shape, x, y, fwhm=3.0, peak=1.0):
    """Return a round source at (x, y)."""
    rows, columns = np.indices(shape)
    return peak * np.exp(-4 * np.log(2) * ((columns - x) ** 2 + (rows - y) ** 2) / fwhm**2)


def place(center, separation, position_angle, angle=0.0, parity=1):
    """Return (x, y) of a source on a detector whose +y axis is `angle` east of north."""
    turn = np.deg2rad(position_angle - angle)
    return center[0] - parity * separation * np.sin(turn), center[1] + separation * np.cos(turn)


def point_sources(shape, center, separation, position_angle, angles, **profile):
    """Return what a source looks like on each of several frames: (n, y, x)."""
    return np.array([gaussian(shape, *place(center, separation, position_angle, a), **profile) for a in angles])


def centroid(image):
    """Return (x, y) of the light in an image; NaN counts as none."""
    light = np.nan_to_num(image)
    rows, columns = np.indices(image.shape)
    return float((columns * light).sum() / light.sum()), float((rows * light).sum() / light.sum())


def disc(shape, x, y, radius):
    """Return which pixels lie within `radius` of (x, y)."""
    rows, columns = np.indices(shape)
    return np.hypot(columns - x, rows - y) <= radius


def write_hdus(path, *hdus):
    """Write HDUs as they are, behind an empty primary one unless the first is primary; return the path."""
    first = [] if isinstance(hdus[0], fits.PrimaryHDU) else [fits.PrimaryHDU()]
    fits.HDUList([*first, *hdus]).writeto(path)
    return path


def write_cube(path, data, **keywords):
    """Write a primary image with header keywords; return the path."""
    hdu = fits.PrimaryHDU(np.asarray(data))
    hdu.header.update(keywords)
    return write_hdus(path, hdu)


def files_in(folder):
    """Return the names of all files in a folder, hidden ones too."""
    return sorted(path.name for path in folder.iterdir())


def same_frames(one, other):
    """Check that two stacks are equal to the last bit in all that they hold but their meta."""
    np.testing.assert_array_equal(one.data, other.data, strict=True)
    np.testing.assert_array_equal(one.mask, other.mask, strict=True)
    np.testing.assert_array_equal(one.is_reference, other.is_reference)
    assert (one.sigma is None) == (other.sigma is None)
    if one.sigma is not None:
        np.testing.assert_array_equal(one.sigma, other.sigma)
    np.testing.assert_array_equal(one.angles, other.angles)
    assert one.geometry.center == other.geometry.center
    assert one.geometry.pixel_scale == other.geometry.pixel_scale
    assert (one.unit, one.names, one.geometry.parity) == (other.unit, other.names, other.geometry.parity)
