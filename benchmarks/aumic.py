"""AU Mic from JWST frames: reduce both rolls from the command line in one call, and measure the disk's position angle.

ASTRONMF_REALDATA=… python -m benchmarks.aumic FOLDER
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from astronmf.imaging import Reduction

NEAR, FAR = 25.0, 60.0  # pixels
HALF_WEDGE = 15.0  # degrees


def reduce_from_command_line(folder: Path, output: Path) -> Reduction:
    """Run ``astronmf reduce`` on all eight files (references are marked in their headers) and read the result."""
    files = [str(path) for path in sorted(folder.glob("*.fits"))]
    options = ["-k", "4", "--inner", "6", "--outer", "110", "-o", str(output / "aumic.fits"), "--overwrite"]
    figure = ["--plot", str(output / "aumic.png")]
    subprocess.run([sys.executable, "-m", "astronmf", "reduce", *files, *options, *figure], check=True)
    return Reduction.read(output / "aumic.fits")


def disk_position_angle(image: np.ndarray, center: tuple[int, int]) -> float:
    """Return the position angle of an edge-on disk, degrees east of north in [0, 180).

    The wedge of most flux is found, and both of its ends are folded onto one; the flux-weighted mean angle within it
    is iterated until it stays.
    """
    y, x = np.indices(image.shape, dtype=float)
    x, y = x - center[0], y - center[1]
    here = (np.hypot(x, y) > NEAR) & (np.hypot(x, y) < FAR) & np.isfinite(image)
    angle = np.rad2deg(np.arctan2(-x, y))[here] % 180
    flux = np.clip(image[here], 0, None)
    best = max(np.arange(180.0), key=lambda middle: flux[np.abs(_fold(angle - middle)) < HALF_WEDGE].sum())
    for _ in range(50):
        offset = _fold(angle - best)
        wedge = np.abs(offset) < HALF_WEDGE
        best += float(np.average(offset[wedge], weights=flux[wedge]))
    return best % 180


def _fold(angle: np.ndarray) -> np.ndarray:
    """Return angles modulo 180 degrees in [-90, 90)."""
    return (angle + 90) % 180 - 90


def main() -> None:
    """Reduce, and print the position angle."""
    output = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    folder = Path(os.environ["ASTRONMF_REALDATA"]) / "hci_jwst_nircam_aumic_f444w"
    result = reduce_from_command_line(folder, output)
    print(f"position angle of the disk: {disk_position_angle(result.combined, result.center):.2f} degrees")


if __name__ == "__main__":
    main()
