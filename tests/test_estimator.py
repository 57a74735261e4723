"""The surface of `NMF` and `SequentialNMF`: what they take, what they give, and what they refuse."""

import re

import astropy.units as u
import helpers
import numpy as np
import pytest
from astropy.nddata import CCDData, InverseVariance, NDData, StdDevUncertainty, VarianceUncertainty
from astropy.utils.masked import Masked

from astronmf import NMF, SequentialNMF
from astronmf.exceptions import ConvergenceWarning, MissingDataWarning

BOTH = pytest.mark.parametrize("make", [NMF, SequentialNMF])
BRIEF = {"tol": 0, "max_iter": 8}


def fit(*inputs, **named):
    """Return what a brief fit of three components finds."""
    return helpers.results_of(SequentialNMF(3, **BRIEF).fit(*inputs, **named))


# Shapes


@BOTH
@pytest.mark.parametrize("k", [1, 2])
def test_every_result_keeps_its_axes_even_for_one_component(images, make, k):
    found = make(k).fit(images.X, images.weights)
    assert found.components_.shape == (k, 6, 7)
    assert found.coefficients_.shape == (9, k)
    assert found.inverse_transform(found.coefficients_).shape == (9, 6, 7)
    assert found.transform(images.X[:1], images.weights[:1]).shape == (1, k)
    assert found.project(images.X, images.weights).covariance.shape == (9, k, k)


def test_a_sequential_build_has_a_residual_variance_for_each_stage_and_a_joint_one_has_one(images):
    assert SequentialNMF(3).fit(images.X, images.weights).fractional_residual_variance_.shape == (3,)
    assert NMF(3).fit(images.X, images.weights).fractional_residual_variance_.shape == (1,)


@BOTH
def test_the_model_of_the_coefficients_is_their_product_with_the_components(images, make):
    found = make(2).fit(images.X, images.weights)
    expected = np.tensordot(found.coefficients_, found.components_, axes=1)
    np.testing.assert_allclose(found.inverse_transform(found.coefficients_), expected, rtol=1e-12)


@BOTH
def test_fit_transform_is_fit_and_its_coefficients(noisy, make):
    found = make(2).fit_transform(*noisy.inputs)
    np.testing.assert_array_equal(found, make(2).fit(*noisy.inputs).coefficients_)


def test_weights_and_masks_are_stretched_over_the_observations(images):
    weights, mask = images.weights[0], np.arange(42).reshape(6, 7) % 5 == 0
    stretched = (np.broadcast_to(array, images.X.shape) for array in (weights, mask))
    helpers.assert_same_bits(fit(images.X, weights, mask), fit(images.X, *stretched))


def test_a_mask_of_zeros_and_ones_is_a_mask(noisy):
    X, weights, mask = noisy.inputs
    helpers.assert_same_bits(fit(X, weights, mask.astype(np.uint8)), fit(X, weights, mask))


# Kinds of input


@pytest.mark.parametrize("kind", [">f8", ">f4", "<f4", ">i2", "i8", "u1"])
def test_other_number_types_give_what_native_double_precision_gives(noisy, kind):
    X = np.clip(np.round(30 * noisy.X), 0, 255).astype(kind)
    options = dict(BRIEF, dtype="float64")
    found = SequentialNMF(3, **options).fit(X, noisy.weights, noisy.mask)
    expected = SequentialNMF(3, **options).fit(X.astype(np.float64), noisy.weights, noisy.mask)
    helpers.assert_same_bits(helpers.results_of(found), helpers.results_of(expected))


def test_big_endian_single_precision_stays_single_precision(noisy):
    found = SequentialNMF(2).fit(noisy.X.astype(">f4"), noisy.weights.astype(">f8"), noisy.mask)
    assert found.components_.dtype == np.dtype("=f4")


def test_a_memory_mapped_file_gives_what_the_array_gives(noisy, tmp_path):
    path = tmp_path / "X.npy"
    np.save(path, noisy.X)
    mapped = np.load(path, mmap_mode="r")
    helpers.assert_same_bits(fit(mapped, *noisy.inputs[1:]), fit(*noisy.inputs))


