"""Headers as in NACO's user manual (VLT-MAN-ESO-14200-2761) and raw files of the ESO archive."""

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from imaging_helpers import centroid, write_hdus
from instrument_helpers import CENTER, assert_at, cd_matrix, image_on_detector, sky_cards

from astronmf.exceptions import FormatError, GeometryWarning
from astronmf.imaging import Frames
from astronmf.imaging.geometry import to_sky
from astronmf.io.files import sha256

PUPIL_TRACKING = {
    "TEL ROT ALTAZTRACK": True,
    "DPR TECH": "IMAGE,JITTER,CUBE,PT",
    "TEL PARANG START": 30.0,
    "TEL PARANG END": 36.0,
    "ADA PUPILPOS": 74.6,
    "ADA POSANG": -75.4,
    "ADA POSANG END": -69.4,
}
FIELD_TRACKING = {
    "TEL ROT ALTAZTRACK": False,
    "DPR TECH": "IMAGE,JITTER",
    "TEL PARANG START": 30.0,
    "TEL PARANG END": 36.0,
    "ADA POSANG": 25.0,
    "ADA POSANG END": 25.0,
}
COMMON = {"DET NDIT": 3, "INS PIXSCALE": 0.02719, "INS OPTI6 NAME": "L_prime", "INS OPTI1 NAME": "AGPM"}
OFFSET = 104.84  # 90 + (89.44 − PUPILPOS): what is subtracted from the parallactic angle


def exposure(path, data=None, *, tracking=PUPIL_TRACKING, leave_out=(), count=3, **changes):
    """Write a raw exposure; return its path."""
    hdu = fits.PrimaryHDU(np.ones((count, 45, 47), "f4") if data is None else np.asarray(data, "f4"))
    hdu.header.update({"TELESCOP": "ESO-VLT-U4", "INSTRUME": "NACO", "OBJECT": "HD 1", "BUNIT": "ADU"})
    for name, value in (COMMON | tracking | changes).items():
        if name not in leave_out:
            hdu.header[f"HIERARCH ESO {name}"] = value
    return write_hdus(path, hdu)


@pytest.fixture
def path(tmp_path):
    return exposure(tmp_path / "naco.fits")


def test_an_exposure_is_recognised_and_read(path):
    frames = Frames.read(path)
    assert frames.shape == (3, 45, 47)
    assert frames.unit == u.adu
    assert frames.names == ["HD 1 0", "HD 1 1", "HD 1 2"]
    assert frames.geometry.center == CENTER
    assert frames.geometry.pixel_scale == 0.02719
    assert frames.geometry.parity == 1
    kept = {"object": "HD 1", "instrument": "NACO", "filter": "L_prime", "coronagraph": "AGPM"}
    assert {name: frames.meta[name] for name in kept} == kept
    assert frames.meta["inputs"] == [{"name": "naco.fits", "sha256": sha256(path)}]


def test_the_angle_is_the_parallactic_angle_less_the_rotator_s_offset(path):
    frames = Frames.read(path)
    np.testing.assert_allclose(frames.angles, np.array([31.0, 33.0, 35.0]) - OFFSET)
    assert frames.meta["angle_key"] == "ESO TEL PARANG START"
    assert frames.meta["angle_convention"] == "+1 x (PARANG + PUPILPOS - 179.44 + 0)"


def test_without_the_pupil_s_position_the_position_angle_tells_it(tmp_path):
    frames = Frames.read(exposure(tmp_path / "a.fits", leave_out=("ADA PUPILPOS",)))
    np.testing.assert_allclose(frames.angles, np.array([31.0, 33.0, 35.0]) - OFFSET)


def test_a_passage_through_180_does_not_turn_the_frames_round(tmp_path):
    changes = {"TEL PARANG START": 177.0, "TEL PARANG END": -177.0}
    frames = Frames.read(exposure(tmp_path / "a.fits", **changes))
    np.testing.assert_allclose(frames.angles, np.array([178.0, 180.0, 182.0]) - OFFSET)


def test_field_tracking_has_the_rotator_s_position_angle(tmp_path):
    frames = Frames.read(exposure(tmp_path / "a.fits", tracking=FIELD_TRACKING), true_north=0.5)
    assert frames.angles.tolist() == [25.5] * 3
    assert frames.meta["angle_convention"] == "+1 x (POSANG + 0.5)"
    one = exposure(tmp_path / "b.fits", tracking=FIELD_TRACKING, leave_out=("ADA POSANG END",))
    assert Frames.read(one).angles.tolist() == [25.0] * 3


