"""How much of a known ring comes back from real JWST frames.

Each of the six frames of reference stars in the AU Mic data set is the target in turn; the four frames of the other
two stars are the references. A convolved, inclined ring is added, its region is declared missing, and the residual's
flux in the region is compared with the ring's.

    ASTRONMF_REALDATA=… python -m benchmarks.jwst_injection [SEMI-MAJOR AXIS]
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

import numpy as np

from astronmf.exceptions import MissingDataWarning
from astronmf.imaging import Frames, build_components, reduce
from astronmf.imaging.geometry import annulus
from benchmarks.rings import inclined_ring

PEAKS = (0.1, 0.33, 1.0)  # MJy/sr
INNER, OUTER = 6.0, 110.0  # pixels
N_COMPONENTS = 4
EDGE = 0.1  # of the peak: where the ring's region ends


def reference_frames(folder: Path) -> Frames:
    """Return the frames of reference stars among the data set's files."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MissingDataWarning)  # a few pixels have errors below 0
        _, references = Frames.read(sorted(folder.glob("*.fits"))).split()
    assert references is not None
    return references


def ring_fluxes(folder: Path, **ring: float) -> dict[float, list[float]]:
    """Return the recovered over the injected flux of every target, for each peak brightness.

    Parameters
    ----------
    folder
        With the data set's files.
    **ring
        Parameters of `benchmarks.rings.inclined_ring` other than its peak.
    """
    frames = reference_frames(folder)
    stars = [name.split()[0] for name in frames.names]
    shape, center = frames.shape[1:], frames.geometry.center
    unit_ring = inclined_ring(shape, center, **ring)
    region = (unit_ring > EDGE) & annulus(shape, center, INNER, OUTER)
    fractions: dict[float, list[float]] = {peak: [] for peak in PEAKS}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MissingDataWarning)
        for star in dict.fromkeys(stars):
            others = frames[[i for i, name in enumerate(stars) if name != star]]
            components = build_components(others, N_COMPONENTS, inner_radius=INNER, outer_radius=OUTER)
            for i in (i for i, name in enumerate(stars) if name == star):
                for peak in PEAKS:
                    target = frames[i].replace_data(frames[i].data + peak * unit_ring)
                    result = reduce(
                        target,
                        components=components,
                        inner_radius=INNER,
                        outer_radius=OUTER,
                        imputation_mask=region[None],
                    )
                    seen = region & np.isfinite(result.residuals[0])
                    fractions[peak].append(float(result.residuals[0][seen].sum() / (peak * unit_ring)[seen].sum()))
    return fractions


def main() -> None:
    """Print a Markdown table of the eighteen numbers."""
    folder = Path(os.environ["ASTRONMF_REALDATA"]) / "hci_jwst_nircam_aumic_f444w"
    names = reference_frames(folder).names
    ring = {"radius": float(sys.argv[1])} if len(sys.argv) > 1 else {}
    print("| peak, MJy/sr | " + " | ".join(names) + " | median |")
    print("|---" * (len(names) + 2) + "|")
    for peak, values in ring_fluxes(folder, **ring).items():
        print(f"| {peak} | " + " | ".join(f"{v:.3f}" for v in values) + f" | {np.median(values):.3f} |")


if __name__ == "__main__":
    main()
