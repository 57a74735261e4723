"""`SpectralReduction`: what `reduce_spectral` returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import astropy.units as u
import numpy as np
from astropy.wcs import WCS

from astronmf._formats import Stored
from astronmf._typing import FloatArray, IntArray
from astronmf.imaging.combination import Combination, combine
from astronmf.imaging.geometry import center_pixel
from astronmf.imaging.reduction import Reduction

__all__ = ["SpectralReduction"]


@dataclass(frozen=True)
class SpectralReduction(Stored):
    """Reduced channels of an observation.

    Attributes
    ----------
    combined : (w, y, x) array
        Of every channel: north up, east left, in `unit`; the star at pixel ``(x, y) = (n_x // 2, n_y // 2)``. NaN where
        no exposure has a value.
    combined_uncertainty : (w, y, x) array
        1σ of single pixels.
    coverage : (w, y, x) array of int
        How many exposures contribute.
    wavelengths : (w,) array
        Micrometres.
    fwhm : (w,) array or None
        Pixels.
    unit : astropy unit or None
        Of `combined`.
    pixel_scale : float or None
        Arcseconds.
    wcs : `~astropy.wcs.WCS` or None
        Of one image, as of `Reduction.wcs`.
    meta : dict
        ``parameters``, ``inputs`` (name and SHA-256 of each file), and the version that made it.
    channels : tuple of tuples of Reduction, or None
        Of every channel its reductions, if they were to be kept: one, or one for each exposure with the mode "sdi";
        none of a channel without data. In memory only.
    """

    combined: FloatArray
    combined_uncertainty: FloatArray
    coverage: IntArray
    wavelengths: FloatArray
    fwhm: FloatArray | None = None
    unit: u.UnitBase | None = None
    pixel_scale: float | None = None
    wcs: WCS | None = None
    meta: dict[str, Any] = field(default_factory=dict)
    channels: tuple[tuple[Reduction, ...], ...] | None = None

    def __repr__(self) -> str:
        """Return a line that says what is inside."""
        channels, y, x = self.combined.shape
        low, high = self.wavelengths[[0, -1]]
        mode = self.meta["parameters"]["mode"]
        return f"<SpectralReduction: {channels} channels, {low:.4g}-{high:.4g} µm, of {y} x {x} pixels, mode {mode!r}>"

    def __len__(self) -> int:
        """Return the number of channels."""
        return len(self.combined)

    @property
    def center(self) -> tuple[int, int]:
        """The star's pixel (x, y) in every image."""
        _, y, x = self.combined.shape
        return center_pixel((y, x))

    def collapse(self, method: str = "weighted") -> Combination:
        """Return one image of all channels, each pixel from those that have it.

        Parameters
        ----------
        method : {"weighted", "mean", "median"}
            "weighted" is by inverse variance.
        """
        return combine(self.combined, np.square(self.combined_uncertainty), method)

    @property
    def collapsed(self) -> FloatArray:
        """The mean of all channels by inverse variance: (y, x)."""
        return self.collapse().image

    @property
    def collapsed_uncertainty(self) -> FloatArray:
        """1σ of `collapsed`, as if the channels' errors were independent: (y, x)."""
        return self.collapse().uncertainty
