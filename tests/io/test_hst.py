"""Headers as in the STIS Data Handbook and the NICMOS Data Handbook, "File structure" and "Headers, keywords"."""

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from imaging_helpers import write_hdus
from instrument_helpers import CENTER, SHAPE, assert_at, cd_matrix, image_of_source, sky_cards

from astronmf.exceptions import FormatError, GeometryWarning
from astronmf.imaging import Frames
from astronmf.io.dq import NICMOS, STIS
from astronmf.io.files import sha256

STIS_PRIMARY = {
    "TELESCOP": "HST",
    "INSTRUME": "STIS",
    "ROOTNAME": "o4xh01010",
    "TARGNAME": "HD-181327",
    "APERTURE": "WEDGEA1.0",
    "FILTER": "Clear",
    "PLATESC": 0.05072,
}
NICMOS_PRIMARY = {
    "TELESCOP": "HST",
    "INSTRUME": "NICMOS",
    "ROOTNAME": "n8zu01010",
    "TARGNAME": "HD-181327",
    "APERTURE": "NIC2-CORON",
    "FILTER": "F110W",
    "CAMERA": 2,
}
STIS_ANGLES = (40.0, 43.0)
NICMOS_ANGLE = -120.0


def science_cards(angle, scale=0.05072, parity=1, **more):
    return sky_cards() | cd_matrix(angle, scale, parity) | {"ORIENTAT": angle} | more


def one_set(version, sci, cards, *, err=None, dq=None, leave_out=()):
    """Return SCI, ERR and DQ with one EXTVER."""
    err = np.full(sci.shape, 0.5) if err is None else err
    dq = np.zeros(sci.shape, "i2") if dq is None else dq
    hdus = [fits.ImageHDU(v, name=n) for n, v in (("SCI", sci), ("ERR", err), ("DQ", dq)) if n not in leave_out]
    for hdu in hdus:
        hdu.ver = version
    hdus[0].header.update(cards)
    return hdus


def write(path, primary, *sets):
    first = fits.PrimaryHDU()
    first.header.update(primary)
    return write_hdus(path, first, *(hdu for one in sets for hdu in one))


def stis_cards(angle, **more):
    return science_cards(angle, BUNIT="COUNTS", **({"EXPTIME": 60.0, "SDQFLAGS": 31743} | more))


def stis(path, images=None, *, primary=STIS_PRIMARY, more=({}, {}), **arrays):
    """Write a file of two CR-SPLIT exposures; return its path."""
    images = [np.ones(SHAPE, "f4"), np.full(SHAPE, 2, "f4")] if images is None else images
    sets = [
        one_set(i + 1, image, stis_cards(angle, **card), **arrays)
        for i, (image, angle, card) in enumerate(zip(images, STIS_ANGLES, more, strict=False))
    ]
    return write(path, primary, *sets)


def nicmos(path, image=None, *, parity=1, primary=NICMOS_PRIMARY, sets=1, **arrays):
    """Write a file of calnica: SCI, ERR, DQ, SAMP, TIME, the last as the one value that all its pixels have."""
    image = np.ones(SHAPE, "f4") if image is None else image
    cards = science_cards(NICMOS_ANGLE, 0.0757, parity, BUNIT="COUNTS/S", EXPTIME=200.0)
    made = [one_set(i + 1, image, cards, **arrays) for i in range(sets)]
    time = fits.ImageHDU(name="TIME")
    time.header.update({"PIXVALUE": 200.0, "NPIX1": SHAPE[1], "NPIX2": SHAPE[0]})
    return write(path, primary, *made, [fits.ImageHDU(np.full(SHAPE, 25, "i2"), name="SAMP"), time])


@pytest.fixture
def path(tmp_path):
    return stis(tmp_path / "o4xh01010_flt.fits")


def test_every_set_of_extensions_is_a_frame(path):
    frames = Frames.read(path, center=CENTER)
    assert frames.data[:, 0, 0].tolist() == [1, 2]
    assert frames.data.dtype == np.float32
    assert (frames.sigma == 0.5).all()
    assert not frames.mask.any()
    assert frames.unit == u.ct
    assert frames.names == ["HD-181327 o4xh01010 0", "HD-181327 o4xh01010 1"]


