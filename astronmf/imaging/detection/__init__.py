"""Detection of point sources: signal-to-noise ratios, small-sample statistics, lists of sources, and limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from astronmf._lazy import lazily

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

__getattr__, __dir__ = lazily(
    __name__,
    {
        "ApertureSNR": "imaging.detection.signal_to_noise",
        "MatchedFilter": "imaging.detection.matched",
        "Search": "imaging.detection.search",
        "completeness_map": "imaging.detection.completeness",
        "contrast_curve": "imaging.detection.contrast",
        "detect": "imaging.detection.sources",
        "detection_threshold": "imaging.detection.statistics",
        "find_companions": "imaging.detection.search",
        "matched_filter": "imaging.detection.matched",
        "measure_throughput": "imaging.detection.throughput",
        "penalty": "imaging.detection.statistics",
        "resolution_elements": "imaging.detection.statistics",
        "significance": "imaging.detection.statistics",
        "snr": "imaging.detection.signal_to_noise",
        "snr_map": "imaging.detection.signal_to_noise",
        "threshold": "imaging.detection.statistics",
        "two_sample_snr": "imaging.detection.statistics",
    },
)
