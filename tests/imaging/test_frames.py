import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import CCDData, InverseVariance, NDData, StdDevUncertainty, VarianceUncertainty
from helpers import read_only
from imaging_helpers import same_frames

from astronmf.exceptions import MissingDataWarning
from astronmf.imaging import Frames, Geometry

SHAPE = (3, 5, 7)
DATA = read_only(np.random.default_rng(1).normal(10, 1, SHAPE))
SIGMA = read_only(np.random.default_rng(2).uniform(0.5, 2, SHAPE))
MASK = read_only(np.random.default_rng(3).random(SHAPE) < 0.2)


def with_values(array, **values):
    """Return a copy in which entries of the first frame's first row have other values."""
    changed = np.array(array)
    for i, value in enumerate(values.values()):
        changed[0, 0, i] = value
    return changed


def memory_mapped(tmp_path):
    mapped = np.memmap(tmp_path / "cube.dat", dtype=np.float32, mode="w+", shape=SHAPE)
    mapped[:] = DATA
    return mapped


DATA_KINDS = {
    "array": (DATA, None),
    "list": (DATA.tolist(), None),
    "Quantity": (u.Quantity(DATA, u.Jy), u.Jy),
    "NDData": (NDData(DATA, unit=u.Jy), u.Jy),
    "CCDData": (CCDData(DATA, unit="adu"), u.adu),
    "masked array": (np.ma.MaskedArray(DATA, MASK), None),
    "big-endian": (DATA.astype(">f8"), None),
    "a view that skips": (np.repeat(DATA, 2, axis=2)[:, :, ::2], None),
}


@pytest.mark.parametrize(("data", "unit"), DATA_KINDS.values(), ids=DATA_KINDS)
def test_every_kind_of_data_gives_the_same_native_array_and_its_unit(data, unit):
    frames = Frames(data)
    np.testing.assert_array_equal(frames.data, DATA)
    assert frames.data.dtype.isnative
    assert frames.unit == unit


@pytest.mark.parametrize("kind", ["float32", ">f4", "float64", ">f8"])
def test_floats_keep_their_precision(kind):
    assert Frames(DATA.astype(kind)).data.dtype == np.dtype(kind).newbyteorder("=")


@pytest.mark.parametrize("kind", ["int16", ">i4", "uint8", "bool", "float16"])
def test_integers_and_half_floats_become_double(kind):
    data = DATA.astype(kind)
    frames = Frames(data)
    assert frames.data.dtype == np.float64
    np.testing.assert_array_equal(frames.data, data.astype(np.float64))


def test_memory_mapped_data_are_taken(tmp_path):
    mapped = memory_mapped(tmp_path)
    frames = Frames(mapped)
    np.testing.assert_array_equal(frames.data, mapped)
    assert frames.data.dtype == np.float32


def test_a_single_image_becomes_a_stack_of_one():
    frames = Frames(DATA[0], SIGMA[0], MASK[0])
    assert frames.shape == (1, 5, 7)
    np.testing.assert_array_equal(frames.sigma, SIGMA[:1])
    np.testing.assert_array_equal(frames.mask, MASK[:1])


def test_the_mask_of_the_data_is_kept():
    for data in (np.ma.MaskedArray(DATA, MASK), NDData(DATA, mask=MASK), CCDData(DATA, mask=MASK, unit="adu")):
        np.testing.assert_array_equal(Frames(data).mask, MASK)


@pytest.mark.parametrize(
    "data", [np.ma.MaskedArray(DATA, MASK), NDData(DATA, mask=MASK)], ids=["masked array", "NDData"]
)
def test_a_mask_is_added_to_the_data_s_own(data):
    extra = np.zeros(SHAPE, bool)
    extra[1, 2, 3] = True
    np.testing.assert_array_equal(Frames(data, mask=extra).mask, MASK | extra)


UNCERTAINTY_KINDS = {
    "array": SIGMA,
    "big-endian": SIGMA.astype(">f8"),
    "standard deviation": StdDevUncertainty(SIGMA),
    "variance": VarianceUncertainty(SIGMA**2),
    "inverse variance": InverseVariance(SIGMA**-2),
}


@pytest.mark.parametrize("uncertainty", UNCERTAINTY_KINDS.values(), ids=UNCERTAINTY_KINDS)
def test_every_kind_of_uncertainty_gives_the_same_errors(uncertainty):
    frames = Frames(DATA, uncertainty)
    np.testing.assert_allclose(frames.sigma, SIGMA, rtol=1e-14)
    assert frames.sigma.dtype.isnative
    np.testing.assert_allclose(frames.weights(), SIGMA**-2, rtol=1e-13)


