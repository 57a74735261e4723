"""Other wavelengths as references: spectral differential imaging (Racine+ 1999; Sparks & Ford 2002).

Speckles are diffraction: their distance from the star grows in proportion to the wavelength, while a source stays where
it is. Channel j, stretched about the star by ``λ_i / λ_j``, has its speckles where channel i has them, and a source of
separation r at ``r λ_i / λ_j``: it has moved by

    r |1 − λ_i / λ_j|
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from astronmf._typing import BoolArray, FloatArray, IntArray
from astronmf._validation import check_integer, check_number, fail
from astronmf.imaging.frames import Frames
from astronmf.imaging.geometry import rescaled
from astronmf.imaging.spectral_frames import SpectralFrames, as_float
from astronmf.imaging.wavelengths import channel_name
from astronmf.imaging.zones import OUTSIDE, middle_radius, pixels_of

__all__ = ["ReferenceChannels", "stretched_channels"]


@dataclass(frozen=True)
class ReferenceChannels:
    """Which channels may model which.

    Attributes
    ----------
    wavelengths : (w,) array
    zones : (y, x) array of int
        See `astronmf.imaging.zones`.
    center : (x, y)
        The star.
    min_separation : float or None
        In FWHM: by how much a source at the middle radius of a zone must have moved.
    max_channels : int or None
        At most so many references for each channel, those nearest in wavelength of all that may be.
    fwhm : (w,) array or None
        In pixels.
    """

    wavelengths: FloatArray
    zones: IntArray
    center: tuple[float, float]
    min_separation: float | None = None
    max_channels: int | None = None
    fwhm: FloatArray | None = None

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.min_separation is not None:
            check_number("min_separation", self.min_separation, 0.0)
            if self.fwhm is None:
                raise fail("fwhm", "given, in pixels, with 'min_separation'", None)
        if self.max_channels is not None:
            check_integer("max_channels", self.max_channels, 1)

    @property
    def radii(self) -> FloatArray:
        """The middle radius of every zone, in pixels."""
        return np.array([middle_radius(pixels, self.center) for pixels in pixels_of(self.zones)])

    @property
    def needed(self) -> FloatArray:
        """How far a source must have moved, in pixels, for each channel: (w,)."""
        widths = np.zeros(self.wavelengths.shape) if self.fwhm is None else self.fwhm
        return np.asarray(widths * (self.min_separation or 0.0))

    @property
    def moved(self) -> BoolArray:
        """In which channels a source has moved enough: (w, zones, w) bool, ``[i, z, j]`` for channel j modelling i."""
        shift = np.abs(1 - self.wavelengths[:, None] / self.wavelengths)[:, None] * self.radii[:, None]
        enough = shift >= self.needed[:, None, None]
        return np.asarray(enough & ~np.eye(len(self.wavelengths), dtype=bool)[:, None])

    @property
    def allowed(self) -> BoolArray:
        """Those that have moved, or the nearest of them: (w, zones, w) bool."""
        moved = self.moved
        if self.max_channels is None:
            return moved
        stretch = np.abs(np.log(self.wavelengths[:, None] / self.wavelengths))[:, None]
        rank = np.argsort(np.argsort(np.where(moved, stretch, np.inf), axis=-1, kind="stable"), axis=-1)
        return np.asarray(moved & (rank < self.max_channels))

    def fewest(self, per_channel: int = 1, others: int = 0) -> int:
        """Return how many references the channel has that has the fewest in a zone; parameters as of `check`."""
        return int(self.allowed.sum(axis=-1).min()) * per_channel + others

    def check(self, n_components: int, per_channel: int = 1, others: int = 0) -> None:
        """Raise unless every channel has as many references as components in every zone.

        Parameters
        ----------
        n_components
        per_channel
            Reference frames that a reference channel gives.
        others
            References of other kinds.

        Raises
        ------
        ValueError
            If one has not; the message names the channels, and what keeps them from it.
        """
        most = (len(self.wavelengths) - 1) * per_channel + others
        if most < n_components:
            raise fail("n_components", f"at most {most}, as many references as there are", n_components)
        moved = self.moved.sum(axis=-1) * per_channel + others
        short = np.argwhere(moved < n_components)
        if short.size:
            kept = f"such that every channel keeps {n_components} references or more"
            raise fail("min_separation", kept, self._shortage(short, moved))
        if self.fewest(per_channel, others) < n_components:
            raise fail("max_channels", f"such that {n_components} references are left or more", self.max_channels)

    def _shortage(self, short: IntArray, left: IntArray) -> str:
        """Return which channels keep too few references, and why."""
        named = [self._reason(i, z, int(left[i, z])) for i, z in short[:3]]
        more = f"; and {len(short) - 3} more" if len(short) > 3 else ""
        advice = "lower min_separation or n_components, or reduce from a larger radius on"
        return f"{self.min_separation:g}: {'; '.join(named)}{more}; {advice}"

    def _reason(self, channel: int, zone: int, left: int) -> str:
        """Return why a channel keeps so few references in a zone."""
        near = self.wavelengths[~self.moved[channel, zone]]
        name, radius = channel_name(channel, self.wavelengths[channel]), self.radii[zone]
        span = f"between {near.min():.4g} and {near.max():.4g} µm"
        return (
            f"{name} keeps {left}: {span} a source at {radius:.1f} moves by less than {self.needed[channel]:.2f} pixels"
        )


def stretched_channels(
    science: SpectralFrames, target: int, exposures: IntArray, channels: ReferenceChannels, hidden: BoolArray
) -> Frames:
    """Return other channels, stretched so that their speckles lie where those of a channel are.

    Parameters
    ----------
    science
    target
        The channel.
    exposures : (m,) array of int
        Whose channels to use.
    channels
        Which may serve; in zones in which one may not, its values are missing.
    hidden : (n, y, x) bool array
        Values that count as missing before they are stretched.

    Returns
    -------
    Frames
        Exposure by exposure, ``m`` times as many as there are channels of use.
    """
    allowed = channels.allowed[target]
    chosen = np.flatnonzero(allowed.any(axis=0)).tolist()
    barred = ~allowed[channels.zones] & (channels.zones != OUTSIDE)[..., None]
    center, places = science.geometry.center, list(product(exposures.tolist(), chosen))
    data = np.empty((len(places), *channels.zones.shape), as_float(science.data[:0]).dtype)
    sigma = None if science.sigma is None else np.empty(data.shape, as_float(science.sigma[:0]).dtype)
    for i, (exposure, number) in enumerate(places):
        values, errors = science.image(exposure, number)
        factor = float(science.wavelengths[target] / science.wavelengths[number])
        values[hidden[exposure]] = np.nan
        data[i] = rescaled(values, center, factor)
        data[i][barred[..., number]] = np.nan
        if sigma is not None and errors is not None:
            errors[hidden[exposure]] = np.nan
            sigma[i] = np.sqrt(rescaled(np.square(errors), center, factor, order=1))
    return Frames(
        data,
        sigma,
        ~np.isfinite(data) if sigma is None else ~(np.isfinite(data) & np.isfinite(sigma) & (sigma > 0)),
        geometry=replace(science.geometry, angles=None),
        unit=science.unit,
        names=[f"{science.names[exposure]}, {science.wavelengths[number]:.4g} µm" for exposure, number in places],
        meta=science.meta,
    )
