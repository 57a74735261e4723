"""From exposures of several wavelengths to one image of each, north up: `reduce_spectral`."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from astronmf._typing import FloatArray, Progress, no_progress
from astronmf._validation import check_choice, fail
from astronmf.exceptions import AstroNMFWarning, warn
from astronmf.imaging.reduction import Reduction
from astronmf.imaging.spectral_frames import SpectralFrames
from astronmf.imaging.spectral_modes import DIFFERENTIAL, MODES, Channel, Differential, Separate
from astronmf.imaging.spectral_reduction import SpectralReduction
from astronmf.imaging.wavelengths import channel_name, check_same_wavelengths, fwhm_of_channels

__all__ = ["reduce_spectral"]

NUMBER = re.compile(r"\d+(\.\d+)?")


def reduce_spectral(
    science: SpectralFrames,
    references: SpectralFrames | None = None,
    *,
    mode: str = "adi",
    min_separation: float | None = None,
    max_channels: int | None = None,
    fwhm: Any = None,
    keep: str | None = None,
    progress: Progress = no_progress,
    **options: Any,
) -> SpectralReduction:
    """Remove the star from every channel of exposures of several wavelengths.

    Channels are reduced one after the other, so that of a memory-mapped cube no more than one is in memory; with the
    mode "asdi", the channels that serve as references as well.

    Parameters
    ----------
    science : SpectralFrames
    references : SpectralFrames, optional
        Of other stars, at the same wavelengths; with the modes "rdi" and "ardi".
    mode : {"adi", "rdi", "ardi", "sdi", "asdi"}
        Where the model of the star comes from. "adi", "rdi" and "ardi" reduce each channel on its own, as `reduce`
        does. "sdi": from the other channels of the same exposure, stretched about the star in proportion to the
        wavelength. "asdi": from the other channels of all exposures, so stretched, and from the exposures of the
        channel itself, among which the sky has turned.
    min_separation : float, optional
        With "sdi" and "asdi", in FWHM: the references of channel i are those channels j in which a source at the middle
        radius r of a zone has moved by so much, ``r |1 − λ_i / λ_j| ≥ min_separation · FWHM_i``. By default all others,
        the nearest of which have much of the source where it is, and take it off.
    max_channels : int, optional
        With "sdi" and "asdi": at most so many reference channels, the nearest in wavelength of those that may be. With
        fewer, less memory and time are needed.
    fwhm : float or (w,) array, optional
        Of the PSF in pixels: of each channel, or at the mean wavelength, to grow in proportion to the wavelength. For
        `min_separation` and ``min_rotation``.
    keep : {None, "all"}
        "all" keeps the `Reduction` of every channel, which takes many times the memory.
    progress
        Called as ``progress(done, total, what)``.
    **options
        Of `reduce`: ``n_components``, ``inner_radius``, ``outer_radius``, ``annulus_width``, ``n_segments``,
        ``min_rotation`` (not with "sdi"), ``mask``, ``imputation_mask``, ``imputation_frame``, ``scale``,
        ``scale_region``, ``combine``, ``estimator``. They are the same for all channels; lengths are in pixels. With
        "sdi" and "asdi", what `mask` and `imputation_mask` say is missing in the reference channels, too, before they
        are stretched.

    Returns
    -------
    SpectralReduction

    Raises
    ------
    ValueError
        If an argument breaks its constraint, an option goes with another mode, wavelengths of science and references
        differ, or a channel is left with fewer references than components (the message names it).
    TypeError
        If `reduce` has no such option.
    """
    check_choice("mode", mode, MODES)
    check_choice("keep", keep, (None, "all"))
    _check_inputs(science, references, mode, options)
    widths = fwhm_of_channels(fwhm, science.wavelengths)
    settings: dict[str, Any] = {"min_separation": min_separation, "max_channels": max_channels}
    way: Separate | Differential
    if mode in DIFFERENTIAL:
        science = _without_references(science)
        way = Differential.of(science, mode, settings | {"fwhm": widths}, options, whole=keep == "all")
    else:
        _check_unused(mode, settings)
        way = Separate(science, references, mode, widths, options)
    result, about = _blank_result(science, widths), _About()
    told = _Told()
    for number, wavelength in enumerate(science.wavelengths):
        found = told.of(channel_name(number, wavelength), way.reduce, number)
        result.combined[number] = found.combination.image
        result.combined_uncertainty[number] = found.combination.uncertainty
        result.coverage[number] = found.combination.coverage
        about.add(found.reductions, keep == "all")
        del found
        progress(number + 1, science.n_channels, "channels")
    settings |= {"mode": mode, "fwhm": None if widths is None else widths.tolist(), "combine": way.method}
    settings["imputation_frame"] = options.get("imputation_frame", "sky")
    return about.completed(result, settings)


@dataclass
class _About:
    """What is known of the result besides its images."""

    meta: dict[str, Any] = field(default_factory=dict)
    wcs: Any = None
    kept: list[tuple[Reduction, ...]] = field(default_factory=list)

    def add(self, reductions: tuple[Reduction, ...], keep: bool) -> None:
        """Learn from a channel's reductions."""
        if reductions and not self.meta:
            self.meta, self.wcs = reductions[0].meta, reductions[0].wcs()
        if keep:
            self.kept.append(reductions)

    def completed(self, result: SpectralReduction, parameters: dict[str, Any]) -> SpectralReduction:
        """Return the result with all that is known of it."""
        if not self.meta:
            raise fail("science", "such that it has valid values", "none in any channel")
        meta = {key: value for key, value in self.meta.items() if key != "n_unsupported"}
        meta["parameters"] = meta["parameters"] | parameters
        return replace(result, wcs=self.wcs, meta=meta, channels=tuple(self.kept) if self.kept else None)


