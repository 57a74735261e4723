"""applefy, by the interface of version 0.1.2, and itself where it is installed."""

import pickle
import sys
from abc import ABC, abstractmethod
from importlib.util import find_spec
from types import ModuleType

import numpy as np
import pytest
from adapter_helpers import QUICK, distance_from_planet, installed, turning
from imaging_helpers import centroid, disc, gaussian

from astronmf.adapters import ApplefyReduction
from astronmf.imaging import Frames, reduce

OPTIONS = {"inner_radius": 3, "estimator": QUICK}
PSF = gaussian((9, 9), 4, 4)


class DataReductionInterface(ABC):
    """What applefy asks of a reduction."""

    @abstractmethod
    def get_method_keys(self): ...

    @abstractmethod
    def __call__(self, stack_with_fake_planet, parang_rad, psf_template, exp_id): ...


@pytest.fixture
def interface(monkeypatch):
    """Return applefy's interface, or what it was in version 0.1.2."""
    if find_spec("applefy") is not None:
        from applefy.detections.contrast import DataReductionInterface as theirs

        return theirs
    for name in ("applefy", "applefy.detections", "applefy.detections.contrast"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setattr(
        sys.modules["applefy.detections.contrast"], "DataReductionInterface", DataReductionInterface, raising=False
    )
    return DataReductionInterface


pytestmark = pytest.mark.filterwarnings("ignore:::applefy", "ignore:::pandas")


@pytest.mark.usefixtures("interface")
def test_each_number_of_components_gives_the_image_that_reduce_gives(sequence):
    reduction = ApplefyReduction([4, 1, 2, 2], **OPTIONS)
    keys = reduction.get_method_keys()
    assert keys == ["NMF (001 components)", "NMF (002 components)", "NMF (004 components)"]
    found = reduction(sequence.cube, np.deg2rad(sequence.angles), PSF, "0001a")
    assert list(found) == keys
    frames = Frames(sequence.cube, angles=sequence.angles)
    images = reduce(frames, mode="adi", n_components=4, **OPTIONS).over_components()
    for image, expected in zip(found.values(), images[[0, 1, 3]], strict=True):
        np.testing.assert_allclose(image, expected, rtol=1e-9, atol=1e-9)


def test_it_is_of_the_kind_that_applefy_wants(interface):
    reduction = ApplefyReduction(3)
    assert isinstance(reduction, interface)
    assert reduction.get_method_keys() == ["NMF (003 components)"]


@pytest.mark.usefixtures("interface")
def test_zones_have_so_many_components_each(sequence):
    reduction = ApplefyReduction([1, 2], annulus_width=7, name="annular NMF", **OPTIONS)
    found = reduction(sequence.cube, np.deg2rad(sequence.angles), PSF, "0000")
    frames = Frames(sequence.cube, angles=sequence.angles)
    images = reduce(frames, mode="adi", n_components=2, annulus_width=7, **OPTIONS).over_components()
    assert list(found) == ["annular NMF (001 components)", "annular NMF (002 components)"]
    np.testing.assert_allclose(list(found.values()), images, rtol=1e-9, atol=1e-9)


@pytest.mark.usefixtures("interface")
@pytest.mark.parametrize("as_frames", [False, True], ids=["array", "frames"])
def test_references_are_other_stars(sequence, as_frames):
    references = Frames(sequence.references) if as_frames else sequence.references
    reduction = ApplefyReduction(3, references=references, scale="none", **OPTIONS)
    (image,) = reduction(sequence.cube, np.deg2rad(sequence.angles), PSF, "0000").values()
    frames = Frames(sequence.cube, angles=sequence.angles)
    expected = reduce(frames, Frames(sequence.references), n_components=3, scale="none", **OPTIONS).combined
    np.testing.assert_allclose(image, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.usefixtures("interface")
@pytest.mark.parametrize("size", [33, 34])
def test_a_planet_is_where_applefy_looks_for_it(size):
    data = turning(size)
    cube = data.cube if size % 2 else data.cube[:, 1:, 1:]  # star at (16, 16) of 33 x 33
    if size % 2 == 0:  # and now between pixels: (15.5, 15.5) of 32 x 32
        cube = 0.25 * (cube[:, 1:, 1:] + cube[:, :-1, 1:] + cube[:, 1:, :-1] + cube[:, :-1, :-1])
    (image,) = ApplefyReduction(3, **OPTIONS)(cube, np.deg2rad(data.angles), PSF, "0000").values()
    middle = (image.shape[0] - 1) / 2
    assert distance_from_planet(image, (middle, middle)) < 0.4


@pytest.mark.usefixtures("interface")
def test_it_can_be_sent_to_other_processes(sequence):
    reduction = pickle.loads(pickle.dumps(ApplefyReduction(2, **OPTIONS)))
    (image,) = reduction(sequence.cube, np.deg2rad(sequence.angles), PSF, "0000").values()
    assert image.shape == (33, 33)


WRONG = {
    "none": ([], {}, "'n_components' must be at least one number"),
    "zero": ([2, 0], {}, "'n_components' must be an integer of at least 1, got 0"),
    "mode": (2, {"mode": "sdi"}, "'mode' must be one of 'rdi', 'adi', 'ardi', got 'sdi'"),
}


@pytest.mark.usefixtures("interface")
@pytest.mark.parametrize(("numbers", "options", "message"), WRONG.values(), ids=WRONG)
def test_an_argument_that_breaks_its_constraint_is_an_error(numbers, options, message):
    with pytest.raises(ValueError, match=message):
        ApplefyReduction(numbers, **options)


@pytest.mark.usefixtures("interface")
def test_a_cube_of_two_axes_is_an_error(sequence):
    with pytest.raises(ValueError, match=r"'stack_with_fake_planet' must be of shape \(n, y, x\), got \(33, 33\)"):
        ApplefyReduction(2)(sequence.cube[0], np.deg2rad(sequence.angles[:1]), PSF, "0000")


@pytest.mark.skipif(find_spec("applefy") is not None, reason="applefy is installed")
def test_without_applefy_the_extra_is_named():
    message = r"'ApplefyReduction' needs applefy, which is not installed: pip install 'astronmf\[benchmark\]'"
    with pytest.raises(ModuleNotFoundError, match=message):
        ApplefyReduction(2)


@installed("applefy")
@pytest.mark.parametrize("size", [33, 32])
def test_applefys_planets_come_back_where_applefy_put_them(tmp_path, size):
    from applefy.detections.contrast import Contrast

    data = turning()
    contrast = Contrast(
        data.cube[:, :size, :size], PSF[: 8 + size % 2, : 8 + size % 2], 1.5, np.deg2rad(data.angles), 1.0, 1.0,
        checkpoint_dir=tmp_path,
    )  # fmt: skip
    contrast.design_fake_planet_experiments(np.array([1000.0]), num_planets=3, separations=np.array([9.0]))
    reduction = ApplefyReduction([1, 2], **OPTIONS)
    contrast.run_fake_planet_experiments(reduction, num_parallel=1)
    assert set(contrast.results_dict) == set(reduction.get_method_keys())
    for results in contrast.results_dict.values():
        without = next(image for setup, image in results if setup["exp_id"] == "0000")
        with_planet = [(setup["planet_position"], image) for setup, image in results if setup["exp_id"] != "0000"]
        assert len(with_planet) == 3
        for (x, y, *_), image in with_planet:
            light = np.where(disc(image.shape, x, y, 3), np.clip(image - without, 0, None), 0)
            np.testing.assert_allclose(centroid(light), (x, y), atol=0.6 - 0.5 * (size % 2))


@installed("applefy")
def test_applefy_makes_a_grid_and_a_curve_of_contrast(tmp_path):
    from applefy.detections.contrast import Contrast
    from applefy.statistics.general import gaussian_sigma_2_fpf
    from applefy.statistics.parametric import TTest
    from applefy.utils.photometry import AperturePhotometryMode, get_flux

    mode = AperturePhotometryMode("AS", psf_fwhm_radius=1.5)
    try:
        get_flux(PSF, (4, 4), mode)
    except AttributeError:
        pytest.skip("this applefy's aperture photometry does not work with this photutils (2.1 and later)")
    data = turning()
    contrast = Contrast(data.cube, 1e4 * PSF, 1.5, np.deg2rad(data.angles), 1.0, 1.0, checkpoint_dir=tmp_path)
    contrast.design_fake_planet_experiments(np.array([0.1, 1e-5]), num_planets=1, separations=np.array([6.0, 12.0]))
    contrast.run_fake_planet_experiments(ApplefyReduction([1, 2], **OPTIONS), num_parallel=1)
    contrast.prepare_contrast_results(mode, mode)
    _, grids = contrast.compute_contrast_grids(TTest(), gaussian_sigma_2_fpf(5), num_rot_iter=2)
    curves, _ = contrast.compute_analytic_contrast_curves(TTest(), gaussian_sigma_2_fpf(5), num_rot_iter=2)
    assert np.isfinite(curves.to_numpy()).all()
    for grid in grids.values():
        assert (grid.loc[0.1] < grid.loc[1e-5]).all()  # the chance that noise looks like it
