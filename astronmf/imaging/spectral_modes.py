"""How a channel is reduced: on its own, or with other channels as its references."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from astronmf._typing import BoolArray, FloatArray, IntArray
from astronmf._validation import check_integer, fail
from astronmf.exceptions import MissingDataWarning, warn
from astronmf.imaging.building import flat_mask
from astronmf.imaging.combination import Combination, combine
from astronmf.imaging.frames import Frames
from astronmf.imaging.geometry import annulus
from astronmf.imaging.modes import MODES as SEPARATE
from astronmf.imaging.modes import default_combination, default_components
from astronmf.imaging.reduction import Reduction
from astronmf.imaging.spectral_differential import ReferenceChannels, stretched_channels
from astronmf.imaging.spectral_frames import SpectralFrames
from astronmf.imaging.subtraction import declared_missing, reduce
from astronmf.imaging.zones import zones_of

__all__ = ["DIFFERENTIAL", "MODES", "Channel", "Differential", "Separate"]

DIFFERENTIAL = ("sdi", "asdi")
MODES = (*SEPARATE, *DIFFERENTIAL)

#: What the other channels are references for, once they are stretched.
BASIS = {"sdi": "rdi", "asdi": "ardi"}


class Channel(NamedTuple):
    """One channel's image, and what it was made of: all reductions, or the first where not all are to be kept."""

    combination: Combination
    reductions: tuple[Reduction, ...] = ()


@dataclass(frozen=True)
class Separate:
    """Every channel on its own; attributes as the parameters of `reduce_spectral`."""

    science: SpectralFrames
    references: SpectralFrames | None
    mode: str
    fwhm: FloatArray | None
    options: dict[str, Any]

    @property
    def method(self) -> str:
        """How exposures are combined."""
        return _combination(self.mode, self.options)

    def reduce(self, number: int) -> Channel:
        """Return a channel, reduced."""
        frames = self.science.channel(number)
        if frames.mask.all():
            return _empty(frames)
        references = None if self.references is None else self.references.channel(number)
        fwhm = None if self.fwhm is None else float(self.fwhm[number])
        found = reduce(frames, references, mode=self.mode, fwhm=fwhm, **self.options)
        return Channel(Combination(found.combined, found.combined_uncertainty, found.coverage), (found,))


@dataclass(frozen=True)
class Differential:
    """Every channel with others as its references.

    Attributes
    ----------
    science
    mode
    channels : ReferenceChannels
    options
        Of `reduce`, those for missing values left out.
    imputed : (n, y, x) bool array
        Values declared missing.
    region : (y, x) bool array
        What is reduced.
    hidden : (n, y, x) bool array
        Values that are missing in references before they are stretched.
    whole : bool
        Whether all reductions are kept.
    """

    science: SpectralFrames
    mode: str
    channels: ReferenceChannels
    options: dict[str, Any]
    imputed: BoolArray
    region: BoolArray
    hidden: BoolArray
    whole: bool

    @classmethod
    def of(
        cls, science: SpectralFrames, mode: str, settings: dict[str, Any], options: dict[str, Any], *, whole: bool
    ) -> Differential:
        """Return the plan, or raise where a channel has too few references."""
        known = dict(options)
        missing, orientation = known.pop("imputation_mask", None), known.pop("imputation_frame", "sky")
        if mode == "sdi" and known.get("min_rotation") is not None:
            found = f"{known['min_rotation']}; mode='asdi' uses the rotation as well"
            raise fail("min_rotation", "left out with mode='sdi'", found)
        n, _, y, x = science.shape
        center = science.geometry.center
        region = annulus((y, x), center, known.get("inner_radius"), known.get("outer_radius"))
        masked = np.zeros((y, x), bool)
        if known.get("mask") is not None:
            masked = flat_mask("mask", known["mask"], (y, x))
        region &= ~masked
        imputed = declared_missing((n, y, x), science.geometry, missing, orientation)
        zones = zones_of(region, center, known.get("annulus_width"), known.get("n_segments", 1))
        channels = ReferenceChannels(science.wavelengths, zones, center, **settings)
        frames = {"per_channel": n, "others": n} if mode == "asdi" else {}
        known["n_components"] = _n_components(known, default_components(BASIS[mode], n), channels.fewest(**frames))
        channels.check(known["n_components"], **frames)
        return cls(science, mode, channels, known, imputed, region, imputed | masked, whole)

    @property
    def method(self) -> str:
        """How exposures are combined."""
        return _combination(self.mode, self.options)

    def reduce(self, number: int) -> Channel:
        """Return a channel, reduced."""
        frames = self.science.channel(number)
        if frames.mask.all():
            return _empty(frames)
        if self.mode == "sdi":
            return self._each_exposure(number, frames)
        fwhm = None if self.channels.fwhm is None else float(self.channels.fwhm[number])
        references = self._references(number, np.arange(len(frames)))
        options = self.options | {"imputation_mask": self._missing(slice(None))}
        found = reduce(frames, references, mode=BASIS["asdi"], fwhm=fwhm, **options)
        return Channel(Combination(found.combined, found.combined_uncertainty, found.coverage), (found,))

    def _each_exposure(self, number: int, frames: Frames) -> Channel:
        """Return a channel each of whose exposures was reduced on its own."""
        images, variances = np.full((2, *frames.shape), np.nan)
        kept: list[Reduction] = []
        for i in range(len(frames)):
            if not (self.region & ~frames.mask[i] & ~self.imputed[i]).any():
                continue
            options = self.options | {"imputation_mask": self._missing(slice(i, i + 1)), "combine": "mean"}
            if np.ndim(options.get("scale", 0)):
                options["scale"] = options["scale"][i]
            found = reduce(frames[i], self._references(number, np.array([i])), mode=BASIS["sdi"], **options)
            images[i], variances[i] = found.combined, np.square(found.combined_uncertainty)
            if self.whole or not kept:
                kept.append(found)
        return Channel(combine(images, variances, self.method), tuple(kept))

    def _references(self, number: int, exposures: IntArray) -> Frames:
        """Return the reference frames of a channel from some exposures."""
        return stretched_channels(self.science, number, exposures, self.channels, self.hidden)

    def _missing(self, rows: slice) -> BoolArray | None:
        """Return what is declared missing in some exposures, or `None` where nothing is."""
        return self.imputed[rows] if self.imputed.any() else None


def _combination(mode: str, options: dict[str, Any]) -> str:
    """Return how exposures are combined."""
    given = options.get("combine")
    return str(default_combination(BASIS.get(mode, mode)) if given is None else given)


def _n_components(options: dict[str, Any], default: int, most: int) -> int:
    """Return how many components to build in each channel."""
    if options.get("n_components") is not None:
        return check_integer("n_components", options["n_components"], 1)
    wanted = getattr(options.get("estimator"), "n_components", None)
    return min(default if wanted is None else wanted, max(most, 1))


def _empty(frames: Frames) -> Channel:
    """Return a channel in which nothing was observed."""
    warn("it has no valid value and is left NaN", MissingDataWarning)
    blank = np.full(frames.shape[1:], np.nan)
    return Channel(Combination(blank, blank, np.zeros(blank.shape, dtype=int)))
