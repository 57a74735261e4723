import numpy as np
import pytest
from astropy.io import fits
from detection_helpers import POINT
from imaging_helpers import files_in, write_cube
from modelling_helpers import MODEL, RING, SOURCES, image_of_ring, modelled

from astronmf.imaging import Reduction
from astronmf.imaging.modelling.forward_images import ForwardImages
from astronmf.imaging.modelling.together import Together


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with reductions, a PSF and models."""
    folder = tmp_path_factory.mktemp("forward")
    modelled().write(folder / "out.fits")
    modelled("adi").write(folder / "adi.fits")
    modelled("ardi").write(folder / "ardi.fits")
    modelled(scale="bff").write(folder / "bff.fits")
    fits.writeto(folder / "psf.fits", POINT.data)
    fits.writeto(folder / "ring.fits", image_of_ring())
    fits.writeto(folder / "half.fits", np.full((33, 33), 0.5))
    write_cube(folder / "fine.fits", np.kron(image_of_ring() / 4, np.ones((2, 2))), PIXSCALE=0.063 / 2)
    fits.writeto(folder / "nan.fits", np.full((33, 33), np.nan))
    fits.writeto(folder / "small.fits", np.ones((9, 9)))
    (folder / "model.toml").write_text(MODEL)
    (folder / "wrong.toml").write_text(MODEL.replace("radius", "raduis"))
    (folder / "text.fits").write_text("not FITS\n")
    return folder


@pytest.fixture
def forward(astronmf, folder, tmp_path):
    """Return a function that models a file's content in a reduction, with further options."""

    def run(model, *options, reduction="out.fits", output="fm.fits"):
        read = folder / model, "--reduction", folder / reduction
        return astronmf("forward", *read, "-o", tmp_path / output, *options)

    return run


@pytest.mark.parametrize("name", ["out.fits", "adi.fits"])
def test_the_command_does_what_the_library_does(forward, folder, tmp_path, name):
    forward("ring.fits", "--exact", reduction=name).assert_done()
    expected = Reduction.read(folder / name).forward_model(image_of_ring(), exact=True)
    found = ForwardImages.read(tmp_path / "fm.fits")
    for one in ("combined", "frames", "same_active_set", "exact"):
        np.testing.assert_array_equal(getattr(found, one), getattr(expected, one))
    assert found.meta["command"].startswith("astronmf")
    assert [item["role"] for item in found.meta["inputs"]] == ["reduction", "model"]


def test_where_factors_were_searched_the_data_are_reduced_again_unless_that_is_not_wanted(forward, tmp_path):
    outcome = forward("ring.fits", reduction="bff.fits")
    outcome.assert_done()
    assert "reducing again" in outcome.out
    found = ForwardImages.read(tmp_path / "fm.fits")
    assert found.image is found.exact
    assert f"{found.throughput:.4f}" in outcome.out
    outcome = forward("ring.fits", "--no-exact", "--overwrite", reduction="bff.fits")
    outcome.assert_done()
    assert "reducing again" not in outcome.out
    quick = ForwardImages.read(tmp_path / "fm.fits")
    assert quick.exact is None
    np.testing.assert_array_equal(quick.combined, found.combined)


def test_a_source_too_faint_for_the_factors_is_told(forward, folder):
    fits.writeto(folder / "faint.fits", 1e-4 * image_of_ring(), overwrite=True)
    outcome = forward("faint.fits", reduction="bff.fits")
    outcome.assert_done()
    assert "too faint for that" in outcome.err


def test_sources_of_a_file_are_added_up(forward, folder, tmp_path):
    forward("model.toml", "--psf", folder / "psf.fits").assert_done()
    both = Together(list(SOURCES.values()))
    expected = Reduction.read(folder / "out.fits").forward_model(both, psf=POINT)
    np.testing.assert_allclose(ForwardImages.read(tmp_path / "fm.fits").combined, expected.combined, atol=1e-6)
    with pytest.raises(ValueError, match="'sources' must be at least one"):
        Together([])


def test_options_are_passed_on(forward, folder, tmp_path):
    reduction = Reduction.read(folder / "out.fits")
    options = ("--psf", folder / "psf.fits", "--transmission", folder / "half.fits", "--smearing", 10, "--added")
    forward("model.toml", *options, "--fwhm", 3).assert_done()
    how = {"psf": POINT, "transmission": np.full((33, 33), 0.5), "smearing": 10.0, "in_data": False}
    expected = reduction.forward_model(Together(list(SOURCES.values())), **how)
    np.testing.assert_allclose(ForwardImages.read(tmp_path / "fm.fits").combined, expected.combined, atol=1e-6)


