import helpers
import numpy as np
import pytest

from astronmf import NMF, SequentialNMF
from astronmf.core import sequential
from astronmf.core.alternating import State, chi2
from astronmf.core.problem import Problem
from astronmf.core.sampling import Sample


@pytest.fixture(params=["general", "separable"])
def problem(request):
    """Return a problem with a bright corner, weighted in general or by rows and columns."""
    data = helpers.simulate(20, 3000, 3, seed=31)
    X = data.X * np.where(np.arange(3000) < 30, 30.0, 1.0)
    rng = np.random.default_rng(1)
    weights = rng.uniform(0.5, 2, (20, 1)) * rng.uniform(0.5, 2, (1, 3000))
    return Problem.from_arrays(X, data.weights if request.param == "general" else weights, data.mask)


def test_a_sample_has_at_most_as_many_pixels_as_asked_for_each_once(problem):
    sample = Sample.draw(problem, 400, 0)
    assert 200 < sample.pixels.size <= 401
    assert (np.diff(sample.pixels) > 0).all()


def test_bright_pixels_are_taken_more_often(problem):
    assert (Sample.draw(problem, 400, 0).pixels < 30).sum() > 20


def test_chi2_over_samples_has_that_over_all_pixels_for_its_mean(problem):
    rng = np.random.default_rng(2)
    C, B = rng.random((3, 20)), rng.random((3, 3000))
    whole = chi2(problem, C, B)
    found = []
    for seed in range(60):
        sample = Sample.draw(problem, 400, seed)
        found.append(chi2(sample.problem(problem), C, sample.of(B)))
    assert np.mean(found) == pytest.approx(whole, rel=4 * np.std(found) / whole / np.sqrt(60) + 1e-12)
    assert np.std(found) < 0.2 * whole


def test_what_is_put_back_is_what_was_taken(problem):
    B = np.random.default_rng(3).random((3, 3000))
    sample, found = Sample.draw(problem, 300, 0), np.zeros((3, 3000))
    sample.put(sample.of(B), found)
    np.testing.assert_allclose(found[:, sample.pixels], B[:, sample.pixels], rtol=1e-14)
    assert np.count_nonzero(found) == 3 * sample.pixels.size


def test_a_seed_is_a_sample(problem):
    one, same, other = (Sample.draw(problem, 300, seed).pixels for seed in (4, 4, 5))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_pixels_that_nobody_saw_are_not_drawn():
    X = np.random.default_rng(5).random((10, 500))
    X[:, ::2] = np.nan
    problem = Problem.from_arrays(X, warn=False)
    assert (Sample.draw(problem, 100, 0).pixels % 2 == 1).all()


def test_a_start_that_is_already_good_is_not_given_up_for_a_samples():
    data = helpers.simulate(20, 3000, 3, seed=32)
    best = NMF(3, tol=1e-10, max_iter=5000, pixel_fraction=None).fit(*data.inputs)
    again = NMF(3, init=(best.coefficients_, best.components_), tol=0, max_iter=1, pixel_fraction=0.1)
    assert again.fit(*data.inputs).chi2_ <= best.chi2_ * (1 + 1e-12)


def test_a_stage_that_a_sample_leads_astray_is_built_without_it(monkeypatch):
    data = helpers.simulate(20, 3000, 3, seed=33)
    plain = SequentialNMF(3, pixel_fraction=None).fit(*data.inputs)

    def astray(self, sample, grow, fixed):
        k = len(self.state.coefficients) + 1
        return State(np.zeros((k, 20)), np.zeros((k, 3000)), np.inf)

    monkeypatch.setattr(sequential._Builder, "_learn", astray)
    found = SequentialNMF(3, pixel_fraction=0.1).fit(*data.inputs)
    np.testing.assert_allclose(found.history_["chi2"][1:], plain.history_["chi2"][1:], rtol=1e-2)
    assert (np.diff(found.history_["chi2"]) < 0).all()


@pytest.mark.parametrize(
    ("n", "p", "k", "count"),
    [
        (100, 30_000, 5, 3000),  # a tenth
        (100, 90_000, 5, 5000),  # enough
        (2000, 2000, 12, 240),  # so many for each component
        (2000, 900, 12, 0),  # they would be most of all
        (20, 30_000, 5, 0),  # done at once anyway
    ],
)
def test_a_sample_is_as_large_as_is_worth_it(n, p, k, count):
    problem = Problem.from_arrays(np.ones((n, p), dtype=np.float32))
    assert sequential._sampled_pixels(problem, k) == count
    found = sequential._sample(problem, k, sequential.Settings(), sequential.SequentialSettings())
    assert (0 if found is None else found.pixels.size) == pytest.approx(count, abs=1)
    assert (
        sequential._sample(problem, k, sequential.Settings(), sequential.SequentialSettings(pixel_fraction=None))
        is None
    )
    assert sequential._sample(problem, k, sequential.Settings("mu"), sequential.SequentialSettings()) is None
