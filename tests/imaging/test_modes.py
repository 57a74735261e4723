import numpy as np
import pytest
from helpers import read_only
from imaging_helpers import centroid, observe
from rotation_helpers import (
    ANNULUS,
    FWHM,
    PLANET,
    POINT,
    SHAPE,
    THREE,
    around_planet,
    flux_in,
    planet_place,
    sequence,
)

from astronmf import SequentialNMF
from astronmf.exceptions import MissingDataWarning
from astronmf.imaging import Frames, inject, modes, reduce

TURNING = sequence()
SHORT = sequence(n=7)
QUICK = SequentialNMF(3, tol=1e-3)
OWN = {"mode": "adi", "min_rotation": 0.5, "fwhm": FWHM}
MODES = {
    "adi": {"mode": "adi"},
    "zones": {"mode": "adi", "annulus_width": 6, "n_segments": 2},
    "own references": OWN,
    "ardi": {"mode": "ardi"},
    "ardi, own references": OWN | {"mode": "ardi"},
}
every_mode = pytest.mark.parametrize("options", MODES.values(), ids=MODES)
RESULTS = ("combined", "combined_uncertainty", "coverage", "residuals", "models", "coefficients", "covariances")


def references(n=8, **changes):
    return observe(n_references=n).reference_frames(**({"unit": None, "pixel_scale": None} | changes))


def reduced(frames, options, **more):
    others = (references(),) if options["mode"] == "ardi" else ()
    return reduce(frames, *others, **(THREE | {"estimator": QUICK} | options | more))


def assert_same(one, other, names=RESULTS):
    for name in names:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    np.testing.assert_array_equal(one.self_reference.hats, other.self_reference.hats)


def planet(flux):
    """Return the planet on the combined image."""
    return read_only(inject(Frames(np.zeros(SHAPE)), POINT, **PLANET, flux=flux).data[0])


# What is left of star and planet


@pytest.mark.parametrize("options", [MODES["adi"], MODES["zones"], MODES["ardi"]], ids=["adi", "zones", "ardi"])
def test_of_a_star_alone_noise_is_left(options):
    result = reduced(TURNING.frames(), options, estimator=None)
    used = result.choice.region
    assert 0.8 < np.std(result.residuals[:, used] / TURNING.sigma[:, used]) < 1.05
    assert np.std((result.models - TURNING.star)[:, used]) < 0.7
    pulls = (result.combined / result.combined_uncertainty)[np.isfinite(result.combined)]
    assert abs(pulls.mean()) < 0.05
    assert np.abs(pulls).max() < 4.5


@every_mode
def test_a_planet_comes_back_at_its_position_north_up(options):
    result = reduced(TURNING.with_planet(1000.0), options)
    near = np.where(around_planet(3), result.combined, 0.0)
    np.testing.assert_allclose(centroid(near), planet_place(), atol=0.25)
    assert np.unravel_index(np.nanargmax(result.combined), SHAPE) == tuple(np.rint(planet_place()[::-1]))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("parity", [1, -1])
def test_either_hand_and_either_turn_bring_it_north_up(sign, parity):
    frames = TURNING.frames(angles=sign * TURNING.angles, parity=parity)
    result = reduced(inject(frames, POINT, **PLANET, flux=1000.0), MODES["adi"])
    np.testing.assert_allclose(centroid(np.where(around_planet(3), result.combined, 0.0)), planet_place(), atol=0.25)


@pytest.mark.parametrize(("flux", "near"), [(300.0, 0.05), (1000.0, 0.02)])
@pytest.mark.parametrize("options", [MODES["adi"], MODES["ardi"]], ids=["adi", "ardi"])
def test_where_it_is_declared_missing_it_comes_back_with_its_flux(options, flux, near):
    result = reduced(TURNING.with_planet(flux), options, imputation_mask=around_planet(5.5), estimator=None)
    assert flux_in(result.combined) == pytest.approx(flux_in(planet(flux)), rel=near)


@pytest.mark.parametrize("options", [MODES["adi"], MODES["zones"], MODES["ardi"]], ids=["adi", "zones", "ardi"])
def test_where_it_is_not_as_much_is_lost_as_is_predicted(options):
    result = reduced(TURNING.with_planet(300.0), options, estimator=None)
    found, predicted = flux_in(result.combined), flux_in(result.forward(planet(300.0)))
    assert found < 0.7 * flux_in(planet(300.0))
    assert found == pytest.approx(predicted, rel=0.15)  # the noise in the aperture is 5 % of the flux


