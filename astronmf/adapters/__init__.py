"""The neighbours' interfaces: VIP, applefy and pyKLIP, as algorithm, as reduction, and as data in and out.

Nothing of theirs is imported before it is needed. `docs/neighbours.md` shows how each is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from astronmf.adapters.applefy import ApplefyReduction
    from astronmf.adapters.pyklip import (
        frames_from_klip,
        klip_arguments,
        klip_dataset,
        klip_library,
        references_from_klip,
    )
    from astronmf.adapters.vip import frames_from_vip, frames_from_vip_dataset, vip_algo, vip_dataset

__all__ = [
    "ApplefyReduction",
    "frames_from_klip",
    "frames_from_vip",
    "frames_from_vip_dataset",
    "klip_arguments",
    "klip_dataset",
    "klip_library",
    "references_from_klip",
    "vip_algo",
    "vip_dataset",
]

_HOMES = {
    "ApplefyReduction": "applefy",
    "frames_from_klip": "pyklip",
    "frames_from_vip": "vip",
    "frames_from_vip_dataset": "vip",
    "klip_arguments": "pyklip",
    "klip_dataset": "pyklip",
    "klip_library": "pyklip",
    "references_from_klip": "pyklip",
    "vip_algo": "vip",
    "vip_dataset": "vip",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module: one neighbour's interface does not load what another's needs."""
    if name not in _HOMES:
        msg = f"module 'astronmf.adapters' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"astronmf.adapters.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
