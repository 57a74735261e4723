"""A small observation with companions in it, and what the matched filter should say of it, the long way round."""

from functools import cache

import numpy as np
from helpers import read_only
from imaging_helpers import gaussian, observe

from astronmf import SequentialNMF
from astronmf.imaging import PSF, inject, reduce
from astronmf.imaging.geometry import polar
from astronmf.imaging.injection import source_frames

SIZE = 33
FWHM = 3.0
POINT = PSF(gaussian((15, 15), 7, 7, fwhm=FWHM), FWHM)
ANGLES = read_only(np.linspace(0.0, 70.0, 8))
QUICK = SequentialNMF(tol=1e-4)
HOW = {"n_components": 3, "inner_radius": 2, "outer_radius": 15, "estimator": QUICK, "scale": "none"}


@cache
def observed(seed=1, **options):
    """Return an observation of eight frames that turn by 70 degrees, of a star and nothing else."""
    return observe(**({"size": SIZE, "angles": ANGLES, "n_references": 12, "seed": seed} | options))


def with_companions(frames, *companions, psf=POINT):
    """Return frames with companions of given (separation, position angle, flux)."""
    for separation, position_angle, flux in companions:
        frames = inject(frames, psf, separation, position_angle, flux)
    return frames


@cache
def reduced(mode, *companions, seed=1, **how):
    """Return a reduction, not to be changed, with companions of given (separation, position angle, flux)."""
    observation = observed(seed)
    references = None if mode == "adi" else observation.reference_frames()
    return reduce(with_companions(observation.science_frames(), *companions), references, mode=mode, **(HOW | how))


def signal_and_information(reduction, psf, x, y, smearing=None):
    """Return ``Σ FMᵀ V R`` and ``Σ FMᵀ V FM`` at each place (x, y), from a source that is put there."""
    science = reduction.science
    weights = science.weights() * np.isfinite(reduction.residuals)
    residuals = np.nan_to_num(reduction.residuals)
    found = []
    for column, row in zip(x, y, strict=True):
        where = polar(reduction.center, column, row)
        left = np.nan_to_num(reduction.remaining(source_frames(science.shape, science.geometry, psf, *where, smearing)))
        found.append((np.sum(left * weights * residuals), np.sum(left * weights * left)))
    return np.array(found).T
