"""How likely the parameters of disks and planets are, given the frames: for samplers and optimizers.

Of every trial only the templates are new. Rotations, the PSF's transform, the data's products with the components and
the components' Gram matrices are there; amplitudes and the star's coefficients are the best ones for the trial
(profiled out), so that they are no dimensions of the search.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np

from astronmf._typing import FloatArray, Progress, no_progress
from astronmf._validation import as_real_array, check_number, check_shape, fail
from astronmf.core.joint import JointSolution, solve_joint
from astronmf.exceptions import ConvergenceWarning, DegeneracyWarning, warn
from astronmf.imaging.exposures import rotation_in_exposure
from astronmf.imaging.modelling.covariance import inverse_of_known
from astronmf.imaging.modelling.observation import Observation
from astronmf.imaging.modelling.observing import Observer
from astronmf.imaging.modelling.sources import Source, as_source

__all__ = ["Likelihood", "with_parameters"]

MOST_EVALUATIONS = 400  # of an optimizer, for each parameter
FIRST_STEP = 0.2  # of a range
MOST_RESTARTS = 5  # of an optimizer, whose simplex may have become flat
SMALLEST_STEP = 1e-4  # of a range, that a curvature is first looked for with
MOST_STEPS = 20


def with_parameters(source: Any, **changes: float) -> Source:
    """Return a source with some parameters changed: by its own ``with_parameters``, or as a dataclass."""
    own = getattr(source, "with_parameters", None)
    return as_source("source", own(**changes) if own is not None else replace(source, **changes))


@dataclass(frozen=True, eq=False)
class Likelihood:
    """The log-probability of free parameters of sources.

    Call it with a vector of parameters; `Reduction.likelihood` makes it.

    Attributes
    ----------
    sources : dict of str to Source
        All that is in the frames beside the star, with the values of the parameters that are not free.
    bounds : dict of str to (float, float)
        By ``source.parameter``: the range of each free parameter, within which the prior is uniform.
    observation : Observation
    observer : Observer
        Of one frame for each orientation, where the star does not follow the sources.
    noise_factor : float
        By how much errors are larger than stated, as a calibration in position angle finds: χ² is divided by its
        square.
    non_negative : bool
        Whether amplitudes are.
    """

    sources: dict[str, Source]
    bounds: dict[str, tuple[float, float]]
    observation: Observation
    observer: Observer
    noise_factor: float = 1.0
    non_negative: bool = True
    _fixed: dict[str, FloatArray] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        """Check that every bound is one of a parameter that is there; find frames that show the same."""
        check_number("noise_factor", self.noise_factor, np.nextafter(0, 1))
        if not self.bounds:
            raise fail("free", "the ranges of one parameter or more", "none")
        for name, (low, high) in self.bounds.items():
            what = f"free {name}"
            ends = check_number(what, low), check_number(what, high)
            if not ends[0] < ends[1]:
                raise fail(what, "a range (low, high) with low below high", ends)
            source, _, parameter = name.partition(".")
            if source not in self.sources:
                raise fail("free", f"of sources that are there: {', '.join(self.sources)}", repr(name))
            try:
                with_parameters(self.sources[source], **{parameter: (low + high) / 2})
            except TypeError as error:
                raise fail("free", f"of parameters that source {source!r} has", f"{parameter!r} ({error})") from None
        observer, observation = _distinct(self.observer, self.observation)
        object.__setattr__(self, "observer", observer)
        object.__setattr__(self, "observation", observation)

    @property
    def names(self) -> list[str]:
        """The free parameters, ``source.parameter``, in the order of the vector."""
        return list(self.bounds)

    @cached_property
    def _limits(self) -> FloatArray:
        return np.array(list(self.bounds.values()), dtype=np.float64)

    @property
    def start(self) -> FloatArray:
        """The values that the sources have, within the ranges; the middle of a range where there is none: (d,)."""
        low, high = self._limits.T
        values = self._limits.mean(axis=1)
        for i, name in enumerate(self.bounds):
            value = _value(self.sources, *name.split(".", 1))
            values[i] = values[i] if value is None else value
        return np.asarray(np.clip(values, low, high))

    def __call__(self, parameters: Any) -> float:
        """Return the log-probability, up to a constant; −inf outside the ranges."""
        return self.with_amplitudes(parameters)[0]

    def with_amplitudes(self, parameters: Any) -> tuple[float, FloatArray, FloatArray]:
        """Return the log-probability, the best amplitudes and their errors, (t,) each, of a vector of parameters.

        Both are NaN where the vector lies outside the ranges, or where a source cannot be made of it.
        """
        vector = self._vector(parameters)
        low, high = self._limits.T
        nothing = np.full(len(self.sources), np.nan)
        unknown = -np.inf, nothing, nothing
        if not ((vector >= low) & (vector <= high)).all():
            return unknown
        try:
            found = self.solve(vector)
        except ValueError:  # what is wrong, `solve` says; a chain goes on
            return unknown
        covariance, known = inverse_of_known(found.curvature, np.ones(len(nothing), dtype=bool))
        errors = np.where(known, self.noise_factor * np.sqrt(np.diag(covariance)), np.nan)
        return -0.5 * found.chi2 / self.noise_factor**2, found.amplitudes, errors

    def solve(self, parameters: Any) -> JointSolution:
        """Return the joint fit of star and sources for a vector of parameters, within the ranges or not.

        Raises
        ------
        ValueError
            If a source cannot be made of them.
        """
        system = self.observation.system(self._templates(self.at(parameters)))
        return solve_joint(system, np.full(len(self.sources), not self.non_negative))

    def at(self, parameters: Any) -> dict[str, Source]:
        """Return the sources with a vector of parameters."""
        vector = self._vector(parameters)
        changes: dict[str, dict[str, float]] = {}
        for name, value in zip(self.bounds, vector, strict=True):
            source, _, parameter = name.partition(".")
            changes.setdefault(source, {})[parameter] = float(value)
        return {
            name: with_parameters(source, **changes[name]) if name in changes else source
            for name, source in self.sources.items()
        }

    def _vector(self, parameters: Any) -> FloatArray:
        vector = as_real_array("parameters", parameters).astype(np.float64)
        check_shape("parameters", vector, (len(self.bounds),))
        return vector

    def _templates(self, sources: Mapping[str, Source]) -> FloatArray:
        """Return the sources at the pixels, (t, n, p); those without free parameters are kept."""
        found = []
        for name, source in sources.items():
            kept = source is self.sources[name]
            if not kept or name not in self._fixed:
                frames = source.frames(self.observer)
                check_shape(f"the frames of {name}", frames, self.observer.shape)
                seen = self.observation.seen(frames)
                if kept:
                    self._fixed[name] = seen
            found.append(self._fixed[name] if kept else seen)
        return np.stack(found)

    def maximize(self, start: Any = None, *, tolerance: float = 1e-3, progress: Progress = no_progress) -> FloatArray:
        """Return the most probable parameters, by the simplex method of Nelder & Mead within the ranges.

        Parameters
        ----------
        start : (d,) array, optional
            `start` by default. The nearest maximum is found: where there may be several, try several.
        tolerance : float
            Of the log-probability, and of each parameter as a share of its range, at which the search ends.
        progress

        Returns
        -------
        (d,) array

        Raises
        ------
        ValueError
            If the start is outside the ranges, or a source cannot be made of it.

        Warns
        -----
        ConvergenceWarning
            If it ends before that.
        """
        low, high = self._limits.T
        best = self._vector(self.start if start is None else start)
        if not ((best >= low) & (best <= high)).all():
            raise fail("start", "within the ranges of all parameters", best.tolist())
        value = 0.5 * self.solve(best).chi2 / self.noise_factor**2
        most, done = MOST_EVALUATIONS * len(low), 0

        def cost(share: FloatArray) -> float:
            nonlocal done
            done += 1
            progress(min(done, most), most, "trials")
            return -self(np.clip(low + share * (high - low), low, high))

        for _ in range(MOST_RESTARTS):
            found = _simplex(cost, (best - low) / (high - low), tolerance, most)
            gained = value - float(found.fun)
            if gained > 0:
                best, value = np.clip(low + found.x * (high - low), low, high), float(found.fun)
            if found.success and gained <= tolerance:
                return np.asarray(best)
        warn(f"the search for the most probable parameters ended after {done} trials", ConvergenceWarning)
        return np.asarray(best)

    def covariance(self, parameters: Any) -> FloatArray:
        """Return the covariance of the parameters near a maximum, (d, d), as if the probability were Gaussian there.

        From second differences of the log-probability, over steps that lower it by about one half; beside the edge of a
        range, from differences within it. With the errors that the weights know: `noise_factor` is in them.

        Parameters
        ----------
        parameters : (d,) array
            As `maximize` finds them.

        Returns
        -------
        (d, d) array
            NaN for parameters that the data do not determine, alone or from each other.

        Warns
        -----
        DegeneracyWarning
            If there are such.
        """
        vector, low, high = self._vector(parameters), *self._limits.T
        steps = np.array([self._step(vector, i) for i in range(len(vector))])
        known = np.isfinite(steps)
        reach = np.where(known, steps, 0.0)
        curvature = self._curvature(np.clip(vector, low + reach, high - reach), reach)
        inverse, found = inverse_of_known(curvature, known & np.isfinite(curvature).all(axis=0))
        if not found.all():
            names = ", ".join(name for name, one in zip(self.names, found, strict=True) if not one)
            warn(f"the data do not determine {names}, near these values", DegeneracyWarning)
        return np.where(found[:, None] & found, inverse * reach[:, None] * reach, np.nan)

    def _curvature(self, vector: FloatArray, steps: FloatArray) -> FloatArray:
        """Return minus the second derivatives of the log-probability, in units of the steps: (d, d), 0 without one."""
        d, here = len(vector), self(vector)
        sides, out = np.diag(steps), np.zeros((len(vector), len(vector)))
        for i in np.flatnonzero(steps):
            out[i, i] = 2 * here - self(vector + sides[i]) - self(vector - sides[i])
        for one, other in itertools.combinations(range(d), 2):
            if steps[one] and steps[other]:
                same = self(vector + sides[one] + sides[other]) + self(vector - sides[one] - sides[other])
                opposite = self(vector + sides[one] - sides[other]) + self(vector - sides[one] + sides[other])
                out[one, other] = out[other, one] = (opposite - same) / 4
        return out

    def _step(self, vector: FloatArray, i: int) -> float:
        """Return the step along a parameter that lowers the log-probability by about one half; NaN if none does."""
        low, high = self._limits[i]
        step, direction = SMALLEST_STEP * float(high - low), np.eye(len(vector))[i]
        for _ in range(MOST_STEPS):
            middle = vector + (np.clip(vector[i], low + step, high - step) - vector[i]) * direction
            lost = self(middle) - (self(middle + step * direction) + self(middle - step * direction)) / 2
            if not np.isfinite(lost) or 2 * step > high - low:
                return float("nan")
            if 0.1 < lost < 2.0:
                return step
            step *= float(np.clip(np.sqrt(0.5 / lost), 0.2, 5.0)) if lost > 0 else 5.0
        return float("nan")


def _value(sources: Mapping[str, Any], source: str, parameter: str) -> float | None:
    """Return the value that a source's parameter has, if it has one."""
    known = getattr(sources[source], "parameters", {})
    own = known.get(parameter) if isinstance(known, Mapping) else None
    value = getattr(sources[source], parameter, own)
    return float(value) if isinstance(value, Real) and np.isfinite(float(value)) else None


