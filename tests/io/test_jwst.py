import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from helpers import read_only
from imaging_helpers import write_hdus
from instrument_helpers import CENTER, assert_at, image_of_source, sky_cards

from astronmf.exceptions import FormatError, MissingDataWarning
from astronmf.imaging import Frames
from astronmf.io.files import sha256

SHAPE = (3, 12, 14)
SCI = read_only(np.random.default_rng(1).normal(5, 1, SHAPE).astype("f4"))
ERR = read_only(np.random.default_rng(2).uniform(0.1, 0.2, SHAPE).astype("f4"))
PRIMARY = {
    "TELESCOP": "JWST",
    "INSTRUME": "NIRCAM",
    "FILTER": "F444W",
    "TARGPROP": "AU-MIC",
    "TARG_RA": 311.29,
    "TARG_DEC": -31.34,
    "IS_PSF": False,
    "OBSERVTN": "001",
}
SCIENCE = {
    "BUNIT": "MJy/sr",
    "CRPIX1": 8.5,
    "CRPIX2": 6.0,
    "ROLL_REF": 63.75,
    "PA_APER": 63.8,
    "PIXAR_A2": 0.063**2,
}


def calints(path, *, primary=PRIMARY, science=SCIENCE, sci=SCI, err=ERR, dq=None, leave_out=()):
    """Write a file like the pipeline's calibrated integrations; return its path."""
    first = fits.PrimaryHDU()
    first.header.update(primary)
    flags = np.zeros(sci.shape, np.uint32) if dq is None else dq
    hdus = [fits.ImageHDU(v, name=n) for n, v in (("SCI", sci), ("ERR", err), ("DQ", flags)) if n not in leave_out]
    if "SCI" not in leave_out:
        hdus[0].header.update(science)
    return write_hdus(path, first, *hdus)


@pytest.fixture
def path(tmp_path):
    return calints(tmp_path / "jw_calints.fits")


def test_every_integration_is_a_frame(path):
    frames = Frames.read(path)
    np.testing.assert_array_equal(frames.data, SCI)
    np.testing.assert_array_equal(frames.sigma, ERR)
    assert frames.data.dtype == np.float32
    assert frames.unit == u.MJy / u.sr
    assert frames.names == ["AU-MIC 001:0", "AU-MIC 001:1", "AU-MIC 001:2"]


def test_one_integration_without_an_axis_of_its_own_is_a_frame(tmp_path):
    frames = Frames.read(calints(tmp_path / "a.fits", sci=SCI[0], err=ERR[0]))
    assert frames.shape == (1, 12, 14)
    assert frames.sigma.shape == (1, 12, 14)


def test_geometry_comes_from_the_header(path):
    geometry = Frames.read(path).geometry
    assert geometry.center == (7.5, 5.0)
    assert geometry.angles.tolist() == [63.75] * 3
    assert geometry.pixel_scale == pytest.approx(0.063)
    assert geometry.parity == 1


def test_another_angle_may_be_chosen(path):
    assert Frames.read(path, angle_key="PA_APER").angles.tolist() == [63.8] * 3


def test_an_angle_that_is_not_in_the_header_is_an_error(path):
    with pytest.raises(ValueError, match="'angle_key' must be a keyword of the header, got 'PA'"):
        Frames.read(path, angle_key="PA")


def test_a_given_centre_stands_above_the_header_s(path):
    assert Frames.read(path, center=(6, 6)).geometry.center == (6.0, 6.0)


def test_without_a_pixel_area_the_scale_is_unknown(tmp_path):
    science = {key: value for key, value in SCIENCE.items() if key != "PIXAR_A2"}
    assert Frames.read(calints(tmp_path / "a.fits", science=science)).geometry.pixel_scale is None


@pytest.mark.parametrize("marked", [True, False])
def test_reference_stars_are_marked(tmp_path, marked):
    frames = Frames.read(calints(tmp_path / "a.fits", primary=PRIMARY | {"IS_PSF": marked}))
    assert frames.is_reference.tolist() == [marked] * 3


def test_files_of_target_and_references_are_told_apart(tmp_path):
    target = calints(tmp_path / "a.fits")
    star = calints(tmp_path / "b.fits", primary=PRIMARY | {"IS_PSF": True, "TARGPROP": "HD 2"})
    science, references = Frames.read([target, star]).split()
    assert science.names[0] == "AU-MIC 001:0"
    assert references.names[0] == "HD 2 001:0"


