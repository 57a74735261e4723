"""5 sigma limits around beta Pictoris, its planet taken out: this package beside PCA and NMF of VIP.

VIP's curves come from its own `contrast_curve` with its own `pca` (the best of many numbers of components at each
separation) and `nmf`, both on the full frame with the same inner mask; this package's from `contrast_curve` with its
default number of components, in apertures on the combined image, as VIP measures, and by the matched filter with the
PSF's core. The same star flux and small-sample correction; contrasts are ratios of total fluxes.

Needs VIP (``pip install "astronmf[benchmark]"``).

    ASTRONMF_REALDATA=… python -m benchmarks.vip_contrast [FIGURE]
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import astropy.units as u
import numpy as np
import vip_hci.metrics as vip
from astropy.table import QTable
from vip_hci.fm import normalize_psf
from vip_hci.psfsub import nmf, pca

from astronmf.imaging import PSF, reduce
from astronmf.imaging.detection import contrast_curve
from astronmf.plotting import plot_contrast
from benchmarks.betapic import FWHM, INNER, OUTER, PIXEL_SCALE, BetaPic
from benchmarks.limits import STAR_APERTURE_FLUX

PCA_NUMBERS = (2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 24, 28)
NMF_NUMBERS = (5, 10, 20)
CORE = 9  # pixels: two FWHM, beyond which the PSF that was taken is not quite the planet's
SEPARATIONS = np.arange(10.0, 32.0, 2.0)  # pixels: from 2 FWHM of the star on, and 2 FWHM within the outer edge


def of_vip(data: BetaPic, algorithm: Any, name: str, number: int) -> np.ndarray:
    """Return VIP's 5 sigma contrast, small samples allowed for, at `SEPARATIONS`."""
    frames = data.frames(planet=False)
    psf = normalize_psf(data.psf, fwhm=FWHM, size=25, verbose=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = vip.contrast_curve(
            np.where(frames.mask, 0.0, frames.data),  # a few pixels at the edges, which VIP does not take as missing
            frames.angles,
            psf,
            FWHM,
            PIXEL_SCALE,
            STAR_APERTURE_FLUX,
            algorithm,
            nbranch=4,
            fc_snr=10,
            inner_rad=1,
            plot=False,
            verbose=False,
            ncomp=number,
            mask_center_px=int(INNER),
        )
    print(f"VIP {name}, {number} components: done", file=sys.stderr, flush=True)
    return np.interp(SEPARATIONS, found["distance"], found["sensitivity_student"])


def of_astronmf(data: BetaPic) -> list[QTable]:
    """Return this package's limits, in apertures and by the matched filter."""
    result = reduce(data.frames(planet=False), mode="adi", inner_radius=INNER, outer_radius=OUTER)
    curves = []
    for method, psf in (("aperture", PSF.of(data.psf)), ("matched", PSF.of(data.psf).cut(CORE))):
        star = STAR_APERTURE_FLUX * psf.flux / psf.aperture_flux(FWHM / 2)
        known = {"star_flux": star, "separations": SEPARATIONS, "companions": None}
        curves.append(contrast_curve(result, psf, method=method, **known))
    return curves


def as_table(contrast: np.ndarray) -> QTable:
    """Return a curve of VIP's as `plot_contrast` takes it."""
    separation = SEPARATIONS * u.pix
    unknown = np.full(len(contrast), np.nan)
    table = QTable({"separation": separation, "contrast": contrast, "contrast_gaussian": unknown})
    table["separation_angle"] = SEPARATIONS * PIXEL_SCALE * u.arcsec
    return table


def main() -> None:
    """Print the table, and draw the figure if one is named."""
    data = BetaPic.find()
    ours = of_astronmf(data)
    by_pca = np.array([of_vip(data, pca, "PCA", k) for k in PCA_NUMBERS])
    by_nmf = np.array([of_vip(data, nmf, "NMF", k) for k in NMF_NUMBERS])
    best = np.nanargmin(by_pca, axis=0)
    print("| separation, px | apertures | matched filter | VIP PCA, best k | k | VIP NMF, best k | apertures / PCA |")
    print("|---|---|---|---|---|---|---|")
    for i, separation in enumerate(SEPARATIONS):
        apertures, matched = (float(curve["contrast"][i]) for curve in ours)
        least = by_pca[best[i], i]
        shown = f"{apertures:.2e} | {matched:.2e} | {least:.2e} | {PCA_NUMBERS[best[i]]} | {by_nmf[:, i].min():.2e}"
        print(f"| {separation:g} | {shown} | {apertures / least:.2f} |")
    if len(sys.argv) > 1:
        curves = [*ours, as_table(by_pca.min(axis=0)), as_table(by_nmf.min(axis=0))]
        best_of = "best number of components"
        labels = ["astronmf, apertures", "astronmf, matched filter", f"VIP PCA, {best_of}", f"VIP NMF, {best_of}"]
        plot_contrast(curves, labels).savefig(sys.argv[1], dpi=150, bbox_inches="tight")


if __name__ == "__main__":
    main()
