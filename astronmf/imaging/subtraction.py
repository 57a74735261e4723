"""From science frames and references to one image, north up: `reduce`."""

from __future__ import annotations

from typing import Any

import numpy as np

from astronmf import __version__
from astronmf._typing import BoolArray, Progress, no_progress
from astronmf._validation import (
    as_mask,
    check_broadcast,
    check_choice,
    check_integer,
    check_one_of_two,
    check_shape,
    fail,
)
from astronmf.components import Components
from astronmf.estimator import SequentialNMF
from astronmf.exceptions import GeometryWarning, MissingDataWarning, warn
from astronmf.imaging.combination import METHODS
from astronmf.imaging.frames import Frames, check_same_grid
from astronmf.imaging.geometry import annulus, from_sky
from astronmf.imaging.reduction import Reduction
from astronmf.imaging.target import Choice, model_target
from astronmf.kernels.compilation import announced_compilation

__all__ = ["build_components", "reduce"]

DEFAULT_COMPONENTS = 10

# More of the region than this declared missing is rarely meant.
MOST_IMPUTED = 0.5

# The literature's tolerance. `python -m benchmarks.simulation` shows what a tenth and ten times of it cost and change.
DEFAULT_TOLERANCE = 1e-5


def reduce(
    science: Frames,
    references: Frames | None = None,
    *,
    components: Components | None = None,
    mode: str = "rdi",
    n_components: int | None = None,
    inner_radius: float | None = None,
    outer_radius: float | None = None,
    mask: Any = None,
    imputation_mask: Any = None,
    imputation_frame: str = "sky",
    scale: Any = "bff",
    scale_region: Any = None,
    combine: str = "mean",
    estimator: SequentialNMF | None = None,
    progress: Progress = no_progress,
) -> Reduction:
    """Remove the star from science frames: reference-star differential imaging with sequential NMF.

    Parameters
    ----------
    science : Frames, or anything that `Frames` takes
        If it also holds reference frames (``is_reference``) and no other references are given, it is split.
    references : Frames, or anything that `Frames` takes, optional
        Of other stars, aligned with the science frames, in the same unit.
    components : Components, optional
        Built before (`build_components`), instead of references.
    mode : {"rdi"}
        Where the model of the star comes from: other stars.
    n_components
        10 by default, or the number of references where there are fewer; with `components`, all of them.
    inner_radius, outer_radius
        In pixels from the star; pixels outside are left out, and NaN in the result.
    mask : (y, x) bool array, optional
        `True` = excluded, in the detector's orientation: coronagraph, spiders, detector defects.
    imputation_mask : (y, x) or (n, y, x) bool array, optional
        `True` where the disk or planet is: these pixels count as missing when the star is modelled, so that the model
        does not eat the source (Ren+ 2020). Two-dimensional: on the pixels of `Reduction.combined`, north up, turned
        to each frame. Three-dimensional: a mask for each frame in the detector's orientation.
    imputation_frame : {"sky", "detector"}
        What a two-dimensional `imputation_mask` is drawn on.
    scale
        Factor between model and data: "bff" (best factor for subtraction; 1 for frames with pixels declared missing),
        "bff-ren2018", "bff-nmf_imaging", "none", a number, or a number for each frame. See `astronmf.imaging.scaling`.
    scale_region : (y, x) bool array, optional
        `True` where a best factor is judged, in the detector's orientation; all fitted pixels by default.
    combine : {"mean", "median", "weighted"}
        "weighted" is by inverse variance.
    estimator : SequentialNMF, optional
        To set tolerance (1e-5 without it), refit rule, seed and the like.
    progress
        Called as ``progress(done, total, what)``.

    Returns
    -------
    Reduction

    Raises
    ------
    ValueError
        If an argument breaks its constraint, shapes, units or centres disagree, or nothing is left to fit.
    """
    check_choice("mode", mode, ("rdi",))
    check_choice("combine", combine, METHODS)
    check_one_of_two("references", references, "components", components)
    if isinstance(references, Components):
        raise fail("references", "frames; components go by name, 'components='", "Components")
    science = Frames.of(science)
    if references is None and components is None:
        science, references = _split(science)
    region = _region(science, inner_radius, outer_radius, mask)
    choice = Choice(
        region,
        _imputed(science, imputation_mask, imputation_frame),
        region if scale_region is None else _flat_mask("scale_region", scale_region, region.shape),
    )
    if references is not None:
        references = Frames.of(references)
        check_same_grid(science, references, "references")
        basis = build_components(references, n_components, region=region, estimator=estimator, progress=progress)
    elif components is not None:
        basis = components if n_components is None else components.at(n_components)
    _check_components(science, basis, choice)
    with announced_compilation(progress):
        target = model_target(science, basis, choice, scale)
    parameters = {
        "mode": mode,
        "n_components": len(basis),
        "inner_radius": inner_radius,
        "outer_radius": outer_radius,
        "masked": mask is not None,
        "imputed": imputation_mask is not None,
        "imputation_frame": imputation_frame,
        "scale_region": scale_region is not None,
        "scale": scale,
        "combine": combine,
    }
    return Reduction.from_target(science, basis, choice, target, _meta(science, basis, parameters))


