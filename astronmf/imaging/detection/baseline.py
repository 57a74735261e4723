"""What limits are measured against: a reduction without the companions that are there, the PSF, and the star's flux."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import astropy.units as u
import numpy as np
from astropy.table import QTable

from astronmf import __version__
from astronmf._typing import BoolArray, FloatArray, Progress
from astronmf._validation import as_mask, check_number, check_shape, fail
from astronmf.exceptions import GeometryWarning, MissingDataWarning
from astronmf.imaging.companions import Companion, can_reduce_again
from astronmf.imaging.detection.search import find_companions
from astronmf.imaging.frames import Frames
from astronmf.imaging.geometry import in_degrees, in_pixels, radius, sky_position
from astronmf.imaging.injection import inject
from astronmf.imaging.plain import values_in
from astronmf.imaging.preparation.records import plain
from astronmf.imaging.psf import PSF
from astronmf.imaging.reduction import Reduction

__all__ = ["Baseline", "star_flux_of"]

MOST_REDUCTIONS = 5  # without the companions that are found, until nothing of them is left
NEAR_COMPANION = 1.0  # FWHM: what is left of a companion nearer than this does not count as noise


@dataclass(frozen=True)
class Baseline:
    """A reduction to put companions into.

    Attributes
    ----------
    reduction : Reduction
        Of the data less the known companions.
    psf : PSF
    smearing
        As for `inject`.
    excluded : (y, x) bool array
        North up, `True` = not to be taken for noise.
    companions : list of dict
        ``separation``, ``position_angle`` and ``flux`` of those that were taken off.
    """

    reduction: Reduction
    psf: PSF
    smearing: Any
    excluded: BoolArray
    companions: list[dict[str, float]]

    @classmethod
    def of(
        cls, reduction: Reduction, psf: Any, *, companions: Any, exclude: Any, smearing: Any, progress: Progress
    ) -> Baseline:
        """Return the reduction without companions; arguments as of `contrast_curve`.

        Raises
        ------
        ValueError
            If the reduction cannot be repeated, the PSF is larger than the frames, or an argument has the wrong form.
        """
        _check_repeatable(reduction)
        point = _fitting(PSF.of(psf), reduction)
        shape = reduction.combined.shape[0], reduction.combined.shape[1]
        excluded = np.zeros(shape, dtype=bool) if exclude is None else as_mask("exclude", exclude).copy()
        check_shape("exclude", excluded, shape)
        known = _known(reduction, point, companions, smearing, progress)
        clean = reduction
        if len(known):
            separations, angles, fluxes = known.T
            clean = _again(reduction, inject(reduction.science, point, separations, angles, -fluxes, smearing=smearing))
        for separation, angle, _ in known:
            excluded |= radius(shape, sky_position(shape, separation, angle)) <= NEAR_COMPANION * point.fwhm
        listed = [dict(zip(("separation", "position_angle", "flux"), map(float, row), strict=True)) for row in known]
        return cls(clean, point, smearing, excluded, listed)

    @property
    def shape(self) -> tuple[int, int]:
        """Of the north-up image, (y, x)."""
        return self.reduction.combined.shape[0], self.reduction.combined.shape[1]

    def with_sources(self, separations: FloatArray, angles: FloatArray, fluxes: FloatArray, *, warm: bool) -> Reduction:
        """Return the reduction of the same data with sources, (m,) pixels, degrees and total fluxes, put in."""
        data = inject(self.reduction.science, self.psf, separations, angles, fluxes, smearing=self.smearing)
        return _again(self.reduction, data, warm=warm)

    def table(self, separations: FloatArray, star_flux: float, origin: str) -> QTable:
        """Return a table of separations, (m,) pixels, whose ``meta`` says what was measured against."""
        scale = self.reduction.science.geometry.pixel_scale
        table = QTable({"separation": separations * u.pix})
        if scale is not None:
            table["separation_angle"] = separations * scale * u.arcsec
        known = self.reduction.meta
        table.meta |= {name: str(known[name]) for name in ("object", "instrument", "filter") if name in known}
        table.meta |= {
            "fwhm": float(self.psf.fwhm),
            "psf_flux": self.psf.flux,
            "psf_shape": list(self.psf.shape),
            "star_flux": star_flux,
            "star_flux_origin": origin,
            "companions": self.companions,
            "excluded_pixels": int(self.excluded.sum()),
            "smearing": plain(self.smearing),
            "n_components": len(self.reduction.components),
            "reduction": plain(known.get("parameters", {})),
            "inputs": plain(known.get("inputs", [])),
            "version": __version__,
        }
        return table

    def places(self, separations: FloatArray, angles: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return where sources are on the north-up image: x and y, (m,)."""
        x, y = sky_position(self.shape, separations, angles)
        return x, y


