import gzip
import shutil
import tracemalloc
import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from helpers import read_only
from imaging_helpers import disc, files_in, same_frames, write_cube, write_hdus
from spectral_helpers import observe

from astronmf import SequentialNMF
from astronmf.exceptions import FormatError, GeometryWarning, MissingDataWarning
from astronmf.imaging import Frames, SpectralFrames, SpectralReduction, reduce_spectral
from astronmf.io.files import sha256

SHAPE = (3, 4, 9, 11)
CUBE = read_only(np.random.default_rng(1).normal(10, 2, SHAPE))
WAVELENGTHS = read_only([1.0, 1.1, 1.25, 1.4])
ANGLES = read_only([10.0, -20.5, 300.25])


def same_exposures(one, other):
    """Check that all channels are equal to the last bit."""
    np.testing.assert_array_equal(one.wavelengths, other.wavelengths)
    for left, right in zip(one.channels(), other.channels(), strict=True):
        same_frames(left, right)


@pytest.fixture
def frames():
    """Return exposures with all that can be known of them."""
    about = {"angles": ANGLES, "names": ["α", "b", "c"], "is_reference": [False, True, False], "unit": "MJy/sr"}
    about |= {"center": (4.25, 3.5), "pixel_scale": 0.00746, "parity": -1, "meta": {"preparation": ["cut"]}}
    errors = np.random.default_rng(2).uniform(1, 2, SHAPE)
    return SpectralFrames(CUBE, errors, disc((9, 11), 4, 2, 2), wavelengths=WAVELENGTHS, **about)


# Exposures


def test_exposures_come_back_as_they_were_written(tmp_path, frames):
    frames.write(tmp_path / "cube.fits")
    back = SpectralFrames.read(tmp_path / "cube.fits")
    same_exposures(back, frames)
    inputs = [{"name": "cube.fits", "sha256": sha256(tmp_path / "cube.fits")}]
    assert back.meta == {"preparation": ["cut"], "inputs": inputs}


def test_exposures_of_which_little_is_known_come_back_with_as_little(tmp_path):
    frames = SpectralFrames(CUBE.astype("f4"), wavelengths=WAVELENGTHS)
    frames.write(tmp_path / "cube.fits")
    back = SpectralFrames.read(tmp_path / "cube.fits")
    same_exposures(back, frames)
    assert (back.mask, back.sigma, back.angles, back.unit) == (None, None, None, None)


def test_a_file_that_is_there_is_replaced_only_where_that_is_asked_for(tmp_path, frames):
    frames.write(tmp_path / "cube.fits")
    with pytest.raises(FileExistsError):
        frames.write(tmp_path / "cube.fits")
    frames[:1].write(tmp_path / "cube.fits", overwrite=True)
    assert len(SpectralFrames.read(tmp_path / "cube.fits")) == 1
    assert files_in(tmp_path) == ["cube.fits"]


def test_images_stay_in_the_file_until_a_channel_is_asked_for(tmp_path):
    data = np.random.default_rng(3).normal(size=(5, 40, 41, 41)).astype(np.float32)
    SpectralFrames(data, np.abs(data) + 1, wavelengths=1 + np.arange(40)).write(tmp_path / "cube.fits")
    tracemalloc.start()
    frames = SpectralFrames.read(tmp_path / "cube.fits")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < data.nbytes / 2
    np.testing.assert_array_equal(frames.channel(17).data, data[:, 17])
    assert frames.channel(17).data.dtype.isnative


def test_exposures_are_written_from_the_file_that_they_are_in(tmp_path, frames):
    frames.write(tmp_path / "cube.fits")
    mapped = SpectralFrames.read(tmp_path / "cube.fits")
    mapped.write(tmp_path / "again.fits")
    mapped[::2].write(tmp_path / "cube.fits", overwrite=True)
    same_exposures(SpectralFrames.read(tmp_path / "again.fits"), frames)
    same_exposures(mapped, frames)
    same_exposures(SpectralFrames.read(tmp_path / "cube.fits"), frames[::2])


def test_a_compressed_file_is_read_as_a_plain_one(tmp_path, frames):
    frames.write(tmp_path / "cube.fits")
    with (tmp_path / "cube.fits").open("rb") as plain, gzip.open(tmp_path / "cube.fits.gz", "wb") as compressed:
        shutil.copyfileobj(plain, compressed)
    same_exposures(SpectralFrames.read(tmp_path / "cube.fits.gz"), frames)


def test_several_files_end_in_one_stack(tmp_path, frames):
    paths = [tmp_path / f"{i}.fits" for i in range(3)]
    for i, path in enumerate(paths):
        frames[i].write(path)
    same_exposures(SpectralFrames.read(paths), frames)
    assert SpectralFrames.read(paths, angles=[1.0, 2.0, 3.0]).angles.tolist() == [1, 2, 3]
    same_exposures(SpectralFrames.read(paths[1:2]), frames[1])
    with pytest.raises(ValueError, match="'path' must be at least one file"):
        SpectralFrames.read([])
    with pytest.raises(ValueError, match="'angles' must be of shape"):
        SpectralFrames.read(paths, angles=[1.0, 2.0])


