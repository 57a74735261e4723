"""From science frames and references to one image, north up: `reduce`."""

from __future__ import annotations

from typing import Any

import numpy as np

from astronmf import __version__
from astronmf._typing import BoolArray, Progress, no_progress
from astronmf._validation import as_mask, check_broadcast, check_choice, check_one_of_two, check_shape, fail
from astronmf.components import Components
from astronmf.estimator import SequentialNMF
from astronmf.exceptions import GeometryWarning, MissingDataWarning, warn
from astronmf.imaging.building import build_components, components_of, flat_mask, region_of
from astronmf.imaging.frames import Frames
from astronmf.imaging.geometry import Geometry, from_sky
from astronmf.imaging.modes import Recipe, default_combination
from astronmf.imaging.reduction import Reduction
from astronmf.imaging.target import Choice
from astronmf.imaging.zones import zones_of
from astronmf.kernels.compilation import announced_compilation

__all__ = ["build_components", "declared_missing", "reduce"]

# More of the region than this declared missing is rarely meant.
MOST_IMPUTED = 0.5


def reduce(
    science: Frames,
    references: Frames | None = None,
    *,
    components: Components | None = None,
    mode: str = "rdi",
    n_components: int | None = None,
    inner_radius: float | None = None,
    outer_radius: float | None = None,
    annulus_width: float | None = None,
    n_segments: int = 1,
    min_rotation: float | None = None,
    fwhm: float | None = None,
    mask: Any = None,
    imputation_mask: Any = None,
    imputation_frame: str = "sky",
    scale: Any = "bff",
    scale_by: str = "frame",
    scale_region: Any = None,
    combine: str | None = None,
    estimator: SequentialNMF | None = None,
    progress: Progress = no_progress,
) -> Reduction:
    """Remove the star from science frames: differential imaging with sequential NMF.

    Parameters
    ----------
    science : Frames, or anything that `Frames` takes
        If it also holds reference frames (``is_reference``) and no other references are given, it is split; with
        ``mode="adi"`` its reference frames are left out.
    references : Frames, or anything that `Frames` takes, optional
        Of other stars, aligned with the science frames, in the same unit.
    components : Components, optional
        Built before (`build_components`), instead of references.
    mode : {"rdi", "adi", "ardi"}
        Where the model of the star comes from: other stars; the science frames themselves, among which the sky has
        turned; or both.
    n_components
        In each zone. By default 10, or the number of references where there are fewer; with "adi" and "ardi" a quarter
        of the number of science frames, at most 30; the estimator's, if one is given; with `components`, all of them.
    inner_radius, outer_radius
        In pixels from the star; pixels outside are left out, and NaN in the result.
    annulus_width : float, optional
        In pixels: every annulus of this width is a zone with components of its own. The whole region by default.
    n_segments : int
        Sectors of each annulus, each a zone.
    min_rotation : float, optional
        With the modes "adi" and "ardi": in FWHM. Each frame is modelled with components of its own, built from those
        science frames in which a source at the middle radius of its zone has moved by so much (and from all other
        references). By default all frames share the components of the whole sequence.
    fwhm : float, optional
        Of the PSF in pixels, for `min_rotation`.
    mask : (y, x) bool array, optional
        `True` = excluded, in the detector's orientation: coronagraph, spiders, detector defects.
    imputation_mask : (y, x) or (n, y, x) bool array, optional
        `True` where the disk or planet is: these pixels count as missing when the star is modelled, so that the model
        does not eat the source (Ren+ 2020); with "adi" and "ardi" also when the components are built. Two-dimensional:
        on the pixels of `Reduction.combined`, north up, turned to each frame, so that it follows the source.
        Three-dimensional: a mask for each frame in the detector's orientation.
    imputation_frame : {"sky", "detector"}
        What a two-dimensional `imputation_mask` is drawn on.
    scale
        Factor between model and data: "bff" (best factor for subtraction; 1 for frames with pixels declared missing,
        and in the modes "adi" and "ardi", where the frame itself is in the library), "bff-ren2018", "bff-nmf_imaging",
        "none", a number, or a number for each frame. See `astronmf.imaging.scaling`.
    scale_by : {"frame", "roll", "all"}
        Which frames share a best factor: none, those of the same angle, or all. (`Reduction.fit` finds factors together
        with the flux of disks and planets, by annulus as well.)
    scale_region : (y, x) bool array, optional
        `True` where a best factor is judged, in the detector's orientation; all fitted pixels by default.
    combine : {"mean", "median", "weighted"}, optional
        "weighted" is by inverse variance, where no errors are given that of the residuals in time (Bottom+ 2017): the
        default with "adi" and "ardi". "mean" is the default with "rdi".
    estimator : SequentialNMF, optional
        To set tolerance, refit rule, seed and the like. Where its `n_components` or `tol` is `None`, as without an
        estimator, they are the mode's: see above, and a tolerance of 1e-5, with "adi" and "ardi" 1e-4.
    progress
        Called as ``progress(done, total, what)``.

    Returns
    -------
    Reduction

    Raises
    ------
    ValueError
        If an argument breaks its constraint, shapes, units or centres disagree, nothing is left to fit, angles are
        missing or constant in the modes "adi" and "ardi", or a frame has fewer references than components.
    """
    combine = default_combination(mode) if combine is None else combine
    recipe = Recipe(mode, scale, combine, min_rotation, fwhm, scale_by)
    check_one_of_two("references", references, "components", components)
    _check_library(recipe, references, components)
    science, references = _parted(Frames.of(science), references, recipe, components)
    region = region_of(science, inner_radius, outer_radius, mask)
    choice = Choice(
        region,
        declared_missing(science.shape, science.geometry, imputation_mask, imputation_frame),
        region if scale_region is None else flat_mask("scale_region", scale_region, region.shape),
        zones_of(region, science.geometry.center, annulus_width, n_segments),
    )
    if components is not None:
        library = None
        basis = components if n_components is None else components.at(n_components * components.meta.get("n_zones", 1))
        _check_zones(basis, choice)
    else:
        library = recipe.library(science, references, choice)
        fit = recipe.estimator(estimator, science, library, choice)
        recipe.check_references(science, library, choice, n_components or fit.n_components)
        basis = components_of(library, choice.zone_numbers, n_components, fit, progress)
    _check_components(science, basis, choice)
    parameters = {
        "mode": mode,
        "n_components": len(basis) // basis.meta.get("n_zones", 1),
        "inner_radius": inner_radius,
        "outer_radius": outer_radius,
        "annulus_width": annulus_width,
        "n_segments": n_segments,
        "min_rotation": min_rotation,
        "fwhm": fwhm,
        "masked": mask is not None,
        "imputed": imputation_mask is not None,
        "imputation_frame": imputation_frame,
        "scale_region": scale_region is not None,
        "scale": scale,
        "scale_by": scale_by,
        "combine": combine,
    }
    with announced_compilation(progress):
        meta = _meta(science, basis, parameters)
        return Reduction.of(science, basis, library, choice, meta, progress=progress)


