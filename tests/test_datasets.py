import re
import warnings
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest

from astronmf import datasets
from astronmf.datasets import load_simulated, simulated_path
from astronmf.exceptions import MissingDataWarning
from astronmf.imaging.geometry import from_sky
from astronmf.io.files import open_fits, sha256

README = Path(__file__).parents[1] / "data" / "README.md"
NAMES = ("science", "references", "truth")


@pytest.fixture(scope="module")
def simulated():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MissingDataWarning)  # a few values are NaN without a flag: data/README.md
        return load_simulated()


@pytest.mark.parametrize("name", NAMES)
def test_each_file_is_there_with_the_checksum_that_its_readme_tells(name):
    path = simulated_path(name)
    assert path.name == f"simulated_{name}.fits"
    rows = dict(re.findall(r"`(simulated_\w+\.fits)` \| \d+ \| `(\w{64})`", README.read_text()))
    assert sha256(path) == rows[path.name]


def test_an_unknown_file_is_an_error():
    with pytest.raises(ValueError, match="'name' must be one of 'science', 'references', 'truth', got 'disk'"):
        simulated_path("disk")


def test_a_copy_without_data_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(datasets, "__file__", str(tmp_path / "astronmf" / "datasets.py"))
    with pytest.raises(FileNotFoundError, match=r"simulated_truth\.fits is not installed with this copy of astronmf"):
        simulated_path("truth")


def test_installed_data_are_found_beside_the_package(monkeypatch, tmp_path):
    folder = tmp_path / "astronmf" / "data"
    folder.mkdir(parents=True)
    (folder / "simulated_truth.fits").touch()
    monkeypatch.setattr(datasets, "__file__", str(tmp_path / "astronmf" / "datasets.py"))
    assert simulated_path("truth") == folder / "simulated_truth.fits"


def test_the_frames_are_those_of_the_readme(simulated):
    science, references = simulated.science, simulated.references
    assert (len(science), len(references)) == (8, 48)
    assert science.shape[1:] == references.shape[1:] == (169, 169)
    assert science.unit == references.unit == u.MJy / u.sr
    assert science.geometry.center == references.geometry.center == (84.0, 84.0)
    assert sorted(set(science.angles)) == [20.0, 48.0]
    assert not science.is_reference.any()
    assert references.is_reference.all()


def test_defects_are_masked(simulated):
    masked = simulated.science.mask.mean()
    assert 0.005 < masked < 0.01
    assert np.isfinite(simulated.science.data[~simulated.science.mask]).all()
    assert (simulated.science.sigma[~simulated.science.mask] > 0).all()


def test_values_without_a_flag_are_told_of_by_file():
    with pytest.warns(MissingDataWarning) as caught:
        load_simulated()
    told = [str(warning.message).split(" values of ")[0] for warning in caught]
    frames = (("science", 8), ("references", 48))  # two values of each kind in every frame: data/README.md
    assert told == [f"simulated_{name}.fits: {2 * count}" for name, count in frames for _ in ("data", "uncertainty")]


def test_the_truth_is_that_of_the_readme(simulated):
    truth = simulated.truth
    assert (truth["PLSEP"], truth["PLPA"], truth["DISKRAD"]) == (50, 250, 30)
    assert simulated.disk.sum() == pytest.approx(truth["DISKFLUX"], rel=1e-3)
    assert simulated.planet.sum() == pytest.approx(truth["PLFLUX"], rel=1e-3)
    assert simulated.psf.sum() == pytest.approx(1, rel=1e-6)
    assert simulated.pixels_per_resolution_element == 2.0


@pytest.mark.parametrize(("plane", "frame"), [(0, 0), (1, 4)])
def test_turning_the_north_up_disk_gives_the_disk_on_the_detector(simulated, plane, frame):
    expected = open_fits(simulated_path("truth"))["DISK_DETECTOR"].data[plane]
    turned = np.nan_to_num(from_sky(simulated.disk, simulated.science.geometry, frame))
    assert np.abs(turned - expected).max() < 0.06 * expected.max()  # the PSF does not turn along: data/README.md
    assert turned.sum() == pytest.approx(expected.sum(), rel=0.005)


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5])
def test_the_source_region_is_where_disk_or_planet_are_bright(simulated, fraction):
    region = simulated.source_region(fraction)
    assert region.dtype == bool
    assert (simulated.disk[~region] <= fraction * simulated.disk.max()).all()
    assert (simulated.planet[~region] <= fraction * simulated.planet.max()).all()


def test_a_smaller_fraction_is_a_larger_region(simulated):
    sizes = [simulated.source_region(fraction).sum() for fraction in (0.005, 0.01, 0.1, 0.5)]
    assert sizes == sorted(sizes, reverse=True)
