"""`normalize_flux`: every frame at the same flux of the star."""

from __future__ import annotations

from typing import Any

import numpy as np

from astronmf._typing import BoolArray, FloatArray
from astronmf._validation import as_real_array, check_broadcast, check_number, check_one_of_two, fail
from astronmf.imaging.frames import Frames
from astronmf.imaging.geometry import annulus
from astronmf.imaging.preparation.records import recorded
from astronmf.imaging.statistics import median_frame

__all__ = ["normalize_flux", "star_flux"]


def normalize_flux(
    frames: Frames,
    factors: Any = None,
    *,
    to: float | None = None,
    inner_radius: float | None = None,
    outer_radius: float | None = None,
) -> Frames:
    """Divide every frame by how bright the star is in it.

    Parameters
    ----------
    frames : Frames
        Their star at one place, and their background subtracted.
    factors : number or (n,) array, optional
        What to divide by; by default each frame's flux over `to`.
    to : float, optional
        The flux that every frame shall have; by default the median of theirs, so that the unit keeps its meaning.
    inner_radius, outer_radius : float, optional
        The flux is that between these distances from the star, in pixels: an aperture, or an annulus around a
        coronagraph's spot or a saturated core. By default the largest circle within the frame.

    Returns
    -------
    Frames
        In the same unit, errors divided as well.

    Raises
    ------
    ValueError
        If a factor is not above 0, or a frame has no flux there.
    """
    frames = Frames.of(frames)
    check_one_of_two("factors", factors, "to", to)
    parameters: dict[str, Any] = {"factors": "given"}
    found: dict[str, Any] = {}
    if factors is None:
        fluxes = star_flux(frames, inner_radius, outer_radius)
        goal = float(np.median(fluxes)) if to is None else check_number("to", to, np.nextafter(0, 1))
        values = fluxes / goal
        found["fluxes"] = fluxes
        parameters = {"to": goal, "inner_radius": inner_radius, "outer_radius": outer_radius}
    else:
        given = as_real_array("factors", factors).astype(np.float64)
        values = np.array(check_broadcast("factors", given, (len(frames),)))
        wrong = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
        if wrong.size:
            raise fail("factors", "numbers above 0", f"{values[wrong[0]]:g} for {frames.names[wrong[0]]}")
    cube = values[:, None, None]
    sigma = frames.sigma
    return recorded(
        frames,
        "normalize_flux",
        parameters,
        found | {"factors": values},
        data=(frames.data / cube).astype(frames.data.dtype),
        uncertainty=None if sigma is None else (sigma / cube).astype(sigma.dtype),
    )


def star_flux(frames: Frames, inner_radius: float | None = None, outer_radius: float | None = None) -> FloatArray:
    """Return each frame's flux in an aperture or annulus about the star: (n,).

    What a frame misses there is made up for by the share that the same pixels have in the median frame; pixels that all
    frames miss count in none.

    Raises
    ------
    ValueError
        If a flux is not above 0.
    """
    annulus(frames.shape[1:], frames.geometry.center, inner_radius, outer_radius)  # refuses wrong radii
    aperture = _aperture(frames, inner_radius or 0.0, outer_radius)
    median = median_frame(np.where(frames.mask, np.nan, frames.data))
    whole = _sum(aperture, median, np.isnan(median))
    parts = [_sum(aperture, median, mask | np.isnan(median)) for mask in frames.mask]
    fluxes = np.array([_sum(aperture, image, mask) for image, mask in zip(frames.data, frames.mask, strict=True)])
    with np.errstate(invalid="ignore", divide="ignore"):
        fluxes = fluxes * (whole / np.array(parts))
    dark = np.flatnonzero(~(fluxes > 0))
    if dark.size:
        found = f"{fluxes[dark[0]]:g} for {frames.names[dark[0]]} ({dark.size} such frames)"
        raise fail("outer_radius", "such that every frame has flux above 0 within it, its background subtracted", found)
    return fluxes


def _aperture(frames: Frames, inner: float, outer: float | None) -> Any:
    """Return photutils's aperture about the star; by default it reaches to the nearest edge."""
    from photutils.aperture import CircularAnnulus, CircularAperture

    x, y = frames.geometry.center
    edge = 0.5 + min(x, y, frames.shape[2] - 1 - x, frames.shape[1] - 1 - y)
    reach = edge if outer is None or np.isinf(outer) else outer
    if reach <= inner:
        raise fail("outer_radius", f"above inner_radius={inner:g}", f"{reach:g}")
    return CircularAnnulus((x, y), inner, reach) if inner > 0 else CircularAperture((x, y), reach)


def _sum(aperture: Any, image: FloatArray, missing: BoolArray) -> float:
    """Return the light in an aperture, pixels on its edge counted by their share."""
    sums, _ = aperture.do_photometry(np.where(missing, 0.0, image).astype(np.float64), method="exact")
    return float(sums[0])
