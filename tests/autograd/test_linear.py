"""The matrix product."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp

from tinybar import autograd as ag

from .common import forward_backward, seeds

products = hnp.mutually_broadcastable_shapes(
    signature="(m,k),(k,n)->(m,n)", max_dims=2, min_side=0, max_side=4
)


@given(shapes=products, seed=seeds)
def test_every_entry(shapes, seed):
    """y_mn = sum_k a_mk b_kn, and both gradients, from sums written out."""
    rng = np.random.default_rng(seed)
    a, b = (rng.standard_normal(shape) for shape in shapes.input_shapes)
    y, (ga, gb), gy = forward_backward(ag.matmul, [a, b])
    assert y.shape == shapes.result_shape
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    whole_a = np.broadcast_to(a, (*lead, *a.shape[-2:]))
    whole_b = np.broadcast_to(b, (*lead, *b.shape[-2:]))
    expected, to_a, to_b = np.zeros(y.shape), np.zeros(whole_a.shape), np.zeros(whole_b.shape)
    for k in range(a.shape[-1]):
        expected += whole_a[..., :, k, None] * whole_b[..., None, k, :]
        to_a[..., k] = (gy * whole_b[..., None, k, :]).sum(-1)
        to_b[..., k, :] = (gy * whole_a[..., :, k, None]).sum(-2)
    np.testing.assert_allclose(y, expected, atol=1e-12)
    for x, gx, whole in ((a, ga, to_a), (b, gb, to_b)):
        repeated = tuple(range(whole.ndim - x.ndim))
        whole = whole.sum(axis=repeated)
        stretched = tuple(i for i in range(x.ndim - 2) if x.shape[i] != whole.shape[i])
        np.testing.assert_allclose(gx, whole.sum(axis=stretched, keepdims=True), atol=1e-12)


@pytest.mark.parametrize(
    ("a", "b"), [((3,), (3, 2)), ((2, 3), (3,)), ((2, 3), (2, 3)), ((), (1, 1))]
)
def test_shapes_that_do_not_fit(a, b):
    with pytest.raises(ValueError, match="matmul needs"):
        ag.matmul(np.ones(a), np.ones(b))
