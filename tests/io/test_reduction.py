import json

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from imaging_helpers import files_in, gaussian, place, write_cube

from astronmf.exceptions import FormatError
from astronmf.imaging import Frames, Reduction, build_components, reduce
from astronmf.io.files import sha256
from astronmf.io.reduction import write_cube as write_component_cube

ARRAYS = (
    "combined",
    "combined_uncertainty",
    "coverage",
    "residuals",
    "models",
    "coefficients",
    "covariances",
    "scale_factors",
    "scale_factor_errors",
)
SOURCE = gaussian((33, 33), *place((16, 16), 8, 60), fwhm=4)


@pytest.fixture(scope="module")
def path(tmp_path_factory, reduction):
    """Return a file of the reduction, not to be changed."""
    path = tmp_path_factory.mktemp("reduction") / "out.fits"
    reduction.write(path)
    return path


@pytest.fixture(scope="module")
def back(path):
    return Reduction.read(path)


@pytest.mark.parametrize("name", ARRAYS)
def test_every_array_comes_back_to_the_last_bit(back, reduction, name):
    np.testing.assert_array_equal(getattr(back, name), getattr(reduction, name))
    assert getattr(back, name).dtype.isnative


def test_what_each_pixel_did_comes_back(back, reduction):
    np.testing.assert_array_equal(back.choice.region, reduction.choice.region)
    np.testing.assert_array_equal(back.choice.scale_region, reduction.choice.scale_region)
    np.testing.assert_array_equal(back.choice.imputed, reduction.choice.imputed)
    used = reduction.choice.region
    np.testing.assert_array_equal(back.science.mask[:, used], reduction.science.mask[:, used])
    np.testing.assert_array_equal(back.weights, reduction.weights)


def test_the_science_frames_come_back_within_the_region(back, reduction):
    science, used = reduction.science, reduction.weights > 0
    np.testing.assert_allclose(back.science.data[used], science.data[used], rtol=1e-14)
    np.testing.assert_array_equal(back.science.sigma, science.sigma)
    np.testing.assert_array_equal(back.science.angles, science.angles)
    assert back.science.geometry.center == science.geometry.center
    assert back.science.geometry.pixel_scale == science.geometry.pixel_scale
    assert (back.science.names, back.unit) == (science.names, reduction.unit)


def test_the_components_come_back(back, reduction):
    np.testing.assert_array_equal(back.components.data, reduction.components.data)
    np.testing.assert_array_equal(back.components.coefficients, reduction.components.coefficients)
    assert back.components.meta == reduction.components.meta


def test_parameters_and_numbers_come_back(back, reduction):
    assert back.meta == reduction.meta
    assert back.chi2 == pytest.approx(reduction.chi2, rel=1e-14)
    assert back.n_valid == reduction.n_valid
    assert back.center == reduction.center


def test_a_reduction_that_was_read_predicts_a_source_as_before(back, reduction):
    np.testing.assert_array_equal(back.forward(SOURCE), reduction.forward(SOURCE))


def test_a_reduction_that_was_read_has_all_its_numbers_of_components(back, reduction):
    np.testing.assert_allclose(back.over_components(), reduction.over_components(), atol=1e-9)


@pytest.mark.filterwarnings("ignore:the scale factors were searched:astronmf.exceptions.ScaleFactorWarning")
def test_a_star_between_pixels_is_predicted_as_before(tmp_path, observation):
    parts = {"center": (16.1, 15.7)}
    result = reduce(observation.science_frames(**parts), observation.reference_frames(**parts), n_components=2)
    result.write(tmp_path / "out.fits")
    np.testing.assert_allclose(
        Reduction.read(tmp_path / "out.fits").forward(SOURCE), result.forward(SOURCE), atol=1e-12
    )


@pytest.mark.parametrize("scale", ["bff", "none", 0.9, [1.0, 0.9, 1.1, 1.2], np.array([1.0, 0.9, 1.1, 1.2])])
def test_every_kind_of_scale_comes_back(tmp_path, observation, components, scale):
    result = reduce(observation.science_frames(), components=components, scale=scale)
    result.write(tmp_path / "out.fits")
    back = Reduction.read(tmp_path / "out.fits")
    np.testing.assert_array_equal(back.scale_factors, result.scale_factors)
    np.testing.assert_allclose(back.over_components()[-1], result.combined, atol=1e-9)


@pytest.mark.filterwarnings("ignore:the scale factors were searched:astronmf.exceptions.ScaleFactorWarning")
def test_a_reduction_without_errors_angles_or_unit_comes_back(tmp_path, observation):
    science, references = Frames(observation.science, angles=np.zeros(4)), Frames(observation.references)
    result = reduce(science, references, n_components=2)
    result.write(tmp_path / "out.fits")
    back = Reduction.read(tmp_path / "out.fits")
    assert back.science.sigma is None
    assert back.unit is None
    assert back.wcs() is None
    np.testing.assert_array_equal(back.forward(SOURCE), result.forward(SOURCE))


