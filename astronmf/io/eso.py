"""What the readers of ESO's instruments share: keywords, angles that turn during an exposure, and the star's place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.io import fits

from astronmf._typing import FloatArray
from astronmf._validation import check_choice, check_number, fail
from astronmf.exceptions import FormatError, GeometryWarning, warn
from astronmf.io.frames import read_or_given_angles

__all__ = [
    "Corrections",
    "angles_between",
    "check_frame_count",
    "number",
    "parallactic_angles",
    "text",
]

PARANG = ("ESO TEL PARANG START", "ESO TEL PARANG END")
FRAMES = "ESO DET NDIT"


def text(header: fits.Header, *keys: str) -> str:
    """Return the first of some keywords that a header has, as a text; empty where it has none."""
    return next((str(header[key]).strip() for key in keys if key in header), "")


def number(header: fits.Header, key: str, path: Any, advice: str = "give 'angles'") -> float:
    """Return the number that a keyword holds.

    Raises
    ------
    FormatError
        If it is missing, or not a finite number.
    """
    if key not in header:
        msg = f"{path}: the header has no {key}; {advice}"
        raise FormatError(msg)
    try:
        value = float(header[key])
    except (TypeError, ValueError):
        value = np.nan
    if not np.isfinite(value):
        msg = f"{path}: {key} must be a number, got {header[key]!r}; {advice}"
        raise FormatError(msg)
    return value


def angles_between(start: float, end: float, count: int) -> FloatArray:
    """Return the angle at the middle of each of `count` equal parts of the turn from `start` to `end`, degrees: (n,).

    The turn is the shorter way round, so that 179° to −179° is 2°; the angles are continuous, and may pass 180 or 360.
    """
    turn = (end - start + 180) % 360 - 180
    return start + turn * (np.arange(count) + 0.5) / count


def parallactic_angles(header: fits.Header, count: int, path: Any) -> FloatArray:
    """Return the parallactic angle of each frame, (n,), between those at the exposure's start and end.

    Linear in the frame number. Where the target passes close to the zenith during the exposure that is only
    approximate: give 'angles' there.
    """
    start, end = (number(header, key, path) for key in PARANG)
    return angles_between(start, end, count)


def check_frame_count(header: fits.Header, count: int, path: Any) -> None:
    """Raise or warn if the header's start and end cannot be those of the frames in the file.

    Raises
    ------
    FormatError
        If there are more frames than the exposure had (``ESO DET NDIT``): they come from several exposures.
    """
    if FRAMES not in header:
        return
    recorded = int(number(header, FRAMES, path))
    if count > recorded:
        msg = f"{path}: {count} frames, but the header is of an exposure of {recorded} ({FRAMES}); give 'angles'"
        raise FormatError(msg)
    if 1 < count < recorded:
        msg = (
            f"{path}: {count} frames of an exposure of {recorded} ({FRAMES}): their angles are spread evenly from its "
            "start to its end; give 'angles' if frames were taken out"
        )
        warn(msg, GeometryWarning)


@dataclass(frozen=True)
class Corrections:
    """What a user may say of angles: those to use as they are, or what to change in those from the header."""

    angles: Any = None
    angle_key: str | None = None
    true_north: float | None = None
    pupil_offset: float | None = None
    angle_sign: int | None = None

    @property
    def replaced(self) -> bool:
        """Whether the header's angles are not wanted."""
        return self.angles is not None or self.angle_key is not None

    def position_angles(
        self,
        hdus: fits.HDUList,
        header: fits.Header,
        count: int,
        nominal: Callable[[], tuple[FloatArray, str, str]],
        true_north: float,
    ) -> tuple[FloatArray | None, dict[str, Any]]:
        """Return position angles of +y, (n,), and what they are made of.

        ``angle_sign × (angles + true_north)``, or what is given in their place.

        Parameters
        ----------
        hdus, header, count
            The file, and how many frames it has.
        nominal
            Returns the header's angles but for true north, (n,), their keyword, and their terms in words; called where
            they are wanted.
        true_north : float
            Degrees; what is added where nothing else is said.
        """
        if self.replaced:
            self._check_unused()
            given = read_or_given_angles(hdus, header, count, self.angles, self.angle_key)
            return given, {"angle_key": self.angle_key or "given"}
        angles, key, terms = nominal()
        north = check_number("true_north", true_north if self.true_north is None else self.true_north)
        sign = check_choice("angle_sign", 1 if self.angle_sign is None else self.angle_sign, (1, -1))
        return sign * (angles + north), {"angle_key": key, "angle_convention": f"{sign:+d} x ({terms} + {north:g})"}

    def _check_unused(self) -> None:
        """Raise if angles that are given, or a keyword's, come with corrections of the header's."""
        for name in ("true_north", "pupil_offset", "angle_sign"):
            value = getattr(self, name)
            if value is not None:
                raise fail(name, "left out beside 'angles' or 'angle_key', which are used as they stand", value)
