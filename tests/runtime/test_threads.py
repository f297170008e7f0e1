"""Parts of a batch, worked on by several threads."""

import os
import threading
import time
import warnings

import numpy as np
import pytest

from tinybar import autograd as ag
from tinybar.runtime import blas, threads


@pytest.fixture(autouse=True)
def _four_threads():
    before = threads.count()
    threads.use_threads(4)
    yield
    threads.use_threads(before)


def test_results_in_order():
    assert threads.each(lambda part: part * part, range(50)) == [i * i for i in range(50)]
    assert threads.each(abs, []) == []


def test_several_threads_work():
    together = threading.Barrier(3, timeout=10)  # is only passed if three wait at a time
    threads.each(lambda part: together.wait(), range(3))


def test_parts_within_a_part_are_worked_on_by_its_thread():
    def names(_):
        time.sleep(0.001)
        inner = threads.each(lambda part: threading.current_thread().name, range(3))
        assert threads.is_inside()
        return {threading.current_thread().name, *inner}

    assert all(len(found) == 1 for found in threads.each(names, range(8)))
    assert not threads.is_inside()


def test_an_error_is_raised_here():
    def fail(part):
        if part == 5:
            raise IndexError("part 5")  # of the kind that an empty queue raises

    with pytest.raises(IndexError, match="part 5"):
        threads.each(fail, range(20))
    assert threads.each(str, range(3)) == ["0", "1", "2"]
    assert not threads.is_inside()


def test_blas_has_one_thread_within_and_all_of_them_after():
    within = threads.each(lambda part: blas.status()["blas_threads"], range(4))
    assert set(within) == {1}
    assert blas.status()["blas_threads"] == blas.threads() == 4


def test_the_callers_errstate_holds():
    with warnings.catch_warnings(), np.errstate(over="ignore"):
        warnings.simplefilter("error")
        threads.each(lambda part: np.float32(3e38) * np.full(9, 9, np.float32), range(8))


def test_one_thread_needs_no_pool():
    threads.use_threads(1)
    names = threads.each(lambda part: threading.current_thread(), range(3))
    assert set(names) == {threading.current_thread()}


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "2", True, None])
def test_use_threads_refuses(wrong):
    with pytest.raises(ValueError, match="integer >= 1"):
        threads.use_threads(wrong)


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "2", True, None, threads.processors() + 1])
def test_more_threads_than_processors_are_no_option(wrong):
    with pytest.raises(ValueError, match=r"an integer from 1 to \d+, the processors there are"):
        threads.check_threads(wrong)
    for n in (1, threads.processors()):
        threads.check_threads(n)


@pytest.mark.parametrize(("n", "parts"), [(7, 3), (4, 4), (0, 1), (2, 5)])
def test_slices(n, parts):
    found = threads.slices(n, parts)
    assert [i for part in found for i in range(n)[part]] == list(range(n))
    lengths = {part.stop - part.start for part in found}
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_works_with_threads_of_its_own():
    threads.each(str, range(4))
    child = os.fork()
    if child == 0:
        os._exit(0 if threads.each(str, range(4)) == ["0", "1", "2", "3"] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_the_number_of_threads_does_not_change_a_bit():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((24, 32, 32, 8)).astype("f4")
    weight = rng.standard_normal((3, 3, 8, 9)).astype("f4")

    def results(n):
        threads.use_threads(n)
        y, pullback = ag.conv2d.function(x, weight, None, 1, 1)
        return (y, *pullback(np.cos(y))[:2])

    for one, three in zip(results(1), results(3), strict=True):
        assert np.array_equal(one, three)
