"""Figures say what the data say, whatever is missing, and leave the rest of matplotlib alone."""

import sys
from dataclasses import replace

import astropy.units as u
import matplotlib as mpl
import numpy as np
import pytest
from astropy.table import Table
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure

from astronmf.components import Components
from astronmf.imaging.frames import Frames
from astronmf.imaging.geometry import Geometry, from_sky
from astronmf.imaging.reduction import Reduction
from astronmf.imaging.target import Choice
from astronmf.plotting import plot_any, plot_components, plot_frames, plot_history, plot_image, plot_reduction
from astronmf.plotting.components import mean_shares
from astronmf.plotting.panel import sky_directions
from astronmf.plotting.reduction import before_subtraction, imputed_share
from astronmf.plotting.style import BAD_COLOR, diverging_colormap, flux_colormap

SIZE = 31
MIDDLE = (15, 15)
SCALE = 0.05  # arcsec a pixel
HOLE = 3


def noise(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape)


def make_components(k=3, shape=(SIZE, SIZE), stages=None, **meta):
    data = np.abs(noise(k, *shape))
    if len(shape) == 2:
        data[:, MIDDLE[1], MIDDLE[0]] = np.nan
    count = stages or k
    history = Table(
        {
            "stage": np.arange(1, count + 1),
            "iterations": np.full(count, 5),
            "chi2": 4000.0 / np.arange(1, count + 1),
            "converged": np.arange(count) % 2 == 0,
            "fractional_residual_variance": 0.2 / np.arange(1, count + 1) ** 2,
        }
    )
    meta = {"center": list(MIDDLE), "pixel_scale": SCALE, "n_valid": 1000} | meta
    coefficients = np.abs(noise(8, k))
    grown = tuple(data[: i + 1] for i in range(k)), tuple(coefficients[:, : i + 1] for i in range(k))
    return Components(data, coefficients, *grown, history, u.mJy, meta)


def make_frames(n=2, **options):
    options = {"angles": 40.0 * np.arange(n), "pixel_scale": SCALE, "unit": "MJy/sr"} | options
    return Frames(10 + noise(n, SIZE, SIZE), **options)


def make_reduction(science=None, k=3, imputed=None):
    science = make_frames() if science is None else science
    y, x = np.indices((SIZE, SIZE)) - MIDDLE[0]
    region = np.hypot(x, y) >= HOLE
    combined = np.where(region & (np.hypot(x, y) < 13), noise(SIZE, SIZE), np.nan)
    n = len(science)
    return Reduction(
        combined=combined,
        combined_uncertainty=np.full(combined.shape, 0.1),
        coverage=np.full(combined.shape, n),
        residuals=np.zeros(science.shape),
        models=np.zeros(science.shape),
        coefficients=np.ones((n, k)),
        covariances=np.zeros((n, k, k)),
        scale_factors=np.ones(n),
        scale_factor_errors=np.zeros(n),
        components=make_components(k),
        science=science,
        choice=Choice(region, np.zeros(science.shape, bool) if imputed is None else imputed, region),
        meta={"object": "V-AU-MIC", "filter": "F444W"},
    )


def image_of(figure, panel=0):
    return figure.axes[panel].images[0]


def bar_of(figure, panel=0):
    """Return the axes of a panel's colour bar."""
    return figure.axes[panel].child_axes[0]


def settings():
    """Return matplotlib's settings, but for the backend: to ask for it loads pyplot."""
    return {key: mpl.rcParams[key] for key in mpl.rcParams if key != "backend"}


def draw(figure):
    """Draw a figure, small: what matters is that nothing fails or warns."""
    figure.set_dpi(30)
    figure.canvas.draw()


