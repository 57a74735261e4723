"""Small observations and reductions that the imaging tests share; their arrays are read-only."""

import imaging_helpers
import pytest

from astronmf.imaging import build_components, reduce


@pytest.fixture(scope="session")
def observation():
    """Return four science frames and eight references of 33 × 33 pixels, a star and nothing else."""
    return imaging_helpers.observe()


@pytest.fixture(scope="session")
def science(observation):
    """Return the science frames, in four orientations."""
    return observation.science_frames()


@pytest.fixture(scope="session")
def references(observation):
    """Return the references."""
    return observation.reference_frames()


@pytest.fixture(scope="session")
def components(references):
    """Return three components of the references, all pixels covered."""
    return build_components(references, 3)


@pytest.fixture(scope="session")
def reduction(science, components):
    """Return a reduction without scale factors, combined by their mean."""
    return reduce(science, components=components, scale="none")
