"""A star in three speckle patterns under a turning sky, and a planet of known place and flux."""

from dataclasses import dataclass

import numpy as np
from helpers import read_only
from imaging_helpers import disc, gaussian, place, star_patterns

from astronmf import SequentialNMF
from astronmf.imaging import PSF, Frames, inject
from astronmf.imaging.injection import source_frames

SIZE = 33
SHAPE = (SIZE, SIZE)
CENTER = (16.0, 16.0)
PLANET = {"separation": 9.0, "position_angle": 70.0}
FWHM = 3.0
POINT = PSF.of(gaussian((15, 15), 7, 7, fwhm=FWHM), FWHM)
ANNULUS = {"inner_radius": 3, "outer_radius": 15}
THREE = {"n_components": 3, **ANNULUS}  # as many components as the star has patterns


@dataclass(frozen=True)
class Sequence:
    """Frames of a star while the sky turns; no planet. Arrays are read-only."""

    data: np.ndarray
    sigma: np.ndarray
    star: np.ndarray
    angles: np.ndarray

    def frames(self, **changes):
        """Return the frames; `changes` replace arguments of `Frames`."""
        return Frames(**({"data": self.data, "uncertainty": self.sigma, "angles": self.angles} | changes))

    def with_planet(self, flux, **changes):
        """Return the frames with the planet."""
        return inject(self.frames(**changes), POINT, **PLANET, flux=flux)


def sequence(n=16, span=120.0, noise=1.0, spread=0.5, seed=3, uneven=0.0, n_patterns=3):
    """Return `n` frames over `span` degrees; 1σ errors differ by up to the fraction `uneven` either way."""
    rng = np.random.default_rng(seed)
    patterns = star_patterns(SIZE).reshape(3, -1)[:n_patterns]
    star = (rng.uniform(1 - spread, 1 + spread, (n, n_patterns)) @ patterns).reshape(n, *SHAPE)
    sigma = noise * rng.uniform(1 - uneven, 1 + uneven, star.shape)
    data = star + sigma * rng.standard_normal(star.shape)
    return Sequence(*(read_only(array) for array in (data, sigma, star, np.linspace(-20.0, span - 20.0, n))))


def planet_in(frames):
    """Return what a planet of unit flux looks like in each frame."""
    return source_frames(frames.shape, frames.geometry, POINT, **PLANET)


def planet_place():
    """Return the planet's (x, y) on the combined image."""
    return place(CENTER, PLANET["separation"], PLANET["position_angle"])


def around_planet(radius):
    """Return the pixels of the combined image within `radius` of the planet."""
    return disc(SHAPE, *planet_place(), radius)


def flux_in(image, radius=4.0):
    """Return the light around the planet's place."""
    return float(image[around_planet(radius)].sum())


def exact(k=3, tol=1e-10):
    """Return an estimator that goes to the end."""
    return SequentialNMF(k, tol=tol, max_iter=20_000)