def _simplex(cost: Any, start: FloatArray, tolerance: float, most: int) -> Any:
    """Return where the simplex method ends, from shares of the ranges."""
    from scipy import optimize  # here, so that reductions do not wait for it

    start = np.clip(start, 0.0, 1.0)
    corners = np.vstack([start, start + FIRST_STEP * np.where(start > 0.5, -1.0, 1.0) * np.eye(len(start))])
    options = {"xatol": tolerance, "fatol": tolerance, "maxfev": most, "initial_simplex": corners}
    return optimize.minimize(cost, start, method="Nelder-Mead", bounds=[(0.0, 1.0)] * len(start), options=options)


def _distinct(observer: Observer, observation: Observation) -> tuple[Observer, Observation]:
    """Return an observer of one frame for each orientation, and an observation that knows which frame shows which."""
    n, geometry = observer.shape[0], observer.geometry
    turns = rotation_in_exposure(observer.smearing, geometry, n)
    each = np.array([[geometry.angle_of(i), turn] for i, turn in enumerate(turns)])
    pictures, which = np.unique(each, axis=0, return_inverse=True)
    if observation.follows is not None or len(pictures) == n:
        return observer, observation
    fewer = replace(
        observer,
        geometry=replace(geometry, angles=pictures[:, 0]),
        shape=(len(pictures), *observer.shape[1:]),
        smearing=pictures[:, 1] if turns.any() else None,
    )
    return fewer, replace(observation, orientation=which.ravel())