@pytest.mark.parametrize("kind", ["i2", "u2", "f4", "f8"])
def test_any_number_type_is_read(tmp_path, kind):
    data = np.round(np.abs(CUBE)).astype(kind)
    path = write_cube(tmp_path / "cube.fits", data)
    frames = SpectralFrames.read(path, wavelengths=WAVELENGTHS)
    for number in range(4):
        np.testing.assert_array_equal(frames.channel(number).data, data[:, number])


def test_tile_compressed_images_are_read(tmp_path):
    path = write_hdus(
        tmp_path / "cube.fits", fits.CompImageHDU(CUBE.astype("i4"), name="SCI", tile_shape=(1, 1, 9, 11))
    )
    frames = SpectralFrames.read(path, wavelengths=WAVELENGTHS)
    np.testing.assert_array_equal(frames.channel(3).data, CUBE[:, 3].astype("i4"))


def test_three_axes_are_one_exposure(tmp_path):
    path = write_cube(tmp_path / "cube.fits", CUBE[1], OBJECT="HR 8799")
    frames = SpectralFrames.read(path, wavelengths=WAVELENGTHS, angles=[3.0])
    assert frames.shape == (1, *SHAPE[1:])
    assert frames.names == ["HR 8799"]
    assert frames.angles.tolist() == [3.0]


def test_flags_exclude_by_bits(tmp_path):
    flags = np.zeros(SHAPE[2:], np.int16)
    flags[2, 3], flags[4, 5] = 1, 4
    path = write_hdus(tmp_path / "cube.fits", fits.ImageHDU(CUBE, name="SCI"), fits.ImageHDU(flags, name="DQ"))
    one, other = (SpectralFrames.read(path, wavelengths=WAVELENGTHS, dq_bits=bits) for bits in (None, 4))
    np.testing.assert_array_equal(one.channel(1).mask, np.broadcast_to(flags > 0, (3, 9, 11)))
    np.testing.assert_array_equal(other.channel(1).mask, np.broadcast_to(flags == 4, (3, 9, 11)))


def test_the_header_s_centre_and_scale_are_used_and_the_arguments_come_first(tmp_path):
    path = write_cube(tmp_path / "cube.fits", CUBE, CRPIX1=4.5, CRPIX2=3.0, PIXSCALE=0.01, BUNIT="adu")
    frames = SpectralFrames.read(path, wavelengths=WAVELENGTHS)
    assert frames.geometry.center == (3.5, 2.0)
    assert (frames.geometry.pixel_scale, frames.unit) == (0.01, u.adu)
    given = SpectralFrames.read(path, wavelengths=WAVELENGTHS, center=(5, 4), pixel_scale=0.02, parity=-1)
    assert (given.geometry.center, given.geometry.pixel_scale, given.geometry.parity) == ((5, 4), 0.02, -1)


# Wavelengths


def text_file(path):
    np.savetxt(path, WAVELENGTHS)
    return path


def test_wavelengths_are_given_as_numbers_quantities_or_a_file(tmp_path):
    path = write_cube(tmp_path / "cube.fits", CUBE)
    table = write_hdus(tmp_path / "table.fits", fits.table_to_hdu(Table({"LAMBDA": WAVELENGTHS})))
    for given in (WAVELENGTHS, u.Quantity(WAVELENGTHS * 1e3, u.nm), text_file(tmp_path / "waves.txt"), table):
        np.testing.assert_allclose(SpectralFrames.read(path, wavelengths=given).wavelengths, WAVELENGTHS)


def test_a_table_of_wavelengths_in_any_unit_is_used(tmp_path):
    table = fits.table_to_hdu(Table({"WAVELENGTH": u.Quantity(WAVELENGTHS * 1e4, u.AA)}))
    table.name = "WAVELENGTHS"
    path = write_hdus(tmp_path / "cube.fits", fits.ImageHDU(CUBE, name="SCI"), table)
    np.testing.assert_allclose(SpectralFrames.read(path).wavelengths, WAVELENGTHS)


@pytest.mark.parametrize(
    "keywords",
    [
        {"CTYPE3": "WAVE", "CUNIT3": "um", "CRVAL3": 1.0, "CRPIX3": 1.0, "CDELT3": 0.1},
        {"CTYPE3": "WAVE", "CUNIT3": "nm", "CRVAL3": 1100.0, "CRPIX3": 2.0, "CDELT3": 100.0},
        {"CTYPE3": "WAVE", "CUNIT3": "m", "CRVAL3": 1e-6, "CRPIX3": 1.0, "CD3_3": 1e-7, "CD1_1": 1.0, "CD2_2": 1.0},
    ],
)
@pytest.mark.parametrize("data", [CUBE, CUBE[0]], ids=["four axes", "three axes"])
def test_the_header_s_spectral_axis_is_used(tmp_path, data, keywords):
    path = write_cube(tmp_path / "cube.fits", data, **keywords)
    np.testing.assert_allclose(SpectralFrames.read(path).wavelengths, [1.0, 1.1, 1.2, 1.3], rtol=1e-9)


