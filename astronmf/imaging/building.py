"""Components from the frames of a library: of other stars, of the science target itself, or of both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from astropy.table import Table

from astronmf import __version__
from astronmf._typing import BoolArray, FloatArray, IntArray, Progress, no_progress
from astronmf._validation import as_mask, check_integer, check_shape, fail
from astronmf.components import Components
from astronmf.estimator import SequentialNMF
from astronmf.exceptions import MissingDataWarning, warn
from astronmf.imaging.frames import Frames
from astronmf.imaging.geometry import annulus
from astronmf.imaging.zones import OUTSIDE, pixels_of, zones_of

__all__ = ["Library", "build_components", "components_of", "flat_mask", "region_of"]

DEFAULT_COMPONENTS = 10

# The literature's tolerance. `python -m benchmarks.simulation` shows what a tenth and ten times of it cost and change.
DEFAULT_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Library:
    """Frames to build components from.

    Attributes
    ----------
    frames : Frames
    missing : (n, y, x) bool array or None
        Values that count as missing besides the masked ones: a source that must not end in the components.
    n_science : int
        How many of the frames, the first ones, are science frames.
    """

    frames: Frames
    missing: BoolArray | None = None
    n_science: int = 0

    @property
    def mask(self) -> BoolArray:
        """Values that take no part: (n, y, x)."""
        return np.asarray(self.frames.mask if self.missing is None else self.frames.mask | self.missing)

    def values(self, pixels: BoolArray, rows: Any = slice(None)) -> tuple[FloatArray, FloatArray | None, BoolArray]:
        """Return data, weights (`None`: uniform) and mask of some pixels of some frames: (m, p) each."""
        sigma = self.frames.sigma
        weights = None
        if sigma is not None:
            with np.errstate(divide="ignore", invalid="ignore"):  # where there is no error, the mask says so
                weights = np.square(sigma[rows][:, pixels], dtype=np.float64) ** -1.0
        mask = self.frames.mask[rows][:, pixels]
        if self.missing is not None:
            mask |= self.missing[rows][:, pixels]
        return self.frames.data[rows][:, pixels], weights, mask

    def count(self, region: BoolArray) -> int:
        """Return how many frames have something in the region, and say which of the references have not."""
        seen = np.asarray((~self.mask & region).any(axis=(1, 2)))
        if not seen.any():
            found = "none left after mask, radii and missing data"
            raise fail(self._name, "such that they have pixels in the region", found)
        others = zip(self.frames.names[self.n_science :], seen[self.n_science :], strict=True)
        empty = [name for name, there in others if not there]
        if empty:
            msg = f"{len(empty)} reference frames have no valid pixel and do not take part (first: {empty[0]})"
            warn(msg, MissingDataWarning)
        return int(seen.sum())

    def check_zones(self, zones: IntArray) -> None:
        """Raise if no frame has anything in one of the zones."""
        empty = [number for number, pixels in enumerate(pixels_of(zones)) if self.mask[:, pixels].all()]
        if empty:
            y, x = np.argwhere(zones == empty[0])[0]
            found = f"none in {len(empty)} of {zones.max() + 1} (one is at x={x}, y={y}); mask it, or make zones larger"
            raise fail(self._name, "such that they have pixels in every zone", found)

    @property
    def _name(self) -> str:
        """What the frames are called in `reduce`."""
        return "science" if self.n_science == len(self.frames) else "references"


def build_components(
    references: Frames,
    n_components: int | None = None,
    *,
    inner_radius: float | None = None,
    outer_radius: float | None = None,
    mask: Any = None,
    annulus_width: float | None = None,
    n_segments: int = 1,
    estimator: SequentialNMF | None = None,
    progress: Progress = no_progress,
) -> Components:
    """Build components from reference frames, to be used at once or kept.

    Parameters
    ----------
    references : Frames, or anything that `Frames` takes
    n_components
        10 by default, or the number of references where there are fewer.
    inner_radius, outer_radius, mask, annulus_width, n_segments
        As in `reduce`. Every zone has components of its own, which are 0 in the others.
    estimator : SequentialNMF, optional
        To set tolerance, refit rule, seed and the like.
    progress

    Returns
    -------
    Components
        Pixels outside the region, and those that no reference saw, are NaN.
    """
    references = Frames.of(references)
    region = region_of(references, inner_radius, outer_radius, mask)
    zones = zones_of(region, references.geometry.center, annulus_width, n_segments)
    return components_of(Library(references), zones, n_components, estimator, progress)


def components_of(
    library: Library,
    zones: IntArray,
    n_components: int | None = None,
    estimator: SequentialNMF | None = None,
    progress: Progress = no_progress,
    *,
    start: Components | None = None,
) -> Components:
    """Build components in every zone from a library; parameters as of `build_components`.

    With `start`, components of as many frames and the same zones, all are refined from there at once.
    """
    region = zones != OUTSIDE
    fit = _estimator(estimator, progress)
    default = DEFAULT_COMPONENTS if estimator is None else estimator.n_components
    usable = library.count(region)
    library.check_zones(zones)
    wanted = min(default, usable) if n_components is None else n_components
    fit.set_params(n_components=check_integer("n_components", wanted, 1, usable))
    parts = []
    for number, pixels in enumerate(pixels_of(zones)):
        if start is not None:
            columns = slice(number * fit.n_components, (number + 1) * fit.n_components)
            fit.set_params(init=(start.coefficients[:, columns], start.data[columns][:, pixels]))
        parts.append(_built(library, pixels, fit))
    components = parts[0] if len(parts) == 1 else _joined(parts, zones)
    _warn_of_unsupported(components, region)
    unit = library.frames.unit
    return components if unit is None else components.with_unit(unit)


def _estimator(given: SequentialNMF | None, progress: Progress) -> SequentialNMF:
    """Return a copy of the estimator, or the one that is used by default."""
    fit = SequentialNMF(tol=DEFAULT_TOLERANCE)
    if given is not None:
        fit.set_params(**given.get_params())
    if fit.progress is None:
        fit.set_params(progress=progress)
    return fit


def _built(library: Library, pixels: BoolArray, fit: SequentialNMF) -> Components:
    """Return the components of one zone; the pixels of the others are left out of the engine's work."""
    data, weights, mask = library.values(pixels)
    fit.fit(data, weights=weights, mask=mask)
    frames = library.frames
    return Components.from_fit(
        fit,
        "uniform: the references have no errors" if frames.sigma is None else "1/σ² of the references",
        references=list(frames.names),
        center=list(frames.geometry.center),
        pixel_scale=frames.geometry.pixel_scale,
        inputs=frames.meta.get("inputs", []),
        tol=fit.tol,
        max_iter=fit.max_iter,
        refit=fit.refit,
        random_state=fit.random_state,
        solver=fit.solver,
        init=fit.init if isinstance(fit.init, str) else "residual",
        pixel_fraction=fit.pixel_fraction,
        dtype=None if fit.dtype is None else np.dtype(fit.dtype).name,
        n_zones=1,
        version=__version__,
    ).placed(pixels)


