"""Figures of models beside the data."""

import sys
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from detection_helpers import HOW, POINT, observed
from matplotlib.figure import Figure
from modelling_helpers import RING, SOURCES, modelled

from astronmf.imaging import reduce
from astronmf.imaging.modelling.forward_images import ForwardImages
from astronmf.imaging.modelling.sampling import Posterior
from astronmf.plotting import plot_any, plot_calibration, plot_fit, plot_forward, plot_posterior

NAMES = ["disk.radius", "disk.position_angle", "disk.g"]


@pytest.fixture(scope="module")
def fit():
    return modelled().fit(SOURCES, psf=POINT, calibration="angles")


@pytest.fixture(scope="module")
def images():
    return ForwardImages.of(modelled("adi").forward_model(RING, psf=POINT, exact=True), modelled("adi"))


def chain(names=NAMES, steps=60, walkers=8):
    """Return samples of a posterior that is a Gaussian."""
    rng = np.random.default_rng(1)
    samples = 10 + rng.standard_normal((steps, walkers, len(names)))
    log_probability = -0.5 * np.square(samples - 10).sum(axis=2)
    unknown = np.full(len(names), np.nan)
    fluxes = samples[..., :1] * 3
    return Posterior(list(names), samples, fluxes, 0.1 * fluxes, ["disk"], log_probability, 0.4, unknown)


def drawn_in(figure):
    """Return the images of a figure's panels."""
    return [axes.images[0] for axes in figure.axes if axes.images]


def texts_of(axes):
    return [text.get_text() for text in axes.texts]


def draw(figure):
    """Draw a figure, small: what matters is that nothing fails or warns."""
    figure.set_dpi(30)
    figure.canvas.draw()


