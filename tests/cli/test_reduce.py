import json
import shlex
import tempfile

import numpy as np
import pytest
from astropy.io import fits
from imaging_helpers import files_in, write_cube

from astronmf.imaging import Frames, Reduction, reduce
from astronmf.io.files import sha256

THREE = ("one.fits", "two.fits", "three.fits")
OUTPUTS = ("out.fits", "out.png", "cube.fits")


@pytest.fixture
def reduce_files(astronmf, files, tmp_path):
    """Return a function that reduces the small files, with further options, to out.fits."""

    def run(*options, science="science.fits", references=THREE, output=tmp_path / "out.fits"):
        others = ["--references", *(files / name for name in references)] if references else []
        return astronmf("reduce", files / science, *others, "-o", output, *options)

    return run


def test_the_command_does_what_the_library_does(reduce_files, files, tmp_path):
    outcome = reduce_files("-k", 3, "--inner", 2, "--outer", 14, "--combine", "median")
    outcome.assert_done()
    expected = reduce(
        Frames.read(files / "science.fits"),
        Frames.read([files / name for name in THREE]),
        n_components=3,
        inner_radius=2,
        outer_radius=14,
        combine="median",
    )
    found = Reduction.read(tmp_path / "out.fits")
    np.testing.assert_array_equal(found.combined, expected.combined)
    np.testing.assert_array_equal(found.scale_factors, expected.scale_factors)


def test_the_numbers_that_matter_are_printed(reduce_files):
    outcome = reduce_files("-k", 3)
    for words in ("science frames", "3 from 9 reference frames", "χ²/N", "scale factors", "blank pixels", "a pixel"):
        assert words in outcome.out
    assert outcome.err == ""


def test_several_references_follow_one_option(reduce_files, image_of, tmp_path):
    outcome = reduce_files("-k", 2)
    outcome.assert_done()
    assert len(image_of(tmp_path / "out.fits", "REFERENCES")) == 9


def test_an_option_for_each_reference_is_the_same(astronmf, files, tmp_path, reduced, image_of):
    each = [word for name in THREE for word in ("-r", files / name)]
    astronmf("reduce", files / "science.fits", *each, "-k", 3, "-o", tmp_path / "out.fits").assert_done()
    np.testing.assert_array_equal(image_of(tmp_path / "out.fits"), image_of(reduced))


def test_options_may_come_before_the_files(astronmf, files, tmp_path, reduced, image_of):
    references = [files / name for name in THREE]
    astronmf("reduce", "-k", 3, "-o", tmp_path / "out.fits", files / "science.fits", "-r", *references).assert_done()
    np.testing.assert_array_equal(image_of(tmp_path / "out.fits"), image_of(reduced))


def test_marked_references_need_no_option(astronmf, files, tmp_path, reduced, image_of):
    astronmf("reduce", files / "marked.fits", "-k", 3, "-o", tmp_path / "out.fits").assert_done()
    np.testing.assert_array_equal(image_of(tmp_path / "out.fits"), image_of(reduced))


def test_components_built_before_give_the_same_bits(astronmf, files, tmp_path, reduced, basis, image_of):
    outcome = astronmf("reduce", files / "science.fits", "--components", basis, "-o", tmp_path / "out.fits")
    outcome.assert_done()
    np.testing.assert_array_equal(image_of(tmp_path / "out.fits"), image_of(reduced))


def test_two_identical_calls_give_the_same_bits(reduce_files, tmp_path, image_of):
    paths = [tmp_path / name for name in ("a.fits", "b.fits")]
    for path in paths:
        reduce_files("-k", 3, output=path).assert_done()
    for extension in ("COMBINED", "COMBINED_ERR", "RESIDUALS", "COMPONENTS"):
        np.testing.assert_array_equal(*(image_of(path, extension) for path in paths))


def test_the_number_of_threads_changes_no_bit(workplace, astronmf_process, reduced, image_of, monkeypatch):
    monkeypatch.setenv("ASTRONMF_NUM_THREADS", "1")  # `reduced` used all cores
    astronmf_process("reduce", "science.fits", "-r", *THREE, "-k", 3, "-o", "out.fits", cwd=workplace).assert_done()
    np.testing.assert_array_equal(image_of(workplace / "out.fits"), image_of(reduced))


