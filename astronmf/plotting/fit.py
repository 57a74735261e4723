"""`plot_fit`, `plot_forward` and `plot_calibration`: models of disks and planets beside the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import astropy.units as u
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import AsinhNorm, Normalize
from matplotlib.figure import Figure

from astronmf._typing import FloatArray
from astronmf._validation import fail
from astronmf.imaging.detection.catalogue import with_error
from astronmf.imaging.modelling.fit_result import TemplateFit
from astronmf.imaging.modelling.forward_images import ForwardImages
from astronmf.imaging.modelling.forward_model import ForwardModel
from astronmf.imaging.modelling.on_sky import OnSky
from astronmf.plotting.coordinates import Coordinates, aspect, field_of_view
from astronmf.plotting.panel import add_color_bar, add_compass, add_scale_bar, draw_image, mark_star, unit_label
from astronmf.plotting.stretch import finite_values, make_norm, symmetric_norm
from astronmf.plotting.style import diverging_colormap, flux_colormap, house_style, new_figure
from astronmf.plotting.words import counted, heading

if TYPE_CHECKING:
    from astronmf.imaging.reduction import Reduction

__all__ = ["plot_fit", "plot_forward"]

PANEL = 4.0  # inches: width of a panel
LEAST_SNR, MOST_SNR = 5.0, 15.0  # of the limits of the colour scale
LINEAR = 0.02  # of the peak: where the scale of a forward model is linear
DEEPEST = 0.05  # of the peak: how far below zero that scale goes
MOST_NAMED = 4  # amplitudes in a heading

Box = tuple[float, float, float, float]


@house_style()
def plot_fit(fit: TemplateFit) -> Figure:
    """Draw the data less the star, the fitted templates, and what is left, on one scale; and what is left over errors.

    Parameters
    ----------
    fit : TemplateFit
        Of `Reduction.fit`, or read from a file. North is up where the frames have angles.

    Returns
    -------
    matplotlib.figure.Figure
    """
    images = {"Data − star": fit.combined, "Model": fit.model, "Residual": fit.residual}
    coordinates, box = _place(fit)
    figure, panels = _row(4, box)
    norm = make_norm(finite_values(fit.combined))
    _draw_on_one_scale(panels[:3], images, norm, coordinates, box, fit.unit)
    ratio = _over_errors(fit)
    norm = symmetric_norm(finite_values(ratio), LEAST_SNR, MOST_SNR)
    drawn = draw_image(panels[3], ratio, coordinates, norm, diverging_colormap(), box)
    add_color_bar(panels[3], drawn, norm, "residual / σ of a pixel")
    panels[3].set_title("Residual / error")
    _finish(panels, fit, coordinates)
    first = heading(fit.meta, counted(len(fit.residuals), "frame"), f"χ²/dof {fit.reduced_chi2:.3g}")
    figure.suptitle(f"{first}\n{_amplitudes(fit)}", parse_math=False)
    return figure


@house_style()
def plot_forward(model: ForwardModel | ForwardImages, reduction: Reduction | None = None) -> Figure:
    """Draw a source, what a reduction leaves of it, and what it takes, on one scale.

    The second panel is from the active components. Where the data were reduced again, and that is not the same, it
    takes the place of the third panel, and the difference is drawn beside it.

    Parameters
    ----------
    model : ForwardModel or ForwardImages
        Of `Reduction.forward_model`, or read from a file.
    reduction : Reduction, optional
        Which the model is of; needed with a `ForwardModel`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    if isinstance(model, ForwardModel):
        if reduction is None:
            raise fail("reduction", "given with a ForwardModel", None)
        model = ForwardImages.of(model, reduction)
    again = model.exact is not None and model.largest_difference > 0
    images = {"Source": model.source, "Forward model": model.combined}
    if again and model.exact is not None:
        images["Reduced again"] = model.exact
    else:
        images["Source − forward model"] = model.source - model.combined
    coordinates, box = _place(model)
    figure, panels = _row(4 if again else 3, box)
    norm = _noise_free_norm(finite_values(model.source), finite_values(model.combined))
    _draw_on_one_scale(panels[:3], images, norm, coordinates, box, model.unit)
    if again and model.difference is not None:
        _draw_difference(panels[3], model.difference, coordinates, box, model.unit)
    _finish(panels, model, coordinates)
    first = heading(model.meta)
    figure.suptitle("\n".join([first] * bool(first) + [heading({}, *_kept(model))]), parse_math=False)
    return figure


