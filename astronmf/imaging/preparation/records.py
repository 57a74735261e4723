"""What every step of the preparation shares: new frames from old ones, with a record of what was done."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np

from astronmf.imaging.frames import Frames

__all__ = ["KEY", "plain", "recorded"]

KEY = "preparation"


def recorded(
    frames: Frames, step: str, parameters: Mapping[str, Any], found: Mapping[str, Any] | None = None, **changes: Any
) -> Frames:
    """Return frames with some of their parts replaced, and one more entry in ``meta["preparation"]``.

    Parameters
    ----------
    frames
        What the step was given; nothing of it is changed, and nothing of it is shared.
    step
        The step's name.
    parameters
        What it was asked to do.
    found
        What it found: centres, factors, counts.
    **changes
        Arguments of `Frames` that replace those of `frames`; ``data``, ``uncertainty`` and ``mask`` among them.
    """
    entry = {"step": step, "parameters": plain(dict(parameters)), "frames": list(frames.names)}
    meta = deepcopy(dict(frames.meta))
    meta[KEY] = [*meta.get(KEY, []), entry | plain(dict(found or {}))]
    parts: dict[str, Any] = {
        "data": frames.data,
        "uncertainty": frames.sigma,
        "mask": frames.mask,
        "geometry": frames.geometry,
        "unit": frames.unit,
        "names": frames.names,
        "is_reference": frames.is_reference,
    }
    for name in {"data", "uncertainty"} - set(changes):
        parts[name] = None if parts[name] is None else np.array(parts[name])
    return Frames(**(parts | changes), meta=meta)


def plain(value: Any) -> Any:
    """Return what JSON can hold of a value: arrays become lists, NaN and Inf become `None`."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple | set):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
