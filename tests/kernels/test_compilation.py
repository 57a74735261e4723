import subprocess
import sys

import numpy as np
import pytest
from numba.core import event

from astronmf import SequentialNMF
from astronmf.kernels import _jit
from astronmf.kernels.compilation import FIRST_USE, WITHOUT_CACHE, announced_compilation

FIT = """
import numpy as np, astronmf
told = []
X = np.random.default_rng(0).random((6, 20))
fit = astronmf.NMF(2, tol=0, max_iter=2, progress=lambda *now: told.append(now)).fit(X, weights=X)
fit.transform(X, weights=X)
print([now for now in told if now[2].startswith("compiling")])
"""


def told_by_a_new_process(cache):
    environment = {"NUMBA_CACHE_DIR": str(cache), "PATH": "", "HOME": str(cache)}
    command = [sys.executable, "-c", FIT]
    printed = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout  # noqa: S603
    return eval(printed)  # noqa: S307


def test_the_first_fit_on_a_machine_says_what_it_compiles_and_the_next_has_nothing_to_say(tmp_path):
    told = told_by_a_new_process(tmp_path)
    assert {what for _, _, what in told} == {FIRST_USE}
    done = [done for done, total, _ in told if done < total]
    assert done[:8] == list(range(8))  # one after the other, from the first on
    assert sum(done == total for done, total, _ in told) == 2  # the end of the fit, and of the projection
    assert told_by_a_new_process(tmp_path) == []


def test_a_cold_cache_compiles_no_more_versions_than_kernels(tmp_path):
    told = told_by_a_new_process(tmp_path)
    assert sum(done for done, total, _ in told if done == total) <= _jit.kernel_count()


@pytest.fixture
def told():
    return []


def compiles(*inside):
    """Behave as numba does when it compiles a function, and within it others."""
    with event.trigger_event("numba:compile"):
        for deeper in inside:
            compiles(*deeper)


@pytest.mark.parametrize(("cached", "what"), [(True, FIRST_USE), (False, WITHOUT_CACHE)])
def test_every_kernel_is_told_once_with_what_it_calls(told, monkeypatch, cached, what):
    monkeypatch.setattr(_jit, "is_cached", lambda: cached)
    monkeypatch.setattr(_jit, "kernel_count", lambda: 2)
    with announced_compilation(lambda *now: told.append(now)):
        compiles((), ((), ()))
        compiles()
        compiles()
    assert told == [(0, 2, what), (1, 2, what), (2, 3, what), (3, 3, what)]


def test_what_is_compiled_outside_is_not_told(told):
    with announced_compilation(lambda *now: told.append(now)):
        pass
    compiles()
    with announced_compilation(None):
        compiles()
    assert told == []


def test_a_kernel_that_cannot_be_kept_still_compiles(monkeypatch):
    def without_folder(cache=False, **_):
        if cache:
            msg = "no locator available"
            raise RuntimeError(msg)
        return lambda function: function

    monkeypatch.setattr(_jit.numba, "njit", without_folder)
    monkeypatch.setattr(_jit, "_kernels", [])
    assert _jit.jit(abs) is abs
    assert _jit.kernel_count() == 1


def test_a_fit_with_warm_kernels_speaks_of_components_only(noisy):
    SequentialNMF(2).fit(*noisy.inputs)
    heard = set()
    SequentialNMF(2, progress=lambda done, total, what: heard.add(what)).fit(*noisy.inputs)
    assert heard == {"components"}


def test_an_argument_that_cannot_be_right_is_refused_before_anything_is_compiled(told):
    with pytest.raises(ValueError, match="n_components"):
        SequentialNMF(50, progress=lambda *now: told.append(now)).fit(np.ones((5, 6), dtype=np.float32))
    assert told == []
