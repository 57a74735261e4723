"""The posterior of free parameters, sampled with emcee (Foreman-Mackey+ 2013)."""

from __future__ import annotations

import importlib
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import QTable

from astronmf._typing import FloatArray, Progress, no_progress
from astronmf._validation import check_integer, check_shape, fail
from astronmf.exceptions import ConvergenceWarning, DegeneracyWarning, warn
from astronmf.imaging.modelling.likelihood import Likelihood

__all__ = ["Posterior", "chain_length", "number_of_walkers", "sample_posterior"]

SPREAD = 0.02  # of its range: how far walkers start from each other where the likelihood knows no error
WIDEST = 0.1  # of its range: the same, at most
FEWEST_WALKERS = 16
SAME = 1e-7  # of a log-probability: what may differ between machines
ENOUGH_TIMES = 50.0  # autocorrelation times in a chain, from which on emcee trusts their estimate
PERCENTILES = (15.865, 50.0, 84.135)


@dataclass(frozen=True, eq=False)
class Posterior:
    """Samples of the free parameters.

    Attributes
    ----------
    names : list of str
        ``source.parameter`` of d free parameters.
    samples : (steps, walkers, d) array
    amplitudes, amplitude_errors : (steps, walkers, t) arrays
        The best ones for each sample, and 1σ if the sample's parameters were true.
    source_names : list of str
        Of the t amplitudes.
    log_probability : (steps, walkers) array
    acceptance : float
        Share of the proposals that were accepted.
    autocorrelation : (d,) array
        Autocorrelation times in steps; NaN where the chain is too short to tell.
    """

    names: list[str]
    samples: FloatArray
    amplitudes: FloatArray
    amplitude_errors: FloatArray
    source_names: list[str]
    log_probability: FloatArray
    acceptance: float
    autocorrelation: FloatArray

    def __repr__(self) -> str:
        """Return a line that says what is inside."""
        steps, walkers, d = self.samples.shape
        return f"<Posterior: {steps} steps of {walkers} walkers, {d} parameters, acceptance {self.acceptance:.2f}>"

    @property
    def burn_in(self) -> int:
        """How many first steps to leave out: two of the longest autocorrelation times, or a third of the chain."""
        steps = len(self.samples)
        longest = float(np.nanmax(self.autocorrelation, initial=0.0))
        return int(min(2 * longest, steps / 3)) if longest > 0 else steps // 3

    @property
    def best(self) -> FloatArray:
        """The most probable of the samples: (d,)."""
        return np.asarray(self.samples[self._most_probable])

    @property
    def best_amplitudes(self) -> FloatArray:
        """The best amplitudes for it: (t,)."""
        return np.asarray(self.amplitudes[self._most_probable])

    @property
    def _most_probable(self) -> tuple[int, ...]:
        where = np.unravel_index(int(np.argmax(self.log_probability)), self.log_probability.shape)
        return tuple(int(at) for at in where)

    def flat(self, discard: int | None = None, *, amplitudes: bool = True) -> FloatArray:
        """Return the samples of all walkers, parameters and then amplitudes last: (m, d + t).

        Each sample's amplitudes are drawn around its best ones with their errors, by the same generator each time.

        Parameters
        ----------
        discard
            First steps to leave out; `burn_in` by default.
        amplitudes
            Whether to include them.
        """
        first = self.burn_in if discard is None else check_integer("discard", discard, 0, len(self.samples) - 1)
        if not amplitudes:
            return self.samples[first:].reshape(-1, self.samples.shape[2])
        deviates = np.random.default_rng(0).standard_normal(self.amplitudes.shape)
        drawn = self.amplitudes + self.amplitude_errors * deviates
        together = np.concatenate([self.samples[first:], drawn[first:]], axis=2)
        return together.reshape(-1, together.shape[2])

    @property
    def columns(self) -> list[str]:
        """What the columns of `flat` are."""
        return [*self.names, *(f"{name}.amplitude" for name in self.source_names)]

    def table(self, discard: int | None = None) -> QTable:
        """Return median, lower and upper error (68.3 %) of each parameter and amplitude, and the best sample."""
        low, middle, high = np.percentile(self.flat(discard), PERCENTILES, axis=0)
        table = QTable({"name": self.columns, "median": middle, "lower": middle - low, "upper": high - middle})
        table["best"] = np.concatenate([self.best, self.best_amplitudes])
        table.meta |= {"acceptance": self.acceptance, "steps": len(self.samples), "walkers": self.samples.shape[1]}
        return table


