import numpy as np
import pytest

from astronmf.imaging.geometry import Geometry
from astronmf.imaging.modelling.callable_model import CallableModel
from astronmf.imaging.modelling.observing import Observer
from astronmf.imaging.modelling.sources import SkyImage, Source

OBSERVER = Observer(Geometry((20.0, 20.0), angles=np.array([0.0, 30.0]), pixel_scale=0.1), (2, 41, 41))


def blob(width, peak=1.0):
    y, x = np.indices((41, 41)) - 20
    return peak * np.exp(-0.5 * (x**2 + y**2) / width**2)


def test_frames_are_those_of_the_image_that_the_function_returns():
    model = CallableModel(blob, {"width": 3.0, "peak": 2.0})
    np.testing.assert_array_equal(model.frames(OBSERVER), SkyImage(blob(3.0, 2.0)).frames(OBSERVER))
    assert isinstance(model, Source)


def test_pixel_scale_and_centre_are_handed_on():
    model = CallableModel(blob, {"width": 3.0}, pixel_scale=0.05, center=(21, 20))
    expected = SkyImage(blob(3.0), pixel_scale=0.05, center=(21, 20)).frames(OBSERVER)
    np.testing.assert_array_equal(model.frames(OBSERVER), expected)


def test_parameters_change_by_name_and_the_model_keeps_its_own():
    parameters = {"width": 3.0}
    model = CallableModel(blob, parameters)
    parameters["width"] = 5.0
    other = model.with_parameters(width=4.0)
    assert (model.parameters, other.parameters) == ({"width": 3.0}, {"width": 4.0})
    with pytest.raises(ValueError, match="'parameters' must be some of width, got height"):
        model.with_parameters(height=1.0)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (np.full((41, 41), np.nan), "'the image of bad' must be finite everywhere"),
        (np.zeros(5), r"'the image of bad' must be of shape \(any, any\), got \(5,\)"),
    ],
)
def test_an_image_that_is_none_is_an_error_that_names_the_function(returned, message):
    def bad():
        return returned

    with pytest.raises(ValueError, match=message):
        CallableModel(bad).frames(OBSERVER)
