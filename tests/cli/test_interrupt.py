"""Ctrl-C in the middle of the work leaves one line, and nothing else."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from detection_helpers import POINT
from imaging_helpers import files_in
from modelling_helpers import FREE, modelled

from astronmf.imaging import Frames

ROOT = Path(__file__).parents[2]

# Runs the command line, and says when the function that is named has been called for the second time.
ANNOUNCE = """
import sys
from importlib import import_module

def announced(function, calls=[]):
    def call(*args, **options):
        calls.append(1)
        if len(calls) == 2:
            print("begun", flush=True)
        return function(*args, **options)
    return call

place, name = sys.argv.pop(1).rsplit(".", 1)
place, _, inner = place.partition(":")
module = import_module(place)
module = getattr(module, inner) if inner else module
setattr(module, name, announced(getattr(module, name)))
import_module("astronmf.cli").main()
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Return a folder with frames that take minutes to factorize as far as the commands below ask for."""
    folder = tmp_path_factory.mktemp("large")
    rng = np.random.default_rng(1)
    for name, count in (("science.fits", 2), ("references.fits", 60)):
        cube = rng.gamma(2.0, 1.0, (count, 101, 101)).astype("f4")
        Frames(cube, rng.uniform(0.5, 1.5, cube.shape).astype("f4"), angles=np.zeros(count)).write(folder / name)
    return folder


def interrupt(*arguments, when, cwd):
    """Run a command, send SIGINT after `when` was called twice, and return exit code and stderr."""
    process = subprocess.Popen(  # noqa: S603 (this interpreter)
        [sys.executable, "-c", ANNOUNCE, when, *map(str, arguments)],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "begun\n"
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.communicate()
    return process.returncode, err


def test_an_interrupted_build_leaves_nothing(large, tmp_path):
    endless = ["-k", 20, "--tol", 1e-12, "--max-iter", 100000]
    files = [large / "science.fits", "--references", large / "references.fits"]
    code, err = interrupt(
        "reduce",
        *files,
        *endless,
        "-o",
        tmp_path / "out.fits",
        when="astronmf.core.alternating.alternate",
        cwd=tmp_path,
    )
    assert (code, err) == (1, "astronmf: error: interrupted; no output was written\n")
    assert files_in(tmp_path) == []


def test_an_interrupted_chain_says_in_one_line_how_long_it_is(tmp_path):
    pytest.importorskip("emcee")
    modelled().write(tmp_path / "out.fits")
    fits.writeto(tmp_path / "psf.fits", POINT.data)
    (tmp_path / "free.toml").write_text(FREE)
    chain = ["--sample", 1_000_000, "--checkpoint", "chain.h5"]
    model = ["--model", "free.toml", "--psf", "psf.fits", "--fwhm", 3]
    when = "emcee.backends:HDFBackend.save_step"
    code, err = interrupt("fit", "out.fits", *model, *chain, "-o", "fit.fits", when=when, cwd=tmp_path)
    assert code == 1
    told = r"astronmf: error: interrupted; chain.h5 has (\d+) of 1000000 steps; '--resume' goes on with them\n"
    assert int(re.fullmatch(told, err)[1]) >= 1
    assert files_in(tmp_path) == ["chain.h5", "free.toml", "out.fits", "psf.fits"]