def test_frames_that_are_not_their_own_reference_keep_more_of_it():
    kept = [flux_in(reduced(TURNING.with_planet(1000.0), MODES[name]).combined) for name in ("adi", "own references")]
    assert kept[1] > 1.4 * kept[0]


def test_with_few_frames_other_stars_help():
    few = sequence(n=12)
    chosen = [0, 4, 8, 11]
    frames, star = few.frames()[chosen], few.star[chosen]
    adi = reduce(frames, mode="adi", **THREE)
    ardi = reduce(frames, references(12), mode="ardi", **THREE)
    rdi = reduce(frames, references(12), scale="none", **THREE)
    errors = [np.std((result.models - star)[:, result.choice.region]) for result in (adi, ardi, rdi)]
    assert errors[1] < 0.6 * errors[0]  # four frames do not know three components well
    assert errors[1] < 0.6 * errors[2]  # and the other stars do not know all that this one has


def test_references_may_be_without_angles_or_with_any():
    expected = reduced(TURNING.frames(), MODES["ardi"])
    for angles in (np.zeros(8), np.linspace(0, 3, 8), None):
        found = reduce(TURNING.frames(), references(angles=angles), mode="ardi", estimator=QUICK, **THREE)
        assert_same(found, expected)


def test_marked_references_are_used_in_both_and_left_out_in_adi():
    marked = Frames.concatenate([TURNING.frames(), references(is_reference=True, angles=np.zeros(8))])
    assert_same(reduce(marked, mode="ardi", estimator=QUICK, **THREE), reduced(TURNING.frames(), MODES["ardi"]))
    assert_same(reduce(marked, mode="adi", estimator=QUICK, **THREE), reduced(TURNING.frames(), MODES["adi"]))


def test_the_region_declared_missing_follows_the_planet_into_the_components():
    hidden = around_planet(4)
    result = reduced(TURNING.frames(), MODES["adi"], imputation_mask=hidden)
    imputed = result.choice.imputed
    spoilt = TURNING.frames().replace_data(np.where(imputed, 1e6, TURNING.data))
    after = reduced(spoilt, MODES["adi"], imputation_mask=hidden)
    np.testing.assert_array_equal(after.models, result.models)
    np.testing.assert_array_equal(after.components.data, result.components.data)
    assert len(np.unique(imputed.sum(axis=0))) > 3


def test_pixels_that_are_always_declared_missing_are_blank_and_counted():
    hidden = np.zeros(TURNING.data.shape, bool)
    hidden[:, 20, 22:24] = True
    with pytest.warns(MissingDataWarning, match="^2 of 684 pixels are missing in every reference"):
        result = reduced(TURNING.frames(), MODES["adi"], imputation_mask=hidden)
    np.testing.assert_array_equal(np.isnan(result.models), hidden | ~result.choice.region)


# How much is built


def test_a_quarter_of_the_sequence_by_default():
    frames = TURNING.frames()
    assert len(reduce(frames, mode="adi", **ANNULUS).components) == 4
    assert len(reduce(frames, references(), mode="ardi", **ANNULUS).components) == 4
    assert len(reduce(frames[:3], mode="adi", **ANNULUS).components) == 1


@pytest.mark.parametrize(("n", "expected"), [(1, 1), (7, 1), (8, 2), (61, 15), (120, 30), (4000, 30)])
def test_the_default_grows_with_the_sequence(n, expected):
    assert modes.default_components("adi", n) == modes.default_components("ardi", n) == expected
    assert modes.default_components("rdi", n) == 10


def test_the_default_is_less_than_the_references_of_any_frame():
    result = reduce(TURNING.frames()[:12], mode="adi", min_rotation=1.4, fwhm=FWHM, outer_radius=15)
    fewest = (result.self_reference.own.coefficients.sum(axis=2) > 0).sum(axis=1).min()
    assert len(result.components) == min(3, fewest - 1) == 2


# What must not matter


@every_mode
@pytest.mark.parametrize("spoil", [1e30, np.nan])
def test_what_lies_under_a_mask_changes_no_bit(options, spoil):
    mask = np.random.default_rng(5).random(SHORT.data.shape) < 0.1
    one, other = (
        reduced(SHORT.frames(data=data, mask=mask), options) for data in (SHORT.data, np.where(mask, spoil, SHORT.data))
    )
    assert_same(one, other)
    np.testing.assert_array_equal(one.forward(planet(1.0)), other.forward(planet(1.0)))