@pytest.mark.parametrize(
    "uncertainty",
    [
        u.Quantity(SIGMA * 1e3, u.mJy),
        StdDevUncertainty(SIGMA * 1e3, unit=u.mJy),
        VarianceUncertainty(SIGMA**2 * 1e6, unit=u.mJy**2),
    ],
    ids=["Quantity", "standard deviation", "variance"],
)
def test_errors_are_brought_to_the_unit_of_the_data(uncertainty):
    np.testing.assert_allclose(Frames(u.Quantity(DATA, u.Jy), uncertainty).sigma, SIGMA, rtol=1e-12)


@pytest.mark.parametrize(
    "data",
    [u.Quantity(DATA, u.Jy), NDData(DATA, unit=u.Jy), CCDData(DATA, unit=u.Jy)],
    ids=["Quantity", "NDData", "CCDData"],
)
def test_data_are_converted_to_the_unit_that_is_asked_for(data):
    frames = Frames(data, unit="mJy")
    assert frames.unit == u.mJy
    np.testing.assert_allclose(frames.data, DATA * 1e3, rtol=1e-14)


def test_the_uncertainty_of_the_data_is_used():
    data = NDData(DATA, uncertainty=VarianceUncertainty(SIGMA**2), unit=u.Jy)
    np.testing.assert_allclose(Frames(data).sigma, SIGMA, rtol=1e-14)


@pytest.mark.parametrize("shape", [(5, 7), (1, 5, 7), (3, 1, 1), (7,), (1, 1, 1), ()])
def test_errors_and_mask_broadcast(shape):
    sigma = np.random.default_rng(4).uniform(1, 2, shape)
    mask = np.random.default_rng(5).random(shape) < 0.3
    frames = Frames(DATA, sigma, mask)
    np.testing.assert_array_equal(frames.sigma, np.broadcast_to(sigma, SHAPE))
    np.testing.assert_array_equal(frames.mask, np.broadcast_to(mask, SHAPE))


def test_a_mask_of_zeros_and_ones_is_understood():
    np.testing.assert_array_equal(Frames(DATA, mask=MASK.astype(np.uint8)).mask, MASK)


def test_values_that_are_not_numbers_are_counted_and_masked():
    data = with_values(DATA, first=np.nan, second=np.inf, third=-np.inf)
    with pytest.warns(MissingDataWarning, match=r"^3 values of 'data' are NaN or Inf and not masked"):
        frames = Frames(data)
    np.testing.assert_array_equal(frames.mask, ~np.isfinite(data))
    assert (frames.weights()[frames.mask] == 0).all()


def test_values_that_a_mask_declares_missing_are_no_surprise():
    data = with_values(DATA, first=np.nan)
    frames = Frames(data, SIGMA, np.isnan(data))
    assert frames.mask.sum() == 1


def test_errors_that_say_nothing_are_counted_and_masked():
    sigma = with_values(SIGMA, zero=0.0, negative=-1.0, nan=np.nan, infinite=np.inf)
    with pytest.warns(
        MissingDataWarning, match=r"^4 values of 'uncertainty' are 0, negative, NaN or Inf and not masked"
    ):
        frames = Frames(DATA, sigma)
    np.testing.assert_array_equal(frames.mask[0, 0], [1, 1, 1, 1, 0, 0, 0])
    assert frames.mask.sum() == 4


def test_the_warning_names_the_file_that_frames_come_from():
    meta = {"inputs": [{"name": "one.fits", "sha256": "0"}]}
    with pytest.warns(MissingDataWarning, match=r"^one\.fits: 1 values of 'data'"):
        Frames(with_values(DATA, first=np.nan), meta=meta)


def test_data_and_errors_missing_at_one_pixel_make_one_masked_pixel():
    with pytest.warns(MissingDataWarning) as caught:
        frames = Frames(with_values(DATA, first=np.nan), with_values(SIGMA, first=np.nan))
    assert frames.mask.sum() == 1
    assert [str(warning.message).split("'")[1] for warning in caught] == ["data", "uncertainty"]


