import gzip

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from helpers import read_only
from imaging_helpers import disc, files_in, same_frames, write_cube, write_hdus

from astronmf.exceptions import FormatError, MissingDataWarning
from astronmf.imaging import Frames
from astronmf.io.files import sha256

SHAPE = (3, 9, 11)
CUBE = read_only(np.random.default_rng(1).normal(10, 2, SHAPE))
ANGLES = read_only([10.0, -20.5, 300.25])


def angle_table(name="ANGLE", count=3):
    return fits.table_to_hdu(Table({"NUMBER": np.arange(count), name: np.resize(ANGLES, count)}))


@pytest.fixture
def cube(tmp_path):
    return write_cube(tmp_path / "cube.fits", CUBE)


def test_frames_come_back_as_they_were_written(tmp_path, observation):
    frames = observation.science_frames(
        mask=disc((33, 33), 4, 28, 2),
        names=["a", "b", "c", "d"],
        is_reference=[False, True, False, True],
        center=(16.25, 15.5),
        parity=-1,
    )
    frames.write(tmp_path / "frames.fits")
    same_frames(Frames.read(tmp_path / "frames.fits"), frames)


def test_frames_without_errors_angles_or_unit_come_back_without(tmp_path):
    frames = Frames(CUBE.astype("f4"))
    frames.write(tmp_path / "frames.fits")
    back = Frames.read(tmp_path / "frames.fits")
    same_frames(back, frames)
    assert back.data.dtype == np.float32


def test_missing_values_come_back_missing_without_a_word(tmp_path):
    data = np.array(CUBE)
    data[1, 2, 3] = np.nan
    frames = Frames(data, np.where(np.isnan(data), 0, 1.0), np.isnan(data))
    frames.write(tmp_path / "frames.fits")
    same_frames(Frames.read(tmp_path / "frames.fits"), frames)


def test_a_centre_comes_back_to_the_last_bit(tmp_path):
    frames = Frames(CUBE, center=(np.pi, np.e), pixel_scale=np.sqrt(2) / 30)
    frames.write(tmp_path / "frames.fits")
    back = Frames.read(tmp_path / "frames.fits")
    assert back.geometry.center == pytest.approx(frames.geometry.center, abs=1e-14)
    assert back.geometry.pixel_scale == pytest.approx(frames.geometry.pixel_scale, rel=1e-15)


@pytest.mark.parametrize("name", ["β Pic", "poussière 1", "x" * 80])
def test_names_of_any_alphabet_and_length_come_back(tmp_path, name):
    frames = Frames(CUBE, names=[name, "b", "c"])
    frames.write(tmp_path / "frames.fits")
    assert Frames.read(tmp_path / "frames.fits").names == [name, "b", "c"]


def test_frames_read_from_a_file_of_any_name_can_be_written(tmp_path):
    path = write_cube(tmp_path / "poussière.fits", CUBE)
    Frames.read(path).write(tmp_path / "out.fits")
    assert len(Frames.read(tmp_path / "out.fits")) == 3


def test_writing_keeps_a_file_that_is_there(tmp_path, cube):
    before = cube.read_bytes()
    with pytest.raises(FileExistsError, match=r"cube\.fits exists"):
        Frames(CUBE).write(cube)
    assert cube.read_bytes() == before
    Frames(CUBE + 1).write(cube, overwrite=True)
    np.testing.assert_array_equal(Frames.read(cube).data, CUBE + 1)
    assert files_in(tmp_path) == ["cube.fits"]


def test_written_frames_carry_checksums(tmp_path):
    Frames(CUBE, angles=ANGLES).write(tmp_path / "frames.fits")
    with fits.open(tmp_path / "frames.fits", checksum=True) as hdus:
        assert all("CHECKSUM" in hdu.header for hdu in hdus)


def test_where_frames_come_from_is_kept_with_a_hash(cube):
    assert Frames.read(cube).meta["inputs"] == [{"name": "cube.fits", "sha256": sha256(cube)}]


def test_several_files_make_one_stack(tmp_path, cube):
    other = write_cube(tmp_path / "other.fits", CUBE[:2] + 1)
    frames = Frames.read([cube, other])
    np.testing.assert_array_equal(frames.data, np.concatenate([CUBE, CUBE[:2] + 1]))
    assert [item["name"] for item in frames.meta["inputs"]] == ["cube.fits", "other.fits"]
    assert frames.names[2:4] == ["cube.fits 2", "other.fits 0"]


