import warnings
from contextlib import nullcontext

import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable
from detection_helpers import POINT
from imaging_helpers import files_in
from modelling_helpers import FLUXES, FREE, MODEL, SOURCES, image_of_ring, modelled

from astronmf.cli.fit import parameter_listing
from astronmf.imaging import Reduction
from astronmf.imaging.detection.catalogue import with_error
from astronmf.imaging.modelling.fit_result import TemplateFit

OUTPUTS = ("fit.fits", "fit.ecsv", "fit.png", "nulls.png")
CHAIN = ("--sample", 6, "--walkers", 8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a reduction, a PSF and models."""
    folder = tmp_path_factory.mktemp("fit")
    modelled().write(folder / "out.fits")
    fits.writeto(folder / "psf.fits", POINT.data)
    fits.writeto(folder / "ring.fits", image_of_ring())
    fits.writeto(folder / "disk.fits", image_of_ring())
    fits.writeto(folder / "level.fits", np.full((33, 33), 0.5))
    (folder / "level_in_jy.fits").write_bytes((folder / "level.fits").read_bytes())
    fits.setval(folder / "level_in_jy.fits", "BUNIT", value="Jy")
    (folder / "model.toml").write_text(MODEL)
    (folder / "free.toml").write_text(FREE)
    (folder / "text.fits").write_text("not FITS\n")
    return folder


@pytest.fixture
def fit(astronmf, folder, tmp_path):
    """Return a function that fits models to the reduction, with further options."""

    def run(*options, model="model.toml", reduction="out.fits", psf="psf.fits"):
        given = [] if model is None else ["--model", folder / model]
        given += [] if psf is None else ["--psf", folder / psf, "--fwhm", 3]
        return astronmf("fit", folder / reduction, *given, "-o", tmp_path / "fit.fits", *options)

    return run


def read(tmp_path):
    return TemplateFit.read(tmp_path / "fit.fits")


def steps_in(checkpoint):
    with h5py.File(checkpoint) as file:
        return file["mcmc"].attrs["iteration"]


def same(found, expected):
    """Check that two fits found the same, but for the PSF's single precision."""
    np.testing.assert_allclose(found.amplitudes, expected.amplitudes, rtol=1e-6)
    np.testing.assert_allclose(found.covariance, expected.covariance, rtol=1e-5)


@pytest.fixture(scope="module")
def reduction(folder):
    return Reduction.read(folder / "out.fits")


def test_the_command_does_what_the_library_does(fit, reduction, tmp_path):
    fit().assert_done()
    found = read(tmp_path)
    same(found, reduction.fit(SOURCES, psf=POINT))
    assert found.names == ("disk", "planet")
    assert np.abs(found.amplitudes - FLUXES).max() < 5 * found.errors.max()
    assert [item["role"] for item in found.meta["inputs"]] == ["reduction", "model", "psf"]
    assert found.meta["command"].startswith("astronmf")


def test_images_are_named_by_their_files_and_join_the_model(fit, folder, tmp_path):
    outcome = fit("--template", folder / "ring.fits", model=None, psf=None)
    outcome.assert_done()
    assert read(tmp_path).names == ("ring",)
    assert read(tmp_path).amplitudes[0] == pytest.approx(1.0, abs=0.05)
    (folder / "one.toml").write_text(MODEL[MODEL.index("[planet]") :])
    fit("--template", folder / "ring.fits", "--overwrite", model="one.toml").assert_done()
    found = read(tmp_path)
    assert found.names == ("planet", "ring")
    assert [item["role"] for item in found.meta["inputs"]][-1] == "template"


def test_several_images_follow_one_option(fit, folder, tmp_path):
    with fits.open(folder / "ring.fits") as hdus:
        fits.writeto(tmp_path / "other.fits", hdus[0].data[::-1].copy())
    fit("--template", folder / "ring.fits", tmp_path / "other.fits", "--star", "all", model=None).assert_done()
    assert read(tmp_path).names == ("ring", "other")


def test_options_are_passed_on(fit, reduction, folder, tmp_path):
    fit("--systematics", folder / "level.fits", "--star", "roll", "--free-sign", "--smearing", "angles").assert_done()
    how = {"systematics": np.full((33, 33), 0.5), "star": "roll", "non_negative": False, "smearing": "angles"}
    same(read(tmp_path), reduction.fit(SOURCES, psf=POINT, **how))
    options = ("--star", "annulus", "--annulus-width", 5, "--systematics", 0.1, "--transmission", folder / "level.fits")
    fit(*options, "--overwrite").assert_done()
    how = {"star": "annulus", "annulus_width": 5.0, "systematics": 0.1, "transmission": np.full((33, 33), 0.5)}
    same(read(tmp_path), reduction.fit(SOURCES, psf=POINT, **how))
    assert read(tmp_path).scale_factors.shape == (1, 3)


def test_the_calibration_is_told_written_and_drawn(fit, reduction, tmp_path):
    figures = ("--plot", tmp_path / "fit.png", "--calibration-plot", tmp_path / "nulls.png")
    outcome = fit("--calibration", "angles", "--n-angles", 6, "--table", tmp_path / "fit.ecsv", *figures)
    outcome.assert_done()
    same(read(tmp_path), reduction.fit(SOURCES, psf=POINT, calibration="angles", n_angles=6))
    assert files_in(tmp_path) == sorted(OUTPUTS)
    for words in ("not calibrated", "error x", "6 other position angles", "disk", "planet", "±", "χ²/dof"):
        assert words in outcome.out
    assert len(fits.getdata(tmp_path / "fit.fits", "NULLS")) == 6
    table = QTable.read(tmp_path / "fit.ecsv")
    assert list(table["name"]) == ["disk", "planet"]
    assert {"raw_amplitude", "bias", "noise_factor"} <= set(table.colnames)
    assert [item["role"] for item in table.meta["files"]] == ["reduction", "model", "psf"]
    assert table.meta["command"].startswith("astronmf")


def test_free_parameters_are_fitted_first(fit, reduction, tmp_path):
    outcome = fit(model="free.toml")
    outcome.assert_done()
    found = read(tmp_path)
    (row,) = found.parameters
    assert row["name"] == "disk.radius"
    assert row["value"] == pytest.approx(9.0, abs=0.1)
    assert (row["low"], row["high"]) == (8.0, 10.0)
    likelihood = reduction.likelihood(SOURCES, {"disk.radius": (8, 10)}, psf=POINT)
    same(found, reduction.fit(likelihood.at([row["value"]]), psf=POINT))
    assert "disk.radius" in outcome.out
    assert "8 to 10" in outcome.out


@pytest.mark.filterwarnings("ignore")
def test_samples_are_written_told_drawn_and_gone_on_with(fit, tmp_path):
    checkpoint = ("--checkpoint", tmp_path / "chain.h5")
    outcome = fit(*CHAIN, *checkpoint, "--corner", tmp_path / "corner.png", model="free.toml")
    outcome.assert_done()
    assert "68.3 %" in outcome.out
    assert "shorter than 50 autocorrelation times" in outcome.err
    assert files_in(tmp_path) == ["chain.h5", "corner.png", "fit.fits"]
    with fits.open(tmp_path / "fit.fits") as hdus:
        assert hdus["SAMPLES"].columns.names == ["disk.radius", "disk.amplitude", "planet.amplitude"]
        assert len(hdus["SAMPLES"].data) <= 6 * 8
    assert steps_in(tmp_path / "chain.h5") == 6
    assert set(read(tmp_path).parameters.colnames) >= {"median", "lower", "upper"}
    again = fit(*CHAIN, *checkpoint, "--overwrite", model="free.toml")
    again.assert_failed_in_one_line("chain.h5 exists; '--resume' goes on with its chain")
    fit("--sample", 9, "--walkers", 8, *checkpoint, "--resume", "--overwrite", model="free.toml").assert_done()
    assert steps_in(tmp_path / "chain.h5") == 9


@pytest.mark.filterwarnings("ignore")
def test_the_same_seed_gives_the_same_samples(fit, tmp_path):
    found = []
    for seed in (1, 1, 2):
        fit(*CHAIN, "--seed", seed, "--overwrite", model="free.toml").assert_done()
        found.append(fits.getdata(tmp_path / "fit.fits", "SAMPLES")["disk.radius"])
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).any()


