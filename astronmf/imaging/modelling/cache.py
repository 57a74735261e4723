"""What is kept from one model to the next."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Cache"]


@dataclass
class Cache:
    """Values by key; all of them are dropped where the next one would make them too many.

    Attributes
    ----------
    limit : int
        Bytes that they may take together.
    """

    limit: int
    _values: dict[Hashable, Any] = field(default_factory=dict, repr=False)
    _size: int = 0

    def get(self, key: Hashable, make: Callable[[], Any], size: Callable[[Any], int]) -> Any:
        """Return the value of a key, made by ``make()`` where there is none yet; ``size(value)`` is in bytes."""
        if key not in self._values:
            made = make()
            needed = size(made)
            if self._size + needed > self.limit:
                self._values, self._size = {}, 0
            self._values[key] = made
            self._size += needed
        return self._values[key]