@pytest.mark.parametrize(("bits", "excluded"), [(None, [0, 2]), (4, [1, 2]), (5, [0, 1, 2])])
def test_only_do_not_use_excludes_a_pixel_unless_other_bits_are_asked_for(tmp_path, bits, excluded):
    flags = np.zeros(SHAPE, np.uint32)
    flags[1, 2, :3] = [1, 4, 5]
    flags[1, 2, 3] = 2**30
    options = {} if bits is None else {"dq_bits": bits}
    frames = Frames.read(calints(tmp_path / "a.fits", dq=flags), **options)
    assert frames.mask[1, 2].nonzero()[0].tolist() == excluded
    assert frames.mask.sum() == len(excluded)


def test_pixels_that_the_pipeline_left_blank_are_masked_without_a_word(tmp_path):
    sci, err = np.array(SCI), np.array(ERR)
    sci[:, 0], err[:, 0] = np.nan, np.nan
    frames = Frames.read(calints(tmp_path / "a.fits", sci=sci, err=err))
    np.testing.assert_array_equal(frames.mask, np.isnan(sci))


def test_a_blank_pixel_with_an_error_is_told_of(tmp_path):
    sci = np.array(SCI)
    sci[0, 5, 5] = np.nan
    with pytest.warns(MissingDataWarning, match=r"^a\.fits: 1 values of 'data'"):
        frames = Frames.read(calints(tmp_path / "a.fits", sci=sci))
    assert frames.mask.sum() == 1


def test_what_is_known_of_the_target_is_kept(path):
    meta = Frames.read(path).meta
    kept = {"object": "AU-MIC", "instrument": "NIRCAM", "filter": "F444W", "ra": 311.29, "dec": -31.34}
    assert {name: meta[name] for name in kept} == kept
    assert meta["inputs"] == [{"name": "jw_calints.fits", "sha256": sha256(path)}]


@pytest.mark.parametrize("name", ["SCI", "ERR"])
def test_an_extension_that_is_not_there_is_named(tmp_path, name):
    path = calints(tmp_path / "a.fits", leave_out=(name,))
    with pytest.raises(FormatError, match=rf"a\.fits: a JWST image has an extension {name}, this file has none"):
        Frames.read(path)


def test_without_flags_nothing_is_masked(tmp_path):
    assert not Frames.read(calints(tmp_path / "a.fits", leave_out=("DQ",))).mask.any()


def test_errors_of_another_shape_are_told_in_a_line_that_names_the_file(tmp_path):
    path = calints(tmp_path / "a.fits", err=ERR[:2])
    with pytest.raises((FormatError, ValueError), match=r"a\.fits|'uncertainty'") as error:
        Frames.read(path)
    assert "\n" not in str(error.value)


def test_an_angle_that_is_not_a_number_is_told_in_a_line_that_names_it(tmp_path):
    path = calints(tmp_path / "a.fits", science=SCIENCE | {"ROLL_REF": "unknown"})
    with pytest.raises((FormatError, ValueError), match=r"ROLL_REF|angle_key"):
        Frames.read(path)


def test_another_telescope_s_file_is_read_as_any_fits(tmp_path):
    frames = Frames.read(calints(tmp_path / "a.fits", primary=PRIMARY | {"TELESCOP": "HST", "OBJECT": "x"}))
    assert frames.angles is None
    assert frames.names[0] == "x 0"


def test_a_named_format_stands_above_what_the_file_seems_to_be(path, tmp_path):
    assert Frames.read(path, format="fits").angles is None
    other = calints(tmp_path / "b.fits", primary=PRIMARY | {"TELESCOP": "HST"})
    assert Frames.read(other, format="jwst").angles.tolist() == [63.75] * 3