def test_arrays_in_any_memory_order_give_the_same(noisy):
    turned = [np.asfortranarray(array) for array in noisy.inputs]
    helpers.assert_same_bits(fit(*turned), fit(*noisy.inputs))


def test_lists_are_arrays(noisy):
    helpers.assert_same_bits(fit(*(array.tolist() for array in noisy.inputs)), fit(*noisy.inputs))


def test_uncertainties_are_weights(noisy):
    sigma = noisy.uncertainty
    helpers.assert_same_bits(fit(noisy.X, uncertainty=sigma, mask=noisy.mask), fit(noisy.X, 1 / sigma**2, noisy.mask))


def test_a_masked_array_carries_its_mask(noisy):
    X, weights, mask = noisy.inputs
    masked = np.ma.masked_array(np.where(mask, np.nan, X), mask)
    helpers.assert_same_bits(fit(masked, weights), fit(X, weights, mask))


def test_a_mask_is_added_to_that_of_a_masked_array(noisy):
    X, weights, mask = noisy.inputs
    more = np.arange(60) % 7 == 0
    helpers.assert_same_bits(fit(np.ma.masked_array(X, mask), weights, more), fit(X, weights, mask | more))


def test_an_astropy_masked_array_carries_its_mask(noisy):
    X, weights, mask = noisy.inputs
    helpers.assert_same_bits(fit(Masked(X, mask), weights), fit(X, weights, mask))
    found = SequentialNMF(3, **BRIEF).fit(Masked(X * u.Jy, mask), weights)
    assert found.unit_ == u.Jy
    helpers.assert_same_bits(helpers.results_of(found), fit(X, weights, mask))


@pytest.mark.parametrize("masked", [np.ma.masked_array, Masked])
def test_a_masked_weight_or_uncertainty_is_missing(noisy, masked):
    X, weights, mask = noisy.inputs
    sigma = weights**-0.5
    helpers.assert_same_bits(fit(X, masked(weights, mask)), fit(X, weights, mask))
    with pytest.warns(MissingDataWarning, match="'uncertainty'"):
        found = fit(X, uncertainty=masked(sigma, mask))
    helpers.assert_same_bits(found, fit(X, uncertainty=sigma, mask=mask))


@pytest.mark.parametrize("kind", [NDData, CCDData])
@pytest.mark.parametrize("error", [StdDevUncertainty, VarianceUncertainty, InverseVariance])
def test_nddata_carry_their_mask_and_their_uncertainty(noisy, kind, error):
    X, weights, mask = noisy.inputs
    values = {StdDevUncertainty: weights**-0.5, VarianceUncertainty: 1 / weights, InverseVariance: weights}[error]
    data = kind(X, unit="adu", mask=mask, uncertainty=error(values))
    found, expected = SequentialNMF(3).fit(data), SequentialNMF(3).fit(X, weights, mask)
    assert found.unit_ == u.adu
    assert found.n_valid_ == expected.n_valid_
    assert found.chi2_ == pytest.approx(expected.chi2_, rel=1e-9)
    np.testing.assert_allclose(found.components_, expected.components_, atol=1e-6)


def test_weights_given_with_nddata_are_used_instead_of_its_uncertainty(noisy):
    X, weights, mask = noisy.inputs
    data = NDData(X, mask=mask, uncertainty=StdDevUncertainty(np.ones_like(X)))
    helpers.assert_same_bits(fit(data, weights), fit(X, weights, mask))


def test_nddata_with_uncertainties_of_zero_are_warned_of_as_arrays_are(noisy):
    sigma = np.where(noisy.mask, 0.0, noisy.uncertainty)
    count = int(noisy.mask.sum())
    with pytest.warns(MissingDataWarning, match=rf"{count} values of 'uncertainty' are 0"):
        found = fit(NDData(noisy.X, uncertainty=StdDevUncertainty(sigma)))
    helpers.assert_same_bits(found[3:4], [int((~noisy.mask).sum())])


# Units


