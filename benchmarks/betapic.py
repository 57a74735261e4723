"""beta Pictoris b in NACO frames: how well the planet stands out, where it is and how bright, and nothing elsewhere.

Two cubes: as observed, and with the planet taken out. Aperture signal-to-noise ratios are VIP's measure (Mawet+ 2014)
on the combined image; the matched filter's are those of its flux against the other position angles at the same
separation, the planet taken off.

    ASTRONMF_REALDATA=… python -m benchmarks.betapic
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from astropy.io import fits

from astronmf import SequentialNMF
from astronmf.imaging import PSF, Frames, Reduction, reduce
from astronmf.imaging.combination import combine, turn
from astronmf.imaging.companions import Companion, fit_companion
from astronmf.imaging.detection.apertures import aperture_fluxes
from astronmf.imaging.detection.matched import matched_filter
from astronmf.imaging.detection.search import find_companions
from astronmf.imaging.detection.signal_to_noise import snr_map
from astronmf.imaging.geometry import radius
from astronmf.imaging.preparation import recenter

CENTER = (51.2, 51.05)  # of the sky's rotation, from 0
TRUE_NORTH = -104.84 + 0.45  # degrees, added to the parallactic angle
PIXEL_SCALE = 0.02719  # arcseconds
INNER, OUTER = 4.0, 40.0  # pixels
FWHM = 4.6  # pixels, for apertures
CORE = 9  # pixels
SEPARATION, POSITION_ANGLE = 16.45, 210.9  # of the planet
NUMBERS = range(6, 23, 2)
TOLERANCES = (1e-3, 1e-4, 1e-5, 1e-6)
AVERAGED = (12, 14, 16, 18, 20, 22)


@dataclass(frozen=True)
class BetaPic:
    """The observation."""

    folder: Path

    @classmethod
    def find(cls) -> BetaPic:
        """Return it from where the environment says that it is."""
        return cls(Path(os.environ["ASTRONMF_REALDATA"]) / "hci_naco_betapic")

    def frames(self, *, planet: bool = True) -> Frames:
        """Return the frames, recentred, with or without the planet."""
        name = "naco_betapic_cube.fits" if planet else "naco_betapic_noplanet_cube.fits"
        angles = self._read("naco_betapic_pa.fits").ravel() + TRUE_NORTH
        frames = Frames(self._read(name), angles=angles, center=CENTER, pixel_scale=PIXEL_SCALE)
        return recenter(frames, CENTER)

    @property
    def psf(self) -> np.ndarray:
        """The unsaturated star: (y, x)."""
        return self._read("naco_betapic_psf.fits")

    @property
    def core(self) -> PSF:
        """Its middle, two FWHM wide: farther out the planet, taken at another time, is fainter than the star."""
        return PSF.of(self.psf).cut(CORE)

    def planet(self) -> np.ndarray:
        """Return what was taken out, in each frame, recentred: (n, y, x)."""
        return self.frames().data - self.frames(planet=False).data

    def _read(self, name: str) -> np.ndarray:
        return np.asarray(fits.getdata(self.folder / name), dtype=np.float64)


def near_planet(image: np.ndarray, reach: float = 1.5) -> float:
    """Return the largest value of a north-up map within `reach` pixels of the planet."""
    middle = image.shape[1] // 2, image.shape[0] // 2
    x = middle[0] - SEPARATION * np.sin(np.deg2rad(POSITION_ANGLE))
    y = middle[1] + SEPARATION * np.cos(np.deg2rad(POSITION_ANGLE))
    return float(np.nanmax(np.where(radius(image.shape, (x, y)) <= reach, image, -np.inf)))


def away_from_edges(image: np.ndarray, fwhm: float) -> np.ndarray:
    """Return a map with all that is within 2 FWHM of the masks' edges left out."""
    distance = radius(image.shape, (image.shape[1] // 2, image.shape[0] // 2))
    return np.where((distance > INNER + 2 * fwhm) & (distance < OUTER - 2 * fwhm), image, np.nan)


def reductions(frames: Frames) -> list[Reduction]:
    """Return the reductions with each number of components, of one sequential build."""
    full = _reduced(frames, n_components=max(NUMBERS))
    return [full.at(k) for k in NUMBERS]


def median_image(reduction: Reduction) -> np.ndarray:
    """Return the median of the frames, north up."""
    turned = turn(reduction.residuals, reduction.science.geometry)
    return combine(turned, np.ones_like(turned), "median").image


def table_of_numbers(data: BetaPic) -> list[str]:
    """Return a line of the table for each number of components, and one of medians."""
    rows = []
    for with_planet, without in zip(reductions(data.frames()), reductions(data.frames(planet=False)), strict=True):
        apertures = [near_planet(snr_map(image, FWHM)) for image in (with_planet.combined, median_image(with_planet))]
        found, empty = find_companions(with_planet, data.core), find_companions(without, data.core)
        planet = found.companions[0].snr if found.companions else near_planet(found.snr)
        elsewhere = np.nanmax(away_from_edges(empty.filter.snr, empty.filter.fwhm))
        rows.append((*apertures, planet, elsewhere, len(empty.companions)))
    lines = [_line(str(k), row) for k, row in zip(NUMBERS, rows, strict=True)]
    return [*lines, _line("median", np.median(rows, axis=0))]


def by_principal_components(data: BetaPic) -> list[float]:
    """Return the aperture S/N of the median image after subtracting k principal components, for each number."""
    frames = data.frames()
    distance = radius(frames.shape[1:], frames.geometry.center)
    region = (distance >= INNER) & (distance <= OUTER)
    centred = frames.data[:, region] - frames.data[:, region].mean(axis=0)
    patterns = np.linalg.svd(centred, full_matrices=False)[2]
    found = []
    for k in NUMBERS:
        residuals = np.full(frames.shape, np.nan)
        residuals[:, region] = centred - (centred @ patterns[:k].T) @ patterns[:k]
        turned = turn(residuals, frames.geometry)
        found.append(near_planet(snr_map(combine(turned, np.ones_like(turned), "median").image, FWHM)))
    return found


def _line(name: str, row: Any) -> str:
    mean, median, planet, elsewhere, false = row
    return f"| {name} | {mean:.1f} | {median:.1f} | {planet:.1f} | {elsewhere:.1f} | {false:.0f} |"


def truth(data: BetaPic, fwhm: float) -> tuple[float, float]:
    """Return the aperture flux, one FWHM in diameter, and the peak of what was taken out, means over the frames."""
    geometry = data.frames().geometry
    planet = data.planet()
    places = geometry.positions(SEPARATION, POSITION_ANGLE)
    fluxes = [
        aperture_fluxes(image, place[:1], place[1:], fwhm / 2)[0] for image, place in zip(planet, places, strict=True)
    ]
    return float(np.mean(fluxes)), float(np.nanmax(planet, axis=(1, 2)).mean())


def of_default(data: BetaPic) -> list[str]:
    """Return what the default number of components says of the planet."""
    result, emptied = (_reduced(data.frames(planet=planet)) for planet in (True, False))
    search = find_companions(result, data.core)
    (first,) = search.companions
    place = first.separation, first.position_angle
    planet, whole = (fit_companion(result, psf, *place) for psf in (data.core, data.psf))
    left = matched_filter(emptied, data.core).flux[round(planet.y), round(planet.x)]
    mas, aperture = 1e3 * PIXEL_SCALE, near_planet(snr_map(result, FWHM))
    turned = f"{planet.position_angle:.2f} ± {planet.position_angle_error:.2f} degrees"
    return [
        f"{len(result.components)} components: S/N {first.snr:.1f}, {first.significance:.1f} sigma",
        f"aperture S/N: {aperture:.1f}",
        f"separation: {mas * planet.separation:.1f} ± {mas * planet.position_error:.1f} mas, position angle: {turned}",
        f"flux / truth: {_ratios(data, planet, search.filter.fwhm)}, error {planet.flux_error / planet.flux:.3f}",
        f"by the forward model alone: {planet.forward_flux / planet.flux:.3f} of it",
        f"in its place without it: {left / planet.flux:.3f} of it",
        f"left after {planet.n_reductions} reductions without it: {planet.flux_left / planet.flux:.4f} of it",
        f"with the whole PSF, flux / truth: {_ratios(data, whole, search.filter.fwhm)}",
    ]


def _ratios(data: BetaPic, planet: Companion, fwhm: float) -> str:
    """Return a companion's flux over that of the planet that was taken out."""
    aperture, peak = truth(data, fwhm)
    return f"{planet.aperture_flux / aperture:.3f} (aperture), {planet.peak / peak:.3f} (peak)"


def of_tolerances(data: BetaPic) -> list[str]:
    """Return lines of a table of what the tolerance of the build costs and changes."""
    lines = []
    for tol in TOLERANCES:
        began = perf_counter()
        result = _reduced(data.frames(), estimator=SequentialNMF(None, tol=tol))
        seconds = perf_counter() - began
        (planet,) = find_companions(result, data.core).companions
        lines.append(f"| {tol:g} | {seconds:.1f} | {result.chi2:.4g} | {planet.snr:.1f} | {planet.flux:.0f} |")
    return lines


def of_averages(data: BetaPic) -> list[str]:
    """Return how long a map takes, and how quiet the mean of several is, in the cube without the planet."""
    result = _reduced(data.frames(planet=False), n_components=max(NUMBERS))
    began = perf_counter()
    maps = [matched_filter(result.at(k), data.core) for k in AVERAGED]
    seconds = (perf_counter() - began) / len(maps)
    scatters = [np.nanmedian(away_from_edges(one.statistics().scatter, one.fwhm)) for one in maps]
    mean = matched_filter(result, data.core, n_components=AVERAGED)
    together = np.nanmedian(away_from_edges(mean.statistics().scatter, mean.fwhm))
    quietest = together / min(scatters)
    return [
        f"the mean of maps with {AVERAGED} components scatters {quietest:.2f} times the best; {seconds:.1f} s a map"
    ]


def _reduced(frames: Frames, **options: Any) -> Reduction:
    return reduce(frames, mode="adi", inner_radius=INNER, outer_radius=OUTER, **options)


def main() -> None:
    """Print the tables."""
    data = BetaPic.find()
    print("| k | aperture S/N | of the median image | matched filter | highest without planet | found there |")
    print("|---|---|---|---|---|---|")
    print("\n".join(table_of_numbers(data)), flush=True)
    others = by_principal_components(data)
    print(
        f"\nprincipal components, median image: {min(others):.1f} to {max(others):.1f}, median {np.median(others):.2f}"
    )
    print("\n" + "\n".join(of_default(data)), flush=True)
    print("\n| tol | seconds | χ² | S/N | flux |\n|---|---|---|---|---|")
    print("\n".join(of_tolerances(data)), flush=True)
    print("\n" + "\n".join(of_averages(data)))


if __name__ == "__main__":
    main()
