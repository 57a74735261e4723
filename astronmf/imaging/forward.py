"""What a reduction does to a disk or planet of known shape.

On the active set (the components with a coefficient above 0) the target step is linear. A source m that leaves the
active set as it is changes the coefficients by ``(B_A V B_Aᵀ)⁻¹ B_A V m``, so of it there remains

    FM(m) = m − f · B_Aᵀ (B_A V B_Aᵀ)⁻¹ B_A V m

with f the frame's scale factor. Pixels declared missing have V = 0: a source that lies wholly in them is untouched.
Where the components were built from the science frames, they have taken up a share of the source as well:
`astronmf.imaging.self_reference`.
"""

from __future__ import annotations

import numpy as np

from astronmf._typing import FloatArray
from astronmf.imaging.target import Bases

__all__ = ["forward_frames"]

# Frames that share their components are multiplied with them together, but not too many: for memory.
FRAMES_AT_ONCE = 32


def forward_frames(
    sources: FloatArray,
    bases: Bases,
    weights: FloatArray,
    covariances: FloatArray,
    factors: FloatArray,
    carried: FloatArray | None = None,
) -> FloatArray:
    """Return what remains of a source in each frame, in the detector's orientation.

    Parameters
    ----------
    sources : (n, y, x) array
        The source in each frame.
    bases : Bases
    weights : (n, y, x) array
        ``V`` of the target step.
    covariances : (n, k, k) array
        ``(B_A V B_Aᵀ)⁻¹`` of each frame, zeros off its active set.
    factors : (n,) array
    carried : (n, y, x) array, optional
        What the components themselves have taken up of the source, where they were built from frames that have it
        (see `astronmf.imaging.self_reference`).

    Returns
    -------
    (n, y, x) array
        NaN where the components do not cover.
    """
    remaining = np.full(weights.shape, np.nan)
    taken = np.zeros(weights.shape) if carried is None else carried
    for rows, basis in bases.by_frame(len(sources)):
        y, x = np.nonzero(np.isfinite(basis).all(axis=0))
        flat = basis[:, y, x]
        for some in np.array_split(rows, 1 + len(rows) // FRAMES_AT_ONCE):
            here = some[:, None], y, x
            source, lost = sources[here], taken[here]
            share = (weights[here] * (source - lost)) @ flat.T
            change = np.einsum("nab,nb->na", covariances[some], share)
            remaining[here] = source - factors[some, None] * (lost + change @ flat)
    return remaining
