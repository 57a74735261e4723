"""`NMF` and `SequentialNMF`, in the manner of scikit-learn."""

from __future__ import annotations

import inspect
from typing import Any, Self

import astropy.units as u
import numpy as np
from astropy.table import Table
from numpy.typing import ArrayLike, DTypeLike

from astronmf._inputs import Values, parts, unpack
from astronmf._typing import BoolArray, FloatArray, Progress, no_progress
from astronmf._validation import as_real_array, check_choice, check_integer, check_number, check_shape, fail
from astronmf.core.alternating import Settings
from astronmf.core.initialize import random_factors
from astronmf.core.problem import Problem
from astronmf.core.projection import project
from astronmf.core.results import Factorization, Projection, in_problem_units
from astronmf.core.sequential import SequentialSettings, build, factorize, start_by_residuals
from astronmf.kernels.compilation import announced_compilation

__all__ = ["NMF", "SequentialNMF"]

SOLVERS = ("cd", "mu")

# Starting values above this would overflow when they are squared.
LARGEST_START = 1e150


class _Factorizer:
    """What both estimators share: input, output, and the exact transform."""

    n_components: int
    solver: str
    tol: float
    max_iter: int
    init: Any
    dtype: DTypeLike | None
    pixel_fraction: float | str | None
    random_state: int | None
    progress: Progress | None

    #: Filled by ``fit``.
    factorization_: Factorization

    def fit(self, X: Any, weights: Any = None, mask: Any = None, *, uncertainty: Any = None) -> Self:
        """Learn components and coefficients from observations.

        Parameters
        ----------
        X : (n, ...) array, Quantity, masked array or NDData
            Axis 0 is the observation; any trailing shape. Negative values stay; NaN and Inf are missing.
        weights : array that broadcasts to X's shape, optional
            ``1/σ²``; 0 is missing.
        mask : bool array that broadcasts to X's shape, optional
            `True` = excluded.
        uncertainty : array that broadcasts to X's shape, optional
            1σ, instead of `weights`.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If an argument breaks its constraint, or no value is left.
        """
        values = unpack(X, weights, mask, uncertainty)
        check_choice("solver", self.solver, SOLVERS)
        with announced_compilation(self.progress):
            factorization = self._factorization(values)
        self.shape_, self.unit_, self.factorization_ = values.data.shape[1:], values.unit, factorization
        return self

    def fit_transform(self, X: Any, weights: Any = None, mask: Any = None, *, uncertainty: Any = None) -> FloatArray:
        """Fit, and return the coefficients, (n, k); parameters as `fit`."""
        return self.fit(X, weights, mask, uncertainty=uncertainty).coefficients_

    def transform(self, X: Any, weights: Any = None, mask: Any = None, *, uncertainty: Any = None) -> FloatArray:
        """Return the coefficients of observations on the fixed components: exact non-negative least squares.

        Parameters
        ----------
        X : (m, ...) array
            With the trailing shape of the fitted data.
        weights, mask, uncertainty
            As in `fit`.

        Returns
        -------
        (m, k) array
            NaN for an observation without a valid value.
        """
        return self.project(X, weights, mask, uncertainty=uncertainty).coefficients

    def project(self, X: Any, weights: Any = None, mask: Any = None, *, uncertainty: Any = None) -> Projection:
        """Return coefficients with their covariance, χ² and number of valid values; parameters as `transform`."""
        components = self._flat_components()
        values = unpack(X, weights, mask, uncertainty, self.unit_)
        check_shape("X", values.data, (None, *self.shape_))
        covered = np.asarray(np.isfinite(components).all(axis=0))
        with announced_compilation(self.progress):
            return project(flat_problem(values, np.float64, covered), components[:, covered])

    def inverse_transform(self, coefficients: ArrayLike) -> Any:
        """Return the models of observations, (m, ...), from their coefficients, (m, k).

        NaN where the fit had no valid value, or none for a component that the observation uses. A Quantity if the
        fitted data had a unit.
        """
        components = self._flat_components()
        plain, _, unit = parts(coefficients)
        if unit is not None and self.unit_ is None:
            raise fail("coefficients", "without a unit, as the fitted data were", unit)
        if unit is not None:
            plain = u.Quantity(plain, unit, copy=False).to_value(self.unit_)
        values = as_real_array("coefficients", plain)
        check_shape("coefficients", values, (None, components.shape[0]))
        model = values @ np.nan_to_num(components)
        unknown = (np.nan_to_num(values) > 0).astype(np.float64) @ np.isnan(components)
        model[unknown > 0] = np.nan
        model[:, ~self._fitted().supported] = np.nan
        model = model.reshape(-1, *self.shape_)
        return model if self.unit_ is None else u.Quantity(model, self.unit_, copy=False)

    @property
    def components_(self) -> FloatArray:
        """Components, (k, ...): non-negative, unit L2 norm; NaN where no observation that carries them is valid."""
        return self._flat_components().reshape(-1, *self.shape_)

    @property
    def coefficients_(self) -> FloatArray:
        """Coefficients, (n, k), in the data's unit; NaN for an observation without a valid value."""
        return self._fitted().last.coefficients

    @property
    def chi2_(self) -> float:
        """``Σ V (X − C B)²`` over all `n_valid_` values, those at pixels that are NaN in `components_` included."""
        return self._fitted().last.chi2

    @property
    def reduced_chi2_(self) -> float:
        """χ² over ``N_valid − k (n + p − k)``, NaN if that is not positive."""
        return self._fitted().reduced_chi2(self._fitted().last)

    @property
    def n_valid_(self) -> int:
        """How many values took part."""
        return self._fitted().n_valid

    @property
    def fractional_residual_variance_(self) -> FloatArray:
        """``Σ V (X − C B)² / Σ V (X − x̄)²`` after each stage: (stages,), so (k,) for a sequential build."""
        return np.array([stage.fractional_residual_variance for stage in self._fitted().stages])

    @property
    def history_(self) -> Table:
        """A row for each stage: stage, iterations, chi2, kkt, converged, seconds."""
        return history_table(self._fitted())

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002, FBT (scikit-learn's signature)
        """Return the constructor's parameters by name."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_params(self, **parameters: Any) -> Self:
        """Set constructor parameters by name."""
        for name, value in parameters.items():
            check_choice("parameter", name, self.get_params())
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        """Return the call that makes this estimator."""
        defaults = inspect.signature(type(self)).parameters
        given = {k: v for k, v in self.get_params().items() if v is not defaults[k].default}
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in given.items())})"

    def _factorization(self, values: Values) -> Factorization:
        settings, problem = self._settings(), self._problem(values)
        if self.solver == "mu" and (problem.weighted < 0).any():
            found = f"{int((problem.weighted < 0).sum())} negative values; solver='cd' keeps and uses them"
            raise fail("X", "non-negative for solver='mu'", found)
        return self._run(problem, settings)

    def _run(self, problem: Problem, settings: Settings) -> Factorization:
        raise NotImplementedError

    def _problem(self, values: Values) -> Problem:
        if values.data.ndim < 2:
            raise fail("X", "an array of at least 2 dimensions, observations first", f"shape {values.data.shape}")
        if values.data.size == 0:
            raise fail("X", "of at least one observation and one pixel", f"shape {values.data.shape}")
        check_integer("n_components", self.n_components, 1, min(len(values.data), values.data[0].size))
        return flat_problem(values, self.dtype)

    def _settings(self) -> Settings:
        tol = check_number("tol", self.tol, 0.0)
        if self.random_state is not None:
            check_integer("random_state", self.random_state, 0)
        return Settings(self.solver, tol, check_integer("max_iter", self.max_iter, 1))

    def _pixel_fraction(self, problem: Problem) -> float | str | None:
        if self.pixel_fraction is None or self.pixel_fraction == "auto":
            return self.pixel_fraction
        if isinstance(self.pixel_fraction, str):
            raise fail("pixel_fraction", "'auto', None or a number", repr(self.pixel_fraction))
        return check_number("pixel_fraction", self.pixel_fraction, 1.0 / problem.shape[1], 1.0)

    def _given_start(self, problem: Problem) -> tuple[FloatArray, FloatArray]:
        """Check ``init=(C0, B0)`` and return it component-first, in the problem's units."""
        if not isinstance(self.init, tuple | list):
            raise fail("init", "'residual', 'random', or a pair (coefficients, components)", type(self.init).__name__)
        if len(self.init) != 2:
            raise fail("init", "a pair (coefficients, components)", f"{len(self.init)} items")
        for name, factor in (("init[0]", self.init[0]), ("init[1]", self.init[1])):
            if isinstance(factor, u.Quantity):
                raise fail(name, "plain numbers, coefficients in the data's unit", f"a Quantity in {factor.unit}")
        coefficients = as_real_array("init[0]", self.init[0], minimum_dimensions=2)
        components = as_real_array("init[1]", self.init[1], minimum_dimensions=2)
        components = components.reshape(len(components), -1) if components.size else components
        check_shape("init[1]", components, (None, problem.shape[1]))
        check_shape("init[0]", coefficients, (problem.shape[0], components.shape[0]))
        for name, factor in (("init[0]", coefficients), ("init[1]", components)):
            if (factor < 0).any():
                raise fail(name, "non-negative", f"a smallest value of {np.nanmin(factor):g}")
            if float(np.nanmax(factor, initial=0.0)) > LARGEST_START:  # which single precision cannot hold
                raise fail(name, f"finite and below {LARGEST_START:g}", f"{np.nanmax(factor):g}")
        return in_problem_units(problem, coefficients, components)

    def _fitted(self) -> Factorization:
        try:
            return self.factorization_
        except AttributeError:
            msg = f"this {type(self).__name__} is not fitted yet: call 'fit' with data first"
            raise AttributeError(msg) from None

    def _flat_components(self) -> FloatArray:
        return self._fitted().last.components


class NMF(_Factorizer):
    """Weighted non-negative matrix factorization of fixed rank: all components are learnt together.

    Parameters
    ----------
    n_components
        Number of components k.
    solver : {"cd", "mu"}
        "cd": row problems by coordinate descent, with extrapolation (Ang & Gillis 2019); negative data stay.
        "mu": the multiplicative rule of Zhu (2016), to reproduce the literature; needs data ≥ 0.
    tol
        Stop when an iteration lowers χ² by less than this fraction, and single-coordinate steps could lower it by no
        more. 0: `max_iter` iterations, unless rounding is all that is left before.
    max_iter
        Greatest number of iterations.
    init : {"residual", "random"} or (C0, B0)
        "residual": a brief sequential build, with nothing random in it. "random": uniform, from `random_state`. Or
        coefficients (n, k) and components (k, ...), non-negative.
    pixel_fraction
        With many more pixels than observations, coefficients are first learnt on a random part of the pixels (the other
        way about with more observations), which is quicker; then all of them take part until `tol` is reached.
        "auto" chooses the part (none if little would be saved), a number in (0, 1] bounds it, `None` turns it off.
    dtype
        float32 or float64; by default the data's.
    random_state
        Seed; used by ``init="random"`` and for the choice of pixels.
    progress
        Called as ``progress(done, total, what)``.

    References
    ----------
    Lee & Seung 2001; Blanton & Roweis 2007 (AJ 133, 734); Zhu 2016 (arXiv:1612.06037).
    """

    def __init__(
        self,
        n_components: int = 5,
        *,
        solver: str = "cd",
        tol: float = 1e-6,
        max_iter: int = 1000,
        init: Any = "residual",
        pixel_fraction: float | str | None = "auto",
        dtype: DTypeLike | None = None,
        random_state: int | None = 0,
        progress: Progress | None = None,
    ) -> None:
        self.n_components = n_components
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.init = init
        self.pixel_fraction = pixel_fraction
        self.dtype = dtype
        self.random_state = random_state
        self.progress = progress

    def _run(self, problem: Problem, settings: Settings) -> Factorization:
        start = self._start(problem, settings)
        sequence = SequentialSettings(pixel_fraction=self._pixel_fraction(problem), random_state=self.random_state)
        return factorize(problem, *start, settings, sequence, self.progress or no_progress)

    def _start(self, problem: Problem, settings: Settings) -> tuple[FloatArray, FloatArray]:
        if not isinstance(self.init, str):
            start = self._given_start(problem)
            check_shape("init[1]", start[1], (self.n_components, problem.shape[1]))
            return start
        if check_choice("init", self.init, ("residual", "random")) == "random":
            return random_factors(problem, self.n_components, self.random_state)
        return start_by_residuals(problem, self.n_components, settings)


class SequentialNMF(_Factorizer):
    """Weighted sequential non-negative matrix factorization: components are built one at a time (Ren+ 2018).

    Each new component starts from what those before it leave; every stage is kept in ``factorization_.stages``.

    Parameters
    ----------
    n_components
        Number of components k.
    solver, tol, max_iter
        As in `NMF`; `tol` and `max_iter` are of each stage.
    refit : {"all", "last"}
        "all" refines all components at every stage, the literature's rule; "last" only the new one, so that stages
        are strictly nested. All coefficients are always refined.
    init : {"residual", "random"} or (C0, B0)
        How a new component starts: "residual" from the strongest non-negative pattern left (nothing random in it),
        "random" uniform from `random_state`. Or coefficients (n, j) and components (j, ...) that the build goes on
        from: its first stage has j components.
    pixel_fraction, dtype, random_state, progress
        As in `NMF`.

    References
    ----------
    Ren+ 2018 (ApJ 852, 104); Zhu 2016 (arXiv:1612.06037); Ang & Gillis 2019.
    """

    def __init__(
        self,
        n_components: int = 10,
        *,
        solver: str = "cd",
        tol: float = 1e-6,
        max_iter: int = 1000,
        refit: str = "all",
        init: Any = "residual",
        pixel_fraction: float | str | None = "auto",
        dtype: DTypeLike | None = None,
        random_state: int | None = 0,
        progress: Progress | None = None,
    ) -> None:
        self.n_components = n_components
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.refit = refit
        self.init = init
        self.pixel_fraction = pixel_fraction
        self.dtype = dtype
        self.random_state = random_state
        self.progress = progress

    def _run(self, problem: Problem, settings: Settings) -> Factorization:
        start = None if isinstance(self.init, str) else self._given_start(problem)
        if start is None:
            check_choice("init", self.init, ("residual", "random"))
        elif start[0].shape[0] > self.n_components:
            raise fail("init", f"of at most {self.n_components} components", start[0].shape[0])
        sequence = SequentialSettings(
            refit=check_choice("refit", self.refit, ("all", "last")),
            new=self.init if isinstance(self.init, str) else "residual",
            pixel_fraction=self._pixel_fraction(problem),
            random_state=self.random_state,
        )
        return build(problem, self.n_components, settings, sequence, start, self.progress or no_progress)


def history_table(factorization: Factorization) -> Table:
    """Return a row for each stage: stage (its number of components), iterations, chi2, kkt, converged, seconds."""
    return Table(
        rows=[(s.n_components, s.iterations, s.chi2, s.kkt, s.converged, s.seconds) for s in factorization.stages],
        names=["stage", "iterations", "chi2", "kkt", "converged", "seconds"],
        dtype=[int, int, float, float, bool, float],
    )


def flat_problem(values: Values, dtype: DTypeLike | None, pixels: BoolArray | None = None) -> Problem:
    """Return the two-dimensional problem of (n, ...) values, with those `pixels`, (p,) bool, that are `True`."""
    n, shape = len(values.data), values.data.shape
    chosen: Any = slice(None) if pixels is None or pixels.all() else pixels

    def flat(array: Any) -> Any:
        return None if array is None else np.broadcast_to(array, shape).reshape(n, -1)[:, chosen]

    return Problem.from_arrays(flat(values.data), flat(values.weights), flat(values.mask), dtype)
