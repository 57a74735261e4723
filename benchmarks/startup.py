"""How long one waits before anything is computed: imports, the command line, and compilation."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.race import say
from benchmarks.results import StartUp

REPEATS = 9
DTYPES = ("float64", "float32")

FIRST_FIT = """
from time import perf_counter
import numpy as np
import astronmf
data = np.random.default_rng(0).random((12, 40)).astype({dtype!r})
began = perf_counter()
astronmf.NMF(2).fit(data)
print(perf_counter() - began)
"""


def measure() -> StartUp:
    """Return all waiting times."""
    say("Start-up")
    calls = {
        "base": [sys.executable, "-c", "import numpy, astropy"],
        "package": [sys.executable, "-c", "import numpy, astropy, astronmf"],
        "help": [*_command(), "--help"],
    }
    fits = {dtype: _first_fits(dtype) for dtype in DTYPES}
    found = StartUp(
        **_medians(calls),
        cold={dtype: cold for dtype, (cold, _) in fits.items()},
        warm={dtype: warm for dtype, (_, warm) in fits.items()},
    )
    say(f"    import {found.beyond:.3f} s, help {found.help:.3f} s, first fit {found.cold['float64']:.1f} s")
    return found


def _medians(calls: dict[str, list[str]]) -> dict[str, float]:
    """Return the median time of each call, in turn; the first of each fills the file system's cache."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(REPEATS + 1):
        for name, call in calls.items():
            began = perf_counter()
            subprocess.run(call, check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(perf_counter() - began)
    return {name: median(values[1:]) for name, values in seconds.items()}


def _command() -> list[str]:
    """Return the installed command, or the module."""
    script = Path(sys.executable).with_name("astronmf")
    return [str(script)] if script.exists() else [sys.executable, "-m", "astronmf"]


def _first_fits(dtype: str) -> tuple[float, float]:
    """Return the seconds of the first fit of a process: with an empty compiler cache, and with the one it left."""
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"NUMBA_CACHE_DIR": cache}
        call = [sys.executable, "-c", FIRST_FIT.format(dtype=dtype)]
        cold, warm = (
            float(subprocess.run(call, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout)
            for _ in range(2)
        )
    return cold, warm
