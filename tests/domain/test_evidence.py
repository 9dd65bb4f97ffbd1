"""Bounds agree with scipy's."""

from __future__ import annotations

from statistics import NormalDist

import pytest
from scipy.stats import binomtest

from domain.evidence import clopper_pearson, wilson


@pytest.mark.parametrize(("k", "n"), [(0, 50), (1, 50), (3, 100), (12, 120), (50, 50), (7, 4000)])
@pytest.mark.parametrize("z", [1.96, 2.58])
def test_bounds_agree_with_scipy(k: int, n: int, z: float) -> None:
    level = 1 - 2 * NormalDist().cdf(-z)
    test = binomtest(k, n)
    assert wilson(k, n, z) == pytest.approx(tuple(test.proportion_ci(level, "wilson"))[:2], abs=1e-9)
    assert clopper_pearson(k, n, z) == pytest.approx(tuple(test.proportion_ci(level, "exact"))[:2], abs=1e-9)


def test_no_sample_proves_nothing() -> None:
    assert wilson(0, 0) == clopper_pearson(0, 0) == (0.0, 1.0)
