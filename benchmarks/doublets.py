"""χ² on nearly_nmf's simulated doublets, beside that of its own reference factors.

ASTRONMF_REALDATA=… python -m benchmarks.doublets
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from astronmf import NMF, SequentialNMF


def main() -> None:
    """Print a Markdown table."""
    folder = Path(os.environ["ASTRONMF_REALDATA"]) / "reference_nearly_nmf"
    data, weights = np.load(folder / "doublet_dataset.npy"), np.load(folder / "doublet_weights.npy")
    print("| factors | χ² |\n|---|---|")
    for name in ("nearly", "shift"):
        model = np.load(folder / f"W_{name}_truth.npy") @ np.load(folder / f"H_{name}_truth.npy")
        print(f"| {name}-NMF, reference | {np.sum(weights * (data - model) ** 2):.1f} |")
    for estimator in (SequentialNMF(2), NMF(2)):
        print(f"| `{type(estimator).__name__}(2)` | {estimator.fit(data, weights=weights).chi2_:.1f} |")


if __name__ == "__main__":
    main()