def _joined(parts: list[Components], zones: IntArray) -> Components:
    """Return the components of all zones as one basis: those of a zone are 0 in the others."""

    def together(stages: tuple[FloatArray, ...]) -> FloatArray:
        filled = [np.where((zones != OUTSIDE) & (zones != z), 0.0, stage) for z, stage in enumerate(stages)]
        return np.concatenate(filled)

    stages = tuple(together(level) for level in zip(*(part.stages for part in parts), strict=True))
    coefficients = tuple(
        np.concatenate(level, axis=1) for level in zip(*(part.stage_coefficients for part in parts), strict=True)
    )
    history = _joined_history([part.history for part in parts])
    meta = parts[0].meta | {
        "n_zones": len(parts),
        "n_valid": sum(part.meta["n_valid"] for part in parts),
        "reduced_chi2": float(history["reduced_chi2"][-1]),
    }
    return replace(
        parts[0],
        data=stages[-1],
        coefficients=coefficients[-1],
        stages=stages,
        stage_coefficients=coefficients,
        history=history,
        meta=meta,
    )


def _joined_history(parts: list[Table]) -> Table:
    """Return the history of all zones: sums, the most iterations, the largest gradient; stages count all components."""
    columns = {name: np.stack([part[name] for part in parts]) for name in parts[0].colnames}
    chi2 = columns["chi2"].sum(axis=0)
    history = parts[0].copy()
    history["stage"] = columns["stage"].sum(axis=0)
    history["iterations"] = columns["iterations"].max(axis=0)
    history["kkt"] = columns["kkt"].max(axis=0)
    history["converged"] = columns["converged"].all(axis=0)
    history["seconds"] = columns["seconds"].sum(axis=0)
    for name in ("fractional_residual_variance", "reduced_chi2"):  # both are χ² over something that adds up
        with np.errstate(divide="ignore", invalid="ignore"):
            history[name] = chi2 / (columns["chi2"] / columns[name]).sum(axis=0)
    history["chi2"] = chi2
    return history


def region_of(frames: Frames, inner: float | None, outer: float | None, mask: Any) -> BoolArray:
    """Return the pixels to reduce: (y, x), `True` = used."""
    shape = frames.shape[1:]
    region = annulus(shape, frames.geometry.center, inner, outer)
    if mask is not None:
        region &= ~flat_mask("mask", mask, shape)
    if not region.any():
        raise fail("mask", "such that pixels are left between the radii", f"0 of {region.size} pixels")
    return region


def flat_mask(name: str, values: Any, shape: tuple[int, ...]) -> BoolArray:
    """Return a (y, x) mask."""
    mask = as_mask(name, values)
    check_shape(name, mask, shape)
    return mask


def _warn_of_unsupported(components: Components, region: BoolArray) -> None:
    """Say how many pixels no reference saw."""
    count = int((components.mask & region).sum())
    if count:
        msg = (
            f"{count} of {int(region.sum())} pixels are missing in every reference that could model them: they stay NaN"
        )
        warn(msg, MissingDataWarning)
