import importlib

import numpy as np
import pytest
from fit_helpers import POINT, SOURCES, scene

from astronmf.exceptions import ConvergenceWarning
from astronmf.imaging.modelling.sampling import Posterior, sample_posterior

pytest.importorskip("emcee")

pytestmark = pytest.mark.filterwarnings("ignore:the chain of .* steps is shorter than")


class Toy:
    """Stands in for a `Likelihood`: a Gaussian of two parameters, and an amplitude that is their sum."""

    def __init__(self, mean=(1.0, -2.0), sigma=(0.5, 2.0), correlation=0.6, half=20.0):
        self.mean, self.sigma = np.array(mean), np.array(sigma)
        self.bounds = {f"disk.{name}": (m - half, m + half) for name, m in zip("ab", mean, strict=True)}
        self.names, self.sources = list(self.bounds), {"disk": None}
        self.inverse = np.linalg.inv(np.outer(sigma, sigma) * np.array([[1.0, correlation], [correlation, 1.0]]))

    def with_amplitudes(self, vector):
        off = np.asarray(vector) - self.mean
        return -0.5 * off @ self.inverse @ off, np.array([np.sum(vector)]), np.array([0.5])

    def __call__(self, vector):
        return self.with_amplitudes(vector)[0]

    def maximize(self, progress=None):
        return self.mean


def same(one, other):
    for name in ("samples", "amplitudes", "amplitude_errors", "log_probability", "autocorrelation"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.acceptance == other.acceptance


def test_the_posterior_of_a_gaussian_has_its_mean_width_and_correlation():
    found = sample_posterior(Toy(), 1500, random_state=1)
    flat = found.flat(200)
    np.testing.assert_allclose(flat[:, :2].mean(axis=0), [1, -2], atol=0.15)
    np.testing.assert_allclose(flat[:, :2].std(axis=0), [0.5, 2.0], rtol=0.1)
    assert np.corrcoef(flat[:, 0], flat[:, 1])[0, 1] == pytest.approx(0.6, abs=0.08)
    np.testing.assert_allclose(found.amplitudes[..., 0], found.samples.sum(axis=-1), rtol=1e-12)
    around = flat[:, 2] - flat[:, 0] - flat[:, 1]  # amplitudes have errors of their own
    assert around.mean() == pytest.approx(0, abs=0.02)
    assert around.std() == pytest.approx(0.5, rel=0.03)
    np.testing.assert_array_equal(flat, found.flat(200))
    np.testing.assert_allclose(found.best, [1, -2], atol=0.2)
    assert 0.5 < found.acceptance < 0.9
    assert (found.autocorrelation > 5).all()
    assert found.burn_in == int(2 * found.autocorrelation.max())


def test_shapes_and_table():
    found = sample_posterior(Toy(), 12, n_walkers=8)
    assert found.samples.shape == (12, 8, 2)
    assert found.amplitudes.shape == (12, 8, 1)
    assert found.log_probability.shape == (12, 8)
    assert found.flat().shape == (8 * (12 - found.burn_in), 3)
    assert found.flat(0).shape == (96, 3)
    assert found.flat(11, amplitudes=False).shape == (8, 2)
    assert found.columns == ["disk.a", "disk.b", "disk.amplitude"]
    table = found.table(0)
    assert table.colnames[:5] == ["name", "median", "lower", "upper", "best"]
    low, middle, high = np.percentile(found.flat(0), [15.865, 50, 84.135], axis=0)
    np.testing.assert_allclose(table["median"], middle)
    np.testing.assert_allclose(table["median"] - table["lower"], low)
    np.testing.assert_allclose(table["median"] + table["upper"], high)
    np.testing.assert_array_equal(table["best"][:2], found.best)
    assert (table.meta["steps"], table.meta["walkers"]) == (12, 8)
    assert "12 steps of 8 walkers, 2 parameters" in repr(found)
    with pytest.raises(ValueError, match="'discard' must be"):
        found.flat(12)


def test_the_seed_makes_the_chain():
    one, two, other = (sample_posterior(Toy(), 5, random_state=seed) for seed in (1, 1, 2))
    same(one, two)
    assert (one.samples != other.samples).any()


def test_steps_are_told_and_a_chain_of_that_length_is_not_sampled_again(tmp_path):
    steps, path = [], tmp_path / "chain.h5"
    sample_posterior(Toy(), 4, checkpoint=path, progress=lambda *at: steps.append(at))
    assert steps == [(i, 4, "steps of the chain") for i in (1, 2, 3, 4)]
    found = sample_posterior(Toy(), 3, checkpoint=path, resume=True, progress=lambda *at: steps.append(at))
    assert found.samples.shape[0] == 4
    assert len(steps) == 4


# Checkpoints


def test_a_chain_that_was_resumed_is_the_one_that_was_not_interrupted(tmp_path):
    whole = sample_posterior(Toy(), 9, random_state=3)
    sample_posterior(Toy(), 4, random_state=3, checkpoint=tmp_path / "chain.h5")
    rest = sample_posterior(Toy(), 9, random_state=77, checkpoint=str(tmp_path / "chain.h5"), resume=True)
    same(whole, rest)


def test_a_chain_that_broke_off_goes_on_where_it_was(tmp_path):
    class Breaks(Toy):
        calls = 0

        def with_amplitudes(self, vector):
            self.calls += 1
            if self.calls == 90:
                raise KeyboardInterrupt
            return super().with_amplitudes(vector)

    path = tmp_path / "chain.h5"
    with pytest.raises(KeyboardInterrupt):
        sample_posterior(Breaks(), 9, random_state=3, checkpoint=path)
    same(sample_posterior(Toy(), 9, checkpoint=path, resume=True), sample_posterior(Toy(), 9, random_state=3))


def test_resuming_what_is_not_there_begins(tmp_path):
    found = sample_posterior(Toy(), 3, checkpoint=tmp_path / "chain.h5", resume=True)
    same(found, sample_posterior(Toy(), 3))


def test_a_chain_that_is_there_is_not_overwritten(tmp_path):
    path = tmp_path / "chain.h5"
    sample_posterior(Toy(), 3, checkpoint=path)
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match=r"chain.h5: is there already; resume it"):
        sample_posterior(Toy(), 3, checkpoint=path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("other", "how", "message"),
    [
        (Toy(half=10.0), {}, "'checkpoint' must be a chain of the same parameters, ranges and sources"),
        (Toy(), {"n_walkers": 20}, "'n_walkers' must be that of the chain in .*, 16"),
        (Toy(correlation=0.1), {}, "'checkpoint' must be a chain of the same data"),
    ],
)
def test_a_chain_of_something_else_is_refused(other, how, message, tmp_path):
    path = tmp_path / "chain.h5"
    sample_posterior(Toy(), 3, checkpoint=path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=message):
        sample_posterior(other, 6, checkpoint=path, resume=True, **how)
    assert path.read_bytes() == before


