import numpy as np
import pytest
from preparation_helpers import last_step, make_frames, star_cube

from astronmf.imaging import Frames
from astronmf.imaging.preparation import reject_frames

SHAPE = (9, 33, 35)
CENTER = (17.0, 16.0)


def some_frames(change=None):
    """Return nine frames of a star; `change` works on their data."""
    data = star_cube(SHAPE)
    if change is not None:
        change(data)
    return Frames(data, center=CENTER, names=[f"night {i}" for i in range(9)])


def turned_over(data):
    data[3] = data[3, ::-1, :12].repeat(3, axis=1)[:, :35]


def brighter(data):
    data[5] *= 1.5


def noisy(data):
    data[7] += np.random.default_rng(1).normal(0, 8, data[7].shape)


CASES = {
    "correlation": (turned_over, {"min_correlation": 0.9}, 3, "correlation "),
    "flux": (brighter, {"max_flux_deviation": 8}, 5, "flux 1."),
    "scatter": (noisy, {"max_scatter_deviation": 8}, 7, "scatter "),
}


@pytest.mark.parametrize(("change", "options", "index", "reason"), CASES.values(), ids=CASES)
def test_the_frame_that_is_unlike_the_others_is_left_out_and_it_is_said_why(change, options, index, reason):
    after = reject_frames(some_frames(change), **options)
    assert after.names == [f"night {i}" for i in range(9) if i != index]
    (rejected,) = last_step(after)["rejected"]
    assert (rejected["frame"], rejected["index"]) == (f"night {index}", index)
    assert rejected["reasons"][0].startswith(reason)


def test_all_reasons_are_told():
    after = reject_frames(some_frames(turned_over), 3, min_correlation=0.9, max_scatter_deviation=5)
    assert [why.split()[0] for why in last_step(after)["rejected"][0]["reasons"]] == ["by", "correlation", "scatter"]


def test_frames_may_be_named_or_numbered():
    frames = some_frames()
    for chosen in ("night 2", 2, -7, ["night 2"], np.array([2])):
        assert "night 2" not in reject_frames(frames, chosen).names
    assert len(reject_frames(frames, ["night 0", 8])) == 7


def test_good_frames_all_stay():
    after = reject_frames(some_frames(), min_correlation=0.95, max_flux_deviation=8, max_scatter_deviation=8)
    assert len(after) == 9
    assert last_step(after)["rejected"] == []
    assert len(last_step(after)["correlation"]) == 9


def test_only_the_pixels_between_the_radii_are_compared():
    def far_away(data):
        data[3, 0, :] = 1e4

    frames = some_frames(far_away)
    assert len(reject_frames(frames, min_correlation=0.9)) == 8
    assert len(reject_frames(frames, min_correlation=0.9, outer_radius=10)) == 9


def test_a_frame_with_nothing_to_compare_is_left_out():
    frames = Frames(some_frames(), mask=np.reshape(np.arange(9) == 4, (9, 1, 1)))
    assert "night 4" not in reject_frames(frames, min_correlation=0.5).names


def test_it_is_an_error_if_none_would_remain():
    with pytest.raises(ValueError, match=r"'frames' must be such that at least one remains, got all 5 rejected"):
        reject_frames(make_frames(), range(5))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"by_hand": "day 1"}, "'by_hand' must be names of one frame each, got 'day 1', the name of 0"),
        ({"by_hand": 9}, r"'by_hand' must be an integer in \[-9, 8\], got 9"),
        ({"by_hand": 1.5}, "'by_hand' must be an integer"),
        ({"min_correlation": 2}, "'min_correlation' must be a number in"),
        ({"max_flux_deviation": -1}, "'max_flux_deviation' must be a number in"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        reject_frames(some_frames(), **arguments)


def test_a_name_of_several_frames_is_refused():
    frames = Frames(np.ones((3, 3, 3)), names=["a", "a", "b"])
    with pytest.raises(ValueError, match="got 'a', the name of 2; give its number"):
        reject_frames(frames, "a")
