"""pyKLIP, by the attributes of version 2.10.1, and itself where it is installed."""

from types import SimpleNamespace

import numpy as np
import pytest
from adapter_helpers import installed
from helpers import read_only
from hypothesis import given
from hypothesis import strategies as st
from imaging_helpers import centroid, gaussian

from astronmf.adapters import frames_from_klip, klip_arguments, klip_dataset, klip_library, references_from_klip
from astronmf.imaging import Frames
from astronmf.imaging.geometry import to_sky

WAVELENGTHS = (1.1, 1.6, 2.2)


def dataset_of(input_data, centers, parangs=None, wvs=None, IWA=0, filenames=None, flipx=False, OWA=None):
    """Return an object with the attributes that pyKLIP's GenericData makes of these arguments."""
    n = len(input_data)
    return SimpleNamespace(
        input=np.asarray(input_data),
        centers=np.asarray(centers),
        PAs=np.zeros(n) if parangs is None else parangs,
        wvs=np.ones(n) if wvs is None else wvs,
        filenames=np.arange(n).astype(str) if filenames is None else filenames,
        IWA=IWA,
        OWA=OWA,
        flipx=flipx,
    )


@pytest.fixture(scope="module")
def spectral():
    """Return the arguments of a dataset: four exposures of three wavelengths, each with a centre of its own."""
    rng = np.random.default_rng(0)
    cube = rng.standard_normal((12, 21, 22))
    cube[3, 4, 5] = np.nan
    arguments = {
        "input_data": cube,
        "centers": np.tile([[10.0, 10.0], [10.5, 10.25], [11.0, 10.0]], (4, 1)),
        "parangs": np.repeat([0.0, 12.0, 25.0, 40.0], 3),
        "wvs": np.tile(WAVELENGTHS, 4),
        "filenames": np.repeat(["a.fits", "b.fits", "c.fits", "d.fits"], 3),
        "IWA": 3.0,
    }
    return {name: read_only(value) if isinstance(value, np.ndarray) else value for name, value in arguments.items()}


def test_wavelengths_become_stacks_of_their_own(spectral):
    found = frames_from_klip(dataset_of(**spectral, OWA=9), pixel_scale=0.014, unit="adu")
    assert list(found) == list(WAVELENGTHS)
    for i, (wavelength, frames) in enumerate(found.items()):
        np.testing.assert_array_equal(frames.angles, [0, 12, 25, 40])
        assert frames.names == ["a.fits", "b.fits", "c.fits", "d.fits"]
        assert frames.geometry.center == tuple(spectral["centers"][i])
        assert frames.geometry.pixel_scale == 0.014
        assert frames.meta == {"wavelength": wavelength, "inner_radius": 3.0, "outer_radius": 9}
        np.testing.assert_array_equal(np.where(frames.mask, np.nan, frames.data), spectral["input_data"][i::3])


def test_what_came_in_goes_out_to_the_bit(spectral):
    arguments = klip_arguments(frames_from_klip(dataset_of(**spectral)))
    assert arguments.keys() == spectral.keys() | {"flipx"}
    for name, value in spectral.items():
        np.testing.assert_array_equal(arguments[name], value)
    assert arguments["flipx"] is False


@given(st.integers(1, 4), st.integers(1, 3), st.booleans(), st.integers(0, 2**32 - 1))
def test_any_dataset_goes_out_as_it_came_in(n_exposures, n_wavelengths, flipx, seed):
    rng = np.random.default_rng(seed)
    n = n_exposures * n_wavelengths
    arguments = {
        "input_data": np.where(rng.random((n, 6, 7)) < 0.1, np.nan, rng.standard_normal((n, 6, 7))),
        "centers": np.tile(rng.uniform(1, 5, (n_wavelengths, 2)), (n_exposures, 1)),
        "parangs": np.repeat(rng.uniform(-180, 180, n_exposures), n_wavelengths),
        "wvs": np.tile(np.sort(rng.uniform(1, 2, n_wavelengths)), n_exposures),
        "filenames": np.repeat(np.arange(n_exposures).astype(str), n_wavelengths),
        "IWA": 1.5,
        "flipx": flipx,
    }
    back = klip_arguments(frames_from_klip(dataset_of(**arguments)))
    for name, value in arguments.items():
        np.testing.assert_array_equal(back[name], value)


def test_frames_of_different_centres_are_recentred():
    places = np.array([[10.0, 10.0], [12.0, 9.0], [9.4, 10.7]])
    cube = np.array([gaussian((21, 21), *place) for place in places])
    (frames,) = frames_from_klip(dataset_of(cube, places)).values()
    assert frames.geometry.center == (10, 10)
    stars = [centroid(np.where(mask, 0, image)) for image, mask in zip(frames.data, frames.mask, strict=True)]
    np.testing.assert_allclose(stars, [[10, 10]] * 3, atol=0.02)


def test_the_star_may_be_asked_for_at_another_place():
    cube = gaussian((21, 21), 10, 10)[None]
    (frames,) = frames_from_klip(dataset_of(cube, [[10, 10]]), to=(8, 11)).values()
    assert frames.geometry.center == (8, 11)
    np.testing.assert_allclose(centroid(np.where(frames.mask[0], 0, frames.data[0])), (8, 11), atol=0.02)


