import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from preparation_helpers import make_frames

from astronmf.imaging.preparation.records import plain, recorded

numbers = st.floats() | st.integers() | st.booleans() | st.none() | st.text()
values = st.recursive(numbers, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)


@given(values)
def test_every_record_can_be_written_as_strict_json_and_read_back(value):
    written = plain(value)
    assert json.loads(json.dumps(written, allow_nan=False)) == written


def test_arrays_become_lists_and_numbers_that_are_none_become_none():
    value = {"a": np.array([1.0, np.nan]), "b": (np.float32(0.5), np.int64(3)), "c": np.bool_(True), "d": np.inf}
    assert plain(value) == {"a": [1.0, None], "b": [0.5, 3], "c": True, "d": None}
    assert plain(np.ma) == str(np.ma)


def test_what_does_not_change_is_copied():
    frames = make_frames()
    after = recorded(frames, "look", {"at": 1}, {"seen": [2]})
    assert after.meta["preparation"] == [{"step": "look", "parameters": {"at": 1}, "frames": frames.names, "seen": [2]}]
    np.testing.assert_array_equal(after.data, frames.data)
    np.testing.assert_array_equal(after.sigma, frames.sigma)
    after.data[:] = 0
    assert frames.data.any()
