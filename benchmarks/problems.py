"""The problems of the benchmark: simulated, seeded, observations first. Nothing in them knows of any solver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from math import isqrt, sqrt

import numpy as np

from benchmarks.quality import chi2

MISSING = 0.03
READ_NOISE = 5.0
WAVES = 12  # of each pattern of speckles
START_SEED = 1
TINY = 100, 1_400

STRETCH = 0.52  # of the rest-frame grid that one spectrum covers
BAD_PIXELS = 0.04
LINES = 12  # of each spectral component
SHOT_NOISE = 0.02  # variance per flux, in units of the median flux
SPECTRAL_NOISE = 0.55  # of the median flux; a tenth of the values come out negative


@dataclass(frozen=True)
class Problem:
    """Data and the start that every system sets out from.

    Attributes
    ----------
    key, title : str
    data : (n, p) array
    weights : (n, p) array or None
        Inverse variance; `None` where all values weigh the same.
    mask : (n, p) array of bool or None
        `True` = missing.
    n_components : int
    budget : float
        Seconds that each system may take.
    """

    key: str
    title: str
    data: np.ndarray
    weights: np.ndarray | None
    mask: np.ndarray | None
    n_components: int
    budget: float

    @cached_property
    def valid_weights(self) -> np.ndarray | None:
        """The weights with zeros for what is missing."""
        return self.weights if self.mask is None else np.where(self.mask, 0.0, self.weights)

    @cached_property
    def n_valid(self) -> int:
        """How many values take part."""
        return self.data.size if self.valid_weights is None else int(np.count_nonzero(self.valid_weights))

    @cached_property
    def start(self) -> tuple[np.ndarray, np.ndarray]:
        """Uniform random coefficients (n, k) and components (k, p), at the level of the data."""
        generator = np.random.default_rng(START_SEED)
        level = sqrt(np.average(self.data**2, weights=self.valid_weights) / self.n_components)
        n, p = self.data.shape
        return generator.random((n, self.n_components)) * level, generator.random((self.n_components, p))

    def chi2(self, coefficients: np.ndarray, components: np.ndarray) -> float:
        """Judge factors; NaN, which marks what is unknown, counts as 0."""
        return chi2(self.data, self.valid_weights, np.nan_to_num(coefficients), np.nan_to_num(components))

    def tiny(self) -> Problem:
        """Return a problem of the same kinds of arrays, to compile with: large enough for several blocks of pixels."""
        n, step = min(len(self.data), TINY[0]), max(1, self.data.shape[1] // TINY[1])
        cut = [
            None if array is None else np.ascontiguousarray(array[:n, ::step])
            for array in (self.data, self.weights, self.mask)
        ]
        return Problem(self.key, self.title, *cut, self.n_components, budget=0.2)


def make_problem(key: str, scale: float = 1.0) -> Problem:
    """Return a problem by its letter; `scale` below 1 shrinks it, and its budget, for a dry run."""
    problem = MAKERS[key](scale)
    return replace(problem, key=key, budget=problem.budget * scale)


def library(
    seed: int = 0, n_frames: int = 100, n_pixels: int = 28_016, n_patterns: int = 14
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return data, weights and mask of a simulated coronagraphic library, (frames, pixels).

    Speckled, positive patterns under a steep halo, photon noise, errors that span three decades of weights, 3 % of
    the values missing.
    """
    generator = np.random.default_rng(seed)
    x, y = _pixels(n_pixels)
    halo = 1e4 * ((np.hypot(x, y) + 5) / 5) ** -2.5
    model = _speckled_frames(generator, halo, (x, y), n_frames, n_patterns)
    variance = model + READ_NOISE**2
    data = model + generator.normal(size=model.shape) * np.sqrt(variance)
    return data, 1 / variance, generator.random(model.shape) < MISSING


def uniform(seed: int = 0, n_frames: int = 200, n_pixels: int = 40_000, n_patterns: int = 14) -> np.ndarray:
    """Return frames of uniform noise with nothing missing, (frames, pixels), clipped at 0: every peer takes them."""
    generator = np.random.default_rng(seed)
    x, y = _pixels(n_pixels)
    halo = 1e3 * ((np.hypot(x, y) + 5) / 5) ** -1.5
    model = _speckled_frames(generator, halo, (x, y), n_frames, n_patterns)
    return np.clip(model + READ_NOISE * generator.normal(size=model.shape), 0, None)