@pytest.mark.parametrize("share", [0.1, 0.4, 0.7, 0.9])
def test_a_truncated_file_is_told_in_a_line_that_names_it(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(FormatError) as error:
        Frames.read(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


MIRI_PRIMARY = {
    "TELESCOP": "JWST",
    "INSTRUME": "MIRI",
    "FILTER": "F1550C",
    "TARGPROP": "HR-4796",
    "EXP_TYPE": "MIR_4QPM",
    "CORONMSK": "4QPM_1550",
    "APERNAME": "MIRIM_MASK1550",
    "SUBARRAY": "MASK1550",
}
MIRI_SCIENCE = {
    "BUNIT": "MJy/sr",
    "CRPIX1": 7.5,
    "CRPIX2": 6.5,
    "ROLL_REF": 100.0,
    "V3I_YANG": 4.84,
    "VPARITY": -1,
    "PA_APER": 104.84,
    "PIXAR_A2": 0.11057**2,
}


def test_miri_s_angle_is_that_of_its_aperture(tmp_path):
    frames = Frames.read(calints(tmp_path / "a.fits", primary=MIRI_PRIMARY, science=MIRI_SCIENCE))
    assert frames.angles.tolist() == [104.84] * 3
    assert frames.meta["angle_key"] == "PA_APER"
    assert frames.geometry.pixel_scale == pytest.approx(0.11057)
    assert frames.geometry.center == (6.5, 5.5)
    kept = {"aperture": "MIRIM_MASK1550", "coronagraph": "4QPM_1550", "filter": "F1550C", "object": "HR-4796"}
    assert {name: frames.meta[name] for name in kept} == kept
    v3 = Frames.read(calints(tmp_path / "b.fits", primary=MIRI_PRIMARY, science=MIRI_SCIENCE), angle_key="ROLL_REF")
    assert v3.angles.tolist() == [100.0] * 3


def test_miri_without_the_aperture_s_angle_has_it_from_v3(tmp_path):
    science = {key: value for key, value in MIRI_SCIENCE.items() if key != "PA_APER"}
    frames = Frames.read(calints(tmp_path / "a.fits", primary=MIRI_PRIMARY, science=science))
    np.testing.assert_allclose(frames.angles, [104.84] * 3)
    assert frames.meta["angle_key"] == "ROLL_REF - VPARITY * V3I_YANG"
    del science["V3I_YANG"]
    with pytest.raises(ValueError, match="'angle_key' must be a keyword of the header, got 'V3I_YANG'"):
        Frames.read(calints(tmp_path / "b.fits", primary=MIRI_PRIMARY, science=science))


def test_rates_of_miri_are_read_with_or_without_an_axis_of_integrations(tmp_path):
    science = MIRI_SCIENCE | {"BUNIT": "DN/s"}
    whole = Frames.read(calints(tmp_path / "a_rateints.fits", primary=MIRI_PRIMARY, science=science))
    assert whole.unit == u.DN / u.s
    assert len(whole) == 3
    flags = np.zeros(SHAPE[1:], np.uint32)
    flags[0, 0] = 1
    path = calints(tmp_path / "a_rate.fits", primary=MIRI_PRIMARY, science=science, sci=SCI[0], err=ERR[0], dq=flags)
    one = Frames.read(path)
    assert one.shape == (1, 12, 14)
    assert one.mask.sum() == 1


def pointing_cards(science, center):
    """Return the WCS that the pipeline makes of roll, V3I_YANG and VPARITY (jwst's set_telescope_pointing)."""
    turn = np.deg2rad(science["ROLL_REF"] - science["VPARITY"] * science["V3I_YANG"])
    matrix = [
        [science["VPARITY"] * np.cos(turn), np.sin(turn)],
        [-science["VPARITY"] * np.sin(turn), np.cos(turn)],
    ]
    step = np.sqrt(science["PIXAR_A2"]) / 3600
    linear = {f"CD{i + 1}_{j + 1}": step * matrix[i][j] for i in range(2) for j in range(2)}
    return science | sky_cards(center) | linear


@pytest.mark.parametrize("position_angle", [0.0, 75.0, 200.0, 310.0])
@pytest.mark.parametrize(("primary", "v3i_yang"), [(PRIMARY, 0.054), (MIRI_PRIMARY, 4.84)])
def test_a_source_ends_at_its_position_angle(tmp_path, position_angle, primary, v3i_yang):
    turned = {"V3I_YANG": v3i_yang, "VPARITY": -1, "PA_APER": MIRI_SCIENCE["ROLL_REF"] + v3i_yang}
    cards = pointing_cards(MIRI_SCIENCE | turned, CENTER)
    image = image_of_source(cards, position_angle, 15 * 0.11057).astype("f4")
    path = calints(tmp_path / "a.fits", primary=primary, science=cards, sci=image, err=np.ones_like(image))
    assert_at(Frames.read(path), position_angle)


@pytest.mark.parametrize("choice", ["DO_NOT_USE,HOT", ["DO_NOT_USE", "HOT"], "hot|do_not_use", 2049, "2049"])
def test_flags_may_be_chosen_by_name(tmp_path, choice):
    flags = np.zeros(SHAPE, np.uint32)
    flags[0, 0, :5] = [1, 2, 2048, 2049, 2**31]
    frames = Frames.read(calints(tmp_path / "a.fits", dq=flags), dq_bits=choice)
    assert frames.mask[0, 0].nonzero()[0].tolist() == [0, 2, 3]


def test_a_flag_that_jwst_does_not_have_is_an_error(path):
    with pytest.raises(ValueError, match=r"'dq_bits' must be an integer, or names of flags .*got 'HOTPIX'"):
        Frames.read(path, dq_bits="HOTPIX")
    assert not Frames.read(path, dq_bits="none").mask.any()


def test_given_angles_stand_above_the_header_s(path):
    frames = Frames.read(path, angles=[1.0, 2.0, 3.0])
    assert frames.angles.tolist() == [1.0, 2.0, 3.0]
    assert frames.meta["angle_key"] == "given"
