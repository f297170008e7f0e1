"""The exact test against brute force and SciPy, the calibration error in closed form."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybar.report.pages.statistics import (
    calibration_error,
    interpolated,
    paired,
    reliability,
    sign_flip_p,
    spread,
)


def brute_force(differences) -> float:
    signs = np.array(list(itertools.product((1, -1), repeat=len(differences))))
    sums = np.abs(signs @ np.array(differences))
    return float((sums >= abs(sum(differences)) - 1e-12).mean())


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=9))
def test_the_test_is_that_of_all_signs(differences):
    assert sign_flip_p([0.001 * d for d in differences]) == pytest.approx(
        brute_force([0.001 * d for d in differences]), abs=1e-12
    )


@pytest.mark.oracle
def test_the_test_is_scipy_s():
    stats = pytest.importorskip("scipy.stats")
    d = np.random.default_rng(0).normal(0.3, 1, 12)
    found = stats.permutation_test(
        (d,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert sign_flip_p(d) == pytest.approx(found.pvalue, rel=1e-9)


@pytest.mark.parametrize("n", [1, 2, 5, 6, 24])
def test_n_pairs_show_at_best_2_to_the_1_minus_n(n):
    c = paired(dict.fromkeys(range(n), 0.9), dict.fromkeys(range(n), 0.8))
    assert c.p == c.least == 2.0 ** (1 - n)
    assert c.is_decided == (n >= 6)
    assert c.is_consistent == (n > 1)


def test_only_the_seeds_that_both_have_are_paired():
    c = paired({0: 0.5, 1: 0.7, 2: 0.1}, {1: 0.6, 0: 0.6, 5: 0.9})
    assert c.n == 2
    assert c.mean == pytest.approx(0)
    assert c.sd == pytest.approx(np.sqrt(2) * 0.1)
    assert (c.p, c.is_consistent) == (1.0, False)
    assert paired({0: 1.0}, {1: 1.0}) is None


def test_no_difference_at_all_is_no_evidence():
    c = paired({0: 0.5, 1: 0.6}, {0: 0.5, 1: 0.6})
    assert (c.mean, c.p, c.is_consistent) == (0, 1, False)


def test_spread():
    assert spread([0.9]) == (0.9, 0.0, 0.9, 1)
    found = spread([1.0, 2.0, 4.0])
    assert found[2:] == (1.0, 3)
    assert found.sd == pytest.approx(np.std([1, 2, 4], ddof=1))


def test_interpolation_is_linear_in_the_logarithm_and_stays_inside():
    assert interpolated(4, [16, 1], [0.8, 0.9]) == pytest.approx(0.85)
    assert interpolated(16, [1, 16], [0.9, 0.8]) == pytest.approx(0.8)
    assert interpolated(17, [1, 16], [0.9, 0.8]) is None
    assert interpolated(1, [1], [0.9]) is None


def test_calibration_error_of_two_bins():
    """3 images at 0.9, two right; 1 at 0.3, wrong: 3/4 |2/3 - 0.9| + 1/4 |0 - 0.3|."""
    bins = reliability(np.array([0.9, 0.9, 0.9, 0.3]), np.array([True, True, False, False]))
    assert [b.n for b in bins] == [1, 3]
    assert calibration_error(bins) == pytest.approx(0.75 * (0.9 - 2 / 3) + 0.25 * 0.3)


def test_full_confidence_belongs_to_the_last_bin():
    (only,) = reliability(np.ones(4), np.ones(4, bool))
    assert only == (4, 1.0, 1.0)
    assert calibration_error([only]) == 0
