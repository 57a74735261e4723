import gc
import re

import astropy.units as u
import helpers
import numpy as np
import pytest
from astropy.io import fits

from astronmf import NMF, Components, SequentialNMF
from astronmf.exceptions import FormatError

SDSS = u.Unit(1e-17 * u.erg / u.s / u.cm**2 / u.AA)
UNITS = [None, u.dimensionless_unscaled, u.MJy / u.sr, u.electron / u.s, u.DN / u.s, u.adu, SDSS]


@pytest.fixture(scope="module")
def fitted(images):
    """Return an estimator with three components of 6 × 7 pixels, of which two were never seen."""
    mask = np.zeros(images.X.shape, dtype=bool)
    mask[:, 0, 0] = mask[:, 5, 2] = True
    return SequentialNMF(3).fit(images.X, images.weights, mask)


@pytest.fixture
def components(fitted):
    """Return what is kept of it."""
    return Components.from_fit(fitted, "simulated", inputs=[{"name": "a.fits", "sha256": "0" * 64}], seed=0)


def without_seconds(history):
    return [history[name].data for name in history.colnames if name != "seconds"]


# What is kept


def test_everything_about_a_fit_is_kept(fitted, components):
    assert len(components) == 3
    helpers.assert_same_bits((components.data, components.coefficients), (fitted.components_, fitted.coefficients_))
    stages = [stage.components.reshape(-1, 6, 7) for stage in fitted.factorization_.stages]
    helpers.assert_same_bits(components.stages, stages)
    added = ["fractional_residual_variance", "reduced_chi2"]
    assert components.history.colnames == [*fitted.history_.colnames, *added]
    np.testing.assert_array_equal(
        components.history["fractional_residual_variance"], fitted.fractional_residual_variance_
    )
    assert components.meta == {
        "weights_origin": "simulated",
        "normalization": "unit L2 norm over valid pixels",
        "n_valid": fitted.n_valid_,
        "reduced_chi2": fitted.reduced_chi2_,
        "inputs": [{"name": "a.fits", "sha256": "0" * 64}],
        "seed": 0,
    }


def test_keeping_a_fit_leaves_its_history_as_it_was(fitted, components):
    assert len(components.history.colnames) == 8
    assert len(fitted.history_.colnames) == 6


def test_the_unit_of_the_data_is_kept(images):
    fit = SequentialNMF(1).fit(images.X * u.adu)
    assert Components.from_fit(fit, "none").unit == u.adu


def test_the_mask_is_true_where_the_components_do_not_cover(components):
    expected = np.zeros((6, 7), dtype=bool)
    expected[0, 0] = expected[5, 2] = True
    np.testing.assert_array_equal(components.mask, expected)


def test_a_basis_says_in_a_line_what_it_is(components):
    assert repr(components) == "<Components: 3 of 6 x 7 pixels from 9 observations>"


def test_a_basis_can_be_given_another_unit_and_nothing_else_changes(components):
    other = components.with_unit(u.Jy)
    assert other.unit == u.Jy
    assert components.unit is None
    assert other.data is components.data


@pytest.mark.parametrize("make", [NMF, SequentialNMF])
def test_an_estimator_that_is_not_fitted_has_no_components_to_keep(make):
    with pytest.raises(AttributeError, match="not fitted yet"):
        Components.from_fit(make(), "none")


# A stage of fewer


@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_components_of_a_stage_are_those_of_a_shorter_build(images, fitted, components, k):
    mask = np.broadcast_to(components.mask, images.X.shape)
    shorter = Components.from_fit(SequentialNMF(k).fit(images.X, images.weights, mask), "simulated")
    found = components.at(k)
    helpers.assert_same_bits((found.data, *found.stages), (shorter.data, *shorter.stages))
    helpers.assert_same_bits(without_seconds(found.history), without_seconds(shorter.history))
    assert found.coefficients.shape == (9, k)
    np.testing.assert_array_equal(found.coefficients, shorter.coefficients)
    assert found.meta["reduced_chi2"] == shorter.meta["reduced_chi2"]


@pytest.mark.parametrize("k", [0, 4, 1.5])
def test_a_stage_that_was_not_built_is_refused_by_value(components, k):
    with pytest.raises(ValueError, match=re.escape(f"'n_components' must be an integer in [1, 3], got {k}")):
        components.at(k)


