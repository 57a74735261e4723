import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from detection_helpers import reduced
from imaging_helpers import PIXEL_SCALE, files_in

from astronmf.io.maps import write_map

IMAGE = np.random.default_rng(1).normal(size=(33, 33))


def test_a_map_has_the_reduction_s_place_on_the_sky(tmp_path):
    write_map(reduced("rdi"), IMAGE, tmp_path / "map.fits", "flux", unit=u.MJy / u.sr, command="astronmf é")
    with fits.open(tmp_path / "map.fits", checksum=True) as hdus:
        header = hdus[0].header
        np.testing.assert_array_equal(hdus[0].data, IMAGE)
    assert (header["CONTENT"], header["BUNIT"]) == ("flux", "MJy sr-1")
    assert header["COMMAND"].isascii()
    east, north = WCS(header).pixel_to_world_values(15, 18)
    assert (east, north) == (pytest.approx(PIXEL_SCALE), pytest.approx(2 * PIXEL_SCALE))


def test_a_file_that_is_there_is_kept(tmp_path):
    (tmp_path / "map.fits").write_text("mine")
    with pytest.raises(FileExistsError, match="ask for overwriting"):
        write_map(reduced("rdi"), IMAGE, tmp_path / "map.fits", "flux")
    write_map(reduced("rdi"), IMAGE, tmp_path / "map.fits", "flux", overwrite=True)
    assert files_in(tmp_path) == ["map.fits"]
    assert "BUNIT" not in fits.getheader(tmp_path / "map.fits")
