import numpy as np
import pytest
from imaging_helpers import disc, gaussian, place

from astronmf.imaging import build_components, reduce
from astronmf.imaging.geometry import from_sky

CENTER = (16, 16)
SOURCE = 4.0 * gaussian((33, 33), *place(CENTER, 8.0, 60.0), fwhm=4)


def in_each_frame(image, frames):
    """Return a north-up image as it falls on each frame."""
    return np.array([np.nan_to_num(from_sky(image, frames.geometry, i)) for i in range(len(frames))])


def injected(frames, image):
    return frames.replace_data(frames.data + in_each_frame(image, frames))


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("scale", ["none", 0.9])
def test_it_equals_the_difference_of_two_reductions(science, components, k, scale):
    options = {"components": components, "n_components": k, "scale": scale, "outer_radius": 15}
    before = reduce(science, **options)
    after = reduce(injected(science, SOURCE), **options)
    np.testing.assert_array_equal(after.coefficients > 0, before.coefficients > 0)
    difference, predicted = after.combined - before.combined, before.forward(SOURCE)
    np.testing.assert_allclose(predicted, difference, atol=1e-8 * np.nanmax(np.abs(difference)))


def test_it_equals_the_difference_with_a_region_declared_missing(science, components):
    half = disc((33, 33), *place(CENTER, 8.0, 60.0), 3)
    options = {"components": components, "scale": "none", "imputation_mask": half}
    before, after = reduce(science, **options), reduce(injected(science, SOURCE), **options)
    difference = after.combined - before.combined
    np.testing.assert_allclose(before.forward(SOURCE), difference, atol=1e-8 * np.nanmax(np.abs(difference)))


def test_it_equals_the_difference_with_missing_data(observation, components):
    mask = np.random.default_rng(8).random(observation.science.shape) < 0.05
    frames = observation.science_frames(mask=mask)
    before = reduce(frames, components=components, scale="none")
    after = reduce(injected(frames, SOURCE), components=components, scale="none")
    difference = after.combined - before.combined
    np.testing.assert_allclose(before.forward(SOURCE), difference, atol=1e-8 * np.nanmax(np.abs(difference)))


def test_a_source_in_pixels_declared_missing_is_untouched(observation, components):
    frames = observation.science_frames(angles=np.zeros(4))
    spot = disc((33, 33), *place(CENTER, 8.0, 60.0), 5)
    source = np.where(spot, SOURCE, 0.0)
    result = reduce(frames, components=components, imputation_mask=spot)
    np.testing.assert_allclose(result.forward(source), source, atol=1e-15)


def test_a_turned_source_in_pixels_declared_missing_is_only_resampled(science, components):
    spot = disc((33, 33), *place(CENTER, 8.0, 60.0), 7)
    result = reduce(science, components=components, imputation_mask=spot, outer_radius=15)
    source = np.where(disc((33, 33), *place(CENTER, 8.0, 60.0), 5.5), SOURCE, 0.0)
    seen = np.isfinite(result.combined)
    np.testing.assert_allclose(result.forward(source)[seen], source[seen], atol=0.01 * source.max())


def test_the_star_s_own_pattern_is_subtracted_away(observation, components):
    result = reduce(observation.science_frames(angles=np.zeros(4)), components=components, scale="none")
    pattern = components.data[0].astype(float)
    np.testing.assert_allclose(result.forward(pattern), 0, atol=1e-9 * pattern.max())


def test_it_is_linear_in_the_source(reduction):
    other = gaussian((33, 33), 12, 20)
    both = reduction.forward(2 * SOURCE - other)
    np.testing.assert_allclose(both, 2 * reduction.forward(SOURCE) - reduction.forward(other), atol=1e-12)


@pytest.mark.filterwarnings("ignore:the scale factors were searched:astronmf.exceptions.ScaleFactorWarning")
def test_it_is_blank_where_the_combined_image_is(science, components):
    result = reduce(science, components=components, inner_radius=4, outer_radius=12)
    np.testing.assert_array_equal(np.isnan(result.forward(SOURCE)), np.isnan(result.combined))


def test_it_takes_single_precision_images(reduction):
    single = SOURCE.astype(np.float32)
    np.testing.assert_array_equal(reduction.forward(single), reduction.forward(single.astype(float)))


def test_it_leaves_its_image_untouched(reduction):
    image = SOURCE.copy()
    reduction.forward(image)
    np.testing.assert_array_equal(image, SOURCE)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_image_with_holes_is_an_error_that_counts_them(reduction, value):
    image = SOURCE.copy()
    image[3, 4:6] = value
    with pytest.raises(ValueError, match=r"'image' must be finite everywhere .*, got 2 NaN or Inf"):
        reduction.forward(image)


def test_an_image_of_another_shape_is_an_error(reduction):
    with pytest.raises(ValueError, match=r"'image' must be of shape \(33, 33\), got \(31, 33\)"):
        reduction.forward(SOURCE[1:-1])


def test_a_frame_of_coefficients_at_zero_leaves_its_source_whole(observation):
    frames = observation.science_frames(data=-observation.science, angles=np.zeros(4))
    basis = build_components(observation.reference_frames(), 2)
    result = reduce(frames, components=basis, scale="none")
    assert (result.coefficients == 0).all()
    np.testing.assert_allclose(result.forward(SOURCE), SOURCE, atol=1e-15)


@pytest.mark.parametrize("combine", ["mean", "median", "weighted"])
@pytest.mark.parametrize("scale", ["none", 0.9, "bff", "bff-ren2018"])
@pytest.mark.filterwarnings("ignore:the scale factor:astronmf.exceptions.ScaleFactorWarning")  # its range is narrow
def test_it_is_what_the_source_in_the_data_has_changed(science, components, scale, combine):
    options = {"components": components, "scale": scale, "combine": combine}
    whole, without = reduce(injected(science, SOURCE), **options), reduce(science, **options)
    np.testing.assert_allclose(whole.forward(SOURCE), whole.combined - without.combined, atol=1e-8)
