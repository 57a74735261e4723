import numpy as np
import pytest
import rotation_helpers
from astropy.io import fits
from astropy.table import QTable
from imaging_helpers import disc, files_in

from astronmf.imaging import Reduction, inject, reduce
from astronmf.imaging.companions import companion_table
from astronmf.imaging.detection import completeness, contrast_curve
from astronmf.imaging.detection.search import find_companions

POINT, THREE = rotation_helpers.POINT, rotation_helpers.THREE
STAR = ["--star-flux", 1e5]
QUICK = ["--position-angles", 1, "--companions", "none"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a reduction, one with a planet, and PSFs with and without a unit, not to be changed."""
    folder = tmp_path_factory.mktemp("contrast")
    frames = rotation_helpers.sequence().frames(unit="ct", pixel_scale=0.05)
    reduce(frames, mode="adi", **THREE).write(folder / "out.fits")
    planet = reduce(inject(frames, POINT, **rotation_helpers.PLANET, flux=200.0), mode="adi", **THREE)
    planet.write(folder / "planet.fits")
    companion_table(find_companions(planet, POINT).companions, planet).write(folder / "known.ecsv")
    fits.writeto(folder / "psf.fits", POINT.data)
    star = fits.PrimaryHDU(POINT.scaled(1e5 / POINT.flux).data)
    star.header["BUNIT"] = "ct"
    star.writeto(folder / "star.fits")
    region = disc((33, 33), *rotation_helpers.planet_place(), 5)
    fits.writeto(folder / "region.fits", region.astype("u1"))
    (folder / "text.fits").write_text("not FITS\n")
    return folder


@pytest.fixture
def measure(astronmf, folder, tmp_path):
    """Return a function that measures the limits of the reduction, with further options, into curve.ecsv."""

    def run(*options, reduction="out.fits", psf="psf.fits"):
        psf_option = ["--psf", folder / psf]
        return astronmf("contrast", folder / reduction, *psf_option, "-o", tmp_path / "curve.ecsv", *options)

    return run


def test_the_command_does_what_the_library_does(measure, folder, tmp_path):
    measure(*STAR, "--fwhm", 3, "--position-angles", 2, "--method", "aperture", "--sigma", 4).assert_done()
    given = {"star_flux": 1e5, "n_position_angles": 2, "method": "aperture", "sigma": 4.0}
    expected = contrast_curve(Reduction.read(folder / "out.fits"), POINT, **given)
    found = QTable.read(tmp_path / "curve.ecsv")
    np.testing.assert_allclose(found["contrast"], expected["contrast"])
    assert found.meta["command"].startswith("astronmf")
    assert [item["role"] for item in found.meta["files"]] == ["reduction", "psf"]
    assert files_in(tmp_path) == ["curve.ecsv"]


def test_the_call_of_the_design_needs_nothing_else(measure, tmp_path):
    measure(psf="star.fits").assert_done()
    found = QTable.read(tmp_path / "curve.ecsv")
    assert found.meta["star_flux"] == pytest.approx(1e5)
    assert np.isfinite(found["contrast"]).all()


def test_the_numbers_that_matter_are_printed(measure):
    outcome = measure(*STAR, *QUICK)
    words = (
        "star",
        "given",
        "FWHM 3 pixels",
        "companions taken off",
        "none",
        "throughput",
        "contrast at",
        "5 σ, matched",
    )
    for word in words:
        assert word in outcome.out
    assert outcome.err == ""


def test_the_fwhm_may_be_given(measure, tmp_path):
    measure(*STAR, *QUICK, "--fwhm", 3.5).assert_done()
    assert QTable.read(tmp_path / "curve.ecsv").meta["fwhm"] == 3.5


@pytest.mark.parametrize("known", ["find", "table"])
def test_companions_are_taken_off(measure, folder, tmp_path, known):
    option = folder / "known.ecsv" if known == "table" else known
    options = [*STAR, "--position-angles", 1, "--companions", option]
    outcome = measure(*options, reduction="planet.fits")
    outcome.assert_done()
    assert "9.0 pixels 70" in outcome.out
    assert len(QTable.read(tmp_path / "curve.ecsv").meta["companions"]) == 1


def test_a_region_may_be_excluded(measure, folder, tmp_path):
    measure(*STAR, *QUICK, "--exclude", folder / "region.fits").assert_done()
    assert QTable.read(tmp_path / "curve.ecsv").meta["excluded_pixels"] == fits.getdata(folder / "region.fits").sum()


@pytest.mark.parametrize("smearing", ["angles", "2.5"])
def test_the_sky_may_turn_within_exposures(measure, tmp_path, smearing):
    measure(*STAR, *QUICK, "--smearing", smearing).assert_done()
    assert str(QTable.read(tmp_path / "curve.ecsv").meta["smearing"]) == smearing


def test_figures_are_drawn_and_completeness_is_counted(measure, tmp_path, monkeypatch):
    monkeypatch.setattr(completeness, "APART", 16.0)  # one separation, and two contrasts, are enough here
    monkeypatch.setattr(completeness, "LEVELS", np.array([0.5, 2.0]))
    files = {name: tmp_path / name for name in ("curve.png", "map.ecsv", "map.png")}
    options = [
        "--plot",
        files["curve.png"],
        "--completeness",
        files["map.ecsv"],
        "--completeness-plot",
        files["map.png"],
    ]
    outcome = measure(*STAR, *QUICK, *options)
    outcome.assert_done()
    assert files_in(tmp_path) == ["curve.ecsv", "curve.png", "map.ecsv", "map.png"]
    for name in ("curve.png", "map.png"):
        assert files[name].read_bytes().startswith(b"\x89PNG")
    counts = QTable.read(files["map.ecsv"])
    assert counts["n_injected"].shape == (1, 2)
    assert counts.meta["threshold"] == 5.0
    assert "50 %, 95 % at" in outcome.out


FAILURES = {
    "no flux of the star": ([], "'star_flux' must be given"),
    "an unknown method": ([*STAR, "--method", "eye"], "'method' must be one of 'matched', 'aperture', got 'eye'"),
    "a table by another name": ([*STAR, "--completeness", "map.csv"], "map.csv: a table's name ends in .ecsv"),
    "a figure by another name": ([*STAR, "--plot", "curve.doc"], "a figure's name ends in .png, .pdf or .svg"),
    "a figure of nothing": ([*STAR, "--completeness-plot", "map.png"], "'completeness_plot' must be left out without"),
    "companions that are not there": ([*STAR, "--companions", "no.ecsv"], "no.ecsv: no such file"),
    "a turn that is no number": ([*STAR, "--smearing", "much"], "'smearing' must be degrees, or 'angles', got 'much'"),
    "a region that is not there": ([*STAR, "--exclude", "no.fits"], "no.fits: no such file"),
}


@pytest.mark.parametrize(("options", "words"), FAILURES.values(), ids=FAILURES)
def test_a_failure_is_one_line_and_leaves_nothing(measure, tmp_path, options, words):
    measure(*options).assert_failed_in_one_line(words)
    assert files_in(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "what"), [("text.fits", "reduction"), ("psf.fits", "reduction"), ("text.fits", "psf")]
)
def test_what_cannot_be_read_is_one_line_that_names_it(measure, tmp_path, name, what):
    measure(*STAR, **{what: name}).assert_failed_in_one_line(name)
    assert files_in(tmp_path) == []


def test_a_file_that_is_there_is_kept_unless_overwriting_is_asked_for(measure, tmp_path):
    (tmp_path / "curve.ecsv").write_text("mine")
    measure(*STAR, *QUICK).assert_failed_in_one_line("curve.ecsv exists")
    assert (tmp_path / "curve.ecsv").read_text() == "mine"
    measure(*STAR, *QUICK, "--overwrite").assert_done()
    assert len(QTable.read(tmp_path / "curve.ecsv")) > 5


def test_the_core_of_the_psf_is_used_and_the_star_s_flux_is_that_within_it(measure, folder, tmp_path):
    measure(*STAR, *QUICK, "--fwhm", 3, "--psf-size", 7).assert_done()
    core = POINT.cut(7)
    given = {"star_flux": 1e5 * core.flux / POINT.flux, "n_position_angles": 1, "companions": None}
    expected = contrast_curve(Reduction.read(folder / "out.fits"), core, **given)
    np.testing.assert_allclose(QTable.read(tmp_path / "curve.ecsv")["contrast"], expected["contrast"])
