import numpy as np
import pytest
from imaging_helpers import write_cube


def test_frames_are_described(astronmf, files):
    outcome = astronmf("info", files / "science.fits")
    outcome.assert_done()
    for words in (
        "frames",
        "4 of 33 x 33 pixels",
        "MJy / sr",
        "1σ a pixel",
        "(16, 16) from 0",
        "0.063 arcsec",
        "131.00",
    ):
        assert words in outcome.out


def test_what_frames_do_not_have_is_said(astronmf, tmp_path):
    outcome = astronmf("info", write_cube(tmp_path / "a.fits", np.zeros((3, 9, 9))))
    outcome.assert_done()
    assert outcome.out.count("unknown") == 2
    assert outcome.out.count("none") == 2


def test_frames_of_even_size_are_described_though_their_centre_is_unknown(astronmf, tmp_path):
    outcome = astronmf("info", write_cube(tmp_path / "a.fits", np.zeros((3, 8, 8))))
    outcome.assert_done()
    assert "3 of 8 x 8 pixels" in outcome.out


def test_components_are_described(astronmf, basis):
    outcome = astronmf("info", basis)
    outcome.assert_done()
    for words in ("holds", "components", "3 of 33 x 33 pixels", "χ²/N", "1/σ² of the references", "one.fits (sha256"):
        assert words in outcome.out


def test_a_reduction_is_described(astronmf, reduced):
    outcome = astronmf("info", reduced)
    outcome.assert_done()
    for words in ("a reduction", "3 from 9 reference frames", "χ²/N", "command", "science.fits (sha256"):
        assert words in outcome.out


@pytest.mark.parametrize("name", ["text.fits", "cut.fits", "nothing.fits", "angles.txt"])
def test_what_cannot_be_read_is_one_line(astronmf, files, name):
    astronmf("info", files / name).assert_failed_in_one_line(name)


def test_a_folder_is_one_line(astronmf, files):
    astronmf("info", files).assert_failed_in_one_line(str(files))