@pytest.mark.parametrize("tracking", [{"TEL ROT ALTAZTRACK": True}, {"DPR TECH": "IMAGE,JITTER,CUBE,PT"}])
def test_either_keyword_tells_pupil_tracking(tmp_path, tracking):
    cards = {key: value for key, value in PUPIL_TRACKING.items() if key not in ("TEL ROT ALTAZTRACK", "DPR TECH")}
    frames = Frames.read(exposure(tmp_path / "a.fits", tracking=cards | tracking))
    assert frames.angles[1] == pytest.approx(33 - OFFSET)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"true_north": 0.45}, 33 - OFFSET + 0.45),
        ({"pupil_offset": -90.0}, 33 - 90),
        ({"angle_sign": -1}, OFFSET - 33),
        ({"true_north": 2.0, "pupil_offset": 10.0, "angle_sign": -1}, -(33 + 10 + 2)),
        ({"angles": [1.0, 2.0, 3.0]}, 2.0),
        ({"angle_key": "ESO ADA POSANG"}, -75.4),
    ],
)
def test_the_angle_can_be_corrected_or_replaced(path, options, expected):
    assert Frames.read(path, **options).angles[1] == pytest.approx(expected)


@pytest.mark.parametrize("position_angle", [0.0, 60.0, 210.9, 300.0])
def test_a_source_ends_at_its_position_angle(tmp_path, position_angle):
    data = [image_on_detector(position_angle - (parang - OFFSET), 15) for parang in (31.0, 33.0, 35.0)]
    assert_at(Frames.read(exposure(tmp_path / "a.fits", data)), position_angle)
    field = [image_on_detector(position_angle - 25, 15)] * 3
    assert_at(Frames.read(exposure(tmp_path / "b.fits", field, tracking=FIELD_TRACKING)), position_angle)


def test_the_average_behind_the_frames_is_left_out(tmp_path):
    data = np.ones((4, 45, 47)) * np.array([1, 2, 3, 2])[:, None, None]
    frames = Frames.read(exposure(tmp_path / "a.fits", data))
    assert frames.data[:, 0, 0].tolist() == [1, 2, 3]


def test_a_single_image_is_a_frame(tmp_path):
    frames = Frames.read(exposure(tmp_path / "a.fits", np.ones((45, 47)), **{"DET NDIT": 1}))
    assert frames.shape == (1, 45, 47)
    assert frames.angles.tolist() == [pytest.approx(33 - OFFSET)]
    assert frames.names == ["HD 1"]


def test_without_the_objective_s_scale_the_wcs_tells_it(tmp_path):
    path = exposure(tmp_path / "a.fits", leave_out=("INS PIXSCALE",))
    assert Frames.read(path).geometry.pixel_scale is None
    fits.setval(path, "COMMENT", value="with a WCS")
    with fits.open(path, mode="update") as hdus:
        hdus[0].header.update(cd_matrix(0, 0.027) | sky_cards((3.0, 4.0)))
    frames = Frames.read(path)
    assert frames.geometry.pixel_scale == pytest.approx(0.027)
    assert frames.geometry.center == CENTER  # CRPIX is not the star
    assert Frames.read(path, pixel_scale=0.0272, center=(5, 6)).geometry.center == (5.0, 6.0)


def test_a_scale_that_is_no_number_is_told_of(tmp_path):
    path = exposure(tmp_path / "a.fits", **{"INS PIXSCALE": "L27"})
    with pytest.raises(FormatError, match=r"a\.fits: ESO INS PIXSCALE must be a number, got 'L27'; give 'pixel_scale'"):
        Frames.read(path)
    assert Frames.read(path, pixel_scale=0.027).geometry.pixel_scale == 0.027


def test_the_convention_tells_what_was_given(path):
    frames = Frames.read(path, true_north=0.45, pupil_offset=-90.0, angle_sign=-1)
    assert frames.meta["angle_convention"] == "-1 x (PARANG + -90 + 0.45)"


def test_frames_of_even_size_need_a_centre(tmp_path):
    with pytest.raises(ValueError, match=r"'center' must be given for frames of even size \(8, 8\)"):
        Frames.read(exposure(tmp_path / "a.fits", np.ones((3, 8, 8))))


