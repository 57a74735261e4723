from dataclasses import replace

import numpy as np
import pytest
from fit_helpers import ANGLES, PLANET, POINT, RING, SIZE, SOURCES, TRUTH, basis, scene
from helpers import read_only
from rotation_helpers import PLANET as ORBITING
from rotation_helpers import POINT as STAMP
from rotation_helpers import THREE, sequence

from astronmf import SequentialNMF
from astronmf.exceptions import ConvergenceWarning, DegeneracyWarning
from astronmf.imaging import inject, reduce
from astronmf.imaging.companions import fit_companion
from astronmf.imaging.modelling.callable_model import CallableModel
from astronmf.imaging.modelling.rings import Ring
from astronmf.imaging.modelling.sources import PointSource, SkyImage

FREE = {"disk": {"radius": (6, 10), "inclination": (40, 70), "position_angle": (10, 50)}}
EXACT = {"psf": POINT, "systematics": 0.0}


def likelihood(observed=None, sources=SOURCES, free=FREE, **how):
    return (scene() if observed is None else observed).reduced().likelihood(sources, free, **(EXACT | how))


def changed(vector):
    """Return the sources with other parameters of the ring."""
    radius, inclination, position_angle = vector
    return SOURCES | {"disk": replace(RING, radius=radius, inclination=inclination, position_angle=position_angle)}


@pytest.mark.parametrize("how", [{}, {"star": "roll"}, {"systematics": 0.05}, {"non_negative": False}])
@pytest.mark.parametrize("vector", [(8.0, 55.0, 30.0), (7.1, 44.0, 12.0)])
def test_it_is_the_chi2_of_the_fit_and_its_amplitudes(vector, how):
    reduction = scene().reduced()
    found, amplitudes, errors = reduction.likelihood(SOURCES, FREE, **(EXACT | how)).with_amplitudes(vector)
    fit = reduction.fit(changed(vector), max_reductions=0, **(EXACT | how))
    assert -2 * found == pytest.approx(fit.chi2, rel=1e-8)
    np.testing.assert_allclose(amplitudes, fit.amplitudes, rtol=1e-8)
    np.testing.assert_allclose(errors, fit.errors, rtol=1e-8)


def test_in_a_sequence_too_it_is_the_chi2_of_the_fit_with_components_that_have_not_seen_the_sources():
    result = reduce(sequence().with_planet(150.0), mode="adi", estimator=SequentialNMF(3, tol=1e-4), **THREE)
    point = PointSource(**ORBITING)
    found = result.likelihood(point, {"separation": (8, 10)}, psf=STAMP)
    fit = result.fit(point, psf=STAMP)
    value, amplitudes, errors = found.with_amplitudes([point.separation])
    assert -2 * value == pytest.approx(fit.chi2, rel=1e-8)
    np.testing.assert_allclose(amplitudes, fit.amplitudes, rtol=1e-8)
    np.testing.assert_allclose(errors, fit.errors, rtol=1e-8)
    first_order = result.fit(point, psf=STAMP, max_reductions=0)
    assert abs(first_order.amplitudes[0] - fit.amplitudes[0]) > 1e-4 * fit.errors[0]


def test_noise_is_that_of_the_calibration_where_it_is_given():
    one, other = likelihood(), likelihood(noise_factor=2.0)
    vector = (8.1, 54.0, 31.0)
    assert other(vector) == pytest.approx(one(vector) / 4, rel=1e-12)


@pytest.mark.parametrize("vector", [(5.9, 55, 30), (8, 70.1, 30), (8, 55, np.nan), (np.inf, 55, 30)])
def test_outside_the_ranges_it_is_minus_infinity_and_nothing_is_computed(vector, monkeypatch):
    found = likelihood()
    monkeypatch.setattr(Ring, "frames", None)
    value, amplitudes, errors = found.with_amplitudes(vector)
    assert value == -np.inf
    assert np.isnan(errors).all()
    assert amplitudes.shape == (2,)
    assert np.isnan(amplitudes).all()


def test_where_no_source_can_be_made_it_is_minus_infinity_and_solve_says_why():
    found = likelihood(free={"disk": {"inclination": (40, 89)}})
    assert found([87.0]) == -np.inf
    assert np.isfinite(found([60.0]))
    with pytest.raises(ValueError, match="'inclination' must be at least 5 degrees from 90"):
        found.solve([87.0])
    with pytest.raises(ValueError, match="'inclination' must be at least 5 degrees from 90"):
        found.maximize([87.0])


