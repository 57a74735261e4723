"""AU Mic from JWST frames: its edge-on disk and the source behind it, fitted to both rolls together with the star.

    ASTRONMF_REALDATA=… python -m benchmarks.aumic_fit [FIGURE.png]

The disk is a narrow and a broad edge-on disk; the background source, which is extended, has an exponential profile.
Their geometry is fitted first, then the amplitudes, with a calibration in position angle. The data set has no PSF: a
Gaussian of the instrument's width stands for it.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from astronmf.exceptions import ConvergenceWarning, DegeneracyWarning, MissingDataWarning
from astronmf.imaging import PSF, CallableModel, EdgeOnDisk, Frames, Reduction, TemplateFit, reduce
from astronmf.imaging.geometry import radius, sky_position
from astronmf.imaging.preparation import crop
from astronmf.imaging.self_reference import hat_matrix
from astronmf.plotting import plot_fit
from benchmarks.jwst_fit import folder
from benchmarks.jwst_injection import INNER, N_COMPONENTS, OUTER

SIZE = 231  # pixels: the region that is reduced, and a margin
FWHM = 2.4  # pixels, of F444W behind the coronagraph's stop
FAR = 60.0  # pixels from the star: beyond it little but noise
FREE: dict[str, Any] = {
    "disk": {
        "position_angle": (126, 131),
        "height": (0.3, 6.0),
        "break_radius": (20, 90),
        "inner_slope": (-3, 2),
        "outer_slope": (-20, 0),
        "offset": (-3, 3),
    },
    "halo": {
        "position_angle": (124, 134),
        "height": (4, 25),
        "break_radius": (10, 90),
        "outer_slope": (-8, 0),
        "offset": (-4, 4),
    },
    "background": {"separation": (52, 58), "position_angle": (160, 165), "scale_length": (0.5, 10)},
}


def gaussian_psf() -> PSF:
    """Return a Gaussian of the width of the instrument's PSF."""
    y, x = np.indices((25, 25)) - 12
    return PSF(np.exp(-4 * np.log(2) * (x**2 + y**2) / FWHM**2), FWHM)


def frames() -> Frames:
    """Return both rolls and all reference frames, cut to the region around the star."""
    return crop(Frames.read(sorted(folder().glob("*.fits"))), SIZE)


def sources(shape: tuple[int, int]) -> dict[str, Any]:
    """Return the disk's two parts and the background source, roughly."""

    def exponential(separation: float, position_angle: float, scale_length: float) -> np.ndarray:
        y, x = np.indices(shape)
        x0, y0 = sky_position(shape, separation, position_angle)
        return np.exp(-np.hypot(x - x0, y - y0) / scale_length)

    start = {"separation": 55.0, "position_angle": 162.0, "scale_length": 3.0}
    return {
        "disk": EdgeOnDisk(128.5, height=2.0, break_radius=50, inner_slope=-0.8, outer_slope=-8.0, core=5),
        "halo": EdgeOnDisk(128.5, height=12.0, break_radius=35, inner_slope=-0.2, outer_slope=-3.0, core=5),
        "background": CallableModel(exponential, start),
    }


def fitted(result: Reduction, psf: PSF) -> tuple[TemplateFit, dict[str, float]]:
    """Return the amplitudes at the most probable geometry, and the geometry."""
    likelihood = result.likelihood(sources((SIZE, SIZE)), FREE, psf=psf)
    best = None
    for _ in range(2):  # the simplex is started again where it came to rest
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            best = likelihood.maximize(best, tolerance=1e-2)
    found = result.fit(likelihood.at(best), psf=psf, calibration="angles", non_negative=False)
    return found, dict(zip(likelihood.names, map(float, best), strict=True))


def noise_ratios(result: Reduction, references: Frames, fit: TemplateFit) -> tuple[float, float, float]:
    """Return the scatter of residuals beyond 60 pixels: over the errors, and with the references' noise in them.

    To first order the star's model is a sum of reference frames, whose noise it carries into the residual. The last
    number is the largest factor that a reference frame has in it.
    """
    learnt = result.components.coefficients
    shares = hat_matrix(fit.coefficients, learnt, np.ones(len(learnt)))
    assert result.science.sigma is not None
    assert references.sigma is not None
    carried = np.einsum("ij,jyx->iyx", shares**2, np.square(references.sigma))
    own = np.square(result.science.sigma)
    far = radius((SIZE, SIZE), result.science.geometry.center) > FAR
    used = np.isfinite(fit.residuals) & np.isfinite(carried) & far
    squares = np.square(fit.residuals[used])
    ratios = [float(np.sqrt(np.mean(squares / variance[used]))) for variance in (own, own + carried)]
    return ratios[0], ratios[1], float(shares.max())


def main() -> None:
    """Print the geometry, the amplitudes and the noise, and draw the figure if one is named."""
    warnings.simplefilter("ignore", MissingDataWarning)
    warnings.simplefilter("ignore", DegeneracyWarning)
    together = frames()
    result = reduce(together, n_components=N_COMPONENTS, inner_radius=INNER, outer_radius=OUTER)
    fit, geometry = fitted(result, gaussian_psf())
    print("| parameter | value |\n|---|---|")
    for name, value in geometry.items():
        print(f"| {name} | {value:.3g} |" if abs(value) < 100 else f"| {name} | {value:.2f} |")
    print("\n| source | amplitude | formal error | calibrated |\n|---|---|---|---|")
    assert fit.calibration is not None
    known = fit.calibration
    for name, raw, error, value, widened in zip(
        fit.names, known.raw, known.raw_errors, fit.amplitudes, fit.errors, strict=True
    ):
        print(f"| {name} | {raw:.3f} | {error:.3f} | {value:.3f} ± {widened:.3f} |")
    _, references = together.split()
    assert references is not None
    own, carried, share = noise_ratios(result, references, fit)
    print(f"\nresidual beyond {FAR:g} pixels, over the errors: {own:.2f}; with the references' noise: {carried:.2f}")
    print(f"largest factor of a reference frame in the star's model: {share:.1f}")
    if len(sys.argv) > 1:
        plot_fit(fit).savefig(Path(sys.argv[1]), dpi=110)


if __name__ == "__main__":
    main()
