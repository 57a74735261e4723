"""`plot_detections` and `plot_companion`: what was found, and how well a point source explains it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import QTable
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from astronmf._typing import FloatArray
from astronmf._validation import check_number, fail
from astronmf.imaging.companions import Companion
from astronmf.imaging.detection.catalogue import with_error
from astronmf.imaging.psf import PSF
from astronmf.plotting.coordinates import Coordinates, aspect, field_of_view
from astronmf.plotting.panel import add_color_bar, add_compass, add_scale_bar, draw_image, mark_star, unit_label
from astronmf.plotting.reduction import decorate, draw_flux
from astronmf.plotting.stretch import finite_values, number_label, symmetric_norm
from astronmf.plotting.style import diverging_colormap, house_style, new_figure, outline
from astronmf.plotting.words import counted, heading

if TYPE_CHECKING:
    from astronmf.imaging.detection.search import Search
    from astronmf.imaging.reduction import Reduction

__all__ = ["plot_companion", "plot_detections"]

LARGEST_SIGMA = 10.0  # that the colour scale of a map reaches
CIRCLE = 1.2  # FWHM: radius of the circle around a source
HALF_WIDTH = 3.5  # FWHM from a companion to the edge of its cut-out
LABEL_GAP = 0.3  # FWHM between a circle and its label
LABEL_HEIGHT, LABEL_WIDTH = 0.06, 0.25  # of a label, as shares of the panel's sides


@house_style()
def plot_detections(found: Search | QTable, reduction: Reduction, significance: Any = None) -> Figure:
    """Draw the combined image and the significance of a source at each place, with those that were found circled.

    Parameters
    ----------
    found : Search or QTable
        What `find_companions` returned, or the table of `detect`. Each source is labelled with its number in the table
        and its signal-to-noise ratio.
    reduction : Reduction
        What was searched.
    significance : (y, x) array, optional
        In sigma; that of the search by default, and needed with a table.

    Returns
    -------
    matplotlib.figure.Figure
        North is up where the reduction's frames have angles.
    """
    table = found if isinstance(found, QTable) else found.table
    sigma = found.significance if significance is None and not isinstance(found, QTable) else significance
    if sigma is None:
        raise fail("significance", "given with a table", None)
    coordinates = _coordinates(reduction)
    box = field_of_view(np.isfinite(reduction.combined))
    figure = new_figure(11.4, 4.3 * aspect(box) + 1.0)
    panels = figure.subplots(1, 2)
    draw_flux(panels[0], reduction.combined, coordinates, reduction, box)
    _draw_significance(panels[1], sigma, table.meta["threshold"], coordinates, box)
    for axes, title, color in zip(panels, ("Combined image", "Significance"), ("white", "black"), strict=True):
        decorate(axes, coordinates, reduction)
        axes.set_title(title)
        for row in table:
            place = row["x"].value, row["y"].value
            _circle(axes, place, coordinates, table.meta["fwhm"], color)
            text = f"{row['id']}: S/N {row['snr']:.1f}"
            _label(axes, place, text, coordinates, reduction.center, table.meta["fwhm"])
    words = f"{counted(len(table), 'source')} above {number_label(table.meta['threshold'])} σ"
    figure.suptitle(heading(reduction.meta, words), parse_math=False)
    return figure


@house_style()
def plot_companion(
    companion: Companion, reduction: Reduction, psf: Any, *, smearing: Any = None, half_width: float | None = None
) -> Figure:
    """Draw a companion in the combined image, its forward model, and what is left without it, on one scale.

    Parameters
    ----------
    companion : Companion
    reduction : Reduction
        Where it was measured.
    psf, smearing
        As for `fit_companion`.
    half_width : float, optional
        Pixels from the companion to the edge of the panels; 3.5 FWHM by default.

    Returns
    -------
    matplotlib.figure.Figure
        North is up where the reduction's frames have angles.
    """
    point = PSF.of(psf)
    reach = HALF_WIDTH * point.fwhm if half_width is None else check_number("half_width", half_width, 1.0)
    model = companion.image(reduction, point, smearing=smearing)
    coordinates, box = _coordinates(reduction), _box(companion, reach, reduction.combined)
    near = (slice(*np.rint(np.add(box[2:], 0.5)).astype(int)), slice(*np.rint(np.add(box[:2], 0.5)).astype(int)))
    images = (reduction.combined, model, reduction.combined - model)
    values = finite_values(np.stack([image[near] for image in images]))
    norm = _symmetric(finite_values(model[near]), values)
    figure = new_figure(13.2, 4.0 * aspect(box) + 1.1)
    panels = figure.subplots(1, 3, sharey=True)
    for axes, image, title in zip(panels, images, ("Data", "Forward model", "Data − model"), strict=True):
        drawn = draw_image(axes, image, coordinates, norm, diverging_colormap(), box)
        axes.set_title(title)
        _circle(axes, (companion.x, companion.y), coordinates, point.fwhm, "black")
        if _is_within(reduction.center, box):
            mark_star(axes, coordinates.position(*reduction.center))
    add_color_bar(panels[2], drawn, norm, unit_label(reduction.unit), values)
    for axes in panels[1:]:
        axes.set_ylabel("")
    if coordinates.pixel_scale is not None:
        add_scale_bar(panels[0])
    if coordinates.north_up:
        add_compass(panels[0])
    figure.suptitle(heading(reduction.meta, *_words(companion, reduction)), parse_math=False)
    return figure


def _coordinates(reduction: Reduction) -> Coordinates:
    """Return the axes of a reduction's combined image."""
    shape = reduction.combined.shape[0], reduction.combined.shape[1]
    science = reduction.science
    return Coordinates(shape, reduction.center, science.geometry.pixel_scale, science.angles is not None)