def _noise_free_norm(source: FloatArray, left: FloatArray) -> Normalize:
    """Return the scale of a source without noise and of what is left of it: all of it, and a little below zero."""
    high = float(np.concatenate([source, left]).max(initial=0.0))
    if high <= 0:
        return make_norm(source)
    low = max(float(left.min(initial=0.0)), -DEEPEST * high)
    return AsinhNorm(LINEAR * high, vmin=low, vmax=high)


def _place(content: OnSky) -> tuple[Coordinates, Box]:
    """Return the axes of a result's images, and the box that holds what they have."""
    y, x = content.combined.shape
    coordinates = Coordinates((y, x), content.center, content.pixel_scale, content.is_north_up)
    return coordinates, field_of_view(np.isfinite(content.combined))


def _row(count: int, box: Box) -> tuple[Figure, list[Axes]]:
    """Return a figure with panels side by side, as high as a box is."""
    figure = new_figure(count * PANEL + 2.0, 3.7 * aspect(box) + 1.3)
    return figure, list(np.ravel(figure.subplots(1, count, sharey=True, squeeze=False)))


def _draw_on_one_scale(
    panels: list[Axes],
    images: Mapping[str, FloatArray],
    norm: Normalize,
    coordinates: Coordinates,
    box: Box,
    unit: u.UnitBase | None,
) -> None:
    """Draw images with titles, and one colour bar beside the last."""
    for axes, (title, image) in zip(panels, images.items(), strict=True):
        drawn = draw_image(axes, image, coordinates, norm, flux_colormap(), box)
        axes.set_title(title)
    add_color_bar(panels[-1], drawn, norm, unit_label(unit), finite_values(np.stack(list(images.values()))))


def _draw_difference(
    axes: Axes, difference: FloatArray, coordinates: Coordinates, box: Box, unit: u.UnitBase | None
) -> None:
    """Draw the difference between forward model and reducing again, white at zero."""
    values = finite_values(difference)
    limit = float(np.abs(values).max(initial=0.0)) or 1.0
    norm = Normalize(-limit, limit)
    drawn = draw_image(axes, difference, coordinates, norm, diverging_colormap(), box)
    add_color_bar(axes, drawn, norm, unit_label(unit))
    axes.set_title("Forward model − reduced again")


def _finish(panels: list[Axes], content: OnSky, coordinates: Coordinates) -> None:
    """Mark the star in all panels, a length and the directions in the first, and label the left axis once."""
    for axes in panels:
        mark_star(axes, coordinates.position(*content.center))
    for axes in panels[1:]:
        axes.set_ylabel("")
    if coordinates.pixel_scale is not None:
        add_scale_bar(panels[0])
    if coordinates.north_up:
        add_compass(panels[0])


def _over_errors(fit: TemplateFit) -> FloatArray:
    """Return the residual over its 1σ: (y, x), NaN where either is missing or 1σ is 0."""
    noise = fit.combined_uncertainty
    known = np.isfinite(noise) & (noise > 0)
    return np.asarray(np.divide(fit.residual, noise, out=np.full(noise.shape, np.nan), where=known))


def _amplitudes(fit: TemplateFit) -> str:
    """Return the amplitudes with their errors, in words."""
    each = zip(fit.names, fit.amplitudes, fit.errors, fit.status, strict=True)
    words = [
        f"{name} {with_error(value, error)}" if np.isfinite(value) else f"{name} {status}"
        for name, value, error, status in each
    ]
    more = [f"{len(words) - MOST_NAMED} more"] if len(words) > MOST_NAMED else []
    calibrated = [] if fit.calibration is None else ["calibrated in position angle"]
    return heading({}, *words[:MOST_NAMED], *more, *calibrated)


def _kept(model: ForwardImages) -> list[str]:
    """Return the throughput, and how far the forward model holds, in words."""
    same, n = int(model.same_active_set.sum()), len(model.same_active_set)
    off = model.largest_difference
    again = " when reduced again" if off > 0 else ""
    kept = [f"throughput {model.throughput:.1%}{again}"] if np.isfinite(model.throughput) else []
    words = [*kept, f"active components kept in {same} of {counted(n, 'frame')}"]
    if off == 0:
        words.append("the same when reduced again")
    elif np.isfinite(off):
        words.append(f"forward model off by {off:.2g} of the peak")
    return words