def texts_of(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


FIGURES = {
    "image": lambda: plot_image(noise(9, 9), pixel_scale=1.0, center=(4, 4), unit="Jy"),
    "reduction": lambda: plot_reduction(make_reduction()),
    "components": lambda: plot_components(make_components()),
    "spectra": lambda: plot_components(make_components(shape=(50,))),
    "history": lambda: plot_history(make_components()),
    "frames": lambda: plot_frames(make_frames()),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_comes_back_and_matplotlib_stays_as_it_was(name, monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    before = settings()
    figure = FIGURES[name]()
    figure.draw_without_rendering()
    assert isinstance(figure, Figure)
    assert settings() == before
    assert "matplotlib.pyplot" not in sys.modules


def test_figures_can_be_saved(tmp_path):
    plot_reduction(make_reduction()).savefig(tmp_path / "figure.png", dpi=50)
    assert (tmp_path / "figure.png").stat().st_size > 1000


class TestImage:
    def test_missing_pixels_get_the_bad_colour(self):
        values = np.ma.MaskedArray(noise(9, 9), mask=np.zeros((9, 9), bool))
        values[0, 1] = np.ma.masked
        values[2, 3], values[4, 5] = np.nan, np.inf
        drawn = image_of(plot_image(values))
        assert set(zip(*np.nonzero(drawn.get_array().mask), strict=True)) == {(0, 1), (2, 3), (4, 5)}
        np.testing.assert_allclose(drawn.to_rgba(drawn.get_array())[2, 3], to_rgba(BAD_COLOR), atol=1e-6)

    @pytest.mark.parametrize("colormap", [flux_colormap(), diverging_colormap()])
    def test_no_value_looks_like_a_missing_one(self, colormap):
        colors = colormap(np.linspace(0, 1, 256))[:, :3]
        assert np.linalg.norm(colors - np.array(to_rgb(BAD_COLOR)), axis=1).min() > 0.2

    def test_right_ascension_grows_to_the_left(self):
        figure = plot_image(noise(11, 21), pixel_scale=0.5, center=(10, 5))
        axes = figure.axes[0]
        assert axes.get_xlim() == pytest.approx((5.25, -5.25))
        assert axes.get_ylim() == pytest.approx((-2.75, 2.75))
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("ΔRA [arcsec]", "ΔDec [arcsec]")
        assert {"N", "E"} <= set(texts_of(figure))

    def test_offsets_are_the_detectors_where_north_is_not_up(self):
        figure = plot_image(noise(11, 21), pixel_scale=0.5, north_up=False)
        assert figure.axes[0].get_xlim() == pytest.approx((-5.25, 5.25))
        assert figure.axes[0].get_xlabel() == "Δx [arcsec]"
        assert not {"N", "E"} & set(texts_of(figure))

    def test_without_a_scale_axes_are_pixels(self):
        figure = plot_image(noise(11, 21))
        assert figure.axes[0].get_xlim() == (-0.5, 20.5)
        assert figure.axes[0].get_xlabel() == "x [pixel]"
        assert not [text for text in texts_of(figure) if "″" in text]

    def test_the_star_is_marked_where_it_is_said_to_be(self):
        assert not plot_image(noise(9, 9)).axes[0].lines
        (star,) = plot_image(noise(9, 9), center=(2.5, 6)).axes[0].lines
        assert (star.get_xdata()[0], star.get_ydata()[0]) == (2.5, 6)

    @pytest.mark.parametrize(("scale", "label"), [(1.0, "2″"), (0.03, "0.05″"), (60.0, "2′")])
    def test_the_scale_bar_has_a_round_length(self, scale, label):
        figure = plot_image(noise(9, 9), pixel_scale=scale)
        (bar,) = figure.axes[0].lines
        size = float(label[:-1]) * (60 if label.endswith("′") else 1)
        assert abs(np.ptp(bar.get_xdata())) == pytest.approx(size)
        assert label in texts_of(figure)

    def test_the_colour_bar_names_the_unit(self):
        assert "MJy" in bar_of(plot_image(noise(9, 9), unit="MJy/sr")).get_ylabel()
        assert "mJy" in bar_of(plot_image(noise(9, 9) * u.mJy)).get_ylabel()
        assert bar_of(plot_image(noise(9, 9), unit="")).get_ylabel() == ""
        assert bar_of(plot_image(noise(9, 9))).get_ylabel() == ""

    @pytest.mark.parametrize("stretch", ["asinh", "linear"])
    @pytest.mark.parametrize(
        "image",
        [
            np.full((5, 7), 7.0),
            np.zeros((5, 7)),
            np.full((5, 7), np.nan),
            np.full((5, 7), -1e-20),
            np.where(noise(5, 7) > 1.5, 1e30, noise(5, 7)),
            np.arange(35, dtype=np.int16).reshape(5, 7),
            np.eye(6, dtype=bool),
            noise(1, 1).astype(np.float32),
        ],
        ids=["constant", "zero", "nan", "tiny", "huge", "integer", "bool", "single"],
    )
    def test_any_image_can_be_drawn(self, image, stretch):
        figure = plot_image(image, stretch=stretch, pixel_scale=0.1, center=(1, 1))
        draw(figure)
        norm = image_of(figure).norm
        assert norm.vmin < norm.vmax

    def test_an_image_without_data_says_so(self):
        assert "no data" in texts_of(plot_image(np.full((4, 4), np.nan)))
        assert "no data" not in texts_of(plot_image(np.zeros((4, 4))))

    def test_given_limits_and_axes_are_used(self):
        figure = Figure()
        left, right = figure.subplots(1, 2)
        assert plot_image(noise(9, 9), axes=right, limits=(-2, 5), title="right") is figure
        assert right.images[0].get_clim() == (-2, 5)
        assert right.get_title() == "right"
        assert not left.images

    def test_the_image_is_not_changed(self):
        image = noise(9, 9)
        image[2, 2] = np.nan
        copy = image.copy()
        plot_image(image)
        np.testing.assert_array_equal(image, copy)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"stretch": "sqrt"}, "'stretch' must be one of 'asinh', 'linear', got 'sqrt'"),
            ({"limits": (1, 1)}, "'limits' must be"),
            ({"limits": (0, np.nan)}, "'limits' must be a finite number"),
            ({"pixel_scale": 0.0}, "'pixel_scale' must be"),
        ],
    )
    def test_wrong_arguments_are_named(self, options, message):
        with pytest.raises(ValueError, match=message):
            plot_image(noise(9, 9), **options)

    def test_a_cube_is_refused(self):
        with pytest.raises(ValueError, match="'image' must be of shape"):
            plot_image(noise(2, 9, 9))


