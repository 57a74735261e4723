"""Joint fit of the star's components and of templates to all frames at once: the flux of disks and planets.

    data_i = c_i B_i + Σ_t a_t T_ti + noise

Each frame has its own coefficients c_i ≥ 0; each template (a disk, a planet, a star in the background) has one
amplitude a_t for all frames, turned with the sky and seen by the telescope. Nothing needs to be declared missing: the
templates take up what belongs to them. `astronmf.core.joint` has the mathematics.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from astronmf._typing import BoolArray, FloatArray, Progress, no_progress
from astronmf._validation import check_choice, check_integer, fail
from astronmf.core.joint import JointSystem, coefficients_at, solve_joint, star_covariance
from astronmf.exceptions import ConvergenceWarning, DegeneracyWarning, GeometryWarning, MissingDataWarning, warn
from astronmf.imaging.modelling.calibration import AngleCalibration, calibrate, calibration_angles
from astronmf.imaging.modelling.covariance import inverse_of_known
from astronmf.imaging.modelling.fit_result import TemplateFit
from astronmf.imaging.modelling.noise import DEFAULT_SYSTEMATICS, fit_weights
from astronmf.imaging.modelling.observation import Observation
from astronmf.imaging.modelling.observing import Observer
from astronmf.imaging.modelling.reduced import Reduced
from astronmf.imaging.modelling.sources import Source, as_source
from astronmf.imaging.modelling.star import STARS, StarDesign
from astronmf.imaging.modelling.templates import Templates

__all__ = ["Settings", "fit_templates", "named_sources", "observation_of", "settled_observation"]

CALIBRATIONS = ("angles",)
LEAST_COVERED = 0.1  # of a template's squared light: with less where there are data something is said
NO_LIGHT = 1e-6  # likewise: nothing but rounding and the last of a PSF's wings
LARGEST_INFLATION = 100.0  # of a variance: beyond it a template is hardly told from star and other templates
NOTHING_LEFT = 0.05  # of an error: what ends the reducing again


@dataclass(frozen=True)
class Settings:
    """How a fit is made; attributes as the parameters of `Reduction.fit`."""

    star: str = "components"
    annulus_width: float | None = None
    systematics: Any = DEFAULT_SYSTEMATICS
    non_negative: bool = True
    calibration: str | None = None
    n_angles: int = 12
    max_reductions: int = 3

    def __post_init__(self) -> None:
        """Check the choices."""
        check_choice("star", self.star, STARS)
        check_choice("calibration", self.calibration, (None, *CALIBRATIONS))
        check_integer("n_angles", self.n_angles, 3)
        check_integer("max_reductions", self.max_reductions, 0)


def named_sources(templates: Any) -> dict[str, Source]:
    """Return templates by name; those that come without one are ``template 0``, ….

    Parameters
    ----------
    templates : source, mapping of names to sources, or sequence of sources
        A source is whatever `as_source` takes.
    """
    if isinstance(templates, Mapping):
        found = {str(name): as_source(str(name), content) for name, content in templates.items()}
    elif isinstance(templates, (list, tuple)):
        found = {f"template {i}": as_source(f"template {i}", content) for i, content in enumerate(templates)}
    elif isinstance(templates, np.ndarray) and templates.ndim == 3:
        return named_sources(list(templates))
    else:
        found = {"template 0": as_source("template 0", templates)}
    if not found:
        raise fail("templates", "at least one disk, planet or other source", "none")
    return found


def fit_templates(
    reduction: Any,
    sources: Mapping[str, Source],
    observer: Observer,
    settings: Settings,
    progress: Progress = no_progress,
) -> TemplateFit:
    """Fit sources and the star to the science frames of a reduction; `Reduction.fit` says what comes back."""
    frames = np.stack([source.frames(observer) for source in sources.values()])
    found, _, _ = _settled(reduction, frames, _turned(sources, observer, settings, progress), settings, progress)
    named = replace(found, names=tuple(sources), settings=settings)
    _warn_of(named)
    return named.with_images(reduction)


def settled_observation(
    reduction: Any,
    sources: Mapping[str, Source],
    observer: Observer,
    settings: Settings,
    progress: Progress = no_progress,
) -> Observation:
    """Return what sources like these are fitted to, their own light kept out of star and noise as far as it is known.

    Where the star's models have taken up light of the sources, or the noise comes from residuals that show them, the
    sources are fitted first, as they are, and the star is modelled without them.
    """
    follows = reduction.self_reference is not None or settings.star != "components"
    if not follows and reduction.science.sigma is not None:
        return observation_of(reduction, settings)
    frames = np.stack([source.frames(observer) for source in sources.values()])
    _, used, known = _settled(reduction, frames, [[] for _ in sources], settings, progress)
    return observation_of(used, settings, known)


def _settled(
    reduction: Any, frames: FloatArray, turned: list[list[FloatArray]], settings: Settings, progress: Progress
) -> tuple[TemplateFit, Any, FloatArray | None]:
    """Return the fit of templates, the reduction that it is of, and the light that this has not seen.

    Where the star's models follow the templates, the science frames less these are reduced again, until the amplitudes
    stay.
    """
    used, known = reduction, None
    found, follows = _fitted(used, frames, turned, settings)
    if reduction.science.sigma is None:  # now that the sources are known, the scatter is that without them
        used = replace(reduction, residuals=found.residuals)
        found, follows = _fitted(used, frames, turned, settings)
    if not follows or not settings.max_reductions:
        return found, used, known
    if not _is_whole(reduction):
        msg = (
            "amplitudes are those of the first order, too small for bright sources: the file of a reduction in mode "
            "'ardi' does not hold the reference frames, without which it cannot be reduced again; fit where it was made"
        )
        warn(msg, ConvergenceWarning)
        return found, used, known
    for done in range(settings.max_reductions):
        known = found.light()
        used = replace(_without(reduction, known), science=reduction.science)
        better, _ = _fitted(used, frames, turned, settings, known)
        moved, errors = np.abs(better.fitted - found.fitted), np.maximum(better.errors, np.finfo(float).tiny)
        found = better
        progress(done + 1, settings.max_reductions, "reductions without the templates")
        if not np.nanmax(moved / errors, initial=0.0) > NOTHING_LEFT:
            return found, used, known
    warn(f"after {done + 1} reductions without the templates their amplitudes still change", ConvergenceWarning)
    return found, used, known


def _without(reduction: Any, light: FloatArray) -> Any:
    """Return the reduction of the science frames less some light; what pixels it lacks was said before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MissingDataWarning)
        return reduction.again(reduction.science.replace_data(reduction.science.data - light), warm=True)


