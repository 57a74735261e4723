"""The first order of a reduction is exact where it says so, and where it is not, both numbers are there."""

import astropy.units as u
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imaging_helpers import disc, gaussian, observe, place
from rotation_helpers import THREE, sequence

from astronmf import SequentialNMF
from astronmf.exceptions import ScaleFactorWarning
from astronmf.imaging import PSF, ForwardModel, PointSource, Reduction, SkyImage, build_components, reduce
from astronmf.imaging.geometry import radius
from astronmf.imaging.statistics import mad_sigma

CENTER = (16, 16)
SHAPE = (33, 33)
POINT = PSF(gaussian((15, 15), 7, 7, fwhm=3.0), 3.0)
PLANET = PointSource(8.0, 60.0, 80.0)
TRANSMISSION = 1 - np.exp(-((radius(SHAPE, CENTER) / 4) ** 2))
BRIGHT = PointSource(4.0, 30.0, 1e4)  # as bright as the star is there
MODERATE = PointSource(8.0, 60.0, 200.0)


def ring(size=8.0, width=2.0, peak=4.0):
    return peak * np.exp(-(((radius(SHAPE, CENTER) - size) / width) ** 2))


def with_source(frames, sources):
    return frames.replace_data(frames.data + sources)


def off(one, other):
    """Return the largest difference relative to the largest value of the second."""
    return np.nanmax(np.abs(one - other)) / np.nanmax(np.abs(other))


@pytest.fixture(scope="module")
def zoned():
    """Return a reduction in two annuli, of two parts each, with a disk declared missing and a given factor."""
    seen = observe(size=33)
    options = {
        "inner_radius": 2,
        "outer_radius": 15,
        "annulus_width": 6.5,
        "n_segments": 2,
        "estimator": SequentialNMF(2, max_iter=50),
        "imputation_mask": disc(SHAPE, *place(CENTER, 9.0, 60.0), 3),
        "scale": 0.95,
    }
    return reduce(seen.science_frames(), seen.reference_frames(), **options)


@pytest.fixture(scope="module")
def turning():
    """Return a reduction of a sequence with itself."""
    return reduce(sequence(n=10).frames(), mode="adi", **THREE)


@settings(max_examples=25)
@given(
    separation=st.floats(3, 13),
    position_angle=st.floats(0, 360),
    flux=st.floats(0.1, 300),
    sign=st.sampled_from([-1.0, 1.0]),
    in_data=st.booleans(),
)
def test_small_sources_are_exact_wherever_no_active_set_changes(zoned, separation, position_angle, flux, sign, in_data):
    source = PointSource(separation, position_angle, sign * flux)
    model = zoned.forward_model(source, psf=POINT, exact=True, in_data=in_data)
    if model.same_active_set.all():
        assert model.largest_difference <= 1e-8
    for frame, exact, same in zip(model.frames, model.exact_frames, model.same_active_set, strict=True):
        assert not same or off(frame, exact) <= 1e-8


def test_it_is_what_the_source_has_changed_with_annuli_and_missing_pixels(zoned):
    model = zoned.forward_model(PLANET, psf=POINT, in_data=False)
    after = zoned.again(with_source(zoned.science, model.sources))
    assert model.same_active_set.all()
    assert off(model.combined, after.combined - zoned.combined) <= 1e-8
    assert off(model.frames, after.residuals - zoned.residuals) <= 1e-8


def test_a_source_in_the_data_is_taken_from_them(zoned):
    sources = PLANET.frames(zoned.observer(psf=POINT))
    whole = zoned.again(with_source(zoned.science, sources))
    model = whole.forward_model(PLANET, psf=POINT, exact=True)
    assert model.same_active_set.all()
    np.testing.assert_allclose(model.exact, whole.combined - zoned.combined, atol=1e-9)
    np.testing.assert_allclose(model.exact_frames, whole.residuals - zoned.residuals, atol=1e-9)
    assert model.largest_difference <= 1e-8
    np.testing.assert_array_equal(whole.forward(PLANET, psf=POINT), model.combined)
    np.testing.assert_array_equal(whole.forward(PLANET, psf=POINT, exact=True), model.exact)


@pytest.fixture(scope="module")
def bright(science, components):
    """Return a reduction, and the model of a source that makes coefficients vanish."""
    result = reduce(science, components=components, scale="none", outer_radius=15)
    return result, result.forward_model(BRIGHT, psf=POINT, exact=True, in_data=False)