KINDS = {
    "float32": CUBE.astype(">f4"),
    "float64": CUBE.astype(">f8"),
    "int16": CUBE.astype(">i2"),
    "int32": CUBE.astype(">i4"),
    "uint8": CUBE.astype("u1"),
    "uint16": CUBE.astype("u2"),  # FITS stores these as int16 with BZERO = 32768
}


@pytest.mark.parametrize("values", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("extension", [True, False])
def test_every_kind_of_number_is_understood(tmp_path, values, extension):
    path = write_hdus(tmp_path / "a.fits", fits.ImageHDU(values) if extension else fits.PrimaryHDU(values))
    frames = Frames.read(path)
    np.testing.assert_array_equal(frames.data, values)
    assert frames.data.dtype == (np.float32 if values.dtype == np.dtype(">f4") else np.float64)
    assert frames.data.dtype.isnative


def test_scaled_integers_are_understood(tmp_path):
    hdu = fits.PrimaryHDU(np.array(CUBE))
    hdu.scale("int16", bscale=0.001, bzero=10.0)
    frames = Frames.read(write_hdus(tmp_path / "a.fits", hdu))
    np.testing.assert_allclose(frames.data, CUBE, atol=0.0006)


def test_blank_integers_are_missing(tmp_path):
    hdu = fits.PrimaryHDU(np.arange(9, dtype="i2").reshape(3, 3))
    hdu.header["BLANK"] = 4
    path = write_hdus(tmp_path / "a.fits", hdu)
    with pytest.warns(MissingDataWarning, match=r"^a\.fits: 1 values of 'data' are NaN"):
        frames = Frames.read(path)
    assert frames.mask.ravel().nonzero()[0].tolist() == [4]


def test_compressed_images_are_understood(tmp_path):
    hdus = [fits.CompImageHDU(CUBE.astype("f4"), name="SCI", quantize_level=-1e-4, tile_shape=(1, 9, 11))]
    hdus.append(fits.CompImageHDU(np.ones(SHAPE, "u1") * (CUBE > 11), name="DQ", tile_shape=(1, 9, 11)))
    frames = Frames.read(write_hdus(tmp_path / "a.fits", *hdus))
    np.testing.assert_allclose(frames.data, CUBE, atol=1e-4)
    np.testing.assert_array_equal(frames.mask, CUBE > 11)
    assert frames.angles is None


def test_a_single_image_is_a_stack_of_one(tmp_path):
    assert Frames.read(write_cube(tmp_path / "a.fits", CUBE[0])).shape == (1, 9, 11)


def test_the_first_image_is_taken_where_nothing_is_called_sci(tmp_path):
    path = write_hdus(tmp_path / "a.fits", angle_table(), fits.ImageHDU(CUBE), fits.ImageHDU(np.zeros((3, 3))))
    np.testing.assert_array_equal(Frames.read(path).data, CUBE)


@pytest.mark.parametrize("hdu", [fits.PrimaryHDU(), angle_table()], ids=["empty", "a table"])
def test_a_file_without_an_image_is_told_of(tmp_path, hdu):
    with pytest.raises(FormatError, match=r"a\.fits: holds no image"):
        Frames.read(write_hdus(tmp_path / "a.fits", hdu))


@pytest.mark.parametrize("shape", [(7,), (2, 3, 9, 11)])
def test_an_image_of_one_or_four_axes_is_told_of(tmp_path, shape):
    path = write_cube(tmp_path / "a.fits", np.zeros(shape))
    with pytest.raises((ValueError, FormatError), match=r"a\.fits") as error:
        Frames.read(path)
    assert "\n" not in str(error.value)


def sci_err_dq(tmp_path, error=2.0):
    flags = np.zeros(SHAPE, np.uint32)
    flags[0, 0, :4] = [1, 2, 4, 5]
    hdus = [fits.ImageHDU(values, name=name) for name, values in (("SCI", CUBE), ("DQ", flags))]
    return write_hdus(tmp_path / "a.fits", *hdus, fits.ImageHDU(np.full(SHAPE, error), name="ERR"))


@pytest.mark.parametrize(
    ("bits", "excluded"), [(None, [0, 1, 2, 3]), (1, [0, 3]), (2, [1]), (4, [2, 3]), (6, [1, 2, 3]), (0, []), (8, [])]
)
def test_the_chosen_bits_of_dq_exclude_a_pixel(tmp_path, bits, excluded):
    frames = Frames.read(sci_err_dq(tmp_path), dq_bits=bits)
    assert frames.mask[0, 0].nonzero()[0].tolist() == excluded
    assert frames.mask[1:].sum() == 0


def test_err_holds_the_errors(tmp_path):
    np.testing.assert_array_equal(Frames.read(sci_err_dq(tmp_path)).sigma, np.full(SHAPE, 2.0))


def test_one_dq_image_is_for_all_frames(tmp_path):
    hdus = fits.ImageHDU(CUBE, name="SCI"), fits.ImageHDU((CUBE[0] > 10).astype("u1"), name="DQ")
    frames = Frames.read(write_hdus(tmp_path / "a.fits", *hdus))
    np.testing.assert_array_equal(frames.mask, np.broadcast_to(CUBE[0] > 10, SHAPE))


@pytest.mark.parametrize("name", ["ERR", "DQ"])
def test_an_extension_of_another_shape_is_an_error_that_names_both(tmp_path, name):
    hdus = fits.ImageHDU(CUBE, name="SCI"), fits.ImageHDU(np.ones((3, 9, 9), "u1"), name=name)
    with pytest.raises(ValueError, match=r"\(3, 9, 11\).*\(3, 9, 9\)"):
        Frames.read(write_hdus(tmp_path / "a.fits", *hdus))


def test_the_unit_is_bunit(tmp_path):
    assert Frames.read(write_cube(tmp_path / "a.fits", CUBE, BUNIT="MJy/sr")).unit == u.MJy / u.sr


def test_an_unknown_unit_is_an_error_that_names_it(tmp_path):
    path = write_cube(tmp_path / "a.fits", CUBE, BUNIT="furlong per fortnight")
    with pytest.raises(FormatError, match=r"a\.fits: BUNIT must be a unit .* got 'furlong per fortnight'") as error:
        Frames.read(path)
    assert "\n" not in str(error.value)


# Where the angles come from


def test_angles_come_from_a_header_keyword(tmp_path):
    path = write_cube(tmp_path / "a.fits", CUBE, PA_V3=12.5)
    np.testing.assert_array_equal(Frames.read(path, angle_key="PA_V3").angles, [12.5] * 3)


def test_a_keyword_that_is_not_there_is_an_error(cube):
    with pytest.raises(ValueError, match="'angle_key' must be a keyword of the header, got 'PA_V3'"):
        Frames.read(cube, angle_key="PA_V3")


@pytest.mark.parametrize("name", ["ANGLE", "angle"])
def test_a_column_called_angle_is_used_without_being_asked_for(tmp_path, name):
    path = write_hdus(tmp_path / "a.fits", fits.PrimaryHDU(CUBE), angle_table(name))
    np.testing.assert_array_equal(Frames.read(path).angles, ANGLES)


def test_a_column_that_is_named_is_used(tmp_path):
    path = write_hdus(tmp_path / "a.fits", fits.PrimaryHDU(CUBE), angle_table("PARANG"))
    np.testing.assert_array_equal(Frames.read(path, angle_column="parang").angles, ANGLES)
    assert Frames.read(path).angles is None


def test_a_column_that_is_not_there_is_an_error(tmp_path):
    path = write_hdus(tmp_path / "a.fits", fits.PrimaryHDU(CUBE), angle_table())
    with pytest.raises(ValueError, match="'angle_column' must be a column of a table in the file, got 'PARANG'"):
        Frames.read(path, angle_column="PARANG")


SECOND_FILES = {
    "one axis": fits.PrimaryHDU(ANGLES),
    "a row": fits.PrimaryHDU(ANGLES[None]),
    "a column": fits.PrimaryHDU(ANGLES[:, None]),
    "a table": fits.table_to_hdu(Table({"ANGLE": ANGLES})),
}


@pytest.mark.parametrize("hdu", SECOND_FILES.values(), ids=SECOND_FILES)
@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_angles_come_from_a_second_file(tmp_path, cube, hdu, kind):
    path = write_hdus(tmp_path / "angles.fits", hdu)
    np.testing.assert_array_equal(Frames.read(cube, angles=kind(path)).angles, ANGLES)


def test_angles_come_from_a_text_file(tmp_path, cube):
    path = tmp_path / "angles.txt"
    path.write_text("10.0\n-20.5\n300.25\n")
    np.testing.assert_array_equal(Frames.read(cube, angles=path).angles, ANGLES)


@pytest.mark.parametrize("angles", [ANGLES, list(ANGLES), tuple(ANGLES)])
def test_angles_may_be_given_as_they_are(cube, angles):
    np.testing.assert_array_equal(Frames.read(cube, angles=angles).angles, ANGLES)


def test_one_angle_is_for_all_frames(cube):
    np.testing.assert_array_equal(Frames.read(cube, angles=30.0).angles, [30.0] * 3)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"angles": ANGLES, "angle_key": "PA"}, "angles and angle_key"),
        ({"angle_key": "PA", "angle_column": "ANGLE"}, "angle_key and angle_column"),
        ({"angles": ANGLES, "angle_key": "PA", "angle_column": "B"}, "angles and angle_key and angle_column"),
    ],
)
def test_two_sources_of_angles_are_an_error(cube, options, names):
    with pytest.raises(ValueError, match=f"'angles' must be given in one way, got {names}$"):
        Frames.read(cube, **options)