def test_frames_that_show_the_same_are_computed_once_and_sources_that_are_fixed_are_too():
    drawn = []

    def image(width):
        drawn.append(width)
        y, x = np.indices((SIZE, SIZE)) - 16
        return np.exp(-0.5 * ((np.hypot(x, y) - 8) / width) ** 2)

    asked = []

    class Fixed:
        def frames(self, observer):
            asked.append(observer.shape)
            return PLANET.frames(observer)

    found = likelihood(sources={"a": CallableModel(image, {"width": 1.0}), "b": Fixed()}, free={"a.width": (0.5, 2)})
    values = [found([width]) for width in (1.0, 1.5, 1.0)]
    assert drawn == [1.0, 1.5, 1.0]
    assert asked == [(3, SIZE, SIZE)]  # of five frames three differ
    assert values[0] == values[2] != values[1]


def test_a_source_of_another_shape_is_told():
    class Wrong:
        def frames(self, observer):
            return np.zeros((len(ANGLES), SIZE, SIZE))

    with pytest.raises(ValueError, match=r"'the frames of odd' must be of shape \(3, 33, 33\)"):
        likelihood(sources=SOURCES | {"odd": Wrong()}).solve((8.0, 55.0, 30.0))


def test_smearing_is_that_of_each_frame():
    smearing = np.array([0.0, 8.0, 8.0, 8.0, 0.0])
    reduction = scene().reduced()
    found = reduction.likelihood(SOURCES, FREE, smearing=smearing, **EXACT)
    assert found.observer.shape[0] == 4
    fit = reduction.fit(SOURCES, smearing=smearing, **EXACT)
    assert -2 * found((8.0, 55.0, 30.0)) == pytest.approx(fit.chi2, rel=1e-8)


# The maximum


def test_the_maximum_of_data_without_noise_is_the_truth():
    found = likelihood(scene(0.0), free=FREE | {"disk.g": (0.0, 0.5)})
    steps = []
    best = found.maximize(progress=lambda *at: steps.append(at))
    np.testing.assert_allclose(best, [8.0, 55.0, 30.0, 0.2], rtol=1e-4)
    np.testing.assert_allclose(found.with_amplitudes(best)[1], list(TRUTH.values()), rtol=1e-4)
    assert steps[-1][1:] == (1600, "trials")


def test_a_maximum_at_the_end_of_a_range_is_found_there():
    found = likelihood(free={"disk": {"radius": (8.5, 10)}})
    assert found.maximize()[0] == pytest.approx(8.5, abs=1e-3)


def test_a_search_that_is_cut_short_is_told(monkeypatch):
    monkeypatch.setattr("astronmf.imaging.modelling.likelihood.MOST_EVALUATIONS", 3)
    with pytest.warns(ConvergenceWarning, match="the search for the most probable parameters ended after"):
        likelihood().maximize()


def test_place_and_flux_of_a_planet_agree_with_those_of_a_companion():
    planet = {"separation": 11.0, "position_angle": 200.0}
    observed = scene(truth={})
    result = reduce(
        inject(observed.frames(), POINT, **planet, flux=90.0),
        components=basis(),
        scale="none",
        inner_radius=3,
        outer_radius=15,
    )
    ranges = {"separation": (10, 12), "position_angle": (194, 206)}
    found = result.likelihood(PointSource(10.5, 198.0), ranges, **EXACT)
    best = found.maximize()
    flux = found.with_amplitudes(best)[1][0]
    alone = fit_companion(result, POINT, **planet)
    assert best[0] == pytest.approx(11.0, abs=4 * alone.position_error)
    assert best[0] == pytest.approx(alone.separation, abs=2 * alone.position_error)
    assert best[1] == pytest.approx(alone.position_angle, abs=2 * alone.position_angle_error)
    assert flux == pytest.approx(alone.flux, abs=2 * alone.flux_error)


# What is asked for


def test_names_come_in_any_form():
    wanted = ["disk.radius", "disk.g"]
    assert likelihood(free={"disk": {"radius": (6, 9), "g": (0, 0.5)}}).names == wanted
    assert likelihood(free={"disk.radius": (6, 9), "disk.g": (0, 0.5)}).names == wanted
    alone = likelihood(sources=RING, free={"radius": (6, 9), "g": (0, 0.5)})
    assert alone.names == ["template 0.radius", "template 0.g"]