def _draw_significance(
    axes: Axes, sigma: FloatArray, threshold: float, coordinates: Coordinates, box: tuple[float, float, float, float]
) -> None:
    """Draw the significance of a source at each place, white at zero."""
    norm = symmetric_norm(finite_values(sigma), threshold, max(threshold, LARGEST_SIGMA))
    drawn = draw_image(axes, sigma, coordinates, norm, diverging_colormap(), box)
    add_color_bar(axes, drawn, norm, "significance [σ]")


def _circle(axes: Axes, place: tuple[float, float], coordinates: Coordinates, fwhm: float, color: str) -> None:
    """Draw a circle around a source at (x, y) pixels."""
    radius = CIRCLE * fwhm * (coordinates.pixel_scale or 1.0)
    other = "black" if color == "white" else "white"
    middle = coordinates.position(*place)
    axes.add_patch(Circle(middle, radius, fill=False, edgecolor=color, linewidth=1.5, path_effects=outline(3.0, other)))


def _label(
    axes: Axes, place: tuple[float, float], text: str, coordinates: Coordinates, star: tuple[float, float], fwhm: float
) -> None:
    """Write above or below a source's circle, away from the star where there is room."""
    (low, high), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    x, y = coordinates.position(*place)
    gap = (CIRCLE + LABEL_GAP) * fwhm * (coordinates.pixel_scale or 1.0)
    is_above = y >= coordinates.position(*star)[1]
    room = (top - y if is_above else y - bottom) / (top - bottom)
    is_above ^= room < gap / (top - bottom) + LABEL_HEIGHT
    along = (x - low) / (high - low)
    side = "left" if along < LABEL_WIDTH / 2 else "right" if along > 1 - LABEL_WIDTH / 2 else "center"
    axes.text(
        x,
        y + (gap if is_above else -gap),
        text,
        color="white",
        ha=side,
        va="bottom" if is_above else "top",
        weight="bold",
        path_effects=outline(),
    )


def _box(companion: Companion, reach: float, image: FloatArray) -> tuple[float, float, float, float]:
    """Return the box (x low, x high, y low, y high), in pixels, around a companion, cut at the image's edges."""
    rows, columns = image.shape
    x, y, size = round(companion.x), round(companion.y), int(np.ceil(reach))
    return (
        max(-0.5, x - size - 0.5),
        min(columns - 0.5, x + size + 0.5),
        max(-0.5, y - size - 0.5),
        min(rows - 0.5, y + size + 0.5),
    )


def _is_within(place: tuple[float, float], box: tuple[float, float, float, float]) -> bool:
    return box[0] < place[0] < box[1] and box[2] < place[1] < box[3]


def _symmetric(model: FloatArray, values: FloatArray) -> Normalize:
    """Return a linear scale around zero that a model fills, or other values where there is none."""
    for part in (model, values):
        limit = float(np.abs(part).max(initial=0.0))
        if limit > 0:
            return Normalize(-limit, limit)
    return Normalize(-1.0, 1.0)


def _words(companion: Companion, reduction: Reduction) -> list[str]:
    """Return where a companion is, how bright, and how sure that is."""
    scale = reduction.science.geometry.pixel_scale
    where = f"{companion.separation:.2f} pixels" if scale is None else f"{companion.separation * scale:.3f}″"
    unit = "" if reduction.unit is None else f" {reduction.unit}"
    flux = f"flux {with_error(companion.flux, companion.flux_error)}{unit}"
    return [f"{where}, PA {companion.position_angle:.1f}°", flux, f"S/N {companion.snr:.1f}"]
