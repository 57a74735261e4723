import numpy as np
import pytest
from fit_helpers import SIZE, scene
from imaging_helpers import star_patterns

from astronmf.imaging import Frames
from astronmf.imaging.modelling.noise import _star_of, fit_weights, reference_systematics

DISTANCE = np.hypot(*(np.indices((SIZE, SIZE)) - 16))


def test_weights_are_the_inverse_of_both_variances_together():
    reduction = scene().reduced()
    found = fit_weights(reduction.science, reduction.models, reduction.residuals, 0.1)
    region = np.isfinite(reduction.models)
    expected = 1 / (reduction.science.sigma**2 + (0.1 * reduction.models) ** 2)
    np.testing.assert_allclose(found[region], expected[region], rtol=1e-12)
    assert (found[~region] == 0).all()


@pytest.mark.parametrize("nothing", [None, 0, 0.0])
def test_without_systematics_weights_are_those_of_the_data(nothing):
    reduction = scene().reduced()
    found = fit_weights(reduction.science, reduction.models, reduction.residuals, nothing)
    np.testing.assert_allclose(found, reduction.science.weights() * np.isfinite(reduction.models), rtol=1e-12)


def test_systematics_of_one_frame_are_those_of_all_and_nan_is_no_weight():
    reduction = scene().reduced()
    flat = np.full((SIZE, SIZE), 2.0)
    flat[16, 25] = np.nan
    one = fit_weights(reduction.science, reduction.models, reduction.residuals, flat)
    every = fit_weights(reduction.science, reduction.models, reduction.residuals, np.stack([flat] * 5))
    np.testing.assert_array_equal(one, every)
    assert (one[:, 16, 25] == 0).all()
    assert (one[:, 16, 24] > 0).all()


def test_unknown_errors_are_the_scatter_at_the_same_distance_and_outliers_do_not_count():
    rng = np.random.default_rng(0)
    sigma = 1 + 0.3 * DISTANCE
    residuals = sigma * rng.standard_normal((40, SIZE, SIZE))
    residuals[:, 20, 24] = 1e6
    residuals[:, DISTANCE < 3] = np.nan
    found = fit_weights(Frames(residuals, mask=np.isnan(residuals)), np.ones(residuals.shape), residuals, 0)
    seen = (DISTANCE > 4) & (DISTANCE < 15)
    np.testing.assert_allclose(1 / np.sqrt(found[0][seen]), sigma[seen], rtol=0.15)
    assert (found[:, DISTANCE < 3] == 0).all()


def test_nothing_to_take_an_error_from_is_an_error():
    blank = np.full((1, 4, 4), np.nan)
    with pytest.raises(ValueError, match="'science' must be with errors, or with 20 residuals"):
        fit_weights(Frames(np.ones((1, 4, 4)), center=(2, 2)), blank, blank, 0)


def library(scatter, n_stars=6, each=3, noise=0.5, seed=0):
    """Return frames of several stars, each of which differs from the others by a pattern of its own."""
    rng = np.random.default_rng(seed)
    patterns = star_patterns(SIZE)
    frames, names = [], []
    for star in range(n_stars):
        own = scatter * rng.standard_normal((SIZE, SIZE))
        for _ in range(each):
            mixture = np.tensordot(rng.uniform(0.5, 1.5, 3), patterns, axes=1)
            frames.append(mixture + own + noise * rng.standard_normal((SIZE, SIZE)))
            names.append(f"star{star} file")
    return Frames(np.array(frames), np.full((len(frames), SIZE, SIZE), noise), names=names)


@pytest.mark.parametrize("size", [2.0, 6.0])
def test_the_scatter_from_star_to_star_is_found(size):
    steps = []
    found = reference_systematics(
        library(size), n_components=3, inner_radius=3, outer_radius=15, progress=lambda *at: steps.append(at)
    )
    assert np.isnan(found[DISTANCE > 16]).all()
    middle = (DISTANCE > 5) & (DISTANCE < 15)
    # Components of 15 other frames have learnt a part of what these differ by, and carry it to the star left out.
    np.testing.assert_allclose(np.median(found[middle]), size, rtol=0.3)
    assert steps[-1] == (6, 6, "stars left out")


def test_where_stars_do_not_differ_there_is_little_left():
    found = reference_systematics(library(0.0), n_components=3, inner_radius=3, outer_radius=15)
    assert np.nanmedian(found) < 0.3


def test_what_was_measured_can_be_used_in_a_fit():
    found = reference_systematics(library(3.0), n_components=3, inner_radius=3, outer_radius=15)
    reduction = scene().reduced()
    weights = fit_weights(reduction.science, reduction.models, reduction.residuals, found)
    seen = np.isfinite(reduction.models)
    assert ((weights > 0) == seen).mean() > 0.99


def test_one_star_alone_says_nothing_of_others():
    frames = library(1.0, n_stars=1)
    with pytest.raises(ValueError, match="'stars' must be one for each of 3 frames, of two stars or more"):
        reference_systematics(frames)
    with pytest.raises(ValueError, match="'stars' must be one for each of 3 frames"):
        reference_systematics(frames, ["a", "b"])


@pytest.mark.parametrize(
    ("names", "same"),
    [
        (["HD 1 0", "HD 1 1", "HD 2 0"], [0, 0, 1]),
        (["HIP17695 003:0", "HIP17695 004:0", "G-7-34 005:0"], [0, 0, 1]),
        (["GJ 3", "GJ 4", "AU Mic 2"], [0, 1, 2]),
        (["one.fits", "one.fits 1", "two.fits:3"], [0, 0, 1]),
    ],
)
def test_the_star_is_known_by_the_frame_s_name(names, same):
    found = [_star_of(name) for name in names]
    np.testing.assert_array_equal([found.index(star) for star in found], [same.index(number) for number in same])


def test_frames_without_a_name_are_of_no_star_that_is_known():
    frames = library(1.0, n_stars=2)
    with pytest.raises(ValueError, match="'stars' must be one for each of 6 frames, of two stars or more"):
        reference_systematics(Frames(frames.data, frames.sigma))
