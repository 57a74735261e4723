"""`ForwardImages`: a forward model as images, north up: what is shown, written and read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import astropy.units as u
import numpy as np

from astronmf._formats import Stored
from astronmf._typing import BoolArray, FloatArray
from astronmf.imaging.geometry import Geometry
from astronmf.imaging.modelling.forward_model import Compared, ForwardModel
from astronmf.imaging.modelling.on_sky import OnSky, about
from astronmf.imaging.modelling.reduced import Reduced

__all__ = ["ForwardImages"]


@dataclass(frozen=True, eq=False)
class ForwardImages(OnSky, Compared, Stored):
    """What a source looks like without the reduction, and what the reduction leaves of it.

    Attributes
    ----------
    source : (y, x) array
        As the telescope sees it, turned and combined as the residuals are, on the same pixels; NaN where they are.
    combined : (y, x) array
        What the active components and the scale factors as they are leave of it.
    frames : (n, y, x) array
        The same in each frame, in the detector's orientation.
    same_active_set : (n,) bool array
        Whether a frame's active components are the same with and without the source.
    exact : (y, x) array or None
        What reducing again leaves of it, where that was done.
    unit : astropy unit or None
    geometry : Geometry or None
        Of the frames.
    meta : dict
        What was observed, ``reduction`` (its own meta), ``inputs``, and the version.
    """

    source: FloatArray
    combined: FloatArray
    frames: FloatArray
    same_active_set: BoolArray
    exact: FloatArray | None = None
    unit: u.UnitBase | None = None
    geometry: Geometry | None = None
    meta: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Return a line that says what is inside."""
        y, x = self.combined.shape
        same = int(self.same_active_set.sum())
        kept = f"active components kept in {same} of {len(self.frames)} frames"
        again = "" if self.exact is None else ", reduced again"
        return f"<ForwardImages: {y} x {x} pixels, throughput {self.throughput:.3f}{again}, {kept}>"

    @property
    def throughput(self) -> float:
        """The amplitude with which `source` itself fits `image`; NaN for a source without light.

        It is ``Σ image · source / Σ source²`` over the pixels that have values: 1 where nothing is lost. What the
        reduction leaves elsewhere, such as the negative wings of a planet, has no part in it.
        """
        known = np.isfinite(self.source) & np.isfinite(self.image)
        total = float(np.square(self.source[known]).sum())
        return float((self.image * self.source)[known].sum()) / total if total > 0 else float("nan")

    @classmethod
    def of(cls, model: ForwardModel, reduction: Reduced) -> ForwardImages:
        """Return the images of a forward model of a reduction."""
        seen = np.where(np.isfinite(reduction.residuals), model.sources, np.nan)
        source = reduction.combine_frames(seen).image
        return cls(
            source=np.where(np.isfinite(reduction.combined), source, np.nan),
            combined=model.combined,
            frames=model.frames,
            same_active_set=model.same_active_set,
            exact=model.exact,
            unit=reduction.unit,
            geometry=reduction.science.geometry,
            meta=about(reduction) | {"names": list(reduction.science.names)},
        )