def test_the_model_of_a_quantity_is_a_quantity(images):
    found = SequentialNMF(2).fit(images.X * u.Jy, images.weights / u.Jy**2)
    model = found.inverse_transform(found.coefficients_)
    assert model.unit == found.unit_ == u.Jy
    plain = SequentialNMF(2).fit(images.X, images.weights)
    np.testing.assert_array_equal(model.value, plain.inverse_transform(plain.coefficients_))


@pytest.mark.parametrize("units", [(u.Jy, u.mJy), (u.mJy, u.Jy)])
def test_uncertainties_and_weights_are_converted_to_the_datas_unit(noisy, units):
    own, other = units
    X, sigma = noisy.X * own, (noisy.uncertainty * own).to(other)
    expected = SequentialNMF(3).fit(*noisy.inputs).chi2_
    assert SequentialNMF(3).fit(X, uncertainty=sigma, mask=noisy.mask).chi2_ == pytest.approx(expected, rel=1e-9)
    assert SequentialNMF(3).fit(X, sigma**-2, noisy.mask).chi2_ == pytest.approx(expected, rel=1e-9)


def test_observations_in_another_unit_are_converted_before_they_are_transformed(noisy):
    found = SequentialNMF(2).fit(noisy.X * u.Jy)
    expected = found.transform(noisy.X * u.Jy)
    np.testing.assert_allclose(found.transform((noisy.X * u.Jy).to(u.mJy)), expected, rtol=1e-10)


def projected(fitted, X, sigma):
    """Return the covariance and χ² of a projection on fitted components."""
    found = fitted.project(X, uncertainty=sigma)
    return found.covariance, found.chi2


@pytest.mark.parametrize("carried", [False, True])
def test_uncertainties_without_a_unit_are_in_the_unit_of_the_data_that_they_come_with(noisy, carried):
    fitted = SequentialNMF(2).fit(noisy.X * u.Jy)
    X, sigma = 1000 * noisy.X, 1000 * noisy.uncertainty
    given = (NDData(X, unit=u.mJy, uncertainty=StdDevUncertainty(sigma)), None) if carried else (X * u.mJy, sigma)
    expected = projected(fitted, noisy.X * u.Jy, noisy.uncertainty * u.Jy)
    for one, other in zip(projected(fitted, *given), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8)


def test_coefficients_in_another_unit_are_converted_before_they_make_a_model(noisy):
    found = SequentialNMF(2).fit(noisy.X * u.Jy)
    C = found.coefficients_ * u.Jy
    model = found.inverse_transform(C.to(u.mJy))
    np.testing.assert_allclose(model.to_value(u.Jy), C.value @ found.components_, rtol=1e-12)


@pytest.mark.parametrize("given", ["weights", "uncertainty"])
def test_a_unit_on_the_error_of_data_without_one_is_refused(noisy, given):
    with pytest.raises(ValueError, match=f"'{given}'.*unit"):
        SequentialNMF(2).fit(noisy.X, **{given: noisy.weights * u.Jy})


def test_a_unit_that_cannot_be_converted_is_refused(noisy):
    found = SequentialNMF(2).fit(noisy.X * u.Jy)
    with pytest.raises(u.UnitConversionError, match=r"'m'.*'Jy'"):
        found.transform(noisy.X * u.m)
    with pytest.raises(u.UnitConversionError, match=r"'s'.*'Jy'"):
        found.fit(noisy.X * u.Jy, uncertainty=noisy.uncertainty * u.s)


# History, progress, parameters


@BOTH
def test_the_history_has_exactly_its_six_columns_and_a_row_for_each_stage(noisy, make):
    found = make(3).fit(*noisy.inputs)
    history = found.history_
    assert history.colnames == ["stage", "iterations", "chi2", "kkt", "converged", "seconds"]
    assert list(history["stage"]) == ([1, 2, 3] if make is SequentialNMF else [3])
    assert history["chi2"][-1] == found.chi2_
    assert history["converged"].dtype == bool


@pytest.mark.parametrize(("make", "calls"), [(NMF, 1), (SequentialNMF, 4)])
def test_progress_is_called_after_each_stage(noisy, make, calls):
    seen = []
    make(4, progress=lambda *step: seen.append(step), **BRIEF).fit(*noisy.inputs)
    assert seen == [(done, calls, "components") for done in range(1, calls + 1)]