def _again(reduction: Reduction, science: Frames, *, warm: bool = False) -> Reduction:
    """Return the reduction of other data; what is missing and how the sky turns was told of the first time."""
    with warnings.catch_warnings():
        for category in (MissingDataWarning, GeometryWarning):
            warnings.simplefilter("ignore", category)
        return reduction.again(science, warm=warm)


def star_flux_of(star_flux: Any, psf: PSF, reduction: Reduction) -> tuple[float, str]:
    """Return the star's total flux in the science frames' unit, and where it is from, in words.

    Raises
    ------
    ValueError
        If it is not given, and the PSF has no unit, or one that is not the science frames'.
    """
    unit, own = reduction.unit, psf.unit
    if star_flux is not None:
        value = values_in("star_flux", star_flux, unit)
        check_shape("star_flux", value, ())
        return check_number("star_flux", float(value), np.nextafter(0, 1)), "given"
    if own is None or unit is None or not own.is_equivalent(unit):
        found = f"None, with a PSF {_in_words(own)} and science frames {_in_words(unit)}"
        wanted = "given, in the unit and for the exposure of the science frames, unless the PSF's unit is theirs"
        raise fail("star_flux", wanted, found)
    return float((psf.flux * own).to_value(unit)), "total flux of the PSF, whose unit is the science frames'"


def _in_words(unit: Any) -> str:
    return "without a unit" if unit is None else f"in {unit}"


def _check_repeatable(reduction: Reduction) -> None:
    """Raise if the components cannot be built again."""
    if not can_reduce_again(reduction):
        found = (
            "one of mode='ardi' from a file, which does not hold them; reduce again, and go on with what is returned"
        )
        raise fail("reduction", "one that has its reference frames, to build the components again", found)


def _fitting(psf: PSF, reduction: Reduction) -> PSF:
    """Return a PSF that is no larger than the frames, or raise."""
    frame = reduction.science.shape[1:]
    if any(side > length for side, length in zip(psf.shape, frame, strict=True)):
        found = f"{psf.shape}; PSF.of(...).cut(size) makes it smaller"
        raise fail("psf", f"no larger than the frames, {frame[0]} x {frame[1]} pixels", found)
    return psf


def _known(reduction: Reduction, psf: PSF, companions: Any, smearing: Any, progress: Progress) -> FloatArray:
    """Return separation (pixels), position angle (degrees) and flux of the companions: (m, 3)."""
    if companions is None:
        return np.empty((0, 3))
    if isinstance(companions, str):
        if companions != "find":
            raise fail("companions", "'find', None, a table, or a list of Companion", repr(companions))
        search = find_companions(reduction, psf, smearing=smearing, max_reductions=MOST_REDUCTIONS, progress=progress)
        companions = search.companions
    if isinstance(companions, QTable):
        return _listed(reduction, companions)
    if not all(isinstance(companion, Companion) for companion in companions):
        raise fail("companions", "'find', None, a table, or a list of Companion", companions)
    rows = [(companion.separation, companion.position_angle, companion.flux) for companion in companions]
    return np.array(rows, dtype=np.float64).reshape(-1, 3)


def _listed(reduction: Reduction, table: QTable) -> FloatArray:
    """Return the same from a table's columns."""
    lacking = [name for name in ("separation", "position_angle", "flux") if name not in table.colnames]
    if lacking:
        raise fail("companions", "a table with the columns of companion_table", f"one without {', '.join(lacking)}")
    scale = reduction.science.geometry.pixel_scale
    return np.column_stack(
        [
            np.atleast_1d(in_pixels("companions", table["separation"], scale)),
            np.atleast_1d(in_degrees("companions", table["position_angle"])),
            np.atleast_1d(values_in("companions", table["flux"], reduction.unit)),
        ]
    )
