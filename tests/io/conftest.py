"""What the tests of files share: a small observation, what is made of it, and files to spoil."""

import imaging_helpers
import pytest

from astronmf.imaging import build_components, reduce


@pytest.fixture(scope="session")
def observation():
    """Return four science frames and eight references of 33 × 33 pixels."""
    return imaging_helpers.observe()


@pytest.fixture(scope="session")
def components(observation):
    """Return three components."""
    return build_components(observation.reference_frames(), 3)


@pytest.fixture(scope="session")
def reduction(observation, components):
    """Return a reduction with radii, masks of both kinds, missing pixels and scale factors."""
    missing = imaging_helpers.disc((33, 33), 4, 28, 1.5)
    spot = imaging_helpers.disc((33, 33), 8, 20, 3)
    return reduce(
        observation.science_frames(mask=missing),
        components=components,
        inner_radius=2,
        outer_radius=15,
        imputation_mask=spot,
        scale=[0.9, 1.0, 1.1, 1.0],
    )