def build_components(
    references: Frames,
    n_components: int | None = None,
    *,
    inner_radius: float | None = None,
    outer_radius: float | None = None,
    mask: Any = None,
    region: BoolArray | None = None,
    estimator: SequentialNMF | None = None,
    progress: Progress = no_progress,
) -> Components:
    """Build components from reference frames, to be used at once or kept.

    Parameters
    ----------
    references : Frames, or anything that `Frames` takes
    n_components
        10 by default, or the number of references where there are fewer.
    inner_radius, outer_radius, mask
        As in `reduce`.
    region : (y, x) bool array, optional
        `True` = used; instead of the three above.
    estimator : SequentialNMF, optional
        To set tolerance, refit rule, seed and the like.
    progress

    Returns
    -------
    Components
        Pixels outside the region, and those that no reference saw, are NaN.
    """
    references = Frames.of(references)
    if region is None:
        region = _region(references, inner_radius, outer_radius, mask)
    fit = SequentialNMF(tol=DEFAULT_TOLERANCE)
    if estimator is not None:
        fit.set_params(**estimator.get_params())
    default = DEFAULT_COMPONENTS if estimator is None else estimator.n_components
    usable = _count_usable(references, region)
    wanted = min(default, usable) if n_components is None else n_components
    fit.set_params(n_components=check_integer("n_components", wanted, 1, usable))
    if fit.progress is None:
        fit.set_params(progress=progress)
    fit.fit(references.data, weights=references.weights() * region, mask=references.mask | ~region)
    origin = "uniform: the references have no errors" if references.sigma is None else "1/σ² of the references"
    geometry = references.geometry
    components = Components.from_fit(
        fit,
        origin,
        references=list(references.names),
        center=list(geometry.center),
        pixel_scale=geometry.pixel_scale,
        inputs=references.meta.get("inputs", []),
        tol=fit.tol,
        max_iter=fit.max_iter,
        refit=fit.refit,
        random_state=fit.random_state,
        version=__version__,
    )
    _warn_of_unsupported(components, region)
    return components if references.unit is None else components.with_unit(references.unit)


def _split(science: Frames) -> tuple[Frames, Frames]:
    """Part one stack into science and reference frames."""
    own, references = science.split()
    if own is None or references is None:
        found = f"None, and {int(science.is_reference.sum())} of {len(science)} science frames are marked as references"
        raise fail("references", "given, or science frames in part marked 'is_reference'", found)
    return own, references


def _region(frames: Frames, inner: float | None, outer: float | None, mask: Any) -> BoolArray:
    """Return the pixels to reduce: (y, x), `True` = used."""
    shape = frames.shape[1:]
    region = annulus(shape, frames.geometry.center, inner, outer)
    if mask is not None:
        region &= ~_flat_mask("mask", mask, shape)
    if not region.any():
        raise fail("mask", "such that pixels are left between the radii", f"0 of {region.size} pixels")
    return region