def test_a_build_that_went_on_from_two_components_has_no_stage_of_one(images):
    first = SequentialNMF(2).fit(images.X)
    onward = SequentialNMF(4, init=(first.coefficients_, first.components_)).fit(images.X)
    components = Components.from_fit(onward, "none")
    assert len(components.at(2)) == 2
    with pytest.raises(ValueError, match=re.escape("'n_components' must be an integer in [2, 4], got 1")):
        components.at(1)


def test_a_joint_fit_has_one_stage(images):
    components = Components.from_fit(NMF(2).fit(images.X), "none")
    assert len(components.stages) == 1
    assert components.at(2).data is components.stages[0]


# Projection


def test_the_projection_is_that_of_the_estimator(images, fitted, components):
    for options in ({"weights": images.weights}, {"uncertainty": images.uncertainty}, {"mask": images.X > 3}):
        helpers.assert_same_fields(components.project(images.X, **options), fitted.project(images.X, **options))


@pytest.mark.parametrize("junk", [np.nan, 1e30])
def test_pixels_that_the_components_do_not_cover_take_no_part_in_a_projection(images, components, junk):
    poisoned = np.where(components.mask, junk, images.X)
    helpers.assert_same_fields(components.project(poisoned), components.project(images.X))


def test_observations_are_converted_to_the_unit_of_the_components(images):
    components = Components.from_fit(SequentialNMF(2).fit(images.X * u.Jy), "none")
    found, expected = components.project((images.X * u.Jy).to(u.mJy)), components.project(images.X)
    np.testing.assert_allclose(found.coefficients, expected.coefficients, rtol=1e-10)


def test_observations_of_another_shape_are_not_projected(components):
    with pytest.raises(ValueError, match=re.escape("'X' must be of shape (any, 6, 7), got (2, 42)")):
        components.project(np.ones((2, 42)))


# Files


@pytest.fixture
def path(tmp_path):
    """Return where a basis may be written."""
    return tmp_path / "basis.fits"


@pytest.mark.parametrize("unit", UNITS, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_basis_comes_back_from_fits_with_the_same_bits(images, path, unit, dtype):
    fit = SequentialNMF(3, dtype=dtype).fit(images.X, images.weights)
    written = Components.from_fit(fit, "simulated", inputs=[{"name": "a.fits"}], angles=[1.5, -2.0]).with_unit(unit)
    written.write(path)
    read = Components.read(path)
    helpers.assert_same_bits(
        (read.data, read.coefficients, *read.stages), (written.data, written.coefficients, *written.stages)
    )
    assert read.history.colnames == written.history.colnames
    for name in written.history.colnames:
        np.testing.assert_array_equal(read.history[name], written.history[name])
        assert read.history[name].dtype.kind == written.history[name].dtype.kind
    assert read.unit == written.unit
    assert read.meta == written.meta


def test_pixels_that_were_never_seen_come_back_as_such(components, path):
    components.write(path)
    read = Components.read(path)
    helpers.assert_same_bits((read.data, read.mask), (components.data, components.mask))


@pytest.mark.parametrize("k", [1, 2])
def test_a_stage_of_fewer_can_be_written_and_read(components, path, k):
    fewer = components.at(k)
    fewer.write(path)
    read = Components.read(path)
    helpers.assert_same_bits((read.data, *read.stages), (components.stages[k - 1], *components.stages[:k]))
    helpers.assert_same_bits(read.stage_coefficients, fewer.stage_coefficients)
    np.testing.assert_array_equal(read.coefficients, fewer.coefficients)


def test_a_stage_of_fewer_can_be_taken_from_a_basis_that_was_read(components, path):
    components.write(path)
    for k in (1, 2, 3):
        read, kept = Components.read(path).at(k), components.at(k)
        helpers.assert_same_bits((read.data, read.coefficients), (kept.data, kept.coefficients))
        assert read.meta["reduced_chi2"] == kept.meta["reduced_chi2"]


def test_a_basis_that_was_read_projects_as_the_one_that_was_written(images, components, path):
    components.write(path)
    found = Components.read(path).project(images.X, images.weights)
    helpers.assert_same_fields(found, components.project(images.X, images.weights))


def test_every_extension_carries_checksums_that_hold(components, path):
    components.write(path)
    with fits.open(path, checksum=True) as hdus:  # a checksum that does not hold is a warning, and so an error here
        names = [hdu.name for hdu in hdus]
        assert all({"CHECKSUM", "DATASUM"} <= set(hdu.header) for hdu in hdus)
        hdus.verify("exception")
    assert names == ["PRIMARY", "COMPONENTS", "MASK", "REFERENCES", "STAGES", "HISTORY", "BASIS_META"]


def test_the_primary_header_says_what_the_file_holds(fitted, components, path):
    components.write(path)
    header = fits.getheader(path)
    assert (header["CONTENT"], header["NCOMP"], header["CHI2"]) == ("components", 3, fitted.chi2_)


def test_names_of_references_stand_beside_their_coefficients(fitted, path):
    names = ["β Pic", *(f"star {i}" for i in range(8))]
    Components.from_fit(fitted, "none", references=names).write(path)
    table = fits.getdata(path, "REFERENCES")
    assert list(table["NAME"])[1:] == names[1:]
    assert table["COEFFICIENTS"].shape == (9, 3)
    assert Components.read(path).meta["references"] == names


def test_a_file_that_is_there_is_replaced_only_if_asked(components, path):
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError, match=r"basis\.fits exists; ask for overwriting"):
        components.write(path)
    assert path.read_bytes() == b"precious"
    components.write(path, overwrite=True)
    assert len(Components.read(path)) == 3


