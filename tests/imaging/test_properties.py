"""What holds for any mask, any angle and any factor."""

import functools

import numpy as np
import pytest
from helpers import read_only
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from imaging_helpers import observe

from astronmf.imaging import build_components, reduce
from astronmf.imaging.combination import METHODS
from astronmf.imaging.scaling import best_factor

SIZE = 17
SMALL = observe(size=SIZE, angles=[0.0, 40.0, 75.0], n_references=6, seed=8)
CUBE = SMALL.science.shape

few = settings(max_examples=12, deadline=None, derandomize=True, phases=[Phase.generate])
seeds = st.integers(0, 2**31)
spoils = st.sampled_from([1e30, -1e6, 0.0, np.nan, np.inf])


@functools.cache
def components():
    """Return three components; no fixture, as hypothesis would print them."""
    return build_components(SMALL.reference_frames(), 3)


def some(seed, share, shape=CUBE):
    """Return a random part of the pixels."""
    return np.random.default_rng(seed).random(shape) < share


def assert_same_reduction(one, other):
    for name in ("combined", "combined_uncertainty", "coverage", "coefficients", "covariances", "scale_factors"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


@few
@given(seeds, st.floats(0.01, 0.6), spoils)
def test_what_lies_under_a_mask_changes_no_bit(seed, share, spoil):
    mask = some(seed, share)
    spoilt = np.where(mask, spoil, SMALL.science)
    results = [
        reduce(SMALL.science_frames(data=data, mask=mask), components=components()) for data in (SMALL.science, spoilt)
    ]
    assert_same_reduction(*results)


@few
@pytest.mark.filterwarnings("ignore:.*missing in every reference:astronmf.exceptions.MissingDataWarning")  # chance
@given(seeds, st.floats(0.01, 0.5), spoils)
def test_what_lies_under_a_mask_of_the_references_changes_no_bit(seed, share, spoil):
    mask = some(seed, share, SMALL.references.shape)
    spoilt = np.where(mask, spoil, SMALL.references)
    first, second = (
        build_components(SMALL.reference_frames(data=data, mask=mask), 2) for data in (SMALL.references, spoilt)
    )
    np.testing.assert_array_equal(first.data, second.data)
    np.testing.assert_array_equal(first.coefficients, second.coefficients)


@few
@given(seeds, st.floats(0.01, 0.6), st.sampled_from([0.0, -1.0, np.nan, np.inf, 1e3]), st.sampled_from(METHODS))
def test_errors_under_a_mask_change_no_bit(seed, share, spoil, method):
    mask = some(seed, share)
    spoilt = np.where(mask, spoil, SMALL.science_sigma)
    results = [
        reduce(SMALL.science_frames(uncertainty=sigma, mask=mask), components=components(), combine=method)
        for sigma in (SMALL.science_sigma, spoilt)
    ]
    assert_same_reduction(*results)


@few
@given(seeds, st.floats(0.01, 0.4), st.sampled_from([1e6, -1e6, 1e-9]))
def test_what_is_declared_missing_does_not_change_the_model(seed, share, value):
    imputed = some(seed, share)
    before, after = (
        reduce(SMALL.science_frames(data=data), components=components(), imputation_mask=imputed)
        for data in (SMALL.science, np.where(imputed, value, SMALL.science))
    )
    np.testing.assert_array_equal(after.models, before.models)
    np.testing.assert_array_equal(after.residuals[~imputed], before.residuals[~imputed])


@few
@given(st.integers(1, 3), st.sampled_from(METHODS))
def test_a_quarter_turn_of_all_angles_turns_the_image(quarters, method):
    options = {"components": components(), "combine": method, "outer_radius": 7}
    one = reduce(SMALL.science_frames(), **options)
    turned = reduce(SMALL.science_frames(angles=SMALL.angles + 90 * quarters), **options)
    np.testing.assert_allclose(turned.combined, np.rot90(one.combined, -quarters), atol=1e-9)


@few
@given(st.integers(-3, 3))
def test_whole_turns_change_nothing(turns):
    one, turned = (
        reduce(SMALL.science_frames(angles=SMALL.angles + 1 + more), components=components(), outer_radius=7)
        for more in (0, 360 * turns)
    )
    np.testing.assert_allclose(turned.combined, one.combined, atol=1e-9)


@few
@given(st.permutations(range(len(SMALL.science))))
def test_the_order_of_science_frames_does_not_matter(order):
    one = reduce(SMALL.science_frames(), components=components())
    shuffled = reduce(SMALL.science_frames()[list(order)], components=components())
    np.testing.assert_array_equal(shuffled.coefficients, one.coefficients[list(order)])
    np.testing.assert_allclose(shuffled.combined, one.combined, atol=1e-11)


@few
@given(st.integers(-20, 20))
def test_the_unit_of_the_data_does_not_matter(power):
    factor = 2.0**power
    one, other = (
        reduce(
            SMALL.science_frames(data=SMALL.science * f, uncertainty=SMALL.science_sigma * f),
            SMALL.reference_frames(data=SMALL.references * f, uncertainty=SMALL.reference_sigma * f),
            n_components=2,
        )
        for f in (1.0, factor)
    )
    np.testing.assert_array_equal(other.combined, one.combined * factor)
    np.testing.assert_array_equal(other.scale_factors, one.scale_factors)


@few
@given(st.floats(0.55, 1.45), st.floats(-100, 100), st.booleans())
def test_a_factor_comes_back_whatever_the_offset(factor, offset, weighted):
    model = read_only(SMALL.science_star[0].ravel())
    sigma = np.full(model.size, 2.0) if weighted else None
    found = best_factor(factor * model + offset, model, sigma)
    assert found.value == pytest.approx(factor, rel=1e-9)
    assert not found.at_edge
