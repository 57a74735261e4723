"""``astronmf reduce`` of a rotating sequence does what the library does."""

import numpy as np
import pytest
import rotation_helpers

from astronmf.imaging import Frames, Reduction, reduce

RADII = {"inner_radius": 3, "outer_radius": 15}
TURNING = rotation_helpers.sequence()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a sequence, frames of another star, and the sequence without angles."""
    folder = tmp_path_factory.mktemp("modes")
    TURNING.frames().write(folder / "science.fits")
    rotation_helpers.sequence(n=8, seed=5).frames(angles=np.zeros(8)).write(folder / "other.fits")
    TURNING.frames(angles=None).write(folder / "still.fits")
    np.savetxt(folder / "angles.txt", TURNING.angles)
    return folder


@pytest.fixture
def reduce_file(astronmf, folder, tmp_path):
    """Return a function that reduces a file of the folder, with further options, and reads what was written."""

    def run(*options, science="science.fits"):
        radii = ("--inner", 3, "--outer", 15)
        astronmf("reduce", folder / science, *options, *radii, "-o", tmp_path / "out.fits").assert_done()
        return Reduction.read(tmp_path / "out.fits")

    return run


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ((), {}),
        (("-k", 2), {"n_components": 2}),
        (("--annulus-width", 6, "--segments", 2), {"annulus_width": 6, "n_segments": 2}),
        (("--min-rotation", 1.5, "--fwhm", 3), {"min_rotation": 1.5, "fwhm": 3.0}),
        (("--combine", "median"), {"combine": "median"}),
    ],
    ids=["defaults", "k", "zones", "references of each frame", "median"],
)
def test_what_is_said_and_what_is_not_is_as_in_the_library(reduce_file, folder, options, settings):
    found = reduce_file("--mode", "adi", *options)
    expected = reduce(Frames.read(folder / "science.fits"), mode="adi", **RADII, **settings)
    np.testing.assert_array_equal(found.combined, expected.combined)
    np.testing.assert_array_equal(found.residuals, expected.residuals)
    assert found.meta["parameters"] == expected.meta["parameters"]
    assert found.components.meta["tol"] == expected.components.meta["tol"] == 1e-4


def test_both_libraries_are_used(reduce_file, folder):
    found = reduce_file("--mode", "ardi", "--references", folder / "other.fits", "-k", 3)
    science, others = (Frames.read(folder / f"{name}.fits") for name in ("science", "other"))
    expected = reduce(science, others, mode="ardi", n_components=3, **RADII)
    np.testing.assert_array_equal(found.combined, expected.combined)
    assert len(found.components.coefficients) == 24


def test_angles_come_from_a_file(reduce_file, folder):
    found = reduce_file("--mode", "adi", "--angles", folder / "angles.txt", science="still.fits")
    np.testing.assert_allclose(found.combined, reduce_file("--mode", "adi", "--overwrite").combined, rtol=1e-12)


def test_without_angles_a_line_says_how_to_give_them(astronmf, folder, tmp_path):
    outcome = astronmf("reduce", folder / "still.fits", "--mode", "adi", "-o", tmp_path / "out.fits")
    outcome.assert_failed_in_one_line("--angles", "--angle-key")