def _is_whole(reduction: Reduced) -> bool:
    """Return whether all that the reduction was made from is there: a file does not hold the reference frames."""
    return reduction.recipe.mode != "ardi" or reduction.references is not None


def _turned(
    sources: Mapping[str, Source], observer: Observer, settings: Settings, progress: Progress
) -> list[list[FloatArray]]:
    """Return each source at the other position angles; nothing without a calibration."""
    if settings.calibration is None:
        return [[] for _ in sources]
    angles = calibration_angles(settings.n_angles)
    out = []
    for j, source in enumerate(sources.values()):
        out.append([_elsewhere(source, observer.turned(angle)) for angle in angles])
        progress(j + 1, len(sources), "templates turned")
    return out


def _elsewhere(source: Source, observer: Observer) -> FloatArray:
    """Return a turned source, (n, y, x), of which nothing need be said if it leaves the frames."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GeometryWarning)
        try:
            return source.frames(observer)
        except ValueError:  # a point outside all frames; whatever else may be wrong is so at its own place too
            return np.zeros(observer.shape)


def observation_of(reduction: Any, settings: Settings, known: FloatArray | None = None) -> Observation:
    """Return what templates are fitted to.

    Parameters
    ----------
    reduction
    settings
    known : (n, y, x) array, optional
        Light that was taken off the science frames before the star was modelled, which has taken up nothing of it,
        therefore.
    """
    science, choice = reduction.science, reduction.choice
    models, factors = _models(reduction)
    follows: Any = None
    if settings.star != "components":
        unscaled = models / factors[:, None, None]
        star = StarDesign.of_models(unscaled, science, choice, settings.star, settings.annulus_width)
        follows = partial(_taken_up, replace(reduction, scale_factors=np.ones(len(science))))
    else:
        star = StarDesign.of_components(reduction.bases, len(science))
        if reduction.self_reference is not None:
            zones = choice.zone_numbers
            follows = partial(reduction.self_reference.carried, weights=reduction.weights, zones=zones)
    weights = fit_weights(science, models, reduction.residuals, settings.systematics)[:, choice.region]
    data = np.where(weights > 0, science.data[:, choice.region], 0.0).astype(np.float64)
    if follows is not None and known is not None:
        data -= np.where(weights > 0, follows(known)[:, choice.region], 0.0)
    return Observation(data, weights, star, choice.region, follows)


def _models(reduction: Reduced) -> tuple[FloatArray, FloatArray]:
    """Return the star's models, (n, y, x), and the factors in them, (n,); not scaled where the factor is 0."""
    factors = np.where(reduction.scale_factors == 0, 1.0, reduction.scale_factors)
    if (reduction.scale_factors != 0).all():
        return reduction.models, factors
    models = reduction.models.copy()
    for rows, basis in reduction.bases.by_frame(len(models)):
        bare = rows[reduction.scale_factors[rows] == 0]
        unscaled = np.tensordot(np.nan_to_num(reduction.coefficients[bare]), np.nan_to_num(basis), axes=1)
        models[bare] = np.where(np.isfinite(models[bare]), unscaled, np.nan)
    return models, factors