@pytest.mark.parametrize("name", ["fit", "forward", "calibration"])
def test_a_figure_comes_back_and_matplotlib_stays_as_it_was(name, fit, images, monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    before = {key: mpl.rcParams[key] for key in mpl.rcParams if key != "backend"}
    drawn = {"fit": lambda: plot_fit(fit), "forward": lambda: plot_forward(images)}
    figure = (drawn | {"calibration": lambda: plot_calibration(fit)})[name]()
    figure.draw_without_rendering()
    assert isinstance(figure, Figure)
    assert {key: mpl.rcParams[key] for key in mpl.rcParams if key != "backend"} == before
    assert "matplotlib.pyplot" not in sys.modules


class TestFit:
    def test_data_model_and_residual_are_on_one_scale(self, fit):
        panels = drawn_in(plot_fit(fit))
        assert len({id(image.norm) for image in panels[:3]}) == 1
        shown = [image.get_array().filled(np.nan) for image in panels[:3]]
        for values, expected in zip(shown, (fit.combined, fit.model, fit.residual), strict=True):
            np.testing.assert_array_equal(values, expected)

    def test_the_fourth_panel_is_the_residual_over_its_error(self, fit):
        image = drawn_in(plot_fit(fit))[3]
        np.testing.assert_allclose(image.get_array().filled(np.nan), fit.residual / fit.combined_uncertainty)
        low, high = image.get_clim()
        assert low == -high

    def test_the_heading_has_the_amplitudes_with_their_errors(self, fit):
        first, second = plot_fit(fit)._suptitle.get_text().splitlines()
        assert "8 frames" in first
        for words in ("disk ", "planet ", " ± ", "calibrated in position angle"):
            assert words in second

    def test_north_star_and_length_are_marked(self, fit):
        figure = plot_fit(fit)
        assert {"N", "E"} <= set(texts_of(figure.axes[0]))
        assert all(axes.lines for axes in figure.axes[:4])
        assert figure.axes[0].get_xlabel() == "ΔRA [arcsec]"

    def test_without_scale_unit_angles_and_errors_it_can_be_drawn(self):
        plain = {"unit": None, "pixel_scale": None}
        frames = observed().science_frames(**plain, angles=None)
        with pytest.warns(match="no 'angles'"):
            reduction = reduce(frames[:2], observed().reference_frames(**plain), **HOW)
        figure = plot_fit(reduction.fit({"disk": RING}, psf=POINT))
        draw(figure)
        assert "N" not in texts_of(figure.axes[0])
        assert figure.axes[0].get_xlabel() == "x [pixel]"

    def test_many_templates_and_unknown_ones_fit_into_the_heading(self, fit):
        names = tuple(f"t{i}" for i in range(6))
        amplitudes, status = np.full(6, 2.0), ("unconstrained", *["determined"] * 5)
        amplitudes[0] = np.nan
        many = replace(fit, names=names, amplitudes=amplitudes, covariance=np.eye(6), status=status)
        second = plot_fit(many)._suptitle.get_text().splitlines()[1]
        assert second.startswith("t0 unconstrained")
        assert "2 more" in second

    def test_what_a_file_held_is_drawn_by_plot_any(self, fit, images):
        assert len(drawn_in(plot_any(fit))) == 4
        assert len(drawn_in(plot_any(images))) == 4


class TestForward:
    def test_the_source_what_is_left_and_what_is_taken_are_on_one_scale(self):
        reduction = modelled()
        model = reduction.forward_model(RING, psf=POINT)
        figure = plot_forward(model, reduction)
        draw(figure)
        panels = drawn_in(figure)
        assert len(panels) == 3
        assert len({id(image.norm) for image in panels}) == 1
        source, left, taken = (image.get_array().filled(np.nan) for image in panels)
        np.testing.assert_array_equal(left, model.combined)
        np.testing.assert_allclose(source - left, taken)

    def test_reducing_again_and_the_difference_are_drawn_where_they_are(self, images):
        panels = drawn_in(plot_forward(images))
        np.testing.assert_array_equal(panels[2].get_array().filled(np.nan), images.exact)
        np.testing.assert_array_equal(panels[3].get_array().filled(np.nan), images.difference)
        assert panels[3].get_clim()[0] == -panels[3].get_clim()[1]

    def test_a_difference_of_nothing_is_not_drawn_but_said(self, images):
        same = replace(images, exact=images.combined)
        figure = plot_forward(same)
        assert len(drawn_in(figure)) == 3
        assert "the same when reduced again" in figure._suptitle.get_text()

    def test_the_heading_says_how_much_is_left_and_how_far_that_holds(self, images):
        heading = plot_forward(images)._suptitle.get_text()
        for words in (f"throughput {images.throughput:.1%} when reduced again", "of 8 frames", "of the peak"):
            assert words in heading

    def test_a_source_without_light_can_be_drawn(self):
        reduction = modelled()
        draw(plot_forward(reduction.forward_model(np.zeros((33, 33))), reduction))

    def test_a_model_needs_its_reduction(self):
        model = modelled().forward_model(RING, psf=POINT)
        with pytest.raises(ValueError, match="'reduction' must be given with a ForwardModel"):
            plot_forward(model)


class TestCalibration:
    def test_null_amplitudes_are_drawn_against_their_angle(self, fit):
        figure = plot_calibration(fit)
        draw(figure)
        found = fit.calibration
        for axes, nulls in zip(figure.axes[1::2], found.null_amplitudes, strict=True):
            (points,) = [line for line in axes.lines if line.get_label() == "null amplitudes"]
            x, y = points.get_data()
            order = np.argsort((found.angles + 180) % 360 - 180)
            np.testing.assert_array_equal(y, nulls[order])
            assert ((x > -180) & (x <= 180)).all()

    def test_an_inch_is_as_much_on_the_left_as_on_the_right(self, fit):
        figure = plot_calibration(fit)
        draw(figure)
        for left, right in zip(figure.axes[::2], figure.axes[1::2], strict=True):
            spans = [np.ptp(axes.get_ylim()) / axes.get_window_extent().height for axes in (left, right)]
            assert spans[0] == pytest.approx(spans[1], rel=0.02)
            low, high = right.get_ylim()
            (points,) = [line for line in right.lines if line.get_label() == "null amplitudes"]
            assert low < points.get_data()[1].min() <= points.get_data()[1].max() < high

    def test_calibrated_and_raw_amplitudes_stand_side_by_side_with_their_errors(self, fit):
        figure, found = plot_calibration(fit), fit.calibration
        draw(figure)
        for j, axes in enumerate(figure.axes[::2]):
            for bars, at, value, error in zip(
                axes.containers,
                (0, 1),
                (found.amplitudes[j], found.raw[j]),
                (found.errors[j], found.raw_errors[j]),
                strict=True,
            ):
                x, y = bars.lines[0].get_data()
                (segment,) = bars.lines[2][0].get_segments()
                assert (x[0], y[0]) == (at, value)
                np.testing.assert_allclose(segment[:, 1], (value - error, value + error))
                assert axes.get_ylim()[0] < value - error < value + error < axes.get_ylim()[1]
        assert [label.get_text() for label in figure.axes[2].get_xticklabels()] == ["calibrated", "raw"]

    def test_what_could_not_be_calibrated_says_so(self, fit):
        unknown = replace(fit.calibration, amplitudes=np.array([np.nan, 1.0]), covariance=np.diag([np.nan, 1.0]))
        status = ("uncalibrated", "determined")
        figure = plot_calibration(replace(fit, calibration=unknown, status=status))
        draw(figure)
        assert "not calibrated" in texts_of(figure.axes[0])
        assert figure.axes[0].get_title(loc="left") == "disk: uncalibrated"

    def test_a_fit_without_a_calibration_is_an_error(self, fit):
        with pytest.raises(ValueError, match="'fit' must be made with calibration='angles'"):
            plot_calibration(replace(fit, calibration=None))


class TestPosterior:
    @pytest.mark.parametrize("count", [1, 2, 3])
    def test_there_is_a_panel_for_each_pair(self, count):
        figure = plot_posterior(chain(NAMES[:count]), amplitudes=False)
        draw(figure)
        assert len(figure.axes) == count**2

    def test_labels_are_words_with_units(self):
        figure = plot_posterior(chain(), amplitudes=False)
        labels = [axes.get_xlabel() for axes in figure.axes[-3:]]
        assert labels == ["radius [pixel]", "position angle [deg]", "g"]
        labels = [axes.get_xlabel() for axes in plot_posterior(chain(["a.radius", "b.x"]), amplitudes=False).axes[-2:]]
        assert labels == ["a\nradius [pixel]", "b\nx"]

    def test_median_and_errors_stand_above_the_diagonal(self):
        posterior = chain()
        title = plot_posterior(posterior).axes[0].get_title()
        low, middle, high = np.percentile(posterior.flat()[:, 0], (15.865, 50, 84.135))
        for value in (middle, middle - low, high - middle):
            assert f"{value:.2f}" in title

    def test_amplitudes_are_drawn_with_the_parameters(self):
        assert len(plot_posterior(chain()).axes) == 16

    def test_what_does_not_vary_is_left_out(self):
        fixed = chain()
        fixed.samples[..., 1] = 3.0
        assert len(plot_posterior(fixed, amplitudes=False).axes) == 4

    def test_too_few_samples_are_an_error(self):
        with pytest.raises(ValueError, match="'posterior' must be of more than 4 samples, got 2"):
            plot_posterior(chain(steps=1, walkers=2))