def test_an_image_with_a_scale_of_its_own_is_resampled(forward, tmp_path):
    forward("fine.fits").assert_done()
    found = ForwardImages.read(tmp_path / "fm.fits")
    forward("ring.fits", output="plain.fits").assert_done()
    plain = ForwardImages.read(tmp_path / "plain.fits")
    assert np.nansum(found.source) == pytest.approx(np.nansum(plain.source) / 4, rel=0.05)  # a brightness stays


def test_the_scale_of_an_image_may_be_given(forward):
    forward("small.fits", "--pixel-scale", 0.2).assert_done()


def test_the_summary_says_what_is_left(forward):
    outcome = forward("ring.fits", "--exact")
    outcome.assert_done()
    for words in (
        "throughput",
        "amplitude in what is left",
        "of 8 frames",
        "reducing again; active components",
        "are off by",
    ):
        assert words in outcome.out
    assert outcome.err == ""


def test_a_model_without_light_has_no_throughput(forward, folder):
    fits.writeto(folder / "dark.fits", np.zeros((33, 33)), overwrite=True)
    outcome = forward("dark.fits")
    outcome.assert_done()
    assert "the model has no light in the region" in outcome.out


def test_the_file_is_described_and_drawn(forward, astronmf, tmp_path):
    forward("ring.fits", "--plot", tmp_path / "fm.png").assert_done()
    assert (tmp_path / "fm.png").read_bytes().startswith(b"\x89PNG")
    outcome = astronmf("info", tmp_path / "fm.fits")
    outcome.assert_done()
    for words in ("a forward model", "throughput", "ring.fits (sha256", "command"):
        assert words in outcome.out
    astronmf("plot", tmp_path / "fm.fits", "-o", tmp_path / "again.png").assert_done()
    history = astronmf("plot", tmp_path / "fm.fits", "--history", "-o", tmp_path / "no.png")
    history.assert_failed_in_one_line("'--history' needs a reduction or components")


def test_a_model_that_needs_a_psf_says_so(forward, tmp_path):
    forward("model.toml").assert_failed_in_one_line("'--psf' must be given, for a source that is not convolved yet")
    assert files_in(tmp_path) == []


WRONG = {
    "text.fits": "text.fits: cannot be read as FITS",
    "nowhere.toml": "nowhere.toml: no such file",
    "wrong.toml": "raduis",
    "nan.fits": "error: '{folder}/nan.fits' must be finite",
    "small.fits": "give its '--pixel-scale'",
}


@pytest.mark.parametrize(("name", "words"), WRONG.items(), ids=WRONG)
def test_what_is_no_model_is_one_line(forward, folder, tmp_path, name, words):
    forward(name).assert_failed_in_one_line(words.format(folder=folder))
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("name", ["ring.fits", "nowhere.fits"])
def test_what_is_no_reduction_is_one_line(forward, name):
    forward("ring.fits", reduction=name).assert_failed_in_one_line(name)


def test_without_the_reference_frames_nothing_is_reduced_again(forward):
    forward("ring.fits", reduction="ardi.fits").assert_done()
    forward("ring.fits", "--exact", "--overwrite", reduction="ardi.fits").assert_failed_in_one_line("'--exact' must be")


def test_a_file_that_is_there_is_kept_and_told_of_before_the_work(forward, tmp_path, monkeypatch):
    monkeypatch.setattr("astronmf.imaging.Reduction.read", lambda *_: pytest.fail("the work had begun"))
    (tmp_path / "fm.fits").write_text("mine")
    forward("ring.fits").assert_failed_in_one_line("fm.fits exists")
    assert (tmp_path / "fm.fits").read_text() == "mine"


def test_an_input_is_never_written_over(astronmf, folder):
    paths = folder / "ring.fits", "--reduction", folder / "out.fits"
    outcome = astronmf("forward", *paths, "-o", folder / "ring.fits", "--overwrite")
    outcome.assert_failed_in_one_line("ring.fits: is an input too")


def test_a_model_of_one_source_is_that_source():
    observer = modelled().observer(psf=POINT)
    np.testing.assert_array_equal(Together([RING]).frames(observer), RING.frames(observer))