def test_geometry_comes_from_each_header(path):
    frames = Frames.read(path, center=CENTER)
    assert frames.angles.tolist() == list(STIS_ANGLES)
    assert frames.geometry.pixel_scale == pytest.approx(0.05072)
    assert frames.geometry.parity == 1
    kept = {"object": "HD-181327", "instrument": "STIS", "aperture": "WEDGEA1.0", "filter": "Clear"}
    assert {name: frames.meta[name] for name in kept} == kept
    assert frames.meta["angle_key"] == "ORIENTAT"
    assert frames.meta["exposure_times"] == [60.0, 60.0]
    assert frames.meta["inputs"] == [{"name": path.name, "sha256": sha256(path)}]


@pytest.mark.parametrize("reader", [stis, nicmos])
def test_the_reference_pixel_is_taken_for_the_star_only_with_a_warning(tmp_path, reader):
    with pytest.warns(GeometryWarning, match=r"CRPIX, \(x, y\) = \(23\.0, 22\.0\) from 0, .*give 'center'"):
        frames = Frames.read(reader(tmp_path / "a.fits"))
    assert frames.geometry.center == CENTER
    assert Frames.read(tmp_path / "a.fits", center=(10, 11)).geometry.center == (10.0, 11.0)


@pytest.mark.parametrize("position_angle", [0.0, 75.0, 200.0, 310.0])
def test_a_source_ends_at_its_position_angle(tmp_path, position_angle):
    images = [image_of_source(stis_cards(angle), position_angle, 15 * 0.05072) for angle in STIS_ANGLES]
    assert_at(Frames.read(stis(tmp_path / "a.fits", images), center=CENTER), position_angle)
    for parity in (1, -1):
        image = image_of_source(science_cards(NICMOS_ANGLE, 0.0757, parity), position_angle, 15 * 0.0757)
        frames = Frames.read(nicmos(tmp_path / f"{parity}.fits", image, parity=parity), center=CENTER)
        assert frames.geometry.parity == parity
        assert_at(frames, position_angle)


@pytest.mark.parametrize("parity", [1, -1])
def test_without_orientat_the_cd_matrix_tells_the_angle(tmp_path, parity):
    cards = science_cards(NICMOS_ANGLE, 0.0757, parity)
    del cards["ORIENTAT"]
    path = write(tmp_path / "a.fits", NICMOS_PRIMARY, one_set(1, np.ones(SHAPE), cards))
    frames = Frames.read(path, center=CENTER)
    assert frames.angles.tolist() == [pytest.approx(NICMOS_ANGLE)]
    assert frames.meta["angle_key"] == "CD matrix"


def test_without_a_cd_matrix_the_plate_scale_is_used(tmp_path):
    path = write(tmp_path / "a.fits", STIS_PRIMARY, one_set(1, np.ones(SHAPE), {"ORIENTAT": 5.0}))
    geometry = Frames.read(path, center=CENTER).geometry
    assert (geometry.pixel_scale, geometry.parity, geometry.angles.tolist()) == (0.05072, 1, [5.0])
    given = Frames.read(path, center=CENTER, pixel_scale=0.06, parity=-1, angles=7.0)
    assert (given.geometry.pixel_scale, given.geometry.parity, given.angles.tolist()) == (0.06, -1, [7.0])
    assert given.meta["angle_key"] == "given"


def test_an_image_without_any_angle_is_an_error(tmp_path):
    path = write(tmp_path / "a.fits", NICMOS_PRIMARY, one_set(1, np.ones(SHAPE), {}))
    with pytest.raises(FormatError, match=r"a\.fits: SCI has neither ORIENTAT nor a CD matrix; give 'angles'"):
        Frames.read(path, center=CENTER)
    assert Frames.read(path, angles=3.0).geometry.center == CENTER  # odd size, and no CRPIX to doubt
    assert Frames.read(path, angles=3.0).geometry.pixel_scale is None


