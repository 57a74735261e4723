"""VIP, by the calls that version 2.1.1 was seen to make, and itself where it is installed."""

from inspect import getfullargspec
from types import SimpleNamespace

import numpy as np
import pytest
from adapter_helpers import POSITION_ANGLE, QUICK, SEPARATION, distance_from_planet, installed, turning
from helpers import read_only
from imaging_helpers import gaussian

from astronmf.adapters import frames_from_vip, frames_from_vip_dataset, vip_algo, vip_dataset
from astronmf.imaging import Frames, reduce

OPTIONS = {"ncomp": 3, "inner_radius": 3, "estimator": QUICK}

#: What VIP passes besides cube and angles, and the options of the caller.
CALLS = {
    "contrast_curve": {"fwhm": np.float64(3.0), "verbose": False},
    "contrast_curve, options of its injections": {"fwhm": 3.0, "verbose": False, "imlib": "opencv", "nproc": 2},
    "completeness_curve": {"verbose": False, "fwhm": 3.0},
    "firstguess and mcmc_negfc_sampling": {},
}


@pytest.fixture(scope="module")
def image(sequence):
    """Return what the callable gives for the sequence."""
    return vip_algo(sequence.cube, sequence.angles, **OPTIONS)


@pytest.mark.parametrize("options", CALLS.values(), ids=CALLS)
def test_the_calls_that_vip_makes_all_give_the_same_image(sequence, image, options):
    found = vip_algo(cube=sequence.cube, angle_list=sequence.angles, **options, **OPTIONS)
    np.testing.assert_array_equal(found, image)
    assert found.shape == (33, 33)


def test_vip_sees_the_arguments_by_which_it_knows_an_algorithm():
    names = getfullargspec(vip_algo).args
    assert {"cube", "angle_list", "fwhm", "verbose"} <= set(names)
    assert not {"radius_int", "scaling"} & set(names)  # with these it would crop the cube, or call twice
    assert vip_algo.__name__ == "vip_algo"


def test_the_image_is_that_of_reduce_with_blanks_at_0(sequence, image):
    frames = Frames(sequence.cube, angles=sequence.angles, center=(16, 16))
    expected = reduce(frames, mode="adi", n_components=3, inner_radius=3, estimator=QUICK).combined
    np.testing.assert_array_equal(image, np.nan_to_num(expected))
    assert (image[np.isnan(expected)] == 0).all()
    assert np.isnan(expected).any()


def test_blanks_may_stay_nan(sequence):
    image = vip_algo(sequence.cube, sequence.angles, blank=np.nan, **OPTIONS)
    assert np.isnan(image[16, 16])


