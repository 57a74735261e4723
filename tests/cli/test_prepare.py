import numpy as np
import pytest
from astropy.io import fits
from imaging_helpers import files_in, gaussian, write_cube

from astronmf.imaging import Frames
from astronmf.imaging.preparation import bin_frames, crop, mask_bad_pixels, normalize_flux, recenter, reject_frames
from benchmarks import centering as scenes

SIZE = 41
PLACES = np.array([(20.3, 19.6), (20.8, 20.1), (19.7, 20.4), (20.0, 20.0), (20.2, 19.9), (19.9, 20.6)])


@pytest.fixture(scope="module")
def cube():
    """Return six frames of a star that moves, one of them with a cosmic ray."""
    rng = np.random.default_rng(1)
    data = np.array([gaussian((SIZE, SIZE), x, y, fwhm=4.0, peak=1000.0) for x, y in PLACES])
    data += 20 + rng.standard_normal(data.shape)
    data[2, 5, 7] += 500
    return data


@pytest.fixture
def workplace(cube, tmp_path):
    """Return a folder with the frames in one file and in two, their angles, a mask and a background."""
    Frames(cube, angles=10.0 * np.arange(6), unit="adu").write(tmp_path / "cube.fits")
    write_cube(tmp_path / "first.fits", cube[:4])
    write_cube(tmp_path / "second.fits", cube[4:])
    (tmp_path / "angles.txt").write_text("\n".join(str(5 * i) for i in range(6)))
    write_cube(tmp_path / "mask.fits", (np.arange(SIZE) < 2).astype("u1") * np.ones((SIZE, 1), "u1"))
    write_cube(tmp_path / "dark.fits", np.full((SIZE, SIZE), 20.0))
    return tmp_path


@pytest.fixture
def prepare(astronmf, workplace):
    """Return a function that prepares files of the folder, with options, into out.fits."""

    def run(*options, files=("cube.fits",)):
        return astronmf("prepare", *(workplace / name for name in files), "-o", workplace / "out.fits", *options)

    return run


def steps_of(frames):
    return [step["step"] for step in frames.meta["preparation"]]


def test_the_command_does_what_the_library_does(prepare, workplace):
    options = ["--bad-pixels", "--center-method", "gaussian", "--crop", 31, "--normalize", "--reject-below", 0.9]
    prepare(*options, "--bin", 2, "--outer", 12).assert_done()
    frames = mask_bad_pixels(Frames.read(workplace / "cube.fits"))
    frames = crop(recenter(frames, method="gaussian", outer_radius=12), 31)
    frames = reject_frames(normalize_flux(frames, outer_radius=12), min_correlation=0.9, outer_radius=12)
    expected = bin_frames(frames, 2)
    found = Frames.read(workplace / "out.fits")
    np.testing.assert_array_equal(found.data, expected.data)
    np.testing.assert_array_equal(found.mask, expected.mask)
    np.testing.assert_allclose(found.angles, [5, 25, 45])
    assert steps_of(found) == ["read", *steps_of(expected)]


def test_every_step_is_told(prepare, workplace):
    told = prepare("--bad-pixels", "--background", "constant", "--center-method", "gaussian", "--bin", 3)
    for words in (
        "2 of 41 x 41 pixels",
        "(20, 20) from 0",
        "star at (20.",
        "gaussian",
        "constant, levels",
        "6 frames to 2",
    ):
        assert words in told.out
    assert told.err == ""


def test_the_star_ends_at_the_middle_pixel(prepare, workplace):
    prepare("--center-method", "gaussian").assert_done()
    found = Frames.read(workplace / "out.fits")
    assert found.geometry.center == (20, 20)
    step = found.meta["preparation"][-1]
    np.testing.assert_allclose(step["centers"], PLACES, atol=0.02)


def test_a_centre_that_is_given_is_where_the_star_is(prepare, workplace):
    prepare("--center", 19, 21).assert_done()
    found = Frames.read(workplace / "out.fits")
    assert found.meta["preparation"][-1]["centers"] == [[19, 21]] * 6
    np.testing.assert_array_equal(found.data[:, :20, 10:], Frames.read(workplace / "cube.fits").data[:, 1:21, 9:-1])


def test_with_a_method_the_centre_is_where_it_starts(prepare, workplace):
    prepare("--center", 21, 19, "--center-method", "cross_correlation").assert_done()
    found = Frames.read(workplace / "out.fits").meta["preparation"][-1]
    assert found["parameters"]["guess"] == [[21, 19]] * 6


def test_nothing_is_moved_if_that_is_asked_for(prepare, workplace):
    told = prepare("--center-method", "gaussian", "--no-recenter")
    told.assert_done()
    assert "the star moves by" in told.err
    found = Frames.read(workplace / "out.fits")
    np.testing.assert_array_equal(found.data, Frames.read(workplace / "cube.fits").data)
    np.testing.assert_allclose(found.geometry.center, np.median(PLACES, axis=0), atol=0.02)


def test_without_a_step_the_frames_of_all_files_end_in_one(prepare, workplace, cube):
    prepare("--angles", workplace / "angles.txt", files=("first.fits", "second.fits")).assert_done()
    found = Frames.read(workplace / "out.fits")
    np.testing.assert_array_equal(found.data, cube)
    np.testing.assert_array_equal(found.angles, 5.0 * np.arange(6))
    (step,) = found.meta["preparation"]
    assert [item["name"] for item in step["inputs"]] == ["first.fits", "second.fits", "angles.txt"]
    assert len(step["inputs"][2]["sha256"]) == 64
    assert step["parameters"]["command"].startswith("astronmf")


