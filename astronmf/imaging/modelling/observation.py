"""Data, weights and star of a joint fit, brought to normal equations as soon as templates are there.

All that does not depend on the templates is computed once: a likelihood asks for hundreds of systems a second.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from astronmf._typing import BoolArray, FloatArray, IntArray
from astronmf.core.joint import JointSystem
from astronmf.core.parallel import map_blocks
from astronmf.imaging.modelling.star import StarDesign

__all__ = ["Observation"]


@dataclass(frozen=True, eq=False)
class Observation:
    """What templates are fitted to, over the p pixels of a region.

    Attributes
    ----------
    data : (n, p) array
        0 where a value takes no part.
    weights : (n, p) array
        ``1/σ²``; 0 where a value takes no part.
    star : StarDesign
    pixels : (y, x) array of bool
        The region.
    follows : callable or None
        Where the star's components or models were made from frames that show the sources: ``follows(sources)`` is what
        they have taken up of (n, y, x) sources, (n, y, x). It is in every model already, so that a template less that
        share is what is left to be fitted.
    orientation : (n,) array of int or None
        Which of m different pictures of a template each frame shows, where frames share them; each frame its own
        otherwise. Not together with `follows`.
    """

    data: FloatArray
    weights: FloatArray
    star: StarDesign
    pixels: BoolArray
    follows: Callable[[FloatArray], FloatArray] | None = None
    orientation: IntArray | None = None

    @cached_property
    def _index(self) -> IntArray:
        return np.flatnonzero(self.pixels)

    @cached_property
    def _gram(self) -> FloatArray:
        return self.star.gram(self.weights)

    @cached_property
    def _right(self) -> FloatArray:
        return self.star.products(self.weights * self.data)

    @cached_property
    def square(self) -> float:
        """``Σ V x²``."""
        return float(np.vdot(self.weights * self.data, self.data))

    @property
    def n_valid(self) -> int:
        """How many values take part."""
        return int((self.weights > 0).sum())

    def within(self, sources: FloatArray) -> FloatArray:
        """Return (m, y, x) frames at the region's pixels: (m, p)."""
        return np.take(sources.reshape(len(sources), -1), self._index, axis=1)

    def seen(self, sources: FloatArray) -> FloatArray:
        """Return what a source, (m, y, x), adds to the data beyond the star's components: (m, p)."""
        own = self.within(sources)
        return own if self.follows is None else own - self.within(self.follows(sources))

    def system(self, templates: FloatArray) -> JointSystem:
        """Return the normal equations of star and templates, (t, m, p)."""
        t = len(templates)
        cross, gram, right = np.zeros((*self._right.shape, t)), np.zeros((t, t)), np.zeros(t)
        blocks = list(self.star.blocks(t))
        for (rows, _), sums in zip(blocks, map_blocks(partial(self._sums, templates), blocks), strict=True):
            np.add.at(cross, self.star.group[rows], sums[0])
            gram += sums[1]
            right += sums[2]
        return JointSystem(self._gram, self._right, cross, gram, right, self.square)

    def _sums(
        self, templates: FloatArray, block: tuple[IntArray | slice, FloatArray]
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return what a block of r frames adds to the products with the star, (r, k, t), templates, and data."""
        rows, design = block
        shown = templates[:, rows if self.orientation is None else self.orientation[rows]].swapaxes(0, 1)
        weighted = self.weights[rows, None] * shown
        r, t, p = weighted.shape
        cross = (weighted.reshape(-1, p) @ design.T).reshape(r, t, -1).swapaxes(1, 2)
        if t == 1:
            return cross, np.array([[np.vdot(weighted, shown)]]), np.array([np.vdot(weighted, self.data[rows])])
        gram = np.matmul(weighted, shown.swapaxes(1, 2)).sum(axis=0)
        return cross, gram, np.matmul(weighted, self.data[rows, :, None]).sum(axis=(0, 2))

    def placed(self, values: FloatArray) -> FloatArray:
        """Return (n, p) values as frames, (n, y, x), NaN outside the region."""
        out = np.full((len(values), *self.pixels.shape), np.nan)
        out[:, self.pixels] = values
        return out
