"""Simulated data and comparisons that several tests use."""

from dataclasses import dataclass, fields, replace

import naive
import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from astronmf.core import problem as problem_module
from astronmf.core.problem import Problem


@dataclass(frozen=True)
class Simulated:
    """Data of a known truth; every array is read-only.

    ``X = coefficients @ components + noise`` with ``weights = 1 / σ²``; `mask` is `True` where a value is missing.
    """

    X: np.ndarray
    weights: np.ndarray
    mask: np.ndarray
    coefficients: np.ndarray
    components: np.ndarray

    @property
    def uncertainty(self):
        """1σ."""
        return read_only(1 / np.sqrt(self.weights))

    @property
    def inputs(self):
        """What `fit` takes."""
        return self.X, self.weights, self.mask

    @property
    def valid_weights(self):
        """The weights, 0 where missing."""
        return read_only(np.where(self.mask, 0.0, self.weights))

    def reshape(self, *trailing):
        """Return the same data with other trailing axes."""
        flat = ("X", "weights", "mask", "components")
        return replace(self, **{name: getattr(self, name).reshape(-1, *trailing) for name in flat})

    def rows(self, index):
        """Return some of the observations."""
        per_row = ("X", "weights", "mask", "coefficients")
        return replace(self, **{name: read_only(getattr(self, name)[index]) for name in per_row})


def read_only(values):
    """Return an array that raises if anything writes to it."""
    array = np.array(values)
    array.setflags(write=False)
    return array


def simulate(n, p, k, *, seed, missing=0.1, noise=0.2):
    """Return rank-k data with Gaussian noise of uneven σ around `noise`, so that many values lie below zero."""
    rng = np.random.default_rng(seed)
    coefficients = rng.gamma(2.0, 1.0, (n, k))
    components = rng.random((k, p)) * (rng.random((k, p)) < 0.5)
    sigma = noise * rng.uniform(0.5, 1.5, (n, p))
    X = coefficients @ components + sigma * rng.standard_normal((n, p))
    mask = rng.random((n, p)) < missing
    arrays_ = (X, sigma**-2, mask, coefficients, components)
    return Simulated(*(read_only(array) for array in arrays_))


def two_groups():
    """Return data, mask, coefficients and components: two components, each carried by its own observations.

    Pixel 5 is seen by the second group only, so that nothing is known there of the first component.
    """
    rng = np.random.default_rng(42)
    C = np.zeros((12, 2))
    C[:6, 0], C[6:, 1] = rng.uniform(2, 3, (2, 6))
    B = rng.uniform(0.5, 1, (2, 20))
    B[0, 10:] = B[1, :3] = 0
    mask = np.zeros((12, 20), dtype=bool)
    mask[:6, 5] = True
    return C @ B, mask, C, B


def direct_chi2(X, weights, coefficients, components):
    """Return ``Σ V (X − C B)²``, written as it stands, over the values whose weight is not 0."""
    valid = weights > 0
    model = np.nan_to_num(coefficients) @ np.nan_to_num(components.reshape(len(components), -1))
    residual = np.where(valid, X, 0.0).reshape(model.shape) - model
    return float(np.sum(np.where(valid, weights, 0.0).reshape(model.shape) * residual**2))


def results_of(estimator):
    """Return all that a fit found, but for how long it took."""
    history = estimator.history_
    stages = [(stage.components, stage.coefficients, stage.chi2_trace) for stage in estimator.factorization_.stages]
    return [
        estimator.components_,
        estimator.coefficients_,
        estimator.chi2_,
        estimator.n_valid_,
        estimator.fractional_residual_variance_,
        *(history[name].data for name in history.colnames if name != "seconds"),
        *(array for stage in stages for array in stage),
    ]


def assert_same_bits(one, other):
    """Check that two lists of results are equal to the last bit, with NaN at the same places."""
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(left, right, strict=True)


def assert_same_fields(one, other):
    """Check that two dataclass instances of arrays are equal to the last bit."""
    assert_same_bits(*([getattr(item, field.name) for field in fields(item)] for item in (one, other)))


def use_small_blocks(monkeypatch, width):
    """Make the engine take about so many pixels at a time."""
    for name, value in (("BLOCK_ENTRIES", 1), ("USUAL_BLOCK", width), ("VECTOR", 1)):
        monkeypatch.setattr(problem_module, name, value)


def problem_of(data, **options):
    """Return the engine's problem of simulated data."""
    return Problem.from_arrays(*data.inputs, **options)


@st.composite
def any_data(draw, lowest=-400):
    """Draw small data, weights and a mask, all of them multiples of a quarter, that leave at least one value."""
    shape = draw(st.tuples(st.integers(2, 6), st.integers(2, 8)))
    X = draw(arrays(np.float64, shape, elements=st.integers(lowest, 400).map(_quarters)))
    weights = draw(arrays(np.float64, shape, elements=st.integers(0, 64).map(_quarters)))
    mask = draw(arrays(bool, shape))
    first = (0, 0)
    weights[first], mask[first] = max(weights[first], 0.25), False
    return tuple(read_only(array) for array in (X, weights, mask))


def _quarters(count):
    return count / 4


@dataclass(frozen=True)
class RowProblems:
    """Items ``min over x ≥ 0 of |A x − y|²``, with designs A and targets y, and what the kernels see of them."""

    designs: np.ndarray
    targets: np.ndarray
    start: np.ndarray
    shared: bool
    dtype: type

    @property
    def grams(self):
        """Whole Gram matrices, (m, k, k) or (1, k, k), with the bits that the kernel sees."""
        grams = np.einsum("iga,igb->iab", self.designs, self.designs).astype(self.dtype)
        return grams[:1] if self.shared else grams

    @property
    def packed(self):
        """What a kernel takes."""
        return np.ascontiguousarray(naive.pack(self.grams))

    @property
    def right(self):
        """Right-hand sides, (k, m)."""
        right = np.einsum("iga,ig->ai", self.designs, self.targets).astype(self.dtype)
        return np.ascontiguousarray(right)

    def close(self, found, expected, looser=1.0):
        """Check agreement to the rounding of the type, relative to the largest value."""
        tolerance = looser * (2e-5 if self.dtype is np.float32 else 1e-12)
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())


def row_problems(k, m, shared, dtype, *, absent=()):
    """Return problems of which about a third of the coordinates end at 0; columns `absent` of every design are 0."""
    rng = np.random.default_rng([k, m])
    designs = rng.normal(size=(m, k + 4, k)) + 0.3
    designs[:, :, list(absent)] = 0.0
    if shared:
        designs[:] = designs[0]
    targets = np.einsum("iga,ia->ig", designs, rng.normal(0.5, 1.0, (m, k))) + rng.normal(size=(m, k + 4))
    start = rng.random((k, m)) * (rng.random((k, m)) < 0.8)
    return RowProblems(designs, targets, start.astype(dtype), shared, dtype)
