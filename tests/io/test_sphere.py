"""Headers as in SPHERE's user manual (VLT-MAN-SPH-14690-0430) and raw files of the ESO archive."""

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from imaging_helpers import write_hdus
from instrument_helpers import CENTER, SHAPE, assert_at, image_on_detector

from astronmf.exceptions import FormatError, GeometryWarning
from astronmf.imaging import Frames
from astronmf.io.files import sha256

PUPIL_TRACKING = {
    "INS4 COMB ROT": "PUPIL",
    "INS4 DROT2 MODE": "ELEV",
    "TEL PARANG START": -12.0,
    "TEL PARANG END": 12.0,
    "INS4 DROT2 POSANG": 0.0,
}
FIELD_TRACKING = PUPIL_TRACKING | {"INS4 COMB ROT": "FIELD", "INS4 DROT2 MODE": "SKY", "INS4 DROT2 POSANG": 30.0}
COMMON = {"DET NDIT": 3, "INS COMB IFLT": "DB_H23", "INS COMB ICOR": "N_ALC_YJH_S"}
PARANG = np.array([-8.0, 0.0, 8.0])
IRDIS, IFS = 135.99 - 1.75, 135.99 - 100.48 - 1.75


def exposure(path, data=None, *, arm="IRDIS", tracking=PUPIL_TRACKING, leave_out=(), mjd=58000.0, **changes):
    """Write an exposure; return its path."""
    hdu = fits.PrimaryHDU(np.ones((3, *SHAPE), "f4") if data is None else np.asarray(data, "f4"))
    hdu.header.update({"TELESCOP": "ESO-VLT-U3", "INSTRUME": "SPHERE", "OBJECT": "HD 1", "MJD-OBS": mjd})
    hdu.header.update({"CRPIX1": 3.0, "CRPIX2": 4.0})
    for name, value in ({"DET ID": arm} | COMMON | tracking | changes).items():
        if name not in leave_out:
            hdu.header[f"HIERARCH ESO {name}"] = value
    return write_hdus(path, hdu)


def test_an_exposure_of_irdis_is_recognised_and_read(tmp_path):
    path = exposure(tmp_path / "irdis.fits")
    frames = Frames.read(path)
    assert frames.shape == (3, *SHAPE)
    assert frames.geometry.center == CENTER  # CRPIX is not the star
    assert frames.geometry.pixel_scale == 0.012255
    assert frames.geometry.parity == 1
    assert frames.names == ["HD 1 0", "HD 1 1", "HD 1 2"]
    kept = {"object": "HD 1", "instrument": "SPHERE", "filter": "DB_H23", "coronagraph": "N_ALC_YJH_S"}
    assert {name: frames.meta[name] for name in kept} == kept
    assert frames.meta["inputs"] == [{"name": "irdis.fits", "sha256": sha256(path)}]


def test_pupil_tracking_adds_the_pupil_s_offset_and_true_north(tmp_path):
    frames = Frames.read(exposure(tmp_path / "a.fits"))
    np.testing.assert_allclose(frames.angles, PARANG + IRDIS)
    assert frames.meta["angle_key"] == "ESO TEL PARANG START"
    assert frames.meta["angle_convention"] == "+1 x (PARANG + drift + 135.99 + 0 + -1.75)"


def test_field_tracking_has_the_derotator_s_position_angle(tmp_path):
    frames = Frames.read(exposure(tmp_path / "a.fits", tracking=FIELD_TRACKING))
    assert frames.angles.tolist() == [28.25] * 3
    assert frames.meta["angle_key"] == "ESO INS4 DROT2 POSANG"
    ifs = exposure(tmp_path / "b.fits", tracking=FIELD_TRACKING, arm="IFS")
    assert Frames.read(ifs, channel=0).angles.tolist() == [pytest.approx(30 - 100.48 - 1.75)]


@pytest.mark.parametrize("key", ["INS4 COMB ROT", "INS4 DROT2 MODE"])
@pytest.mark.parametrize(("tracking", "middle"), [(PUPIL_TRACKING, IRDIS), (FIELD_TRACKING, 28.25)])
def test_either_keyword_tells_what_was_tracked(tmp_path, key, tracking, middle):
    frames = Frames.read(exposure(tmp_path / "a.fits", tracking=tracking, leave_out=(key,)))
    assert frames.angles[1] == pytest.approx(middle)


def test_a_passage_through_180_does_not_turn_the_frames_round(tmp_path):
    changes = {"TEL PARANG START": 177.0, "TEL PARANG END": -177.0}
    np.testing.assert_allclose(
        Frames.read(exposure(tmp_path / "a.fits", **changes)).angles, np.array([178, 180, 182]) + IRDIS
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"true_north": -1.76}, 135.99 - 1.76),
        ({"pupil_offset": 136.0}, 136.0 - 1.75),
        ({"angle_sign": -1}, -IRDIS),
        ({"angles": [1.0, 2.0, 3.0]}, 2.0),
        ({"angle_key": "ESO INS4 DROT2 POSANG"}, 0.0),
    ],
)
def test_the_angle_can_be_corrected_or_replaced(tmp_path, options, expected):
    assert Frames.read(exposure(tmp_path / "a.fits"), **options).angles[1] == pytest.approx(expected)