@pytest.mark.filterwarnings("ignore:the scale factors were searched:astronmf.exceptions.ScaleFactorWarning")
def test_single_precision_frames_come_back(tmp_path, observation):
    single = [array.astype("f4") for array in (observation.science, observation.science_sigma)]
    result = reduce(
        observation.science_frames(data=single[0], uncertainty=single[1]),
        observation.reference_frames(data=observation.references.astype("f4"), uncertainty=1.0),
        n_components=2,
    )
    result.write(tmp_path / "out.fits")
    back = Reduction.read(tmp_path / "out.fits")
    np.testing.assert_array_equal(back.combined, result.combined)
    np.testing.assert_array_equal(back.forward(SOURCE), result.forward(SOURCE))


def test_written_twice_a_reduction_is_the_same(tmp_path, back, reduction):
    back.write(tmp_path / "again.fits")
    again = Reduction.read(tmp_path / "again.fits")
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(again, name), getattr(reduction, name), err_msg=name)


# What others can read in the file


def test_every_extension_has_a_valid_checksum(path):
    with fits.open(path, checksum=True) as hdus:
        assert all("CHECKSUM" in hdu.header and "DATASUM" in hdu.header for hdu in hdus)
        names = {hdu.name for hdu in hdus}
    assert {"COMBINED", "COMBINED_ERR", "RESIDUALS", "MODELS", "COMPONENTS", "COEFFICIENTS", "HISTORY"} <= names


@pytest.fixture(scope="module")
def from_files(tmp_path_factory, observation):
    """Return the path of a reduction whose frames were read from files, and those files."""
    folder = tmp_path_factory.mktemp("files")
    inputs = [folder / name for name in ("science.fits", "reference one.fits", "reference_two.fits")]
    observation.science_frames().write(inputs[0])
    for i, path in enumerate(inputs[1:]):
        observation.reference_frames()[4 * i : 4 * i + 4].write(path)
    result = reduce(Frames.read(inputs[0]), Frames.read(inputs[1:]), n_components=2, inner_radius=2)
    result.write(folder / "out.fits")
    return folder / "out.fits", inputs


def test_the_header_says_how_to_run_it_again(from_files, reduction):
    header = fits.getheader(from_files[0])
    assert header["CREATOR"].startswith("astronmf ")
    assert header["COMMAND"] == "astronmf.imaging.reduce"
    assert json.loads(header["PARAMS"])["inner_radius"] == 2
    assert json.loads(header["PARAMS"])["n_components"] == 2
    assert header["SEED"] == "0"
    assert header["NCOMP"] == 2
    assert header["CHI2"] == pytest.approx(Reduction.read(from_files[0]).chi2)
    assert header["NVALID"] == Reduction.read(from_files[0]).n_valid


def test_the_header_names_every_input_with_its_hash(from_files):
    path, inputs = from_files
    header = fits.getheader(path)
    expected = {f"{one.name} sha256:{sha256(one)}" for one in inputs}
    assert {header[key] for key in header if key.startswith("INP")} == expected
    assert {row["SHA256"] for row in fits.getdata(path, "INPUTS")} == {sha256(one) for one in inputs}


def test_what_the_header_says_is_enough_to_run_it_again(from_files):
    path, inputs = from_files
    parameters = json.loads(fits.getheader(path)["PARAMS"])
    options = {name: parameters[name] for name in ("n_components", "inner_radius", "outer_radius", "scale", "combine")}
    again = reduce(Frames.read(inputs[0]), Frames.read(inputs[1:]), **options)
    np.testing.assert_array_equal(again.combined, fits.getdata(path, "COMBINED"))


def test_images_carry_unit_centre_and_scale(path, reduction):
    header = fits.getheader(path, "COMBINED")
    assert header["BUNIT"] == "MJy sr-1"
    assert (header["CRPIX1"], header["CRPIX2"]) == (17, 17)
    assert header["PIXSCALE"] == reduction.science.geometry.pixel_scale


