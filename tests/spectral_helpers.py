"""A simulated star with speckles that grow with the wavelength, and a planet that stays, for the tests."""

from dataclasses import dataclass

import numpy as np
from helpers import read_only
from imaging_helpers import gaussian, place

from astronmf.imaging import SpectralFrames

SIZE = 41
CENTER = (20.0, 20.0)
SEPARATION, POSITION_ANGLE = 12.0, 60.0
FWHM = 3.0  # pixels at the mean wavelength
PEAK = 40.0
WAVELENGTHS = read_only(np.linspace(0.95, 1.65, 8))
ANGLES = read_only([0.0, 20.0, 40.0])


@dataclass(frozen=True)
class Observation:
    """Exposures of several wavelengths, (n, w, y, x) each; every array is read-only."""

    data: np.ndarray
    star: np.ndarray
    planet: np.ndarray
    sigma: np.ndarray
    wavelengths: np.ndarray
    angles: np.ndarray

    def frames(self, **changes):
        """Return them as `SpectralFrames`; `changes` replace arguments."""
        given = {"data": self.data, "uncertainty": self.sigma, "wavelengths": self.wavelengths, "angles": self.angles}
        return SpectralFrames(**(given | {"unit": "MJy/sr", "pixel_scale": 0.0075} | changes))


def observe(wavelengths=WAVELENGTHS, angles=ANGLES, size=SIZE, noise=1.0, seed=1):
    """Return exposures of a star whose speckles lie at distances in proportion to the wavelength, and a planet."""
    rng = np.random.default_rng(seed)
    middle, shape = size // 2, (len(angles), len(wavelengths), size, size)
    distance, turn = rng.uniform(0, 1.5 * middle, 250), rng.uniform(0, 2 * np.pi, 250)
    amplitudes = rng.exponential(300.0, 250) * np.exp(-distance / 8)
    star, planet = np.zeros(shape), np.zeros(shape)
    for i, angle in enumerate(angles):
        now = amplitudes * rng.uniform(0.7, 1.3, amplitudes.shape)
        for j, wavelength in enumerate(wavelengths):
            stretch = wavelength / np.mean(wavelengths)
            width = FWHM * stretch
            profiles = [
                np.exp(
                    -4
                    * np.log(2)
                    * ((np.arange(size) - middle)[:, None] - stretch * distance * wave(turn)) ** 2
                    / width**2
                )
                for wave in (np.sin, np.cos)
            ]
            star[i, j] = (1 + 0.3 * np.sin(5 * wavelength)) * (profiles[0] * now) @ profiles[1].T
            where = place((middle, middle), SEPARATION, POSITION_ANGLE, angle)
            planet[i, j] = gaussian((size, size), *where, fwhm=width, peak=PEAK)
    sigma = noise * rng.uniform(0.8, 1.2, shape)
    data = star + planet + sigma * rng.standard_normal(shape)
    return Observation(*map(read_only, (data, star, planet, sigma, wavelengths, angles)))
