"""Fluxes of 240 rings and planets in the embedded simulation: four ways to measure them, and their errors.

The true disk and planet are taken off the science frames. Rings of four inclinations and planets at many separations,
of many brightnesses, are put in one at a time and measured: in the residual after plain subtraction, after subtraction
with a best factor, and with their region declared missing; and by the joint fit, with and without calibration.

    python -m benchmarks.calibration [FIGURE.png]
"""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy import stats

from astronmf import Components
from astronmf.datasets import SimulatedObservation, load_simulated, simulated_path
from astronmf.exceptions import DegeneracyWarning, MissingDataWarning, ScaleFactorWarning
from astronmf.imaging import PSF, Frames, PointSource, Ring, build_components, reduce
from astronmf.io.files import open_fits

SEED = 5
N_RINGS, N_PLANETS = 160, 80
INCLINATIONS = (35.0, 50.0, 65.0, 78.0)
N_COMPONENTS = 10
RADII = {"inner_radius": 10.0, "outer_radius": 80.0}  # pixels
EDGE = 0.1  # of the peak: where the region of a source ends
RING_SNR, PLANET_SNR = (20.0, 200.0), (5.0, 50.0)  # of formal errors
WAYS = ("plain subtraction", "best factor", "region missing", "joint fit", "joint fit, calibrated")
COLORS = ("#999999", "#E69F00", "#009E73", "#56B4E9", "#0072B2")


@dataclass(frozen=True)
class Injection:
    """A source, its true flux, and what was measured.

    Attributes
    ----------
    source : Ring or PointSource
        Of unit flux.
    flux : float
    measured : dict of str to float
        By way.
    errors : dict of str to float
        Of the joint fits.
    """

    source: Any
    flux: float
    measured: dict[str, float]
    errors: dict[str, float]

    @property
    def kind(self) -> str:
        """What it is, and how inclined."""
        return f"rings, {self.source.inclination:g}°" if isinstance(self.source, Ring) else "planets"

    def ratio(self, way: str) -> float:
        """Return measured over true flux."""
        return self.measured[way] / self.flux

    def pull(self, way: str) -> float:
        """Return by how many errors the flux is off."""
        return (self.measured[way] - self.flux) / self.errors[way]


def emptied(observation: SimulatedObservation, psf: PSF) -> Frames:
    """Return the science frames without disk and planet; their photon noise stays."""
    truth, science = observation.truth, observation.science
    disks = open_fits(simulated_path("truth"))["DISK_DETECTOR"].data.astype(np.float64)
    rolls = np.array([truth["ANGLE1"], truth["ANGLE2"]])
    disk = disks[np.abs(science.angles[:, None] - rolls).argmin(axis=1)]
    planet = PointSource(truth["PLSEP"], truth["PLPA"], truth["PLFLUX"])
    region = reduce(science, components=_basis(observation), **RADII).observer(psf=psf)
    return science.replace_data(science.data - disk - planet.frames(region))


def _basis(observation: SimulatedObservation) -> Components:
    return build_components(observation.references, N_COMPONENTS, **RADII)


def sources(rng: np.random.Generator) -> list[Any]:
    """Return rings and planets of unit flux."""
    rings = [
        Ring(
            rng.uniform(20, 60),
            INCLINATIONS[i % len(INCLINATIONS)],
            rng.uniform(0, 360),
            inner_width=rng.uniform(1.5, 3.0),
            outer_width=rng.uniform(1.5, 4.0),
            g=rng.uniform(0.0, 0.5),
        )
        for i in range(N_RINGS)
    ]
    return rings + [PointSource(rng.uniform(14, 75), rng.uniform(0, 360)) for _ in range(N_PLANETS)]


def run() -> list[Injection]:
    """Return all injections, measured."""
    observation, rng = load_simulated(), np.random.default_rng(SEED)
    psf = PSF.of(observation.psf, center=(15, 15))
    frames, basis = emptied(observation, psf), _basis(observation)
    empty = reduce(frames, components=basis, **RADII)
    found = []
    for i, source in enumerate(sources(rng)):
        template = source.frames(empty.observer(psf=psf))
        low, high = PLANET_SNR if isinstance(source, PointSource) else RING_SNR
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DegeneracyWarning)
            error = float(empty.fit(source, psf=psf, systematics=0.0, non_negative=False).errors[0])
            flux = error * float(np.exp(rng.uniform(np.log(low), np.log(high))))
            found.append(
                _measured(frames.replace_data(frames.data + flux * template), basis, source, template, psf, flux)
            )
        if sys.stderr.isatty():
            print(f"\r{i + 1} of {N_RINGS + N_PLANETS}", end="", file=sys.stderr)
    return found


