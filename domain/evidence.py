"""How much a count proves: bounds of a binomial rate, by the standard library alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist


def wilson(k: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson score interval of ``k`` of ``n``; (0, 1) without any sample.

    Source: Wilson 1927; z 1.96 (95 %) for warnings and 2.58 (99 %) for automatic stops: this project's rule.
    """
    if n <= 0:
        return 0.0, 1.0
    rate, z2 = k / n, z * z
    middle = rate + z2 / (2 * n)
    spread = z * math.sqrt(rate * (1 - rate) / n + z2 / (4 * n * n))
    scale = 1 + z2 / n
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def clopper_pearson(k: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Exact interval of ``k`` of ``n``, for rare events; as wide as ``z`` is for a normal one."""
    if n <= 0:
        return 0.0, 1.0
    tail = NormalDist().cdf(-z)
    lower = 0.0 if k == 0 else _solve(lambda p: 1 - _at_most(k - 1, n, p) - tail)
    upper = 1.0 if k == n else _solve(lambda p: tail - _at_most(k, n, p))
    return lower, upper


def _at_most(k: int, n: int, p: float) -> float:
    """P(X <= k) of a binomial; logarithms keep large n from underflow."""
    if p <= 0:
        return 1.0
    if p >= 1:
        return 1.0 if k >= n else 0.0
    top = math.lgamma(n + 1)
    yes, no = math.log(p), math.log1p(-p)
    terms = (top - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * yes + (n - i) * no for i in range(k + 1))
    return min(1.0, math.fsum(math.exp(term) for term in terms))


def _solve(rising: Callable[[float], float]) -> float:
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if rising(middle) < 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2
