import astropy.units as u
import numpy as np
import pytest
from imaging_helpers import centroid, disc, gaussian, observe, place, point_sources

from astronmf import SequentialNMF
from astronmf.exceptions import GeometryWarning, MissingDataWarning, ScaleFactorWarning
from astronmf.imaging import Frames, Geometry, Reduction, build_components, building, reduce

CENTER = (16, 16)
EVERYWHERE = np.ones((33, 33), bool)
QUICK = SequentialNMF(tol=1e-3)  # where there are more components than the star has: noise takes long to converge


def with_source(observation, separation, position_angle, peak=30.0, **changes):
    sources = point_sources((33, 33), CENTER, separation, position_angle, observation.angles, peak=peak)
    return observation.science_frames(data=observation.science + sources, **changes)


@pytest.mark.parametrize("position_angle", [0.0, 75.0, 160.0, 290.0])
def test_a_source_is_found_at_its_position_angle_north_up(observation, components, position_angle):
    result = reduce(with_source(observation, 9.0, position_angle), components=components, scale="none")
    x, y = place(CENTER, 9.0, position_angle)
    near = disc((33, 33), x, y, 3)
    np.testing.assert_allclose(centroid(np.where(near, result.combined, 0)), (x, y), atol=0.3)
    assert result.combined[near].sum() > 0.8 * gaussian((33, 33), x, y, peak=30.0)[near].sum()


def test_a_star_off_the_middle_ends_at_the_centre_pixel(observation):
    parts = {"data": observation.science[:, 2:, :-4], "uncertainty": observation.science_sigma[:, 2:, :-4]}
    others = {"data": observation.references[:, 2:, :-4], "uncertainty": observation.reference_sigma[:, 2:, :-4]}
    sources = point_sources((33, 33), CENTER, 8.0, 100.0, observation.angles, peak=50.0)[:, 2:, :-4]
    parts["data"] = parts["data"] + sources
    frames, references = (
        observation.science_frames(**parts, center=(16, 14)),
        observation.reference_frames(**others, center=(16, 14)),
    )
    result = reduce(frames, references, n_components=3)
    assert result.center == (14, 15)
    x, y = place(result.center, 8.0, 100.0)
    near = np.where(disc(result.combined.shape, x, y, 3), result.combined, 0)
    np.testing.assert_allclose(centroid(near), (x, y), atol=0.3)


def test_references_and_components_give_the_same_bits(science, references, components):
    one = reduce(science, references, n_components=3)
    other = reduce(science, components=components)
    np.testing.assert_array_equal(one.combined, other.combined)
    np.testing.assert_array_equal(one.components.data, other.components.data)


def test_a_reduction_is_the_same_every_time(science, references):
    results = [reduce(science, references, n_components=3) for _ in range(2)]
    np.testing.assert_array_equal(results[0].combined, results[1].combined)


def test_marked_references_are_used_without_being_given_apart(observation, science, references):
    marked = Frames.concatenate(
        [observation.science_frames(), observation.reference_frames(is_reference=True, angles=np.zeros(8))]
    )
    result = reduce(marked, n_components=3)
    np.testing.assert_array_equal(result.combined, reduce(science, references, n_components=3).combined)


@pytest.mark.parametrize("marked", [True, False])
def test_without_any_references_there_is_an_error_that_counts_the_marks(observation, marked):
    frames = observation.science_frames(is_reference=marked)
    message = f"'references' must be given, .*, got None, and {4 * marked} of 4 science frames are marked as references"
    with pytest.raises(ValueError, match=message):
        reduce(frames)


@pytest.mark.parametrize(("references", "k"), [(12, 10), (8, 8)])
def test_ten_components_or_all_references_by_default(references, k, monkeypatch):
    monkeypatch.setattr(building, "DEFAULT_TOLERANCE", QUICK.tol)
    assert len(build_components(observe(n_references=references, size=15).reference_frames())) == k