WRONG = {
    "one axis": ((DATA[0, 0],), {}, r"'data' must be of shape \(any, any, any\), got \(7,\)"),
    "four axes": ((DATA[None],), {}, r"'data' must be of shape \(any, any, any\), got \(1, 3, 5, 7\)"),
    "nothing": ((DATA[:0],), {}, "'data' must be of at least one frame and one pixel"),
    "complex": ((DATA * 1j,), {}, "'data' must be an array of real numbers, got dtype complex128"),
    "text": ((np.full(SHAPE, "a"),), {}, "'data' must be an array of real numbers"),
    "errors": ((DATA, SIGMA[:2]), {}, r"'uncertainty' must be of shape \(3, 5, 7\), or one that broadcasts to it"),
    "mask": ((DATA, None, MASK[:2]), {}, r"'mask' must be of shape \(3, 5, 7\), or one that broadcasts to it"),
    "mask of numbers": ((DATA, None, DATA), {}, r"'mask' must be boolean \(True = excluded\), or 0 and 1"),
    "angles": ((DATA,), {"angles": [0.0, 1.0]}, r"'angles' must be of shape \(3,\), got \(2,\)"),
    "names": ((DATA,), {"names": ["a"]}, r"'names' must be of shape \(3,\)"),
    "is_reference": ((DATA,), {"is_reference": [True, False]}, "'is_reference' must be of shape"),
    "centre": ((DATA,), {"center": (9, 2)}, r"'center' must be \(x, y\) inside the frame"),
    "even": ((DATA[:, :4],), {}, "'center' must be given for frames of even size"),
}


@pytest.mark.parametrize(("args", "options", "message"), WRONG.values(), ids=WRONG)
def test_what_does_not_fit_is_an_error_that_says_so(args, options, message):
    with pytest.raises(ValueError, match=message):
        Frames(*args, **options)


def test_errors_in_a_unit_of_another_kind_are_an_error():
    with pytest.raises(u.UnitConversionError):
        Frames(u.Quantity(DATA, u.Jy), u.Quantity(SIGMA, u.s))


@pytest.fixture
def frames():
    return Frames(
        DATA,
        SIGMA,
        MASK,
        angles=[10.0, 20.0, 30.0],
        pixel_scale=0.05,
        unit="Jy",
        names=["a", "b", "c"],
        is_reference=[False, True, False],
        meta={"inputs": [{"name": "x.fits", "sha256": "1"}]},
    )


def test_weights_are_inverse_variances_and_0_where_masked(frames):
    np.testing.assert_allclose(frames.weights(), np.where(MASK, 0, SIGMA**-2), rtol=1e-15)


def test_without_errors_weights_are_ones():
    np.testing.assert_array_equal(Frames(DATA, mask=MASK).weights(), ~MASK)


@pytest.mark.parametrize("index", [[2, 0], np.array([True, False, True]), np.s_[1:], np.s_[::-1]])
def test_a_selection_keeps_all_that_belongs_to_its_frames(frames, index):
    chosen = frames[index]
    order = np.arange(3)[index]
    np.testing.assert_array_equal(chosen.data, DATA[order])
    np.testing.assert_array_equal(chosen.sigma, SIGMA[order])
    np.testing.assert_array_equal(chosen.mask, MASK[order])
    np.testing.assert_array_equal(chosen.angles, np.array([10.0, 20.0, 30.0])[order])
    np.testing.assert_array_equal(chosen.is_reference, frames.is_reference[order])
    assert chosen.names == [frames.names[i] for i in order]
    assert (chosen.unit, chosen.meta) == (frames.unit, frames.meta)


@pytest.mark.parametrize("index", [1, -2, np.int64(1)])
def test_one_index_gives_a_stack_of_one(frames, index):
    chosen = frames[index]
    assert chosen.shape == (1, 5, 7)
    assert chosen.names == ["b"]
    assert chosen.angles.tolist() == [20.0]


def test_an_index_beyond_the_frames_is_an_error(frames):
    with pytest.raises(IndexError):
        frames[3]


def test_iteration_gives_every_frame_once(frames):
    assert [one.names[0] for one in frames] == ["a", "b", "c"]


def test_split_parts_science_from_references(frames):
    science, references = frames.split()
    assert science.names == ["a", "c"]
    assert references.names == ["b"]
    assert references.is_reference.all()


@pytest.mark.parametrize("kind", [True, False])
def test_split_gives_none_where_there_are_none(kind):
    science, references = Frames(DATA, is_reference=kind).split()
    assert (science is None, references is None) == (kind, not kind)


def test_concatenation_is_the_reverse_of_selection(frames):
    same_frames(Frames.concatenate([frames[0], frames[1:]]), frames)


def test_concatenation_joins_inputs_and_names_each_once(frames):
    other = Frames(
        DATA, SIGMA, angles=[0, 0, 0], unit="Jy", meta={"inputs": [{"name": "y.fits", "sha256": "2"}]}, pixel_scale=0.05
    )
    joined = Frames.concatenate([frames, other, frames])
    assert [item["name"] for item in joined.meta["inputs"]] == ["x.fits", "y.fits"]
    assert [item["name"] for item in frames.meta["inputs"]] == ["x.fits"]


