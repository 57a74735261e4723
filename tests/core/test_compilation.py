import subprocess
import sys
from itertools import count

import helpers
import numpy as np
import pytest

from astronmf import SequentialNMF
from astronmf._typing import no_progress
from astronmf.core import compilation
from astronmf.core.compilation import WHAT, compile_kernels
from astronmf.kernels._jit import cache_misses

FIT = """
import numpy as np, astronmf
told = []
X = np.random.default_rng(0).random((6, 20))
astronmf.NMF(2, tol=0, max_iter=2, progress=lambda *now: told.append(now)).fit(X, weights=X)
print(*{what for _, _, what in told if what.startswith("compiling")}, sep="")
"""


def told_by_a_new_process(cache):
    environment = {"NUMBA_CACHE_DIR": str(cache), "PATH": "", "HOME": str(cache)}
    command = [sys.executable, "-c", FIT]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603


def test_the_first_fit_on_a_machine_says_that_it_compiles_and_the_next_has_nothing_to_say(tmp_path):
    assert told_by_a_new_process(tmp_path) == WHAT
    assert told_by_a_new_process(tmp_path) == ""


@pytest.fixture
def cold(monkeypatch):
    """Make every look at the compiler's cache find one more kernel missing."""
    monkeypatch.setattr(compilation, "cache_misses", count().__next__)
    monkeypatch.setattr(compilation, "_ready", set())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_compiling_goes_on_to_its_end_and_says_where_it_is(cold, dtype):
    told = []
    for _ in range(2):  # the second time there is nothing left to do
        compile_kernels(np.dtype(dtype), lambda done, total, what: told.append((done, total, what)))
    assert told == [(done, 4, WHAT) for done in range(5)]


@pytest.mark.parametrize("shape", [(6, 50), (150, 900)])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_fit_and_a_projection_find_every_kernel_compiled(shape, weighted, dtype):
    compile_kernels(np.dtype(dtype), no_progress)
    compile_kernels(np.dtype(np.float64), no_progress)
    before = cache_misses()
    rng = np.random.default_rng(1)
    X = rng.random(shape).astype(dtype)
    weights = rng.random(shape).astype(dtype) if weighted else None
    fit = SequentialNMF(2, tol=1e-3).fit(X, weights, rng.random(shape) < 0.01)
    fit.transform(X, weights)
    SequentialNMF(2, tol=1e-3, pixel_fraction=0.5).fit(helpers.read_only(X), weights, rng.random(shape) < 0.3)
    assert cache_misses() == before


def test_a_fit_with_warm_kernels_speaks_of_components_only(noisy):
    told = set()
    SequentialNMF(2, progress=lambda done, total, what: told.add(what)).fit(*noisy.inputs)
    assert told == {"components"}