@pytest.mark.parametrize("count", [2, 4])
def test_too_few_or_too_many_angles_are_an_error(tmp_path, cube, count):
    message = rf"'angles' must be of shape \(3,\).*, got \({count},\)"
    with pytest.raises(ValueError, match=message):
        Frames.read(cube, angles=np.zeros(count))
    path = write_hdus(tmp_path / "a.fits", fits.PrimaryHDU(CUBE), angle_table(count=count))
    with pytest.raises(ValueError, match=message):
        Frames.read(path)


def test_a_list_of_angles_for_several_files_is_shared_out_or_refused(tmp_path, cube):
    other = write_cube(tmp_path / "other.fits", CUBE[:1])
    frames = Frames.read([cube, other], angles=[1.0, 2.0, 3.0, 4.0])
    np.testing.assert_array_equal(frames.angles, [1.0, 2.0, 3.0, 4.0])


# Where the star is, and which way is east


def test_the_star_is_at_crpix_counted_from_1(tmp_path):
    path = write_cube(tmp_path / "a.fits", CUBE, CRPIX1=6.25, CRPIX2=4.5)
    assert Frames.read(path).geometry.center == (5.25, 3.5)


def test_a_given_centre_stands_above_crpix(tmp_path):
    path = write_cube(tmp_path / "a.fits", CUBE, CRPIX1=6.25, CRPIX2=4.5)
    assert Frames.read(path, center=(2, 3)).geometry.center == (2.0, 3.0)