@every_mode
def test_weights_times_four_change_nothing_but_the_errors(options):
    uneven = sequence(n=9, uneven=0.3)
    others = {"uncertainty": observe().reference_sigma / 2}
    one = reduced(uneven.frames(), options)
    extra = (references(**others),) if options["mode"] == "ardi" else ()
    four = reduce(uneven.frames(uncertainty=uneven.sigma / 2), *extra, **(THREE | {"estimator": QUICK} | options))
    assert_same(four, one, ("combined", "coverage", "residuals", "models", "coefficients"))
    np.testing.assert_array_equal(4 * four.covariances, one.covariances)
    np.testing.assert_array_equal(2 * four.combined_uncertainty, one.combined_uncertainty)
    np.testing.assert_allclose(four.forward(planet(1.0)), one.forward(planet(1.0)), atol=1e-12)


@every_mode
@pytest.mark.filterwarnings("ignore:'angles' do not run in one direction:astronmf.exceptions.GeometryWarning")
def test_the_order_of_frames_does_not_matter(options):
    order = np.random.default_rng(6).permutation(7)
    one, other = reduced(SHORT.frames(), options), reduced(SHORT.frames()[order], options)
    np.testing.assert_allclose(other.residuals, one.residuals[order], atol=1e-4)
    np.testing.assert_allclose(other.combined, one.combined, atol=1e-4)
    hats = one.self_reference.hats[:, order][:, :, order]
    np.testing.assert_allclose(other.self_reference.hats, hats, atol=1e-5)


@every_mode
def test_a_reduction_is_the_same_every_time(options):
    assert_same(reduced(SHORT.frames(), options), reduced(SHORT.frames(), options))


@every_mode
def test_inputs_come_back_untouched(options):
    frames, others, hidden = SHORT.frames(mask=SHORT.data < 2), references(), around_planet(4)
    arrays = (frames.data, frames.sigma, frames.mask, frames.angles, others.data, others.sigma, others.mask, hidden)
    before = [np.array(array) for array in arrays]
    extra = (others,) if options["mode"] == "ardi" else ()
    result = reduce(frames, *extra, imputation_mask=hidden, **(THREE | {"estimator": QUICK} | options))
    result.forward(planet(1.0))
    result.again(frames, warm=True)
    for array, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy)
    assert others.angles is None


@pytest.mark.parametrize("angles", [[10.0], None])
@pytest.mark.filterwarnings("ignore:the science frames have no 'angles':astronmf.exceptions.GeometryWarning")
def test_one_frame_keeps_its_axis_with_other_stars(angles):
    result = reduce(Frames(SHORT.data[0], 1.0, angles=angles), references(), scale="none", **THREE)
    assert result.residuals.shape == result.models.shape == (1, *SHAPE)
    assert result.coefficients.shape == (1, 3)
    assert result.forward(planet(1.0)).shape == SHAPE


@pytest.mark.parametrize("options", [MODES["adi"], MODES["own references"]], ids=["adi", "own references"])
def test_an_empty_frame_is_told_of_once_and_left_out(options):
    mask = np.zeros(SHORT.data.shape, bool)
    mask[3] = True
    with pytest.warns(MissingDataWarning, match=r"^1 science frames .* \(first: frame 3\)") as said:
        result = reduced(SHORT.frames(mask=mask), options)
    assert len(said) == 1
    assert np.isnan(result.residuals[3]).all()
    assert np.isfinite(np.delete(result.residuals, 3, axis=0)[:, result.choice.region]).all()
    assert (result.self_reference.hats[0][:, 3] == 0).all()
    assert (result.self_reference.hats[0][3] == 0).all()
    assert np.isfinite(np.delete(result.remaining(SHORT.data), 3, axis=0)[:, result.choice.region]).all()


def test_single_precision_gives_nearly_the_same_image():
    single = SHORT.frames(data=SHORT.data.astype("f4"), uncertainty=SHORT.sigma.astype("f4"))
    found, expected = reduced(single, MODES["adi"]), reduced(SHORT.frames(), MODES["adi"])
    np.testing.assert_allclose(found.combined, expected.combined, atol=0.05)


# Once more


@every_mode
def test_again_is_a_fresh_reduction_of_other_frames(options):
    other = SHORT.with_planet(100.0)
    again, fresh = reduced(SHORT.frames(), options).again(other), reduced(other, options)
    assert_same(again, fresh, (*RESULTS, "scale_factors"))
    np.testing.assert_array_equal(again.forward(planet(1.0)), fresh.forward(planet(1.0)))
    assert again.meta == fresh.meta


