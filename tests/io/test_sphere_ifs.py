"""Headers as in SPHERE's user manual (VLT-MAN-SPH-14690-0430), files of ESO's pipeline and the SPHERE Data Centre."""

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st
from imaging_helpers import write_hdus
from instrument_helpers import CENTER, assert_at, image_on_detector

from astronmf.exceptions import FormatError
from astronmf.imaging import Frames, SpectralFrames
from astronmf.io.eso import Corrections
from astronmf.io.files import sha256
from astronmf.io.sphere_ifs import read_ifs_cube, wavelengths_of

WAVES = np.linspace(0.957, 1.329, 39)
CUBE = np.arange(2 * 39 * 4 * 5, dtype="f4").reshape(2, 39, 4, 5)
CARDS = {
    "DET ID": "IFS",
    "DET NDIT": 2,
    "INS4 COMB ROT": "PUPIL",
    "TEL PARANG START": -12.0,
    "TEL PARANG END": 12.0,
    "DRS IFS MIN LAMBDA": WAVES[0],
    "DRS IFS MAX LAMBDA": WAVES[-1],
}
OFFSET = 135.99 - 100.48 - 1.75


def exposure(path, data=CUBE, *, leave_out=(), extra=(), **changes):
    """Write a file of IFS; return its path."""
    hdu = fits.PrimaryHDU(np.asarray(data))
    hdu.header.update({"INSTRUME": "SPHERE", "MJD-OBS": 58000.0} | dict(extra))
    for name, value in (CARDS | changes).items():
        if name not in leave_out:
            hdu.header[f"HIERARCH ESO {name}"] = value
    return write_hdus(path, hdu)


@pytest.mark.parametrize(
    ("data", "axes"), [(CUBE, None), (CUBE, "nwyx"), (np.moveaxis(CUBE, 0, 1), None), (np.moveaxis(CUBE, 0, 1), "wnyx")]
)
def test_a_cube_in_either_order_is_frames_then_wavelengths(tmp_path, data, axes):
    cube = read_ifs_cube(exposure(tmp_path / "a.fits", data), axes=axes)
    np.testing.assert_array_equal(cube.data, CUBE)
    np.testing.assert_allclose(cube.wavelengths, WAVES)
    np.testing.assert_allclose(cube.angles, [-6 + OFFSET, 6 + OFFSET])
    assert cube.about["angle_convention"] == "+1 x (PARANG + drift + 135.99 + -100.48 + -1.75)"
    assert cube.header["INSTRUME"] == "SPHERE"


@pytest.mark.parametrize("axes", [None, "wyx"])
def test_one_exposure_is_one_frame(tmp_path, axes):
    cube = read_ifs_cube(exposure(tmp_path / "a.fits", CUBE[1]), axes=axes)
    np.testing.assert_array_equal(cube.data, CUBE[1:])
    np.testing.assert_allclose(cube.angles, [OFFSET])


def test_the_number_of_given_wavelengths_tells_their_axis(tmp_path):
    few = exposure(tmp_path / "a.fits", np.moveaxis(CUBE[:, :7], 0, 1))
    cube = read_ifs_cube(few, wavelengths=WAVES[:7])
    np.testing.assert_array_equal(cube.data, CUBE[:, :7])
    np.testing.assert_array_equal(cube.wavelengths, WAVES[:7])


@pytest.mark.parametrize("shape", [(39, 39, 2, 2), (7, 8, 2, 2)])
def test_an_order_that_the_shape_does_not_tell_must_be_given(tmp_path, shape):
    path = exposure(tmp_path / "a.fits", np.zeros(shape), **{"DET NDIT": shape[1]})
    with pytest.raises(ValueError, match="'axes' must be 'nwyx' or 'wnyx', got None, for shape"):
        read_ifs_cube(path)
    assert read_ifs_cube(path, axes="wnyx").data.shape == (shape[1], shape[0], 2, 2)


