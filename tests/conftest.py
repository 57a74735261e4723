"""What all tests share: where the helpers are, how hypothesis runs, and data that nobody can write to."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))  # for `import naive` and `import helpers` from any folder

settings.register_profile("astronmf", deadline=None, derandomize=True, max_examples=30)
settings.load_profile("astronmf")


@pytest.fixture(scope="session")
def noisy():
    """Return 20 observations of 60 pixels, rank 3: weights of their own, a tenth missing, noise below zero."""
    import helpers

    return helpers.simulate(20, 60, 3, seed=5)


@pytest.fixture(scope="session")
def images():
    """Return 9 images of 6 × 7 pixels, rank 2, nothing missing."""
    import helpers

    return helpers.simulate(9, 42, 2, seed=2, missing=0.0).reshape(6, 7)


@pytest.fixture(scope="session")
def realdata():
    """Return the folder of public observations, or skip where this machine has none."""
    where = os.environ.get("ASTRONMF_REALDATA", "")
    if not where:
        pytest.skip("ASTRONMF_REALDATA is not set: the folder of public observations is not on this machine")
    folder = Path(where)
    if not folder.is_dir():
        pytest.fail(f"ASTRONMF_REALDATA names {folder}, which is not a folder")
    return folder