@pytest.mark.parametrize("size", [33, 34])
def test_a_planet_is_where_vip_looks_for_it(size):
    data = turning(size)
    image = vip_algo(data.cube, data.angles, **OPTIONS)
    assert distance_from_planet(image, (size // 2, size // 2)) < 0.4


def test_with_references_other_stars_are_the_model(sequence):
    image = vip_algo(sequence.cube, sequence.angles, cube_ref=sequence.references, scale="none", **OPTIONS)
    science = Frames(sequence.cube, angles=sequence.angles)
    expected = reduce(
        science, Frames(sequence.references), n_components=3, inner_radius=3, scale="none", estimator=QUICK
    )
    np.testing.assert_array_equal(image, np.nan_to_num(expected.combined))


def test_references_may_join_the_frames_themselves(sequence):
    image = vip_algo(sequence.cube, sequence.angles, sequence.references, mode="ardi", **OPTIONS)
    science = Frames(sequence.cube, angles=sequence.angles)
    options = {"mode": "ardi", "n_components": 3, "inner_radius": 3, "estimator": QUICK}
    np.testing.assert_array_equal(
        image, np.nan_to_num(reduce(science, Frames(sequence.references), **options).combined)
    )


def test_wavelengths_are_reduced_each_and_averaged(sequence, image):
    other = vip_algo(2.0 * sequence.cube, sequence.angles, **OPTIONS)
    cubes = np.stack([sequence.cube, 2.0 * sequence.cube])
    found = vip_algo(cube=cubes, angle_list=sequence.angles, fwhm=3.0, verbose=False, **OPTIONS)
    np.testing.assert_allclose(found, (image + other) / 2, rtol=1e-12, atol=1e-12)


def test_a_library_must_have_the_wavelengths_of_the_cube(sequence):
    cubes = np.stack([sequence.cube, sequence.cube])
    with pytest.raises(ValueError, match=r"'cube_ref' must be of shape \(2, any, any, any\), got \(6, 33, 33\)"):
        vip_algo(cubes, sequence.angles, cube_ref=sequence.references)


def test_the_full_output_is_what_vips_nmf_gives(sequence, image):
    components, models, residuals, turned, combined = vip_algo(
        sequence.cube, sequence.angles, full_output=True, **OPTIONS
    )
    assert components.shape == (3, 33, 33)
    np.testing.assert_array_equal(combined, image)
    inside = models != 0
    np.testing.assert_allclose((models + residuals)[inside], sequence.cube[inside], rtol=1e-9)
    assert turned.shape == sequence.cube.shape


def test_the_full_output_of_several_wavelengths_is_stacked(sequence, image):
    found = vip_algo(sequence.cube[None], sequence.angles, full_output=True, **OPTIONS)
    assert [part.shape[0] for part in found[:4]] == [1, 1, 1, 1]
    np.testing.assert_array_equal(found[-1], image)


def test_without_collapse_derotated_residuals_come_back(sequence):
    turned = vip_algo(sequence.cube, sequence.angles, collapse=None, **OPTIONS)
    assert turned.shape == sequence.cube.shape
    image = vip_algo(sequence.cube, sequence.angles, collapse="mean", **OPTIONS)
    everywhere = (turned != 0).all(axis=0)
    np.testing.assert_allclose(turned.mean(axis=0)[everywhere], image[everywhere], atol=1e-10)


@pytest.mark.parametrize("options", [{"collapse": "median"}, {"combine": "median"}])
def test_the_median_may_be_asked_for_by_either_name(sequence, options):
    frames = Frames(sequence.cube, angles=sequence.angles)
    expected = reduce(frames, mode="adi", n_components=3, inner_radius=3, estimator=QUICK, combine="median").combined
    found = vip_algo(sequence.cube, sequence.angles, **options, **OPTIONS)
    np.testing.assert_array_equal(found, np.nan_to_num(expected))


WRONG = {
    "delta_rot": ({"delta_rot": 1}, "'delta_rot' must be given by its name in .*, 'min_rotation', got 1"),
    "mask": ({"mask_center_px": 4}, "'mask_center_px' must be given by its name in .*, 'inner_radius', got 4"),
    "twice": ({"ncomp": 3, "n_components": 3}, "'ncomp' and 'n_components' say the same thing"),
    "cube": ({"cube": np.ones((33, 33))}, r"'cube' must be of shape \(n, y, x\), one wavelength at a time, got"),
    "rotation": ({"min_rotation": 0.5}, "'fwhm' must be given, in pixels, with 'min_rotation', got None"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_an_argument_that_cannot_be_used_is_an_error(sequence, options, message):
    given = {"cube": sequence.cube, "angle_list": sequence.angles, "ncomp": 2} | options
    with pytest.raises(ValueError, match=message):
        vip_algo(**given)


def test_the_width_that_vip_passes_serves_the_rotation(sequence):
    given = {"cube": sequence.cube, "angle_list": sequence.angles, "ncomp": 2, "inner_radius": 6, "estimator": QUICK}
    apart = vip_algo(**given, fwhm=3.0, min_rotation=0.5)
    assert not np.array_equal(apart, vip_algo(**given, fwhm=3.0))


def test_nan_in_the_cube_is_missing_without_a_word(sequence):
    holed = sequence.cube.copy()
    holed[2, 20, 20] = np.nan
    image = vip_algo(read_only(holed), sequence.angles, **OPTIONS)
    assert np.isfinite(image).all()


def test_frames_of_a_cube_have_its_values_angles_and_centre(sequence):
    frames = frames_from_vip(sequence.cube[:, :32, :], sequence.angles, pixel_scale=0.027, unit="adu")
    np.testing.assert_array_equal(frames.data, sequence.cube[:, :32, :])
    np.testing.assert_array_equal(frames.angles, sequence.angles)
    assert frames.geometry.center == (16, 16)
    assert frames.geometry.pixel_scale == 0.027
    assert str(frames.unit) == "adu"


def test_a_dataset_gives_science_and_reference_frames(sequence):
    dataset = SimpleNamespace(cube=sequence.cube, angles=sequence.angles, px_scale=0.027, cuberef=sequence.references)
    science, references = frames_from_vip_dataset(dataset)
    np.testing.assert_array_equal(science.data, sequence.cube)
    np.testing.assert_array_equal(references.data, sequence.references)
    assert references.geometry.pixel_scale == 0.027
    dataset.cuberef = None
    assert frames_from_vip_dataset(dataset)[1] is None


@installed("vip_hci")
def test_vips_dataset_and_frames_turn_into_each_other(sequence):
    mask = np.zeros(sequence.cube.shape, bool)
    mask[0, 3, 4] = True
    science = Frames(sequence.cube, mask=mask, angles=sequence.angles, pixel_scale=0.027)
    dataset = vip_dataset(science, Frames(sequence.references), psf=np.ones((5, 5)), fwhm=4.0)
    assert np.isnan(dataset.cube[0, 3, 4])
    assert (dataset.px_scale, dataset.fwhm) == (0.027, 4.0)
    back, references = frames_from_vip_dataset(dataset)
    np.testing.assert_array_equal(back.mask, science.mask)
    np.testing.assert_array_equal(back.data[~mask], science.data[~mask])
    np.testing.assert_array_equal(back.angles, science.angles)
    np.testing.assert_array_equal(references.data, sequence.references)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"center": (16.5, 16)}, r"'science' must be with the star at VIP's centre, \(16, 16\); recenter them, got"),
        ({"parity": -1}, "'science' must be sky-handed"),
    ],
)
def test_frames_that_are_not_as_vip_wants_them_are_an_error(sequence, options, message):
    with pytest.raises(ValueError, match=message):
        vip_dataset(Frames(sequence.cube, angles=sequence.angles, **options))


