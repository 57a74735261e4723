import json

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable
from detection_helpers import FWHM, HOW, POINT, observed, with_companions
from imaging_helpers import files_in

from astronmf.imaging import Reduction, find_companions, reduce
from astronmf.imaging.detection import detect

PLANET = (9.3, 200.0, 60.0)
OUTPUTS = ("found.ecsv", "found.png", "map.fits")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with reductions with a planet, by other stars and by rotation, one without, and PSFs."""
    folder = tmp_path_factory.mktemp("detect")
    observation = observed()
    frames = with_companions(observation.science_frames(), PLANET)
    reduce(frames, observation.reference_frames(), **HOW).write(folder / "planet.fits")
    reduce(frames, mode="adi", **HOW).write(folder / "adi.fits")
    reduce(frames, observation.reference_frames(), mode="ardi", **HOW).write(folder / "ardi.fits")
    reduce(observation.science_frames(), observation.reference_frames(), **HOW).write(folder / "nothing.fits")
    frames.write(folder / "frames.fits")
    fits.writeto(folder / "psf.fits", POINT.data)
    fits.writeto(folder / "stack.fits", np.stack([POINT.data] * 3).astype("f4"))
    fits.writeto(folder / "flat.fits", np.ones(20))
    (folder / "text.fits").write_text("not FITS\n")
    return folder


@pytest.fixture
def find(astronmf, folder):
    """Return a function that looks for companions in a file, with further options."""

    def run(*options, reduction="planet.fits", psf="psf.fits"):
        return astronmf("detect", folder / reduction, "--psf", folder / psf, *options)

    return run


@pytest.mark.parametrize("name", ["planet.fits", "adi.fits"])
def test_the_command_does_what_the_library_does(find, folder, tmp_path, name):
    find("-o", tmp_path / "found.ecsv", "--fwhm", 3, "--star-flux", 1e5, reduction=name).assert_done()
    expected = find_companions(Reduction.read(folder / name), POINT, star_flux=1e5, max_reductions=6).table
    found = QTable.read(tmp_path / "found.ecsv")
    assert found.colnames == expected.colnames
    for column in expected.colnames:
        np.testing.assert_allclose(np.asarray(found[column]), np.asarray(expected[column]), rtol=1e-6)
    assert found["flux"].unit == expected["flux"].unit
    assert abs(found["flux"][0].value - PLANET[2]) < 4 * found["flux_error"][0].value
    assert found["n_reductions"][0] > 0


def test_the_companions_are_listed(find):
    outcome = find("--star-flux", 1e5)
    outcome.assert_done()
    for words in ("1 above 5 sigma", "separation [mas]", "PA [deg]", "flux [MJy / sr]", "contrast", "e-4", "S/N", "±"):
        assert words in outcome.out
    assert outcome.err == ""


def test_where_nothing_is_found_the_most_significant_place_is_told(find, tmp_path):
    outcome = find("-o", tmp_path / "found.ecsv", reduction="nothing.fits")
    outcome.assert_done()
    assert "0 above 5 sigma" in outcome.out
    assert "the most significant place has" in outcome.out
    table = QTable.read(tmp_path / "found.ecsv")
    assert len(table) == 0
    assert {"x", "y", "flux", "snr", "position_angle_error"} <= set(table.colnames)


def test_the_table_says_how_it_was_made(find, tmp_path):
    find("-o", tmp_path / "found.ecsv", "--threshold", 4).assert_done()
    meta = QTable.read(tmp_path / "found.ecsv").meta
    assert (meta["threshold"], meta["method"]) == (4.0, "matched")
    assert meta["command"].startswith("astronmf")
    assert [item["role"] for item in meta["files"]] == ["reduction", "psf"]
    json.dumps(meta["files"])


def test_the_forward_model_alone_needs_no_reduction(find, tmp_path):
    find("-o", tmp_path / "found.ecsv", "--no-fit", reduction="adi.fits").assert_done()
    (row,) = QTable.read(tmp_path / "found.ecsv")
    assert row["n_reductions"] == 0
    assert np.isnan(row["flux_left"])


def test_a_file_without_the_reference_frames_is_not_reduced_again_unless_it_is_asked_for(find, tmp_path):
    find("-o", tmp_path / "found.ecsv", reduction="ardi.fits").assert_done()
    assert QTable.read(tmp_path / "found.ecsv")["n_reductions"][0] == 0
    outcome = find("--fit", reduction="ardi.fits")
    outcome.assert_failed_in_one_line("'max_reductions' must be 0 where the frames of the reference stars are not")


def test_apertures_find_it_too(find, folder, tmp_path):
    find("-o", tmp_path / "found.ecsv", "--method", "aperture", "--fwhm", 3).assert_done()
    found = QTable.read(tmp_path / "found.ecsv")
    expected = detect(Reduction.read(folder / "planet.fits"), POINT)
    np.testing.assert_allclose(found["flux"].value, expected["flux"].value, rtol=1e-6)
    assert found.meta["method"] == "aperture"


@pytest.mark.parametrize("method", ["matched", "aperture"])
def test_map_and_figure_are_written(find, folder, tmp_path, method):
    options = ("--map", tmp_path / "map.fits", "--plot", tmp_path / "found.png", "--method", method)
    find(*options, "-o", tmp_path / "found.ecsv").assert_done()
    assert files_in(tmp_path) == sorted(OUTPUTS)
    assert (tmp_path / "found.png").read_bytes().startswith(b"\x89PNG")
    with fits.open(tmp_path / "map.fits", checksum=True) as hdus:
        sigma, header = hdus[0].data, hdus[0].header
    (row,) = QTable.read(tmp_path / "found.ecsv")
    assert sigma.shape == Reduction.read(folder / "planet.fits").combined.shape
    assert sigma[round(row["y"].value), round(row["x"].value)] > 5
    assert header["CONTENT"] == "significance in sigma"
    assert header["COMMAND"].startswith("astronmf")
    assert (header["CRPIX1"], header["CUNIT1"]) == (17, "arcsec")


def test_a_stack_of_images_is_a_psf_too(find, tmp_path):
    find("-o", tmp_path / "one.ecsv").assert_done()
    find("-o", tmp_path / "other.ecsv", psf="stack.fits").assert_done()
    one, other = (QTable.read(tmp_path / name) for name in ("one.ecsv", "other.ecsv"))
    np.testing.assert_allclose(one["flux"].value, other["flux"].value, rtol=1e-4)


def test_the_most_companions_and_the_smearing_are_passed_on(find, tmp_path):
    find("-o", tmp_path / "found.ecsv", "--max-companions", 1, "--smearing", "angles").assert_done()
    smeared = QTable.read(tmp_path / "found.ecsv")
    find("-o", tmp_path / "ten.ecsv", "--smearing", 10).assert_done()
    assert smeared["flux"][0].value == pytest.approx(QTable.read(tmp_path / "ten.ecsv")["flux"][0].value, rel=1e-6)
    find("-o", tmp_path / "sharp.ecsv").assert_done()
    assert smeared["flux"][0].value > 1.02 * QTable.read(tmp_path / "sharp.ecsv")["flux"][0].value


WRONG = {
    "threshold": (["--threshold", 0.2], "'threshold' must be a number in [1.0, inf], got 0.2"),
    "method": (["--method", "eye"], "'method' must be one of 'matched', 'aperture', got 'eye'"),
    "smearing": (["--smearing", "much"], "'smearing' must be degrees, or 'angles', got 'much'"),
    "star": (["--star-flux", 0], "'star_flux' must be a number above 0"),
    "aperture": (["--method", "aperture", "--star-flux", 3], "'method' must be 'matched' with '--star-flux'"),
    "aperture, fit": (["--method", "aperture", "--no-fit"], "'method' must be 'matched' with '--fit'"),
    "width": (["--fwhm", 0.1], "'fwhm' must be a number in"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_wrong_options_are_one_line(find, options, message):
    find(*options).assert_failed_in_one_line(message)


@pytest.mark.parametrize("name", ["text.fits", "flat.fits", "nowhere.fits"])
def test_what_is_no_psf_is_one_line(find, name):
    find(psf=name).assert_failed_in_one_line(name)


@pytest.mark.parametrize("name", ["text.fits", "frames.fits", "nowhere.fits"])
def test_what_is_no_reduction_is_one_line(find, name):
    find(reduction=name).assert_failed_in_one_line(name)


def test_the_table_s_name_is_that_of_a_table(find, tmp_path):
    find("-o", tmp_path / "found.csv").assert_failed_in_one_line("a table's name ends in .ecsv")


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_file_that_is_there_is_kept_and_told_of_before_the_work(find, tmp_path, monkeypatch, name):
    monkeypatch.setattr("astronmf.imaging.Reduction.read", lambda *_: pytest.fail("the work had begun"))
    (tmp_path / name).write_text("mine")
    options = ("-o", tmp_path / OUTPUTS[0], "--plot", tmp_path / OUTPUTS[1], "--map", tmp_path / OUTPUTS[2])
    find(*options).assert_failed_in_one_line(f"{name} exists; ask for overwriting to replace it")
    assert files_in(tmp_path) == [name]


def test_files_that_are_there_are_replaced_where_it_is_asked_for(find, tmp_path):
    for name in OUTPUTS:
        (tmp_path / name).write_text("mine")
    options = ("-o", tmp_path / OUTPUTS[0], "--plot", tmp_path / OUTPUTS[1], "--map", tmp_path / OUTPUTS[2])
    find(*options, "--overwrite").assert_done()
    assert files_in(tmp_path) == sorted(OUTPUTS)
    assert all((tmp_path / name).stat().st_size > 1000 for name in OUTPUTS)


def test_an_input_is_never_written_over(find, folder):
    find("--map", folder / "planet.fits", "--overwrite").assert_failed_in_one_line("planet.fits: is an input too")


def test_the_width_is_measured_where_it_is_not_given(find, tmp_path):
    find("-o", tmp_path / "found.ecsv").assert_done()
    assert QTable.read(tmp_path / "found.ecsv").meta["fwhm"] == pytest.approx(FWHM, rel=0.02)


def test_the_core_of_the_psf_is_used_and_the_star_s_flux_is_that_within_it(find, folder, tmp_path):
    find("-o", tmp_path / "found.ecsv", "--fwhm", 3, "--star-flux", 1e5, "--psf-size", 7, "--no-fit").assert_done()
    core = POINT.cut(7)
    star = 1e5 * core.flux / POINT.flux
    expected = find_companions(Reduction.read(folder / "planet.fits"), core, star_flux=star).table
    found = QTable.read(tmp_path / "found.ecsv")
    for column in ("flux", "contrast", "snr", "x"):
        np.testing.assert_allclose(np.asarray(found[column]), np.asarray(expected[column]), rtol=1e-6)


def test_an_even_core_is_an_error(find):
    find("--psf-size", 6).assert_failed_in_one_line("'size' must be odd")
