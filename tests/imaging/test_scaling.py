import numpy as np
import pytest
from helpers import read_only
from imaging_helpers import star_patterns
from scipy import stats

from astronmf.exceptions import ScaleFactorWarning
from astronmf.imaging.scaling import VARIANTS, BestFactor, as_scale, best_factor, frame_groups, scale_factors

MODEL = read_only(star_patterns(33)[0].ravel())
SIGMA = read_only(np.random.default_rng(11).uniform(0.5, 3.0, MODEL.size))


def noisy_target(factor, seed, sigma=1.0):
    return factor * MODEL + sigma * np.random.default_rng(seed).standard_normal(MODEL.size)


def pulls(sigma, factor=0.9, count=100):
    found = [
        best_factor(noisy_target(factor, seed, 1.0 if sigma is None else sigma), MODEL, sigma) for seed in range(count)
    ]
    return np.array([(one.value - factor) / one.error for one in found])


@pytest.mark.parametrize("sigma", [None, SIGMA], ids=["no errors", "uneven errors"])
def test_a_known_factor_comes_back_within_its_error(sigma):
    scatter = pulls(sigma)
    assert abs(scatter.mean()) < 0.35  # 100 draws: 0.1 for one standard deviation
    assert 0.8 < scatter.std() < 1.25
    assert stats.kstest(scatter, "norm").pvalue > 0.01


@pytest.mark.parametrize("factor", [0.6, 1.0, 1.37])
def test_without_noise_a_factor_is_exact(factor):
    assert best_factor(factor * MODEL, MODEL).value == pytest.approx(factor, rel=1e-12)


def test_errors_make_a_better_factor():
    def scatter(sigma):
        return np.std([best_factor(noisy_target(0.9, seed, SIGMA), MODEL, sigma).value for seed in range(40)])

    assert scatter(SIGMA) < 0.9 * scatter(None)


def test_a_constant_background_does_not_matter():
    found = best_factor(0.8 * MODEL + 30, MODEL)
    assert found.value == pytest.approx(0.8, rel=1e-10)


def test_a_bright_source_does_not_pull_the_factor():
    target = noisy_target(0.9, 3)
    target[500:550] += 60
    found = best_factor(target, MODEL)
    assert abs(found.value - 0.9) < 4 * found.error
    unclipped = best_factor(target, MODEL, search=BestFactor((0.5, 1.5), (1e9, 1e9), weighted=True))
    assert abs(found.value - 0.9) < abs(unclipped.value - 0.9)


@pytest.mark.parametrize(("factor", "edge"), [(2.0, 1.5), (0.1, 0.5)])
def test_a_search_that_ends_at_its_edge_says_so(factor, edge):
    found = best_factor(noisy_target(factor, 1), MODEL)
    assert (found.value, found.at_edge) == (edge, True)


def test_a_search_inside_its_range_is_not_at_the_edge():
    assert not best_factor(noisy_target(1.0, 1), MODEL).at_edge


@pytest.mark.parametrize(
    ("name", "bounds", "clip", "weighted"),
    [
        ("bff", (0.5, 1.5), (10, 3), True),
        ("bff-ren2018", (0.6, 1.0), (10, 3), False),
        ("bff-nmf_imaging", (0.8, 1.0), (3, 3), False),
    ],
)
def test_the_variants_are_those_of_the_literature(name, bounds, clip, weighted):
    assert VARIANTS[name] == BestFactor(bounds, clip, weighted)


def factors_of(scale, targets, *, models=None, sigmas=None, region=None, cleared=None):
    """Return the factors of frames whose models are all MODEL."""
    count = len(targets)
    given = np.broadcast_to(MODEL, (count, MODEL.size)) if models is None else models
    everywhere = np.ones(given.shape, bool) if region is None else region
    clear = np.zeros(count, bool) if cleared is None else np.array(cleared)
    return scale_factors(scale, np.asarray(targets), given, sigmas, everywhere, clear)


@pytest.mark.parametrize(
    ("name", "low", "high"), [("bff", 0.5, 1.5), ("bff-ren2018", 0.6, 1.0), ("bff-nmf_imaging", 0.8, 1.0)]
)
def test_each_variant_keeps_to_its_range_and_warns_at_the_edge(name, low, high):
    targets = [noisy_target(f, 1) for f in (0.9, 0.3, 2.0)]
    message = rf"of 2 of 3 frames is at the edge of its range \({low}, {high}\) \(first: frame 1, {low:g}\)"
    with pytest.warns(ScaleFactorWarning, match=message):
        found = factors_of(name, targets)
    assert [one.value for one in found[1:]] == [low, high]
    assert found[0].value == pytest.approx(0.9, abs=0.01)


def test_a_cleared_frame_has_the_factor_1_under_bff():
    targets = [noisy_target(0.9, 1), noisy_target(0.9, 2)]
    found = factors_of("bff", targets, cleared=[True, False])
    assert (found[0].value, found[0].error) == (1.0, 0.0)
    assert found[1].value == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("name", ["bff-ren2018", "bff-nmf_imaging"])
def test_a_published_variant_is_searched_in_a_cleared_frame_too(name):
    (found,) = factors_of(name, [noisy_target(0.9, 1)], cleared=[True])
    assert found.value == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("scale", [None, "none"])
def test_none_leaves_the_model_as_it_is(scale):
    found = factors_of(scale, [noisy_target(0.7, 1)] * 2)
    assert [(one.value, one.error, one.at_edge) for one in found] == [(1.0, 0.0, False)] * 2


