"""applefy: a reduction for its contrast grids and contrast curves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from astronmf._typing import FloatArray
from astronmf._validation import as_real_array, check_choice, check_integer, fail
from astronmf.adapters._neighbour import needed
from astronmf.imaging.frames import Frames
from astronmf.imaging.geometry import center_pixel, shifted
from astronmf.imaging.modes import MODES
from astronmf.imaging.subtraction import reduce

__all__ = ["ApplefyReduction"]


class ApplefyReduction:
    """Sequential NMF with several numbers of components, as applefy calls a reduction.

    For ``applefy.detections.contrast.Contrast.run_fake_planet_experiments``, whose ``DataReductionInterface`` it
    follows and is registered with. Each experiment is built once, up to the largest number of components.

    Parameters
    ----------
    n_components : int or sequence of int
        Numbers of components, in each zone.
    references : Frames or (m, y, x) array, optional
        Of other stars, aligned with the science frames.
    mode : {"adi", "rdi", "ardi"}, optional
        "rdi" with `references`, "adi" without them.
    name : str
        What applefy calls the method, before the number of components.
    **options
        Anything else that `reduce` takes: ``inner_radius``, ``annulus_width``, ``min_rotation`` and ``fwhm``,
        ``combine``, ``estimator``, …

    Raises
    ------
    ModuleNotFoundError
        If applefy is not installed.
    ValueError
        If a number of components is no positive integer, or `mode` is none of the above.
    """

    def __init__(
        self,
        n_components: int | Iterable[int],
        *,
        references: Any = None,
        mode: str | None = None,
        name: str = "NMF",
        **options: Any,
    ) -> None:
        needed("applefy.detections.contrast", "ApplefyReduction").DataReductionInterface.register(type(self))
        numbers = n_components if isinstance(n_components, Iterable) else [n_components]
        self.n_components = sorted({check_integer("n_components", number, 1) for number in numbers})
        if not self.n_components:
            raise fail("n_components", "at least one number", n_components)
        self.references = references
        default = "adi" if references is None else "rdi"
        self.mode: str = default if mode is None else check_choice("mode", mode, MODES)
        self.name = name
        self.options = options

    def get_method_keys(self) -> list[str]:
        """Return a name for each number of components: the keys of what a call returns."""
        return [f"{self.name} ({number:03d} components)" for number in self.n_components]

    def __call__(
        self,
        stack_with_fake_planet: Any,
        parang_rad: Any,
        psf_template: Any,  # noqa: ARG002 (applefy passes it)
        exp_id: str,  # noqa: ARG002 (applefy passes it)
    ) -> dict[str, FloatArray]:
        """Reduce one experiment.

        Parameters
        ----------
        stack_with_fake_planet : (n, y, x) array
            The star at applefy's centre, ``(n − 1) / 2`` along each axis. NaN is missing.
        parang_rad : (n,) array
            Derotation angles in **radians**; in degrees they are the same numbers as `Frames.angles`.
        psf_template, exp_id
            Without effect.

        Returns
        -------
        dict of (y, x) arrays
            North up, the star at applefy's centre, NaN where nothing was reduced. Images of even size are moved there
            by half a pixel, in one interpolation more.
        """
        angles = np.rad2deg(as_real_array("parang_rad", parang_rad))
        science = _frames("stack_with_fake_planet", stack_with_fake_planet, angles)
        references = self.references
        if references is not None and not isinstance(references, Frames):
            references = _frames("references", references, None)
        *smaller, largest = self.n_components
        result = reduce(science, references, mode=self.mode, n_components=largest, **self.options)
        images = [*(result.at(number).combined for number in smaller), result.combined]
        return dict(zip(self.get_method_keys(), map(_at_applefys_center, images), strict=True))


def _frames(name: str, cube: Any, angles: Any) -> Frames:
    """Return frames with the star at applefy's centre."""
    data = as_real_array(name, cube)
    if data.ndim != 3:
        raise fail(name, "of shape (n, y, x)", data.shape)
    y, x = data.shape[1:]
    return Frames(data, mask=~np.isfinite(data), angles=angles, center=((x - 1) / 2, (y - 1) / 2))


def _at_applefys_center(image: FloatArray) -> FloatArray:
    """Return a north-up image with the star moved from `center_pixel` to the middle of the image."""
    y, x = image.shape
    here = center_pixel((y, x))
    return shifted(image, ((x - 1) / 2 - here[0], (y - 1) / 2 - here[1]))
