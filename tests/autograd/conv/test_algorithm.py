"""Convolutions that work on a batch part by part."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybar import autograd as ag
from tinybar.autograd.conv import ALGORITHMS
from tinybar.autograd.conv import algorithm as module
from tinybar.autograd.conv.algorithm import Algorithm, image_parts


def covered(parts, n):
    return [i for part in parts for i in range(n)[part]] == list(range(n))


@given(
    n=st.integers(1, 300),
    rows=st.integers(1, 2000),
    scratch=st.integers(0, 10**7),
    channels=st.integers(1, 1000),
)
def test_parts_cover_the_batch_and_are_worth_it(n, rows, scratch, channels):
    parts = image_parts(n, Algorithm(None, None, rows, scratch), channels)
    assert covered(parts, n)
    if len(parts) > 1:
        smallest = min(part.stop - part.start for part in parts)
        assert smallest * rows >= 2 * channels
        assert (smallest + 1) * scratch >= module.SCRATCH / 2
        assert len(parts) % 2 == 0


def test_wide_layers_are_done_in_one():
    assert len(image_parts(16, Algorithm(None, None, 4, 36 * 4 * 768), 768)) == 1


def test_large_images_are_done_one_by_one():
    assert len(image_parts(16, Algorithm(None, None, 4096, 36 * 4096 * 64), 64)) == 16


@pytest.mark.parametrize("algorithm", [a for a in ALGORITHMS if a not in ("auto", "reference")])
@given(n=st.integers(2, 9), scratch=st.sampled_from([1, 2000]), stride=st.integers(1, 2))
def test_part_by_part_is_the_same(algorithm, n, scratch, stride):
    kernel, padding = (1, 0) if algorithm == "pointwise" else (3, 1)
    stride = 1 if algorithm == "winograd" else stride
    rng = np.random.default_rng(n)
    x, weight = rng.standard_normal((n, 6, 7, 2)), rng.standard_normal((kernel, kernel, 2, 3))
    found = []
    before = module.SCRATCH
    for module.SCRATCH in (scratch, before):
        y, pullback = ag.conv2d.function(x, weight, None, stride, padding, algorithm=algorithm)
        found.append((y, *pullback(np.cos(y))[:2]))
    module.SCRATCH = before
    for parts, whole in zip(*found, strict=True):
        np.testing.assert_allclose(parts, whole, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("needs", [(True, False), (False, True), (False, False)])
def test_what_is_not_needed_is_not_made(needs, monkeypatch):
    monkeypatch.setattr(module, "SCRATCH", 1)
    x, weight = np.ones((8, 8, 8, 2)), np.ones((3, 3, 2, 3))
    y, pullback = ag.conv2d.function(x, weight, None, 1, 1, needs=(*needs, False, False))
    assert tuple(g is not None for g in pullback(y)[:2]) == needs
