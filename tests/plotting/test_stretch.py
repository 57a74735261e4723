"""Colour scales that outliers do not move, ticks that can be read, and words."""

import numpy as np
import pytest

from astronmf.plotting.stretch import make_norm, number_label, robust_limits, tick_values
from astronmf.plotting.words import counted, heading, shortened

NOISE = np.random.default_rng(1).standard_normal(5000)


def test_an_outlier_does_not_move_the_limits():
    values = NOISE[:2000]
    spoilt = np.append(values, [1e30, -1e30])
    np.testing.assert_allclose(robust_limits(spoilt), robust_limits(values), rtol=0.1)


def test_noise_is_drawn_linearly_around_zero():
    norm = make_norm(np.append(NOISE, np.full(50, 500.0)))
    assert 2 < norm.linear_width < 4
    assert -6 < norm.vmin < -2
    assert norm.vmax == pytest.approx(500)


@pytest.mark.parametrize("factor", [1e-20, 1.0, 1e20])
@pytest.mark.parametrize("stretch", ["asinh", "linear"])
def test_ticks_are_inside_and_apart(factor, stretch):
    norm = make_norm(factor * np.append(NOISE, np.full(50, 500.0)), stretch)
    ticks = np.array(tick_values(norm))
    assert 0 in ticks
    assert 3 <= ticks.size <= 12
    assert norm.vmin <= ticks[0] < ticks[-1] <= norm.vmax
    assert np.diff(np.asarray(norm(ticks))).min() > 0.09


def test_a_background_far_from_zero_has_ticks():
    assert len(tick_values(make_norm(1e4 + NOISE[:100]))) >= 3


@pytest.mark.parametrize(
    ("value", "label"),
    [(0, "0"), (-0.5, "−0.5"), (1000, "1000"), (1e-18, "$10^{-18}$"), (-2e6, r"$-2\times10^{6}$")],
)
def test_numbers_are_written_for_people(value, label):
    assert number_label(value) == label


def test_long_names_keep_their_ends():
    assert shortened("short.fits") == "short.fits"
    assert shortened("jw01184001001_03106_00001_nrcalong_calints.fits", 20) == "jw0118400…ints.fits"


def test_headings_say_what_is_known():
    meta = {"object": "HD 1", "instrument": "", "filter": "F444W", "ra": 1.0}
    assert heading(meta, "2 frames") == "HD 1  ·  F444W  ·  2 frames"
    assert [counted(1, "frame"), counted(6, "frame"), counted(6, "frame", 4)] == [
        "1 frame",
        "6 frames",
        "4 of 6 frames",
    ]
