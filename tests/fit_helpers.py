"""Star and sources of exactly known amplitudes, on components that are there: for the tests of joint fits."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from helpers import read_only
from imaging_helpers import gaussian, observe

from astronmf.imaging import PSF, Frames, build_components, reduce
from astronmf.imaging.modelling.observing import Observer
from astronmf.imaging.modelling.rings import Ring
from astronmf.imaging.modelling.sources import PointSource

SIZE = 33
ANGLES = read_only([0.0, 0.0, 40.0, 40.0, 115.0])
LIMITS = {"inner_radius": 3, "outer_radius": 15}
POINT = PSF.of(gaussian((11, 11), 5, 5, fwhm=3.0), 3.0)
RING = Ring(8.0, 55.0, 30.0, inner_width=1.2, g=0.2)
PLANET = PointSource(11.0, 200.0)
TRUTH = {"disk": 900.0, "planet": 40.0}
SOURCES = {"disk": RING, "planet": PLANET}


@cache
def basis():
    """Return three components of reference stars."""
    return build_components(observe().reference_frames(unit=None, pixel_scale=None), 3, **LIMITS)


@dataclass(frozen=True)
class Scene:
    """Frames that are star, sources and noise; arrays are read-only."""

    data: np.ndarray
    sigma: np.ndarray
    star: np.ndarray
    coefficients: np.ndarray
    angles: np.ndarray

    def frames(self, **changes):
        """Return the frames; `changes` replace arguments of `Frames`."""
        return Frames(**({"data": self.data, "uncertainty": self.sigma, "angles": self.angles} | changes))

    def reduced(self, **changes):
        """Return the reduction; `changes` are of `Frames` (its mask as `missing`), or of `reduce`."""
        names = ("components", "scale", "imputation_mask", "mask", "combine", "inner_radius", "outer_radius")
        asked = {name: changes.pop(name) for name in names if name in changes}
        frames = self.frames(mask=changes.pop("missing", None), **changes)
        return reduce(frames, **({"components": basis(), "scale": "none"} | LIMITS | asked))

    def plus(self, values):
        """Return the same with something added to the data."""
        return replace(self, data=read_only(self.data + values))


def seen(source, angles=ANGLES):
    """Return a source in each frame."""
    frames = Frames(np.zeros((len(angles), SIZE, SIZE)), angles=angles)
    return source.frames(Observer(frames.geometry, frames.shape, psf=POINT))


def scene(noise=1.0, seed=0, truth=TRUTH, angles=ANGLES):
    """Return frames of the star in positive amounts of all components, and sources."""
    rng = np.random.default_rng(seed)
    coefficients = rng.uniform(0.7, 1.3, (len(angles), 3)) * [2000.0, 900.0, 500.0]
    star = np.tensordot(coefficients, np.nan_to_num(basis().data), axes=1)
    sigma = np.maximum(noise, 1e-3) * rng.uniform(0.7, 1.3, star.shape)
    data = star + sum(amplitude * seen(SOURCES[name], angles) for name, amplitude in truth.items())
    data = data + (noise > 0) * sigma * rng.standard_normal(star.shape)
    return Scene(*(read_only(array) for array in (data, sigma, star, coefficients, angles)))


def pulls(many, reduced, **how):
    """Return how far amplitudes are from the truth in units of their errors, (many, t), in scenes of other noise."""
    found = []
    for seed in range(many):
        fit = reduced(scene(seed=seed)).fit(SOURCES, **({"psf": POINT, "systematics": 0.0} | how))
        found.append((fit.amplitudes - list(TRUTH.values())) / fit.errors)
    return np.array(found)
