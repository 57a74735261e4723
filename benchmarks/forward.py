"""How exact the forward model is: against reducing again, with the active components that the data have.

    python -m benchmarks.forward

The embedded observation, ten components: its disk and sources of growing brightness, tried in its frames. "Same active
set" counts frames whose active components stay as they are when the source is added; where all do, the forward model is
exact to rounding. "Left" is `ForwardImages.throughput`, the amplitude with which the source itself fits what reducing
again leaves of it.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from astronmf.datasets import load_simulated
from astronmf.exceptions import MissingDataWarning
from astronmf.imaging import PSF, PointSource, Reduction, Ring, build_components, reduce
from astronmf.imaging.modelling.forward_images import ForwardImages

RADII = {"inner_radius": 10.0, "outer_radius": 80.0}
N_COMPONENTS = 10


def cases(disk: np.ndarray, disk_flux: float, star_flux: float) -> dict[str, Any]:
    """Return sources by name."""
    ring = Ring(30, 60, 100, inner_width=2.0, outer_width=3.0, g=0.3)
    return {
        "the disk that is there": disk,
        "a ring as bright": ring.with_parameters(flux=disk_flux),
        "a ring 30 times as bright": ring.with_parameters(flux=30 * disk_flux),
        "a planet, contrast 1e-6": PointSource(20, 30, 1e-6 * star_flux),
        "a star, contrast 1e-3, close in": PointSource(12, 30, 1e-3 * star_flux),
    }


def rows(reduction: Reduction, psf: PSF, sources: dict[str, Any]) -> list[str]:
    """Return a row of a Markdown table for each source."""
    out = []
    for name, source in sources.items():
        convolution = None if isinstance(source, np.ndarray) else psf
        found = reduction.forward_model(source, psf=convolution, exact=True, in_data=False)
        same = f"{int(found.same_active_set.sum())} of {len(found.same_active_set)}"
        left = ForwardImages.of(found, reduction).throughput
        out.append(f"| {name} | {same} | {left:.3f} | {found.largest_difference:.1e} |")
    return out


def main() -> None:
    """Print a Markdown table."""
    warnings.simplefilter("ignore", MissingDataWarning)
    observation = load_simulated()
    psf = PSF.of(observation.psf, center=(15, 15))
    sources = cases(observation.disk, observation.truth["DISKFLUX"], observation.truth["STARFLUX"])
    basis = build_components(observation.references, N_COMPONENTS, **RADII)
    print("| source | same active set | left | largest difference from reducing again |\n|---|---|---|---|")
    reduction = reduce(observation.science, components=basis, **RADII, scale="none")
    print("\n".join(rows(reduction, psf, sources)))


if __name__ == "__main__":
    main()
