import tracemalloc

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import NDData, VarianceUncertainty
from helpers import read_only
from imaging_helpers import same_frames

from astronmf.exceptions import MissingDataWarning
from astronmf.imaging import Frames, Geometry, SpectralFrames

SHAPE = (3, 4, 5, 7)
DATA = read_only(np.random.default_rng(1).normal(10, 1, SHAPE))
SIGMA = read_only(np.random.default_rng(2).uniform(0.5, 2, SHAPE))
MASK = read_only(np.random.default_rng(3).random(SHAPE) < 0.2)
WAVELENGTHS = read_only([1.0, 1.1, 1.25, 1.4])


def spectral(data=DATA, *arguments, **options):
    return SpectralFrames(data, *arguments, **({"wavelengths": WAVELENGTHS} | options))


def memory_mapped(tmp_path, data, kind=np.float32):
    """Return the data as a map of a file that nobody can write to."""
    mapped = np.memmap(tmp_path / "cube.dat", dtype=kind, mode="w+", shape=data.shape)
    mapped[:] = data
    mapped.flush()
    return np.memmap(tmp_path / "cube.dat", dtype=kind, mode="r", shape=data.shape)


DATA_KINDS = {
    "array": (DATA, None),
    "list": (DATA.tolist(), None),
    "Quantity": (u.Quantity(DATA, u.Jy), u.Jy),
    "NDData": (NDData(DATA, unit=u.Jy), u.Jy),
    "masked array": (np.ma.MaskedArray(DATA, MASK), None),
    "big-endian": (DATA.astype(">f8"), None),
}


@pytest.mark.parametrize(("data", "unit"), DATA_KINDS.values(), ids=DATA_KINDS)
def test_every_kind_of_data_gives_the_same_channels_in_native_byte_order(data, unit):
    frames = spectral(data)
    assert frames.shape == SHAPE
    assert frames.unit == unit
    for number, channel in enumerate(frames.channels()):
        np.testing.assert_array_equal(channel.data, DATA[:, number])
        assert channel.data.dtype.isnative
        assert channel.unit == unit


@pytest.mark.parametrize("kind", ["int16", ">i4", "bool", "float16"])
def test_integers_and_half_floats_become_double_channel_by_channel(kind):
    data = DATA.astype(kind)
    channel = spectral(data).channel(2)
    assert channel.data.dtype == np.float64
    np.testing.assert_array_equal(channel.data, data[:, 2].astype(np.float64))


def test_a_channel_is_what_frames_make_of_its_values():
    about = {"angles": [1.0, 2.0, 3.0], "center": (2.5, 2.25), "pixel_scale": 0.01, "parity": -1, "unit": "adu"}
    about |= {"names": ["a", "b", "c"], "is_reference": [False, True, False]}
    frames = spectral(DATA, SIGMA, MASK, **about)
    for number in range(4):
        expected = Frames(DATA[:, number], SIGMA[:, number], MASK[:, number], **about)
        same_frames(frames.channel(number), expected)
    same_frames(frames.channel(-1), frames.channel(3))


def test_a_channel_knows_its_wavelength_and_what_is_known_of_all():
    assert spectral(meta={"object": "star"}).channel(2).meta == {"object": "star", "wavelength": 1.25}


def test_a_channel_is_a_view():
    frames = spectral()
    assert np.shares_memory(frames.channel(1).data, DATA)


def test_a_memory_map_is_neither_read_nor_copied_before_a_channel_is_asked_for(tmp_path):
    values = np.zeros((4, 50, 40, 40), np.float32)
    values[2, 7, 3, 3] = np.nan
    mapped = memory_mapped(tmp_path, values, ">f4")
    tracemalloc.start()
    frames = SpectralFrames(mapped, 1.0, np.zeros((40, 40), bool), wavelengths=1 + np.arange(50), center=(20, 20))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.shares_memory(frames.data, mapped)
    assert peak < mapped.nbytes / 10
    assert frames.channel(6).data.dtype == np.float32
    with pytest.warns(MissingDataWarning, match="1 values of 'data' are NaN"):
        assert frames.channel(7).mask.sum() == 1


def test_three_axes_are_one_exposure():
    frames = spectral(DATA[0], SIGMA[0], MASK[0])
    assert frames.shape == (1, 4, 5, 7)
    np.testing.assert_array_equal(frames.sigma, SIGMA[:1])
    np.testing.assert_array_equal(frames.mask, MASK[:1])