@pytest.mark.parametrize("position_angle", [0.0, 75.0, 200.0, 310.0])
@pytest.mark.parametrize(("arm", "offset"), [("IRDIS", IRDIS), ("IFS", IFS)])
def test_a_source_ends_at_its_position_angle(tmp_path, position_angle, arm, offset):
    """On the sky it is where Maire+ 2016 have it: PA on the detector + PARANG + the offsets."""
    data = np.array([image_on_detector(position_angle - parang - offset, 15) for parang in PARANG])
    if arm == "IFS":
        data = data[1][None] * np.ones((5, 1, 1))
    frames = Frames.read(exposure(tmp_path / "a.fits", data, arm=arm), **({"channel": 3} if arm == "IFS" else {}))
    assert_at(frames, position_angle)


@pytest.mark.parametrize("position_angle", [0.0, 130.0])
def test_a_source_of_field_tracking_ends_at_its_position_angle(tmp_path, position_angle):
    data = [image_on_detector(position_angle - 28.25, 15)] * 3
    assert_at(Frames.read(exposure(tmp_path / "a.fits", data, tracking=FIELD_TRACKING)), position_angle)


def test_the_derotator_s_drift_before_its_clock_was_mended_is_added(tmp_path):
    """arctan(tan(ALT − 2 DROT2 BEGIN)): here 60 − 2 × 30.5 = −1, and the same half a turn further."""
    for derotator in (30.5, 120.5):
        keys = {"TEL ALT": 60.0, "INS4 DROT2 BEGIN": derotator}
        before = Frames.read(exposure(tmp_path / f"{derotator}.fits", mjd=57500.0, **keys))
        np.testing.assert_allclose(before.angles, PARANG + IRDIS - 1)
        after = Frames.read(exposure(tmp_path / f"{derotator}after.fits", mjd=57581.0, **keys))
        np.testing.assert_allclose(after.angles, PARANG + IRDIS)


def test_a_drift_that_is_not_known_is_warned_of(tmp_path):
    path = exposure(tmp_path / "a.fits", mjd=57500.0, **{"TEL ALT": 60.0})
    with pytest.warns(
        GeometryWarning, match=r"without ESO TEL ALT and ESO INS4 DROT2 BEGIN .* is not known; taken as 0"
    ):
        assert Frames.read(path).angles[1] == pytest.approx(IRDIS)


RAW = np.concatenate([np.full((3, 9, 9), 1.0), np.full((3, 9, 9), 2.0)], axis=2)


@pytest.mark.parametrize(("channel", "value"), [("left", 1), ("right", 2)])
def test_a_channel_is_half_of_a_raw_frame_or_one_of_two_cubes(tmp_path, channel, value):
    raw = Frames.read(exposure(tmp_path / "raw.fits", RAW), channel=channel)
    both = np.stack([RAW[:, :, :9], RAW[:, :, 9:]])
    cubes = Frames.read(exposure(tmp_path / "cubes.fits", both), channel=channel)
    for frames in (raw, cubes):
        assert frames.shape == (3, 9, 9)
        assert (frames.data == value).all()
        assert frames.geometry.center == (4.0, 4.0)
        assert frames.meta["channel"] == channel


@pytest.mark.parametrize("data", [RAW, np.ones((2, 3, 9, 9))], ids=["raw", "cubes"])
def test_which_channel_must_be_said_where_there_are_two(tmp_path, data):
    path = exposure(tmp_path / "a.fits", data)
    for channel in (None, "middle", 0):
        with pytest.raises(ValueError, match="'channel' must be one of 'left', 'right', got"):
            Frames.read(path, channel=channel)


def test_a_single_raw_image_is_a_frame(tmp_path):
    frames = Frames.read(exposure(tmp_path / "a.fits", RAW[0], **{"DET NDIT": 1}), channel="left")
    assert frames.shape == (1, 9, 9)
    assert frames.angles.tolist() == [pytest.approx(IRDIS)]


def test_frames_of_one_channel_have_no_other(tmp_path):
    with pytest.raises(ValueError, match="'channel' must be left out: frames of 47 x 45 pixels are of one channel"):
        Frames.read(exposure(tmp_path / "a.fits"), channel="left")


@pytest.mark.parametrize("shape", [(3, 3, 9, 9), (2, 2, 3, 9, 9), (7,)])
def test_an_image_of_other_axes_is_told_of(tmp_path, shape):
    with pytest.raises((ValueError, FormatError), match=r"a\.fits"):
        Frames.read(exposure(tmp_path / "a.fits", np.ones(shape)), channel="left")


