"""Frames to prepare: a star with its halo, errors, masks with rubbish beneath them, and names of their own."""

import numpy as np
from helpers import read_only
from imaging_helpers import gaussian

from astronmf.imaging import Frames

SHAPE = (5, 33, 35)
CENTER = (17.0, 16.0)
ANGLES = read_only([350.0, 358.0, 6.0, 14.0, 22.0])


def star_cube(shape=SHAPE, center=CENTER, noise=1.0, seed=1):
    """Return a star of FWHM 5 on a flat background, with white noise."""
    rng = np.random.default_rng(seed)
    return 10 + gaussian(shape[1:], *center, fwhm=5.0, peak=500.0) + noise * rng.standard_normal(shape)


def make_frames(shape=SHAPE, *, masked=0.05, rubbish=1e30, kind=np.float64, sigma=True, seed=1, **options):
    """Return frames of a star, a share of whose pixels is masked and holds rubbish."""
    rng = np.random.default_rng(seed + 100)
    mask = rng.random(shape) < masked
    errors = rng.uniform(0.8, 1.2, shape)
    data = np.where(mask, rubbish, star_cube(shape, seed=seed)).astype(kind)
    given = {"angles": ANGLES[: shape[0]], "center": CENTER, "pixel_scale": 0.05, "parity": -1, "unit": "adu"}
    given |= {"names": [f"night {i}" for i in range(shape[0])], "meta": {"object": "star", "inputs": [{"name": "a"}]}}
    uncertainty = read_only(np.where(mask, np.nan, errors).astype(kind)) if sigma else None
    return Frames(read_only(data), uncertainty, read_only(mask), **(given | options))


def last_step(frames):
    """Return the last entry of the record."""
    return frames.meta["preparation"][-1]


def valid_data(frames):
    """Return the data, NaN where they are masked."""
    return np.where(frames.mask, np.nan, frames.data)