def test_a_cube_of_one_channel_and_one_exposure_keeps_its_axes():
    frames = SpectralFrames(DATA[:1, :1], wavelengths=[1.0])
    assert frames.shape == (1, 1, 5, 7)
    assert frames.channel(0).shape == (1, 5, 7)


def test_the_mask_is_what_was_declared():
    assert spectral().mask is None
    np.testing.assert_array_equal(spectral(np.ma.MaskedArray(DATA, MASK), mask=MASK[0, 0]).mask, MASK | MASK[0, 0])


def test_errors_are_brought_to_the_unit_of_the_data():
    for errors in (u.Quantity(SIGMA * 1e3, u.mJy), VarianceUncertainty(SIGMA**2 * 1e6, unit=u.mJy**2)):
        np.testing.assert_allclose(spectral(u.Quantity(DATA, u.Jy), errors).channel(1).sigma, SIGMA[:, 1], rtol=1e-14)
    with pytest.raises(ValueError, match="'uncertainty' must be without a unit"):
        spectral(DATA, u.Quantity(SIGMA, u.Jy))


def test_data_are_brought_to_the_unit_that_is_asked_for():
    frames = spectral(u.Quantity(DATA, u.Jy), SIGMA, unit="mJy")
    np.testing.assert_allclose(frames.data, DATA * 1e3)
    np.testing.assert_allclose(frames.sigma, SIGMA * 1e3)


def test_masked_errors_mask_the_value():
    np.testing.assert_array_equal(spectral(DATA, np.ma.MaskedArray(SIGMA, MASK)).channel(0).mask, MASK[:, 0])


def test_an_image_is_nan_where_a_value_is_missing():
    data, sigma = np.array(DATA), np.array(SIGMA)
    data[1, 2, 0, 0], sigma[1, 2, 1, 1] = np.inf, 0.0
    image, errors = spectral(data, sigma, MASK).image(1, 2)
    missing = np.array(MASK[1, 2])
    missing[0, 0] = missing[1, 1] = True
    np.testing.assert_array_equal(image, np.where(missing, np.nan, DATA[1, 2]))
    np.testing.assert_array_equal(errors, np.where(missing, np.nan, SIGMA[1, 2]))
    assert spectral().image(0, 0)[1] is None


@pytest.mark.parametrize("index", [1, -1, slice(1, 3), [2, 0], np.array([True, False, True])])
def test_some_exposures_are_chosen_with_all_that_is_known_of_them(index):
    about = {"angles": np.arange(3.0), "names": ["a", "b", "c"], "is_reference": [False, True, False]}
    frames = spectral(DATA, SIGMA, MASK, **about)[index]
    for number in range(4):
        same_frames(frames.channel(number), spectral(DATA, SIGMA, MASK, **about).channel(number)[index])


def test_a_slice_copies_nothing():
    assert np.shares_memory(spectral()[1:].data, DATA)


def test_channels_come_together_as_they_were():
    frames = spectral(DATA, SIGMA, MASK, angles=np.arange(3.0), unit="Jy", is_reference=[True, False, False])
    back = SpectralFrames.from_channels(frames.channels(), WAVELENGTHS)
    assert "wavelength" not in back.meta
    np.testing.assert_array_equal(back.wavelengths, WAVELENGTHS)
    for one, other in zip(frames.channels(), back.channels(), strict=True):
        same_frames(one, other)


def plain(**changes):
    return Frames(**({"data": DATA[:, 0], "angles": np.arange(3.0)} | changes))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (plain(angles=[0.0, 1.0, 3.0]), "'channels' must be of the same angles, got others in channel 1"),
        (plain(angles=None), "'channels' must be of the same angles"),
        (plain(uncertainty=1.0), "'uncertainty' must be given for all channels or for none, got a mix in channel 1"),
        (plain(data=DATA[:2, 0], angles=[0, 1]), "'channels' must be of shape"),
        (plain(unit="Jy"), "'channels' must be in the unit of the others"),
        (plain(center=(1, 1)), "'channels' must be centred"),
    ],
)
def test_channels_that_do_not_belong_together_are_refused(other, message):
    with pytest.raises(ValueError, match=message):
        SpectralFrames.from_channels([plain(), other], [1, 2])


def test_no_channels_are_refused():
    with pytest.raises(ValueError, match="'channels' must be at least one stack"):
        SpectralFrames.from_channels([], [])


@pytest.mark.parametrize(
    "wavelengths", [u.Quantity([1000, 1100, 1250, 1400], u.nm), u.Quantity(WAVELENGTHS, u.um).to(u.THz, u.spectral())]
)
def test_wavelengths_with_a_unit_are_brought_to_micrometres(wavelengths):
    np.testing.assert_allclose(spectral(wavelengths=wavelengths).wavelengths, WAVELENGTHS)