def spectra(
    seed: int = 0, n_spectra: int = 2_760, n_wavelengths: int = 2_820, n_patterns: int = 15
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return data, weights and mask of spectra on a rest-frame grid, (spectra, wavelengths), half of them missing.

    Each spectrum covers one stretch of the grid, whose place depends on its redshift; the ends of the survey's range of
    redshifts are common, so that no wavelength is bare.
    """
    generator = np.random.default_rng(seed)
    grid = np.linspace(0, 1, n_wavelengths)
    patterns = np.array([_spectral_pattern(generator, grid) for _ in range(n_patterns)])
    model = generator.gamma(0.5, 1, (n_spectra, n_patterns)) @ patterns
    level = SPECTRAL_NOISE * np.median(model) * generator.lognormal(0, 0.5, (n_spectra, 1))
    sky = level * (1 + 2 * (grid - 0.5) ** 2) * generator.lognormal(0, 0.2, (1, n_wavelengths))
    sigma = np.sqrt(sky**2 + SHOT_NOISE * np.median(model) * model)  # no product of a row and a column
    data = model + generator.normal(size=model.shape) * sigma
    first = np.clip(generator.uniform(-0.1, 1.1 - STRETCH, (n_spectra, 1)), 0, 1 - STRETCH)
    covered = (grid >= first) & (grid <= first + STRETCH)
    return data, 1 / sigma**2, ~covered | (generator.random(model.shape) < BAD_PIXELS)


def _pixels(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of the first so many pixels of a square, from its centre."""
    side = isqrt(count - 1) + 1
    y, x = np.indices((side, side)).reshape(2, -1)[:, :count] - side / 2
    return x, y


def _speckled_frames(
    generator: np.random.Generator, halo: np.ndarray, where: tuple[np.ndarray, np.ndarray], n_frames: int, n: int
) -> np.ndarray:
    """Return frames that mix n positive patterns, each weaker than the one before it."""
    patterns = np.array([halo * (1 + 0.16 * _speckles(generator, *where)) ** 2 for _ in range(n)])
    strengths = generator.lognormal(0, 0.5, (n_frames, n)) * np.linspace(1, 0.1, n)
    return strengths @ patterns / n


def _speckles(generator: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the sum of plane waves."""
    waves, phases = generator.normal(scale=0.6, size=(WAVES, 2)), generator.uniform(0, 2 * np.pi, WAVES)
    return np.sum([np.cos(a * x + b * y + phase) for (a, b), phase in zip(waves, phases, strict=True)], axis=0)


def _spectral_pattern(generator: np.random.Generator, grid: np.ndarray) -> np.ndarray:
    """Return a continuum that falls off, with emission lines of various widths."""
    pattern = np.exp(-grid * generator.uniform(0, 3)) * generator.uniform(0.2, 1)
    for _ in range(LINES):
        place, width = generator.random(), generator.uniform(0.001, 0.02)
        pattern += generator.exponential(1.0) * np.exp(-0.5 * ((grid - place) / width) ** 2)
    return pattern


def _coronagraph(title: str, n_components: int, budget: float, n_frames: int = 100, n_pixels: int = 28_016) -> Maker:
    """Return a maker of libraries; a dry run has fewer pixels."""

    def make(scale: float) -> Problem:
        count = max(400, round(n_pixels * scale))
        data, weights, mask = library(n_frames=n_frames, n_pixels=count)
        return Problem("", title, data, weights, mask, n_components, budget)

    return make


def _spectra(scale: float) -> Problem:
    n, p = (max(60, round(count * sqrt(scale))) for count in (2_760, 2_820))
    return Problem("", "Spectra, half missing", *spectra(n_spectra=n, n_wavelengths=p), 12, 150.0)


def _uniform(scale: float) -> Problem:
    data = uniform(n_pixels=max(400, round(40_000 * scale)))
    return Problem("", "Uniform weights, nothing missing", data, None, None, 10, 20.0)


Maker = Callable[[float], Problem]

MAKERS: dict[str, Maker] = {
    "a": _coronagraph("Coronagraph library", 5, budget=45.0),
    "b": _coronagraph("Coronagraph library", 20, budget=20.0),
    "c": _spectra,
    "d": _uniform,
    "e": _coronagraph("Large library", 20, budget=25.0, n_frames=400, n_pixels=90_000),
}