@pytest.mark.parametrize(
    ("free", "message"),
    [
        ({}, "'free' must be the ranges of one parameter or more, got none"),
        ({"dsk.radius": (6, 9)}, "'free' must be of sources that are there: disk, planet, got 'dsk.radius'"),
        ({"disk.size": (6, 9)}, "'parameters' must be some of radius, inclination"),
        ({"planet.radius": (6, 9)}, "'free' must be of parameters that source 'planet' has, got 'radius'"),
        ({"disk.radius": (9, 6)}, "'free disk.radius' must be"),
        ({"disk.radius": (6, 6)}, "'free disk.radius' must be"),
        ({"disk.radius": (6, np.nan)}, "'free disk.radius' must be"),
        ({"disk.radius": (-9, -6)}, "'radius' must be"),
        ({"disk.radius": 6}, "'free' must be a lower and an upper end"),
        ({"disk": {"radius": (6, 7, 8)}}, "'free' must be a lower and an upper end"),
    ],
)
def test_names_and_ranges_that_make_no_sense_are_told(free, message):
    with pytest.raises(ValueError, match=message):
        likelihood(free=free)


@pytest.mark.parametrize("vector", [[8.0], 8.0, [[8.0, 55.0, 30.0]], [8.0, 55.0, 30.0, 1.0]])
def test_a_vector_of_another_length_is_told(vector):
    with pytest.raises(ValueError, match="'parameters' must be of shape"):
        likelihood()(vector)


def test_a_start_outside_the_ranges_is_told():
    with pytest.raises(ValueError, match="'start' must be within the ranges"):
        likelihood().maximize((12.0, 55.0, 30.0))


def test_an_image_has_no_free_parameters_but_its_own():
    image = SkyImage(np.ones((SIZE, SIZE)))
    with pytest.raises(ValueError, match="'free' must be of parameters that source 'a' has"):
        likelihood(sources={"a": image}, free={"a.radius": (1, 2)})


def test_one_frame_is_enough():
    found = likelihood(scene(angles=read_only([25.0])))
    assert np.isfinite(found((8.0, 55.0, 30.0)))


# Where to begin, and how well parameters are known


def test_a_search_begins_with_the_values_that_the_sources_have():
    free = {"disk": {"radius": (RING.radius + 1, RING.radius + 3), "inclination": (0, 80)}}
    np.testing.assert_array_equal(likelihood(free=free).start, [RING.radius + 1, RING.inclination])


def test_the_covariance_is_that_of_the_scatter_of_best_parameters():
    names, best, errors = {"disk": {"radius": (6, 10), "position_angle": (20, 40)}}, [], []
    for seed in range(12):
        found = scene(seed=seed).reduced().likelihood(SOURCES, names, **EXACT)
        best.append(found.maximize())
        errors.append(np.sqrt(np.diag(found.covariance(best[-1]))))
    expected = np.mean(errors, axis=0)
    pulls = (np.array(best) - [RING.radius, RING.position_angle]) / errors
    assert (expected > 0).all()
    assert 0.6 < pulls.std() < 1.5
    assert abs(pulls.mean()) < 0.6


def test_a_parameter_at_the_edge_of_its_range_has_the_error_that_it_has_within():
    free = {"disk": {"radius": (6, 10), "inclination": (40, 70)}}
    inside = likelihood(free=free)
    best = inside.maximize()
    at_edge = likelihood(free=free | {"disk": {"radius": (best[0], best[0] + 4), "inclination": (40, 70)}})
    np.testing.assert_allclose(at_edge.covariance(best), inside.covariance(best), rtol=0.15, atol=1e-6)


def test_a_parameter_that_changes_nothing_is_not_determined_and_the_others_are():
    def picture(radius, unused):
        return RING.with_parameters(radius=radius).image((SIZE, SIZE))

    sources = {"disk": CallableModel(picture, {"radius": RING.radius, "unused": 1.0})}
    found = likelihood(sources=sources, free={"disk": {"radius": (6, 10), "unused": (0, 2)}})
    with pytest.warns(DegeneracyWarning, match=r"the data do not determine disk.unused"):
        covariance = found.covariance([RING.radius, 1.0])
    assert covariance[0, 0] > 0
    assert np.isnan(covariance[1]).all()
