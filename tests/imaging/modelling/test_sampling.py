import importlib
import warnings

import numpy as np
import pytest
from fit_helpers import POINT, SOURCES, scene

from astronmf.exceptions import ConvergenceWarning, DegeneracyWarning
from astronmf.imaging.modelling.sampling import Posterior, chain_length, number_of_walkers, sample_posterior

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


class Known(Toy):
    """The same, that knows its covariance, or a part of it; keeps the places that it was asked about."""

    def __init__(self, known=(True, True), **how):
        super().__init__(**how)
        self.known, self.asked = np.array(known), []

    def covariance(self, vector):
        np.testing.assert_array_equal(vector, self.mean)
        if not self.known.all():
            warnings.warn("the data do not determine it", DegeneracyWarning, stacklevel=1)
        return np.where(self.known[:, None] & self.known, np.linalg.inv(self.inverse), np.nan)

    def with_amplitudes(self, vector):
        self.asked.append(np.array(vector))
        return super().with_amplitudes(vector)

    def first_places(self, walkers=4000):
        """Return where the walkers of a chain start, from their mean: (walkers, 2)."""
        sample_posterior(self, 1, n_walkers=walkers)
        return np.array(self.asked[:walkers]) - self.mean


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


def test_a_chain_that_broke_off_says_nothing_and_goes_on_where_it_was(tmp_path, capfd):
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
    assert capfd.readouterr() == ("", "")
    assert chain_length(path) == 4
    same(sample_posterior(Toy(), 9, checkpoint=path, resume=True), sample_posterior(Toy(), 9, random_state=3))


def test_a_chain_that_broke_off_before_its_first_step_begins_anew(tmp_path):
    class Breaks(Toy):
        def with_amplitudes(self, vector):
            raise KeyboardInterrupt

    path = tmp_path / "chain.h5"
    with pytest.raises(KeyboardInterrupt):
        sample_posterior(Breaks(), 9, random_state=3, checkpoint=path)
    assert chain_length(path) == 0
    same(
        sample_posterior(Toy(), 9, random_state=3, checkpoint=path, resume=True),
        sample_posterior(Toy(), 9, random_state=3),
    )


def test_resuming_what_is_not_there_begins(tmp_path):
    assert chain_length(tmp_path / "chain.h5") == 0
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
        ({"n_walkers": 3}, "'n_walkers' must be an integer of at least 4"),
        ({"n_walkers": 8.5}, "'n_walkers' must be"),
        ({"n_steps": 0}, "'n_steps' must be"),
    ],
)
def test_arguments_are_checked(how, message):
    with pytest.raises(ValueError, match=message):
        sample_posterior(Toy(), **({"n_steps": 2} | how))


# Where walkers start


@pytest.mark.parametrize("half", [10.0, 1e4])
def test_walkers_start_as_far_apart_as_the_covariance_says_whatever_the_range(half):
    places = Known(sigma=(0.05, 0.2), half=half).first_places()
    np.testing.assert_allclose(places.std(axis=0), [0.05, 0.2], rtol=0.05)
    assert np.corrcoef(places.T)[0, 1] == pytest.approx(0.6, abs=0.04)
    np.testing.assert_allclose(places.mean(axis=0), 0, atol=0.02)


def test_where_the_covariance_is_not_known_walkers_start_two_percent_of_the_range_apart():
    places = Known(known=(True, False), sigma=(0.05, 0.2), half=5.0).first_places()
    np.testing.assert_allclose(places.std(axis=0), [0.05, 0.2], rtol=0.05)
    assert np.corrcoef(places.T)[0, 1] == pytest.approx(0, abs=0.05)
    places = Known(known=(False, False), half=10.0).first_places()
    np.testing.assert_allclose(places.std(axis=0), 0.4, rtol=0.05)


def test_walkers_start_at_most_a_tenth_of_a_range_apart_within_it_and_at_places_of_their_own():
    places = Known(sigma=(50.0, 0.1), half=5.0).first_places()
    np.testing.assert_allclose(places.std(axis=0), [1.0, 0.1], rtol=0.05)
    assert np.corrcoef(places.T)[0, 1] == pytest.approx(0.6, abs=0.04)
    assert (np.abs(places) <= 5).all()
    assert len(np.unique(places, axis=0)) == len(places)


def test_a_short_chain_is_as_wide_as_the_posterior():
    flat = sample_posterior(Known(sigma=(0.05, 0.2), half=1e3), 60, n_walkers=32).flat(0, amplitudes=False)
    np.testing.assert_allclose(flat.std(axis=0), [0.05, 0.2], rtol=0.25)


def test_there_are_four_walkers_for_each_parameter_and_never_fewer_than_emcee_needs():
    assert [number_of_walkers(d) for d in (1, 4, 5)] == [16, 16, 20]
    assert number_of_walkers(5, 10) == 10
    assert sample_posterior(Toy(), 3, n_walkers=4).samples.shape == (3, 4, 2)
    assert sample_posterior(Toy(), 3, n_walkers=17).samples.shape == (3, 17, 2)


def test_too_few_walkers_are_told_before_the_search_for_the_best_parameters():
    class Costly(Toy):
        def maximize(self, progress=None):
            pytest.fail("the search had begun")

    with pytest.raises(ValueError, match="'n_walkers' must be"):
        sample_posterior(Costly(), 2, n_walkers=3)


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