def _taken_up(reduction: Reduced, sources: FloatArray) -> FloatArray:
    """Return what the star's models have taken up of a source: (n, y, x)."""
    left = reduction.remaining(sources)
    return np.where(np.isfinite(left), sources - left, 0.0)


def _fitted(
    reduction: Reduced,
    frames: FloatArray,
    turned: list[list[FloatArray]],
    settings: Settings,
    known: FloatArray | None = None,
) -> tuple[TemplateFit, bool]:
    """Return the fit of templates in the frames, (t, n, y, x), and whether the star's models follow these.

    `known` is as for `observation_of`.
    """
    observation = observation_of(reduction, settings, known)
    templates = Templates.of(observation, frames)
    free = np.full(len(frames), not settings.non_negative or settings.calibration is not None)
    solution = solve_joint(templates.system, free)
    if not solution.converged:
        warn("the joint fit of star and templates ended at its limit of steps", ConvergenceWarning)
    curvature, apart = solution.curvature, templates.apart(solution.curvature)
    covariance, determined = inverse_of_known(curvature, apart)
    unknown = np.where(determined, 0.0, np.nan)
    inflation, stated, calibration = templates.inflation(covariance, apart) + unknown, solution.amplitudes, None
    if settings.calibration is not None:
        calibration = _calibrated(observation, templates.seen, turned, settings, apart)
        stated, covariance = calibration.amplitudes, calibration.covariance
        amplitudes = _first_known(stated, calibration.raw, solution.amplitudes)
        solution = coefficients_at(templates.system, amplitudes)
    light = np.einsum("t,tnp->np", solution.amplitudes, templates.seen)
    star = observation.star.model(solution.coefficients)
    left = np.where(observation.weights > 0, observation.data - star - light, np.nan)
    counted = determined & (free | (solution.amplitudes > 0))
    coefficient_covariances = star_covariance(templates.system, solution, np.nan_to_num(covariance))
    found = TemplateFit(
        names=(),
        amplitudes=stated + unknown,
        covariance=covariance + unknown + unknown[:, None],
        status=_status(stated, templates.sees, determined, free),
        chi2=float(np.nansum(observation.weights * np.square(left))),
        n_valid=observation.n_valid,
        n_parameters=int((solution.coefficients > 0).sum()) + int(counted.sum()),
        condition_number=templates.condition_number(curvature),
        variance_inflation=inflation,
        covered=templates.covered,
        coefficients=_unless_blank(solution.coefficients, templates.system),
        coefficient_covariances=_unless_blank(coefficient_covariances, templates.system),
        star=_starlight(observation, star, solution.amplitudes, templates, known),
        residuals=observation.placed(left),
        templates=frames,
        fitted=solution.amplitudes,
        calibration=calibration,
        settings=settings,
    )
    return found, observation.follows is not None