class TestReduction:
    def test_the_panels_show_the_same_field_of_the_same_star(self):
        reduction = make_reduction()
        figure = plot_reduction(reduction)
        panels = figure.axes[:3]
        assert len({(axes.get_xlim(), axes.get_ylim()) for axes in panels}) == 1
        assert max(panels[0].get_xlim()) < SCALE * SIZE / 2  # cropped to where there is something
        np.testing.assert_array_equal(image_of(figure, 1).get_array().filled(np.nan), reduction.combined)
        np.testing.assert_allclose(image_of(figure, 2).get_array().filled(np.nan), reduction.combined / 0.1)

    def test_the_first_panel_is_the_mean_north_up(self):
        source = np.zeros((SIZE, SIZE))
        source[MIDDLE[1] + 8, MIDDLE[0]] = 100.0  # north of the star
        geometry = Geometry(MIDDLE, SCALE, np.array([0.0, 90.0, 180.0]))
        frames = np.stack([from_sky(source, geometry, i) for i in range(3)])
        image = before_subtraction(make_reduction(Frames(frames, mask=np.isnan(frames), geometry=geometry)))
        assert np.unravel_index(np.nanargmax(image), image.shape) == (MIDDLE[1] + 8, MIDDLE[0])
        assert np.nanmax(image) == pytest.approx(100.0)
        assert np.isnan(image[MIDDLE[1], MIDDLE[0]])

    def test_significance_is_symmetric_about_zero(self):
        low, high = image_of(plot_reduction(make_reduction()), 2).get_clim()
        assert low == -high

    def test_the_title_says_what_it_is(self):
        title = plot_reduction(make_reduction())._suptitle.get_text()
        for part in ("V-AU-MIC", "F444W", "3 components", "2 frames"):
            assert part in title

    def test_the_imputed_region_is_outlined_on_the_sky(self):
        y, x = np.indices((SIZE, SIZE))
        disk = np.hypot(x - 22, y - 17) < 4
        science = make_frames(3)
        turned = np.stack([from_sky(disk.astype(float), science.geometry, i, order=1) for i in range(3)])
        reduction = make_reduction(science, imputed=np.nan_to_num(turned) > 0.5)
        found = imputed_share(reduction) > 0.5
        assert (found & disk).sum() / (found | disk).sum() > 0.8
        figure = plot_reduction(reduction)
        for axes in figure.axes[:3]:
            assert sum(isinstance(child, ContourSet) for child in axes.get_children()) == 1
        assert figure.axes[1].get_legend() is not None

    def test_without_imputation_nothing_is_outlined(self):
        figure = plot_reduction(make_reduction())
        assert not any(isinstance(child, ContourSet) for axes in figure.axes for child in axes.get_children())

    def test_one_component_one_frame_no_scale_no_unit_no_angles(self):
        science = make_frames(1, angles=None, pixel_scale=None, unit=None)
        figure = plot_reduction(make_reduction(science, k=1))
        draw(figure)
        assert "1 component  ·  1 frame" in figure._suptitle.get_text()
        assert figure.axes[0].get_xlabel() == "x [pixel]"
        assert "N" not in texts_of(figure)

    def test_nothing_left_is_no_reason_to_fail(self):
        science = Frames(np.full((2, SIZE, SIZE), np.nan), mask=True, angles=[0, 10], pixel_scale=SCALE)
        blank = np.full((SIZE, SIZE), np.nan)
        figure = plot_reduction(replace(make_reduction(science), combined=blank, combined_uncertainty=blank))
        draw(figure)
        assert texts_of(figure).count("no data") == 3