@pytest.mark.parametrize(("axes", "message"), [("xyw", "'axes' must be one of"), ("wyx", "'data' must be of shape")])
def test_axes_that_do_not_fit_are_an_error(tmp_path, axes, message):
    with pytest.raises(ValueError, match=message):
        read_ifs_cube(exposure(tmp_path / "a.fits"), axes=axes)


@given(st.sampled_from([(1.0, None), (1e3, None), (1e4, None), (1e-6, None), (1e3, u.nm), (1e-4, u.cm)]))
def test_wavelengths_of_any_unit_become_micrometres(tmp_path_factory, unit):
    factor, named = unit
    path = exposure(tmp_path_factory.mktemp("ifs") / "a.fits")
    given = WAVES * factor if named is None else u.Quantity(WAVES * factor, named)
    np.testing.assert_allclose(read_ifs_cube(path, wavelengths=given).wavelengths, WAVES)


def test_wavelengths_may_be_in_a_file(tmp_path):
    """As the SPHERE Data Centre has them: a FITS image, in micrometres, and angles likewise."""
    path = exposure(tmp_path / "a.fits", np.moveaxis(CUBE, 0, 1))
    lam = write_hdus(tmp_path / "lam.fits", fits.PrimaryHDU(WAVES))
    turn = write_hdus(tmp_path / "rotnth.fits", fits.PrimaryHDU(np.array([3.0, 4.0])))
    cube = read_ifs_cube(path, wavelengths=lam, corrections=Corrections(angles=turn))
    np.testing.assert_array_equal(cube.wavelengths, WAVES)
    assert cube.angles.tolist() == [3.0, 4.0]
    assert cube.about == {"angle_key": "given"}
    empty = write_hdus(tmp_path / "empty.fits", fits.PrimaryHDU())
    with pytest.raises(FormatError, match=r"empty\.fits: holds no array or table of wavelengths"):
        read_ifs_cube(path, wavelengths=str(empty))


@pytest.mark.parametrize(
    "cards",
    [
        {"CRVAL3": 0.957, "CD3_3": 0.01, "CRPIX3": 1.0},
        {"CRVAL3": 0.967, "CDELT3": 0.01, "CRPIX3": 2.0, "CUNIT3": "um"},
        {"CRVAL3": 957.0, "CD3_3": 10.0, "CUNIT3": "nm"},
        {"CRVAL3": 9570.0, "CD3_3": 100.0},
    ],
)
def test_a_third_axis_of_wavelengths_is_understood(cards):
    header = fits.Header({"CTYPE3": "WAVE"} | cards)
    np.testing.assert_allclose(wavelengths_of(header, 39, "a.fits"), 0.957 + 0.01 * np.arange(39))


def test_wavelengths_that_nothing_tells_are_an_error(tmp_path):
    path = exposure(tmp_path / "a.fits", leave_out=("DRS IFS MIN LAMBDA",))
    with pytest.raises(FormatError, match=r"a\.fits: the header does not tell the wavelengths; give 'wavelengths'"):
        read_ifs_cube(path)


@pytest.mark.parametrize("waves", [[0.5, 1.0], [1.0, 2.2], [np.nan, 1.0], u.Quantity([1.0, 1.2], u.nm), [[1.0, 1.1]]])
def test_wavelengths_that_ifs_does_not_have_are_an_error(tmp_path, waves):
    with pytest.raises(ValueError, match=r"'wavelengths' must be those of IFS, from 0\.9 to 1\.7 micrometres"):
        read_ifs_cube(exposure(tmp_path / "a.fits"), wavelengths=waves)


def test_too_few_wavelengths_are_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"'wavelengths' must be of shape \(39,\), got \(38,\)"):
        read_ifs_cube(exposure(tmp_path / "a.fits"), axes="nwyx", wavelengths=WAVES[1:])


