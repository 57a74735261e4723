"""Where the model of the star comes from: other stars (RDI), the sky's rotation (ADI), or both (ARDI)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from astronmf._typing import BoolArray, FloatArray, IntArray, Progress, no_progress
from astronmf._validation import check_choice, fail
from astronmf.components import Components
from astronmf.estimator import SequentialNMF
from astronmf.imaging.building import DEFAULT_COMPONENTS, DEFAULT_TOLERANCE, Library
from astronmf.imaging.combination import METHODS
from astronmf.imaging.frames import Frames, check_same_grid
from astronmf.imaging.own_bases import OwnBases, learn_own_bases
from astronmf.imaging.rotation import allowed_references, check_rotation
from astronmf.imaging.scaling import DEFAULT, GROUPINGS
from astronmf.imaging.self_reference import SelfReference, mean_weights, own_hats, shared_hats
from astronmf.imaging.target import Bases, Choice, Target, model_target
from astronmf.imaging.zones import middle_radius, pixels_of

__all__ = ["MODES", "Recipe", "Subtracted", "default_combination", "default_components", "default_tolerance"]

MODES = ("rdi", "adi", "ardi")


# Frames of a sequence are like their neighbours: `docs/validation.md` shows how beta Pictoris b stands out more until
# there are about so many components, and no more beyond.
FRAMES_PER_COMPONENT = 4
MOST_BY_DEFAULT = 30


def default_components(mode: str, n_frames: int) -> int:
    """Return how many components are built by default: 10, or of a rotating sequence a quarter of it, up to 30."""
    if mode == "rdi":
        return DEFAULT_COMPONENTS
    return int(np.clip(n_frames // FRAMES_PER_COMPONENT, 1, MOST_BY_DEFAULT))


def default_tolerance(mode: str) -> float:
    """Return the tolerance of the build by default.

    For other stars' frames it is the literature's. In a rotating sequence ten times that leaves the same noise, and the
    same flux by the forward model: see `docs/validation.md`.
    """
    return DEFAULT_TOLERANCE if mode == "rdi" else 10 * DEFAULT_TOLERANCE


def default_combination(mode: str) -> str:
    """Return how frames are combined by default."""
    return "mean" if mode == "rdi" else "weighted"


@dataclass(frozen=True)
class Subtracted:
    """Science frames less their models, and what the models were made of."""

    target: Target
    bases: Bases
    self_reference: SelfReference | None


@dataclass(frozen=True)
class Recipe:
    """How science frames are modelled; attributes as the parameters of `reduce`."""

    mode: str = "rdi"
    scale: Any = DEFAULT
    combine: str = "mean"
    min_rotation: float | None = None
    fwhm: float | None = None
    scale_by: str = "frame"

    def __post_init__(self) -> None:
        """Check the choices."""
        check_choice("mode", self.mode, MODES)
        check_choice("combine", self.combine, METHODS)
        check_choice("scale_by", self.scale_by, GROUPINGS)
        if self.mode == "rdi" and self.min_rotation is not None:
            raise fail(
                "min_rotation", "left out with mode='rdi', where other stars are the references", self.min_rotation
            )

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> Recipe:
        """Return the recipe that ``Reduction.meta["parameters"]`` holds."""
        known = {name: parameters[name] for name in cls.__dataclass_fields__ if name in parameters}
        return cls(**known)

    @property
    def is_own(self) -> bool:
        """Whether the science frames are in the library."""
        return self.mode != "rdi"

    @property
    def factor(self) -> Any:
        """The scale factor to use: a frame that is modelled with itself in the library needs no search for one."""
        return "none" if self.is_own and isinstance(self.scale, str) and self.scale == DEFAULT else self.scale

    def library(self, science: Frames, references: Frames | None, choice: Choice, *, quiet: bool = False) -> Library:
        """Return what components are built from.

        Parameters
        ----------
        science
        references
            Needed by "rdi" and "ardi".
        choice
            What is declared missing there is so at the build as well.
        quiet
            Whether to leave warnings about angles unsaid, because they were said before.
        """
        if self.is_own:
            check_rotation(science, quiet=quiet)
        if references is not None:
            check_same_grid(science, references, "references")
        if self.mode == "rdi" and references is not None:
            return Library(references)
        missing = choice.imputed if choice.imputed.any() else None
        if self.mode == "adi":
            return Library(science, missing, n_science=len(science))
        if references is None:
            raise fail("references", f"given with mode={self.mode!r}", None)
        return Library(_together(science, references), _padded(missing, len(references)), n_science=len(science))

    def subtract(
        self,
        science: Frames,
        components: Components,
        library: Library | None,
        choice: Choice,
        *,
        quiet: bool = False,
        progress: Progress = no_progress,
    ) -> Subtracted:
        """Model and subtract; `library` is needed where the science frames are in it."""
        bases, zones, own = Bases(components.data, choice.region), choice.zone_numbers, None
        if self.is_own and library is not None and self.min_rotation is not None:
            allowed = self._allowed(science, library, choice, len(components))
            own = learn_own_bases(len(components), library, zones, allowed, float(components.meta["tol"]), progress)
            bases = replace(bases, own=own)
        target = model_target(science, bases, choice, self.factor, self.scale_by, quiet=quiet)
        if not self.is_own or library is None:
            return Subtracted(target, bases, None)
        coefficients = target.projection.coefficients
        if own is None:
            hats = shared_hats(components, coefficients, library, zones)
        else:
            hats = own_hats(own, coefficients, library, zones)
        return Subtracted(target, bases, _self_reference(hats, target, components, library, zones, own))

    def estimator(
        self, given: SequentialNMF | None, science: Frames, library: Library, choice: Choice
    ) -> SequentialNMF:
        """Return the estimator to build with: what is `None` of the one that is given becomes the mode's default."""
        found: dict[str, Any] = {"n_components": None, "tol": None} if given is None else given.get_params()
        if found["n_components"] is None:
            found["n_components"] = self._usual_components(science, library, choice)
        if found["tol"] is None:
            found["tol"] = default_tolerance(self.mode)
        return SequentialNMF(**found)

    def _usual_components(self, science: Frames, library: Library, choice: Choice) -> int:
        """Return how many components to build where nothing is said: fewer than any frame has references.

        As many components as references are those references themselves, noise and all.
        """
        wanted = default_components(self.mode, len(science))
        if not self.is_own or self.min_rotation is None:
            return wanted
        fewest = min(int(allowed.sum(axis=1).min()) for allowed in self._allowed(science, library, choice, 0))
        return min(wanted, max(fewest - 1, 1))

    def check_references(self, science: Frames, library: Library, choice: Choice, n_components: int) -> None:
        """Raise, before anything is built, if frames have fewer references than components."""
        if self.is_own and self.min_rotation is not None:
            self._allowed(science, library, choice, n_components * len(pixels_of(choice.zone_numbers)))

    def _allowed(self, science: Frames, library: Library, choice: Choice, n_components: int) -> list[BoolArray]:
        """Return which of the library's frames may model each science frame, in each zone."""
        zones = pixels_of(choice.zone_numbers)
        others = len(library.frames) - len(science)
        found = []
        for pixels in zones:
            radius = middle_radius(pixels, science.geometry.center)
            own = allowed_references(
                science, radius, float(self.min_rotation or 0), self.fwhm, n_components // len(zones), others
            )
            found.append(np.hstack([own, np.ones((len(science), others), dtype=bool)]))
        return found


def _self_reference(
    hats: FloatArray,
    target: Target,
    components: Components,
    library: Library,
    zones: IntArray,
    own: OwnBases | None = None,
) -> SelfReference:
    """Return how models follow a source, from all that it depends on."""
    coefficients, others = target.projection.coefficients, mean_weights(library, zones)
    return SelfReference(hats, coefficients, components.coefficients, others, own)


def _together(science: Frames, references: Frames) -> Frames:
    """Return science frames and references in one stack; the references' angles do not matter."""
    geometry = replace(references.geometry, angles=np.zeros(len(references)))
    turned = Frames(references, geometry=geometry)
    return Frames.concatenate([science, turned])


def _padded(missing: BoolArray | None, count: int) -> BoolArray | None:
    """Return what is declared missing in the science frames with as many references, complete, behind."""
    return None if missing is None else np.concatenate([missing, np.zeros((count, *missing.shape[1:]), dtype=bool)])
