"""The embedded observation against its truth: disk flux, noise, and what the forward model says was lost.

python -m benchmarks.simulation
"""

from __future__ import annotations

import warnings
from time import perf_counter

import numpy as np

from astronmf import SequentialNMF
from astronmf.datasets import SimulatedObservation, load_simulated
from astronmf.exceptions import MissingDataWarning
from astronmf.imaging import Reduction, build_components, reduce
from astronmf.imaging.geometry import from_sky

N_COMPONENTS = 10
INNER, OUTER = 5, 40  # λ/D


def reductions(observation: SimulatedObservation) -> dict[str, Reduction]:
    """Return the observation reduced in four ways on one basis."""
    size = observation.pixels_per_resolution_element
    radii = {"inner_radius": INNER * size, "outer_radius": OUTER * size}
    basis = build_components(observation.references, N_COMPONENTS, **radii)
    region = observation.source_region()
    return {
        "sources' region missing": reduce(observation.science, components=basis, **radii, imputation_mask=region),
        "nothing missing, no scale factor": reduce(observation.science, components=basis, **radii, scale="none"),
        "nothing missing, best factor": reduce(observation.science, components=basis, **radii, scale="bff"),
        "nothing missing, best factor of Ren+ 2018": reduce(
            observation.science, components=basis, **radii, scale="bff-ren2018"
        ),
    }


def flux_fraction(image: np.ndarray, disk: np.ndarray) -> float:
    """Return an image's flux over the disk's, where the disk is above 10 % of its peak."""
    bright = (disk > 0.1 * disk.max()) & np.isfinite(image)
    return float(image[bright].sum() / disk[bright].sum())


def noise_ratio(result: Reduction, observation: SimulatedObservation) -> float:
    """Return the scatter of residuals over errors, frame by frame, away from the sources."""
    away = np.isfinite(result.residuals) & ~_source_pixels(result, observation)
    return float(np.std((result.residuals / observation.science.sigma)[away]))


def _source_pixels(result: Reduction, observation: SimulatedObservation) -> np.ndarray:
    """Return the pixels of each frame that the sources touch."""
    region = observation.source_region().astype(float)
    geometry = result.science.geometry
    return np.stack([from_sky(region, geometry, i, order=1) > 0 for i in range(len(result.science))])


def print_tolerances(observation: SimulatedObservation) -> None:
    """Print a Markdown table of what the build's tolerance costs and changes."""
    size = observation.pixels_per_resolution_element
    radii = {"inner_radius": INNER * size, "outer_radius": OUTER * size}
    print("| tol | seconds | build, χ²/N | disk flux / truth |\n|---|---|---|---|")
    for tolerance in (1e-4, 1e-5, 1e-6):
        began = perf_counter()
        basis = build_components(
            observation.references, N_COMPONENTS, **radii, estimator=SequentialNMF(N_COMPONENTS, tol=tolerance)
        )
        seconds = perf_counter() - began
        result = reduce(observation.science, components=basis, **radii, imputation_mask=observation.source_region())
        chi2 = basis.history["chi2"][-1] / basis.meta["n_valid"]
        print(
            f"| {tolerance:g} | {seconds:.1f} | {chi2:.4f} | {flux_fraction(result.combined, observation.disk):.4f} |"
        )


def main() -> None:
    """Print two Markdown tables."""
    warnings.simplefilter("ignore", MissingDataWarning)  # the embedded frames have NaN on purpose
    observation = load_simulated()
    print("| reduction | disk flux / truth | forward model says | residual / error |\n|---|---|---|---|")
    for name, result in reductions(observation).items():
        measured = flux_fraction(result.combined, observation.disk)
        predicted = flux_fraction(result.forward(observation.disk), observation.disk)
        print(f"| {name} | {measured:.3f} | {predicted:.3f} | {noise_ratio(result, observation):.3f} |")
    print()
    print_tolerances(observation)


if __name__ == "__main__":
    main()
