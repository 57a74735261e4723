"""A sequence of frames in which the sky turns, with a planet, as the neighbours' arrays."""

from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import pytest
from helpers import read_only
from imaging_helpers import centroid, disc, observe, place, point_sources

from astronmf import SequentialNMF

SEPARATION, POSITION_ANGLE = 9.0, 200.0
QUICK = SequentialNMF(tol=1e-3)


@dataclass(frozen=True)
class Sequence:
    """Read-only arrays: (n, y, x), (m, y, x), (n,) degrees."""

    cube: np.ndarray
    references: np.ndarray
    angles: np.ndarray


def turning(size=33):
    """Return ten frames over 108°, the star at the middle pixel, and six references."""
    angles = np.arange(10) * 12.0 - 30
    seen = observe(size=size, angles=angles, n_references=6, seed=3)
    middle = (size // 2, size // 2)
    planet = point_sources((size, size), middle, SEPARATION, POSITION_ANGLE, angles, peak=60.0)
    return Sequence(*map(read_only, (seen.science + planet, seen.references, angles)))


def distance_from_planet(image, center):
    """Return by how many pixels the light near the planet's place in a north-up image is off it."""
    x, y = place(center, SEPARATION, POSITION_ANGLE)
    near = disc(image.shape, x, y, 3)
    found = centroid(np.where(near, np.clip(image, 0, None), 0))
    return float(np.hypot(found[0] - x, found[1] - y))


def installed(name):
    """Return the mark of a test that needs a neighbour, whose own warnings are not ours."""

    def mark(test):
        reason = f"{name} is not installed: pip install 'astronmf[benchmark]'"
        skipped = pytest.mark.skipif(find_spec(name) is None, reason=reason)(test)
        return pytest.mark.filterwarnings("ignore")(skipped)

    return mark
