"""What all steps of the preparation have in common."""

import json
from copy import deepcopy

import numpy as np
import pytest
from preparation_helpers import SHAPE, last_step, make_frames, valid_data

import astronmf.imaging.preparation as preparation_room
from astronmf.imaging import Frames
from astronmf.imaging.preparation import (
    bin_frames,
    crop,
    mask_bad_pixels,
    normalize_flux,
    pad,
    recenter,
    reject_frames,
    select_references,
    set_center,
    subtract_background,
)

STEPS = {
    "recenter": lambda frames: recenter(frames, (16.3, 16.8)),
    "recenter by whole pixels": lambda frames: recenter(frames, (15, 18)),
    "set_center": lambda frames: set_center(frames, (16.3, 16.8)),
    "crop": lambda frames: crop(frames, 21),
    "pad": lambda frames: pad(frames, 41),
    "mask_bad_pixels": mask_bad_pixels,
    "subtract_background": lambda frames: subtract_background(frames, inner_radius=10),
    "subtract_background map": lambda frames: subtract_background(frames, "map", inner_radius=10, box_size=7),
    "subtract_background given": lambda frames: subtract_background(frames, 3.0, uncertainty=0.1),
    "normalize_flux": lambda frames: normalize_flux(frames, outer_radius=8),
    "reject_frames": lambda frames: reject_frames(frames, 1),
    "select_references": lambda frames: select_references(frames, frames, 3),
    "bin_frames": lambda frames: bin_frames(frames, 2),
}

every_step = pytest.mark.parametrize(("name", "step"), STEPS.items(), ids=STEPS)


def snapshot(frames):
    return [np.array(part).tobytes() for part in (frames.data, frames.sigma, frames.mask)] + [deepcopy(frames.meta)]


@every_step
def test_what_goes_in_is_untouched_and_nothing_of_it_is_shared(name, step):
    frames = make_frames()
    frames.meta["preparation"] = [{"step": "earlier", "parameters": {}}]
    before = snapshot(frames)
    after = step(frames)
    assert snapshot(frames) == before
    for part in ("data", "sigma"):
        assert not np.shares_memory(getattr(frames, part), getattr(after, part))
    after.meta["preparation"][0]["step"] = after.meta["inputs"][0]["name"] = "changed"
    assert snapshot(frames) == before


@every_step
def test_a_step_adds_itself_to_the_record_in_plain_words_and_numbers(name, step):
    frames = make_frames()
    once = step(frames)
    twice = step(Frames.concatenate([once] * 5)[:5]) if len(once) < 5 else step(once)
    record = json.loads(json.dumps(once.meta["preparation"], allow_nan=False))
    assert record == once.meta["preparation"]
    assert [entry["step"] for entry in record] == [name.split()[0]]
    assert record[0]["frames"] == frames.names
    assert isinstance(record[0]["parameters"], dict)
    assert [entry["step"] for entry in twice.meta["preparation"]] == [name.split()[0]] * 2


@every_step
def test_names_unit_geometry_and_kind_of_the_frames_that_remain_are_kept(name, step):
    frames = make_frames(is_reference=[False, False, False, True, True])
    after = step(frames)
    assert (after.unit, after.geometry.pixel_scale, after.geometry.parity) == ("adu", 0.05, -1)
    assert after.meta["object"] == "star"
    if name == "bin_frames":
        return
    kept = [frames.names.index(one) for one in after.names]
    np.testing.assert_array_equal(after.angles, frames.angles[kept])
    np.testing.assert_array_equal(after.is_reference, frames.is_reference[kept])


@every_step
def test_what_lies_under_the_mask_changes_no_bit_of_what_is_valid(name, step):
    one, other = step(make_frames(rubbish=1e30)), step(make_frames(rubbish=np.nan))
    np.testing.assert_array_equal(one.mask, other.mask)
    np.testing.assert_array_equal(valid_data(one), valid_data(other))
    np.testing.assert_array_equal(one.sigma[~one.mask], other.sigma[~one.mask])
    assert one.meta == other.meta


@every_step
def test_every_valid_pixel_has_a_value_and_an_error(name, step):
    after = step(make_frames())
    assert np.isfinite(after.data[~after.mask]).all()
    assert (after.sigma[~after.mask] > 0).all()
    assert 0 < after.mask.mean() < 0.7


@every_step
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_precision_is_kept(name, step, kind):
    after = step(make_frames(kind=kind))
    assert after.data.dtype == after.sigma.dtype == kind


@every_step
def test_errors_and_angles_are_not_needed(name, step):
    after = step(make_frames(sigma=False, angles=None))
    assert after.sigma is None
    assert after.angles is None


@pytest.mark.parametrize("name", [name for name in STEPS if name not in ("reject_frames", "select_references")])
def test_one_frame_stays_a_stack_of_one(name):
    after = STEPS[name](make_frames((1, *SHAPE[1:])))
    assert len(after) == 1
    assert after.data.ndim == 3


def test_steps_follow_each_other():
    frames = make_frames()
    after = bin_frames(normalize_flux(crop(recenter(frames, (16.3, 16.8)), 21), outer_radius=8), 5)
    assert [entry["step"] for entry in after.meta["preparation"]] == [
        "recenter",
        "crop",
        "normalize_flux",
        "bin_frames",
    ]
    assert after.shape == (1, 21, 21)
    assert after.geometry.center == (10, 10)


def test_one_history_stays_one_when_its_frames_are_put_together_again():
    frames = crop(mask_bad_pixels(make_frames()), 21)
    joined = Frames.concatenate([frames[:2], frames[2:], frames[:1]])
    assert joined.meta["preparation"] == frames.meta["preparation"]


def test_histories_that_part_are_both_kept_in_their_order():
    shared = mask_bad_pixels(make_frames())
    one, other = crop(shared[:2], 21), crop(crop(shared[2:], 23), 21)
    joined = Frames.concatenate([one, other]).meta["preparation"]
    first, second = one.meta["preparation"], other.meta["preparation"]
    assert joined == [*first, *second[1:]]
    again = Frames.concatenate([one, other, one, other]).meta["preparation"]
    assert again == joined


def test_a_step_taken_twice_counts_twice_in_a_joined_history():
    once = mask_bad_pixels(make_frames(masked=0.0))
    twice = mask_bad_pixels(once)
    assert twice.meta["preparation"][0] == twice.meta["preparation"][1]
    assert Frames.concatenate([once, twice]).meta["preparation"] == twice.meta["preparation"]
    assert Frames.concatenate([twice, once]).meta["preparation"] == twice.meta["preparation"]


def test_the_record_follows_frames_that_are_chosen():
    frames = make_frames()
    assert last_step(mask_bad_pixels(frames)[1])["frames"] == frames.names


def test_all_steps_are_public():
    assert {name.split()[0] for name in STEPS} <= set(preparation_room.__all__)
    assert dir(preparation_room) == sorted(preparation_room.__all__)
    with pytest.raises(AttributeError, match=r"module 'astronmf.imaging.preparation' has no attribute 'nothing'"):
        _ = preparation_room.nothing
