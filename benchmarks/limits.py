"""Limits on companions of beta Pictoris, in NACO frames without its planet: contrast curves, and false positives.

ASTRONMF_REALDATA=… python -m benchmarks.limits
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage, stats

from astronmf.imaging import PSF, Reduction, reduce
from astronmf.imaging.detection import contrast_curve
from astronmf.imaging.detection.matched import MatchedFilter, matched_filter
from astronmf.imaging.geometry import radius
from benchmarks.betapic import INNER, OUTER, BetaPic

NUMBERS = (10, 12, 14, 16)
SEPARATIONS = (10.0, 15.0, 20.0, 25.0, 30.0)  # pixels
METHODS = ("matched", "aperture")
THRESHOLDS = (3.0, 4.0, 5.0)
#: In an aperture of one FWHM, counts: the star as VIP's tutorials have it for this cube.
STAR_APERTURE_FLUX = 764939.6


def curves(reduction: Reduction, psf: PSF) -> list[str]:
    """Return a line of contrasts for each method."""
    star = STAR_APERTURE_FLUX * psf.flux / psf.aperture_flux(psf.fwhm / 2)
    lines = []
    for method in METHODS:
        found: Any = contrast_curve(reduction, psf, star_flux=star, method=method, companions=None, n_position_angles=4)
        contrast = np.interp(SEPARATIONS, found["separation"].value, found["contrast"])
        kept = np.interp(SEPARATIONS, found["separation"].value, found["throughput"])
        shown = " | ".join(f"{1e4 * c:.2f} ({t:.2f})" for c, t in zip(contrast, kept, strict=True))
        lines.append(f"| {len(reduction.components)} | {method} | {shown} |")
    return lines


def false_positives(found: MatchedFilter) -> list[str]:
    """Return, for each threshold, how much of the searched map is above it or below its negative, and what is expected.

    Away from the masks' edges by two FWHM. Pixels are not independent: peaks, of one FWHM or more from one another, are
    compared with how many resolution elements there are.
    """
    distance = radius(found.flux.shape, found.center)
    away = (distance >= INNER + 2 * found.fwhm) & (distance <= OUTER - 2 * found.fwhm)
    sigma = np.where(away, found.significance, np.nan)
    searched = int(np.isfinite(sigma).sum())
    elements = searched / (np.pi * (found.fwhm / 2) ** 2)
    lines = []
    for threshold in THRESHOLDS:
        above, below = peaks(sigma, threshold, found.fwhm), peaks(-sigma, threshold, found.fwhm)
        pixels = int((sigma >= threshold).sum()), int((sigma <= -threshold).sum())
        chance = float(stats.norm.sf(threshold))
        lines.append(
            f"{threshold:g} sigma: {pixels[0]} pixels above, {pixels[1]} below, {chance * searched:.2f} expected of "
            f"{searched}; {above} and {below} peaks, {chance * elements:.2f} expected of {elements:.0f} elements"
        )
    return [*lines, f"highest {np.nanmax(sigma):.2f}, lowest {np.nanmin(sigma):.2f}, scatter {np.nanstd(sigma):.3f}"]


def peaks(sigma: np.ndarray, threshold: float, fwhm: float) -> int:
    """Return how many maxima within one FWHM are above a threshold."""
    values = np.nan_to_num(sigma, nan=-np.inf)
    reach = int(np.ceil(fwhm))
    near = radius((2 * reach + 1, 2 * reach + 1), (reach, reach)) <= fwhm
    return int(((values >= threshold) & (values == ndimage.maximum_filter(values, footprint=near))).sum())


def main() -> None:
    """Print the tables."""
    data = BetaPic.find()
    frames, psf = data.frames(planet=False), PSF.of(data.psf)
    reductions = [reduce(frames, mode="adi", n_components=k, inner_radius=INNER, outer_radius=OUTER) for k in NUMBERS]
    print("5 sigma contrast, 1e-4, and (throughput)")
    print("| k | method | " + " | ".join(f"{one:g} px" for one in SEPARATIONS) + " |")
    print("|---|---|" + "---|" * len(SEPARATIONS))
    for reduction in reductions:
        print("\n".join(curves(reduction, psf)), flush=True)
    for reduction in reductions:
        print(f"\nk = {len(reduction.components)}, matched filter, no planet")
        print("\n".join(false_positives(matched_filter(reduction, psf))))


if __name__ == "__main__":
    main()
