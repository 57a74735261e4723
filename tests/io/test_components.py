from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from imaging_helpers import files_in, write_hdus

from astronmf import Components, SequentialNMF
from astronmf.exceptions import FormatError
from astronmf.imaging import reduce


@pytest.fixture(scope="module")
def path(tmp_path_factory, components):
    """Return a file of components, not to be changed."""
    path = tmp_path_factory.mktemp("components") / "basis.fits"
    components.write(path)
    return path


def test_components_come_back_to_the_last_bit(path, components):
    back = Components.read(path)
    np.testing.assert_array_equal(back.data, components.data, strict=True)
    np.testing.assert_array_equal(back.coefficients, components.coefficients, strict=True)
    assert len(back.stages) == len(components.stages)
    for one, other in zip(back.stages, components.stages, strict=True):
        np.testing.assert_array_equal(one, other, strict=True)
    assert back.unit == components.unit


def test_the_history_comes_back(path, components):
    back = Components.read(path)
    assert back.history.colnames == components.history.colnames
    for name in components.history.colnames:
        np.testing.assert_array_equal(back.history[name], components.history[name])


def test_what_is_known_of_the_build_comes_back(path, components):
    assert Components.read(path).meta == components.meta


def test_loaded_components_reduce_to_the_same_bits(path, components, observation):
    science = observation.science_frames()
    one, other = (reduce(science, components=basis) for basis in (components, Components.read(path)))
    np.testing.assert_array_equal(other.combined, one.combined)
    np.testing.assert_array_equal(other.coefficients, one.coefficients)
    np.testing.assert_array_equal(other.combined_uncertainty, one.combined_uncertainty)


def test_loaded_components_have_all_their_stages(path, components, observation):
    loaded = Components.read(path).at(2)
    np.testing.assert_array_equal(loaded.data, components.at(2).data)
    assert len(loaded.history) == 2


def test_uncovered_pixels_come_back_uncovered(tmp_path, components):
    data = components.data.copy()
    data[:, 3:5, 7] = np.nan
    holed = replace(components, data=data, stages=(*components.stages[:-1], data))
    holed.write(tmp_path / "holed.fits")
    np.testing.assert_array_equal(Components.read(tmp_path / "holed.fits").mask, holed.mask)
    np.testing.assert_array_equal(fits.getdata(tmp_path / "holed.fits", "MASK"), holed.mask)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_components_of_any_shape_and_precision_come_back(tmp_path, dtype):
    X = np.random.default_rng(1).random((6, 40)).astype(dtype)
    basis = Components.from_fit(SequentialNMF(2, tol=1e-3).fit(X), "none", grid=[1.0, 2.0])
    basis.write(tmp_path / "basis.fits")
    back = Components.read(tmp_path / "basis.fits")
    np.testing.assert_array_equal(back.data, basis.data, strict=True)
    assert back.data.shape == (2, 40)
    assert back.data.dtype == dtype
    assert back.unit is None
    assert back.meta["grid"] == [1.0, 2.0]


def test_one_component_keeps_its_axis(tmp_path, components):
    components.at(1).write(tmp_path / "one.fits")
    back = Components.read(tmp_path / "one.fits")
    assert back.data.shape == (1, 33, 33)
    assert back.coefficients.shape == (8, 1)
    assert [len(stage) for stage in back.stages] == [1]


@pytest.mark.parametrize("name", ["β Pic", "poussière"])
def test_references_of_any_alphabet_come_back(tmp_path, components, name):
    names = [name, *components.meta["references"][1:]]
    replace(components, meta=components.meta | {"references": names}).write(tmp_path / "basis.fits")
    assert Components.read(tmp_path / "basis.fits").meta["references"] == names


def test_a_file_of_components_says_what_it_is_and_carries_checksums(path, components):
    with fits.open(path, checksum=True) as hdus:
        assert hdus[0].header["CONTENT"] == "components"
        assert hdus[0].header["NCOMP"] == 3
        assert hdus[0].header["CHI2"] == components.history["chi2"][-1]
        assert all("CHECKSUM" in hdu.header for hdu in hdus)


def test_a_file_that_is_there_is_kept_unless_overwriting_is_asked_for(tmp_path, components):
    path = tmp_path / "basis.fits"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match=r"basis\.fits exists"):
        components.write(path)
    assert path.read_text() == "mine"
    components.write(path, overwrite=True)
    assert len(Components.read(path)) == 3
    assert files_in(tmp_path) == ["basis.fits"]


@pytest.mark.parametrize("name", ["COMPONENTS", "REFERENCES", "STAGES", "HISTORY", "BASIS_META"])
def test_an_extension_that_is_not_there_is_named(tmp_path, path, name):
    with fits.open(path) as hdus:
        rest = [hdu.copy() for hdu in hdus if hdu.name != name]
        cut = write_hdus(tmp_path / "cut.fits", *rest)
    with pytest.raises(FormatError, match=rf"cut\.fits: not a file of components \(it has no extension {name}\)"):
        Components.read(cut)
