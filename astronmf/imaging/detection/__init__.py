"""Detection of point sources: signal-to-noise ratios, small-sample statistics, lists of sources, and limits."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from astronmf.imaging.detection.completeness import completeness_map
    from astronmf.imaging.detection.contrast import contrast_curve
    from astronmf.imaging.detection.matched import MatchedFilter, matched_filter
    from astronmf.imaging.detection.search import Search, find_companions
    from astronmf.imaging.detection.signal_to_noise import ApertureSNR, snr, snr_map
    from astronmf.imaging.detection.sources import detect
    from astronmf.imaging.detection.statistics import (
        detection_threshold,
        penalty,
        resolution_elements,
        significance,
        threshold,
        two_sample_snr,
    )
    from astronmf.imaging.detection.throughput import measure_throughput

__all__ = [
    "ApertureSNR",
    "MatchedFilter",
    "Search",
    "completeness_map",
    "contrast_curve",
    "detect",
    "detection_threshold",
    "find_companions",
    "matched_filter",
    "measure_throughput",
    "penalty",
    "resolution_elements",
    "significance",
    "snr",
    "snr_map",
    "threshold",
    "two_sample_snr",
]

_HOMES = {
    "ApertureSNR": "astronmf.imaging.detection.signal_to_noise",
    "MatchedFilter": "astronmf.imaging.detection.matched",
    "Search": "astronmf.imaging.detection.search",
    "completeness_map": "astronmf.imaging.detection.completeness",
    "contrast_curve": "astronmf.imaging.detection.contrast",
    "detect": "astronmf.imaging.detection.sources",
    "detection_threshold": "astronmf.imaging.detection.statistics",
    "find_companions": "astronmf.imaging.detection.search",
    "matched_filter": "astronmf.imaging.detection.matched",
    "measure_throughput": "astronmf.imaging.detection.throughput",
    "penalty": "astronmf.imaging.detection.statistics",
    "resolution_elements": "astronmf.imaging.detection.statistics",
    "significance": "astronmf.imaging.detection.statistics",
    "snr": "astronmf.imaging.detection.signal_to_noise",
    "snr_map": "astronmf.imaging.detection.signal_to_noise",
    "threshold": "astronmf.imaging.detection.statistics",
    "two_sample_snr": "astronmf.imaging.detection.statistics",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module: photutils is loaded only where it is used."""
    if name not in _HOMES:
        msg = f"module 'astronmf.imaging.detection' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
