"""Whether limits in apertures and S/N maps agree with VIP's, on the same residuals of beta Pictoris without its planet.

VIP measures with this package's `reduce` as its algorithm; then this package does so on the same residual image. Three
things must agree from two FWHM on:

- the contrast curve, from VIP's throughput, within 5 %: VIP's standard deviation is that of n apertures about their own
  mean without n − 1 in the denominator, which alone makes 4.4 % there;
- the throughput of the same companions at the same places, within 5 %. VIP is asked for annuli one FWHM apart: with its
  default of one pixel, companions in the same frames are three pixels from one another;
- S/N maps within 2 % of their scatter.

Needs VIP (``pip install "astronmf[benchmark]"``).

    ASTRONMF_REALDATA=… python -m benchmarks.vip_agreement
"""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import vip_hci.metrics as vip

from astronmf.adapters import vip_algo
from astronmf.imaging import PSF, reduce
from astronmf.imaging.detection import measure_throughput, snr_map
from astronmf.imaging.detection.photometry import AperturePhotometry
from benchmarks.betapic import FWHM, PIXEL_SCALE, BetaPic

NUMBERS = (10, 12, 14, 16)
INNER = 2.0  # pixels, so that apertures are whole from one FWHM on
SIGMA = 5.0
STAR_FLUX = 7.6e5  # in an aperture of one FWHM: contrasts are compared, and their scale does not matter
INJECTED = 10.0  # companions' aperture flux over the noise at their separation
RIGHT = 270.0  # degrees east of north: the direction of the image's +x axis
NEAREST = 2.0  # FWHM
FARTHEST = 40.0  # pixels
CONTRAST_TOLERANCE, MAP_TOLERANCE = 0.05, 0.02


@dataclass(frozen=True)
class Agreement:
    """The largest relative differences from VIP, with some number of components.

    Attributes
    ----------
    n_components : int
    contrast, throughput, snr : float
    """

    n_components: int
    contrast: float
    throughput: float
    snr: float

    @property
    def is_enough(self) -> bool:
        """Whether all are within what is allowed."""
        return max(self.contrast, self.throughput) <= CONTRAST_TOLERANCE and self.snr <= MAP_TOLERANCE


def compare(data: BetaPic, n_components: int) -> Agreement:
    """Return how far VIP and this package differ."""
    frames, psf = data.frames(planet=False), PSF.of(data.psf, FWHM)
    options: dict[str, Any] = {"n_components": n_components, "inner_radius": INNER}
    given = {"cube": frames.data, "angle_list": frames.angles, "psf_template": psf.data, "fwhm": FWHM, "algo": vip_algo}
    given |= {"fc_snr": INJECTED, "full_output": True, "verbose": False, **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the same at each of its reductions
        curve, _, image, _ = vip.contrast_curve(
            **given, pxscale=PIXEL_SCALE, starphot=STAR_FLUX, sigma=SIGMA, plot=False
        )
        kept, noise, _, rings, *_ = vip.throughput(**given, noise_sep=None)
        signal = vip.snrmap(image, FWHM, nproc=1, verbose=False)
        reduction = reduce(frames, mode="adi", **options)
    near = rings <= FARTHEST
    ours = our_throughput(reduction, psf, rings[near], INJECTED * noise[near])
    return Agreement(
        n_components,
        contrast=contrast_difference(image, psf, curve),
        throughput=worst(ours, kept[0][near], rings[near]),
        snr=map_difference(snr_map(image, FWHM, NEAREST * FWHM, FARTHEST), signal),
    )


def contrast_difference(image: np.ndarray, psf: PSF, curve: Any) -> float:
    """Return how far the contrast of apertures on an image is from VIP's, whose throughput is used."""
    separation = np.asarray(curve["distance"])
    how = AperturePhotometry(psf)
    limit = how.noise(image, separation).limit(SIGMA) / how.correction
    ours = limit / np.asarray(curve["throughput"]) / STAR_FLUX
    return worst(ours, np.asarray(curve["sensitivity_student"]), separation)


def our_throughput(reduction: Any, psf: PSF, separation: np.ndarray, aperture_flux: np.ndarray) -> np.ndarray:
    """Return the throughput of companions where VIP puts its first branch: to the right of the star."""
    flux = aperture_flux * AperturePhotometry(psf).correction
    found = measure_throughput(reduction, psf, separation, flux, position_angles=[RIGHT], method="aperture")
    return np.asarray(found["throughput"])


def worst(ours: np.ndarray, theirs: np.ndarray, separation: np.ndarray) -> float:
    """Return the largest relative difference between the separations that count."""
    chosen = (separation >= NEAREST * FWHM) & (separation <= FARTHEST)
    return float(np.abs(ours / theirs - 1)[chosen].max())


def map_difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the largest difference of two maps over the scatter of one, where both are known."""
    known = np.isfinite(ours) & np.isfinite(theirs)
    return float(np.abs(ours - theirs)[known].max() / np.std(theirs[known]))


def main() -> int:
    """Print a line for each number of components; return 1 if one is outside."""
    data = BetaPic.find()
    print(f"largest differences from VIP, {NEAREST:g} FWHM to {FARTHEST:g} pixels")
    print("| k | contrast | throughput | S/N map | |")
    print("|---|---|---|---|---|")
    found = [compare(data, number) for number in NUMBERS]
    for one in found:
        verdict = "" if one.is_enough else "outside"
        print(f"| {one.n_components} | {one.contrast:.2%} | {one.throughput:.2%} | {one.snr:.2%} | {verdict} |")
    return 0 if all(one.is_enough for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