def test_a_write_that_fails_leaves_nothing_behind(components, tmp_path, monkeypatch):
    monkeypatch.setattr(fits.HDUList, "writeto", lambda *args, **kwargs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        components.write(tmp_path / "basis.fits")
    assert list(tmp_path.iterdir()) == []


def plain_image(path):
    fits.writeto(path, np.ones((3, 4)))


def without_stages(path):
    images = [
        fits.ImageHDU(np.ones((1, 2, 2)), name="COMPONENTS"),
        fits.BinTableHDU.from_columns([], name="REFERENCES"),
    ]
    fits.HDUList([fits.PrimaryHDU(), *images]).writeto(path)


def text(path):
    path.write_text("not a FITS file\n")


def cut_short(path):
    fits.writeto(path, np.ones((200, 200)))
    path.write_bytes(path.read_bytes()[:4000])


@pytest.mark.parametrize("make_file", [plain_image, without_stages, text, cut_short])
def test_a_file_that_holds_no_components_is_refused_in_one_line_that_names_it(path, make_file):
    make_file(path)
    with pytest.raises(FormatError, match=re.escape(str(path))) as caught:
        Components.read(path)
    assert "\n" not in str(caught.value)
    del caught
    gc.collect()  # a file left open is a ResourceWarning, and so an error, here and not in some later test


def test_a_file_that_lacks_an_extension_is_told_which(path):
    without_stages(path)
    with pytest.raises(FormatError, match=r"not a file of components \(it has no extension STAGES\)"):
        Components.read(path)


def test_a_file_that_is_not_there_is_named(path):
    with pytest.raises(FileNotFoundError, match=re.escape(f"{path}: no such file")):
        Components.read(path)


@pytest.mark.parametrize("use", [lambda c, p: c.write(p, format="hdf5"), lambda c, p: c.read(p, format="hdf5")])
def test_an_unknown_format_is_refused_and_the_known_ones_are_listed(components, path, use):
    components.write(path)
    with pytest.raises(ValueError, match=r"'format' must be one of .*'fits'.*, got 'hdf5'"):
        use(components, path)


def test_what_numpy_holds_comes_back_as_plain_numbers_and_lists(fitted, path):
    about = {"count": np.int64(3), "share": np.float32(0.5), "angles": np.array([1.0, 2.0]), "name": "β Pic"}
    Components.from_fit(fitted, "none", **about).write(path)
    found = Components.read(path).meta
    expected = {"count": 3, "share": 0.5, "angles": [1.0, 2.0], "name": "β Pic"}
    assert {key: found[key] for key in about} == expected