def test_nothing_is_printed(noisy, capfd):
    SequentialNMF(2).fit(*noisy.inputs)
    assert capfd.readouterr() == ("", "")


@BOTH
def test_parameters_are_got_and_set_by_name(make):
    estimator = make(4, tol=1e-3)
    parameters = estimator.get_params()
    assert parameters["n_components"] == 4
    assert parameters["tol"] == 1e-3
    assert make(**parameters).get_params() == parameters
    assert estimator.set_params(n_components=2, solver="mu") is estimator
    assert (estimator.n_components, estimator.solver) == (2, "mu")


@BOTH
def test_an_unknown_parameter_is_named_and_the_known_ones_are_listed(make):
    with pytest.raises(ValueError, match=r"'parameter' must be one of 'n_components'.*got 'components'"):
        make().set_params(components=3)


@pytest.mark.parametrize(
    ("estimator", "text"),
    [
        (SequentialNMF(), "SequentialNMF()"),
        (NMF(3, tol=1e-4), "NMF(n_components=3, tol=0.0001)"),
        (
            SequentialNMF(2, refit="last", dtype="float32"),
            "SequentialNMF(n_components=2, refit='last', dtype='float32')",
        ),
    ],
)
def test_an_estimator_shows_the_call_that_makes_it(estimator, text):
    assert repr(estimator) == text


@BOTH
@pytest.mark.parametrize(
    "use",
    [
        lambda e: e.components_,
        lambda e: e.coefficients_,
        lambda e: e.chi2_,
        lambda e: e.history_,
        lambda e: e.transform(np.ones((2, 3))),
        lambda e: e.inverse_transform(np.ones((2, 3))),
    ],
    ids=["components", "coefficients", "chi2", "history", "transform", "inverse_transform"],
)
def test_before_a_fit_every_result_says_so(make, use):
    with pytest.raises(AttributeError, match=f"this {make.__name__} is not fitted yet: call 'fit'"):
        use(make())


def test_a_failed_fit_leaves_the_results_of_the_one_before_it(images):
    found = SequentialNMF(2).fit(images.X, images.weights)
    before = helpers.results_of(found)
    with pytest.raises(ValueError, match="'tol'"):
        found.set_params(tol=-1).fit(np.ones((4, 5)))
    helpers.assert_same_bits(helpers.results_of(found), before)


# Warnings


@BOTH
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_missing_values_that_nothing_declared_are_counted(noisy, make, value):
    X = noisy.X.copy()
    X[3, 4:9] = value
    undeclared = pytest.warns(MissingDataWarning, match=r"5 of 1200 values of 'X' are NaN or Inf and not masked")
    with undeclared:
        found = make(2, **BRIEF).fit(X)
    with undeclared:
        found.transform(X)


def test_a_warning_points_at_the_line_that_called_fit(noisy):
    X = np.where(noisy.mask, np.nan, noisy.X)
    with pytest.warns(MissingDataWarning) as caught:
        SequentialNMF(2, **BRIEF).fit(X)
    with pytest.warns(ConvergenceWarning) as late:
        SequentialNMF(2, max_iter=1).fit(*noisy.inputs)
    assert {warning.filename for warning in (*caught, *late)} == {__file__}


@BOTH
def test_a_fit_that_did_not_converge_names_its_limit(noisy, make):
    with pytest.warns(ConvergenceWarning, match="'max_iter' iterations"):
        make(3, max_iter=2).fit(*noisy.inputs)


def test_uncertainties_of_zero_everywhere_leave_nothing(noisy):
    zero = np.zeros_like(noisy.X)
    with (
        pytest.warns(MissingDataWarning, match="1200 values of 'uncertainty' are 0"),
        pytest.raises(ValueError, match=r"at least one value is left, got 0 valid values of 1200"),
    ):
        SequentialNMF(2).fit(noisy.X, uncertainty=zero)


