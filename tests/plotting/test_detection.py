"""Figures of what was found."""

import sys

import matplotlib as mpl
import numpy as np
import pytest
from astropy.table import QTable
from detection_helpers import FWHM, HOW, POINT, SIZE, observed, reduced
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from astronmf.imaging import find_companions, fit_companion, reduce
from astronmf.imaging.detection import detect, snr_map
from astronmf.imaging.detection.catalogue import with_error
from astronmf.plotting import plot_companion, plot_detections

BOTH = ((9.3, 200.0, 60.0), (11.0, 20.0, 40.0))
SCALE = 0.063


@pytest.fixture(scope="module")
def reduction():
    """Return a reduction with two companions."""
    return reduced("rdi", *BOTH)


@pytest.fixture(scope="module")
def search(reduction):
    """Return what is found in it."""
    return find_companions(reduction, POINT)


@pytest.fixture(scope="module")
def companion(reduction):
    """Return one of them."""
    return fit_companion(reduction, POINT, *BOTH[0][:2], max_reductions=0)


def circles_of(axes):
    return [patch for patch in axes.patches if isinstance(patch, Circle)]


def texts_of(axes):
    return [text.get_text() for text in axes.texts]


def draw(figure):
    """Draw a figure, small: what matters is that nothing fails or warns."""
    figure.set_dpi(30)
    figure.canvas.draw()


