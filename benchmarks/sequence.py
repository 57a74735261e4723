"""How long a large rotating sequence takes: 200 frames of 300 x 300 pixels, ten components, the full frame.

Speckles of 25 patterns that drift in time, and noise; float32. Compilation is left out by a small run before.

    python -m benchmarks.sequence
"""

from __future__ import annotations

from time import perf_counter

import numpy as np

from astronmf.imaging import Frames, reduce

N_FRAMES, SIZE, N_PATTERNS = 200, 300, 25
ROTATION = 80.0  # degrees
NOISE = 3.0


def sequence(n: int = N_FRAMES, size: int = SIZE, seed: int = 0) -> Frames:
    """Return the frames; the star is at the middle pixel, ``size // 2``."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((size, size)) - size // 2
    distance, turn = np.hypot(x, y), np.arctan2(y, x)
    halo = 1000 * np.exp(-distance / 30)
    waves = [1 + 0.5 * np.cos((m % 7 + 1) * turn + m) * np.cos(distance / (3 + m % 5) + m) for m in range(N_PATTERNS)]
    drift = np.abs(1 + 0.03 * np.cumsum(rng.standard_normal((n, N_PATTERNS)), axis=0))
    star = (drift @ (halo * np.array(waves)).reshape(N_PATTERNS, -1)).reshape(n, size, size) / N_PATTERNS
    data = (star + NOISE * rng.standard_normal(star.shape)).astype(np.float32)
    return Frames(data, angles=np.linspace(0.0, ROTATION, n), center=(size // 2, size // 2))


def main() -> None:
    """Print the time of one reduction and what it reached."""
    reduce(sequence(20, 60), mode="adi", n_components=3)
    frames = sequence()
    began = perf_counter()
    result = reduce(frames, mode="adi", n_components=10)
    seconds = perf_counter() - began
    build = float(result.components.history["seconds"].sum())
    print(
        f"{seconds:.1f} s, {build:.1f} s of them for the components; χ²/N {result.chi2 / result.n_valid / NOISE**2:.4f}"
    )


if __name__ == "__main__":
    main()
