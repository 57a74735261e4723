"""`Together`: several sources as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from astronmf._typing import FloatArray
from astronmf._validation import fail
from astronmf.imaging.modelling.observing import Observer

__all__ = ["Together"]


@dataclass(frozen=True, eq=False)
class Together:
    """The light of several sources, added up.

    Attributes
    ----------
    sources : sequence of Source
        One or more.
    """

    sources: Sequence[Any]

    def __post_init__(self) -> None:
        """Check that there is a source."""
        if not self.sources:
            raise fail("sources", "at least one disk, planet or other source", "none")

    def frames(self, observer: Observer) -> FloatArray:
        """Return them as the detector sees them: (n, y, x); see `Source`."""
        return np.asarray(np.sum([source.frames(observer) for source in self.sources], axis=0))
