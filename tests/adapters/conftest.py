"""What the tests of the neighbours' interfaces share."""

import adapter_helpers
import pytest


@pytest.fixture(scope="session")
def sequence():
    """Return frames of a star and a planet in which the sky turns."""
    return adapter_helpers.turning()