@pytest.mark.parametrize("extension", ["COMBINED", "COMBINED_ERR", "COVERAGE"])
def test_images_north_up_have_coordinates_on_the_sky(tmp_path, observation, components, extension):
    frames = observation.science_frames(meta={"ra": 310.0, "dec": -31.0, "object": "AU Mic"})
    reduce(frames, components=components).write(tmp_path / "out.fits")
    wcs = WCS(fits.getheader(tmp_path / "out.fits", extension))
    star = SkyCoord(*wcs.wcs_pix2world(16, 16, 0), unit="deg")
    source = SkyCoord(*wcs.wcs_pix2world(*place((16, 16), 10, 128.0), 0), unit="deg")
    assert (star.ra.deg, star.dec.deg) == pytest.approx((310.0, -31.0))
    assert star.position_angle(source).deg == pytest.approx(128.0, abs=1e-3)
    assert fits.getheader(tmp_path / "out.fits")["OBJECT"] == "AU Mic"


def test_coefficients_are_a_table_with_a_row_for_each_frame(path, reduction):
    table = fits.getdata(path, "COEFFICIENTS")
    assert list(table["NAME"]) == reduction.science.names
    np.testing.assert_array_equal(table["COEFFICIENTS"], reduction.coefficients)
    np.testing.assert_array_equal(table["SCALE"], reduction.scale_factors)
    np.testing.assert_array_equal(table["ANGLE"], reduction.science.angles)


@pytest.mark.parametrize("k", [1, 2])
def test_one_frame_or_one_component_keeps_its_axes(tmp_path, observation, k):
    result = reduce(observation.science_frames()[0], components=build_components(observation.reference_frames(), k))
    result.write(tmp_path / "out.fits")
    back = Reduction.read(tmp_path / "out.fits")
    assert back.coefficients.shape == (1, k)
    assert back.covariances.shape == (1, k, k)
    assert back.residuals.shape == (1, 33, 33)


@pytest.mark.parametrize("name", ["poussière.fits", "β Pic.fits", "a" * 120 + ".fits"])
def test_inputs_of_any_name_can_be_kept(tmp_path, observation, name):
    observation.science_frames(names=["a", "b", "c", "d"]).write(tmp_path / name)
    result = reduce(Frames.read(tmp_path / name), observation.reference_frames(), n_components=2)
    result.write(tmp_path / "out.fits")
    assert Reduction.read(tmp_path / "out.fits").meta["inputs"][0]["name"] == name


@pytest.mark.parametrize("target", ["β Pic", "HD 1"])
def test_targets_of_any_name_can_be_kept(tmp_path, observation, components, target):
    result = reduce(observation.science_frames(meta={"object": target}), components=components)
    result.write(tmp_path / "out.fits")
    assert Reduction.read(tmp_path / "out.fits").meta["object"] == target


def test_many_inputs_are_all_kept(tmp_path, observation, components):
    inputs = [{"name": f"frame_{i}.fits", "sha256": f"{i:064x}"} for i in range(150)]
    result = reduce(observation.science_frames(meta={"inputs": inputs}), components=components)
    result.write(tmp_path / "out.fits")
    assert Reduction.read(tmp_path / "out.fits").meta["inputs"] == inputs
    assert fits.getheader(tmp_path / "out.fits")["INP0149"].startswith("frame_149.fits sha256:")


def test_a_file_that_is_there_is_kept_unless_overwriting_is_asked_for(tmp_path, reduction):
    path = tmp_path / "out.fits"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match=r"out\.fits exists"):
        reduction.write(path)
    assert path.read_text() == "mine"
    reduction.write(path, overwrite=True)
    assert Reduction.read(path).n_valid == reduction.n_valid
    assert files_in(tmp_path) == ["out.fits"]


@pytest.mark.parametrize("name", ["COMBINED", "RESIDUALS", "MODELS", "STATUS", "META", "COEFFICIENTS", "COVERAGE"])
def test_an_extension_that_is_not_there_is_named(tmp_path, path, name):
    with fits.open(path) as hdus:
        fits.HDUList([hdu for hdu in hdus if hdu.name != name]).writeto(tmp_path / "cut.fits")
    with pytest.raises(FormatError, match=rf"cut\.fits: not a reduction \(it has no extension {name}\)"):
        Reduction.read(tmp_path / "cut.fits")


def test_an_image_is_no_reduction(tmp_path):
    with pytest.raises(FormatError, match=r"a\.fits: not a reduction \(it has no extension COMBINED\)"):
        Reduction.read(write_cube(tmp_path / "a.fits", np.zeros((3, 3))))


def test_the_cube_over_numbers_of_components_is_written(tmp_path, reduction):
    calls = []
    write_component_cube(reduction, tmp_path / "cube.fits", progress=lambda *call: calls.append(call[:2]))
    with fits.open(tmp_path / "cube.fits", checksum=True) as hdus:
        np.testing.assert_array_equal(hdus[0].data, reduction.over_components())
        assert hdus[0].header["SIZES"] == "1 2 3"
        assert hdus[0].header["BUNIT"] == "MJy sr-1"
    assert calls == [(1, 3), (2, 3), (3, 3)]
