"""The demonstration: one run, in a process of its own, from a folder that is not the checkout."""

import re

import pytest
from imaging_helpers import files_in

from astronmf.imaging import Reduction


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory, astronmf_process):
    folder = tmp_path_factory.mktemp("elsewhere")
    return folder, astronmf_process("demo", cwd=folder)


def test_it_is_done_and_writes_its_four_files(demonstration):
    folder, outcome = demonstration
    outcome.assert_done()
    assert files_in(folder) == ["astronmf-demo"]
    assert files_in(folder / "astronmf-demo") == ["components.png", "history.png", "reduction.fits", "reduction.png"]
    for name in ("components.png", "history.png", "reduction.png"):
        assert (folder / "astronmf-demo" / name).read_bytes().startswith(b"\x89PNG")


def test_it_prints_how_much_of_the_known_flux_came_back(demonstration):
    _, outcome = demonstration
    (kept,) = re.findall(r"(\d\.\d+) with the disk's region missing", outcome.out)
    ((lost, predicted),) = re.findall(r"(\d\.\d+) without \(forward model: (\d\.\d+)\)", outcome.out)
    assert float(kept) == pytest.approx(1, abs=0.03)
    assert float(lost) < 0.9
    assert float(predicted) == pytest.approx(float(lost), rel=0.02)


def test_it_prints_that_the_rest_is_noise(demonstration):
    _, outcome = demonstration
    (ratio,) = re.findall(r"noise / photon and read noise\s*│\s*(\d\.\d+)", outcome.out)
    assert 0.85 < float(ratio) < 1.15


def test_what_it_writes_is_a_reduction(demonstration):
    folder, _ = demonstration
    result = Reduction.read(folder / "astronmf-demo" / "reduction.fits")
    assert result.combined.shape == (169, 169)
    assert result.meta["command"] == "astronmf demo"


def test_it_keeps_what_is_there_and_says_so_at_once(demonstration, astronmf, monkeypatch):
    folder, _ = demonstration
    monkeypatch.chdir(folder)
    before = (folder / "astronmf-demo" / "reduction.fits").read_bytes()
    astronmf("demo").assert_failed_in_one_line("reduction.fits exists")
    assert (folder / "astronmf-demo" / "reduction.fits").read_bytes() == before


def test_a_folder_that_cannot_be_made_is_one_line(astronmf, tmp_path):
    (tmp_path / "file").touch()
    astronmf("demo", "-o", tmp_path / "file" / "folder").assert_failed_in_one_line("file")
    assert files_in(tmp_path) == ["file"]
