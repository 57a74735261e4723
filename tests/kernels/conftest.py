"""The batches of problems that kernels are tested on, and the two forms in which they are."""

from itertools import product

import numpy as np
import pytest
from helpers import row_problems

from astronmf.kernels._jit import LANES

SIZES = [(1, 1), (1, LANES + 13), (3, LANES), (4, 2 * LANES + 7)]


@pytest.fixture(params=product(SIZES, [False, True], [np.float32, np.float64]), ids=str)
def case(request):
    """Return problems of each size, with Grams of their own or one for all, in each type."""
    (k, m), shared, dtype = request.param
    return row_problems(k, m, shared, dtype)


@pytest.fixture(params=["compiled", "plain"])
def form(request):
    """Return what turns a kernel into the form under test: compiled, or the Python that it was compiled from."""
    if request.param == "compiled":
        return lambda kernel: kernel
    return lambda kernel: getattr(kernel, "py_func", kernel)
