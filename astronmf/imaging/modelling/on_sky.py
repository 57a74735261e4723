"""What results of modelling have in common: images, north up, on the pixels of `Reduction.combined`."""

from __future__ import annotations

from typing import Any

from astropy.wcs import WCS

from astronmf._typing import FloatArray
from astronmf.imaging.geometry import Geometry, center_pixel
from astronmf.imaging.modelling.reduced import Reduced
from astronmf.imaging.sky_coordinates import north_up, star_of

__all__ = ["OnSky", "about"]

OBSERVED = ("ra", "dec", "object", "instrument", "filter", "version")


class OnSky:
    """A result with an image `combined`, the frames' `geometry`, and `meta`."""

    combined: FloatArray
    geometry: Geometry | None
    meta: dict[str, Any]

    @property
    def center(self) -> tuple[int, int]:
        """The star's pixel (x, y) in `combined`."""
        y, x = self.combined.shape
        return center_pixel((y, x))

    @property
    def pixel_scale(self) -> float | None:
        """Arcseconds a pixel, where that is known."""
        return None if self.geometry is None else self.geometry.pixel_scale

    @property
    def is_north_up(self) -> bool:
        """Whether the frames have angles, so that north is up in `combined`."""
        return self.geometry is not None and self.geometry.angles is not None

    def wcs(self) -> WCS | None:
        """Return the sky coordinates of `combined`: offsets from the star, or RA and Dec where they are known."""
        if self.pixel_scale is None:
            return None
        return north_up(self.center, self.pixel_scale, star_of(self.meta))


def about(reduction: Reduced) -> dict[str, Any]:
    """Return what a result tells of the reduction that it is of."""
    meta = reduction.meta
    own = {key: meta[key] for key in ("parameters", "inputs", "command") if key in meta}
    return {key: meta[key] for key in OBSERVED if key in meta} | {
        "inputs": list(own.get("inputs", [])),
        "reduction": own,
    }
