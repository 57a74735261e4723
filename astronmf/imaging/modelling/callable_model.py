"""Any function that returns an image, as a source: radiative transfer by MCFOST or RADMC-3D, an archive of models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from astronmf._typing import FloatArray
from astronmf.imaging.modelling.brightness import check_parameter_names
from astronmf.imaging.modelling.sources import SkyImage

__all__ = ["CallableModel"]


@dataclass(frozen=True, eq=False)
class CallableModel:
    """A source whose picture a function draws.

    Attributes
    ----------
    function
        Called as ``function(**parameters)``; returns what `SkyImage` takes: a north-up image (y, x), east left, finite,
        as an array, Quantity, NDData or CCDData.
    parameters : mapping
        The arguments, by name; those are the model's free parameters. A copy is kept.
    pixel_scale : float or Quantity, optional
        Arcseconds a pixel of the image; by default that of its WCS, or else of the frames.
    center : (x, y), optional
        The star on the image, 0-based pixels; ``(n_x // 2, n_y // 2)`` by default.
    convolved : bool, optional
        Whether the image is as the telescope sees it; by default it is convolved where a PSF is given.

    Examples
    --------
    >>> import numpy as np
    >>> def shell(radius, width):
    ...     y, x = np.indices((101, 101)) - 50
    ...     return np.exp(-0.5 * ((np.hypot(x, y) - radius) / width) ** 2)
    >>> model = CallableModel(shell, {"radius": 30.0, "width": 3.0})
    >>> model.with_parameters(radius=31.0).parameters
    {'radius': 31.0, 'width': 3.0}
    """

    function: Callable[..., Any]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    pixel_scale: Any = None
    center: tuple[float, float] | None = None
    convolved: bool | None = None

    def __post_init__(self) -> None:
        """Keep a copy of the parameters."""
        object.__setattr__(self, "parameters", dict(self.parameters))

    def with_parameters(self, **changes: Any) -> CallableModel:
        """Return the same model with some parameters changed.

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        check_parameter_names(changes, self.parameters)
        return replace(self, parameters={**self.parameters, **changes})

    def image(self) -> SkyImage:
        """Return the function's image, checked.

        Raises
        ------
        ValueError
            If it is no image, or not finite everywhere.
        """
        name = getattr(self.function, "__name__", type(self.function).__name__)
        return SkyImage(
            self.function(**self.parameters),
            pixel_scale=self.pixel_scale,
            center=self.center,
            convolved=self.convolved,
            name=f"the image of {name}",
        )

    def frames(self, observer: Any) -> FloatArray:
        """Return what the model looks like in each frame, as the detector sees it: (n, y, x) float64."""
        return self.image().frames(observer)
