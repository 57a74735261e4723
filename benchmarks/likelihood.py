"""How many likelihoods of a disk's parameters are evaluated in a second.

A star of random components and noise, and a ring of free geometry: as a brightness function, and as an image that is
turned to each frame by rotations that are kept. Both are convolved with a PSF of 21 x 21 pixels. What is told is the
median of several runs, after one that compiles and fills the caches.

    ASTRONMF_NUM_THREADS=2 python -m benchmarks.likelihood
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from astronmf.components import Components
from astronmf.exceptions import ConvergenceWarning
from astronmf.imaging import PSF, Frames, build_components, reduce
from astronmf.imaging.modelling.callable_model import CallableModel
from astronmf.imaging.modelling.likelihood import Likelihood
from astronmf.imaging.modelling.rings import Ring

PSF_SIZE, FWHM = 21, 3.5
ROUNDS, SECONDS = 7, 0.5  # a round takes at least so long
SEED = 0


@dataclass(frozen=True)
class Case:
    """An observation, and the evaluations a second that are wanted."""

    n_frames: int
    rotation: float  # degrees, from the first frame to the last
    size: int
    n_components: int
    goal: float


CASES = (Case(2, 10.0, 120, 6, 500.0), Case(20, 60.0, 200, 20, 20.0))


def psf() -> PSF:
    """Return a Gaussian PSF."""
    y, x = np.indices((PSF_SIZE, PSF_SIZE)) - PSF_SIZE // 2
    return PSF.of(np.exp(-4 * np.log(2) * (x**2 + y**2) / FWHM**2), FWHM)


def ring(size: int) -> Ring:
    """Return a ring that fills half of the frame."""
    return Ring(0.25 * size, 60.0, 35.0, inner_width=2.0, outer_width=4.0, g=0.3)


def components(case: Case) -> Components:
    """Return smooth random components."""
    rng = np.random.default_rng(SEED)
    y, x = np.indices((case.size, case.size)) - case.size // 2
    distance, turn = np.hypot(x, y), np.arctan2(y, x)
    waves = [
        1 + np.cos(m % 7 * turn + m) * np.cos(distance / (2 + m % 5) + m) + 0.2 * rng.random(distance.shape)
        for m in range(case.n_components)
    ]
    frames = 1000 * np.exp(-distance / (0.15 * case.size)) * np.array(waves)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # any components will do
        return build_components(Frames(frames, center=(case.size // 2, case.size // 2)), case.n_components)


def likelihood(case: Case, source: Any, free: dict[str, tuple[float, float]]) -> Likelihood:
    """Return the likelihood of a source in noise around a star."""
    rng = np.random.default_rng(SEED + 1)
    basis = components(case)
    star = np.tensordot(rng.uniform(0.5, 1.5, (case.n_frames, case.n_components)) * 3000, basis.data, axes=1)
    angles = np.linspace(0.0, case.rotation, case.n_frames)
    bare = Frames(star, angles=angles, center=(case.size // 2, case.size // 2))
    observer = reduce(bare, components=basis, scale="none").observer(psf=psf())
    light = 3e4 * ring(case.size).frames(observer)
    data = star + light + rng.standard_normal(star.shape)
    frames = Frames(data, np.ones(star.shape), angles=angles, center=(case.size // 2, case.size // 2))
    limits = {"inner_radius": 5, "outer_radius": 0.5 * case.size}
    return reduce(frames, components=basis, scale="none", **limits).likelihood(source, free, psf=psf())


def sources(case: Case) -> dict[str, Any]:
    """Return the ring as a brightness, and as an image."""
    model = ring(case.size)

    def image(**parameters: float) -> np.ndarray:
        return replace(model, **parameters).image((case.size, case.size))

    start = {name: getattr(model, name) for name in ("radius", "inclination", "position_angle", "g")}
    narrow = model.with_parameters(inner_width=1.0, outer_width=2.0)  # evaluated at several places a pixel
    return {"ring": model, "image": CallableModel(image, start), "narrow ring": narrow}


def rate(found: Likelihood) -> float:
    """Return evaluations a second, at parameters that differ each time."""
    rng, low_high = np.random.default_rng(SEED), np.array(list(found.bounds.values()))
    found(found.start)
    rates = []
    for _ in range(ROUNDS):
        done, began = 0, perf_counter()
        while perf_counter() - began < SECONDS:
            found(rng.uniform(*low_high.T))
            done += 1
        rates.append(done / (perf_counter() - began))
    return median(rates)


def main() -> None:
    """Print a row for each case."""
    print("| frames | pixels | components | disk | evaluations a second | goal |")
    print("|---|---|---|---|---|---|")
    for case in CASES:
        free = {"radius": (0.24 * case.size, 0.26 * case.size), "inclination": (55.0, 65.0)}
        free |= {"position_angle": (30.0, 40.0), "g": (0.1, 0.5)}
        for name, source in sources(case).items():
            found = rate(likelihood(case, source, free))
            shape = f"{case.size} x {case.size}"
            goal = "" if name == "narrow ring" else f"{case.goal:.0f}"
            print(f"| {case.n_frames} | {shape} | {case.n_components} | {name} | {found:.0f} | {goal} |")


if __name__ == "__main__":
    main()
