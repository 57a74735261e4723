"""Rings in front of real JWST stars: the joint fit, and its calibration in position angle.

Each of the six frames of reference stars in the AU Mic data set is the target in turn, the four frames of the other two
stars are the references (four components), and a convolved, inclined ring is added: `benchmarks.jwst_injection` says
what is left of it. Here ring and star are fitted together.

    ASTRONMF_REALDATA=… python -m benchmarks.jwst_fit          # one ring, frame by frame
    ASTRONMF_REALDATA=… python -m benchmarks.jwst_fit many     # 36 rings, and how large the systematic error should be
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from astronmf import Components
from astronmf.exceptions import DegeneracyWarning, MissingDataWarning
from astronmf.imaging import Frames, Reduction, build_components, inject_image, reduce
from astronmf.imaging.geometry import center_pixel
from astronmf.imaging.modelling import TemplateFit, reference_systematics
from benchmarks.jwst_injection import INNER, N_COMPONENTS, OUTER, reference_frames
from benchmarks.rings import inclined_ring

PEAKS = (0.33, 1.0)  # MJy/sr
EDGE = 0.1  # of the peak: where the ring's region ends
RADII, INCLINATIONS, ANGLES = (25.0, 35.0, 45.0, 70.0), (30.0, 60.0, 78.0), (30.0, 100.0, 160.0)
FRACTIONS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.1)


def folder() -> Path:
    """Return where the data set is."""
    return Path(os.environ["ASTRONMF_REALDATA"]) / "hci_jwst_nircam_aumic_f444w"


def targets(frames: Frames) -> Iterator[tuple[Frames, Frames, Components]]:
    """Yield each frame, the frames of other stars, and components built from those."""
    stars = np.array([name.split()[0] for name in frames.names])
    for star in dict.fromkeys(stars):
        others = frames[np.flatnonzero(stars != star)]
        components = build_components(others, N_COMPONENTS, inner_radius=INNER, outer_radius=OUTER)
        for i in np.flatnonzero(stars == star):
            yield frames[int(i)], others, components


def reduction_with_ring(target: Frames, components: Components, ring: np.ndarray) -> Reduction:
    """Return the reduction of a target with a north-up ring added, whose region is declared missing."""
    limits = {"inner_radius": INNER, "outer_radius": OUTER}
    region = ring > EDGE * ring.max()
    return reduce(inject_image(target, ring), components=components, **limits, imputation_mask=region)


def fits(
    rings: Iterable[dict[str, float]],
    peak: float,
    systematics: Any = 0.02,
    calibration: str | None = "angles",
    where: Path | None = None,
) -> list[TemplateFit]:
    """Return the joint fit of every ring in front of every frame.

    Parameters
    ----------
    rings
        Parameters of `benchmarks.rings.inclined_ring`.
    peak
        MJy/sr.
    systematics, calibration
        As in `Reduction.fit`; "references": from references of which each star is left out.
    where
        The folder of the data set; where the environment says by default.
    """
    out = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MissingDataWarning)
        warnings.simplefilter("ignore", DegeneracyWarning)
        frames = reference_frames(folder() if where is None else where)
        rings = list(rings)
        for target, others, components in targets(frames):
            error = systematics
            if isinstance(systematics, str):
                error = reference_systematics(others, inner_radius=INNER, outer_radius=OUTER)
            for parameters in rings:
                shape = frames.shape[1:]
                ring = peak * inclined_ring(shape, center_pixel(shape), **parameters)
                result = reduction_with_ring(target, components, ring)
                out.append(result.fit(ring, systematics=error, calibration=calibration))
    return out


def print_one() -> None:
    """Print a Markdown table of one ring in front of each frame, and how the calibrated amplitudes do."""
    names = reference_frames(folder()).names
    print("| peak, MJy/sr | fit | " + " | ".join(names) + " |\n" + "|---" * (len(names) + 2) + "|")
    for peak in PEAKS:
        plain = fits([{}], peak, systematics=0.0, calibration=None)
        found = fits([{}], peak)
        rows = {
            "errors of the file": [f"{fit.amplitudes[0]:.3f} ± {fit.errors[0]:.3f}" for fit in plain],
            "pull of that": [f"{(fit.amplitudes[0] - 1) / fit.errors[0]:.1f}" for fit in plain],
            "and 2 % of the star": [
                f"{fit.calibration.raw[0]:.3f} ± {fit.calibration.raw_errors[0]:.3f}" for fit in found
            ],
            "calibrated": [f"{fit.amplitudes[0]:.3f} ± {fit.errors[0]:.3f}" for fit in found],
            "pull": [f"{(fit.amplitudes[0] - 1) / fit.errors[0]:.1f}" for fit in found],
        }
        for name, cells in rows.items():
            print(f"| {peak:g} | {name} | " + " | ".join(cells) + " |")
    print()
    for peak in PEAKS:
        print(f"peak {peak:g}: {_summary(fits([{}], peak))}")


def _summary(found: list[TemplateFit]) -> str:
    values = np.array([fit.amplitudes[0] for fit in found])
    pulls = (values - 1) / np.array([fit.errors[0] for fit in found])
    return (
        f"median off by {abs(np.median(values) - 1):.1%}, worst by {np.abs(values - 1).max():.1%}; "
        f"within 1 sigma {(np.abs(pulls) <= 1).sum()} of {len(pulls)}, largest pull {np.abs(pulls).max():.1f}"
    )


def print_many() -> None:
    """Print a Markdown table over many rings of peak 1, for several sizes of the systematic error."""
    columns = "systematic error, inclination, raw: rms, calibrated: rms, worst, pull: mean, rms, within 1, beyond 3"
    columns += ", degrees of freedom"
    print("| " + columns.replace(", ", " | ") + " |\n" + "|---" * 10 + "|")
    for systematics in (*FRACTIONS, "references"):
        for inclination in INCLINATIONS:
            rings = [{"radius": r, "inclination": inclination, "position_angle": a} for r in RADII for a in ANGLES]
            found = fits(rings, 1.0, systematics)
            raw = np.array([fit.calibration.raw[0] for fit in found]) - 1
            off = np.array([fit.amplitudes[0] for fit in found]) - 1
            pull = off / np.array([fit.errors[0] for fit in found])
            known = np.isfinite(pull)
            off, pull = off[known], pull[known]
            label = systematics if isinstance(systematics, str) else f"{systematics:.0%}"
            freedom = np.median([fit.calibration.degrees_of_freedom[0] for fit in found])
            near, far = np.mean(np.abs(pull) <= 1), np.mean(np.abs(pull) > 3)
            print(
                f"| {label} | {inclination:g}° | {_rms(raw):.3f} | {_rms(off):.3f} | {np.abs(off).max():.3f} | "
                f"{pull.mean():.2f} | {_rms(pull):.2f} | {near:.0%} | {far:.0%} | {freedom:.1f} |",
                flush=True,
            )


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


if __name__ == "__main__":
    if "many" in sys.argv[1:]:
        print_many()
    else:
        print_one()