MIXES = {
    "unit": ({"unit": "mJy"}, "'frames' must be in the unit of the others, Jy, got mJy"),
    "no unit": ({"unit": None}, "'frames' must be in the unit of the others, Jy, got None"),
    "centre": (
        {"center": (3.0, 2.2)},
        r"'frames' must be centred on the star like the others, at \(x, y\) = \(3\.0, 2\.0\)",
    ),
    "parity": ({"parity": -1}, "'frames' must be of parity 1 like the others, got -1"),
    "angles": ({"angles": None}, "'angles' must be given for all frames or for none, got a mix in frame 0"),
    "errors": ({"uncertainty": None}, "'uncertainty' must be given for all frames or for none"),
    "size": (
        {"data": DATA[:, 1:4], "uncertainty": SIGMA[:, 1:4]},
        r"'frames' must be of shape \(any, 5, 7\), got \(3, 3, 7\)",
    ),
    "pixel scale": ({"pixel_scale": 0.06}, "pixel_scale|pixel scale"),
}


@pytest.mark.parametrize(("change", "message"), MIXES.values(), ids=MIXES)
def test_only_frames_of_one_kind_are_concatenated(frames, change, message):
    given = {"data": DATA, "uncertainty": SIGMA, "angles": [0, 0, 0], "unit": "Jy", "pixel_scale": 0.05}
    with pytest.raises(ValueError, match=message):
        Frames.concatenate([frames, Frames(**(given | change))])


def test_concatenating_nothing_is_an_error_that_says_so():
    with pytest.raises(ValueError, match="at least one"):
        Frames.concatenate([])


def test_centres_that_differ_by_rounding_are_the_same():
    parts = [Frames(DATA, center=(3.0, 2.0)), Frames(DATA, center=(3.04, 2.0))]
    assert len(Frames.concatenate(parts)) == 6


def test_other_values_keep_all_the_rest(frames):
    changed = frames.replace_data(DATA + 1)
    np.testing.assert_array_equal(changed.data, DATA + 1)
    same_frames(changed.replace_data(DATA), frames)


def test_other_values_of_another_shape_are_an_error(frames):
    with pytest.raises(ValueError, match=r"'data' must be of shape \(3, 5, 7\), got \(2, 5, 7\)"):
        frames.replace_data(DATA[:2])


def test_a_line_says_what_is_inside(frames):
    assert repr(frames) == f"<Frames: 3 of 5 x 7 pixels, Jy, {MASK.mean():.2%} masked>"
    assert repr(Frames(DATA)) == "<Frames: 3 of 5 x 7 pixels, no unit, 0.00% masked>"


def test_a_geometry_stands_for_its_parts():
    geometry = Geometry(center=(3.2, 2.1), pixel_scale=0.1, angles=[1, 2, 3], parity=-1)
    frames = Frames(DATA, geometry=geometry)
    assert frames.geometry is geometry
    np.testing.assert_array_equal(frames.angles, [1, 2, 3])


def test_frames_have_names_of_their_own():
    assert Frames(DATA).names == ["frame 0", "frame 1", "frame 2"]


def test_inputs_come_back_untouched():
    data, sigma, mask = with_values(DATA, first=np.nan), np.array(SIGMA), np.array(MASK)
    before = data.copy(), sigma.copy(), mask.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MissingDataWarning)
        Frames(data, sigma, mask).weights()
    for array, copy in zip((data, sigma, mask), before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_an_empty_list_of_files_is_an_error():
    with pytest.raises(ValueError, match="'path' must be at least one file, got an empty list"):
        Frames.read([])


def test_frames_of_frames_are_the_same_frames(frames):
    same_frames(Frames(frames), frames)


@pytest.mark.parametrize(
    "change", [{"pixel_scale": 0.1}, {"angles": [4.0, 5.0, 6.0]}, {"center": (2.0, 2.5)}, {"parity": -1}], ids=str
)
def test_frames_of_frames_change_only_what_is_given(frames, change):
    changed = Frames(frames, **change)
    same_frames(Frames(changed, geometry=frames.geometry), frames)
    for part in ("pixel_scale", "angles", "center", "parity"):
        expected = change.get(part, getattr(frames.geometry, part))
        np.testing.assert_array_equal(getattr(changed.geometry, part), expected, err_msg=part)