class TestComponents:
    def test_each_has_its_number_and_its_own_scale(self):
        figure = plot_components(make_components(5))
        assert [axes.get_title().split()[0] for axes in figure.axes] == list("12345")
        assert len({axes.images[0].get_clim() for axes in figure.axes}) == 5
        assert figure.axes[0].images[0].get_array().mask[MIDDLE[1], MIDDLE[0]]

    def test_no_more_than_the_limit_are_drawn(self):
        figure = plot_components(make_components(5), limit=2)
        assert len(figure.axes) == 2
        assert "2 of 5 components" in figure._suptitle.get_text()
        with pytest.raises(ValueError, match="'limit' must be an integer of at least 1, got 0"):
            plot_components(make_components(5), limit=0)

    def test_one_component_without_geometry_can_be_drawn(self):
        figure = plot_components(make_components(1, center=None, pixel_scale=None))
        draw(figure)
        assert not figure.axes[0].lines

    def test_spectra_are_lines_with_gaps(self):
        components = make_components(2, shape=(40,))
        components.data[1, 10:20] = np.nan
        figure = plot_components(components)
        line = figure.axes[1].lines[0]
        np.testing.assert_array_equal(line.get_ydata(), components.data[1])

    def test_missing_components_say_so(self):
        components = make_components(2)
        components.data[:] = np.nan
        assert texts_of(plot_components(components)).count("no data") == 2

    def test_cubes_are_refused(self):
        with pytest.raises(ValueError, match="'components' must be images"):
            plot_components(make_components(2, shape=(3, 4, 5)))

    def test_shares_sum_to_one_and_pass_over_missing_observations(self):
        coefficients = np.array([[1.0, 3.0], [np.nan, np.nan], [0.0, 0.0], [2.0, 2.0]])
        np.testing.assert_allclose(mean_shares(coefficients), [0.375, 0.625])
        assert np.isnan(mean_shares(coefficients[1:3])).all()


