import pytest
from imaging_helpers import files_in

PNG = b"\x89PNG"


def test_frames_are_drawn(astronmf, files, tmp_path):
    outcome = astronmf("plot", files / "science.fits", "-o", tmp_path / "a.png")
    outcome.assert_done()
    assert (tmp_path / "a.png").read_bytes().startswith(PNG)
    assert "a.png" in outcome.out.replace("\n", "")


@pytest.mark.parametrize("options", [[], ["--history"]], ids=["image", "history"])
@pytest.mark.parametrize("kind", ["basis", "reduced"])
def test_components_and_reductions_are_drawn(astronmf, request, tmp_path, kind, options):
    astronmf("plot", request.getfixturevalue(kind), "-o", tmp_path / "a.png", *options).assert_done()
    assert (tmp_path / "a.png").read_bytes().startswith(PNG)
    assert files_in(tmp_path) == ["a.png"]


@pytest.mark.parametrize(("suffix", "beginning"), [("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_figures_are_written_in_the_format_of_their_name(astronmf, basis, tmp_path, suffix, beginning):
    astronmf("plot", basis, "-o", tmp_path / f"a.{suffix}").assert_done()
    assert (tmp_path / f"a.{suffix}").read_bytes().startswith(beginning)


def test_frames_have_no_history(astronmf, files, tmp_path):
    outcome = astronmf("plot", files / "science.fits", "--history", "-o", tmp_path / "a.png")
    outcome.assert_failed_in_one_line("'--history' needs a reduction or components, got frames")
    assert files_in(tmp_path) == []


def test_a_centre_given_for_a_reduction_is_no_internal_error(astronmf, reduced, tmp_path):
    outcome = astronmf("plot", reduced, "--center", 16, 16, "-o", tmp_path / "a.png")
    assert "internal error" not in outcome.err


def test_an_unknown_format_is_one_line(astronmf, basis, tmp_path):
    astronmf("plot", basis, "-o", tmp_path / "a.xyz").assert_failed_in_one_line("a.xyz")
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("name", ["text.fits", "cut.fits", "nothing.fits"])
def test_what_cannot_be_read_is_one_line(astronmf, files, tmp_path, name):
    astronmf("plot", files / name, "-o", tmp_path / "a.png").assert_failed_in_one_line(name)
    assert files_in(tmp_path) == []


def test_a_figure_that_is_there_is_kept_unless_overwriting_is_asked_for(astronmf, basis, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"mine")
    astronmf("plot", basis, "-o", path).assert_failed_in_one_line("a.png exists")
    assert path.read_bytes() == b"mine"
    astronmf("plot", basis, "-o", path, "--overwrite").assert_done()
    assert path.read_bytes().startswith(PNG)