def sample_posterior(
    likelihood: Likelihood,
    n_steps: int = 1000,
    *,
    n_walkers: int | None = None,
    start: Any = None,
    random_state: int = 0,
    checkpoint: Any = None,
    resume: bool = False,
    progress: Progress = no_progress,
) -> Posterior:
    """Sample the posterior of a likelihood's free parameters with emcee's affine-invariant ensemble.

    Needs the extra ``fit``: ``pip install 'astronmf[fit]'``.

    Parameters
    ----------
    likelihood
    n_steps : int
        Of every walker, those of a chain that is resumed included.
    n_walkers : int, optional
        See `number_of_walkers`.
    start : (d,) or (n_walkers, d) array, optional
        Where walkers start; found by `Likelihood.maximize` by default. Around a vector they scatter as
        `Likelihood.covariance` says, by at most a tenth of a range, and by 2 % of it where that is not known.
    random_state : int
        The same number gives the same chain, resumed or not.
    checkpoint : path, optional
        An HDF5 file that every step is written to.
    resume : bool
        Whether to go on with the chain in `checkpoint`. If not, a file that is there is an error.
    progress

    Returns
    -------
    Posterior

    Raises
    ------
    ImportError
        If emcee, or h5py for a `checkpoint`, is not installed.
    ValueError
        If the chain in `checkpoint` is of other parameters or other data, or a start is outside the ranges.
    FileExistsError
        If `checkpoint` is there and is not to be resumed.

    Warns
    -----
    ConvergenceWarning
        If the chain is shorter than 50 autocorrelation times.

    Notes
    -----
    One number says by how much errors are larger than stated, `Likelihood.noise_factor`: it divides the χ² that all
    sources share. Where a calibration found several, `noise_factor_of` gives the largest; the widths of parameters of
    the other sources are then upper limits.
    """
    emcee = _extra("emcee")
    d = len(likelihood.names)
    walkers = number_of_walkers(d, n_walkers)
    check_integer("n_steps", n_steps, 1)
    backend, done = _backend(emcee, checkpoint, likelihood, walkers, resume=resume)
    blobs = [(name, float, (len(likelihood.sources),)) for name in ("amplitudes", "errors")]
    sampler = emcee.EnsembleSampler(walkers, d, likelihood.with_amplitudes, backend=backend, blobs_dtype=blobs)
    sampler.log_prob_fn = likelihood.with_amplitudes  # emcee's wrapper of it prints a traceback at every interrupt
    if done:
        state = backend.get_last_sample()
    else:
        rng = np.random.RandomState(random_state)  # emcee's own kind of generator
        state = emcee.State(_first_places(likelihood, start, walkers, rng, progress), random_state=rng.get_state())
    if done < n_steps:
        for step, _ in enumerate(sampler.sample(state, iterations=n_steps - done), start=done + 1):
            progress(step, n_steps, "steps of the chain")
    return _posterior(backend if backend is not None else sampler.backend, likelihood)


def number_of_walkers(n_parameters: int, n_walkers: Any = None) -> int:
    """Return how many walkers sample a number of parameters.

    Parameters
    ----------
    n_parameters : int
    n_walkers : int, optional
        Twice the number of parameters or more, which is what emcee needs; four times, at least 16, by default.

    Raises
    ------
    ValueError
        If they are fewer.
    """
    if n_walkers is None:
        return max(FEWEST_WALKERS, 4 * n_parameters)
    return check_integer("n_walkers", n_walkers, 2 * n_parameters)


def chain_length(checkpoint: Any) -> int:
    """Return how many steps the chain in a file has; 0 for one that has not begun."""
    backend = _extra("emcee").backends.HDFBackend(str(checkpoint), read_only=True)
    return int(backend.iteration) if backend.initialized else 0


