"""A part of the pixels, chosen so that it tells of the coefficients nearly what all pixels tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from astronmf._typing import FloatArray, IntArray
from astronmf.core.parallel import map_blocks
from astronmf.core.problem import Problem

__all__ = ["Sample"]


@dataclass(frozen=True)
class Sample:
    """Some pixels of a problem, each with the weight of those that it stands for.

    Attributes
    ----------
    pixels : (m,) array of int
    stands_for : (m,) array
        How many times each counts.
    scale : (m,) array
        Components of the sample are those of the whole, at its pixels, times this.
    """

    pixels: IntArray
    stands_for: FloatArray
    scale: FloatArray

    @classmethod
    def draw(cls, problem: Problem, count: int, random_state: int | None) -> Sample:
        """Choose at most about `count` pixels at random: half evenly, half by how much ``Σ V X²`` there is in each.

        Few pixels near a star hold most of what is known; an even choice would miss many of them. A pixel chosen with
        probability π counts 1/π times, so that every sum over the sample has that over all pixels for its mean.
        """
        power = np.concatenate(map_blocks(problem.power, problem.blocks()))
        even = problem.supported / max(int(problem.supported.sum()), 1)
        chance = np.minimum(count * (even + power / max(power.sum(), 1e-300)) / 2, 1.0)
        steps = np.cumsum(chance) + np.random.default_rng(random_state).random()
        pixels = np.flatnonzero(np.diff(np.floor(steps), prepend=np.floor(steps[0] - chance[0])))
        stands_for = 1.0 / chance[pixels]
        scale = np.sqrt(stands_for) if problem.is_separable else np.ones(pixels.size)
        return cls(pixels, stands_for, scale.astype(problem.dtype))

    def problem(self, whole: Problem) -> Problem:
        """Return the problem of the sampled pixels; its χ² estimates that of the whole."""
        return whole.subset(self.pixels, self.stands_for)

    def of(self, components: FloatArray) -> FloatArray:
        """Return the sample's part of components, (k, p)."""
        return np.ascontiguousarray(components[:, self.pixels] * self.scale)

    def put(self, found: FloatArray, components: FloatArray) -> None:
        """Write the sample's components to its pixels among all, (k, p)."""
        components[:, self.pixels] = found / self.scale