class TestHistory:
    def test_unconverged_stages_have_open_symbols(self):
        figure = plot_history(make_components(4))
        for axes in figure.axes:
            _, filled, open_ = axes.lines
            np.testing.assert_array_equal(filled.get_xdata(), [1, 3])
            np.testing.assert_array_equal(open_.get_xdata(), [2, 4])
            assert open_.get_markerfacecolor() == "white" != filled.get_markerfacecolor()
            assert axes.get_legend() is not None

    def test_chi2_is_for_each_valid_value_on_a_logarithmic_axis(self):
        axes = plot_history(make_components(4)).axes[0]
        np.testing.assert_allclose(axes.lines[0].get_ydata(), 4 / np.arange(1, 5))
        assert axes.get_yscale() == "log"
        assert plot_history(make_components(4, n_valid=None)).axes[0].get_ylabel() == "χ²"

    def test_numbers_of_components_are_integers(self):
        for count in (1, 4):
            figure = plot_history(make_components(count))
            draw(figure)
            ticks = figure.axes[0].get_xticks()
            np.testing.assert_array_equal(ticks, np.rint(ticks))

    def test_a_perfect_fit_can_be_drawn(self):
        components = make_components(2)
        components.history["chi2"] = 0.0
        figure = plot_history(components)
        draw(figure)
        assert figure.axes[0].get_yscale() == "linear"


class TestFrames:
    def test_each_has_its_name_angle_and_role(self):
        frames = make_frames(2, names=["HD 1", "HD 2"], angles=[-12.34, 5.0], is_reference=[False, True])
        titles = [axes.get_title() for axes in plot_frames(frames).axes]
        assert titles == ["HD 1\n−12.3°", "HD 2\n5.0°, reference"]

    def test_names_are_not_read_as_mathematics(self):
        frames = make_frames(1, names=["a$_$b"], meta={"object": r"$\\wrong$"})
        draw(plot_frames(frames))

    def test_all_are_on_one_scale_with_masked_pixels_grey(self):
        mask = np.zeros((2, SIZE, SIZE), bool)
        mask[1, 3, 4] = True
        figure = plot_frames(make_frames(2, mask=mask))
        assert image_of(figure, 0).get_clim() == image_of(figure, 1).get_clim()
        assert image_of(figure, 1).get_array().mask[3, 4]
        assert "MJy" in bar_of(figure, 1).get_ylabel()

    def test_no_more_than_the_limit_are_drawn(self):
        figure = plot_frames(make_frames(5), limit=3)
        assert len(figure.axes) == 3
        assert "3 of 5 frames" in figure._suptitle.get_text()

    def test_an_empty_frame_beside_a_good_one(self):
        mask = np.zeros((2, SIZE, SIZE), bool)
        mask[1] = True
        figure = plot_frames(make_frames(2, mask=mask))
        draw(figure)
        assert texts_of(figure).count("no data") == 1
        assert bar_of(figure, 1).get_yticks().size > 2

    def test_nothing_but_masked_pixels(self):
        figure = plot_frames(make_frames(1, mask=True, angles=None, pixel_scale=None, unit=None))
        draw(figure)
        assert "no data" in texts_of(figure)

    @pytest.mark.parametrize("parity", [1, -1])
    @pytest.mark.parametrize("angle", [0.0, 30.0, 200.0])
    def test_arrows_point_where_the_sky_is(self, angle, parity):
        geometry = Geometry(MIDDLE, angles=np.array([angle]), parity=parity)
        for direction, (x, y) in zip(sky_directions(angle, parity), [(0, 9), (-9, 0)], strict=True):
            sky = np.zeros((SIZE, SIZE))
            sky[MIDDLE[1] + y, MIDDLE[0] + x] = 1.0
            detector = np.nan_to_num(from_sky(sky, geometry, 0, order=1))
            row, column = (np.average(axis, weights=detector) for axis in np.indices(detector.shape))
            np.testing.assert_allclose([column - MIDDLE[0], row - MIDDLE[1]], 9 * direction, atol=0.3)


def test_every_kind_of_content_has_its_figure():
    for content in (make_reduction(), make_components(), make_frames()):
        assert isinstance(plot_any(content), Figure)


def test_other_content_is_refused():
    with pytest.raises(
        ValueError, match=r"'content' must be a Reduction, Components, Frames, .*, got an object of type int"
    ):
        plot_any(3)