def _extra(name: str) -> Any:
    """Return a package of the extra ``fit``."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        msg = f"sampling a posterior needs {name}, which is not installed: pip install 'astronmf[fit]'"
        raise ImportError(msg) from error


def _backend(emcee: Any, checkpoint: Any, likelihood: Likelihood, walkers: int, *, resume: bool) -> tuple[Any, int]:
    """Return where the chain is kept, and how many steps it has."""
    if checkpoint is None:
        if resume:
            raise fail("checkpoint", "given with resume=True", None)
        return None, 0
    h5py, path = _extra("h5py"), Path(checkpoint)
    about = json.dumps({"bounds": likelihood.bounds, "sources": list(likelihood.sources)})
    backend = emcee.backends.HDFBackend(str(path))
    if path.exists() and not resume:
        msg = f"{path}: is there already; resume it, or name another file"
        raise FileExistsError(msg)
    if path.exists() and not h5py.is_hdf5(path):
        raise fail("checkpoint", "a chain that was written before, or a new file", path)
    if path.exists() and backend.initialized and backend.iteration:
        with backend.open() as file:
            known = file[backend.name].attrs.get("astronmf", "")
        if known != about:
            raise fail(
                "checkpoint", "a chain of the same parameters, ranges and sources", f"{path} with {known or 'others'}"
            )
        if backend.shape[0] != walkers:
            raise fail("n_walkers", f"that of the chain in {path}, {backend.shape[0]}", walkers)
        _check_same_data(backend, likelihood, path)
        return backend, int(backend.iteration)
    backend.reset(walkers, len(likelihood.names))
    with backend.open("a") as file:
        file[backend.name].attrs["astronmf"] = about
    return backend, 0


def _check_same_data(backend: Any, likelihood: Likelihood, path: Path) -> None:
    """Raise if a likelihood does not say of the last sample what the chain says of it."""
    last = backend.get_last_sample()
    walker = int(np.argmax(last.log_prob))
    now, then = likelihood(last.coords[walker]), float(last.log_prob[walker])
    if not np.isclose(now, then, rtol=SAME, atol=SAME):
        found = f"{path}: a log-probability of {then:.10g} where it is {now:.10g} now"
        raise fail("checkpoint", "a chain of the same data, errors, and fixed parameters", found)


def _first_places(
    likelihood: Likelihood, start: Any, walkers: int, rng: np.random.RandomState, progress: Progress
) -> FloatArray:
    """Return where the walkers start, within the ranges: (walkers, d)."""
    low, high = np.array(list(likelihood.bounds.values()), dtype=np.float64).T
    places = likelihood.maximize(progress=progress) if start is None else np.asarray(start, dtype=np.float64)
    if places.ndim == 2:
        check_shape("start", places, (walkers, len(low)))
        _check_within(places, low, high)
        return places
    check_shape("start", places, (len(low),))
    _check_within(places, low, high)
    deviates = rng.standard_normal((walkers, len(low)))
    scattered = places + deviates @ _scatter(likelihood, places, high - low)
    beyond = np.where(scattered > high, 2 * high - scattered, np.where(scattered < low, 2 * low - scattered, scattered))
    return np.asarray(np.clip(beyond, low, high))


def _scatter(likelihood: Likelihood, places: FloatArray, widths: FloatArray) -> FloatArray:
    """Return the symmetric root of the covariance with which walkers start around a vector: (d, d)."""
    known = getattr(likelihood, "covariance", lambda vector: np.full((len(vector), len(vector)), np.nan))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegeneracyWarning)  # the samples show what the data do not determine
        covariance = np.array(known(places), dtype=np.float64)
    unknown = ~(np.diag(covariance) > 0)
    covariance[unknown] = covariance[:, unknown] = 0.0
    covariance[unknown, unknown] = np.square(SPREAD * widths[unknown])
    sigma = np.sqrt(np.diag(covariance))
    values, vectors = np.linalg.eigh(covariance / sigma[:, None] / sigma)
    root = (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T
    return np.asarray(root * np.minimum(sigma, WIDEST * widths))


def _check_within(places: FloatArray, low: FloatArray, high: FloatArray) -> None:
    if not ((places >= low) & (places <= high)).all():
        raise fail("start", "within the ranges of all parameters", places.tolist())


def _posterior(backend: Any, likelihood: Likelihood) -> Posterior:
    """Return what a chain holds."""
    samples = backend.get_chain()
    with np.errstate(invalid="ignore", divide="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of chains too short to tell
        times = np.asarray(backend.get_autocorr_time(quiet=True, tol=0), dtype=np.float64)
    longest = float(np.nanmax(times, initial=-np.inf))
    if not len(samples) >= ENOUGH_TIMES * longest > 0:
        known = f"of {longest:.0f} steps" if longest > 0 else "which it does not tell yet"
        msg = f"the chain of {len(samples)} steps is shorter than {ENOUGH_TIMES:g} autocorrelation times, {known}"
        warn(msg, ConvergenceWarning)
    return Posterior(
        names=likelihood.names,
        samples=samples,
        amplitudes=backend.get_blobs()["amplitudes"],
        amplitude_errors=backend.get_blobs()["errors"],
        source_names=list(likelihood.sources),
        log_probability=backend.get_log_prob(),
        acceptance=float(np.mean(backend.accepted / max(backend.iteration, 1))),
        autocorrelation=times,
    )