def test_a_file_that_is_no_chain_is_refused(tmp_path):
    path = tmp_path / "chain.h5"
    path.write_text("not a chain")
    with pytest.raises(ValueError, match="'checkpoint' must be a chain"):
        sample_posterior(Toy(), 3, checkpoint=path, resume=True)
    assert path.read_text() == "not a chain"


def test_resuming_nothing_is_an_error():
    with pytest.raises(ValueError, match="'checkpoint' must be given with resume=True"):
        sample_posterior(Toy(), 3, resume=True)


# Starts


def test_walkers_start_where_they_are_told_to_and_within_the_ranges():
    toy = Toy(half=1.0)
    places = np.random.default_rng(0).uniform(-1, 1, (16, 2)) + toy.mean
    found = sample_posterior(toy, 1, start=places)
    assert np.isin(found.samples[0], places).all(axis=1).sum() > 0
    at_the_edge = sample_posterior(toy, 1, start=toy.mean + 1.0)
    assert np.isfinite(at_the_edge.log_probability).all()


@pytest.mark.parametrize("start", [(30.0, 0.0), np.full((16, 2), 30.0), (np.nan, 0.0)])
def test_a_start_outside_the_ranges_is_told(start):
    with pytest.raises(ValueError, match="'start' must be within the ranges"):
        sample_posterior(Toy(), 2, start=start)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"start": (1.0, 2.0, 3.0)}, "'start' must be of shape"),
        ({"start": np.zeros((3, 2))}, "'start' must be of shape"),
        ({"n_walkers": 4}, "'n_walkers' must be"),
        ({"n_steps": 0}, "'n_steps' must be"),
    ],
)
def test_arguments_are_checked(how, message):
    with pytest.raises(ValueError, match=message):
        sample_posterior(Toy(), **({"n_steps": 2} | how))


# What is told


@pytest.mark.filterwarnings("error")
def test_a_chain_that_is_too_short_is_told():
    with pytest.warns(ConvergenceWarning, match="the chain of 3 steps is shorter than 50 autocorrelation times"):
        sample_posterior(Toy(), 3)
    with pytest.warns(ConvergenceWarning, match=r"the chain of 200 steps is shorter than 50 .* of \d+ steps"):
        sample_posterior(Toy(), 200)


def test_a_chain_too_short_to_tell_its_autocorrelation_leaves_out_a_third():
    nothing = np.full(2, np.nan)
    found = Posterior(
        ["a", "b"], np.zeros((9, 4, 2)), np.zeros((9, 4, 0)), np.zeros((9, 4, 0)), [], np.zeros((9, 4)), 0.5, nothing
    )
    assert found.burn_in == 3


@pytest.mark.parametrize("package", ["emcee", "h5py"])
def test_without_the_extra_the_command_to_install_it_is_told(package, monkeypatch, tmp_path):
    usual = importlib.import_module

    def without(name, *rest):
        if name == package:
            raise ImportError(name)
        return usual(name, *rest)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(ImportError, match=r"pip install 'astronmf\[fit\]'"):
        sample_posterior(Toy(), 2, checkpoint=tmp_path / "chain.h5")


def test_a_real_likelihood_is_sampled_reproducibly(tmp_path):
    reduction = scene().reduced()
    ranges = {"disk": {"radius": (6, 10), "inclination": (40, 70)}}
    found = reduction.likelihood(SOURCES, ranges, psf=POINT)
    whole = sample_posterior(found, 6, start=(8.0, 55.0), random_state=4)
    sample_posterior(found, 3, start=(8.0, 55.0), random_state=4, checkpoint=tmp_path / "chain.h5")
    again = reduction.likelihood(SOURCES, ranges, psf=POINT)
    same(whole, sample_posterior(again, 6, checkpoint=tmp_path / "chain.h5", resume=True))
    assert whole.columns[-2:] == ["disk.amplitude", "planet.amplitude"]
    assert whole.amplitudes.shape == (6, 16, 2)
    noisier = reduction.likelihood(SOURCES, ranges, psf=POINT, noise_factor=1.5)
    with pytest.raises(ValueError, match="'checkpoint' must be a chain of the same data"):
        sample_posterior(noisier, 6, checkpoint=tmp_path / "chain.h5", resume=True)