class _Told:
    """Warnings of many channels: each kind is told once, with the channel that it first came from."""

    def __init__(self) -> None:
        self.kinds: set[tuple[type[AstroNMFWarning], str]] = set()

    def of(self, name: str, work: Callable[[int], Channel], number: int) -> Channel:
        """Return what is made of a channel, and tell its warnings and errors with its name."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                found = work(number)
            except ValueError as error:
                msg = f"{name}: {error}"
                raise ValueError(msg) from error
        for one in caught:
            if not issubclass(one.category, AstroNMFWarning):
                warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
                continue
            kind = (one.category, NUMBER.sub("", str(one.message)))
            if kind not in self.kinds:
                self.kinds.add(kind)
                warn(f"{name}: {one.message}; the like of other channels is not told again", one.category)
        return found


def _blank_result(science: SpectralFrames, fwhm: FloatArray | None) -> SpectralReduction:
    """Return a result whose images are still to come."""
    shape = science.shape[1:]
    return SpectralReduction(
        combined=np.full(shape, np.nan),
        combined_uncertainty=np.full(shape, np.nan),
        coverage=np.zeros(shape, dtype=int),
        wavelengths=science.wavelengths,
        fwhm=fwhm,
        unit=science.unit,
        pixel_scale=science.geometry.pixel_scale,
    )


def _without_references(science: SpectralFrames) -> SpectralFrames:
    """Return the exposures that are not marked as references."""
    if science.is_reference.all():
        raise fail("science", "such that not all exposures are marked as references", f"{len(science)} references")
    return science[~science.is_reference] if science.is_reference.any() else science


def _check_inputs(science: Any, references: Any, mode: str, options: dict[str, Any]) -> None:
    """Raise unless science and references are what the mode takes."""
    for name, given in (("science", science), ("references", references)):
        if not isinstance(given, SpectralFrames) and (name == "science" or given is not None):
            raise fail(name, "SpectralFrames", type(given).__name__)
    if "components" in options:
        raise fail("components", "left out: every channel has components of its own", "components")
    if references is None:
        return
    if mode not in ("rdi", "ardi"):
        raise fail("references", f"left out with mode={mode!r}", "SpectralFrames")
    check_same_wavelengths(science.wavelengths, references.wavelengths, "references")


def _check_unused(mode: str, settings: dict[str, Any]) -> None:
    """Raise if an option is given that has no meaning in a mode."""
    for name, value in settings.items():
        if value is not None:
            raise fail(name, f"left out with mode={mode!r}, in which channels are reduced on their own", value)
