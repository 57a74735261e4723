"""Contrast curves and completeness, drawn as they are."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from astronmf.plotting import plot_completeness, plot_contrast

SEPARATION = np.arange(5.0, 30.0)
NEEDED = ["separation", "contrast", "contrast_gaussian"]


def curve(factor=1.0, *, angle=True, **meta):
    table = QTable({"separation": SEPARATION * u.pix})
    if angle:
        table["separation_angle"] = 0.05 * SEPARATION * u.arcsec
    table["contrast_gaussian"] = factor * 1e-3 * np.exp(-SEPARATION / 8)
    table["contrast"] = table["contrast_gaussian"] * (1 + 3 / SEPARATION)
    table.meta |= {"method": "matched", "sigma": 5.0, "student": True} | meta
    return table


def completeness(levels=4, **meta):
    table = QTable({"separation": [6.0, 12.0, 20.0] * u.pix, "separation_angle": [0.3, 0.6, 1.0] * u.arcsec})
    table["contrast"] = np.geomspace([1e-4, 5e-5, 2e-5], [1e-3, 5e-4, 2e-4], levels, axis=1)
    table["completeness"] = np.linspace([0, 0, 0], [1, 1, np.nan], levels, axis=1)
    table["contrast_50"], table["contrast_95"] = [3e-4, 1e-4, np.nan], [8e-4, 3e-4, np.nan]
    table.meta |= {"threshold": 5.0} | meta
    return table


def axes_of(figure):
    return figure.axes[0]


def test_a_curve_is_drawn_over_its_separations_in_arcseconds():
    figure = plot_contrast(curve())
    assert isinstance(figure, Figure)
    solid, dashed = axes_of(figure).lines
    np.testing.assert_allclose(solid.get_xdata(), 0.05 * SEPARATION)
    np.testing.assert_allclose(solid.get_ydata(), curve()["contrast"])
    np.testing.assert_allclose(dashed.get_ydata(), curve()["contrast_gaussian"])
    assert axes_of(figure).get_xlabel() == "separation [arcsec]"
    assert axes_of(figure).get_ylabel() == "5 σ contrast"
    assert axes_of(figure).get_yscale() == "log"


def test_magnitudes_stand_on_the_right():
    figure = plot_contrast(curve())
    figure.draw_without_rendering()
    contrasts, magnitudes = (np.array(axes.get_ylim()) for axes in figure.axes[:2])
    np.testing.assert_allclose(magnitudes, -2.5 * np.log10(contrasts))
    assert magnitudes[0] > magnitudes[1]  # fainter is lower


def test_a_single_curve_without_an_angle_makes_it_pixels():
    figure = plot_contrast([curve(), curve(2.0, angle=False)], ["one", "two"])
    assert axes_of(figure).get_xlabel() == "separation [pixel]"
    np.testing.assert_allclose(axes_of(figure).lines[0].get_xdata(), SEPARATION)


def test_several_curves_have_colours_and_labels_of_their_own():
    figure = plot_contrast([curve(), curve(2.0, method="aperture")])
    assert [text.get_text() for text in axes_of(figure).get_legend().get_texts()] == [
        "matched",
        "matched, Gaussian",
        "aperture",
        "aperture, Gaussian",
    ]
    colors = [line.get_color() for line in axes_of(figure).lines]
    assert colors[0] == colors[1] != colors[2] == colors[3]
    named = plot_contrast([curve(), curve(2.0)], ["first", "second"])
    assert axes_of(named).get_legend().get_texts()[2].get_text() == "second"


def test_a_curve_without_the_correction_is_drawn_once():
    assert len(axes_of(plot_contrast(curve(student=False))).lines) == 1


def test_limits_of_different_sigma_are_not_called_by_one():
    assert axes_of(plot_contrast([curve(), curve(sigma=3.0)])).get_ylabel() == "contrast"


def test_known_companions_are_marked():
    known = QTable({"separation_angle": [0.45] * u.arcsec, "contrast": [6e-4], "contrast_error": [3e-5]})
    figure = plot_contrast(curve(), companions=known)
    (container,) = axes_of(figure).containers
    np.testing.assert_allclose(container.lines[0].get_xydata(), [[0.45, 6e-4]])


def test_limits_that_are_missing_are_gaps():
    table = curve()
    table["contrast"][3:6] = np.nan
    figure = plot_contrast(table)
    figure.draw_without_rendering()
    assert np.isnan(axes_of(figure).lines[0].get_ydata()[3:6]).all()


def test_the_map_has_a_cell_for_each_contrast_at_each_separation():
    table = completeness()
    figure = plot_completeness(table, curve())
    figure.draw_without_rendering()
    cells = [drawn for drawn in axes_of(figure).collections if isinstance(drawn, QuadMesh)]
    assert len(cells) == 3
    for drawn, row in zip(cells, table, strict=True):
        corners = drawn.get_coordinates()
        low, high = corners[:-1, 0, 1], corners[1:, 0, 1]
        assert ((low < row["contrast"]) & (row["contrast"] < high)).all()
        assert corners[0, 0, 0] < row["separation_angle"].value < corners[0, -1, 0]
        np.testing.assert_array_equal(drawn.get_array().filled(np.nan).ravel(), row["completeness"])


def test_the_map_shows_where_half_are_found():
    half, most, known = axes_of(plot_completeness(completeness(), curve())).lines
    np.testing.assert_array_equal(half.get_ydata(), completeness()["contrast_50"])
    np.testing.assert_array_equal(most.get_ydata(), completeness()["contrast_95"])
    np.testing.assert_array_equal(known.get_ydata(), curve()["contrast"])
    assert len(axes_of(plot_completeness(completeness())).lines) == 2


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("levels", [1, 2, 5])
def test_maps_of_any_size_are_drawn(rows, levels):
    plot_completeness(completeness(levels)[:rows]).draw_without_rendering()


def test_what_was_observed_stands_above():
    meta = {"object": "HD_1_x", "filter": "L$'$"}
    for figure in (plot_contrast(curve(**meta)), plot_completeness(completeness(**meta))):
        figure.draw_without_rendering()
        assert figure.get_suptitle().startswith("HD_1_x  ·  L$'$")


@pytest.mark.parametrize("name", NEEDED)
def test_a_table_without_a_needed_column_is_an_error(name):
    table = curve()
    table.remove_column(name)
    with pytest.raises(ValueError, match=f"'curves' must be tables with the columns .* got one without {name}"):
        plot_contrast(table)


def test_labels_are_as_many_as_curves():
    with pytest.raises(ValueError, match="'labels' must be as many as there are curves, 2, got 1"):
        plot_contrast([curve(), curve()], ["one"])
    with pytest.raises(ValueError, match="'curves' must be a table, or at least one, got none"):
        plot_contrast([])


def test_a_curve_is_no_map():
    with pytest.raises(ValueError, match="got one without completeness, contrast_50, contrast_95"):
        plot_completeness(curve())


@pytest.mark.parametrize("brightest", [30.0, 0.01])
def test_the_axis_ends_where_a_companion_would_outshine_its_star(brightest):
    table = curve()
    table["contrast"][0] = brightest
    top = axes_of(plot_contrast(table)).get_ylim()[1]
    assert brightest < top < 1 if brightest < 1 else top == 1
