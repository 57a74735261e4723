import numpy as np
import pytest
from helpers import read_only

from astronmf.imaging.wavelengths import channel_name, fwhm_of_channels

WAVELENGTHS = read_only([1.0, 1.1, 1.25, 1.5, 1.6])


def test_a_fwhm_is_that_at_the_mean_wavelength_and_grows_in_proportion():
    found = fwhm_of_channels(4.0, WAVELENGTHS)
    np.testing.assert_allclose(found, 4.0 * WAVELENGTHS / 1.29)


def test_the_fwhm_of_every_channel_is_taken_as_it_is():
    np.testing.assert_array_equal(fwhm_of_channels([3, 4, 5, 6, 7], WAVELENGTHS), [3, 4, 5, 6, 7])
    assert fwhm_of_channels(None, WAVELENGTHS) is None


@pytest.mark.parametrize(
    ("fwhm", "message"),
    [
        (0.0, "a number above 0"),
        ([1.0, 2.0], "of shape"),
        ([3, 4, -5, 6, 7], "above 0, in pixels, got -5.0 for channel 2"),
    ],
)
def test_a_fwhm_that_cannot_be_is_refused(fwhm, message):
    with pytest.raises(ValueError, match=f"'fwhm' must be .*{message}"):
        fwhm_of_channels(fwhm, WAVELENGTHS)


def test_a_channel_is_named_after_its_number_and_wavelength():
    assert channel_name(3, 1.23456) == "channel 3 (1.235 µm)"
