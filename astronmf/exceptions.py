"""The warnings and errors of this package.

Wrong arguments raise `ValueError` or `TypeError`, as everywhere in Python; the classes here are for what has no
built-in name.
"""

from __future__ import annotations

import sys
import warnings

__all__ = [
    "AstroNMFWarning",
    "ConvergenceWarning",
    "DegeneracyWarning",
    "FormatError",
    "GeometryWarning",
    "MissingDataWarning",
    "ScaleFactorWarning",
    "warn",
]


class FormatError(OSError):
    """A file is there, but it is not what its reader can use."""


class AstroNMFWarning(UserWarning):
    """The parent of all warnings of this package."""


class ConvergenceWarning(AstroNMFWarning):
    """An iteration ended at its limit, before its tolerance."""


class DegeneracyWarning(AstroNMFWarning):
    """The data do not tell one thing from another, or hardly."""


class MissingDataWarning(AstroNMFWarning):
    """Values are missing that no mask declared missing, or nothing is left where something was expected."""


class ScaleFactorWarning(AstroNMFWarning):
    """A scale factor lies at the edge of its range, or could not be measured."""


class GeometryWarning(AstroNMFWarning):
    """A centre, an angle or a pixel scale had to be assumed, or two of them disagree."""


def warn(message: str, category: type[AstroNMFWarning]) -> None:
    """Warn at the line outside this package that led here, however deep the call."""
    level = 2
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "astronmf":
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
