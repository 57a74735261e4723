"""What was done to frames goes with them to the file and back."""

import numpy as np
import pytest
from imaging_helpers import same_frames
from preparation_helpers import make_frames

from astronmf.imaging import Frames
from astronmf.imaging.preparation import crop, mask_bad_pixels, recenter, reject_frames
from astronmf.io.files import open_fits


@pytest.fixture
def prepared():
    frames = make_frames(
        names=["β Pic 0", "β Pic 1", "c", "d", "e"], meta={"object": "β Pic", "instrument": "NAOS+CONICA"}
    )
    return reject_frames(crop(recenter(mask_bad_pixels(frames), (16.3, 16.8)), 21), "c")


def test_the_steps_survive_and_so_do_the_frames(prepared, tmp_path):
    prepared.write(tmp_path / "prepared.fits")
    again = Frames.read(tmp_path / "prepared.fits")
    same_frames(again, prepared)
    assert again.meta["preparation"] == prepared.meta["preparation"]
    assert (again.meta["object"], again.meta["instrument"]) == ("β Pic", "NAOS+CONICA")
    assert again.meta["inputs"][0]["name"] == "prepared.fits"


def test_more_steps_are_added_to_those_that_were_read(prepared, tmp_path):
    prepared.write(tmp_path / "prepared.fits")
    again = crop(Frames.read(tmp_path / "prepared.fits"), 15)
    assert [step["step"] for step in again.meta["preparation"]][-2:] == ["reject_frames", "crop"]


def test_files_of_one_preparation_are_one_history_again(prepared, tmp_path):
    prepared[:2].write(tmp_path / "one.fits")
    prepared[2:].write(tmp_path / "two.fits")
    again = Frames.read([tmp_path / "one.fits", tmp_path / "two.fits"])
    assert again.meta["preparation"] == prepared.meta["preparation"]


def test_frames_that_were_not_prepared_have_no_such_table(tmp_path):
    Frames(np.ones((1, 5, 5))).write(tmp_path / "plain.fits")
    assert "PREPARATION" not in open_fits(tmp_path / "plain.fits")
    assert "preparation" not in Frames.read(tmp_path / "plain.fits").meta