def test_a_crpix_outside_the_frame_is_not_the_star(tmp_path):
    path = write_cube(tmp_path / "a.fits", CUBE, CRPIX1=600.0, CRPIX2=-3.0)
    assert Frames.read(path).geometry.center == (5.0, 4.0)


def test_an_even_size_without_crpix_needs_a_centre(tmp_path):
    path = write_cube(tmp_path / "a.fits", CUBE[:, :8])
    with pytest.raises(ValueError, match=r"'center' must be given for frames of even size \(8, 11\)"):
        Frames.read(path)
    assert Frames.read(path, center=(5, 4)).geometry.center == (5.0, 4.0)


def wcs_header(angle, mirrored, scale=0.05):
    """Return the cards of a WCS with a CD matrix: turned, and mirrored or not."""
    turn, step = np.deg2rad(angle), scale / 3600
    sky_handed = step * np.array([[-np.cos(turn), np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    matrix = sky_handed * [[-1 if mirrored else 1, 1], [-1 if mirrored else 1, 1]]
    cards = {f"CD{i + 1}_{j + 1}": matrix[i, j] for i in range(2) for j in range(2)}
    return cards | {
        "CTYPE1": "RA---TAN",
        "CTYPE2": "DEC--TAN",
        "CRVAL1": 10.0,
        "CRVAL2": 20.0,
        "CRPIX1": 6,
        "CRPIX2": 5,
    }


@pytest.mark.parametrize("angle", [0.0, 40.0, 200.0])
@pytest.mark.parametrize("mirrored", [True, False])
def test_parity_and_pixel_scale_come_from_the_wcs(tmp_path, angle, mirrored):
    geometry = Frames.read(write_cube(tmp_path / "a.fits", CUBE, **wcs_header(angle, mirrored))).geometry
    assert geometry.parity == (-1 if mirrored else 1)
    assert geometry.pixel_scale == pytest.approx(0.05, rel=1e-9)


def test_a_wcs_of_cdelt_is_understood(tmp_path):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.cdelt = ["RA---TAN", "DEC--TAN"], [-2e-5, 2e-5]
    geometry = Frames.read(write_cube(tmp_path / "a.fits", CUBE, **wcs.to_header())).geometry
    assert geometry.pixel_scale == pytest.approx(0.072)
    assert geometry.parity == 1


def test_a_wcs_with_a_third_axis_is_understood(tmp_path):
    third = {"CTYPE3": "WAVE", "CD3_3": 1e-6, "CRVAL3": 4e-6, "CRPIX3": 1.0, "CUNIT3": "m"}
    geometry = Frames.read(write_cube(tmp_path / "a.fits", CUBE, **wcs_header(40.0, False), **third)).geometry
    assert geometry.pixel_scale == pytest.approx(0.05, rel=1e-9)


def test_pixscale_stands_above_the_wcs_and_an_argument_above_both(tmp_path):
    path = write_cube(tmp_path / "a.fits", CUBE, **wcs_header(0.0, True), PIXSCALE=0.06)
    assert Frames.read(path).geometry.pixel_scale == 0.06
    geometry = Frames.read(path, pixel_scale=0.07, parity=1).geometry
    assert (geometry.pixel_scale, geometry.parity) == (0.07, 1)


def test_without_a_wcs_pixel_scale_is_unknown_and_parity_sky_handed(cube):
    geometry = Frames.read(cube).geometry
    assert (geometry.pixel_scale, geometry.parity) == (None, 1)


def test_names_begin_with_the_object_or_the_file(tmp_path):
    assert Frames.read(write_cube(tmp_path / "a.fits", CUBE[:2], OBJECT="HD 1")).names == ["HD 1 0", "HD 1 1"]
    assert Frames.read(write_cube(tmp_path / "b.fits", CUBE[0])).names == ["b.fits"]


def test_what_a_header_says_of_the_target_is_kept(tmp_path):
    keywords = {"OBJECT": "HD 1", "INSTRUME": "NACO", "FILTER": "L'"}
    meta = Frames.read(write_cube(tmp_path / "a.fits", CUBE, **keywords)).meta
    assert (meta["object"], meta["instrument"], meta["filter"]) == ("HD 1", "NACO", "L'")


def test_an_unknown_option_is_an_error(cube):
    with pytest.raises(ValueError, match="'centre' must be left out: format 'fits' has center, angles"):
        Frames.read(cube, centre=(1, 2))


def test_gzipped_files_are_understood(tmp_path, cube):
    path = tmp_path / "cube.fits.gz"
    path.write_bytes(gzip.compress(cube.read_bytes()))
    frames = Frames.read(path)
    np.testing.assert_array_equal(frames.data, CUBE)
    assert frames.meta["inputs"] == [{"name": "cube.fits.gz", "sha256": sha256(path)}]


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_a_truncated_gzipped_file_is_told_in_a_line_that_names_it(tmp_path, cube, share):
    path = tmp_path / "cube.fits.gz"
    content = gzip.compress(cube.read_bytes())
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(FormatError, match=r"cube\.fits\.gz: ") as error:
        Frames.read(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("unit", ["electron", "DN / s", "MJy / sr", "ct / s", "mag", "1e-17 erg / (s cm2 Angstrom)"])
def test_every_unit_comes_back(tmp_path, unit):
    frames = Frames(CUBE, unit=unit)
    frames.write(tmp_path / "frames.fits")
    assert Frames.read(tmp_path / "frames.fits").unit == u.Unit(unit)
