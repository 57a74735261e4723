"""`select_references`: the reference frames that look most like the science frames."""

from __future__ import annotations

from typing import Any

import numpy as np

from astronmf._typing import FloatArray
from astronmf._validation import as_mask, check_broadcast, check_choice, check_integer, check_one_of_two, fail
from astronmf.imaging.frames import Frames, check_same_grid
from astronmf.imaging.geometry import annulus
from astronmf.imaging.preparation.correlation import PairSums
from astronmf.imaging.preparation.records import recorded
from astronmf.imaging.preparation.rejection import indices_of

__all__ = ["MEASURES", "select_references"]

MEASURES = ("correlation", "residual")


def select_references(
    science: Frames,
    references: Frames,
    n: int | None = None,
    *,
    by: str = "correlation",
    by_hand: Any = None,
    inner_radius: float | None = None,
    outer_radius: float | None = None,
    mask: Any = None,
) -> Frames:
    """Choose reference frames.

    Parameters
    ----------
    science, references : Frames
        On the same pixels, their stars at the same place.
    n : int, optional
        How many to keep.
    by : {"correlation", "residual"}, optional
        The highest correlation coefficient, or the least weighted root mean square of science − f · reference with the
        best factor f, over the valid pixels that both have; the mean over the science frames. Weights are 1/σ² of the
        science frames, where their errors are known.
    by_hand : str, int, or sequence of them, optional
        Instead of `n`: names, or numbers from 0, of the references to keep.
    inner_radius, outer_radius : float, optional
        The pixels between these distances from the star are compared; all by default.
    mask : (y, x) or (n, y, x) array of bool, optional
        `True` = not compared, on the science frames' pixels: the disk or planet.

    Returns
    -------
    Frames
        The references kept, the best first (by hand: as given). The record has everyone's score.

    Raises
    ------
    ValueError
        If neither `n` nor `by_hand` is given, or both; if fewer than `n` references can be compared.
    """
    check_one_of_two("n", n, "by_hand", by_hand)
    science, references = Frames.of(science), Frames.of(references)
    if by_hand is not None:
        chosen = indices_of("by_hand", by_hand, references)
        if not chosen:
            raise fail("by_hand", "at least one reference", "none")
        kept = recorded(references, "select_references", {"by": "by hand"}, _names(references, chosen))
        return kept[chosen]
    if n is None:
        raise fail("n", "given, or the references 'by_hand'", "None")
    check_integer("n", n, 1, len(references))
    check_choice("by", by, MEASURES)
    check_same_grid(science, references, "references")
    scores = _scores(science, references, by, _weights(science, inner_radius, outer_radius, mask))
    order = np.argsort(-scores if by == "correlation" else scores, kind="stable")  # NaN comes last
    usable = int(np.isfinite(scores).sum())
    if usable < n:
        raise fail("n", f"at most {usable}, the references that share valid pixels with every science frame", n)
    chosen = [int(i) for i in order[:n]]
    parameters = {"n": n, "by": by, "inner_radius": inner_radius, "outer_radius": outer_radius}
    parameters["mask"] = None if mask is None else "given"
    return recorded(references, "select_references", parameters, _names(references, chosen) | {"scores": scores})[
        chosen
    ]


def _names(references: Frames, chosen: list[int]) -> dict[str, Any]:
    """Return what the record says of those chosen."""
    return {"selected": [references.names[i] for i in chosen], "indices": chosen}


def _weights(science: Frames, inner: float | None, outer: float | None, mask: Any) -> FloatArray:
    """Return the weight of each science pixel, 0 where it is not compared: (n, y, x)."""
    weights = science.weights() * annulus(science.shape[1:], science.geometry.center, inner, outer)
    if mask is not None:
        weights = np.where(check_broadcast("mask", as_mask("mask", mask), science.shape), 0.0, weights)
    return weights


def _scores(science: Frames, references: Frames, by: str, weights: FloatArray) -> FloatArray:
    """Return each reference's score, (m,); NaN for one that has nothing in common with a science frame."""
    used = weights.any(axis=0)
    sums = PairSums.of(science.data[:, used], weights[:, used], references.data[:, used], ~references.mask[:, used])
    scores = sums.correlation() if by == "correlation" else sums.scatter()
    return np.asarray(scores.mean(axis=0))
