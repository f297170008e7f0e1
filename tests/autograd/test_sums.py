"""Careful sums: float32's digits, whatever the axes and the layout."""

import numpy as np
import pytest

from tinybar import Tensor
from tinybar import autograd as ag
from tinybar.autograd.primitive import unbroadcast
from tinybar.autograd.sums import total

CASES = [
    ((1, 512, 512, 2), (1, 2)),
    ((262_145, 3), (0,)),
    ((3, 262_145), (1,)),
    ((3, 3, 512, 16), (0, 1, 2)),
    ((512, 4, 512), (0, 2)),
    ((50, 7, 9, 3), (0, 1, 2, 3)),
    ((2, 0, 3), (1,)),
    ((3, 3, 64, 0), (0, 1, 2)),
    ((0, 300, 2), (1,)),
    ((3, 3, 300, 1), (0, 2, 3)),
    ((4,), ()),
    ((), ()),
]
LAYOUTS = {
    "C": lambda a: a,
    "Fortran": np.asfortranarray,
    "gaps": lambda a: np.repeat(a, 2, -1)[..., ::2] if a.ndim else a,
    "repeated": lambda a: np.broadcast_to(a[:1], a.shape) if a.ndim else a,
}


@pytest.mark.parametrize(("shape", "axes"), CASES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("values", ["equal", "random"])
def test_total(shape, axes, layout, values):
    """Equal values are the hardest: every rounding goes the same way."""
    a = np.full(shape, 0.1) if values == "equal" else np.random.default_rng(0).random(shape)
    a = LAYOUTS[layout](np.asarray(a, np.float32))
    got = np.asarray(total(a, axes))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, a.sum(axes, np.float64, keepdims=True), rtol=1e-6)


def test_integers_and_booleans_are_added_as_numpy_does():
    for a in (np.full((300, 2), 200, np.uint8), np.ones((300, 2), bool)):
        got, expected = total(a, (0,)), a.sum(axis=0, keepdims=True)
        np.testing.assert_array_equal(got, expected)
        assert got.dtype == expected.dtype


MANY = np.full((262_144, 2), 0.1, np.float32)
SUMS = [
    ("global_avg_pool2d", lambda x: ag.global_avg_pool2d(ag.reshape(x, (1, 512, 512, 2)))),
    ("mean", lambda x: ag.mean(x, 0)),
    ("sum", lambda x: ag.sum(x, 0) / len(MANY)),
    ("mean over windows", lambda x: ag.mean(ag.reshape(x, (512, 512, 2)), (0, 1))),
    ("softmax", lambda x: 0.1 * len(MANY) * ag.softmax(x, 0)[0]),
    ("logsumexp", lambda x: ag.logsumexp(x, 0) * (0.1 / (np.log(len(MANY)) + 0.1))),
]


@pytest.mark.parametrize(("name", "mean"), SUMS, ids=[name for name, _ in SUMS])
def test_every_primitive_over_leading_axes(name, mean):
    np.testing.assert_allclose(mean(Tensor(MANY)).data.reshape(-1), np.float32(0.1), rtol=1e-6)


def test_the_gradients_of_what_was_broadcast():
    """Of a bias, and of a gate on a weight."""
    np.testing.assert_allclose(unbroadcast(MANY, (2,)), 0.1 * len(MANY), rtol=1e-6)
    gate = unbroadcast(np.full((3, 3, 512, 4), 0.1, np.float32), (4,))
    np.testing.assert_allclose(gate, 0.1 * 4608, rtol=1e-6)
