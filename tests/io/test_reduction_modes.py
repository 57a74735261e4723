"""Reductions whose components come from the science frames themselves, written and read."""

import numpy as np
import pytest
from astropy.io import fits
from helpers import read_only
from imaging_helpers import observe
from rotation_helpers import FWHM, PLANET, POINT, SHAPE, THREE, around_planet, planet_in, sequence

from astronmf import SequentialNMF
from astronmf.imaging import Frames, Reduction, inject, reduce

TURNING = sequence(n=7, uneven=0.3)
MASK = read_only(np.random.default_rng(5).random(TURNING.data.shape) < 0.05)
QUICK = SequentialNMF(3, tol=1e-3)
SKY_PLANET = read_only(inject(Frames(np.zeros(SHAPE)), POINT, **PLANET, flux=50.0).data[0])
OWN = {"mode": "adi", "min_rotation": 0.5, "fwhm": FWHM}
MODES = {
    "adi": {"mode": "adi"},
    "zones": {"mode": "adi", "annulus_width": 6, "n_segments": 2},
    "own references": OWN,
    "own references in zones": OWN | {"annulus_width": 6},
    "ardi": {"mode": "ardi"},
    "ardi, own references": OWN | {"mode": "ardi"},
    "other stars in zones": {"mode": "rdi", "annulus_width": 6},
    "declared missing": {"mode": "adi", "imputation_mask": around_planet(4)},
    "median": {"mode": "adi", "combine": "median"},
    "given factors": OWN | {"scale": [0.9] * 7},
}
RESULTS = (
    "combined",
    "combined_uncertainty",
    "coverage",
    "residuals",
    "models",
    "coefficients",
    "covariances",
    "scale_factors",
    "scale_factor_errors",
)


def reduced(options, **changes):
    frames = TURNING.frames(**({"mask": MASK} | changes))
    references = observe().reference_frames(unit=None, pixel_scale=None)
    if frames.sigma is None:
        references = Frames(references.data)
    others = () if options["mode"] == "adi" else (references,)
    return reduce(frames, *others, estimator=QUICK, **(THREE | options))


def written(reduction, tmp_path):
    """Return a reduction as it comes back from a file."""
    reduction.write(tmp_path / "out.fits")
    return Reduction.read(tmp_path / "out.fits")


def assert_same(back, reduction):
    for name in RESULTS:
        np.testing.assert_array_equal(getattr(back, name), getattr(reduction, name), err_msg=name)
    np.testing.assert_array_equal(back.choice.zone_numbers, reduction.choice.zone_numbers)
    np.testing.assert_array_equal(back.choice.imputed, reduction.choice.imputed)
    np.testing.assert_array_equal(back.weights, reduction.weights)
    np.testing.assert_array_equal(back.components.data, reduction.components.data)
    np.testing.assert_array_equal(back.components.coefficients, reduction.components.coefficients)
    assert back.recipe == reduction.recipe
    assert (back.self_reference is None) == (reduction.self_reference is None)
    if reduction.self_reference is None:
        return
    for name in ("hats", "coefficients", "learnt", "other_weights"):
        found, expected = getattr(back.self_reference, name), getattr(reduction.self_reference, name)
        np.testing.assert_array_equal(found, expected, err_msg=name)
    assert (back.self_reference.own is None) == (reduction.self_reference.own is None)
    if reduction.self_reference.own is not None:
        for name in ("group", "data", "coefficients"):
            found, expected = getattr(back.self_reference.own, name), getattr(reduction.self_reference.own, name)
            np.testing.assert_array_equal(found, expected, err_msg=name)
            assert found.dtype.isnative


@pytest.mark.filterwarnings("ignore:the scale factors were searched:astronmf.exceptions.ScaleFactorWarning")
@pytest.mark.parametrize("options", MODES.values(), ids=MODES)
def test_every_mode_comes_back_and_predicts_a_source_as_before(tmp_path, options):
    reduction = reduced(options)
    back = written(reduction, tmp_path)
    assert_same(back, reduction)
    np.testing.assert_array_equal(back.forward(SKY_PLANET), reduction.forward(SKY_PLANET))
    source = planet_in(reduction.science)
    np.testing.assert_array_equal(back.remaining(source), reduction.remaining(source))