@pytest.mark.parametrize(
    "estimator",
    [
        SequentialNMF(3, tol=1e-3, solver="mu", max_iter=50),
        SequentialNMF(3, tol=1e-3, init="random", random_state=4),
        SequentialNMF(3, tol=1e-3, refit="last"),
        SequentialNMF(3, tol=1e-3, pixel_fraction=0.5, random_state=3),
        SequentialNMF(3, tol=1e-3, dtype=np.float32),
    ],
    ids=repr,
)
@pytest.mark.filterwarnings("ignore::astronmf.exceptions.ConvergenceWarning")
def test_again_is_built_as_the_first_was(estimator):
    positive = SHORT.frames(data=np.abs(SHORT.data))
    options = {"mode": "adi", "estimator": estimator, **ANNULUS}
    first = reduce(positive, **options)
    assert_same(first.again(positive), first)


def test_again_keeps_what_was_declared_missing():
    options = MODES["adi"] | {"imputation_mask": around_planet(4), "combine": "median", "scale": 0.9}
    first = reduced(SHORT.frames(), options)
    assert_same(first.again(SHORT.with_planet(50.0)), reduced(SHORT.with_planet(50.0), options))


@every_mode
def test_a_warm_start_ends_no_worse_than_a_build_from_nothing(options):
    first, other = reduced(SHORT.frames(), options), SHORT.with_planet(30.0)
    cold, warm = first.again(other), first.again(other, warm=True)
    assert warm.components.history["chi2"][-1] <= cold.components.history["chi2"][-1] * (1 + 1e-3)
    assert warm.chi2 <= cold.chi2 * (1 + 1e-3)
    assert len(warm.components) == len(cold.components)
    assert len(warm.components.stages) == 1


def test_with_other_stars_alone_again_uses_the_same_components():
    first = reduce(SHORT.frames(), references(), scale="none", estimator=QUICK, **THREE)
    again = first.again(SHORT.with_planet(30.0))
    assert again.components is first.components
    fresh = reduce(SHORT.with_planet(30.0), references(), scale="none", estimator=QUICK, **THREE)
    np.testing.assert_array_equal(again.combined, fresh.combined)


@every_mode
def test_every_number_of_components_is_the_reduction_with_so_many(options):
    result = reduced(SHORT.frames(), options)
    images = result.over_components()
    assert len(images) == 3
    for k, image in enumerate(images, start=1):
        np.testing.assert_array_equal(image, reduced(SHORT.frames(), options, n_components=k).combined)


# What goes wrong


def test_an_unknown_mode_is_an_error():
    with pytest.raises(ValueError, match="'mode' must be one of 'rdi', 'adi', 'ardi', got 'pca'"):
        reduce(TURNING.frames(), mode="pca")


@pytest.mark.parametrize("mode", ["adi", "ardi"])
def test_components_are_for_other_stars_only(mode):
    first = reduce(TURNING.frames(), references(), scale="none", estimator=QUICK, **THREE)
    with pytest.raises(ValueError, match=f"'components' must be left out with mode='{mode}', got components; they are"):
        reduce(TURNING.frames(), components=first.components, mode=mode)


def test_references_have_no_place_in_adi():
    with pytest.raises(ValueError, match="'references' must be left out with mode='adi'; mode='ardi' uses both"):
        reduce(TURNING.frames(), references(), mode="adi")


def test_both_need_references():
    with pytest.raises(ValueError, match="'references' must be given"):
        reduce(TURNING.frames(), mode="ardi")


def test_only_references_leave_nothing_to_reduce():
    with pytest.raises(
        ValueError, match=r"'science' must be such that not all frames are marked .*, got 16 references"
    ):
        reduce(TURNING.frames(is_reference=True), mode="adi")


@pytest.mark.parametrize("changes", [{"uncertainty": None}, {"unit": "Jy"}, {"center": (15.5, 16)}], ids=str)
def test_references_that_cannot_stand_beside_the_science_frames_are_an_error(changes):
    with pytest.raises(ValueError, match=r"'(uncertainty|references)' must be"):
        reduce(TURNING.frames(), references(**changes), mode="ardi", **THREE)


def test_everything_declared_missing_is_an_error_that_names_the_science_frames():
    with pytest.raises(ValueError, match="'science' must be such that they have pixels in the region, got none"):
        reduce(TURNING.frames(), mode="adi", imputation_mask=np.ones(SHAPE, bool), **THREE)


def test_more_components_than_frames_are_an_error():
    with pytest.raises(ValueError, match=r"'n_components' must be an integer in \[1, 16\], got 17"):
        reduce(TURNING.frames(), mode="adi", n_components=17, **ANNULUS)
