"""The embedded observation against its truth: disk flux, noise, and what the forward model says was lost.

python -m benchmarks.simulation
"""

from __future__ import annotations

import warnings
from time import perf_counter

from astronmf import SequentialNMF
from astronmf.datasets import SimulatedObservation, load_simulated
from astronmf.exceptions import MissingDataWarning
from astronmf.imaging import Reduction, build_components, reduce

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
        print(f"| {tolerance:g} | {seconds:.1f} | {chi2:.4f} | {observation.flux_fraction(result.combined):.4f} |")


def main() -> None:
    """Print two Markdown tables."""
    warnings.simplefilter("ignore", MissingDataWarning)  # the embedded frames have NaN on purpose
    observation = load_simulated()
    print("| reduction | disk flux / truth | forward model says | residual / error |\n|---|---|---|---|")
    for name, result in reductions(observation).items():
        measured = observation.flux_fraction(result.combined)
        predicted = observation.flux_fraction(result.forward(observation.disk))
        print(f"| {name} | {measured:.3f} | {predicted:.3f} | {observation.noise_ratio(result):.3f} |")
    print()
    print_tolerances(observation)


if __name__ == "__main__":
    main()
