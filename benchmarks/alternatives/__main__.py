"""What the engine does, measured against what was tried instead of it and lost.

    python -m benchmarks.alternatives

Prints Markdown; takes some minutes. All on simulated data (`benchmarks.problems`), in double precision unless it says
otherwise, from the starts of the main benchmark.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from benchmarks.alternatives import gram, joint, rows, stages
from benchmarks.alternatives.table import heading

SECTIONS: dict[str, Callable[[], None]] = {
    "acceleration": joint.print_accelerations,
    "inner": joint.print_inner_sweeps,
    "rows": rows.print_solvers,
    "sample": stages.print_samples,
    "tolerance": stages.print_tolerances,
    "gram": gram.print_products,
}


def main(names: list[str]) -> None:
    """Print the tables of the named sections; all of them by default."""
    heading()
    for name in names or SECTIONS:
        SECTIONS[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