WRONG = {
    "centers": ({"centers": np.zeros((2, 2))}, r"'centers' must be of shape \(3, 2\), got \(2, 2\)"),
    "angles": ({"parangs": np.zeros(2)}, r"'PAs' must be of shape \(3,\), got \(2,\)"),
    "cube": ({"input_data": np.zeros((9, 9))}, r"'input' must be of shape \(any, any, any\), got \(9, 9\)"),
}


@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=WRONG)
def test_a_dataset_whose_parts_disagree_is_an_error(changes, message):
    arguments = {"input_data": np.zeros((3, 9, 9)), "centers": np.full((3, 2), 4.0), "wvs": np.ones(3)}
    arguments |= {"filenames": np.array(["a", "b", "c"])}
    with pytest.raises(ValueError, match=message):
        frames_from_klip(dataset_of(**(arguments | changes)))


def test_frames_of_one_kind_need_no_wavelength():
    frames = Frames(np.ones((2, 9, 9)), meta={"inner_radius": 2.0})
    arguments = klip_arguments(frames)
    np.testing.assert_array_equal(arguments["wvs"], [1, 1])
    np.testing.assert_array_equal(arguments["parangs"], [0, 0])
    assert arguments["IWA"] == 2.0
    assert klip_arguments(frames, inner_radius=5)["IWA"] == 5


def test_wavelengths_must_have_the_same_frames():
    one, other = Frames(np.ones((2, 9, 9))), Frames(np.ones((3, 9, 9)))
    with pytest.raises(ValueError, match=r"'frames' must be of shape \(2, 9, 9\), got \(3, 9, 9\)"):
        klip_arguments({1.0: one, 2.0: other})
    with pytest.raises(ValueError, match="'frames' must be of parity 1 like the others, got -1"):
        klip_arguments({1.0: one, 2.0: Frames(one, parity=-1)})
    with pytest.raises(ValueError, match="'frames' must be of at least one wavelength, got none"):
        klip_arguments({})


@pytest.fixture
def library():
    """Return what a PSF library has: five frames of two wavelengths, three of them good for a dataset."""
    return SimpleNamespace(
        master_library=np.arange(5.0)[:, None, None] + np.zeros((5, 9, 9)),
        aligned_center=[4.0, 4.5],
        master_filenames=np.array(["a", "b", "c", "d", "e"]),
        master_wvs=np.array([1.0, 1.0, 1.0, 2.0, 2.0]),
        isgoodpsf=None,
    )


def test_a_library_becomes_reference_frames(library):
    references = references_from_klip(library, pixel_scale=0.014)
    np.testing.assert_array_equal(references.data, library.master_library)
    assert references.is_reference.all()
    assert references.geometry.center == (4, 4.5)
    assert references.names == ["a", "b", "c", "d", "e"]


def test_of_a_prepared_library_the_good_frames_are_taken(library):
    library.isgoodpsf = np.array([1, 2, 4])
    assert references_from_klip(library).names == ["b", "c", "e"]
    assert references_from_klip(library, wavelength=1.0).names == ["b", "c"]
    with pytest.raises(ValueError, match="'library' must be such that frames are left to use, got none of 5"):
        references_from_klip(library, wavelength=3.0)
    library.master_wvs = None
    with pytest.raises(ValueError, match="'wavelength' must be left out for a library that has no wavelengths"):
        references_from_klip(library, wavelength=1.0)


def test_a_library_must_tell_its_frames_from_the_science_frames():
    frames = Frames(np.ones((2, 9, 9)))
    with pytest.raises(ValueError, match=r"'references' must be of other names .*, got frame 0"):
        klip_library(frames, frames)


@installed("pyklip")
def test_pyklips_own_dataset_goes_out_as_it_came_in(spectral):
    from pyklip.instruments.Instrument import GenericData

    one = GenericData(**spectral)
    one.OWA = 9.5
    other = klip_dataset(frames_from_klip(one))
    for name in ("input", "centers", "PAs", "wvs", "filenames", "filenums", "IWA", "OWA", "flipx"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert klip_dataset(frames_from_klip(one), outer_radius=7).OWA == 7
    assert other.numwvs == 3


@installed("pyklip")
@pytest.mark.parametrize("flipx", [False, True])
@pytest.mark.parametrize("angle", [0.0, 33.0, 210.0])
def test_pyklip_turns_frames_the_same_way(angle, flipx):
    from pyklip.klip import rotate

    image = gaussian((41, 41), 29, 23, fwhm=4) + 0.5 * gaussian((41, 41), 12, 26, fwhm=4)
    dataset = dataset_of(image[None], [[20, 20]], parangs=np.array([angle]), flipx=flipx)
    (frames,) = frames_from_klip(dataset).values()
    theirs = rotate(image, angle, [20, 20], new_center=[20, 20], flipx=flipx)
    ours = to_sky(frames.data[0], frames.geometry, 0)
    both = np.isfinite(theirs) & np.isfinite(ours)
    np.testing.assert_allclose(ours[both], theirs[both], atol=0.01)


@installed("pyklip")
def test_pyklips_library_leaves_the_science_frames_out():
    rng = np.random.default_rng(0)
    science = Frames(rng.standard_normal((2, 21, 21)), angles=[0, 30], names=["s1", "s2"])
    references = Frames(rng.standard_normal((4, 21, 21)), names=["r1", "r2", "r3", "r4"])
    library = klip_library(science, references)
    library.prepare_library(klip_dataset(science))
    back = references_from_klip(library, wavelength=1.0)
    np.testing.assert_array_equal(back.data, references.data)
    assert back.names == references.names