def test_fewer_of_the_given_components_may_be_used(science, references, components):
    fewer = reduce(science, components=components, n_components=2)
    np.testing.assert_array_equal(fewer.combined, reduce(science, references, n_components=2).combined)
    assert fewer.coefficients.shape == (4, 2)


@pytest.mark.parametrize("k", [0, 9, -1, 2.0, True])
def test_a_number_of_components_that_references_cannot_give_is_an_error(science, references, k):
    with pytest.raises(ValueError, match=r"'n_components' must be an integer in \[1, 4\], got"):
        reduce(science, references[:4], n_components=k)


def test_too_many_components_name_range_and_value(science, references):
    with pytest.raises(ValueError, match=r"^'n_components' must be an integer in \[1, 4\], got 9$"):
        reduce(science, references[:4], n_components=9)


def test_more_components_than_were_built_are_an_error(science, components):
    with pytest.raises(ValueError, match=r"'n_components' must be an integer in \[1, 3\], got 4"):
        reduce(science, components=components, n_components=4)


WRONG = {
    "both": ({"references": ...}, "'references' and 'components' say the same thing"),
    "mode": ({"mode": "pca"}, "'mode' must be one of 'rdi', 'adi', 'ardi', got 'pca'"),
    "combine": ({"combine": "sum"}, "'combine' must be one of 'mean', 'median', 'weighted', got 'sum'"),
    "scale": ({"scale": "best"}, "'scale' must be one of"),
    "groups of factors": ({"scale_by": "night"}, "'scale_by' must be one of 'frame', 'roll', 'all', got 'night'"),
    "mask": ({"mask": EVERYWHERE}, "'mask' must be such that pixels are left between the radii, got 0 of 1089 pixels"),
    "mask's shape": ({"mask": EVERYWHERE[:5]}, r"'mask' must be of shape \(33, 33\), got \(5, 33\)"),
    "mask of numbers": ({"mask": 3 * EVERYWHERE}, r"'mask' must be boolean \(True = excluded\), or 0 and 1"),
    "radii": ({"inner_radius": 9, "outer_radius": 8}, "'outer_radius' must be such that pixels lie between"),
    "imputed": (
        {"imputation_mask": EVERYWHERE, "outer_radius": 14},
        "'science' must be such that it has pixels to fit in the region, got none left after mask, radii, missing data",
    ),
    "imputed's shape": ({"imputation_mask": EVERYWHERE[:5]}, r"'imputation_mask' must be of shape \(33, 33\)"),
    "imputed's count": ({"imputation_mask": np.ones((3, 33, 33), bool)}, "'imputation_mask' must be of shape"),
    "imputed's frame": ({"imputation_frame": "north"}, "'imputation_frame' must be one of 'sky', 'detector'"),
    "scale region": ({"scale_region": EVERYWHERE[:5]}, r"'scale_region' must be of shape \(33, 33\)"),
    "inner radius": ({"inner_radius": -2}, "'inner_radius' must be a number in"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_an_argument_that_breaks_its_constraint_is_an_error(science, references, components, options, message):
    others = {"references": references} if "references" in options else {}
    with pytest.raises(ValueError, match=message):
        reduce(science, **({"components": components} | options | others))


DISAGREEMENTS = {
    "shape": ({"data": np.ones((8, 31, 33)), "uncertainty": None}, r"'references' must be of shape \(any, 33, 33\)"),
    "unit": ({"unit": "Jy"}, "'references' must be in the unit of the others, MJy / sr, got Jy"),
    "no unit": ({"unit": None}, "'references' must be in the unit of the others, MJy / sr, got None"),
    "centre": ({"center": (16.2, 16)}, r"'references' must be centred on the star like the others, .*\(16\.2, 16\.0\)"),
    "parity": ({"parity": -1}, "'references' must be of parity 1 like the others, got -1"),
}


@pytest.mark.parametrize(("changes", "message"), DISAGREEMENTS.values(), ids=DISAGREEMENTS)
def test_references_that_disagree_with_the_science_frames_are_an_error(observation, science, changes, message):
    with pytest.raises(ValueError, match=message):
        reduce(science, observation.reference_frames(**changes))


def test_references_of_another_pixel_scale_are_told_of(observation, science):
    with pytest.raises((ValueError, GeometryWarning), match=r"pixel.scale"):
        reduce(science, observation.reference_frames(pixel_scale=0.1), n_components=2)


def test_components_of_another_shape_are_an_error(components):
    small = observe(size=31)
    with pytest.raises(ValueError, match=r"'components' must be of shape \(any, 31, 31\), got \(3, 33, 33\)"):
        reduce(small.science_frames(), components=components)


def test_components_built_around_another_centre_are_an_error(observation, components):
    frames = observation.science_frames(center=(15, 16))
    with pytest.raises(ValueError, match=r"'components' must be built around the star's position \(15\.0, 16\.0\)"):
        reduce(frames, components=components)


def test_components_in_another_unit_of_the_same_kind_give_the_same_image(observation, science, components):
    factor = (1 * u.MJy / u.sr).to_value(u.kJy / u.sr)
    frames = observation.science_frames(
        data=observation.science * factor, uncertainty=observation.science_sigma * factor, unit="kJy/sr"
    )
    result = reduce(frames, components=components, scale="none")
    expected = reduce(science, components=components, scale="none").combined * factor
    np.testing.assert_allclose(result.combined, expected, rtol=1e-9, atol=1e-9 * factor)


def test_without_angles_frames_are_combined_as_they_are_and_it_is_said(observation, components):
    frames = observation.science_frames(angles=None)
    with pytest.warns(GeometryWarning, match="have no 'angles'.* north is not up"):
        result = reduce(frames, components=components, scale="none")
    np.testing.assert_allclose(result.combined, result.residuals.mean(axis=0), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("method", ["mean", "median", "weighted"])
def test_unturned_frames_combine_as_the_formula_says(observation, components, method):
    frames = observation.science_frames(angles=np.zeros(4))
    result = reduce(frames, components=components, scale="none", combine=method)
    weights = 1 / _variances(frames, result)
    expected = {
        "mean": result.residuals.mean(axis=0),
        "median": np.median(result.residuals, axis=0),
        "weighted": np.sum(weights * result.residuals, axis=0) / weights.sum(axis=0),
    }[method]
    np.testing.assert_allclose(result.combined, expected, rtol=1e-11, atol=1e-12)


def _variances(frames, result):
    """Return variances of the residuals, written as they stand."""
    basis = result.components.data
    model = np.einsum("ayx,nab,byx->nyx", basis, result.covariances, basis)
    factors = result.scale_factors[:, None, None]
    return frames.sigma**2 + (factors**2 - 2 * factors) * model  # every pixel took part in the fit


@pytest.mark.parametrize("method", ["mean", "median", "weighted"])
@pytest.mark.parametrize(
    ("angles", "low"), [(np.zeros(6), 0.9), (25.0 * np.arange(6), 0.75)], ids=["whole pixels", "turned"]
)
def test_the_errors_of_the_image_are_its_scatter(method, angles, low):
    # Turning averages neighbours: the scatter of single pixels goes down by a fifth, their errors stay (`Combination`).
    many = observe(angles=angles, n_references=60, seed=4)
    result = reduce(many.science_frames(), many.reference_frames(), n_components=3, outer_radius=16, combine=method)
    assert low < np.nanstd(result.combined / result.combined_uncertainty) < 1.1


def test_a_pixel_that_no_reference_has_stays_blank_and_is_counted(observation):
    mask = np.zeros(observation.references.shape, bool)
    mask[:, 10, 12] = mask[:, 20, 20] = True
    with pytest.warns(MissingDataWarning, match="^2 of 1089 pixels are missing in every reference"):
        result = reduce(
            observation.science_frames(angles=np.zeros(4)), observation.reference_frames(mask=mask), n_components=3
        )
    np.testing.assert_array_equal(np.isnan(result.combined), mask[0])
    np.testing.assert_array_equal(np.isnan(result.residuals).any(axis=0), mask[0])
    assert result.meta["n_unsupported"] == 2
    assert result.n_valid == 4 * (1089 - 2)


def test_an_empty_reference_is_told_of_and_left_out(observation, science, references):
    mask = np.zeros(observation.references.shape, bool)
    mask[5] = True
    with pytest.warns(MissingDataWarning, match=r"^1 reference frames have no valid pixel .* \(first: frame 5\)"):
        result = reduce(science, observation.reference_frames(mask=mask), n_components=3)
    assert not np.isnan(result.residuals).any()
    others = references[[0, 1, 2, 3, 4, 6, 7]]
    np.testing.assert_allclose(result.combined, reduce(science, others, n_components=3).combined, atol=1e-6)


def test_an_empty_reference_is_none_to_build_components_from(observation, science):
    mask = np.zeros(observation.references.shape, bool)
    mask[5] = True
    with (
        pytest.warns(MissingDataWarning, match="1 reference frames have no valid pixel"),
        pytest.raises(ValueError, match=r"'n_components' must be an integer in \[1, 7\], got 8"),
    ):
        reduce(science, observation.reference_frames(mask=mask), n_components=8, estimator=QUICK)


def test_most_of_the_region_declared_missing_is_told_of(science, references):
    mask = np.ones(science.shape[1:], bool)
    mask[10:20, 10:20] = False
    with pytest.warns(MissingDataWarning, match="True means missing .* the opposite of nmf_imaging"):
        reduce(science, references, n_components=2, imputation_mask=mask, imputation_frame="detector")


def test_a_mask_for_one_frame_is_not_taken_for_all(science, references):
    mask = np.zeros((1, *science.shape[1:]), bool)
    with pytest.raises(ValueError, match=r"'imputation_mask' must be of shape \(4, 33, 33\), got \(1, 33, 33\)"):
        reduce(science, references, n_components=2, imputation_mask=mask)


def test_references_that_are_all_empty_are_an_error(observation, science):
    frames = observation.reference_frames(mask=np.ones(observation.references.shape, bool))
    with pytest.raises(ValueError, match="'references' must be such that they have pixels in the region, got none"):
        reduce(science, frames, n_components=2)


def test_references_that_are_empty_between_the_radii_are_an_error(observation, science):
    mask = np.broadcast_to(disc((33, 33), 16, 16, 9), observation.references.shape)
    with pytest.raises(ValueError, match="'references' must be such that they have pixels in the region"):
        reduce(science, observation.reference_frames(mask=mask), n_components=2, outer_radius=8)


@pytest.mark.parametrize("scale", ["none", 0.9])
def test_an_empty_science_frame_is_told_of_and_left_out(observation, components, scale):
    mask = np.zeros(observation.science.shape, bool)
    mask[2] = True
    with pytest.warns(MissingDataWarning, match=r"^1 science frames have no pixel to fit .* \(first: frame 2\)"):
        result = reduce(observation.science_frames(mask=mask), components=components, scale=scale)
    without = reduce(observation.science_frames()[[0, 1, 3]], components=components, scale=scale)
    np.testing.assert_allclose(result.combined, without.combined, atol=1e-9)
    np.testing.assert_allclose(result.combined_uncertainty, without.combined_uncertainty, rtol=1e-9)
    assert np.isnan(result.residuals[2]).all()
    np.testing.assert_allclose(result.forward(np.eye(33)), without.forward(np.eye(33)), atol=1e-9)


def test_the_factor_of_an_empty_science_frame_could_not_be_measured(observation, components):
    mask = np.zeros(observation.science.shape, bool)
    mask[2] = True
    frames = observation.science_frames(mask=mask)
    with pytest.warns(MissingDataWarning), pytest.warns(ScaleFactorWarning, match=r"of 1 frames .* \(first: frame 2\)"):
        result = reduce(frames, components=components)
    assert np.isfinite(result.combined).all()


def test_a_mask_on_the_sky_is_turned_to_each_frame(science, components):
    spot = disc((33, 33), *place(CENTER, 9.0, 200.0), 3)
    imputed = reduce(science, components=components, imputation_mask=spot).choice.imputed
    for frame, angle in zip(imputed, science.angles, strict=True):
        there = place(CENTER, 9.0, 200.0, angle)
        assert frame[disc((33, 33), *there, 2.5)].all()
        assert not frame[~disc((33, 33), *there, 4.5)].any()


def test_a_mask_on_the_detector_is_the_same_in_each_frame(science, components):
    spot = disc((33, 33), 8, 20, 3)
    result = reduce(science, components=components, imputation_mask=spot, imputation_frame="detector")
    np.testing.assert_array_equal(result.choice.imputed, np.broadcast_to(spot, science.shape))


def test_a_mask_for_each_frame_is_taken_as_it_is(science, components):
    spots = np.random.default_rng(6).random(science.shape) < 0.1
    result = reduce(science, components=components, imputation_mask=spots.astype(np.uint8))
    np.testing.assert_array_equal(result.choice.imputed, spots)


def test_a_frame_with_all_its_pixels_declared_missing_is_left_out(science, components):
    spots = np.zeros(science.shape, bool)
    spots[1] = True
    with pytest.warns(MissingDataWarning, match=r"1 science frames have no pixel to fit .* \(first: frame 1\)"):
        result = reduce(science, components=components, imputation_mask=spots, scale="none")
    np.testing.assert_allclose(
        result.combined, reduce(science[[0, 2, 3]], components=components, scale="none").combined, atol=1e-9
    )


def test_masked_and_outlying_pixels_are_blank(observation, components):
    spot = disc((33, 33), 8, 20, 3)
    frames = observation.science_frames(angles=np.zeros(4))
    result = reduce(frames, components=components, mask=spot, inner_radius=3, outer_radius=15)
    used = ~spot & disc((33, 33), 16, 16, 15) & ~disc((33, 33), 16, 16, 2.99)
    np.testing.assert_array_equal(np.isfinite(result.combined), used)
    np.testing.assert_array_equal(result.coverage, 4 * used)


def test_an_estimator_s_parameters_are_used(science, references):
    given = SequentialNMF(n_components=2, tol=1e-3, refit="last", random_state=7)
    result = reduce(science, references, estimator=given)
    assert len(result.components) == 2
    assert [result.components.meta[name] for name in ("tol", "refit", "random_state")] == [1e-3, "last", 7]
    np.testing.assert_array_equal(result.components.stages[1][0], result.components.stages[0][0])


def test_a_number_of_components_stands_above_the_estimator_s(science, references):
    given = SequentialNMF(n_components=2)
    assert len(reduce(science, references, n_components=3, estimator=given).components) == 3
    assert given.n_components == 2
    assert given.progress is None


def test_a_joint_factorization_cannot_be_had_in_disguise(science, references):
    from astronmf import NMF

    with pytest.raises((ValueError, TypeError)):
        reduce(science, references, estimator=NMF(n_components=2, init="nonsense"))


def test_progress_is_told_of_the_build(science, references):
    calls = []
    reduce(science, references, n_components=3, progress=lambda *call: calls.append(call))
    assert calls == [(1, 3, "components"), (2, 3, "components"), (3, 3, "components")]


def test_parameters_are_kept_for_running_again(science, references):
    result = reduce(science, references, n_components=2, inner_radius=2, scale="none", combine="median")
    assert result.meta["parameters"] == {
        "mode": "rdi",
        "n_components": 2,
        "inner_radius": 2,
        "outer_radius": None,
        "annulus_width": None,
        "n_segments": 1,
        "min_rotation": None,
        "fwhm": None,
        "masked": False,
        "imputed": False,
        "imputation_frame": "sky",
        "scale_region": False,
        "scale": "none",
        "scale_by": "frame",
        "combine": "median",
    }


def test_inputs_are_named_once_each(observation):
    def inputs(*names):
        return {"inputs": [{"name": name, "sha256": "0"} for name in names]}

    frames = observation.science_frames(meta=inputs("a", "b"))
    result = reduce(frames, observation.reference_frames(meta=inputs("b", "c")), n_components=2)
    assert [item["name"] for item in result.meta["inputs"]] == ["a", "b", "c"]


def test_components_carry_what_is_known_of_their_build(references, components):
    assert components.meta["references"] == references.names
    assert components.meta["center"] == [16.0, 16.0]
    assert components.meta["pixel_scale"] == references.geometry.pixel_scale
    assert components.meta["n_valid"] == references.data.size
    assert components.unit == references.unit
    norms = np.sqrt(np.sum(components.data**2, axis=(1, 2)))
    np.testing.assert_allclose(norms, 1, rtol=1e-12)
    assert (components.data >= 0).all()


def test_single_precision_gives_nearly_the_same_image(observation, reduction, references):
    single = {"data": observation.references.astype("f4"), "uncertainty": observation.reference_sigma.astype("f4")}
    basis = build_components(observation.reference_frames(**single), 3)
    frames = observation.science_frames(
        data=observation.science.astype("f4"), uncertainty=observation.science_sigma.astype("f4")
    )
    found = reduce(frames, components=basis, scale="none").combined
    np.testing.assert_allclose(found, reduction.combined, atol=0.05)


def test_frames_of_even_size_put_the_star_at_half_their_size():
    geometry = Geometry(center=(9.5, 9.5), angles=[0.0, 40.0])
    rng = np.random.default_rng(3)
    star = 100 * gaussian((20, 20), 9.5, 9.5, fwhm=8)
    science = Frames(star + point_sources((20, 20), (9.5, 9.5), 6, 30, (0, 40), peak=20), 1.0, geometry=geometry)
    references = Frames(star * rng.uniform(0.8, 1.2, (5, 1, 1)), 1.0, center=(9.5, 9.5))
    result = reduce(science, references, n_components=1, scale="none")
    assert result.center == (10, 10)
    x, y = place((10, 10), 6, 30)
    np.testing.assert_allclose(centroid(np.where(disc((20, 20), x, y, 3), result.combined, 0)), (x, y), atol=0.3)


def test_inputs_come_back_untouched(observation):
    science, references = observation.science_frames(), observation.reference_frames()
    mask = disc((33, 33), 16, 16, 2)
    before = [np.array(a) for a in (science.data, science.mask, references.data, references.mask, mask)]
    reduce(science, references, n_components=2, mask=mask, imputation_mask=mask)
    for array, copy in zip((science.data, science.mask, references.data, references.mask, mask), before, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("quantity", [True, False])
def test_anything_that_frames_takes_may_be_reduced(observation, quantity):
    unit = u.MJy / u.sr if quantity else 1.0
    with pytest.warns(GeometryWarning, match="have no 'angles'"):
        found = reduce(observation.science * unit, observation.references * unit, n_components=2)
    plain = observation.science_frames(uncertainty=None, angles=np.zeros(4), unit=None)
    expected = reduce(plain, observation.reference_frames(uncertainty=None, unit=None), n_components=2)
    np.testing.assert_array_equal(found.combined, expected.combined)
    assert found.unit == (unit if quantity else None)


def test_frames_of_a_roll_share_their_best_factor(observation, components, tmp_path):
    science = observation.science_frames(angles=[10.0, 40.0, 10.0, 40.0])
    own = reduce(science, components=components)
    rolls = reduce(science, components=components, scale_by="roll")
    together = reduce(science, components=components, scale_by="all")
    assert rolls.scale_factors[0] == rolls.scale_factors[2] != rolls.scale_factors[1] == rolls.scale_factors[3]
    assert len(set(together.scale_factors)) == 1
    assert together.scale_factor_errors[0] < own.scale_factor_errors.min()
    rolls.write(tmp_path / "rolls.fits")
    again = Reduction.read(tmp_path / "rolls.fits")
    np.testing.assert_array_equal(again.again(science).scale_factors, rolls.scale_factors)