def _check_library(recipe: Recipe, references: Any, components: Any) -> None:
    """Raise if what is given to model the star with is not what the mode takes."""
    if isinstance(references, Components):
        raise fail("references", "frames; components go by name, 'components='", "Components")
    if recipe.is_own and components is not None:
        found = "components; they are built from the science frames (for a basis that is there, mode='rdi')"
        raise fail("components", f"left out with mode={recipe.mode!r}", found)
    if recipe.mode == "adi" and references is not None:
        raise fail("references", "left out with mode='adi'; mode='ardi' uses both", "frames")


def _parted(science: Frames, references: Any, recipe: Recipe, components: Any) -> tuple[Frames, Frames | None]:
    """Return science frames and references as the mode needs them; one stack of both is split."""
    if references is not None:
        return science, Frames.of(references)
    if components is not None:
        return science, None
    if recipe.mode == "adi":
        own, _ = science.split()
        if own is None:
            raise fail("science", "such that not all frames are marked as references", f"{len(science)} references")
        return own, None
    return _split(science)


def _split(science: Frames) -> tuple[Frames, Frames]:
    """Part one stack into science and reference frames."""
    own, references = science.split()
    if own is None or references is None:
        found = f"None, and {int(science.is_reference.sum())} of {len(science)} science frames are marked as references"
        raise fail("references", "given, or science frames in part marked 'is_reference'", found)
    return own, references


def _check_zones(components: Components, choice: Choice) -> None:
    """Raise unless components that were built before have the zones that are asked for now."""
    check_shape("components", components.data, (None, *choice.region.shape))
    built, asked = components.meta.get("n_zones", 1), choice.n_zones
    advice = "give the same annulus_width, n_segments, radii and mask at both"
    if built != asked:
        raise fail("components", f"built in as many zones as are reduced, {asked}", f"{built}; {advice}")
    for columns, pixels in choice.zone_parts(len(components)):
        if np.nan_to_num(components.data[columns][:, choice.region & ~pixels]).any():
            raise fail("components", "built in the zones that are reduced", f"others; {advice}")


def declared_missing(shape: tuple[int, int, int], geometry: Geometry, mask: Any, orientation: str) -> BoolArray:
    """Return which pixels are declared missing in each frame, (n, y, x), in the detector's orientation."""
    check_choice("imputation_frame", orientation, ("sky", "detector"))
    if mask is None:
        return np.zeros(shape, dtype=bool)
    values = as_mask("imputation_mask", mask)
    check_shape("imputation_mask", values, shape if values.ndim == 3 else shape[1:])
    if values.ndim == 3 or orientation == "detector":
        return np.array(check_broadcast("imputation_mask", values, shape))
    image = values.astype(np.float64)
    turned = [np.nan_to_num(from_sky(image, geometry, i, order=1)) for i in range(shape[0])]
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