@pytest.mark.parametrize(
    ("key", "tracking"),
    [
        ("TEL PARANG END", PUPIL_TRACKING),
        ("TEL PARANG START", PUPIL_TRACKING),
        ("ADA POSANG", FIELD_TRACKING),
    ],
)
def test_a_keyword_that_is_missing_is_named(tmp_path, key, tracking):
    path = exposure(tmp_path / "a.fits", tracking=tracking, leave_out=(key,))
    with pytest.raises(FormatError, match=rf"a\.fits: the header has no ESO {key}; give 'angles'"):
        Frames.read(path, format="naco")
    assert Frames.read(path, format="naco", angles=10).angles.tolist() == [10.0] * 3


def test_more_frames_than_the_exposure_had_are_an_error(tmp_path):
    path = exposure(tmp_path / "a.fits", count=5)
    with pytest.raises(FormatError, match=r"a\.fits: 5 frames, but the header is of an exposure of 3"):
        Frames.read(path)
    assert len(Frames.read(path, angles=np.arange(5))) == 5


def test_fewer_frames_than_the_exposure_had_are_warned_of(tmp_path):
    path = exposure(tmp_path / "a.fits", count=2)
    with pytest.warns(GeometryWarning, match="2 frames of an exposure of 3"):
        frames = Frames.read(path)
    np.testing.assert_allclose(frames.angles, np.array([31.5, 34.5]) - OFFSET)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"angle_sign": 2}, "'angle_sign' must be one of 1, -1, got 2"),
        ({"true_north": np.nan}, "'true_north' must be a finite number"),
        ({"pupil_offset": np.inf}, "'pupil_offset' must be a finite number"),
        ({"angles": 1.0, "true_north": 0.5}, "'true_north' must be left out beside 'angles' or 'angle_key'"),
        ({"angle_key": "ESO ADA POSANG", "angle_sign": -1}, "'angle_sign' must be left out beside"),
        ({"angles": 1.0, "angle_key": "ESO ADA POSANG"}, "'angles' must be given in one way"),
        ({"dq_bits": 1}, "'dq_bits' must be left out: format 'naco' has center, angles"),
    ],
)
def test_options_that_do_not_fit_are_errors(path, options, message):
    with pytest.raises(ValueError, match=message):
        Frames.read(path, **options)


def test_a_pupil_offset_means_nothing_in_field_tracking(tmp_path):
    path = exposure(tmp_path / "a.fits", tracking=FIELD_TRACKING)
    with pytest.raises(ValueError, match="'pupil_offset' must be left out for field tracking"):
        Frames.read(path, pupil_offset=1.0)


def test_an_image_of_four_axes_is_told_of(tmp_path):
    with pytest.raises(ValueError, match=r"a\.fits"):
        Frames.read(exposure(tmp_path / "a.fits", np.ones((2, 3, 5, 5))))


def test_a_cube_without_the_keywords_of_an_exposure_is_read_as_any_fits(tmp_path):
    path = exposure(tmp_path / "a.fits", leave_out=tuple(PUPIL_TRACKING))
    assert Frames.read(path).angles is None


def test_the_planet_of_beta_pictoris_is_where_it_was(realdata, tmp_path):
    """The rotator's offset of Absil+ 2013, 104.84°, is PUPILPOS = 74.60; true north 0.45; the planet at 210.9°."""
    folder = realdata / "hci_naco_betapic"
    planet = fits.getdata(folder / "naco_betapic_cube.fits") - fits.getdata(folder / "naco_betapic_noplanet_cube.fits")
    parang = fits.getdata(folder / "naco_betapic_pa.fits").ravel()
    found = []
    for i in range(0, len(planet), 12):
        ends = {"TEL PARANG START": parang[i] - 0.1, "TEL PARANG END": parang[i] + 0.1, "DET NDIT": 1}
        path = exposure(tmp_path / f"{i}.fits", planet[i], **ends)
        frames = Frames.read(path, center=(51.2, 51.05), true_north=0.45)
        found.append(to_sky(frames.data[0], frames.geometry, 0))
    mean = np.mean(np.nan_to_num(found), axis=0)
    x, y = centroid(np.where(mean > mean.max() / 2, mean, 0))
    assert np.hypot(x - 50, y - 50) == pytest.approx(16.45, abs=0.2)
    assert np.rad2deg(np.arctan2(50 - x, y - 50)) % 360 == pytest.approx(210.9, abs=0.7)