def test_irdis_has_no_wavelengths(tmp_path):
    with pytest.raises(FormatError, match=r"a\.fits: not of IFS, but of IRDIS"):
        read_ifs_cube(exposure(tmp_path / "a.fits", **{"DET ID": "IRDIS"}))


def test_angles_are_corrected_as_for_irdis(tmp_path):
    corrections = Corrections(true_north=0.0, pupil_offset=100.48, angle_sign=-1)
    np.testing.assert_allclose(
        read_ifs_cube(exposure(tmp_path / "a.fits"), corrections=corrections).angles, [6.0, -6.0]
    )


# As SpectralFrames


ODD = np.ones((2, 39, 45, 47), "f4")


def test_a_file_of_ifs_is_recognised_and_read(tmp_path):
    path = exposure(tmp_path / "ifs.fits", ODD, extra={"OBJECT": "HD 1", "BUNIT": "ADU"}, **{"INS COMB ICOR": "N_ALC"})
    frames = SpectralFrames.read(path)
    assert frames.shape == (2, 39, 45, 47)
    np.testing.assert_allclose(frames.wavelengths, WAVES)
    np.testing.assert_allclose(frames.angles, [-6 + OFFSET, 6 + OFFSET])
    assert (frames.geometry.center, frames.geometry.pixel_scale) == (CENTER, 0.00746)
    assert frames.names == ["HD 1 0", "HD 1 1"]
    assert frames.unit == u.adu
    kept = {"object": "HD 1", "instrument": "SPHERE", "coronagraph": "N_ALC"}
    assert {name: frames.meta[name] for name in kept} == kept
    assert frames.meta["inputs"] == [{"name": "ifs.fits", "sha256": sha256(path)}]


def test_a_wavelength_read_alone_is_the_same_as_that_of_the_whole(tmp_path):
    path = exposure(tmp_path / "a.fits", CUBE)
    whole = SpectralFrames.read(path, center=(2, 2)).channel(11)
    alone = Frames.read(path, center=(2, 2), channel=11)
    np.testing.assert_array_equal(whole.data, alone.data)
    np.testing.assert_array_equal(whole.angles, alone.angles)
    assert whole.geometry.center == alone.geometry.center


def test_what_is_given_stands_above_the_header(tmp_path):
    path = exposure(tmp_path / "a.fits", CUBE)
    options = {"center": (1, 2), "pixel_scale": 0.0075, "angles": [1.0, 2.0], "wavelengths": WAVES + 0.01}
    frames = SpectralFrames.read(path, axes="nwyx", **options)
    assert (frames.geometry.center, frames.geometry.pixel_scale) == ((1.0, 2.0), 0.0075)
    assert frames.angles.tolist() == [1.0, 2.0]
    np.testing.assert_allclose(frames.wavelengths, WAVES + 0.01)
    turned = SpectralFrames.read(path, center=(1, 2), true_north=0, pupil_offset=100.48, angle_sign=-1)
    np.testing.assert_allclose(turned.angles, [6.0, -6.0])
    assert SpectralFrames.read(path, center=(1, 2), angle_key="MJD-OBS").angles.tolist() == [58000.0] * 2


@pytest.mark.parametrize("position_angle", [0.0, 75.0, 310.0])
def test_a_source_ends_at_its_position_angle(tmp_path, position_angle):
    images = [image_on_detector(position_angle - parang - OFFSET, 15) for parang in (-6.0, 6.0)]
    path = exposure(tmp_path / "a.fits", np.array(images)[:, None] * np.ones((1, 39, 1, 1)))
    assert_at(SpectralFrames.read(path).channel(20), position_angle)


def test_irdis_is_not_recognised_as_a_cube_of_wavelengths(tmp_path):
    path = exposure(tmp_path / "a.fits", ODD, **{"DET ID": "IRDIS"})
    with pytest.raises(FormatError, match=r"a\.fits: not of IFS, but of IRDIS"):
        SpectralFrames.read(path, format="sphere")
