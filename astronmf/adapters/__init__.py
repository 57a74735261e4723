"""The neighbours' interfaces: VIP, applefy and pyKLIP, as algorithm, as reduction, and as data in and out.

Nothing of theirs is imported before it is needed. `docs/neighbours.md` shows how each is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from astronmf._lazy import lazily

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
    from astronmf.adapters.vip_disk import VIPDisk

__all__ = [
    "ApplefyReduction",
    "VIPDisk",
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

__getattr__, __dir__ = lazily(
    __name__,
    {
        "ApplefyReduction": "adapters.applefy",
        "VIPDisk": "adapters.vip_disk",
        "frames_from_klip": "adapters.pyklip",
        "frames_from_vip": "adapters.vip",
        "frames_from_vip_dataset": "adapters.vip",
        "klip_arguments": "adapters.pyklip",
        "klip_dataset": "adapters.pyklip",
        "klip_library": "adapters.pyklip",
        "references_from_klip": "adapters.pyklip",
        "vip_algo": "adapters.vip",
        "vip_dataset": "adapters.vip",
    },
)
