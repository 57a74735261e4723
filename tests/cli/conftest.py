"""Small files for the command line, and two ways to call it: in this process, and in one of its own."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import imaging_helpers
import numpy as np
import pytest
from astropy.io import fits
from typer.testing import CliRunner

from astronmf.cli import app

ROOT = Path(__file__).parents[2]
THREE = ("one.fits", "two.fits", "three.fits")


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str

    def assert_failed_in_one_line(self, *words):
        """Check for exit code 1 and a single line on stderr that says what is wrong."""
        assert self.code == 1, self.err
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("astronmf: error: ")
        for word in words:
            assert word in lines[0]
        assert "Traceback" not in self.err + self.out

    def assert_done(self):
        """Check for exit code 0."""
        assert self.code == 0, self.err
        assert "Traceback" not in self.err + self.out


@pytest.fixture(scope="session")
def astronmf():
    """Return a function that runs a command in this process."""

    def run(*args):
        result = CliRunner().invoke(app, [str(arg) for arg in args])
        return Outcome(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture(scope="session")
def astronmf_process():
    """Return a function that runs a command in a process of its own."""

    def run(*args, cwd, **options):
        command = [sys.executable, "-m", "astronmf", *map(str, args)]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(  # noqa: S603 (this interpreter)
            command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=120, **options
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """Return a folder of frames, masks, angles and components, not to be changed.

    science.fits; one.fits, two.fits, three.fits of references; marked.fits of both; masks and angles.
    """
    folder = tmp_path_factory.mktemp("files")
    observation = imaging_helpers.observe(n_references=9)
    observation.science_frames().write(folder / "science.fits")
    observation.science_frames(angles=None).write(folder / "no_angles.fits")
    references = observation.reference_frames()
    for i, name in enumerate(THREE):
        references[3 * i : 3 * i + 3].write(folder / name)
    marked = observation.reference_frames(is_reference=True, angles=np.zeros(9))
    type(marked).concatenate([observation.science_frames(), marked]).write(folder / "marked.fits")
    imaging_helpers.write_cube(folder / "spot.fits", imaging_helpers.disc((33, 33), 8, 20, 3).astype("u1"))
    imaging_helpers.write_cube(folder / "wrong_size.fits", np.zeros((31, 31), "u1"))
    (folder / "angles.txt").write_text("\n".join(map(str, imaging_helpers.ANGLES)))
    (folder / "few_angles.txt").write_text("1.0\n2.0\n")
    (folder / "text.fits").write_text("not FITS\n")
    (folder / "cut.fits").write_bytes((folder / "one.fits").read_bytes()[:20000])
    return folder


@pytest.fixture(scope="session")
def reduced(files, astronmf, tmp_path_factory):
    """Return the path of a reduction, not to be changed."""
    path = tmp_path_factory.mktemp("reduced") / "out.fits"
    references = [files / name for name in THREE]
    astronmf("reduce", files / "science.fits", "--references", *references, "-k", 3, "-o", path).assert_done()
    return path


@pytest.fixture(scope="session")
def basis(files, astronmf, tmp_path_factory):
    """Return the path of components, not to be changed."""
    path = tmp_path_factory.mktemp("basis") / "basis.fits"
    astronmf("components", *(files / name for name in THREE), "-k", 3, "-o", path).assert_done()
    return path


@pytest.fixture
def workplace(files, tmp_path):
    """Return a folder of one's own with copies of the frames."""
    for name in ("science.fits", *THREE):
        shutil.copy(files / name, tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def image_of():
    """Return a function that reads an extension of a file."""
    return lambda path, name="COMBINED": fits.getdata(path, name)
