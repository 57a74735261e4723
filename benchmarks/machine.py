"""What the numbers were measured on, without naming the machine."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from threadpoolctl import threadpool_info

import astronmf

LIBRARIES = ("numpy", "scipy", "numba", "astropy")
PEERS = ("NonnegMFPy", "scikit-learn", "nimfa")


def describe(threads: int) -> dict[str, str]:
    """Return labels and values."""
    return {
        "Date": datetime.now(UTC).date().isoformat(),
        "Processor": processor(),
        "Cores": str(cores()),
        "Memory": memory(),
        "System": f"{platform.system()}, {platform.machine()}",
        "Threads": f"{threads} for every system",
        "Versions": f"astronmf {astronmf.__version__}, Python {platform.python_version()}, {_versions(LIBRARIES)}",
        "BLAS": blas(),
        "Peers": _versions(PEERS),
    }


def processor() -> str:
    """Return the processor's name."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> str:
    """Return the size of the machine's memory."""
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return "unknown"
    return f"{size / 2**30:.0f} GiB"


def blas() -> str:
    """Return the BLAS libraries that are loaded, with their kernels and threads."""
    found = [info for info in threadpool_info() if info["user_api"] == "blas"]
    texts = [
        f"{info['internal_api']} {info['version']} ({info.get('architecture', '?')}, {info['num_threads']} threads)"
        for info in found
    ]
    return "; ".join(dict.fromkeys(texts)) or "unknown"


def _versions(packages: tuple[str, ...]) -> str:
    return ", ".join(f"{package} {_version(package)}" for package in packages)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
