from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astronmf.imaging.modelling import star as star_module
from astronmf.imaging.modelling.observation import Observation
from astronmf.imaging.modelling.star import StarDesign

N, K, SHAPE = 5, 3, (6, 7)


def observe(seed=0, parts=1, groups=None):
    """Return an observation of random numbers, over part of the frame."""
    rng = np.random.default_rng(seed)
    pixels = rng.random(SHAPE) < 0.7
    p = int(pixels.sum())
    rows = np.array_split(np.arange(N), parts)
    star = StarDesign(
        tuple((some, rng.normal(size=(K, p))) for some in rows),
        np.arange(N) if groups is None else np.asarray(groups),
    )
    weights = rng.random((N, p)) * (rng.random((N, p)) < 0.8)
    return Observation(rng.normal(size=(N, p)), weights, star, pixels)


@given(st.integers(0, 99), st.integers(1, 3), st.sampled_from([1, 2, N]), st.sampled_from([None, [0, 0, 1, 2, 2]]))
def test_the_system_is_its_sums(seed, t, parts, groups):
    observation = observe(seed, parts, groups)
    templates = np.random.default_rng(seed + 1).normal(size=(t, N, observation.data.shape[1]))
    check(observation, templates, templates)


def check(observation, templates, shown):
    """Compare a system with one sum after the other; `shown` is what each frame shows, (t, n, p)."""
    star, weights = observation.star, observation.weights
    columns = {int(i): part for rows, part in star.parts for i in rows}
    gram, right = np.zeros((star.n_groups, K, K)), np.zeros((star.n_groups, K))
    cross = np.zeros((star.n_groups, K, len(shown)))
    for i, group in enumerate(star.group):
        own = columns[i] * weights[i]
        gram[group] += own @ columns[i].T
        right[group] += own @ observation.data[i]
        cross[group] += own @ shown[:, i].T
    found = observation.system(templates)
    np.testing.assert_allclose(found.gram, gram, atol=1e-12)
    np.testing.assert_allclose(found.right, right, atol=1e-12)
    np.testing.assert_allclose(found.cross, cross, atol=1e-12)
    np.testing.assert_allclose(found.template_gram, np.einsum("anp,np,bnp->ab", shown, weights, shown), atol=1e-12)
    np.testing.assert_allclose(
        found.template_right, np.einsum("anp,np,np->a", shown, weights, observation.data), atol=1e-12
    )
    assert found.square == pytest.approx(np.sum(weights * observation.data**2))


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("t", [1, 2])
def test_frames_that_share_a_picture_give_the_same_system_as_if_each_had_its_own(parts, t):
    which = np.array([1, 0, 0, 2, 1])
    observation = replace(observe(3, parts), orientation=which)
    pictures = np.random.default_rng(4).normal(size=(t, 3, observation.data.shape[1]))
    check(observation, pictures, pictures[:, which])


def test_blocks_change_nothing(monkeypatch):
    observation = observe(5)
    templates = np.random.default_rng(6).normal(size=(2, N, observation.data.shape[1]))
    monkeypatch.setattr(star_module, "LARGEST_BLOCK", 100)
    check(observation, templates, templates)


def test_what_is_taken_from_frames_goes_back_to_its_place():
    observation = observe()
    frames = np.random.default_rng(1).normal(size=(N, *SHAPE))
    placed = observation.placed(observation.within(frames))
    np.testing.assert_array_equal(placed[:, observation.pixels], frames[:, observation.pixels])
    assert np.isnan(placed[:, ~observation.pixels]).all()
    np.testing.assert_array_equal(observation.seen(frames), observation.within(frames))


def test_of_a_source_that_the_star_follows_the_rest_is_seen():
    observation = replace(observe(), follows=lambda sources: 0.25 * sources)
    frames = np.random.default_rng(1).normal(size=(N, *SHAPE))
    np.testing.assert_allclose(observation.seen(frames), 0.75 * observation.within(frames), rtol=1e-13)


def test_values_of_no_weight_are_not_counted():
    observation = observe()
    assert observation.n_valid == (observation.weights > 0).sum() < observation.data.size
