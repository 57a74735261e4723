import inspect

import pytest

from astronmf.imaging import detection


def test_dir_lists_the_public_names():
    assert dir(detection) == sorted(detection.__all__)


def test_a_name_that_is_not_there_is_named():
    with pytest.raises(AttributeError, match=r"module 'astronmf\.imaging\.detection' has no attribute 'nothing'"):
        _ = detection.nothing


@pytest.mark.parametrize("name", detection.__all__)
def test_every_public_name_is_there_and_documented(name):
    assert inspect.getdoc(getattr(detection, name))


@pytest.mark.parametrize("name", detection.__all__)
def test_no_public_name_is_that_of_a_module(name):
    assert not inspect.ismodule(getattr(detection, name))