def two_sources_free(folder):
    """Write a model with two free sources, and return its name and their ranges."""
    (folder / "both.toml").write_text(FREE + "[planet.free]\nseparation = [11.0, 13.0]\n")
    return "both.toml", {"disk.radius": (8, 10), "planet.separation": (11, 13)}


@pytest.mark.filterwarnings("ignore")
def test_errors_grow_with_what_the_calibration_found(fit, reduction, folder, tmp_path):
    model, free = two_sources_free(folder)
    chain = ("--calibration", "angles", "--sample", 2, "--walkers", 8, "--checkpoint", tmp_path / "chain.h5")
    outcome = fit(*chain, model=model)
    outcome.assert_done()
    found = read(tmp_path)
    factors = found.calibration.noise_factor
    assert abs(factors[0] / factors[1] - 1) > 0.05
    plain = reduction.likelihood(SOURCES, free, psf=POINT)
    errors = np.sqrt(np.diag(plain.covariance(found.parameters["value"])))
    np.testing.assert_allclose(found.parameters["error"], errors * factors, rtol=0.02)
    with h5py.File(tmp_path / "chain.h5") as file:
        vector, told = file["mcmc/chain"][-1, 0], file["mcmc/log_prob"][-1, 0]
    assert told == pytest.approx(plain(vector) / factors.max() ** 2, rel=1e-4)
    assert "error x of the samples" in outcome.out
    assert f"{factors.max():.2f}, the largest of the sources" in outcome.out