def test_files_whose_stars_are_at_different_places_are_aligned(prepare, workplace, cube):
    for name, x, data in (("left.fits", 18, cube[:1]), ("right.fits", 23, cube[1:2])):
        write_cube(workplace / name, data, CRPIX1=x + 1, CRPIX2=21)
    prepare(files=("left.fits", "right.fits")).assert_done()
    found = Frames.read(workplace / "out.fits")
    assert found.meta["preparation"][-1]["centers"] == [[18, 20], [23, 20]]
    np.testing.assert_array_equal(found.data[0, :, 5:], cube[0, :, 3:-2])
    np.testing.assert_array_equal(found.data[1, :, :-5], cube[1, :, 3:-2])


def test_even_frames_are_searched_from_their_middle(prepare, workplace):
    write_cube(workplace / "even.fits", gaussian((30, 32), 16.2, 14.1, fwhm=4.0, peak=100.0))
    prepare(files=("even.fits",)).assert_failed_in_one_line("'center' must be given for frames of even size")
    prepare("--center-method", "gaussian", files=("even.fits",)).assert_done()
    step = Frames.read(workplace / "out.fits").meta["preparation"][-1]
    np.testing.assert_allclose(step["centers"], [[16.2, 14.1]], atol=1e-3)


@pytest.mark.parametrize("background", ["constant", "map", "dark.fits"])
def test_a_background_is_taken_off(prepare, workplace, background):
    name = workplace / background if background == "dark.fits" else background
    prepare("--background", name, "--background-inner", 10).assert_done()
    found = Frames.read(workplace / "out.fits")
    assert abs(np.median(found.data[:, :8])) < 1
    inputs = [item["name"] for item in found.meta["preparation"][0]["inputs"]]
    assert inputs == ["cube.fits", *(["dark.fits"] if background == "dark.fits" else [])]


def test_spots_are_found_by_their_separation(prepare, workplace):
    frames, truth = scenes.simulate(scenes.spots, count=2)
    frames.write(workplace / "spots.fits")
    prepare("--center-method", "satellite_spots", "--spot-separation", 22, files=("spots.fits",)).assert_done()
    step = Frames.read(workplace / "out.fits").meta["preparation"][-1]
    np.testing.assert_allclose(step["centers"], truth, atol=0.06)


def test_a_mask_leaves_its_pixels_out(prepare, workplace):
    prepare("--mask", workplace / "mask.fits").assert_done()
    found = Frames.read(workplace / "out.fits")
    assert found.mask[:, :, :2].all()
    assert not found.mask[:, :, 2:].any()


def test_a_figure_is_drawn(prepare, workplace):
    prepare("--center-method", "gaussian", "--plot", workplace / "out.png").assert_done()
    assert (workplace / "out.png").read_bytes().startswith(b"\x89PNG")


def test_a_prepared_file_can_be_prepared_again(prepare, astronmf, workplace):
    prepare("--crop", 31).assert_done()
    astronmf("prepare", workplace / "out.fits", "--crop", 21, "-o", workplace / "again.fits").assert_done()
    assert steps_of(Frames.read(workplace / "again.fits")) == ["read", "crop", "read", "crop"]


FAILURES = {
    "an unknown method": (["--center-method", "eye"], "'method' must be one of 'gaussian'"),
    "spots without a place": (["--center-method", "satellite_spots"], "'spots' must be given as four"),
    "a separation without spots": (["--spot-separation", 9], "'spot_separation' must be left out without"),
    "saturation without a fit": (["--saturation", 9], "'saturation' must be left out without a fit"),
    "a cut that is too large": (["--crop", 99], "'size' must be at most 41 along y"),
    "no frame that is good enough": (["--reject-below", 1], "'frames' must be such that at least one remains"),
    "a background that is not there": (["--background", "nothing.fits"], "nothing.fits: no such file"),
    "a mask that is not there": (["--mask", "nothing.fits"], "nothing.fits: no such file"),
    "angles twice": (["--angles", "a.txt", "--angle-key", "PA"], "'angles' must be given in one way"),
    "a figure of no kind": (["--plot", "figure.jpeg"], "a figure's name ends in .png"),
}


@pytest.mark.parametrize(("options", "words"), FAILURES.values(), ids=FAILURES)
def test_a_failure_is_one_line_and_leaves_nothing(prepare, workplace, options, words):
    before = files_in(workplace)
    prepare(*options).assert_failed_in_one_line(words)
    assert files_in(workplace) == before


def test_a_file_that_is_there_is_kept_unless_overwriting_is_asked_for(prepare, workplace):
    (workplace / "out.fits").write_text("mine")
    prepare().assert_failed_in_one_line("out.fits exists")
    prepare("--overwrite").assert_done()
    assert fits.getval(workplace / "out.fits", "NAXIS3", "SCI") == 6


def test_an_input_is_not_written_over(prepare, astronmf, workplace):
    told = astronmf("prepare", workplace / "cube.fits", "-o", workplace / "cube.fits", "--overwrite")
    told.assert_failed_in_one_line("is an input too")