def test_a_source_that_makes_a_coefficient_vanish_is_found_and_both_answers_are_there(bright):
    result, model = bright
    after = result.again(with_source(result.science, model.sources))
    same = ((after.coefficients > 0) == (result.coefficients > 0)).all(axis=1)
    assert not same.all()
    np.testing.assert_array_equal(model.same_active_set, same)
    np.testing.assert_array_equal(model.exact, after.combined - result.combined)
    np.testing.assert_array_equal(model.combined, result.combine_frames(model.frames).image)
    np.testing.assert_array_equal(model.difference, model.combined - model.exact)
    assert model.largest_difference > 1e-3
    assert model.largest_difference == pytest.approx(off(model.combined, model.exact))
    for frame, exact, unchanged in zip(model.frames, model.exact_frames, same, strict=True):
        assert (off(frame, exact) <= 1e-8) == unchanged


def test_the_summary_says_how_many_frames_are_exact_and_by_how_much_the_others_are_off(bright):
    _, model = bright
    same = int(model.same_active_set.sum())
    said = f"4 frames of 33 x 33 pixels, active components as without the source in {same}; reduced again, and off by"
    assert model.summary() == f"{said} {model.largest_difference:.2g} of the peak without that"
    assert repr(model) == f"<ForwardModel: {model.summary()}>"


def test_nothing_is_reduced_again_where_the_active_components_say_it_all(zoned):
    model = zoned.forward_model(PLANET, psf=POINT)
    assert isinstance(model, ForwardModel)
    assert (model.exact, model.exact_frames, model.difference) == (None, None, None)
    assert model.image is model.combined
    assert np.isnan(model.largest_difference)
    assert model.summary().endswith("not reduced again")


@pytest.mark.parametrize("in_data", [True, False])
def test_components_of_the_science_frames_are_built_again_for_the_exact_answer(turning, in_data):
    model = turning.forward_model(PLANET, psf=POINT, exact=True, in_data=in_data)
    sign = -1 if in_data else 1
    other = turning.again(with_source(turning.science, sign * model.sources))
    np.testing.assert_array_equal(model.exact, sign * (other.combined - turning.combined))
    np.testing.assert_array_equal(model.combined, turning.combine_frames(turning.remaining(model.sources)).image)
    assert 0 < model.largest_difference < 0.1
    if in_data:
        np.testing.assert_array_equal(turning.forward(PLANET, psf=POINT, exact=True), model.exact)


@pytest.mark.parametrize("in_data", [True, False])
@pytest.mark.parametrize("combine", ["median", "weighted"])
def test_a_combination_that_is_not_linear_is_compared_with_and_without_the_source(combine, in_data):
    frames = sequence(n=10).frames(uncertainty=None)
    result = reduce(frames, mode="adi", combine=combine, **THREE)
    model = result.forward_model(PLANET, psf=POINT, exact=True, in_data=in_data)
    assert model.largest_difference < 0.2
    np.testing.assert_array_equal(model.frames, result.remaining(model.sources))
    quick = result.forward_model(PLANET, psf=POINT, in_data=in_data)
    assert quick.exact is None
    np.testing.assert_array_equal(quick.image, model.combined)


SEARCHED = [("bff", "mean"), ("none", "median"), ("bff", "weighted"), ("bff", "median")]


@pytest.mark.parametrize("in_data", [True, False])
@pytest.mark.parametrize(("scale", "combine"), SEARCHED)
def test_where_components_are_fixed_and_the_rest_is_not_linear_both_answers_are_there(
    science, components, scale, combine, in_data
):
    result = reduce(science, components=components, scale=scale, combine=combine, outer_radius=15)
    model = result.forward_model(BRIGHT, psf=POINT, in_data=in_data)
    sign = -1 if in_data else 1
    other = reduce(
        with_source(science, sign * model.sources), components=components, scale=scale, combine=combine, outer_radius=15
    )
    np.testing.assert_allclose(model.exact, sign * (other.combined - result.combined), atol=1e-10)
    np.testing.assert_allclose(model.exact_frames, sign * (other.residuals - result.residuals), atol=1e-10)
    np.testing.assert_array_equal(model.frames, result.remaining(model.sources))
    assert model.image is model.exact
    is_exact = scale == "none" and model.same_active_set.all()
    assert (model.largest_difference < 1e-8) if is_exact else (model.largest_difference > 1e-4)
    if in_data:
        np.testing.assert_array_equal(result.forward(BRIGHT, psf=POINT), model.exact)
        np.testing.assert_array_equal(result.forward(BRIGHT, psf=POINT, exact=False), model.combined)


