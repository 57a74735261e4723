"""How much work a fit is: sweeps, products and bytes are counted, seconds are not."""

import tracemalloc

import helpers
import numpy as np
import pytest

from astronmf import NMF, SequentialNMF
from astronmf.core import alternating
from astronmf.core import problem as problem_module
from astronmf.core.problem import Problem


@pytest.fixture
def counted(monkeypatch):
    """Return a dictionary that counts calls of the engine's parts by name."""
    calls = {}

    def count(owner, name):
        function = getattr(owner, name)

        def counting(*arguments, **named):
            calls[name] = calls.get(name, 0) + 1
            return function(*arguments, **named)

        monkeypatch.setattr(owner, name, counting)

    for name in ("sweep", "kkt", "chi2_by_observation"):
        count(alternating, name)
    for name in ("component_system", "coefficient_part", "weights_in"):
        count(Problem, name)
    return calls


def test_an_iteration_is_one_sweep_and_a_sweep_goes_over_every_block_once(counted):
    data = helpers.simulate(100, 3000, 3, seed=41)
    blocks = len(helpers.problem_of(data).blocks())
    fit = NMF(3, init="random", tol=0, max_iter=7).fit(*data.inputs)
    assert fit.history_["iterations"][0] == counted["sweep"] == 7
    checks = counted["kkt"]
    assert counted["component_system"] == (7 + checks) * blocks
    assert counted["coefficient_part"] == 7 * blocks
    assert checks == 1
    assert counted["chi2_by_observation"] == 1  # from residuals at the start only


def test_a_sweep_makes_two_products_with_the_weights_of_a_block(counted, monkeypatch):
    data = helpers.simulate(50, 2000, 4, seed=42)
    problem = helpers.problem_of(data)
    rng = np.random.default_rng(0)
    counted.clear()
    alternating.sweep(problem, rng.random((4, 50)), rng.random((4, 2000)), "cd")
    assert counted["weights_in"] == 2 * len(problem.blocks())


def test_uniform_weights_need_no_weights_at_all(counted):
    data = helpers.simulate(50, 2000, 4, seed=43, missing=0.0)
    NMF(4, init="random", tol=0, max_iter=3).fit(data.X)
    assert set(counted) >= {"sweep", "component_system"}
    problem = Problem.from_arrays(data.X)
    counted.clear()
    rng = np.random.default_rng(0)
    alternating.sweep(problem, rng.random((4, 50)), rng.random((4, 2000)), "cd")
    assert "weights_in" not in counted


def sweeps(counted, estimator, data):
    counted.clear()
    estimator.fit(*data.inputs)
    return counted["sweep"]


def test_extrapolation_saves_most_of_the_sweeps(counted, monkeypatch):
    data = helpers.simulate(60, 600, 4, seed=44)
    quick = sweeps(counted, NMF(4, init="random", tol=1e-7, max_iter=5000), data)
    monkeypatch.setattr(alternating, "EXTRAPOLATION_START", 0.0)
    assert quick < 0.5 * sweeps(counted, NMF(4, init="random", tol=1e-7, max_iter=5000), data)


@pytest.mark.parametrize(("make", "most"), [(NMF, 90), (SequentialNMF, 200)])
def test_a_fit_of_known_size_takes_no_more_sweeps_than_it_did(counted, make, most):
    data = helpers.simulate(60, 600, 4, seed=44)
    assert sweeps(counted, make(4), data) <= most


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["general", "uniform", "uniform with gaps"])
def test_a_fit_allocates_half_as_much_again_as_its_input(dtype, kind):
    data = helpers.simulate(100, 40_000, 3, seed=45, missing=0.02)
    X, weights = data.X.astype(dtype), data.weights.astype(dtype) if kind == "general" else None
    mask = None if kind == "uniform" else data.mask
    estimator = NMF(3, init="random", tol=0, max_iter=3)
    estimator.fit(X[:, :200], weights if weights is None else weights[:, :200])
    tracemalloc.start()
    estimator.fit(X, weights, mask)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 1.5 * (X.nbytes + (0 if weights is None else weights.nbytes))


def test_blocks_come_in_a_multiple_of_four_and_at_whole_vectors():
    problem = Problem.from_arrays(np.ones((100, 28_016), dtype=np.float32))
    widths = [block.stop - block.start for block in problem.blocks()]
    assert len(widths) % problem_module.SHARES == 0
    assert all(width % problem_module.VECTOR == 0 for width in widths[:-1])