def test_a_wavelength_of_ifs_is_a_stack(tmp_path):
    cube = np.ones((5, 9, 9)) * np.arange(5)[:, None, None]
    frames = Frames.read(exposure(tmp_path / "a.fits", cube, arm="IFS"), channel=3)
    assert frames.shape == (1, 9, 9)
    assert (frames.data == 3).all()
    assert frames.angles.tolist() == [pytest.approx(IFS)]
    assert frames.geometry.pixel_scale == 0.00746
    for axes, place in (("wnyx", 1), ("nwyx", 0)):
        path = exposure(tmp_path / f"{axes}.fits", np.stack([cube] * 3, axis=place), arm="IFS")
        several = Frames.read(path, channel=4, axes=axes)
        assert (several.data == 4).all()
        np.testing.assert_allclose(several.angles, PARANG + IFS)


def test_the_axes_of_irdis_are_known(tmp_path):
    with pytest.raises(ValueError, match="'axes' must be left out for IRDIS, got 'wnyx'"):
        Frames.read(exposure(tmp_path / "a.fits"), axes="wnyx")


@pytest.mark.parametrize(
    ("channel", "message"),
    [
        (None, "'channel' must be a wavelength's number, or the file read as SpectralFrames, got None"),
        ("left", "'channel' must be a wavelength's number"),
        (5, r"'channel' must be an integer in \[0, 4\], got 5"),
        (-1, r"'channel' must be an integer in \[0, 4\], got -1"),
    ],
)
def test_which_wavelength_must_be_said(tmp_path, channel, message):
    path = exposure(tmp_path / "a.fits", np.ones((5, 9, 9)), arm="IFS")
    with pytest.raises(ValueError, match=message):
        Frames.read(path, channel=channel)


def test_raw_frames_of_even_size_need_a_centre(tmp_path):
    path = exposure(tmp_path / "a.fits", np.ones((3, 8, 16)))
    with pytest.raises(ValueError, match=r"'center' must be given for frames of even size \(8, 8\)"):
        Frames.read(path, channel="right")
    assert Frames.read(path, channel="right", center=(4, 4)).geometry.center == (4.0, 4.0)


@pytest.mark.parametrize("arm", ["ZIMPOL", ""])
def test_other_arms_are_read_as_any_fits_and_not_by_name(tmp_path, arm):
    path = exposure(tmp_path / "a.fits", arm=arm)
    assert Frames.read(path).angles is None
    with pytest.raises(FormatError, match=rf"a\.fits: ESO DET ID must be IRDIS or IFS, got '{arm}'"):
        Frames.read(path, format="sphere")


@pytest.mark.parametrize(
    ("tracking", "key"),
    [(PUPIL_TRACKING, "TEL PARANG START"), (PUPIL_TRACKING, "TEL PARANG END"), (FIELD_TRACKING, "INS4 DROT2 POSANG")],
)
def test_a_keyword_that_is_missing_is_named(tmp_path, tracking, key):
    path = exposure(tmp_path / "a.fits", tracking=tracking, leave_out=(key,))
    with pytest.raises(FormatError, match=rf"a\.fits: the header has no ESO {key}; give 'angles'"):
        Frames.read(path, format="sphere")


@pytest.mark.parametrize("changes", [{"INS4 COMB ROT": "STAT"}, {"leave_out": ("INS4 COMB ROT", "INS4 DROT2 MODE")}])
def test_a_header_that_does_not_say_what_was_tracked_is_an_error(tmp_path, changes):
    path = exposure(tmp_path / "a.fits", **changes)
    with pytest.raises(
        FormatError, match=r"a\.fits: the header does not say whether the pupil or the field was tracked"
    ):
        Frames.read(path)
    assert Frames.read(path, angles=1.0).angles.tolist() == [1.0] * 3


def test_more_frames_than_the_exposure_had_are_an_error(tmp_path):
    path = exposure(tmp_path / "a.fits", np.ones((2, 40, 9, 9)))
    with pytest.raises(FormatError, match="40 frames, but the header is of an exposure of 3"):
        Frames.read(path, channel="left")
    assert len(Frames.read(path, channel="left", angles=np.arange(40.0))) == 40


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"angle_sign": 0}, "'angle_sign' must be one of 1, -1, got 0"),
        ({"true_north": np.nan}, "'true_north' must be a finite number"),
        ({"pupil_offset": "135.99"}, "'pupil_offset' must be a finite number"),
        ({"angles": 1.0, "pupil_offset": 0.5}, "'pupil_offset' must be left out beside 'angles' or 'angle_key'"),
        ({"angle_key": "MJD-OBS", "true_north": 1.0}, "'true_north' must be left out beside"),
    ],
)
def test_options_that_do_not_fit_are_errors(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        Frames.read(exposure(tmp_path / "a.fits"), **options)


def test_a_pupil_offset_means_nothing_in_field_tracking(tmp_path):
    with pytest.raises(ValueError, match="'pupil_offset' must be left out for field tracking"):
        Frames.read(exposure(tmp_path / "a.fits", tracking=FIELD_TRACKING), pupil_offset=1.0)


def test_a_unit_in_the_header_is_kept(tmp_path):
    path = exposure(tmp_path / "a.fits")
    fits.setval(path, "BUNIT", value="adu")
    assert Frames.read(path).unit == u.adu
