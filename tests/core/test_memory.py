import numpy as np
import pytest

from astronmf.core.memory import alike, with_room


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_array_with_room_is_zero_and_contiguous(dtype):
    array = with_room(2, 5, 7, np.dtype(dtype))
    assert array.shape == (2, 7)
    assert array.dtype == dtype
    assert array.flags.c_contiguous
    assert not array.any()


def test_room_is_handed_on():
    array = alike(alike(with_room(2, 5, 7, np.dtype(np.float32))))
    assert array.shape == (2, 7)
    assert array.base.shape == (5, 7)
    assert array.dtype == np.float32


@pytest.mark.parametrize(
    "array",
    [np.ones((3, 4)), np.ones((4, 3)).T, np.ones(12).reshape(3, 4), np.ones((3, 8))[:, ::2], np.ones((2, 3, 4))[0]],
    ids=["own", "transposed", "reshaped", "strided", "part"],
)
def test_any_other_array_is_matched_in_shape(array):
    assert alike(array).shape == array.shape
    assert not np.shares_memory(alike(array), array)