def test_the_header_holds_the_command_as_it_was_typed(workplace, astronmf_process):
    typed = ["reduce", "science.fits", "--references", *THREE, "-k", "2", "--inner", "3", "-o", "out put.fits"]
    astronmf_process(*typed, cwd=workplace).assert_done()
    header = fits.getheader(workplace / "out put.fits")
    assert header["COMMAND"] == shlex.join(["astronmf", *typed])
    assert header["CREATOR"].startswith("astronmf 0.")
    assert json.loads(header["PARAMS"])["inner_radius"] == 3
    inputs = {header[key] for key in header if key.startswith("INP")}
    assert inputs == {f"{name} sha256:{sha256(workplace / name)}" for name in ("science.fits", *THREE)}


def test_the_seed_is_kept(reduce_files, tmp_path):
    reduce_files("-k", 2, "--seed", 5).assert_done()
    assert fits.getheader(tmp_path / "out.fits")["SEED"] == "5"


@pytest.mark.parametrize("frame", ["sky", "detector"])
def test_masks_are_read_from_files(reduce_files, files, tmp_path, frame):
    reduce_files(
        "-k", 2, "--mask", files / "spot.fits", "--imputation-mask", files / "spot.fits", "--imputation-frame", frame
    ).assert_done()
    choice = Reduction.read(tmp_path / "out.fits").choice
    spot = fits.getdata(files / "spot.fits") > 0
    np.testing.assert_array_equal(choice.region, ~spot)
    assert (choice.imputed.all(axis=0) == spot).all() == (frame == "detector")


@pytest.mark.parametrize(("scale", "factors"), [("none", 1.0), ("0.9", 0.9)])
def test_a_scale_may_be_given(reduce_files, tmp_path, scale, factors):
    reduce_files("-k", 2, "--scale", scale).assert_done()
    assert Reduction.read(tmp_path / "out.fits").scale_factors.tolist() == [factors] * 4


def test_a_cube_over_the_number_of_components_is_written(reduce_files, tmp_path, image_of):
    reduce_files("-k", 3, "--cube", tmp_path / "cube.fits").assert_done()
    cube = fits.getdata(tmp_path / "cube.fits")
    assert cube.shape == (3, 33, 33)
    np.testing.assert_array_equal(cube[-1], image_of(tmp_path / "out.fits"))


def test_a_figure_is_drawn(reduce_files, tmp_path):
    reduce_files("-k", 2, "--plot", tmp_path / "out.png").assert_done()
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("options", [["--angles", "angles.txt"], ["--angle-key", "PA"]])
def test_angles_come_from_a_file_or_a_keyword(astronmf, files, tmp_path, options):
    frames = Frames.read(files / "no_angles.fits")
    path = write_cube(tmp_path / "science.fits", frames.data, BUNIT="MJy/sr", PA=12.0)
    options = [files / word if word.endswith(".txt") else word for word in options]
    references = [files / name for name in THREE]
    outcome = astronmf("reduce", path, "-r", *references, "-k", 2, "-o", tmp_path / "out.fits", *options)
    outcome.assert_done()
    expected = [12.0] * 4 if "PA" in options else [0.0, 25.0, 90.0, 131.0]
    assert Reduction.read(tmp_path / "out.fits").science.angles.tolist() == expected


def test_a_centre_and_a_pixel_scale_may_be_given(reduce_files, tmp_path):
    reduce_files("-k", 2, "--center", 15.5, 16.25, "--pixel-scale", 0.1).assert_done()
    geometry = Reduction.read(tmp_path / "out.fits").science.geometry
    assert (geometry.center, geometry.pixel_scale) == ((15.5, 16.25), 0.1)


def test_warnings_are_told_in_a_line_and_do_not_stop_the_work(reduce_files, tmp_path):
    outcome = reduce_files("-k", 2, science="no_angles.fits")
    outcome.assert_done()
    (line,) = outcome.err.splitlines()
    assert line.startswith("astronmf: warning: the science frames have no 'angles'")
    assert (tmp_path / "out.fits").exists()


def test_a_build_that_does_not_converge_is_told_of(reduce_files):
    outcome = reduce_files("-k", 3, "--max-iter", 2, "--tol", 1e-12)
    outcome.assert_done()
    assert "astronmf: warning: " in outcome.err
    assert "'max_iter'" in outcome.err


# What goes wrong


