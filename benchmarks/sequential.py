"""Time of a sequential build on a coronagraphic library: 28,016 pixels × 100 frames, ten components.

    python -m benchmarks.sequential

The library is simulated (`benchmarks.problems.library`).
"""

from __future__ import annotations

import os
import platform
from time import perf_counter

import numpy as np

from astronmf import SequentialNMF
from astronmf.core.parallel import thread_count
from benchmarks.problems import library

N_COMPONENTS = 10


def main() -> None:
    """Print a Markdown table of times and the χ² that each reached."""
    data, weights, mask = library()
    SequentialNMF(2, max_iter=2, tol=0).fit(data[:20, :500], weights=weights[:20, :500])  # compile first
    print(f"{platform.machine()}, {os.cpu_count()} cores, {thread_count()} threads, numpy {np.__version__}\n")
    print("| build | tol | seconds | χ²/N | iterations |\n|---|---|---|---|---|")
    for what, options in (
        ("all pixels", {"tol": 1e-6}),
        ("all pixels", {"tol": 1e-5}),
        ("coefficients learnt on 10 % of the pixels", {"tol": 1e-5, "pixel_fraction": 0.1}),
    ):
        began = perf_counter()
        fit = SequentialNMF(N_COMPONENTS, **options).fit(data, weights=weights, mask=mask)
        seconds = perf_counter() - began
        iterations = int(fit.history_["iterations"].sum())
        print(f"| {what} | {options['tol']:g} | {seconds:.1f} | {fit.chi2_ / fit.n_valid_:.4f} | {iterations} |")


if __name__ == "__main__":
    main()
