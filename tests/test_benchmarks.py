"""What the benchmark makes of its measurements; the measurements themselves are not repeated here."""

from math import inf

import numpy as np
import pytest

from benchmarks import systems
from benchmarks.goals import race_goal
from benchmarks.problems import make_problem, spectra
from benchmarks.quality import chi2
from benchmarks.results import Look, Race, Run


def run(system, *looks, outcome="target"):
    looks = [Look(seconds, iteration, value) for seconds, iteration, value in looks]
    return Run(system, looks, looks[-1].seconds, min(look.chi2 for look in looks), outcome)


def race(*runs, floors=None):
    unhurried = run("unhurried", (9.0, 900, 100.0))
    return Race("a", "A", (2, 50), 2, 100, True, 0.0, 60.0, "upright", unhurried, list(runs), floors or {})


def test_chi2_is_its_formula():
    rng = np.random.default_rng(0)
    X, V, C, B = rng.normal(size=(4, 30)), rng.random((4, 30)), rng.random((4, 2)), rng.random((2, 30))
    assert chi2(X, V, C, B) == pytest.approx(np.sum(V * (X - C @ B) ** 2), rel=1e-12)


def test_a_quality_is_reached_at_the_first_look_that_is_good_enough():
    ours = run(systems.OURS, (1.0, 1, 150.0), (2.0, 2, 105.0), (3.0, 3, 100.05))
    assert race(ours).seconds_to(systems.OURS, 10) == 2.0
    assert race(ours).seconds_to(systems.OURS, 0.1) == 3.0
    assert race(ours).seconds_to(systems.OURS, 0.01) == inf


def test_a_system_that_changes_the_data_is_held_to_what_can_be_had_that_way():
    peer = run(systems.NONNEGMFPY, (30.0, 1, 130.0), (50.0, 2, 110.05))
    assert race(peer).seconds_to(systems.NONNEGMFPY, 1) == inf
    assert race(peer, floors={systems.NONNEGMFPY: 110.0}).seconds_to(systems.NONNEGMFPY, 1) == 50.0


@pytest.mark.parametrize(
    ("outcome", "found", "met"), [("budget", "> 20.0", True), ("failed: NaN", "not comparable", None)]
)
def test_a_peer_that_never_gets_there_gives_a_bound_and_one_that_fails_gives_nothing(outcome, found, met):
    ours = run(systems.OURS, (3.0, 3, 100.05))
    peer = run(systems.NONNEGMFPY, (60.0, 9, 130.0), outcome=outcome)
    goal = race_goal(race(ours, peer), systems.NONNEGMFPY, 15.0)
    assert (goal.measured, goal.met) == (found, met)


@pytest.mark.parametrize("key", ["a", "c", "d"])
def test_problems_are_seeded_and_no_pixel_is_bare(key):
    one, other = (make_problem(key, 0.03) for _ in range(2))
    np.testing.assert_array_equal(one.data, other.data)
    assert one.valid_weights is None or (one.valid_weights > 0).any(axis=0).all()


def test_the_weights_of_the_spectra_are_no_product_of_rows_and_columns():
    _, weights, _ = spectra(0, 60, 80)
    first = np.linalg.svd(np.log(weights) - np.log(weights).mean(axis=0), compute_uv=False)
    ratio = weights[0] / weights[1]
    assert ratio.max() > 1.05 * ratio.min()
    assert first[1] > 1e-3 * first[0]