FAILURES = {
    "too many components": (["-k", "10"], "'n_components' must be an integer in [1, 9], got 10"),
    "an unknown scale": (["--scale", "best"], "'scale' must be a number or one of"),
    "an unknown mode": (["--mode", "pca"], "'mode' must be one of 'rdi', 'adi', 'ardi', got 'pca'"),
    "an unknown way to combine": (["--combine", "sum"], "'combine' must be one of"),
    "an unknown frame": (["--imputation-frame", "north"], "'imputation_frame' must be one of"),
    "radii that leave nothing": (["--inner", "9", "--outer", "8"], "'outer_radius' must be such that pixels lie"),
    "a keyword that is not there": (["--angle-key", "PA"], "'angle_key' must be a keyword of the header, got 'PA'"),
    "a centre outside": (["--center", "99", "3"], "'center' must be (x, y) inside the frame"),
    "a mask that is not there": (["--mask", "nothing.fits"], "nothing.fits: no such file"),
    "components and references": (["--components", "nothing.fits"], "nothing.fits: no such file"),
}


@pytest.mark.parametrize(("options", "words"), FAILURES.values(), ids=FAILURES)
def test_a_failure_is_one_line_and_leaves_nothing(reduce_files, tmp_path, options, words):
    reduce_files(*options).assert_failed_in_one_line(words)
    assert files_in(tmp_path) == []


FILE_FAILURES = {
    "a mask of another size": ("--mask", "wrong_size.fits", "'mask' must be of shape (33, 33), got (31, 31)"),
    "an imputation mask of another size": ("--imputation-mask", "wrong_size.fits", "'imputation_mask' must be of"),
    "a mask that is not FITS": ("--mask", "text.fits", "text.fits"),
    "too few angles": ("--angles", "few_angles.txt", "'angles' must be of shape (4,), got (2,)"),
    "angles that are none": ("--angles", "text.fits", "text.fits: neither FITS nor a text file of angles"),
    "components that are frames": ("--components", "one.fits", "one.fits: not a file of components"),
    "truncated components": ("--components", "cut.fits", "cut.fits"),
}


@pytest.mark.parametrize(("option", "name", "words"), FILE_FAILURES.values(), ids=FILE_FAILURES)
def test_a_file_that_does_not_fit_is_one_line_and_leaves_nothing(reduce_files, files, tmp_path, option, name, words):
    reduce_files(option, files / name).assert_failed_in_one_line(words)
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("name", ["text.fits", "cut.fits", "nothing.fits", "angles.txt"])
@pytest.mark.parametrize("where", ["science", "references"])
def test_frames_that_cannot_be_read_are_one_line_that_names_them(reduce_files, tmp_path, name, where):
    reduce_files(**{where: name if where == "science" else ["one.fits", name]}).assert_failed_in_one_line(name)
    assert files_in(tmp_path) == []


def test_without_references_there_is_one_line(reduce_files, tmp_path):
    reduce_files(references=()).assert_failed_in_one_line("'references' must be given")
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("option", ["-o", "--plot", "--cube"])
def test_a_folder_that_is_not_there_is_told_of_before_the_work(astronmf, files, tmp_path, monkeypatch, option):
    monkeypatch.setattr("astronmf.cli.common.read_frames", lambda *_, **__: pytest.fail("the work had begun"))
    outputs = {"-o": tmp_path / "out.fits", "--plot": tmp_path / "out.png", "--cube": tmp_path / "cube.fits"}
    outputs[option] = tmp_path / "nowhere" / outputs[option].name
    options = [word for pair in outputs.items() for word in pair]
    outcome = astronmf("reduce", files / "science.fits", "-r", files / "one.fits", *options)
    outcome.assert_failed_in_one_line("nowhere: no such folder to write")
    assert files_in(tmp_path) == []


def refuse(**_):
    raise PermissionError(13, "Permission denied")


def test_an_input_is_never_written_over(files, astronmf):
    before = (files / "science.fits").read_bytes()
    target = files / "science.fits"
    outcome = astronmf("reduce", target, "-r", files / "one.fits", files / "two.fits", "-o", target, "--overwrite")
    outcome.assert_failed_in_one_line("science.fits: is an input too")
    assert target.read_bytes() == before


def test_a_folder_without_permission_is_told_of_before_the_work(reduce_files, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)  # root may write anywhere
    monkeypatch.setattr("astronmf.cli.common.read_frames", lambda *_, **__: pytest.fail("the work had begun"))
    reduce_files("-k", 2).assert_failed_in_one_line("out.fits cannot be written into this folder (Permission denied)")


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
def test_a_folder_as_output_is_told_of_before_the_work(reduce_files, tmp_path, monkeypatch, overwrite):
    monkeypatch.setattr("astronmf.cli.common.read_frames", lambda *_, **__: pytest.fail("the work had begun"))
    reduce_files("-k", 2, *overwrite, output=tmp_path).assert_failed_in_one_line(str(tmp_path))