@pytest.mark.parametrize(
    ("wavelengths", "message"),
    [
        ([1.0, 1.2, 1.1, 1.4], "strictly increasing, got 1.2, 1.1 for channels 1 and 2; put the channels in order"),
        ([1.0, 1.2, 1.2, 1.4], "strictly increasing, got 1.2, 1.2 for channels 1 and 2"),
        ([1.0, np.nan, 1.2, 1.4], "finite and above 0, in micrometres, got nan for channel 1"),
        ([0.0, 1.0, 1.2, 1.4], "finite and above 0, in micrometres, got 0.0 for channel 0"),
        ([1.0, 1.2, 1.4], r"of shape \(4,\), got \(3,\)"),
        (np.ones((2, 2)), "of shape"),
    ],
)
def test_wavelengths_that_cannot_be_are_refused(wavelengths, message):
    with pytest.raises(ValueError, match="'wavelengths' must be " + message):
        spectral(wavelengths=wavelengths)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((DATA[0, 0],), {}, "'data' must be of shape"),
        ((DATA[:0],), {}, "'data' must be of at least one exposure"),
        ((DATA.astype(complex),), {}, "'data' must be an array of real numbers"),
        ((DATA, SIGMA.astype(str)), {}, "'uncertainty' must be an array of real numbers"),
        ((DATA, SIGMA[..., :2]), {}, "'uncertainty' must be of shape"),
        ((DATA, None, MASK[:2]), {}, "'mask' must be of shape"),
        ((DATA,), {"angles": [1.0, 2.0]}, "'angles' must be of shape"),
        ((DATA,), {"names": ["a"]}, "'names' must be of shape"),
        ((DATA,), {"is_reference": [True, False]}, "'is_reference' must be of shape"),
        ((DATA,), {"center": (9, 2)}, "'center' must be"),
        ((DATA[..., :6],), {}, "'center' must be given"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        spectral(*arguments, **options)


JOINED = {"angles": [1.0, 2.0, 3.0], "unit": "Jy", "is_reference": [True, False, False], "names": ["a", "b", "c"]}


def test_stacks_of_exposures_come_together_as_they_were():
    frames = spectral(DATA, SIGMA, MASK, meta={"object": "star"}, **JOINED)
    back = SpectralFrames.concatenate([frames[:1], frames[1:]])
    assert back.meta == {"object": "star"}
    for one, other in zip(frames.channels(), back.channels(), strict=True):
        same_frames(one, other)
    assert SpectralFrames.concatenate([spectral(), spectral()]).mask is None


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (spectral(wavelengths=WAVELENGTHS + 0.1), "'exposures' must be at the wavelengths of the others, 4 from 1 to"),
        (spectral(DATA[..., 1:6]), "'exposures' must be of shape"),
        (spectral(DATA, SIGMA), "'sigma' must be known for all exposures or for none, got a mix in exposure 0"),
        (spectral(angles=[1, 2, 3]), "'angles' must be known for all"),
        (spectral(unit="Jy"), "'exposures' must be in the unit of the others"),
    ],
)
def test_stacks_that_do_not_belong_together_are_refused(other, message):
    with pytest.raises(ValueError, match=message):
        SpectralFrames.concatenate([spectral(), other])
    with pytest.raises(ValueError, match="'stacks' must be at least one stack of exposures"):
        SpectralFrames.concatenate([])


@pytest.mark.parametrize("index", [4, -5, 1.0])
def test_a_channel_that_is_not_there_is_told(index):
    with pytest.raises(ValueError, match=r"'channel' must be an integer in \[-4, 3\]"):
        spectral().channel(index)


def test_other_values_keep_what_is_known():
    frames = spectral(u.Quantity(DATA, u.Jy), SIGMA, MASK, geometry=Geometry((3, 2), angles=np.arange(3.0)))
    doubled = frames.replace_data(u.Quantity(2e3 * DATA, u.mJy))
    np.testing.assert_allclose(doubled.data, 2 * DATA)
    assert (doubled.unit, doubled.geometry, doubled.names) == (frames.unit, frames.geometry, frames.names)
    with pytest.raises(ValueError, match="'data' must be of shape"):
        frames.replace_data(DATA[:2])


def test_it_says_what_is_inside():
    text = "<SpectralFrames: 3 of 4 channels, 1-1.4 µm, of 5 x 7 pixels, no unit>"
    assert repr(spectral()) == str(spectral()) == text
    assert len(spectral()) == 3
