"""What the star may look like in a joint fit: free components in each frame, or the models that are there, scaled.

Either way the star's share of a frame is ``c D``, with a design D (k × pixels) and coefficients c that one frame, or a
group of frames, has for itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from astronmf._typing import FloatArray, IntArray
from astronmf._validation import fail
from astronmf.imaging.frames import Frames
from astronmf.imaging.scaling import frame_groups
from astronmf.imaging.target import Bases, Choice
from astronmf.imaging.zones import OUTSIDE, zones_of

__all__ = ["STARS", "StarDesign"]

#: How the star is modelled: by its components in each frame, or by scale factors of the models that are there.
STARS = ("components", "frame", "roll", "annulus", "all")

LARGEST_BLOCK = 150_000  # values: what stays near the processor


@dataclass(frozen=True, eq=False)
class StarDesign:
    """The columns that make up the star.

    Attributes
    ----------
    parts : tuple of (IntArray, FloatArray)
        Frames, and the design that they share: (k, p), 0 where it does not cover.
    group : (n,) array of int
        Which coefficients each frame uses.
    """

    parts: tuple[tuple[IntArray, FloatArray], ...]
    group: IntArray

    @property
    def n_groups(self) -> int:
        """How many sets of coefficients there are."""
        return int(self.group.max()) + 1

    @property
    def n_columns(self) -> int:
        """How many columns the design has, k."""
        return len(self.parts[0][1])

    def blocks(self, columns: int = 1) -> Iterator[tuple[IntArray | slice, FloatArray]]:
        """Yield frames and their design, so few at once that `columns` arrays of them are not large."""
        for rows, design in self.parts:
            most = max(1, LARGEST_BLOCK // (columns * max(design.shape[1], 1)))
            if len(rows) == len(self.group) <= most:
                yield slice(None), design  # a view, not a copy
                continue
            for first in range(0, len(rows), most):
                yield rows[first : first + most], design

    def products(self, frames: FloatArray) -> FloatArray:
        """Return ``Σ_i D_i x_iᵀ`` over each group's frames: (groups, k), for (n, p) frames x."""
        out = np.zeros((self.n_groups, self.n_columns))
        for rows, design in self.blocks():
            np.add.at(out, self.group[rows], frames[rows] @ design.T)
        return out

    def gram(self, weights: FloatArray) -> FloatArray:
        """Return ``Σ_i D_i V_i D_iᵀ`` over each group's frames: (groups, k, k)."""
        out = np.zeros((self.n_groups, self.n_columns, self.n_columns))
        for rows, design in self.parts:
            for i in rows:
                out[self.group[i]] += (design * weights[i]) @ design.T
        return out

    def model(self, coefficients: FloatArray) -> FloatArray:
        """Return the star in every frame, (n, p), of (groups, k) coefficients."""
        out = np.empty((len(self.group), self.parts[0][1].shape[1]))
        for rows, design in self.parts:
            out[rows] = coefficients[self.group[rows]] @ design
        return out

    @classmethod
    def of_components(cls, bases: Bases, n: int) -> StarDesign:
        """Return the design of `n` frames with the components of each, over the region's pixels."""
        parts = [(rows, np.nan_to_num(basis[:, bases.region])) for rows, basis in bases.by_frame(n)]
        return cls(tuple(parts), np.arange(n))

    @classmethod
    def of_models(
        cls, models: FloatArray, science: Frames, choice: Choice, star: str, annulus_width: float | None = None
    ) -> StarDesign:
        """Return the design whose coefficients are scale factors of models, (n, y, x).

        Parameters
        ----------
        models
        science
        choice
        star : {"frame", "roll", "annulus", "all"}
            A factor for each frame; for frames of the same angle, in the order of these; for each annulus of all
            frames; or for all.
        annulus_width : float, optional
            In pixels; the zones of the reduction by default, if there are several.
        """
        zones = np.zeros(int(choice.region.sum()), dtype=int)
        if star == "annulus":
            zones = _annuli(science, choice, annulus_width)[choice.region]
        within = zones == np.arange(zones.max() + 1)[:, None]
        flat = np.nan_to_num(models[:, choice.region])
        parts = [(np.array([i]), flat[i] * within) for i in range(len(flat))]
        by = "all" if star == "annulus" else star
        return cls(tuple(parts), frame_groups(science.angles, len(science), by))


def _annuli(science: Frames, choice: Choice, width: float | None) -> IntArray:
    """Return the number of each pixel's annulus, (y, x)."""
    if width is not None:
        return zones_of(choice.region, science.geometry.center, width)
    if choice.n_zones == 1:
        raise fail("annulus_width", "given with star='annulus', where the reduction has no annuli", None)
    return np.where(choice.zone_numbers == OUTSIDE, 0, choice.zone_numbers)
