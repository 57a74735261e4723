"""What other wavelengths as references leave of a planet, and how well it then stands out, in a simulation.

Speckles at distances from the star in proportion to the wavelength, and a planet that stays where it is. Every
reduction is made twice, with the planet and without it, so that what is left of its flux is measured and not modelled.

    python -m benchmarks.wavelengths
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from astronmf.exceptions import MissingDataWarning
from astronmf.imaging import SpectralFrames, reduce_spectral
from astronmf.imaging.combination import turn
from astronmf.imaging.geometry import radius, sky_position

SIZE = 41  # pixels
CENTER = (20.0, 20.0)
INNER, OUTER = 5, 17  # pixels
SEPARATION, POSITION_ANGLE = 12.0, 60.0  # of the planet: pixels, degrees
FWHM = 3.0  # pixels at the mean wavelength
PEAK = 40.0  # of the planet
N_SPECKLES = 250
SEED = 1
WAVELENGTHS = np.linspace(0.95, 1.65, 8)  # µm
ANGLES = np.array([0.0, 20.0, 40.0])  # degrees

MODES: list[dict[str, Any]] = [
    {"mode": "adi", "n_components": 1},
    {"mode": "sdi", "n_components": 2},
    {"mode": "sdi", "n_components": 2, "min_separation": 0.5},
    {"mode": "sdi", "n_components": 2, "min_separation": 0.7},
    {"mode": "asdi", "n_components": 4, "min_separation": 0.5, "min_rotation": 0.5},
]


@dataclass(frozen=True)
class Simulation:
    """Exposures of several wavelengths, each array (n, wavelength, y, x): star with noise, planet, and σ."""

    star: np.ndarray
    planet: np.ndarray
    sigma: np.ndarray

    def frames(self, *, planet: bool) -> SpectralFrames:
        """Return the exposures with or without the planet; star and noise are the same."""
        data = self.star + self.planet if planet else self.star
        return SpectralFrames(data, self.sigma, wavelengths=WAVELENGTHS, angles=ANGLES, center=CENTER)


@dataclass(frozen=True)
class Speckles:
    """Points around a star, at distances that hold at the mean wavelength."""

    distance: np.ndarray
    direction: np.ndarray
    peak: np.ndarray

    def image(self, stretch: float) -> np.ndarray:
        """Return round speckles, stretched about the star: (y, x)."""
        y, x = (stretch * self.distance * wave(self.direction) for wave in (np.sin, np.cos))
        along_y, along_x = (_profile(place + CENTER[0], stretch * FWHM) for place in (y, x))
        return (along_y * self.peak) @ along_x.T


def simulate() -> Simulation:
    """Return a star whose speckles change from exposure to exposure and scale exactly with the wavelength."""
    rng = np.random.default_rng(SEED)
    distance, direction = rng.uniform(0, 1.5 * (SIZE // 2), N_SPECKLES), rng.uniform(0, 2 * np.pi, N_SPECKLES)
    peak = rng.exponential(300.0, N_SPECKLES) * np.exp(-distance / 8)
    stretches = WAVELENGTHS / WAVELENGTHS.mean()
    brightness = 1 + 0.3 * np.sin(5 * WAVELENGTHS)
    star = np.empty((len(ANGLES), len(WAVELENGTHS), SIZE, SIZE))
    for exposure in star:
        speckles = Speckles(distance, direction, peak * rng.uniform(0.7, 1.3, N_SPECKLES))
        exposure[:] = [bright * speckles.image(s) for bright, s in zip(brightness, stretches, strict=True)]
    planet = np.array([[_planet(angle, FWHM * s) for s in stretches] for angle in ANGLES])
    sigma = rng.uniform(0.8, 1.2, star.shape)
    return Simulation(star + sigma * rng.standard_normal(star.shape), planet, sigma)


def _profile(places: np.ndarray, fwhm: float) -> np.ndarray:
    """Return Gaussians of peak 1 around places on one axis: (pixel, place)."""
    return np.exp(-4 * np.log(2) * (np.arange(SIZE)[:, None] - places) ** 2 / fwhm**2)


def _planet(angle: float, fwhm: float) -> np.ndarray:
    """Return the planet on a detector whose +y axis is `angle` degrees east of north: (y, x)."""
    direction = np.deg2rad(POSITION_ANGLE - angle)
    x, y = CENTER[0] - SEPARATION * np.sin(direction), CENTER[1] + SEPARATION * np.cos(direction)
    return PEAK * _profile(np.array([y]), fwhm) @ _profile(np.array([x]), fwhm).T


def unsubtracted(frames: SpectralFrames) -> np.ndarray:
    """Return the mean of all exposures and channels, north up: (y, x)."""
    return np.mean([turn(channel.data, channel.geometry) for channel in frames.channels()], axis=(0, 1))


def subtracted(**options: Any) -> Callable[[SpectralFrames], np.ndarray]:
    """Return what reduces exposures to the mean of all channels by inverse variance, north up: (y, x)."""

    def reduction(frames: SpectralFrames) -> np.ndarray:
        return reduce_spectral(frames, fwhm=FWHM, inner_radius=INNER, outer_radius=OUTER, **options).collapsed

    return reduction


def near_planet(reach: float) -> np.ndarray:
    """Return which pixels of a north-up image lie within `reach` pixels of the planet."""
    return radius((SIZE, SIZE), sky_position((SIZE, SIZE), SEPARATION, POSITION_ANGLE)) <= reach


def signal_to_noise(image: np.ndarray) -> float:
    """Return the mean within 1.5 pixels of the planet over the scatter of pixels at its separation."""
    ring = np.abs(radius(image.shape, CENTER) - SEPARATION) < 3
    return float(image[near_planet(1.5)].mean() / np.nanstd(image[ring & ~near_planet(6)]))


def flux_left(image: np.ndarray, without: np.ndarray) -> float:
    """Return the planet's mean within one pixel of its place, over the peak that went in."""
    return float((image - without)[near_planet(1.0)].mean() / PEAK)


def line(simulation: Simulation, reduction: Callable[[SpectralFrames], np.ndarray], columns: str) -> str:
    """Return a line of the table."""
    image, without = (reduction(simulation.frames(planet=planet)) for planet in (True, False))
    return f"| {columns} | {flux_left(image, without):.2f} | {signal_to_noise(image):.1f} |"


def described(mode: str, n_components: int, **options: Any) -> str:
    """Return a mode's columns: its name, the number of components, and its other options as in a call."""
    given = ", ".join(f"`{name}={value}`" for name, value in options.items())
    return f'`"{mode}"` | {n_components} | {given}'.rstrip()


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore", MissingDataWarning)  # stretched channels end within the region
    simulation = simulate()
    print("| mode | components | options | flux left | signal to noise |\n|---|---|---|---|---|")
    print(line(simulation, unsubtracted, "none: the mean of everything | |"))
    for options in MODES:
        print(line(simulation, subtracted(**options), described(**options)), flush=True)


if __name__ == "__main__":
    main()
