"""What the tests of SYNTH's run share."""

from __future__ import annotations

import pytest
import sklearn.ensemble  # noqa: F401  it loads the library whose threads are limited
from threadpoolctl import threadpool_limits


@pytest.fixture(scope="package", autouse=True)
def _trees_are_fitted_by_one_thread():
    """On a busy machine, threads that wait for each other use the processor: it took up to 30 times the CPU time."""
    with threadpool_limits(limits=1):
        yield
