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
    """y_mn = sum_k a_mk b_kn, whatever the leading axes; also where an axis is empty."""
    rng = np.random.default_rng(seed)
    a, b = (rng.standard_normal(shape) for shape in shapes.input_shapes)
    y, (ga, gb), _ = forward_backward(ag.matmul, [a, b])
    np.testing.assert_allclose(y, (a[..., :, :, None] * b[..., None, :, :]).sum(-2), atol=1e-12)
    assert (y.shape, ga.shape, gb.shape) == (shapes.result_shape, a.shape, b.shape)


@pytest.mark.parametrize(
    ("a", "b"), [((3,), (3, 2)), ((2, 3), (3,)), ((2, 3), (2, 3)), ((), (1, 1))]
)
def test_shapes_that_do_not_fit(a, b):
    with pytest.raises(ValueError, match="matmul needs"):
        ag.matmul(np.ones(a), np.ones(b))