def test_another_keyword_may_hold_the_angle_of_each_frame(tmp_path):
    path = stis(tmp_path / "a.fits", more=({"PA_APER": 1.0}, {"PA_APER": 2.0}))
    assert Frames.read(path, center=CENTER, angle_key="PA_APER").angles.tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match="'angle_key' must be a keyword of the header, got 'PA'"):
        Frames.read(path, center=CENTER, angle_key="PA")
    with pytest.raises(ValueError, match="'angles' must be given in one way"):
        Frames.read(path, center=CENTER, angle_key="PA_APER", angles=1.0)


def every_flag(names):
    flags = np.zeros(SHAPE, np.int16)
    flags[0, : len(names)] = np.array(list(names.values()), dtype=np.uint16).astype(np.int16)
    return flags


def excluded(frames, names):
    return {name for name, masked in zip(names, frames.mask[0, 0, : len(names)], strict=True) if masked}


def test_stis_excludes_its_serious_flags(tmp_path):
    path = stis(tmp_path / "a.fits", dq=every_flag(STIS), more=({}, {}))
    assert excluded(Frames.read(path, center=CENTER), STIS) == set(STIS) - {"SMALLBLEM"}
    fewer = stis(tmp_path / "b.fits", dq=every_flag(STIS), more=({"SDQFLAGS": 16 + 256}, {}))
    assert excluded(Frames.read(fewer, center=CENTER), STIS) == {"HOTPIX", "SATPIXEL"}
    asked = Frames.read(path, center=CENTER, dq_bits="HOTPIX,SATPIXEL,DATAREJECT")
    assert excluded(asked, STIS) == {"HOTPIX", "SATPIXEL", "DATAREJECT"}
    unsaid = stis(tmp_path / "c.fits", dq=every_flag(STIS))
    for version in (1, 2):
        fits.delval(unsaid, "SDQFLAGS", ext=("SCI", version))
    assert excluded(Frames.read(unsaid, center=CENTER), STIS) == set(STIS) - {"SMALLBLEM"}


def test_nicmos_excludes_all_but_signal_and_the_user_s_flags(tmp_path):
    path = nicmos(tmp_path / "a.fits", dq=every_flag(NICMOS))
    kept = {"SOURCE", "ZEROSIG", "USER1", "USER2", "HIGH_CURVATURE", "RESERVED2"}
    assert excluded(Frames.read(path, center=CENTER), NICMOS) == set(NICMOS) - kept
    assert excluded(Frames.read(path, center=CENTER, dq_bits=["GROT", "SOURCE"]), NICMOS) == {"GROT", "SOURCE"}
    with pytest.raises(ValueError, match=r"'dq_bits' must be an integer, or names of flags \(REED_SOL"):
        Frames.read(path, center=CENTER, dq_bits="HOTPIX")


def test_nicmos_is_in_counts_a_second(tmp_path):
    frames = Frames.read(nicmos(tmp_path / "a.fits"), center=CENTER)
    assert frames.unit == u.ct / u.s
    assert frames.geometry.pixel_scale == pytest.approx(0.0757)
    assert frames.names == ["HD-181327 n8zu01010"]


def test_an_array_that_was_left_out_because_its_values_are_equal_is_understood(tmp_path):
    sets = one_set(1, np.ones(SHAPE), science_cards(1.0), leave_out=("ERR", "DQ"))
    for name, value in (("ERR", 0.25), ("DQ", 0)):
        hdu = fits.ImageHDU(name=name)
        hdu.header.update({"PIXVALUE": value, "NPIX1": SHAPE[1], "NPIX2": SHAPE[0]})
        sets.append(hdu)
    frames = Frames.read(write(tmp_path / "a.fits", NICMOS_PRIMARY, sets), center=CENTER)
    assert (frames.sigma == 0.25).all()
    assert not frames.mask.any()


def test_errors_that_are_all_zero_are_not_known(tmp_path):
    path = stis(tmp_path / "a.fits", err=np.zeros(SHAPE))
    frames = Frames.read(path, center=CENTER)
    assert frames.sigma is None
    assert not frames.mask.any()


def test_a_file_of_sci_alone_has_neither_errors_nor_mask(tmp_path):
    frames = Frames.read(stis(tmp_path / "a.fits", leave_out=("ERR", "DQ")), center=CENTER)
    assert frames.sigma is None
    assert not frames.mask.any()