def _flat_mask(name: str, values: Any, shape: tuple[int, ...]) -> BoolArray:
    """Return a (y, x) mask."""
    mask = as_mask(name, values)
    check_shape(name, mask, shape)
    return mask


def _imputed(science: Frames, mask: Any, orientation: str) -> BoolArray:
    """Return which pixels are declared missing in each frame, (n, y, x), in the detector's orientation."""
    check_choice("imputation_frame", orientation, ("sky", "detector"))
    if mask is None:
        return np.zeros(science.shape, dtype=bool)
    values = as_mask("imputation_mask", mask)
    check_shape("imputation_mask", values, science.shape if values.ndim == 3 else science.shape[1:])
    if values.ndim == 3 or orientation == "detector":
        return np.array(check_broadcast("imputation_mask", values, science.shape))
    image = values.astype(np.float64)
    turned = [np.nan_to_num(from_sky(image, science.geometry, i, order=1)) for i in range(len(science))]
    return np.stack(turned) > 0.01  # every pixel that the region touches


def _check_components(science: Frames, components: Components, choice: Choice) -> None:
    """Raise unless the components fit the frames and leave something to fit; warn of what is lost."""
    check_shape("components", components.data, (None, *science.shape[1:]))
    center = components.meta.get("center")
    if center is not None and not np.allclose(center, science.geometry.center, atol=0.05):
        raise fail("components", f"built around the star's position {science.geometry.center}", tuple(center))
    used = choice.weights(science) * ~components.mask > 0
    if not used.any():
        found = "none left after mask, radii, missing data and the imputation mask"
        raise fail("science", "such that it has pixels to fit in the region", found)
    empty = [name for name, frame in zip(science.names, used, strict=True) if not frame.any()]
    if empty:
        msg = f"{len(empty)} science frames have no pixel to fit and are left out (first: {empty[0]})"
        warn(msg, MissingDataWarning)
    share = float((choice.imputed & choice.region).sum() / (choice.region.sum() * len(science)))
    if share > MOST_IMPUTED:
        msg = (
            f"'imputation_mask' declares {share:.0%} of the region missing; True means missing (the disk or planet), "
            "the opposite of nmf_imaging's masks: is it the right way round?"
        )
        warn(msg, MissingDataWarning)
    if science.angles is None:
        msg = "the science frames have no 'angles': they are combined as they are, and north is not up"
        warn(msg, GeometryWarning)


def _count_usable(references: Frames, region: BoolArray) -> int:
    """Return how many references have something in the region, and say which have not."""
    seen = (~references.mask & region).any(axis=(1, 2))
    empty = [name for name, there in zip(references.names, seen, strict=True) if not there]
    if len(empty) == len(references):
        found = "none left after mask, radii and missing data"
        raise fail("references", "such that they have pixels in the region", found)
    if empty:
        msg = f"{len(empty)} reference frames have no valid pixel and do not take part (first: {empty[0]})"
        warn(msg, MissingDataWarning)
    return int(seen.sum())


def _warn_of_unsupported(components: Components, region: BoolArray) -> None:
    """Say how many pixels no reference saw."""
    count = int((components.mask & region).sum())
    if count:
        msg = (
            f"{count} of {int(region.sum())} pixels are missing in every reference that could model them: they stay NaN"
        )
        warn(msg, MissingDataWarning)


def _meta(science: Frames, components: Components, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return what is needed to run this again, and what is known of the target."""
    inputs = list(science.meta.get("inputs", []))
    inputs += [item for item in components.meta.get("inputs", []) if item not in inputs]
    about = {key: science.meta[key] for key in ("ra", "dec", "object", "instrument", "filter") if key in science.meta}
    return about | {
        "parameters": parameters,
        "inputs": inputs,
        "version": __version__,
        "errors": "given" if science.sigma is not None else "from the scatter of the residuals",
        "n_unsupported": int(components.mask.sum()),
    }
