import numpy as np
import pytest
from astropy.io import fits
from imaging_helpers import files_in

from astronmf import Components
from astronmf.imaging import Frames, build_components

THREE = ("one.fits", "two.fits", "three.fits")


@pytest.fixture
def build(astronmf, files, tmp_path):
    """Return a function that builds components of the small files, with further options, into basis.fits."""

    def run(*options, references=THREE):
        return astronmf("components", *(files / name for name in references), "-o", tmp_path / "basis.fits", *options)

    return run


def test_the_command_does_what_the_library_does(build, files, tmp_path):
    build("-k", 3, "--inner", 2, "--outer", 14).assert_done()
    frames = Frames.read([files / name for name in THREE])
    expected = build_components(frames, 3, inner_radius=2, outer_radius=14)
    np.testing.assert_array_equal(Components.read(tmp_path / "basis.fits").data, expected.data)


def test_the_numbers_that_matter_are_printed(build):
    outcome = build("-k", 3)
    for words in ("3 from 9 frames", "χ²/N", "variance left", "1089 covered, 0 not", "3 of 3 stages"):
        assert words in outcome.out
    assert outcome.err == ""


def test_how_it_was_built_is_kept(build, files, tmp_path):
    build("-k", 2, "--refit", "last", "--seed", 4, "--tol", 1e-3, "--max-iter", 77).assert_done()
    meta = Components.read(tmp_path / "basis.fits").meta
    assert [meta[name] for name in ("refit", "random_state", "tol", "max_iter")] == ["last", 4, 1e-3, 77]
    assert [item["name"] for item in meta["inputs"]] == list(THREE)
    assert "command" in meta


def test_a_mask_leaves_its_pixels_out(build, files, tmp_path):
    build("-k", 2, "--mask", files / "spot.fits").assert_done()
    np.testing.assert_array_equal(Components.read(tmp_path / "basis.fits").mask, fits.getdata(files / "spot.fits"))


def test_a_figure_is_drawn(build, tmp_path):
    build("-k", 2, "--plot", tmp_path / "basis.png").assert_done()
    assert (tmp_path / "basis.png").read_bytes().startswith(b"\x89PNG")


FAILURES = {
    "too many components": (["-k", "10"], "'n_components' must be an integer in [1, 9], got 10"),
    "an unknown refit": (["--refit", "some"], "'refit' must be one of 'all', 'last', got 'some'"),
    "radii that leave nothing": (["--inner", "90"], "'outer_radius' must be such that pixels lie"),
    "a mask that is not there": (["--mask", "nothing.fits"], "nothing.fits: no such file"),
}


@pytest.mark.parametrize(("options", "words"), FAILURES.values(), ids=FAILURES)
def test_a_failure_is_one_line_and_leaves_nothing(build, tmp_path, options, words):
    build(*options).assert_failed_in_one_line(words)
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("name", ["text.fits", "cut.fits", "nothing.fits"])
def test_frames_that_cannot_be_read_are_one_line_that_names_them(build, tmp_path, name):
    build(references=["one.fits", name]).assert_failed_in_one_line(name)
    assert files_in(tmp_path) == []


def test_a_file_that_is_there_is_kept_unless_overwriting_is_asked_for(build, tmp_path):
    (tmp_path / "basis.fits").write_text("mine")
    build("-k", 2).assert_failed_in_one_line("basis.fits exists")
    assert (tmp_path / "basis.fits").read_text() == "mine"
    build("-k", 2, "--overwrite").assert_done()
    assert len(Components.read(tmp_path / "basis.fits")) == 2