def test_parameters_are_told_with_units_and_in_arcseconds(fit, tmp_path):
    outcome = fit(model="free.toml")
    outcome.assert_done()
    (row,) = read(tmp_path).parameters
    assert row["unit"] == "pix"
    assert row["arcsec"] == pytest.approx(0.063 * row["value"])
    (line,) = [line for line in outcome.out.splitlines() if "disk.radius" in line]
    assert f"{with_error(row['value'], row['error'])} pix" in line
    assert with_error(row["arcsec"], row["arcsec_error"]) in line


def test_a_listing_has_no_arcseconds_where_nothing_is_a_length_and_no_unit_where_none_is_known():
    table = QTable({"name": ["disk.g"], "value": [0.2], "error": [0.01], "low": [0.0], "high": [1.0]})
    assert parameter_listing(table) == (["parameter", "best", "range"], [["disk.g", "0.200 ± 0.010", "0 to 1"]])
    table["unit"], table["arcsec"], table["arcsec_error"] = [""], [np.nan], [np.nan]
    assert parameter_listing(table) == (["parameter", "best", "range"], [["disk.g", "0.200 ± 0.010", "0 to 1"]])


def test_too_few_walkers_are_told_before_the_work(fit, folder, tmp_path, monkeypatch):
    monkeypatch.setattr("astronmf.imaging.Reduction.likelihood", lambda *_, **__: pytest.fail("the work had begun"))
    model, _ = two_sources_free(folder)
    few = fit("--sample", 5, "--walkers", 3, model=model)
    few.assert_failed_in_one_line("'n_walkers' must be an integer of at least 4, got 3")
    assert files_in(tmp_path) == []