@pytest.mark.parametrize("scale", [0.83, np.float32(0.5), 1, 0])
def test_a_number_is_the_factor_of_all_frames(scale):
    found = factors_of(scale, [noisy_target(0.7, 1)] * 3)
    assert [one.value for one in found] == [float(scale)] * 3


@pytest.mark.parametrize("scale", [[0.8, 0.9], (0.8, 0.9), np.array([0.8, 0.9])])
def test_a_list_has_a_factor_for_each_frame(scale):
    found = factors_of(scale, [noisy_target(0.7, 1)] * 2)
    assert [one.value for one in found] == [0.8, 0.9]


@pytest.mark.parametrize(
    ("scale", "message"),
    [
        ("best", r"'scale' must be one of 'bff', 'bff-ren2018', 'bff-nmf_imaging', 'none', got 'best'"),
        ([0.8, 0.9, 1.0], r"'scale' must be of shape \(2,\), got \(3,\)"),
        (-0.5, "'scale' must be a number in"),
        (np.nan, "'scale' must be a number in"),
        ([0.8, np.inf], "'scale' must be a number in"),
    ],
)
def test_a_scale_that_means_nothing_is_an_error(scale, message):
    with pytest.raises(ValueError, match=message):
        factors_of(scale, [noisy_target(0.7, 1)] * 2)


@pytest.mark.parametrize("name", list(VARIANTS))
def test_a_model_that_does_not_vary_gives_1_and_a_warning(name):
    flat = np.full((1, MODEL.size), 3.0)
    with pytest.warns(ScaleFactorWarning, match=r"of 1 frames could not be measured \(first: frame 0\); 1 is used"):
        (found,) = factors_of(name, [noisy_target(0.9, 1)], models=flat)
    assert found.value == 1.0
    assert np.isnan(found.error)


def test_too_few_pixels_give_1_and_a_warning():
    region = np.zeros((1, MODEL.size), bool)
    region[0, :9] = True
    with pytest.warns(ScaleFactorWarning, match="could not be measured"):
        (found,) = factors_of("bff", [noisy_target(0.9, 1)], region=region)
    assert found.value == 1.0


def test_pixels_outside_the_region_or_missing_do_not_matter():
    targets = np.array([noisy_target(0.9, 1)])
    region = np.random.default_rng(5).random(targets.shape) < 0.7
    spoilt = np.where(region, targets, 1e6)
    spoilt[~region & (np.arange(MODEL.size) % 2 == 0)] = np.nan
    assert factors_of("bff", targets, region=region) == factors_of("bff", spoilt, region=region)


def test_missing_values_in_the_region_are_left_out():
    targets = np.array([noisy_target(0.9, 1)])
    targets[0, ::7] = np.nan
    (found,) = factors_of("bff", targets)
    assert found.value == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize(("text", "meaning"), [("0.9", 0.9), ("1e-1", 0.1), ("bff", "bff"), ("none", "none")])
def test_the_command_line_s_scale_is_a_number_or_a_name(text, meaning):
    assert as_scale(text) == meaning


def test_an_unknown_scale_on_the_command_line_names_all_that_are_known():
    message = "'scale' must be a number or one of bff, bff-ren2018, bff-nmf_imaging, none, got 'x'"
    with pytest.raises(ValueError, match=message):
        as_scale("x")


@pytest.mark.parametrize(
    ("angles", "by", "numbers"),
    [
        ([10, 40, 10, 40.01], "frame", [0, 1, 2, 3]),
        ([10, 40, 10, 40.01], "roll", [0, 1, 0, 1]),
        ([359.99, 100, 0.02], "roll", [0, 1, 0]),
        ([10, 40, 10, 40.01], "all", [0, 0, 0, 0]),
        (None, "roll", [0, 0, 0, 0]),
    ],
)
def test_frames_of_one_angle_are_a_roll(angles, by, numbers):
    given = None if angles is None else np.array(angles, dtype=float)
    np.testing.assert_array_equal(frame_groups(given, len(numbers), by), numbers)


def test_frames_that_share_a_factor_have_that_of_all_their_pixels():
    rng = np.random.default_rng(3)
    models = rng.uniform(1, 5, (3, 400))
    targets = np.array([[0.9], [0.8], [1.1]]) * models + 0.05 * rng.standard_normal((3, 400))
    region, cleared = np.ones((3, 400), dtype=bool), np.zeros(3, dtype=bool)
    own = scale_factors("bff", targets, models, None, region, cleared)
    shared = scale_factors("bff", targets, models, None, region, cleared, groups=np.array([0, 0, 1]))
    together = best_factor(targets[:2].ravel(), models[:2].ravel())
    assert shared[0] == shared[1] == together
    assert own[0].value < shared[0].value < own[1].value or own[1].value < shared[0].value < own[0].value
    assert shared[2] == own[2]
    assert shared[0].error > 0


def test_a_group_with_a_frame_that_is_not_cleared_is_searched():
    models = np.random.default_rng(4).uniform(1, 5, (2, 100))
    region, cleared = np.ones((2, 100), dtype=bool), np.array([True, False])
    factors = scale_factors("bff", 0.9 * models, models, None, region, cleared, groups=np.zeros(2, dtype=int))
    assert [factor.value for factor in factors] == pytest.approx([0.9, 0.9])
