"""Peak memory of a fit above its input arrays, each in a fresh process.

    python -m benchmarks.memory a 1.0

prints the bytes of data and weights, and of the peak above what the process held before the fit.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import astronmf
from benchmarks import systems
from benchmarks.problems import Problem, make_problem
from benchmarks.race import say
from benchmarks.results import Memory


def _brief(problem: Problem) -> Any:
    return astronmf.NMF(problem.n_components, init=problem.start, tol=0, max_iter=5)


FITS: dict[str, tuple[str, Callable[[Problem], Any]]] = {
    "a": ("SequentialNMF(10)", lambda _: astronmf.SequentialNMF(10)),
    "d": ("NMF(10), 5 iterations", _brief),
    "e": ("NMF(20), 5 iterations", _brief),
}

# What the C library keeps of what is freed differs a little from one process to the next.
REPEATS = 3

STATUS = Path("/proc/self/status")
CLEAR = Path("/proc/self/clear_refs")
RESET_PEAK = "5"


def measure(scale: float) -> list[Memory]:
    """Return the peak of each fit, the median of some processes."""
    say("Memory")
    return [_in_fresh_processes(key, what, scale) for key, (what, _) in FITS.items()]


def _in_fresh_processes(key: str, what: str, scale: float) -> Memory:
    call = [sys.executable, "-m", "benchmarks.memory", key, str(scale)]
    answers = [
        json.loads(subprocess.run(call, check=True, stdout=subprocess.PIPE, text=True).stdout) for _ in range(REPEATS)
    ]
    memory = Memory(key, what, **sorted(answers, key=lambda answer: answer["peak"] or 0)[REPEATS // 2])
    say(f"    ({key}) {what}: {memory.ratio} of the inputs")
    return memory


def peak_of_fit(key: str, scale: float) -> dict[str, int | None]:
    """Return the size of the inputs and the peak above them, in bytes."""
    problem = make_problem(key, scale)
    fit = FITS[key][1]
    tiny = problem.tiny()
    systems.fit_quietly(fit(tiny), tiny)
    inputs = problem.data.nbytes + (0 if problem.weights is None else problem.weights.nbytes)
    estimator = fit(problem)
    _give_back()
    try:
        CLEAR.write_text(RESET_PEAK)
        before = _status("VmRSS")
        systems.fit_quietly(estimator, problem)
        return {"inputs": inputs, "peak": _status("VmHWM") - before}
    except OSError:  # not Linux, or not allowed
        return {"inputs": inputs, "peak": None}


def _status(name: str) -> int:
    """Return a line of this process's status, in bytes."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def _give_back() -> None:
    """Return to the system what was freed, so that the fit cannot use it unseen."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


if __name__ == "__main__":
    print(json.dumps(peak_of_fit(sys.argv[1], float(sys.argv[2]))))