def test_uncertainties_that_say_nothing_are_counted_where_no_mask_excludes_them(noisy):
    sigma = noisy.uncertainty.copy()
    sigma[0, :3], sigma[1, 0], sigma[2, 0], sigma[5, 5] = 0, np.nan, -1, np.inf
    mask = np.zeros(sigma.shape, dtype=bool)
    mask[0, 0] = True
    with pytest.warns(MissingDataWarning, match=r"^5 values of 'uncertainty'"):
        assert SequentialNMF(2).fit(noisy.X, uncertainty=sigma, mask=mask).n_valid_ == 1200 - 6


def test_all_nan_data_are_warned_of_and_refused():
    with (
        pytest.warns(MissingDataWarning, match="12 of 12 values of 'X'"),
        pytest.raises(ValueError, match="got 0 valid values of 12"),
    ):
        SequentialNMF(1).fit(np.full((3, 4), np.nan))


# What is refused: the argument's name, its constraint, and the value

DATA = helpers.read_only(np.random.default_rng(81).random((6, 9)))
START = (np.ones((6, 2)), np.ones((2, 9)))

REFUSED = [
    *(
        ({"n_components": value}, {}, f"'n_components' must be an integer in [1, 6], got {value!r}")
        for value in (0, -1, 2.5, True, 7, "3", None)
    ),
    ({"tol": -1e-3}, {}, "'tol' must be a number in [0.0, inf], got -0.001"),
    ({"tol": np.nan}, {}, "'tol' must be a number in [0.0, inf], got nan"),
    ({"max_iter": 0}, {}, "'max_iter' must be an integer of at least 1, got 0"),
    ({"max_iter": 10.5}, {}, "'max_iter' must be an integer of at least 1, got 10.5"),
    ({"solver": "nearly"}, {}, "'solver' must be one of 'cd', 'mu', got 'nearly'"),
    ({"init": "svd"}, {}, "'init' must be one of 'residual', 'random', got 'svd'"),
    ({"init": START[:1]}, {}, "'init' must be a pair (coefficients, components), got 1 items"),
    ({"init": (np.ones((5, 2)), START[1])}, {}, "'init[0]' must be of shape (6, 2), got (5, 2)"),
    ({"init": (START[0], np.ones((3, 9)))}, {}, "'init[0]' must be of shape (6, 3), got (6, 2)"),
    ({"init": (START[0], np.ones((2, 8)))}, {}, "'init[1]' must be of shape (any, 9), got (2, 8)"),
    ({"init": (START[0], np.ones((2, 7, 9)))}, {}, "'init[1]' must be of shape (any, 9), got (2, 63)"),
    ({"init": np.ones((2, 9))}, {}, "'init' must be"),
    ({"init": (np.inf * START[0], START[1])}, {}, "'init[0]' must be finite and below 1e+150, got inf"),
    (
        {"init": (-START[0], START[1])},
        {},
        "'init[0]' must be non-negative, got a smallest value of -1",
    ),
    (
        {"init": (START[0], -2 * START[1])},
        {},
        "'init[1]' must be non-negative, got a smallest value of -2",
    ),
    ({"dtype": int}, {}, "'dtype' must be float32 or float64, got int64"),
    ({"dtype": "single precision"}, {}, "'dtype' must be float32 or float64, got 'single precision'"),
    ({"init": "random", "random_state": -1}, {}, "'random_state' must be an integer of at least 0, got -1"),
    ({"dtype": "f2"}, {}, "'dtype' must be float32 or float64, got float16"),
    ({"solver": "mu"}, {"X": DATA - 0.9}, "'X' must be non-negative for solver='mu', got 44 negative values"),
    ({}, {"X": DATA[0]}, "'X' must be an array of at least 2 dimensions, observations first, got shape (9,)"),
    ({}, {"X": DATA + 1j}, "'X' must be an array of real numbers, got dtype complex128"),
    ({}, {"X": DATA.astype(str)}, "'X' must be an array of real numbers, got dtype <U"),
    ({}, {"X": DATA.astype(object)}, "'X' must be an array of real numbers, got dtype object"),
    ({}, {"X": np.ones((0, 9))}, "'X' must be of at least one observation and one pixel, got shape (0, 9)"),
    ({}, {"weights": -DATA}, "'weights' must be non-negative, got -"),
    ({}, {"weights": np.ones((6, 8))}, "'weights' must be of shape (6, 9), or one that broadcasts to it, got (6, 8)"),
    ({}, {"uncertainty": np.ones(7)}, "'uncertainty' must be of shape (6, 9), or one that broadcasts to it, got (7,)"),
    ({}, {"mask": np.ones(7, bool)}, "'mask' must be of shape (6, 9), or one that broadcasts to it, got (7,)"),
    ({}, {"mask": 0.5 * np.ones((6, 9))}, "'mask' must be boolean (True = excluded), or 0 and 1, got dtype float64"),
    (
        {},
        {"mask": np.ones((6, 9), bool)},
        "'mask' must be such that at least one value is left, got 0 valid",
    ),
    ({}, {"weights": np.zeros((6, 9))}, "at least one value is left, got 0 valid values of 54"),
    ({}, {"weights": DATA, "uncertainty": DATA}, "'weights' and 'uncertainty' say the same thing"),
]


