"""Means, spreads, and what a comparison over seeds can show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

MOST = 40  # pairs that the exact test takes: 2^20 sums for each half of them


class Spread(NamedTuple):
    """mean and s.d. (n - 1 in the denominator; 0 of a single value), the lowest value, and n."""

    mean: float
    sd: float
    lowest: float
    n: int


def spread(values: Sequence[float]) -> Spread:
    """Of at least one value."""
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return Spread(float(np.mean(values)), sd, float(np.min(values)), len(values))


class Comparison(NamedTuple):
    """Differences d_1 ... d_n between two methods, paired by seed.

    p: that a sum of ± d_k is as far from 0 as theirs, all 2^n signs being equally likely. least:
    the smallest p that n pairs can give, 2 / 2^n.
    """

    mean: float
    sd: float
    n: int
    p: float
    least: float

    @property
    def is_decided(self) -> bool:
        """Whether the difference stands out of what chance gives: p <= 0.05."""
        return self.p <= 0.05

    @property
    def is_consistent(self) -> bool:
        """Whether all differences have one sign: with few seeds, all that can be seen."""
        return self.n > 1 and self.p == self.least and self.mean != 0


def paired(a: dict[int, float], b: dict[int, float]) -> Comparison | None:
    """a - b over the seeds that both have; None if there is none."""
    seeds = sorted(a.keys() & b.keys())[:MOST]
    if not seeds:
        return None
    differences = [a[seed] - b[seed] for seed in seeds]
    mean, sd, _, n = spread(differences)
    return Comparison(mean, sd, n, sign_flip_p(differences), min(1.0, 2.0 ** (1 - n)))


def sign_flip_p(differences: Sequence[float]) -> float:
    """The exact two-sided permutation test: the share of the 2^n signs with |sum ± d| >= |sum d|.

    The sums of each half of the differences are listed; a pair of them that is extreme is counted
    by its place in the sorted list. Differences that rounding alone separates count as equal.
    """
    d = np.asarray(differences, float)
    first, second = _signed_sums(d[: len(d) // 2]), np.sort(_signed_sums(d[len(d) // 2 :]))
    far = abs(d.sum()) - 1e-9 * max(1e-300, np.abs(d).sum())
    above = second.size - np.searchsorted(second, far - first, "left")
    below = np.searchsorted(second, -far - first, "right")
    if far <= 0:
        return 1.0
    return float((above + below).sum() / 2.0 ** len(d))


def _signed_sums(d: np.ndarray) -> np.ndarray:
    """All 2^n sums of ± d_k."""
    sums = np.zeros(1)
    for x in d:
        sums = np.concatenate([sums + x, sums - x])
    return sums


def interpolated(x: float, xs: Sequence[float], ys: Sequence[float]) -> float | None:
    """y at x on the straight lines through the points, in log x; None outside of their range."""
    order = np.argsort(xs)
    logs, values = np.log(np.asarray(xs, float)[order]), np.asarray(ys, float)[order]
    if len(logs) < 2 or not logs[0] <= np.log(x) <= logs[-1]:
        return None
    return float(np.interp(np.log(x), logs, values))


class Bin(NamedTuple):
    """The images whose confidence lies in an interval: how many, mean confidence, accuracy."""

    n: int
    confidence: float
    accuracy: float


def reliability(confidence: np.ndarray, correct: np.ndarray, bins: int = 15) -> list[Bin]:
    """Those of `bins` equal intervals of [0, 1] that hold an image. Both arguments: (N,)."""
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    return [
        Bin(int(here.sum()), float(confidence[here].mean()), float(correct[here].mean()))
        for k in range(bins)
        if (here := place == k).any()
    ]


def calibration_error(bins: list[Bin]) -> float:
    """ECE = sum_b n_b / N |accuracy_b - confidence_b|   (Guo et al. 2017, Eq. 3)."""
    total = sum(b.n for b in bins)
    return sum(b.n / total * abs(b.accuracy - b.confidence) for b in bins)
