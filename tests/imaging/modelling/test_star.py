import numpy as np
import pytest
from fit_helpers import ANGLES, SIZE, scene
from hypothesis import given
from hypothesis import strategies as st

from astronmf.exceptions import GeometryWarning
from astronmf.imaging.modelling import star as star_module
from astronmf.imaging.modelling.star import StarDesign
from astronmf.imaging.scaling import frame_groups

N, K, P = 5, 3, 40


def design(parts=2, groups=None, seed=0):
    """Return a design of several parts, with random columns."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(N)
    each = [(np.sort(rows), rng.normal(size=(K, P))) for rows in np.array_split(order, parts)]
    return StarDesign(tuple(each), np.arange(N) if groups is None else np.asarray(groups))


def columns_of(star, frame):
    """Return the design of one frame."""
    return next(columns for rows, columns in star.parts if frame in rows)


@pytest.mark.parametrize("groups", [None, [0, 0, 1, 1, 2], [0] * N])
@pytest.mark.parametrize("parts", [1, 2, N])
def test_products_and_grams_are_sums_over_the_frames_of_a_group(parts, groups, monkeypatch):
    star, rng = design(parts, groups), np.random.default_rng(1)
    values, weights = rng.normal(size=(N, P)), rng.random((N, P))
    products, gram = np.zeros((star.n_groups, K)), np.zeros((star.n_groups, K, K))
    for i, group in enumerate(star.group):
        own = columns_of(star, i)
        products[group] += own @ values[i]
        gram[group] += np.einsum("ap,p,bp->ab", own, weights[i], own)
    for largest in (4_000_000, 2 * P):  # in few blocks, and in many
        monkeypatch.setattr(star_module, "LARGEST_BLOCK", largest)
        np.testing.assert_allclose(star.products(values), products, atol=1e-12)
    np.testing.assert_allclose(star.gram(weights), gram, atol=1e-12)


def test_the_model_of_each_frame_uses_the_coefficients_of_its_group():
    star = design(2, [0, 0, 1, 1, 2])
    coefficients = np.random.default_rng(2).random((3, K))
    expected = [coefficients[group] @ columns_of(star, i) for i, group in enumerate(star.group)]
    np.testing.assert_allclose(star.model(coefficients), expected, rtol=1e-13)


def test_components_are_the_columns_0_where_they_do_not_cover():
    reduction = scene().reduced()
    star = StarDesign.of_components(reduction.bases, len(ANGLES))
    region = reduction.choice.region
    np.testing.assert_array_equal(star.parts[0][1], np.nan_to_num(reduction.components.data[:, region]))
    np.testing.assert_array_equal(star.group, np.arange(5))


@pytest.mark.parametrize(
    ("star", "groups", "columns"), [("frame", [0, 1, 2, 3, 4], 1), ("roll", [0, 0, 1, 1, 2], 1), ("all", [0] * 5, 1)]
)
def test_factors_belong_to_frames_rolls_or_all(star, groups, columns):
    reduction = scene().reduced()
    found = StarDesign.of_models(reduction.models, reduction.science, reduction.choice, star)
    np.testing.assert_array_equal(found.group, groups)
    assert found.n_columns == columns
    models = np.nan_to_num(reduction.models[:, reduction.choice.region])
    np.testing.assert_array_equal(found.model(np.ones((found.n_groups, 1))), models)


def test_annuli_add_up_to_the_model_and_do_not_overlap():
    reduction = scene().reduced()
    found = StarDesign.of_models(reduction.models, reduction.science, reduction.choice, "annulus", 4.0)
    assert found.n_columns == 3
    assert all(((columns != 0).sum(axis=0) <= 1).all() for _, columns in found.parts)
    models = np.nan_to_num(reduction.models[:, reduction.choice.region])
    np.testing.assert_array_equal(found.model(np.ones((1, 3))), models)


@given(st.lists(st.integers(0, 35), min_size=1, max_size=8), st.integers(0, 10**6), st.floats(-720, 720))
def test_rolls_are_told_apart_however_the_circle_is_cut(tens, seed, zero):
    rng = np.random.default_rng(seed)
    angles = 10.0 * np.array(tens) + rng.uniform(-0.02, 0.02, len(tens)) + 360 * rng.integers(-2, 3, len(tens))
    found = frame_groups(angles + zero, len(tens), "roll")
    same = np.equal.outer(tens, tens)
    np.testing.assert_array_equal(np.equal.outer(found, found), same)
    np.testing.assert_array_equal(np.unique(found), np.arange(len(set(tens))))


def test_rolls_are_numbered_by_their_angle():
    np.testing.assert_array_equal(frame_groups(np.array([200.0, 10.0, 10.01, 100.0]), 4, "roll"), [2, 0, 0, 1])


def test_without_angles_all_frames_are_one_roll():
    with pytest.warns(GeometryWarning, match="no 'angles'"):
        reduction = scene().reduced(angles=None)
    found = StarDesign.of_models(reduction.models, reduction.science, reduction.choice, "roll")
    np.testing.assert_array_equal(found.group, 0)
    assert found.parts[0][1].shape == (1, int(reduction.choice.region.sum())) < (1, SIZE**2)