@installed("vip_hci")
@pytest.mark.parametrize("size", [33, 34])
def test_vip_derotates_by_the_same_angles_about_the_same_centre(size):
    from vip_hci.preproc import cube_derotate

    data = turning(size)
    _, _, residuals, turned, _ = vip_algo(data.cube, data.angles, full_output=True, **OPTIONS)
    theirs = cube_derotate(residuals, data.angles, imlib="skimage", interpolation="bicubic")
    y, x = np.indices((size, size)) - size // 2
    near = (np.hypot(x, y) > 6) & (np.hypot(x, y) < 13)
    assert (theirs - turned)[:, near].std() < 0.1 * turned[:, near].std()  # their splines differ at the noise


@installed("vip_hci")
def test_vips_contrast_curve_is_finite(sequence):
    from vip_hci.metrics import contrast_curve

    psf = gaussian((9, 9), 4, 4, fwhm=3.0)
    psf /= psf[np.hypot(*(np.indices((9, 9)) - 4)) <= 1.5].sum()
    curve = contrast_curve(
        sequence.cube,
        sequence.angles,
        psf,
        3.0,
        0.027,
        starphot=1e5,
        algo=vip_algo,
        plot=False,
        verbose=False,
        **OPTIONS,
    )
    beyond = curve["distance"] > 6
    assert beyond.any()
    assert np.isfinite(curve["sensitivity_student"][beyond]).all()
    assert (curve["throughput"][beyond] > 0).all()


@installed("vip_hci")
@pytest.mark.parametrize("collapse", ["mean", None])
def test_vips_negative_companion_fits_best_near_the_truth(sequence, collapse):
    from vip_hci.fm.negfc_fmerit import chisquare

    psf = gaussian((9, 9), 4, 4, fwhm=3.0)
    theta = POSITION_ANGLE + 90

    def merit(separation, flux):
        start = (SEPARATION, theta)
        options = OPTIONS | {"collapse": collapse}
        arguments = (sequence.cube, sequence.angles, psf, 3.0, 6, 1.5, start, 3)
        return chisquare((separation, theta, flux), *arguments, algo=vip_algo, algo_options=options, imlib="skimage",
                         interpolation="bicubic", mu_sigma=None)  # fmt: skip

    truth = merit(SEPARATION, 60.0)
    assert truth < min(merit(SEPARATION, 0.0), merit(SEPARATION, 120.0), merit(SEPARATION + 2, 60.0))
