"""How well star centres are found: in simulated frames with a known truth, and in the beta Pic cube.

ASTRONMF_REALDATA=… python -m benchmarks.centering
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from astropy.io import fits

from astronmf.imaging import Frames
from astronmf.imaging.preparation import find_center

SIZE = 81  # pixels
COUNT = 12
NOISE = 5.0
FARTHEST = 1.5  # pixels: of the star from the middle, along x and y
SEED = 4

BETA_PIC_CENTER = (51.2, 51.05)  # the point that the field turns about

Offsets = tuple[np.ndarray, np.ndarray]


def round_peak(dx: np.ndarray, dy: np.ndarray, fwhm: float, peak: float) -> np.ndarray:
    """Return a round Gaussian."""
    return peak * np.exp(-4 * np.log(2) * (dx**2 + dy**2) / fwhm**2)


def halo(dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """Return what turbulence leaves of a star: a round Moffat profile."""
    return 2000 * (1 + (dx**2 + dy**2) / 25) ** -1.5


def along_and_across(dx: np.ndarray, dy: np.ndarray, angle: float) -> Offsets:
    """Return offsets along a direction, radians counter-clockwise from +x, and across it."""
    return dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)


def star(dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """Return an unsaturated star of FWHM 4 pixels, 200 times the noise."""
    return round_peak(dx, dy, 4.0, 200 * NOISE)


def saturated(dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """Return a halo cut off at 600."""
    return np.minimum(halo(dx, dy), 600.0)


def doughnut(dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """Return a ring with a hole in it, as a vortex coronagraph leaves it."""
    return round_peak(dx, dy, 11.0, 2500.0) - round_peak(dx, dy, 5.0, 1750.0)


def spots(dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """Return four spots on the diagonals, 22 pixels out and drawn out along the radius, on a halo."""
    image = halo(dx, dy) / 2
    for angle in np.deg2rad([45.0, 135.0, 225.0, 315.0]):
        along, across = along_and_across(dx, dy, angle)
        image = image + 200 * np.exp(-(across**2) / 4.5 - (along - 22) ** 2 / 12.5)
    return image


def spikes(dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """Return a halo with a cross of diffraction spikes along the diagonals."""
    image = halo(dx, dy)
    for angle in np.deg2rad([45.0, 135.0]):
        along, across = along_and_across(dx, dy, angle)
        image = image + 300 * np.exp(-(across**2) / 2.9 - np.abs(along) / 40) * (1 + 0.2 * np.sin(along / 2))
    return image


def streaks(dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """Return 80 speckles in a very wide band: as long as 0.8 of their distance from the star."""
    rng = np.random.default_rng(3)
    image = halo(dx, dy)
    for far, angle, peak in zip(
        rng.uniform(12, 38, 80), rng.uniform(0, 2 * np.pi, 80), rng.exponential(60, 80), strict=True
    ):
        along, across = along_and_across(dx, dy, angle)
        image = image + 20 * peak / far * np.exp(-(across**2) / 2.9 - 0.5 * ((along - far) / (0.34 * far)) ** 2)
    return image


def speckles(dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """Return a halo with 150 speckles of FWHM 3.5 pixels that move with the star."""
    rng = np.random.default_rng(3)
    image = halo(dx, dy)
    for far, angle, peak in zip(
        rng.uniform(5, 35, 150), rng.uniform(0, 2 * np.pi, 150), rng.exponential(60, 150), strict=True
    ):
        image = image + round_peak(dx - far * np.cos(angle), dy - far * np.sin(angle), 3.5, peak)
    return image


Scene = Callable[[np.ndarray, np.ndarray], np.ndarray]

SIMULATED: list[tuple[Scene, str, dict[str, Any]]] = [
    (star, "gaussian", {}),
    (star, "moffat", {}),
    (star, "cross_correlation", {}),
    (saturated, "moffat", {"saturation": 580.0}),
    (halo, "moffat", {"inner_radius": 8.0, "outer_radius": 30.0}),
    (halo, "gaussian", {"inner_radius": 8.0, "outer_radius": 30.0}),
    (doughnut, "doughnut", {"outer_radius": 12.0}),
    (doughnut, "gaussian", {"outer_radius": 12.0}),
    (spots, "satellite_spots", {"separation": 22.0, "spot_radius": 6.0}),
    (spikes, "radon", {"inner_radius": 8.0, "angles": (45.0, 135.0)}),
    (spikes, "radon", {"inner_radius": 8.0}),
    (streaks, "radon", {"inner_radius": 10.0, "outer_radius": 38.0, "sides": 1, "smoothing": 1.5}),
    (speckles, "cross_correlation", {"inner_radius": 5.0}),
]

OBSERVED: list[tuple[str, dict[str, Any]]] = [
    ("doughnut", {"outer_radius": 10.0}),
    ("gaussian", {"inner_radius": 4.0, "outer_radius": 10.0}),
    ("moffat", {"inner_radius": 4.0, "outer_radius": 10.0}),
    ("gaussian", {"outer_radius": 10.0}),
    ("gaussian", {"inner_radius": 10.0, "outer_radius": 30.0}),
    ("moffat", {"inner_radius": 10.0, "outer_radius": 30.0}),
    ("radon", {"inner_radius": 10.0, "outer_radius": 40.0}),
    ("cross_correlation", {"guess": BETA_PIC_CENTER}),
    ("cross_correlation", {"guess": BETA_PIC_CENTER, "inner_radius": 10.0, "outer_radius": 40.0}),
]


def simulate(scene: Scene, count: int = COUNT, noise: float = NOISE, seed: int = SEED) -> tuple[Frames, np.ndarray]:
    """Return frames of a scene with white noise, and where the star is in each: (n, 2)."""
    rng = np.random.default_rng(seed)
    centers = SIZE // 2 + rng.uniform(-FARTHEST, FARTHEST, (count, 2))
    y, x = np.indices((SIZE, SIZE), dtype=float)
    cube = np.array([scene(x - center[0], y - center[1]) for center in centers])
    return Frames(cube + noise * rng.standard_normal(cube.shape)), centers


def errors(found: np.ndarray, truth: np.ndarray, method: str) -> np.ndarray:
    """Return what a method is off by; of a registration, displacements only."""
    off = found - truth
    return off - off.mean(axis=0) if method == "cross_correlation" else off


def described(options: dict[str, Any]) -> str:
    """Return options as they are written in a call."""
    return ", ".join(f"{name}={value}" for name, value in options.items() if name != "guess") or "—"


def simulations() -> None:
    """Print how far off each method is where the truth is known."""
    print("| what the frames show | method | options | rms, pixel | largest | s a frame |\n|---|---|---|---|---|---|")
    for scene, method, options in SIMULATED:
        frames, truth = simulate(scene)
        began = perf_counter()
        off = errors(find_center(frames, method, **options), truth, method)
        seconds = (perf_counter() - began) / len(frames)
        numbers = f"{np.sqrt((off**2).mean()):.4f} | {np.abs(off).max():.4f} | {seconds:.2f}"
        print(f"| {scene.__name__} | {method} | {described(options)} | {numbers} |")


def beta_pic(folder: Path) -> None:
    """Print what each method finds in the beta Pic cube, whose star is behind a vortex.

    The last columns are correlation coefficients of the displacements with those that the first method finds.
    """
    frames = Frames(fits.getdata(folder / "hci_naco_betapic" / "naco_betapic_cube.fits"))
    known = np.array(BETA_PIC_CENTER)
    columns = (
        "method",
        "options",
        "median − known, x",
        "y",
        "distance",
        "scatter, x",
        "y",
        "follows the first, x",
        "y",
    )
    print(f"\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    first = None
    for method, options in OBSERVED:
        found = find_center(frames, method, **options)
        first = found if first is None else first
        off, scatter = np.median(found, axis=0) - known, found.std(axis=0)
        alike = [np.corrcoef(first[:, axis], found[:, axis])[0, 1] for axis in (0, 1)]
        numbers = f"{off[0]:+.2f} | {off[1]:+.2f} | {np.hypot(*off):.2f} | {scatter[0]:.2f} | {scatter[1]:.2f}"
        print(f"| {method} | {described(options)} | {numbers} | {alike[0]:.2f} | {alike[1]:.2f} |")


def main() -> None:
    """Print both tables; the second only where the data are."""
    simulations()
    if "ASTRONMF_REALDATA" in os.environ:
        beta_pic(Path(os.environ["ASTRONMF_REALDATA"]))


if __name__ == "__main__":
    main()