@pytest.mark.parametrize("in_data", [True, False])
@pytest.mark.parametrize("combine", ["median", "mean"])
def test_without_reducing_again_factors_are_held_and_only_the_median_follows_the_source(
    science, components, combine, in_data
):
    result = reduce(science, components=components, scale="bff", combine=combine, outer_radius=15)
    held = reduce(science, components=components, scale=result.scale_factors, combine=combine, outer_radius=15)
    model = result.forward_model(MODERATE, psf=POINT, exact=False, in_data=in_data)
    expected = held.forward_model(MODERATE, psf=POINT, exact=True, in_data=in_data)
    assert expected.same_active_set.all()
    assert model.exact is None
    assert off(model.combined, expected.exact) <= 1e-8
    assert off(model.frames, expected.exact_frames) <= 1e-8
    assert result.forward_model(MODERATE, psf=POINT, in_data=in_data).largest_difference > 1e-4 * (combine == "mean")


def test_a_source_fainter_than_a_searched_factor_can_tell_is_told(science, components):
    result = reduce(science, components=components, scale="bff", outer_radius=15)
    faint = PointSource(8.0, 60.0, 1.0)
    with pytest.warns(ScaleFactorWarning, match=r"too faint for that \(S/N below 30"):
        model = result.forward_model(faint, psf=POINT)
    with pytest.warns(ScaleFactorWarning, match=f"by {model.largest_difference:.0%} of the peak"):
        result.forward(faint, psf=POINT)
    result.forward(faint, psf=POINT, exact=False)
    reduce(science, components=components, scale="none", outer_radius=15).forward_model(faint, psf=POINT, exact=True)


def test_without_errors_the_scatter_of_the_residuals_says_what_is_faint(observation, components):
    result = reduce(observation.science_frames(uncertainty=None), components=components, scale="bff", combine="mean")
    scatter = mad_sigma(result.residuals[np.isfinite(result.residuals)])
    unit = result.remaining(PointSource(8.0, 60.0).frames(result.observer(psf=POINT)))
    norm = np.sqrt(np.sum(PointSource(8.0, 60.0).frames(result.observer(psf=POINT))[np.isfinite(unit)] ** 2))
    with pytest.warns(ScaleFactorWarning, match="too faint"):
        result.forward_model(PointSource(8.0, 60.0, 29 * scatter / norm), psf=POINT)
    result.forward_model(PointSource(8.0, 60.0, 31 * scatter / norm), psf=POINT)


def test_an_image_on_combined_s_pixels_is_the_same_as_a_source(reduction):
    image = gaussian(SHAPE, *place(CENTER, 8.0, 60.0), fwhm=4)
    expected = reduction.forward(image)
    for source in (SkyImage(image), image * u.MJy / u.sr, SkyImage(image, pixel_scale=0.063)):
        np.testing.assert_allclose(reduction.forward(source), expected, atol=1e-14)
    np.testing.assert_array_equal(reduction.forward_model(image).combined, expected)


def test_a_model_of_finer_pixels_goes_through_with_its_pixel_scale(reduction):
    fine = gaussian((99, 99), *place((49, 49), 24.0, 60.0), fwhm=12)
    coarse = gaussian(SHAPE, *place(CENTER, 8.0, 60.0), fwhm=4)
    found = reduction.forward(fine, pixel_scale=0.021)
    np.testing.assert_allclose(found, reduction.forward(coarse), atol=0.05)
    with pytest.raises(ValueError, match="give its 'pixel_scale'"):
        reduction.forward(fine)


def test_a_source_is_turned_dimmed_and_convolved_before_it_is_reduced(reduction):
    parts = {"psf": POINT, "transmission": TRANSMISSION, "smearing": 3.0}
    observer = reduction.observer(**parts)
    model = reduction.forward_model(ring(), **parts)
    np.testing.assert_array_equal(model.sources, observer.image(ring(), convolved=False))
    np.testing.assert_array_equal(model.frames, reduction.remaining(model.sources))
    np.testing.assert_array_equal(reduction.forward(ring(), **parts), model.combined)
    assert off(reduction.forward(ring()), model.combined) > 0.1