@pytest.mark.parametrize("changes", [{"uncertainty": None}, {"unit": "adu"}, {"parity": -1}], ids=str)
@pytest.mark.parametrize("options", [MODES["adi"], MODES["own references in zones"]], ids=["adi", "own references"])
def test_it_is_so_without_errors_with_a_unit_and_for_mirror_images(tmp_path, options, changes):
    reduction = reduced(options, **changes)
    back = written(reduction, tmp_path)
    assert_same(back, reduction)
    np.testing.assert_array_equal(back.forward(SKY_PLANET), reduction.forward(SKY_PLANET))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_components_of_each_frame_keep_their_precision(tmp_path, dtype):
    reduction = reduced(OWN, data=TURNING.data.astype(dtype), uncertainty=TURNING.sigma.astype(dtype))
    back = written(reduction, tmp_path)
    assert back.self_reference.own.data.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(back.forward(SKY_PLANET), reduction.forward(SKY_PLANET))


def test_pixels_that_a_frame_s_own_components_do_not_cover_come_back(tmp_path):
    mask = MASK.copy()
    mask[2:, 20, 20] = True  # frame 0 may be modelled with those alone
    reduction = reduced(OWN | {"min_rotation": 2.0, "n_components": 1}, mask=mask)
    assert np.isnan(reduction.models[0, 20, 20])
    assert np.isfinite(reduction.models[6, 20, 20])
    back = written(reduction, tmp_path)
    assert_same(back, reduction)
    assert (back.n_valid, back.chi2) == (reduction.n_valid, pytest.approx(reduction.chi2, rel=1e-12))
    np.testing.assert_array_equal(back.forward(SKY_PLANET), reduction.forward(SKY_PLANET))


def test_a_frame_without_data_comes_back(tmp_path):
    mask = MASK.copy()
    mask[4] = True
    with pytest.warns(match="1 science frames have no pixel to fit"):
        reduction = reduced(MODES["zones"], mask=mask)
    back = written(reduction, tmp_path)
    assert_same(back, reduction)
    np.testing.assert_array_equal(back.forward(SKY_PLANET), reduction.forward(SKY_PLANET))


@pytest.mark.parametrize("options", [MODES["adi"], MODES["zones"], MODES["own references"]], ids=str)
def test_what_was_read_is_reduced_again_as_before(tmp_path, options):
    reduction = reduced(options)
    back = written(reduction, tmp_path)
    other = TURNING.with_planet(50.0, mask=MASK)
    assert_same(back.again(other), reduction.again(other))
    np.testing.assert_allclose(back.over_components(), reduction.over_components(), atol=1e-6)


def test_references_of_other_stars_are_not_in_the_file_which_is_said(tmp_path):
    back = written(reduced(MODES["ardi"]), tmp_path)
    assert back.references is None
    with pytest.raises(ValueError, match="'references' must be given with mode='ardi'"):
        back.again(TURNING.frames(mask=MASK))


def test_a_reduction_read_and_written_is_the_same(tmp_path):
    reduction = reduced(MODES["ardi, own references"])
    first = written(reduction, tmp_path)
    first.write(tmp_path / "second.fits")
    assert_same(Reduction.read(tmp_path / "second.fits"), reduction)


def test_extensions_say_what_models_follow(tmp_path):
    reduced(MODES["own references in zones"]).write(tmp_path / "own.fits")
    reduced(MODES["other stars in zones"]).write(tmp_path / "rdi.fits")
    with fits.open(tmp_path / "own.fits", checksum=True) as hdus:
        assert hdus["HATS"].data.shape == (2, 7, 7)
        assert hdus["OWN_COMPONENTS"].data.shape[1] == 6
        assert hdus["ZONES"].data.max() == 1
        assert hdus["ZONES"].data.min() == -1
    with fits.open(tmp_path / "rdi.fits") as hdus:
        assert "HATS" not in hdus
        assert "OWN_GROUP" not in hdus
