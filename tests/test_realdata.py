"""Public observations of AU Mic and of three reference stars with JWST: `realdata/README.md` says what they are."""

import re
import warnings

import numpy as np
import pytest
from typer.testing import CliRunner

from astronmf.cli import app
from astronmf.exceptions import MissingDataWarning
from astronmf.imaging import Frames, Reduction
from astronmf.imaging.geometry import radius
from benchmarks.jwst_fit import fits
from benchmarks.jwst_injection import ring_fluxes

INNER, OUTER = 6, 110  # pixels
HALF_WIDTH = 8  # of the strip along the disk, pixels


@pytest.fixture(scope="module")
def au_mic(realdata):
    return realdata / "hci_jwst_nircam_aumic_f444w"


@pytest.fixture(scope="module")
def frames(au_mic):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MissingDataWarning)  # some errors are not above 0
        return Frames.read(sorted(au_mic.glob("*.fits")))


@pytest.fixture(scope="module")
def one_call(au_mic, tmp_path_factory):
    """Return what one command made of all eight files, and where it wrote it."""
    path = tmp_path_factory.mktemp("au_mic") / "out.fits"
    files = [str(file) for file in sorted(au_mic.glob("*.fits"))]
    options = ["-k", "4", "--inner", str(INNER), "--outer", str(OUTER), "-o", str(path)]
    return CliRunner().invoke(app, ["reduce", *files, *options]), path


@pytest.fixture(scope="module")
def reduction(one_call):
    outcome, path = one_call
    assert outcome.exit_code == 0, outcome.stderr
    return Reduction.read(path)


def offsets(reduction):
    """Return each pixel's offset from the star towards east and north, and its distance."""
    rows, columns = np.indices(reduction.combined.shape)
    east, north = reduction.center[0] - columns, rows - reduction.center[1]
    return east, north, np.hypot(east, north)


def principal_axis(light, east, north):
    """Return the position angle of the longest axis of the second moments, degrees in [0, 180)."""
    moments = [np.sum(light * product) for product in (east * east, east * north, north * north)]
    return np.rad2deg(0.5 * np.arctan2(2 * moments[1], moments[2] - moments[0])) % 180


def along_and_across(east, north, angle):
    """Return coordinates along a position angle and across it."""
    turn = np.deg2rad(angle)
    return east * np.sin(turn) + north * np.cos(turn), east * np.cos(turn) - north * np.sin(turn)


def disk_position_angle(reduction):
    """Return the position angle of the disk's ridge, 25 to 60 pixels from the star.

    From all the light's principal axis, which a source beside the disk pulls by 3°, to a line through the star fitted
    to the light in a strip along it, until it stays where it is.
    """
    east, north, distance = offsets(reduction)
    bright = (distance > 25) & (distance < 60) & (reduction.combined > 3 * reduction.combined_uncertainty)
    light = np.where(bright, reduction.combined, 0.0)
    angle = principal_axis(light, east, north)
    for _ in range(20):
        along, across = along_and_across(east, north, angle)
        strip = np.where(np.abs(across) < HALF_WIDTH, light, 0.0)
        angle += np.rad2deg(np.arctan(np.sum(strip * along * across) / np.sum(strip * along**2)))
    return angle


def test_one_call_reduces_targets_and_references_to_one_image(one_call, reduction):
    outcome, _ = one_call
    assert "2, of 320 x 320 pixels" in outcome.stdout
    assert "4 from 6 reference frames" in outcome.stdout
    assert all(line.startswith("astronmf: warning: ") for line in outcome.stderr.splitlines())
    assert reduction.center == (160, 160)
    assert len(reduction.meta["inputs"]) == 8


def test_the_disk_is_where_it_is_on_the_sky(reduction):
    assert disk_position_angle(reduction) == pytest.approx(128, abs=3)


def test_the_disk_has_two_sides(reduction):
    _, _, distance = offsets(reduction)
    along, across = along_and_across(*offsets(reduction)[:2], 128.5)
    ridge = (np.abs(across) < 4) & (distance > 25) & (distance < 60)
    sides = [np.nanmedian(reduction.combined[ridge & (sign * along > 0)]) for sign in (1, -1)]
    background = np.nanmedian(reduction.combined[(np.abs(across) > 30) & (distance > 25) & (distance < 60)])
    assert min(sides) > 5 * abs(background)


def test_the_frames_have_what_makes_jwst_hard(frames):
    distance = radius(frames.shape[1:], frames.geometry.center)
    field = (distance > INNER) & (distance < OUTER)
    negative = [(frame[field] < 0).mean() for frame in frames.data]
    assert 0.25 < max(negative) < 0.35
    assert np.isnan(frames.data).any()
    assert frames.mask[:, field].any()


def test_only_counted_pixels_are_blank(one_call, reduction):
    outcome, _ = one_call
    blank = np.isnan(reduction.residuals) & reduction.choice.region
    lost = reduction.science.mask | reduction.components.mask
    np.testing.assert_array_equal(blank, lost & reduction.choice.region)
    (counted,) = re.findall(r"missing values\s*│\s*(\d+) in the region", outcome.stdout)
    assert int(counted) == blank.sum()
    (unseen,) = re.findall(r"(\d+) of \d+ pixels are missing in every reference", outcome.stderr)
    assert int(unseen) == (reduction.components.mask & reduction.choice.region).sum()


def test_the_image_has_no_holes_between_the_radii(reduction):
    _, _, distance = offsets(reduction)
    between = (distance > INNER + 1) & (distance < OUTER - 5)
    assert np.isfinite(reduction.combined[between]).all()
    assert np.isfinite(reduction.combined_uncertainty[between]).all()


def test_negative_residuals_are_kept(reduction):
    _, _, distance = offsets(reduction)
    empty = (distance > 80) & (distance < 105)
    assert 0.2 < (reduction.combined[empty] < 0).mean() < 0.6


def test_known_rings_come_back_with_their_flux(au_mic):
    # Six targets, of which two are of another kind of star: their speckles differ by more than ERR says.
    fractions = ring_fluxes(au_mic)
    assert [len(values) for values in fractions.values()] == [6, 6, 6]
    bright = np.array(fractions[1.0])
    assert np.median(bright) == pytest.approx(1, abs=0.05)
    assert np.abs(bright - 1).max() < 0.27
    errors = [np.median(np.abs(np.array(values) - 1)) for values in fractions.values()]
    assert errors == sorted(errors, reverse=True)  # the brighter the ring, the better


@pytest.mark.parametrize(("peak", "median", "worst"), [(1.0, 0.015, 0.04), (0.33, 0.03, 0.10)])
def test_a_calibrated_fit_knows_the_flux_of_a_ring_and_its_error(au_mic, peak, median, worst):
    found = fits([{}], peak, where=au_mic)
    values = np.array([fit.amplitudes[0] for fit in found])
    pulls = (values - 1) / np.array([fit.errors[0] for fit in found])
    assert len(values) == 6
    assert abs(np.median(values) - 1) < median
    assert np.abs(values - 1).max() < worst
    assert (np.abs(pulls) <= 1).sum() >= 4
    assert np.abs(pulls).max() < 3
    formal = np.array([(fit.calibration.raw[0] - 1) / fit.calibration.raw_errors[0] for fit in found])
    assert np.abs(formal).max() > 5  # what the errors of the files alone would say