def test_the_psf_may_be_an_image_of_a_star(reduction):
    np.testing.assert_array_equal(
        reduction.forward(PLANET, psf=POINT.data), reduction.forward(PLANET, psf=PSF.of(POINT.data))
    )


def test_of_nothing_nothing_remains(reduction):
    model = reduction.forward_model(np.zeros(SHAPE), psf=POINT, exact=True)
    seen = np.isfinite(reduction.combined)
    np.testing.assert_array_equal(model.combined[seen], 0.0)
    np.testing.assert_array_equal(np.isfinite(model.combined), seen)
    assert model.same_active_set.all()
    assert model.largest_difference == 0


def test_negative_light_is_light(reduction):
    np.testing.assert_allclose(reduction.forward(-ring()), -reduction.forward(ring()), atol=1e-13)


def test_frames_are_blank_where_residuals_are(science, components):
    result = reduce(science, components=components, inner_radius=4, outer_radius=12, scale="none")
    model = result.forward_model(PLANET, psf=POINT, exact=True)
    for frames in (model.frames, model.exact_frames):
        np.testing.assert_array_equal(np.isnan(frames), np.isnan(result.residuals))
    for image in (model.combined, model.exact):
        np.testing.assert_array_equal(np.isnan(image), np.isnan(result.combined))
    assert np.isfinite(model.sources).all()


def test_a_reduction_that_was_written_and_read_says_the_same(reduction, tmp_path):
    reduction.write(tmp_path / "reduction.fits")
    read = Reduction.read(tmp_path / "reduction.fits")
    one, other = (some.forward_model(PLANET, psf=POINT, exact=True) for some in (reduction, read))
    np.testing.assert_allclose(other.combined, one.combined, atol=1e-10)
    np.testing.assert_allclose(other.exact, one.exact, atol=1e-10)


class Wrong:
    """A source that says something impossible."""

    def __init__(self, content):
        self.content = content

    def frames(self, observer):
        return self.content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.ones((3, 3)), r"'source' must be of shape \(4, 33, 33\), got \(3, 3\)"),
        (np.full((4, 33, 33), np.nan), "'source' must be finite in every frame, got 4356 NaN or Inf"),
    ],
)
def test_a_source_must_say_what_every_frame_shows(reduction, content, message):
    with pytest.raises(ValueError, match=message):
        reduction.forward(Wrong(content))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.full(SHAPE, np.nan), "'source' must be finite everywhere"),
        (np.ones((20, 20)), r"'source' must be of shape \(33, 33\), got \(20, 20\); give its 'pixel_scale'"),
        (np.ones(SHAPE) * u.m, "'source' must be in a unit that converts to MJy / sr, got m"),
        (SkyImage(np.ones(SHAPE), convolved=False), "'psf' must be given, for a source that is not convolved yet"),
        (PLANET, "'psf' must be given, for a source that is not convolved yet"),
    ],
)
def test_a_source_that_does_not_fit_is_an_error(reduction, image, message):
    with pytest.raises(ValueError, match=message):
        reduction.forward_model(image)


def test_a_pixel_scale_needs_that_of_the_frames(observation, components):
    result = reduce(observation.science_frames(pixel_scale=None), components=components, scale="none")
    with pytest.raises(ValueError, match="'pixel_scale' must be left out, where the frames' own is not known"):
        result.forward(ring(), pixel_scale=0.05)


def test_neither_the_source_nor_the_reduction_is_modified(reduction):
    image, data, coefficients = ring(), reduction.science.data.copy(), reduction.coefficients.copy()
    reduction.forward_model(image, psf=POINT, exact=True)
    np.testing.assert_array_equal(image, ring())
    np.testing.assert_array_equal(reduction.science.data, data)
    np.testing.assert_array_equal(reduction.coefficients, coefficients)


def test_a_single_frame_keeps_its_axis(observation):
    frames = observation.science_frames(data=observation.science[:1], uncertainty=None, angles=[10.0])
    result = reduce(frames, components=build_components(observation.reference_frames(), 1), scale="none")
    model = result.forward_model(PLANET, psf=POINT, exact=True)
    assert model.frames.shape == (1, *SHAPE)
    assert model.same_active_set.shape == (1,)
    assert model.largest_difference <= 1e-8
