"""The code of the page on detection does what the page says."""

import re
import warnings
from pathlib import Path

import pytest
from imaging_helpers import files_in

from astronmf.exceptions import AstroNMFWarning

PAGE = Path(__file__).parents[3] / "docs" / "detection.md"


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """Return what the page's code leaves behind, run from top to bottom in a folder of its own."""
    folder, found = tmp_path_factory.mktemp("page"), {}
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    with pytest.MonkeyPatch.context() as place, warnings.catch_warnings():
        place.chdir(folder)
        warnings.simplefilter("ignore", AstroNMFWarning)  # of the simulation: pixels that no reference saw
        for block in blocks:
            exec(compile(block, PAGE.name, "exec"), found)  # noqa: S102 (our own page)
    return found | {"folder": folder}


def test_the_planet_is_found_with_the_flux_that_the_page_says(names):
    (one,) = names["search"].companions
    planet, truth = names["planet"], names["observation"].truth["PLFLUX"]
    assert planet.flux == pytest.approx(30.8, abs=0.05)
    assert planet.flux_error == pytest.approx(1.2, abs=0.05)
    assert abs(planet.flux - truth) < planet.flux_error
    assert one.flux == pytest.approx(planet.flux, rel=0.02)


def test_both_ways_agree_that_it_is_the_most_significant(names):
    assert names["aperture"].significance > 15
    assert names["sources"]["separation"][0].value == pytest.approx(50, abs=0.3)


def test_the_limits_are_what_the_page_leads_to_expect(names):
    curve, shares = names["curve"], names["shares"]
    assert (abs(curve["throughput"] - 1) < 0.15).all()
    assert curve["contrast"][-1] < curve["contrast"][0]
    assert shares["contrast_50"][0] == pytest.approx(curve["contrast"][2], rel=0.3)
    assert {"curve.ecsv", "curve.png", "shares.png"} <= set(files_in(names["folder"]))