def test_a_figure_of_an_unknown_format_is_told_of_before_anything_is_written(reduce_files, tmp_path):
    reduce_files("-k", 2, "--plot", tmp_path / "out.xyz").assert_failed_in_one_line("out.xyz")
    assert files_in(tmp_path) == []


def test_one_name_for_two_outputs_is_told_of_before_the_work(reduce_files, tmp_path):
    reduce_files("-k", 2, "--cube", tmp_path / "out.fits").assert_failed_in_one_line("out.fits")
    assert files_in(tmp_path) == []


WRITING_ERRORS = {
    "foreseen": (OSError("disk full"), "disk full"),
    "unforeseen": (RuntimeError("no idea"), "no idea"),
    "interrupted": (KeyboardInterrupt(), "interrupted; no output was written"),
}


@pytest.mark.parametrize(("error", "words"), WRITING_ERRORS.values(), ids=WRITING_ERRORS)
def test_a_failure_while_writing_is_one_line_and_leaves_nothing(reduce_files, tmp_path, monkeypatch, error, words):
    write = fits.HDUList.writeto

    def broken(self, *args, **options):
        write(self, *args, **options)
        raise error

    monkeypatch.setattr(fits.HDUList, "writeto", broken)
    reduce_files("-k", 2).assert_failed_in_one_line(words)
    assert files_in(tmp_path) == []


def test_a_failure_while_drawing_is_one_line(reduce_files, tmp_path, monkeypatch):
    import astronmf.plotting

    def broken(_):
        message = "two\nlines"
        raise RuntimeError(message)

    monkeypatch.setattr(astronmf.plotting, "plot_reduction", broken)
    reduce_files("-k", 2, "--plot", tmp_path / "out.png").assert_failed_in_one_line("two lines")
    assert "out.png" not in files_in(tmp_path)


@pytest.mark.parametrize("name", ["poussière.fits", "with space.fits"])
def test_files_of_any_name_can_be_reduced(astronmf, files, tmp_path, name):
    (tmp_path / name).write_bytes((files / "science.fits").read_bytes())
    references = [files / reference for reference in THREE]
    astronmf("reduce", tmp_path / name, "-r", *references, "-k", 2, "-o", tmp_path / "out.fits").assert_done()


def test_interrupted_between_two_outputs_it_says_truly_what_was_written(reduce_files, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("astronmf.io.reduction.write_cube", interrupted)
    outcome = reduce_files("-k", 2, "--cube", tmp_path / "cube.fits")
    outcome.assert_failed_in_one_line("interrupted")
    assert ("no output was written" in outcome.err) == (files_in(tmp_path) == [])


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_file_that_is_there_is_kept_and_told_of_before_the_work(reduce_files, tmp_path, monkeypatch, name):
    monkeypatch.setattr("astronmf.cli.common.read_frames", lambda *_, **__: pytest.fail("the work had begun"))
    (tmp_path / name).write_text("mine")
    outcome = reduce_files("-k", 2, "--plot", tmp_path / "out.png", "--cube", tmp_path / "cube.fits")
    outcome.assert_failed_in_one_line(f"{name} exists; ask for overwriting to replace it")
    assert files_in(tmp_path) == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_files_that_are_there_are_replaced_where_it_is_asked_for(reduce_files, tmp_path):
    for name in OUTPUTS:
        (tmp_path / name).write_text("mine")
    options = ["--plot", tmp_path / "out.png", "--cube", tmp_path / "cube.fits", "--overwrite"]
    reduce_files("-k", 2, *options).assert_done()
    assert files_in(tmp_path) == sorted(OUTPUTS)
    assert all((tmp_path / name).stat().st_size > 1000 for name in OUTPUTS)


def test_factors_that_cannot_be_measured_are_told_of_once(astronmf, files, tmp_path):
    frames = Frames.read(files / "science.fits")
    frames.replace_data(-frames.data).write(tmp_path / "negative.fits")  # no component is active
    outcome = astronmf(
        "reduce", tmp_path / "negative.fits", "-r", files / "one.fits", "-k", 2, "-o", tmp_path / "out.fits"
    )
    outcome.assert_done()
    (line,) = outcome.err.splitlines()
    assert "of 4 frames could not be measured" in line