def _first_known(*candidates: FloatArray) -> FloatArray:
    """Return the first finite value of each place."""
    found = candidates[-1]
    for values in reversed(candidates[:-1]):
        found = np.where(np.isfinite(values), values, found)
    return found


def _starlight(
    observation: Observation,
    star: FloatArray,
    amplitudes: FloatArray,
    templates: Templates,
    known: FloatArray | None,
) -> FloatArray:
    """Return the star, (n, p), as frames, without what its models have taken up of the sources: (n, y, x)."""
    followed = np.einsum("t,tnp->np", amplitudes, templates.own - templates.seen)
    frames = observation.placed(star - followed)
    return frames if known is None or observation.follows is None else frames + observation.follows(known)


def _unless_blank(values: FloatArray, system: JointSystem) -> FloatArray:
    """Return what is known of each group's coefficients, NaN where no value that has weight says anything."""
    blank = np.diagonal(system.gram, axis1=1, axis2=2) == 0
    out = np.where(blank if values.ndim == 2 else blank[:, :, None] | blank[:, None, :], np.nan, values)
    return np.asarray(out)


def _calibrated(
    observation: Observation,
    templates: FloatArray,
    turned: list[list[FloatArray]],
    settings: Settings,
    apart: BoolArray,
) -> AngleCalibration:
    """Return what the templates find at other angles."""
    angles = calibration_angles(settings.n_angles)
    columns = [
        values
        for own, others in zip(templates, turned, strict=True)
        for values in (own, *(observation.seen(one) for one in others))
    ]
    system = observation.system(np.stack(columns))
    first = np.arange(len(templates)) * (len(angles) + 1)
    start = np.zeros(len(columns))
    start[first] = solve_joint(_some(system, first), np.ones(len(first), dtype=bool)).amplitudes
    piece = coefficients_at(system, start)
    return calibrate(piece.curvature, piece.gradient, apart, angles)


def _some(system: JointSystem, chosen: Any) -> JointSystem:
    """Return the system of some of the templates."""
    return replace(
        system,
        cross=system.cross[:, :, chosen],
        template_gram=system.template_gram[np.ix_(chosen, chosen)],
        template_right=system.template_right[chosen],
    )


def _status(stated: FloatArray, sees: BoolArray, determined: BoolArray, free: BoolArray) -> tuple[str, ...]:
    """Return a word on each amplitude; `TemplateFit` says what they mean."""
    found = np.where(determined, "determined", "degenerate").astype("U16")
    found[determined & ~free & (stated <= 0)] = "at bound"
    found[determined & ~np.isfinite(stated)] = "uncalibrated"
    found[~sees] = "unconstrained"
    return tuple(str(word) for word in found)


def _warn_of(fit: TemplateFit) -> None:
    """Warn of amplitudes that the data hardly determine, or not at all."""
    for row in zip(fit.names, fit.status, fit.variance_inflation, fit.covered, strict=True):
        for doubt in _doubts(*row):
            warn(doubt, DegeneracyWarning)


def _doubts(name: str, status: str, inflation: float, covered: float) -> Iterator[str]:
    """Yield what speaks against an amplitude."""
    share = "no light" if covered < NO_LIGHT else f"{covered:.1g} of its squared light"
    if status == "unconstrained":
        yield f"template {name!r} has {share} where there are data: its amplitude is unconstrained"
    elif covered < LEAST_COVERED:
        yield f"template {name!r} has only {share} where there are data: what is seen of it are its wings"
    if status == "degenerate":
        yield f"template {name!r} cannot be told from the star's components or other templates: its amplitude is NaN"
    elif status == "uncalibrated":
        yield (
            f"template {name!r} hardly changes when it is turned about the star: it cannot be calibrated in position "
            "angle, and 'calibration.raw' has its amplitude without"
        )
    elif inflation > LARGEST_INFLATION:
        yield (
            f"template {name!r} is nearly a sum of star components and other templates: the variance of its "
            f"amplitude is {inflation:.0f} times what it would be alone"
        )
