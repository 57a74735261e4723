"""The code of the page on forward modelling does what the page says."""

import re
import shlex
import warnings
from pathlib import Path

import numpy as np
import pytest
from imaging_helpers import files_in
from typer.main import get_command

from astronmf.cli import app
from astronmf.exceptions import AstroNMFWarning
from astronmf.imaging.modelling.fit_result import TemplateFit

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "forward-modelling.md"


def blocks(language):
    """Return the page's code in a language, block by block."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """Return what the page's code leaves behind, run from top to bottom in a folder of its own."""
    folder, found = tmp_path_factory.mktemp("page"), {"docs": DOCS}
    with pytest.MonkeyPatch.context() as place, warnings.catch_warnings():
        place.chdir(folder)
        warnings.simplefilter("ignore", AstroNMFWarning)  # pixels that no reference saw; a chain that is too short
        for block in blocks("python"):
            exec(compile(block, PAGE.name, "exec"), found)  # noqa: S102 (our own page)
    return found | {"folder": folder}


def test_the_amplitudes_are_those_that_the_page_says(names):
    truth = names["observation"].truth
    stated = {"fit": (0.999, 0.001, 31.4, 0.6), "calibrated": (0.999, 0.002, 31.6, 0.5)}
    for name, (disk, disk_error, planet, planet_error) in stated.items():
        fit = names[name]
        assert fit.amplitudes[0] == pytest.approx(disk, abs=0.0006)
        assert fit.amplitudes[1] == pytest.approx(planet, abs=0.1)
        np.testing.assert_allclose(fit.errors, [disk_error, planet_error], rtol=0.2)
        assert abs(fit.amplitudes[1] - truth["PLFLUX"]) < 2 * fit.errors[1]
    assert truth["DISKFLUX"] == pytest.approx(10_562, abs=1)


def test_the_geometry_is_what_the_page_says(names):
    radius, inclination = names["best"]
    assert radius == pytest.approx(29.6, abs=0.05)
    assert inclination == pytest.approx(60, abs=0.5)
    assert len(names["posterior"].samples) == 60
    np.testing.assert_allclose(names["place"], [50, 250], atol=0.05)
    errors = np.sqrt(np.diag(names["beside"].covariance(names["place"])))
    np.testing.assert_allclose(errors, [0.02, 0.02], rtol=0.25)


def test_the_files_are_there_and_can_be_read(names):
    wanted = {"forward.fits", "forward.png", "fit.fits", "fit.png", "calibration.png", "chain.h5", "corner.png"}
    assert wanted <= set(files_in(names["folder"]))
    assert TemplateFit.read(names["folder"] / "fit.fits").names == ("disk", "planet")


def test_the_example_is_one_that_a_fit_takes(names):
    assert list(names["sources"]) == ["disk", "planet"]
    assert names["likelihood"].names == ["disk.radius", "disk.inclination"]


def test_the_fluxes_in_the_example_are_those_that_are_there(names):
    truth, sources = names["observation"].truth, names["sources"]
    assert sources["disk"].flux == pytest.approx(truth["DISKFLUX"], rel=1e-3)
    assert sources["planet"].flux == pytest.approx(truth["PLFLUX"], rel=1e-2)
    np.testing.assert_allclose(names["result"].fit(sources, psf=names["psf"]).amplitudes, 1, atol=0.05)


def test_the_throughput_of_the_page_is_that_of_reducing_again(names):
    images = names["images"]
    assert images.image is images.exact
    assert images.throughput == pytest.approx(0.98, abs=0.01)
    np.testing.assert_array_equal(names["left"], images.image)


@pytest.mark.parametrize("line", " ".join(blocks("sh")).replace("\\\n", " ").strip().splitlines())
def test_every_command_of_the_page_is_one_that_is_there(line):
    _, name, *arguments = shlex.split(line, comments=True)
    get_command(app).commands[name].make_context(name, arguments)