@pytest.mark.parametrize("name", ["detections", "companion"])
def test_a_figure_comes_back_and_matplotlib_stays_as_it_was(name, search, companion, reduction, monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    before = {key: mpl.rcParams[key] for key in mpl.rcParams if key != "backend"}
    drawn = {"detections": lambda: plot_detections(search, reduction)}
    drawn["companion"] = lambda: plot_companion(companion, reduction, POINT)
    figure = drawn[name]()
    figure.draw_without_rendering()
    assert isinstance(figure, Figure)
    assert {key: mpl.rcParams[key] for key in mpl.rcParams if key != "backend"} == before
    assert "matplotlib.pyplot" not in sys.modules


class TestDetections:
    def test_companions_are_circled_in_both_panels_and_labelled(self, search, reduction):
        figure = plot_detections(search, reduction)
        draw(figure)
        for axes in figure.axes[:2]:
            for circle, found in zip(circles_of(axes), search.companions, strict=True):
                x, y = circle.get_center()
                assert (x, y) == pytest.approx(((16 - found.x) * SCALE, (found.y - 16) * SCALE))
                assert FWHM * SCALE < circle.get_radius() < 2 * FWHM * SCALE
            labels = [f"{i}: S/N {found.snr:.1f}" for i, found in enumerate(search.companions, 1)]
            assert set(labels) <= set(texts_of(axes))
        assert "2 sources above 5 σ" in figure._suptitle.get_text()

    def test_the_scale_of_the_significance_is_symmetric_and_reaches_the_threshold(self, search, reduction):
        for found in (search, find_companions(reduced("rdi"), POINT)):
            image = plot_detections(found, reduction).axes[1].images[0]
            low, high = image.get_clim()
            assert low == -high
            assert high >= 5
            np.testing.assert_array_equal(image.get_array().filled(np.nan), found.significance)

    def test_labels_stay_inside_the_panel(self, reduction):
        for angle in (0.0, 90.0, 180.0, 270.0):
            table = find_companions(reduced("rdi", (12.5, angle, 90.0)), POINT)
            figure = plot_detections(table, reduction)
            draw(figure)
            for axes in figure.axes[:2]:
                (label,) = [text for text in axes.texts if "S/N" in text.get_text()]
                box = label.get_window_extent().transformed(axes.transAxes.inverted())
                assert box.x0 > -0.02
                assert box.x1 < 1.02
                assert box.y0 > -0.02
                assert box.y1 < 1.02

    def test_the_table_of_apertures_is_drawn_with_its_map(self, reduction):
        sigma = snr_map(reduction, FWHM, significance=True)
        table = detect(reduction, POINT, detection_map=sigma)
        figure = plot_detections(table, reduction, sigma)
        assert len(circles_of(figure.axes[0])) == len(table)
        with pytest.raises(ValueError, match="'significance' must be given with a table, got None"):
            plot_detections(table, reduction)

    def test_nothing_found_without_scale_unit_and_angles(self):
        observation = observed()
        plain = {"unit": None, "pixel_scale": None}
        frames = observation.science_frames(**plain)[:2]
        with pytest.warns(match="no 'angles'"):
            flat = reduce(
                observation.science_frames(**plain, angles=None)[:2], observation.reference_frames(**plain), **HOW
            )
        for content in (reduce(frames, observation.reference_frames(**plain), **HOW), flat):
            figure = plot_detections(find_companions(content, POINT), content)
            draw(figure)
            assert "0 sources above 5 σ" in figure._suptitle.get_text()
            assert figure.axes[0].get_xlabel() == "x [pixel]"
            assert ("N" in texts_of(figure.axes[0])) == (content.science.angles is not None)

    def test_a_blank_map_says_so(self, reduction, search):
        blank = np.full((SIZE, SIZE), np.nan)
        empty = QTable(search.table[:0], meta=search.table.meta)
        figure = plot_detections(empty, reduction, blank)
        draw(figure)
        assert "no data" in texts_of(figure.axes[1])


class TestCompanion:
    def test_the_panels_are_data_model_and_what_is_left_on_one_scale(self, companion, reduction):
        figure = plot_companion(companion, reduction, POINT)
        data, model, left = (axes.images[0].get_array().filled(np.nan) for axes in figure.axes[:3])
        np.testing.assert_array_equal(data, reduction.combined)
        np.testing.assert_allclose(data - model, left, atol=1e-12)
        assert len({axes.images[0].get_clim() for axes in figure.axes[:3]}) == 1
        assert len({(axes.get_xlim(), axes.get_ylim()) for axes in figure.axes[:3]}) == 1
        low, high = figure.axes[0].images[0].get_clim()
        assert low == -high == -np.nanmax(np.abs(model[reduction.coverage > 0]))

    def test_the_model_takes_the_companion_away(self, companion, reduction):
        figure = plot_companion(companion, reduction, POINT)
        y, x = round(companion.y), round(companion.x)
        near = np.s_[y - 2 : y + 3, x - 2 : x + 3]
        data, _, left = (axes.images[0].get_array().filled(np.nan)[near] for axes in figure.axes[:3])
        assert abs(left.sum()) < 0.1 * data.sum()
        assert np.std(left) < 0.3 * data.max()

    def test_the_companion_is_in_the_middle(self, companion, reduction):
        axes = plot_companion(companion, reduction, POINT, half_width=5.0).axes[0]
        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        x, y = (16 - companion.x) * SCALE, (companion.y - 16) * SCALE
        assert (left + right) / 2 == pytest.approx(x, abs=SCALE)
        assert (bottom + top) / 2 == pytest.approx(y, abs=SCALE)
        assert top - bottom == pytest.approx(11 * SCALE)

    def test_the_heading_says_where_it_is_and_how_bright(self, companion, reduction):
        heading = plot_companion(companion, reduction, POINT)._suptitle.get_text()
        for words in (f"PA {companion.position_angle:.1f}°", f"S/N {companion.snr:.1f}", "″", "MJy / sr", " ± "):
            assert words in heading

    def test_at_the_edge_and_with_the_star_in_view_it_can_be_drawn(self, companion, reduction):
        figure = plot_companion(companion, reduction, POINT, half_width=14.0)
        draw(figure)
        assert figure.axes[0].lines  # the star, and the scale bar

    @pytest.mark.parametrize("combine", ["mean", "median", "weighted"])
    def test_the_model_is_that_of_the_combination(self, combine):
        with_it = reduced("rdi", *BOTH[:1], combine=combine)
        found = fit_companion(with_it, POINT, *BOTH[0][:2], max_reductions=0)
        image = found.image(with_it, POINT)
        expected = with_it.combined - reduced("rdi", combine=combine).combined
        np.testing.assert_array_equal(np.isnan(image), np.isnan(with_it.combined))
        y, x = round(found.y), round(found.x)
        near = np.s_[y - 2 : y + 3, x - 2 : x + 3]
        np.testing.assert_allclose(image[near].sum(), expected[near].sum(), rtol=0.1)

    def test_wrong_arguments_are_named(self, companion, reduction):
        with pytest.raises(ValueError, match="'half_width' must be a number in"):
            plot_companion(companion, reduction, POINT, half_width=0.2)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (2375.14, 111.2, "2375 ± 111"),
        (87.31, 1.62, "87.3 ± 1.6"),
        (0.0123456, 0.00042, "0.01235 ± 0.00042"),
        (2.375e-17, 1.1e-18, "(2.38 ± 0.11)e-17"),
        (1.234e8, 5e5, "(1.2340 ± 0.0050)e8"),
        (-3.2, 4.0, "-3.2 ± 4.0"),
        (0.0, 0.5, "0.00 ± 0.50"),
        (12.345, np.nan, "12.35"),
        (12.3, 0.0, "12.3"),
    ],
)
def test_values_have_as_many_digits_as_their_errors(value, error, text):
    assert with_error(value, error) == text
