import numpy as np
import pytest
from imaging_helpers import gaussian
from preparation_helpers import last_step

from astronmf.imaging import Frames
from astronmf.imaging.preparation import select_references

SIZE = 41
RNG = np.random.default_rng(0)
PATTERNS = np.array([gaussian((SIZE, SIZE), 20, 20, fwhm=f, peak=300.0) for f in (6, 9)])
SPECKLES = np.array([gaussian((SIZE, SIZE), x, y, peak=60.0) for x, y in ((14, 20), (27, 22), (20, 28), (22, 11))])


def star(mixture, scale=1.0):
    """Return a star of speckles in some mixture."""
    return scale * (PATTERNS.sum(axis=0) + np.tensordot(mixture, SPECKLES, 1))


SCIENCE = np.array([star((1, 0.5, 1, 0.2)), star((1, 0.5, 0.9, 0.3))])
# The nearer to the science frames in mixture, the better, whatever the brightness.
MIXTURES = [(0, 1, 0, 1), (1, 0.5, 1, 0.25), (0.8, 0.5, 1, 0.2), (0, 0, 0, 0), (1, 0.5, 0.5, 0.3)]
REFERENCES = np.array([star(mixture, scale) for mixture, scale in zip(MIXTURES, (1, 3, 0.5, 2, 1), strict=True)])
NOISE = 0.5


def frames(cube, name, **options):
    noisy = cube + NOISE * np.random.default_rng(len(cube)).standard_normal(cube.shape)
    names = [f"{name} {i}" for i in range(len(cube))]
    return Frames(options.pop("data", noisy), options.pop("sigma", None), names=names, **options)


@pytest.fixture
def science():
    return frames(SCIENCE, "sci")


@pytest.fixture
def references():
    return frames(REFERENCES, "ref")


@pytest.mark.parametrize("by", ["correlation", "residual"])
def test_the_nearest_references_are_chosen_the_best_first(science, references, by):
    chosen = select_references(science, references, 2, by=by)
    assert chosen.names == ["ref 1", "ref 2"]
    step = last_step(chosen)
    assert step["selected"] == chosen.names
    scores = np.array(step["scores"])
    best = scores.max() if by == "correlation" else scores.min()
    assert scores[1] == best


def test_the_references_come_as_they_are(science, references):
    chosen = select_references(science, references, 5)
    for image, name in zip(chosen.data, chosen.names, strict=True):
        np.testing.assert_array_equal(image, references.data[references.names.index(name)])


def test_a_planet_under_the_mask_has_no_say(science, references):
    planet = gaussian((SIZE, SIZE), 8, 8, peak=5000.0)
    spoiled = frames(REFERENCES + np.reshape([0, 1, 0, 0, 0], (5, 1, 1)) * planet, "ref")
    assert select_references(science, spoiled, 1).names != ["ref 1"]
    assert select_references(science, spoiled, 1, mask=planet > 0.1).names == ["ref 1"]
    masked = Frames(spoiled, mask=planet > 0.1)
    assert select_references(science, masked, 1).names == ["ref 1"]


def test_radii_say_where_to_compare(science):
    outside = np.hypot(*(np.indices((SIZE, SIZE)) - 20)) > 16
    spoiled = frames(np.where(outside, RNG.normal(0, 500, REFERENCES.shape), REFERENCES), "ref")
    assert select_references(science, spoiled, 1, outer_radius=15).names == ["ref 1"]


def test_pixels_of_large_errors_weigh_little(references):
    bad = np.zeros(SCIENCE.shape, bool)
    bad[:, ::3] = True
    data = np.where(bad, RNG.normal(0, 3000, SCIENCE.shape), SCIENCE)
    sigma = np.where(bad, 3000.0, NOISE)
    weighted = select_references(frames(data, "sci", sigma=sigma), references, 1, by="residual")
    assert weighted.names == ["ref 1"]


def test_references_may_be_chosen_by_hand(science, references):
    assert select_references(science, references, by_hand=["ref 3", 0]).names == ["ref 3", "ref 0"]
    assert select_references(science, references, by_hand="ref 3").names == ["ref 3"]


def test_references_that_share_no_pixel_with_the_science_frames_are_not_chosen(science, references):
    lost = Frames(references, mask=np.reshape(np.arange(5) < 2, (5, 1, 1)))
    assert "ref 1" not in select_references(science, lost, 3).names
    with pytest.raises(ValueError, match="'n' must be at most 3, the references that share valid pixels"):
        select_references(science, lost, 4)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "'n' must be given, or the references 'by_hand', got None"),
        ({"n": 6}, r"'n' must be an integer in \[1, 5\], got 6"),
        ({"n": 1, "by": "eye"}, "'by' must be one of 'correlation', 'residual', got 'eye'"),
        ({"n": 1, "by_hand": 1}, "'n' and 'by_hand' say the same thing"),
        ({"by_hand": []}, "'by_hand' must be at least one reference, got none"),
        ({"n": 1, "mask": np.zeros((3, 3), bool)}, r"'mask' must be of shape \(2, 41, 41\)"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(science, references, arguments, words):
    with pytest.raises(ValueError, match=words):
        select_references(science, references, **arguments)


def test_references_on_another_grid_are_refused(science):
    with pytest.raises(ValueError, match="'references' must be of shape"):
        select_references(science, Frames(np.ones((2, 5, 5))), 1)
