"""Templates at the pixels of an observation, and which of their amplitudes the data can tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from astronmf._typing import BoolArray, FloatArray
from astronmf.core.joint import JointSystem, coefficients_at
from astronmf.imaging.modelling.covariance import (
    condition_number,
    inverse_of_known,
    told_from_star,
    variance_inflation,
)
from astronmf.imaging.modelling.observation import Observation

__all__ = ["Templates"]

LEAST_COVERED = 0.01  # of a template's squared light: with less where there are data, wings tell its amplitude


@dataclass(frozen=True)
class Templates:
    """Templates at the pixels of an observation, and what can be known of their amplitudes.

    Attributes
    ----------
    own, seen : (t, n, p) arrays
        As they are in the data, and less what the star's models have taken up of them.
    system : JointSystem
        Of star and templates as seen.
    covered : (t,) array
        The share of each one's squared light that is where the data have weight.
    alone, bare : (t, t) arrays
        Curvature of the amplitudes if nothing else were fitted, and beside a star without templates.
    """

    own: FloatArray
    seen: FloatArray
    system: JointSystem
    covered: FloatArray
    alone: FloatArray
    bare: FloatArray

    @classmethod
    def of(cls, observation: Observation, frames: FloatArray) -> Templates:
        """Return templates in the frames, (t, n, y, x), at the pixels."""
        own = np.stack([observation.within(one) for one in frames])
        seen = own if observation.follows is None else np.stack([observation.seen(one) for one in frames])
        system = observation.system(seen)
        alone = (system if observation.follows is None else observation.system(own)).template_gram
        bare = coefficients_at(system, np.zeros(len(frames))).curvature
        return cls(own, seen, system, _covered(frames, own, observation.weights), alone, bare)

    @property
    def sees(self) -> BoolArray:
        """Which have light where the data have weight: (t,)."""
        return np.asarray(self.covered > LEAST_COVERED)

    def apart(self, curvature: FloatArray) -> BoolArray:
        """Return which can be told from the star, the star fitted without and with templates: (t,)."""
        return self.sees & told_from_star(self.alone, self.bare) & told_from_star(self.alone, curvature)

    def condition_number(self, curvature: FloatArray) -> float:
        """Return the larger of the condition numbers, the star fitted without and with templates."""
        some = np.ix_(self.sees, self.sees)
        return max(condition_number(self.alone[some], one[some]) for one in (self.bare, curvature))

    def inflation(self, covariance: FloatArray, apart: BoolArray) -> FloatArray:
        """Return the larger of the variance inflations, likewise: (t,)."""
        before = inverse_of_known(self.bare, apart)[0]
        return np.maximum(variance_inflation(self.alone, covariance), variance_inflation(self.alone, before))


def _covered(frames: FloatArray, templates: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the share of each template's squared light that is where the data have weight: (t,), 0 without light."""
    total = np.square(frames).sum(axis=(1, 2, 3))
    inside = np.square(templates * (weights > 0)).sum(axis=(1, 2))
    return np.asarray(np.divide(inside, total, out=np.zeros(len(frames)), where=total > 0))