def test_counts_become_rates_by_each_frame_s_exposure(tmp_path):
    path = stis(tmp_path / "a.fits", more=({"EXPTIME": 2.0}, {"EXPTIME": 8.0}))
    frames = Frames.read(path, center=CENTER, per_second=True)
    assert frames.data[:, 0, 0].tolist() == [0.5, 0.25]
    assert frames.sigma[:, 0, 0].tolist() == [0.25, 0.0625]
    assert frames.unit == u.ct / u.s
    assert frames.data.dtype == np.float32


def test_rates_cannot_become_rates_nor_can_counts_of_no_time(tmp_path):
    with pytest.raises(ValueError, match=r"'per_second' must be left out: .*a\.fits is not in counts"):
        Frames.read(nicmos(tmp_path / "a.fits"), center=CENTER, per_second=True)
    with pytest.raises(FormatError, match=r"b\.fits: EXPTIME must be above 0 for every frame, got \[0\.0, 60\.0\]"):
        Frames.read(stis(tmp_path / "b.fits", more=({"EXPTIME": 0.0}, {})), center=CENTER, per_second=True)


def test_the_reads_of_a_nicmos_exposure_are_not_frames(tmp_path):
    with pytest.raises(FormatError, match=r"a\.fits: 3 sets of extensions are the reads of one .*_cal"):
        Frames.read(nicmos(tmp_path / "a.fits", sets=3))


def test_a_file_without_sci_is_told_of(tmp_path):
    path = write(tmp_path / "a.fits", STIS_PRIMARY, [fits.ImageHDU(np.ones(SHAPE), name="EVENTS")])
    with pytest.raises(FormatError, match=r"a\.fits: an image of HST has an extension SCI, this file has none"):
        Frames.read(path)


def test_frames_of_different_sizes_are_told_of(tmp_path):
    with pytest.raises(FormatError, match=r"a\.fits: every SCI must be .* of the same size, got .5, 5., .45, 47."):
        Frames.read(stis(tmp_path / "a.fits", [np.ones(SHAPE), np.ones((5, 5))]))
    with pytest.raises(FormatError, match=r"b\.fits: every SCI must be an image"):
        Frames.read(stis(tmp_path / "b.fits", [np.ones((2, 5, 5))]))


@pytest.mark.parametrize("name", ["ERR", "DQ"])
def test_errors_and_flags_of_another_shape_are_told_of(tmp_path, name):
    path = stis(tmp_path / "a.fits", **{name.lower(): np.ones((3, 3), "i2")})
    with pytest.raises(FormatError, match=rf"a\.fits: {name} 1 must have the shape of SCI, \(45, 47\), got \(3, 3\)"):
        Frames.read(path)


@pytest.mark.parametrize("name", ["ERR", "DQ"])
def test_a_set_that_is_not_complete_is_told_of(tmp_path, name):
    sets = [one_set(1, np.ones(SHAPE), {}), one_set(2, np.ones(SHAPE), {}, leave_out=(name,))]
    with pytest.raises(FormatError, match=rf"a\.fits: SCI 2 has no {name} of the same EXTVER"):
        Frames.read(write(tmp_path / "a.fits", STIS_PRIMARY, *sets))


def test_a_spectrum_is_not_an_image(tmp_path):
    path = stis(tmp_path / "a.fits", primary=STIS_PRIMARY | {"OBSTYPE": "SPECTROSCOPIC"})
    with pytest.raises(FormatError, match=r"a\.fits: a spectrum \(OBSTYPE\), not an image"):
        Frames.read(path)


def test_another_camera_of_hst_is_read_as_any_fits_and_not_by_name(tmp_path):
    path = write(tmp_path / "a.fits", STIS_PRIMARY | {"INSTRUME": "WFC3"}, one_set(1, np.ones(SHAPE), {}))
    assert Frames.read(path).angles is None
    with pytest.raises(FormatError, match=r"a\.fits: INSTRUME must be STIS or NICMOS, got 'WFC3'"):
        Frames.read(path, format="hst")