def test_a_file_that_does_not_tell_the_wavelengths_is_an_error_that_says_what_to_do(tmp_path):
    path = write_cube(tmp_path / "cube.fits", CUBE)
    with pytest.raises(FormatError, match="does not tell the wavelengths; give 'wavelengths'"):
        SpectralFrames.read(path)
    with pytest.raises(ValueError, match=r"'wavelengths' must be of shape \(4,\), got \(2,\)"):
        SpectralFrames.read(path, wavelengths=[1.0, 2.0])


# What cannot be read


@pytest.mark.parametrize("shape", [(9, 11), (1, 2, 4, 9, 11)])
def test_other_axes_are_refused(tmp_path, shape):
    path = write_cube(tmp_path / "cube.fits", np.zeros(shape))
    with pytest.raises(ValueError, match="must be of shape"):
        SpectralFrames.read(path, wavelengths=WAVELENGTHS)


def test_a_broken_file_is_told(tmp_path, frames):
    frames.write(tmp_path / "cube.fits")
    with (tmp_path / "cube.fits").open("r+b") as file:
        file.truncate(2880 * 4)
    with pytest.raises(FormatError, match="truncated"):
        SpectralFrames.read(tmp_path / "cube.fits")
    with pytest.raises(FileNotFoundError):
        SpectralFrames.read(tmp_path / "nothing.fits")


def test_a_sky_coordinate_s_reference_pixel_is_told(tmp_path):
    path = write_cube(tmp_path / "cube.fits", CUBE, CRPIX1=4.5, CRPIX2=3.0, CTYPE1="RA---TAN", CTYPE2="DEC--TAN")
    with pytest.warns(GeometryWarning, match="the star is taken to be at CRPIX"):
        SpectralFrames.read(path, wavelengths=WAVELENGTHS)


# Reductions


@pytest.fixture(scope="module")
def reduction():
    options = {"n_components": 1, "inner_radius": 5, "outer_radius": 17, "estimator": SequentialNMF(tol=1e-2)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MissingDataWarning)
        science = observe().frames(meta={"object": "β Pic", "inputs": [{"name": "a.fits", "sha256": "0" * 64}]})
        return reduce_spectral(science[:1], mode="sdi", fwhm=3.0, min_separation=0.3, **options)


def test_a_reduction_comes_back_as_it_was_written(tmp_path, reduction):
    reduction.write(tmp_path / "out.fits")
    back = SpectralReduction.read(tmp_path / "out.fits")
    for name in ("combined", "combined_uncertainty", "coverage", "wavelengths", "fwhm"):
        np.testing.assert_array_equal(getattr(back, name), getattr(reduction, name))
    assert (back.unit, back.pixel_scale, back.meta) == (reduction.unit, reduction.pixel_scale, reduction.meta)
    assert back.wcs.wcs.compare(reduction.wcs.wcs, tolerance=1e-12)
    assert back.channels is None


def test_a_reduction_says_how_to_run_it_again_and_where_north_is(tmp_path, reduction):
    reduction.write(tmp_path / "out.fits")
    with fits.open(tmp_path / "out.fits", checksum=True) as hdus:
        assert [hdu.name for hdu in hdus[1:6]] == ["COMBINED", "COMBINED_ERR", "COVERAGE", "COLLAPSED", "COLLAPSED_ERR"]
        primary, image = hdus[0].header, hdus["COMBINED"].header
        assert (primary["CONTENT"], primary["NCHANNEL"], primary["OBJECT"]) == (
            "spectral reduction",
            8,
            "\\U000003b2 Pic",
        )
        assert primary["INP0000"] == "a.fits sha256:" + "0" * 64
        assert '"min_separation": 0.3' in primary["PARAMS"]
        assert (image["CRPIX1"], image["CRPIX2"], image["BUNIT"]) == (21, 21, "MJy sr-1")
        assert image["CDELT2"] == pytest.approx(0.0075)
        np.testing.assert_array_equal(hdus["COLLAPSED"].data, reduction.collapsed)
        assert hdus["WAVELENGTHS"].columns["WAVELENGTH"].unit == "um"


def test_a_reduction_of_which_little_is_known_comes_back_with_as_little(tmp_path):
    plain = SpectralReduction(
        CUBE[0], CUBE[1], np.ones(SHAPE[1:], int), np.array(WAVELENGTHS), meta={"parameters": {"mode": "adi"}}
    )
    plain.write(tmp_path / "out.fits")
    back = SpectralReduction.read(tmp_path / "out.fits")
    assert (back.fwhm, back.unit, back.pixel_scale, back.wcs) == (None, None, None, None)
    np.testing.assert_array_equal(back.combined, CUBE[0])


def test_what_is_not_a_reduction_is_told(tmp_path, frames):
    frames.write(tmp_path / "cube.fits")
    with pytest.raises(FormatError, match=r"not a reduction of several wavelengths \(it has no extension COMBINED"):
        SpectralReduction.read(tmp_path / "cube.fits")
    Frames(CUBE[0]).write(tmp_path / "frames.fits")
    with pytest.raises(FormatError, match="does not tell the wavelengths"):
        SpectralFrames.read(tmp_path / "frames.fits")
