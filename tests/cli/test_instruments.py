"""Options that say how an instrument's files are read: flags by name, and mapping files."""

import numpy as np
import pytest
from astropy.io import fits
from imaging_helpers import ANGLES, observe, write_hdus

from astronmf import Components
from astronmf.imaging import Reduction

MAPPING = """
[data]
extension = "FLUX"
[error]
extension = "IVAR"
kind = "inverse variance"
[flags]
extension = "QUALITY"
names = { HOT = 1, COSMIC = 2 }
bits = "HOT"
[angle]
key = "ROTPA"
sign = -1
[frames]
reference_key = "ROLE"
reference_value = "calibrator"
"""


def odd_file(path, data, sigma, **cards):
    """Write frames in a layout that only the mapping knows, with a hot pixel and a cosmic ray."""
    flux = fits.ImageHDU(data, name="FLUX")
    flux.header.update(cards)
    quality = np.zeros(data.shape, "u1")
    quality[:, 3, 4], quality[:, 5, 6] = 1, 2
    return write_hdus(path, flux, fits.ImageHDU(1 / sigma**2, name="IVAR"), fits.ImageHDU(quality, name="QUALITY"))


@pytest.fixture
def night(tmp_path):
    """Return a folder with a mapping, files of the science target, one an angle, and one of a reference star."""
    seen = observe()
    (tmp_path / "odd.toml").write_text(MAPPING)
    for i, angle in enumerate(ANGLES):
        path = tmp_path / f"science{i}.fits"
        odd_file(path, seen.science[i : i + 1], seen.science_sigma[i : i + 1], ROTPA=-angle, ROLE="target")
    odd_file(tmp_path / "star.fits", seen.references, seen.reference_sigma, ROTPA=0.0, ROLE="calibrator")
    return tmp_path


def masked_at(path):
    """Return at which of the two flagged pixels a reduction's science frames are masked."""
    return [bool(Reduction.read(path).science.mask[:, y, x].all()) for y, x in ((3, 4), (5, 6))]


def test_a_mapping_tells_the_command_line_what_is_where(astronmf, night):
    science = [night / f"science{i}.fits" for i in range(4)]
    outcome = astronmf(
        "reduce", *science, night / "star.fits", "--mapping", night / "odd.toml", "-k", 2, "-o", night / "out.fits"
    )
    outcome.assert_done()
    result = Reduction.read(night / "out.fits")
    np.testing.assert_array_equal(result.science.angles, ANGLES)
    assert len(result.components.coefficients) == 8
    assert masked_at(night / "out.fits") == [True, False]
    assert "odd.toml" in [item["name"] for item in result.meta["inputs"]]


def test_flags_chosen_by_name_stand_above_the_mapping(astronmf, night):
    options = ("--mapping", night / "odd.toml", "--dq-bits", "HOT,COSMIC", "-k", 2)
    files = (night / "science0.fits", night / "star.fits")
    astronmf("reduce", *files, *options, "-o", night / "out.fits").assert_done()
    assert masked_at(night / "out.fits") == [True, True]
    astronmf("components", night / "star.fits", *options, "-o", night / "basis.fits").assert_done()
    basis = Components.read(night / "basis.fits")
    assert (basis.mask[3, 4], basis.mask[5, 6], basis.mask[7, 8]) == (True, True, False)


def test_a_mistake_in_a_mapping_is_told_in_one_line(astronmf, night):
    (night / "wrong.toml").write_text("[data]\nextention = 'FLUX'\n")
    command = ("components", night / "star.fits", "-k", 2, "-o", night / "out.fits", "--mapping")
    astronmf(*command, night / "wrong.toml").assert_failed_in_one_line("wrong.toml: no key in [data] is called", "axes")
    astronmf(*command, night / "none.toml").assert_failed_in_one_line("none.toml: no such file")
    assert not (night / "out.fits").exists()


@pytest.fixture
def calints(tmp_path):
    """Return JWST frames of a reference star whose pixels have flags."""
    seen = observe()
    flags = np.zeros(seen.references.shape, np.uint32)
    flags[:, 3, 4:7] = [1, 4, 2048]
    primary = fits.PrimaryHDU()
    primary.header.update({"TELESCOP": "JWST", "INSTRUME": "NIRCAM", "TARGPROP": "HD 1", "IS_PSF": True})
    science = fits.ImageHDU(seen.references, name="SCI")
    science.header["ROLL_REF"] = 0.0
    others = [fits.ImageHDU(seen.reference_sigma, name="ERR"), fits.ImageHDU(flags, name="DQ")]
    return write_hdus(tmp_path / "calints.fits", primary, science, *others)


@pytest.mark.parametrize(
    ("choice", "masked"),
    [
        ((), [True, False, False]),
        (("--dq-bits", "4"), [False, True, False]),
        (("--dq-bits", 5), [True, True, False]),
        (("--dq-bits", "JUMP_DET"), [False, True, False]),
        (("--dq-bits", "do_not_use,HOT"), [True, False, True]),
        (("--dq-bits", "~DO_NOT_USE"), [False, True, True]),
        (("--dq-bits", "none"), [False, False, False]),
    ],
)
def test_flags_are_chosen_by_bits_or_names(astronmf, calints, tmp_path, choice, masked):
    astronmf("components", calints, "-k", 2, "-o", tmp_path / "basis.fits", *choice).assert_done()
    assert Components.read(tmp_path / "basis.fits").mask[3, 4:7].tolist() == masked


def test_a_flag_that_is_not_known_is_told_in_one_line(astronmf, calints, tmp_path):
    outcome = astronmf("components", calints, "-k", 2, "-o", tmp_path / "basis.fits", "--dq-bits", "HOTPIX")
    outcome.assert_failed_in_one_line("'dq_bits' must be an integer, or names of flags (DO_NOT_USE", "got 'HOTPIX'")
