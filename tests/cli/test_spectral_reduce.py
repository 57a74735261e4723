import warnings

import numpy as np
import pytest
from imaging_helpers import write_cube
from spectral_helpers import observe

from astronmf import SequentialNMF
from astronmf.exceptions import AstroNMFWarning, MissingDataWarning
from astronmf.imaging import SpectralFrames, SpectralReduction, reduce_spectral

WAVELENGTHS = np.linspace(1.0, 1.6, 5)
ZONE = ("--inner", 5, "--outer", 17, "--tol", "1e-2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder of exposures: cube.fits, the same in three files, without wavelengths, and of another star."""
    folder = tmp_path_factory.mktemp("spectral")
    observation = observe(WAVELENGTHS)
    frames = observation.frames()
    frames.write(folder / "cube.fits")
    for i in range(3):
        frames[i].write(folder / f"{i}.fits")
    write_cube(folder / "plain.fits", observation.data)
    write_cube(folder / "one.fits", observation.data[0])
    observe(WAVELENGTHS, np.zeros(4), seed=2).frames(angles=None).write(folder / "other.fits")
    np.savetxt(folder / "waves.txt", WAVELENGTHS)
    np.savetxt(folder / "angles.txt", observation.angles)
    return folder


def library(path, **options):
    """Return what the library makes of a file with the options of the commands here."""
    estimator = SequentialNMF(10, tol=1e-2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MissingDataWarning)
        frames = path if isinstance(path, SpectralFrames) else SpectralFrames.read(path)
        return reduce_spectral(frames, inner_radius=5, outer_radius=17, estimator=estimator, **options)


def test_other_wavelengths_are_used_as_the_library_does(astronmf, folder, tmp_path):
    options = ("--mode", "sdi", "--fwhm", 3, "--min-separation", 0.3, "--max-channels", 2, "-k", 1)
    outcome = astronmf("reduce", folder / "cube.fits", *options, *ZONE, "-o", tmp_path / "out.fits")
    outcome.assert_done()
    settings = {"fwhm": 3.0, "min_separation": 0.3, "max_channels": 2, "n_components": 1}
    expected = library(folder / "cube.fits", mode="sdi", **settings)
    found = SpectralReduction.read(tmp_path / "out.fits")
    np.testing.assert_array_equal(found.combined, expected.combined)
    assert found.meta["parameters"] == expected.meta["parameters"]
    assert found.meta["command"].startswith("astronmf")
    for words in (
        "3, of 5 channels of 41 x 41 pixels",
        "1 to 1.6 µm",
        "1 in each channel, mode sdi",
        "MJy / sr a pixel",
    ):
        assert words in outcome.out


def test_a_file_of_four_axes_is_reduced_channel_by_channel(astronmf, folder, tmp_path):
    outcome = astronmf("reduce", folder / "cube.fits", "--mode", "adi", "-k", 1, *ZONE, "-o", tmp_path / "out.fits")
    outcome.assert_done()
    expected = library(folder / "cube.fits", mode="adi", n_components=1)
    np.testing.assert_array_equal(SpectralReduction.read(tmp_path / "out.fits").combined, expected.combined)


def test_references_of_another_star_are_used(astronmf, folder, tmp_path):
    options = ("-r", folder / "other.fits", "-k", 2, "--scale", "none", *ZONE, "-o", tmp_path / "out.fits")
    astronmf("reduce", folder / "cube.fits", *options).assert_done()
    others = SpectralFrames.read(folder / "other.fits")
    expected = library(folder / "cube.fits", references=others, mode="rdi", n_components=2, scale="none")
    np.testing.assert_array_equal(SpectralReduction.read(tmp_path / "out.fits").combined, expected.combined)


def test_wavelengths_and_angles_come_from_files_of_their_own(astronmf, folder, tmp_path):
    given = ("--wavelengths", folder / "waves.txt", "--angles", folder / "angles.txt")
    options = ("--mode", "asdi", "-k", 2, *ZONE, "-o", tmp_path / "out.fits")
    astronmf("reduce", folder / "plain.fits", *given, *options).assert_done()
    found = SpectralReduction.read(tmp_path / "out.fits")
    frames = SpectralFrames.read(folder / "plain.fits", wavelengths=WAVELENGTHS, angles=[0.0, 20.0, 40.0])
    np.testing.assert_array_equal(found.combined, library(frames, mode="asdi", n_components=2).combined)
    assert [item.get("role") for item in found.meta["inputs"]] == [None, "angles", "wavelengths"]
    one = ("--wavelengths", folder / "waves.txt", "--mode", "sdi", "-k", 1, *ZONE, "-o", tmp_path / "one.fits")
    astronmf("reduce", folder / "one.fits", *one).assert_done()


def test_an_exposure_a_file_is_the_same_as_all_in_one(astronmf, folder, tmp_path):
    options = ("--mode", "sdi", "-k", 1, *ZONE)
    each = [folder / f"{i}.fits" for i in range(3)]
    astronmf("reduce", *each, *options, "-o", tmp_path / "each.fits").assert_done()
    astronmf("reduce", folder / "cube.fits", *options, "-o", tmp_path / "all.fits").assert_done()
    one, other = (SpectralReduction.read(tmp_path / name) for name in ("each.fits", "all.fits"))
    np.testing.assert_array_equal(one.combined, other.combined)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        (
            "cube.fits",
            ("--mode", "sdi", "--min-separation", 5, "--fwhm", 3, "-k", 1),
            "'min_separation' must be such that",
        ),
        ("cube.fits", ("--mode", "sdi", "--plot", "out.png"), "'--plot' must be left out where there are several"),
        ("cube.fits", ("--mode", "pdi"), "'mode' must be one of"),
        ("plain.fits", ("--mode", "sdi"), "does not tell the wavelengths"),
        ("nothing.fits", ("--mode", "sdi"), "nothing.fits: no such file"),
    ],
)
def test_what_goes_wrong_is_one_line(astronmf, folder, tmp_path, name, options, words):
    outcome = astronmf("reduce", folder / name, *options, *ZONE, "-o", tmp_path / "out.fits")
    outcome.assert_failed_in_one_line(words)
    assert not (tmp_path / "out.fits").exists()


@pytest.mark.parametrize("mode", ["adi", "sdi"])
def test_what_is_not_said_is_what_the_library_takes(astronmf, folder, tmp_path, mode):
    radii = ("--inner", 5, "--outer", 12)
    astronmf("reduce", folder / "cube.fits", "--mode", mode, *radii, "-o", tmp_path / "out.fits").assert_done()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstroNMFWarning)  # as many components as references: slow to converge
        frames = SpectralFrames.read(folder / "cube.fits")
        expected = reduce_spectral(frames, mode=mode, inner_radius=5, outer_radius=12)
    np.testing.assert_array_equal(SpectralReduction.read(tmp_path / "out.fits").combined, expected.combined)
