"""What a joint fit and a forward model need of a reduction."""

# ruff: noqa: D102 - what each is, `Reduction` says

from __future__ import annotations

from typing import Any, Protocol

import astropy.units as u

from astronmf._typing import FloatArray
from astronmf.imaging.combination import Combination
from astronmf.imaging.frames import Frames
from astronmf.imaging.modelling.observing import Observer
from astronmf.imaging.modes import Recipe
from astronmf.imaging.self_reference import SelfReference
from astronmf.imaging.target import Bases, Choice

__all__ = ["Reduced"]


class Reduced(Protocol):
    """A reduction, as `astronmf.imaging.Reduction` is one; attributes as there."""

    @property
    def combined(self) -> FloatArray: ...

    @property
    def coefficients(self) -> FloatArray: ...

    @property
    def scale_factor_errors(self) -> FloatArray: ...

    @property
    def meta(self) -> dict[str, Any]: ...

    @property
    def science(self) -> Frames: ...

    @property
    def choice(self) -> Choice: ...

    @property
    def models(self) -> FloatArray: ...

    @property
    def residuals(self) -> FloatArray: ...

    @property
    def weights(self) -> FloatArray: ...

    @property
    def bases(self) -> Bases: ...

    @property
    def self_reference(self) -> SelfReference | None: ...

    @property
    def references(self) -> Frames | None: ...

    @property
    def recipe(self) -> Recipe: ...

    @property
    def unit(self) -> u.UnitBase | None: ...

    @property
    def star(self) -> tuple[float, float] | None: ...

    @property
    def scale_factors(self) -> FloatArray: ...

    def remaining(self, sources: FloatArray) -> FloatArray: ...

    def combine_frames(self, frames: FloatArray, residuals: FloatArray | None = None) -> Combination: ...

    def observer(
        self, *, psf: Any = None, transmission: Any = None, smearing: Any = None, cached: bool = False
    ) -> Observer: ...

    def again(self, science: Frames, *, warm: bool = False) -> Any: ...