def test_an_interrupted_chain_says_how_long_it_is_and_goes_on_bit_for_bit(fit, tmp_path, monkeypatch):
    def interrupt(*at):
        if at == (4, 6, "steps of the chain"):
            raise KeyboardInterrupt

    chain = (*CHAIN, "--overwrite", "--checkpoint")
    with monkeypatch.context() as patch, warnings.catch_warnings():
        patch.setattr("astronmf.cli.common.progress_bar", lambda: nullcontext(interrupt))
        broken = fit(*chain, tmp_path / "chain.h5", model="free.toml")
    broken.assert_failed_in_one_line("interrupted; ", "chain.h5 has 4 of 6 steps; '--resume' goes on with them")
    assert "complete" not in broken.err
    assert files_in(tmp_path) == ["chain.h5"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit(*chain, tmp_path / "chain.h5", "--resume", model="free.toml").assert_done()
        fit(*chain, tmp_path / "whole.h5", model="free.toml").assert_done()
    with h5py.File(tmp_path / "chain.h5") as one, h5py.File(tmp_path / "whole.h5") as other:
        np.testing.assert_array_equal(one["mcmc/chain"][:], other["mcmc/chain"][:])


def test_an_interrupt_without_a_chain_says_that_there_is_no_output(fit, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("astronmf.cli.common.progress_bar", lambda: nullcontext(interrupt))
    for options in (CHAIN, (*CHAIN, "--checkpoint", tmp_path / "chain.h5")):
        fit(*options, model="free.toml").assert_failed_in_one_line("interrupted; no output was written")
    assert files_in(tmp_path) == []


def test_the_file_is_described_and_drawn(fit, astronmf, tmp_path):
    fit(model="free.toml").assert_done()
    outcome = astronmf("info", tmp_path / "fit.fits")
    outcome.assert_done()
    for words in ("a fit of templates", "disk", "determined)", "disk.radius", "psf.fits (sha256", "command"):
        assert words in outcome.out
    astronmf("plot", tmp_path / "fit.fits", "-o", tmp_path / "fit.png").assert_done()
    assert (tmp_path / "fit.png").read_bytes().startswith(b"\x89PNG")


WRONG = {
    "no template": ([], None, "no template to fit"),
    "a model among the templates": (["-t", "a.toml"], None, "a.toml: '--template' takes FITS images; a TOML file"),
    "no free parameter": (["--sample", 5], "model.toml", "'--sample' needs free parameters"),
    "walkers": (["--walkers", 8], "free.toml", "'--walkers' needs '--sample'"),
    "resume": (["--sample", 5, "--resume"], "free.toml", "'--resume' needs '--checkpoint'"),
    "nulls": (["--calibration-plot", "a.png"], "model.toml", "'--calibration-plot' needs '--calibration angles'"),
    "calibration": (["--calibration", "eye"], "model.toml", "'--calibration' must be one of None, 'angles'"),
    "star": (["--star", "moon"], "model.toml", "'star' must be one of 'components'"),
    "annulus": (["--star", "annulus"], "model.toml", "'--annulus-width' must be given"),
    "systematics": (["--systematics", "much"], "model.toml", "'--systematics' must be a number, or a FITS image"),
    "level": (["--systematics", -1], "model.toml", "'--systematics' must be a number in"),
    "smearing": (["--smearing", "much"], "model.toml", "'--smearing' must be degrees"),
    "table": (["--table", "a.csv"], "model.toml", "a table's name ends in .ecsv"),
    "model": ([], "nowhere.toml", "nowhere.toml: no such file"),
}


@pytest.mark.parametrize(("options", "model", "message"), WRONG.values(), ids=WRONG)
def test_wrong_options_are_one_line_and_nothing_is_written(fit, tmp_path, monkeypatch, options, model, message):
    monkeypatch.chdir(tmp_path)
    fit(*options, model=model).assert_failed_in_one_line(message)
    assert files_in(tmp_path) == []


def test_a_model_that_needs_a_psf_says_so(fit):
    fit(psf=None).assert_failed_in_one_line("'--psf' must be given")


def test_files_of_the_wrong_kind_are_one_line(fit, folder):
    fit("--template", folder / "text.fits").assert_failed_in_one_line("text.fits: cannot be read as FITS")
    fit("--transmission", folder / "text.fits").assert_failed_in_one_line("text.fits")
    unit = "level_in_jy.fits: a systematic error must be in a unit that is one of MJy / sr, got Jy"
    fit("--systematics", folder / "level_in_jy.fits").assert_failed_in_one_line(unit)
    chain = ("--sample", 5, "--checkpoint", folder / "text.fits", "--resume")
    fit(*chain, model="free.toml").assert_failed_in_one_line("text.fits: not an HDF5 file")
    fit(reduction="psf.fits").assert_failed_in_one_line("psf.fits: not a reduction")


def test_templates_of_one_name_are_told(fit, folder):
    twice = fit("--template", folder / "ring.fits", folder / "ring.fits")
    twice.assert_failed_in_one_line("another template is called 'ring' too")
    both = fit("--template", folder / "disk.fits")
    both.assert_failed_in_one_line("two templates are called 'disk'")


def test_what_is_not_installed_is_told_before_the_work(fit, monkeypatch):
    monkeypatch.setattr("astronmf.cli.fit.find_spec", lambda name: None if name == "emcee" else object())
    message = "'--sample' needs emcee, which is not installed: pip install 'astronmf[fit]'"
    fit(*CHAIN, model="free.toml").assert_failed_in_one_line(message)


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_file_that_is_there_is_kept_and_told_of_before_the_work(fit, tmp_path, monkeypatch, name):
    monkeypatch.setattr("astronmf.imaging.Reduction.read", lambda *_: pytest.fail("the work had begun"))
    (tmp_path / name).write_text("mine")
    figures = ("--plot", tmp_path / "fit.png", "--calibration-plot", tmp_path / "nulls.png")
    outcome = fit("--calibration", "angles", "--table", tmp_path / "fit.ecsv", *figures)
    outcome.assert_failed_in_one_line(f"{name} exists")
    assert files_in(tmp_path) == [name]


def test_an_input_is_never_written_over(fit, folder):
    fit("--plot", folder / "psf.fits", "--overwrite").assert_failed_in_one_line("psf.fits: is an input too")
