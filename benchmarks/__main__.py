"""All benchmarks in one call: measures, and writes a page and a figure.

python -m benchmarks
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

PARTS = ("startup", "roofline", "memory", "f", "a", "b", "c", "d", "e", "s")

# Read once, when the libraries load: they must be set before.
THREAD_VARIABLES = (
    "ASTRONMF_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
)


def arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("--problems", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=" ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sequential-rounds", type=int, help="rounds of (s), which are long; default: --rounds")
    parser.add_argument("--budget", type=float, help="seconds for each run; default: of each problem its own")
    parser.add_argument("--scale", type=float, default=1.0, help="shrinks the problems, for a dry run")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path("docs"), help="folder of the page; the figure in figures/")
    parser.add_argument("--json", type=Path, help="write all numbers here, after each part")
    parser.add_argument("--from", type=Path, dest="saved", help="measure nothing; page and figure of saved numbers")
    return parser.parse_args()


def start_again(environment: dict[str, str]) -> int:
    """Run the same call with other environment variables, in this process's place where the system can do that."""
    call = [sys.executable, "-m", "benchmarks", *sys.argv[1:]]
    if os.name == "posix":
        os.execve(call[0], call, environment)
    return subprocess.run(call, env=environment, check=False).returncode


def main() -> int:
    """Start again with the threads set, then measure and write."""
    asked = arguments()
    threads = dict.fromkeys(THREAD_VARIABLES, str(asked.threads))
    if not asked.saved and any(os.environ.get(name) != value for name, value in threads.items()):
        return start_again(os.environ | threads)
    from benchmarks import measure, results

    found = results.load(asked.saved) if asked.saved else measure.measure(asked)
    measure.write(found, asked.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