def _measured(frames: Frames, basis: Components, source: Any, template: np.ndarray, psf: PSF, flux: float) -> Injection:
    """Return what every way says of one source."""
    near = template > EDGE * template.max()
    how: dict[str, dict[str, Any]] = {
        "plain subtraction": {"scale": "none"},
        "best factor": {"scale": "bff"},
        "region missing": {"imputation_mask": near},
    }
    reductions = {way: reduce(frames, components=basis, **RADII, **options) for way, options in how.items()}
    measured = {way: _flux_in(result.residuals, template, near) for way, result in reductions.items()}
    fit = reductions["region missing"].fit(source, psf=psf, calibration="angles")
    known = fit.calibration
    measured |= {"joint fit": float(known.raw[0]), "joint fit, calibrated": float(known.amplitudes[0])}
    errors = {"joint fit": float(known.raw_errors[0]), "joint fit, calibrated": float(known.errors[0])}
    return Injection(source, flux, measured, errors)


def _flux_in(residuals: np.ndarray, template: np.ndarray, near: np.ndarray) -> float:
    """Return residual over template light where the source is brighter than a tenth of its peak."""
    seen = near & np.isfinite(residuals)
    return float(residuals[seen].sum() / template[seen].sum())


def print_tables(found: list[Injection]) -> None:
    """Print mean and scatter of recovered over true flux, and the pulls of the joint fits."""
    print("| sources | number | " + " | ".join(WAYS) + " |\n" + "|---" * (len(WAYS) + 2) + "|")
    kinds = [*dict.fromkeys(one.kind for one in found), "all"]
    for kind in kinds:
        some = [one for one in found if kind in (one.kind, "all")]
        cells = []
        for way in WAYS:
            ratios = np.array([one.ratio(way) for one in some])
            ratios = ratios[np.isfinite(ratios)]
            cells.append(f"{ratios.mean():.3f} ± {ratios.std():.3f}")
        print(f"| {kind} | {len(some)} | " + " | ".join(cells) + " |")
    print(
        "\n| sources | joint fit: pull, mean | scatter | calibrated: pull, mean | scatter | within 1 sigma | beyond 3 |"
    )
    print("|---" * 7 + "|")
    for kind in kinds:
        some = [one for one in found if kind in (one.kind, "all")]
        raw, pulls = (_finite([one.pull(way) for one in some]) for way in WAYS[-2:])
        print(
            f"| {kind} | {raw.mean():.2f} | {raw.std():.2f} | {pulls.mean():.2f} | {pulls.std():.2f} | "
            f"{(np.abs(pulls) <= 1).mean():.0%} | {(np.abs(pulls) > 3).mean():.1%} |"
        )


def _finite(values: list[float]) -> np.ndarray:
    array = np.array(values)
    return array[np.isfinite(array)]


def draw(found: list[Injection], path: Path) -> None:
    """Draw recovered over true flux for every way, and the distribution of the pulls."""
    figure = Figure(figsize=(14, 5.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=(1.7, 1))
    kinds = list(dict.fromkeys(one.kind for one in found))
    for way, color, offset in zip(WAYS, COLORS, np.linspace(-0.3, 0.3, len(WAYS)), strict=True):
        for place, kind in enumerate(kinds):
            ratios = _finite([one.ratio(way) for one in found if one.kind == kind])
            jitter = np.linspace(-0.045, 0.045, len(ratios))
            left.plot(place + offset + jitter, ratios, ".", color=color, markersize=3.5, alpha=0.45)
            label = way if place == 0 else None
            left.errorbar(
                place + offset, ratios.mean(), ratios.std(), fmt="o", color=color, markersize=7, capsize=4,
                markeredgecolor="black", markeredgewidth=0.7, linewidth=2, label=label,
            )  # fmt: skip
    left.axhline(1.0, color="black", linewidth=0.8, zorder=0)
    left.set_xticks(range(len(kinds)), kinds)
    left.set_ylim(0.35, 1.35)
    left.set_ylabel("recovered flux / true flux")
    left.legend(ncols=3, loc="lower center", frameon=False)
    left.set_title("Mean and scatter of the recovered flux")
    bins = np.linspace(-4, 4, 25)
    for way, color in zip(WAYS[-2:], COLORS[-2:], strict=True):
        pulls = _finite([one.pull(way) for one in found])
        label = f"{way}: {pulls.mean():.2f} ± {pulls.std():.2f}"
        right.hist(pulls, bins, histtype="step", color=color, linewidth=2.2, density=True, label=label)
    axis = np.linspace(-4, 4, 200)
    right.plot(axis, stats.norm.pdf(axis), color="black", linewidth=1, linestyle="--", label="unit Gaussian")
    right.set_xlabel("(fitted flux − true flux) / error")
    right.set_ylabel("density")
    right.set_ylim(0, 0.72)
    right.legend(frameon=False, loc="upper left")
    right.set_title("Pulls")
    figure.savefig(path, dpi=110)


def main() -> None:
    """Print the tables, and draw the figure if one is named."""
    for category in (MissingDataWarning, ScaleFactorWarning):
        warnings.simplefilter("ignore", category)
    found = run()
    print_tables(found)
    if len(sys.argv) > 1:
        draw(found, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