@BOTH
@pytest.mark.parametrize(("parameters", "inputs", "message"), REFUSED, ids=[case[-1] for case in REFUSED])
def test_bad_input_is_refused_by_name_and_value(make, parameters, inputs, message):
    estimator = make(**({"n_components": 2} | parameters))
    with pytest.raises(ValueError, match=re.escape(message)):
        estimator.fit(**({"X": DATA} | inputs))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"refit": "some"}, "'refit' must be one of 'all', 'last', got 'some'"),
        ({"pixel_fraction": 0.0}, "'pixel_fraction' must be a number in [0.1111111111111111, 1.0], got 0.0"),
        ({"pixel_fraction": 1.5}, "'pixel_fraction' must be a number in [0.1111111111111111, 1.0], got 1.5"),
        ({"pixel_fraction": "all"}, "'pixel_fraction' must be 'auto', None or a number, got 'all'"),
        ({"n_components": 1, "init": START}, "'init' must be of at most 1 components, got 2"),
    ],
    ids=str,
)
def test_bad_settings_of_a_sequential_build_are_refused_by_name_and_value(parameters, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        SequentialNMF(**({"n_components": 3} | parameters)).fit(DATA)


def test_a_joint_start_must_have_as_many_components_as_asked_for():
    with pytest.raises(ValueError, match=re.escape("'init[1]' must be of shape (3, 9), got (2, 9)")):
        NMF(3, init=START).fit(DATA)


def test_the_first_negative_weight_is_named_with_its_place_and_their_number():
    weights = np.ones((6, 9))
    weights[2, 3], weights[4, 1] = -0.5, -7
    with pytest.raises(ValueError, match=re.escape("got -0.5 at index (2, 3) (2 such values); use 0")):
        SequentialNMF(2).fit(DATA, weights)


def test_negative_values_under_the_mask_do_not_trouble_the_multiplicative_rule(noisy):
    mask = noisy.mask | (noisy.X < 0)
    assert NMF(2, solver="mu", **BRIEF).fit(noisy.X, noisy.weights, mask).chi2_ > 0


@BOTH
def test_observations_of_another_shape_are_not_transformed(images, make):
    found = make(2).fit(images.X, images.weights)
    with pytest.raises(ValueError, match=re.escape("'X' must be of shape (any, 6, 7), got (3, 7, 6)")):
        found.transform(np.ones((3, 7, 6)))
    with pytest.raises(ValueError, match=re.escape("'X' must be of shape (any, 6, 7), got (6, 7)")):
        found.transform(images.X[0])
    with pytest.raises(ValueError, match=re.escape("'coefficients' must be of shape (any, 2), got (4, 3)")):
        found.inverse_transform(np.ones((4, 3)))


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_a_start_may_be_of_either_precision(kind):
    coefficients, components = np.random.default_rng(82).random((6, 2)), np.random.default_rng(83).random((2, 9))
    expected = NMF(2, init=(coefficients, components), tol=1e-8).fit(DATA)
    found = NMF(2, init=(coefficients.astype(kind), components.astype(kind)), tol=1e-8).fit(DATA)
    np.testing.assert_allclose(found.chi2_, expected.chi2_, rtol=1e-5)
