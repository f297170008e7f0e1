"""The primitives against PyTorch, in float64: values and gradients to 1e-9."""

import numpy as np
import pytest

from tinybar import Tensor
from tinybar import autograd as ag

torch = pytest.importorskip("torch")
F = torch.nn.functional

pytestmark = pytest.mark.oracle


def rng():
    return np.random.default_rng(0)


def compare(ours, theirs, arrays, images=(), image_out=True, rtol=1e-9):
    """Both functions at the same arrays, pulled back from the same gradient.

    images: which arrays are activations (N, H, W, C), to be handed to PyTorch as (N, C, H, W).
    image_out: whether the result is one as well.
    """
    mine = [Tensor(a, a.dtype.kind == "f") for a in arrays]
    y = ours(*mine)
    gy = np.random.default_rng(1).standard_normal(y.shape)
    y.backward(gy)

    leaves = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    shaped = [t.permute(0, 3, 1, 2) if i in images else t for i, t in enumerate(leaves)]
    z = theirs(*shaped)
    z = z.permute(0, 2, 3, 1) if image_out else z
    z.backward(torch.tensor(gy))

    def close(a, b):
        b = b.detach().numpy()
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * max(1e-3, abs(b).max(initial=0)))

    close(y.data, z)
    for t, leaf in zip(mine, leaves, strict=True):
        if t.requires_grad:
            close(t.grad, leaf.grad)


@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (2, 3), (5, 1), (7, 7)])
@pytest.mark.parametrize("stride", [1, 2, (1, 3)])
@pytest.mark.parametrize("padding", [0, 1, (3, 2)])
@pytest.mark.parametrize("with_bias", [True, False])
def test_conv2d(kernel, stride, padding, with_bias):
    """By the algorithm that suits the shapes; tests/autograd/conv holds all to one another."""
    r = rng()
    arrays = [r.standard_normal((2, 9, 8, 3)), r.standard_normal((*kernel, 3, 4))]
    if with_bias:
        arrays.append(r.standard_normal(4))
    compare(
        lambda *a: ag.conv2d(*a, stride=stride, padding=padding),
        lambda x, w, *b: F.conv2d(x, w.permute(3, 2, 0, 1), *b, stride=stride, padding=padding),
        arrays,
        images=(0,),
    )


@pytest.mark.parametrize("momentum", [0.1, 0.7])
@pytest.mark.parametrize("eps", [1e-5, 1e-2])
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm(training, momentum, eps):
    r = rng()
    arrays = [3 * r.standard_normal((4, 5, 3, 6)) + 2, r.standard_normal(6), r.standard_normal(6)]
    mean, var = r.standard_normal(6), r.uniform(0.5, 2, 6)
    torch_mean, torch_var = torch.tensor(mean.copy()), torch.tensor(var.copy())
    compare(
        lambda *a: ag.batch_norm(*a, mean, var, training, momentum, eps),
        lambda x, g, b: F.batch_norm(x, torch_mean, torch_var, g, b, training, momentum, eps),
        arrays,
        images=(0,),
    )
    np.testing.assert_allclose(mean, torch_mean.numpy(), rtol=1e-9)
    np.testing.assert_allclose(var, torch_var.numpy(), rtol=1e-9)


@pytest.mark.parametrize("kind", ["max", "avg"])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [(2, None, 0), (3, 2, 1), ((2, 3), (1, 2), (1, 0)), (3, 1, 1), (4, 4, 2)],
)
def test_pooling(kind, kernel, stride, padding):
    ours = {"max": ag.max_pool2d, "avg": ag.avg_pool2d}[kind]
    theirs = {"max": F.max_pool2d, "avg": F.avg_pool2d}[kind]
    for values in (rng().standard_normal((2, 7, 8, 3)), rng().integers(0, 2, (2, 7, 8, 3)) * 1.0):
        compare(
            lambda x: ours(x, kernel, stride, padding),
            lambda x: theirs(x, kernel, stride, padding),
            [values],
            images=(0,),
        )


def test_global_average():
    compare(
        ag.global_avg_pool2d,
        lambda x: F.adaptive_avg_pool2d(x, 1)[:, :, 0, 0],
        [rng().standard_normal((2, 5, 4, 3))],
        images=(0,),
        image_out=False,
    )


@pytest.mark.parametrize("target", ["labels", "probabilities"])
def test_cross_entropy(target):
    r = rng()
    p = r.random((6, 5))
    targets = {"labels": r.integers(0, 5, 6), "probabilities": p / p.sum(-1, keepdims=True)}
    arrays = [3 * r.standard_normal((6, 5)), targets[target]]
    compare(ag.cross_entropy, F.cross_entropy, arrays, image_out=False)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (ag.log_softmax, F.log_softmax),
        (ag.softmax, F.softmax),
        (ag.logsumexp, torch.logsumexp),
    ],
    ids=["log_softmax", "softmax", "logsumexp"],
)
@pytest.mark.parametrize("scale", [1, 100])
def test_softmax(ours, theirs, axis, scale):
    compare(
        lambda x: ours(x, axis),
        lambda x: theirs(x, axis),
        [scale * rng().standard_normal((4, 3, 5))],
        image_out=False,
    )


@pytest.mark.parametrize("index", [[4, 0, 2], [1, 1, 3, 1], [2, 3, 4], []])
@pytest.mark.parametrize("axis", [0, 3, -2])
def test_scatter_add_and_take(index, axis):
    r = rng()
    shape = (5, 6, 5, 7)
    part = list(shape)
    part[axis] = len(index)
    where = torch.tensor(index, dtype=torch.long)
    compare(
        lambda x, d: ag.scatter_add(x, d, index, axis),
        lambda x, d: x.index_add(axis, where, d),
        [r.standard_normal(shape), r.standard_normal(part)],
        image_out=False,
    )
    compare(
        lambda x: ag.take(x, index, axis),
        lambda x: x.index_select(axis, where),
        [r.standard_normal(shape)],
        image_out=False,
    )


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (ag.relu, F.relu),
        (ag.sigmoid, torch.sigmoid),
        (ag.exp, torch.exp),
        (lambda x: ag.clip(x, -0.5, 0.7), lambda x: torch.clamp(x, -0.5, 0.7)),
        (lambda x: x**3, lambda x: x**3),
        (lambda x: ag.max(x, 1), lambda x: torch.amax(x, 1)),
        (lambda x: ag.mean(x, (0, 2)), lambda x: x.mean((0, 2))),
        (lambda x: ag.pad(x, ((0, 0), (1, 2), (0, 1))), lambda x: F.pad(x, (0, 1, 1, 2))),
        (lambda x: x[1:, None, ::2], lambda x: x[1:, None, ::2]),
        (lambda x: x[[0, 0, 2]], lambda x: x[[0, 0, 2]]),
        (lambda x: ag.transpose(x, (2, 0, 1)), lambda x: x.permute(2, 0, 1)),
    ],
)
def test_functions_of_one_variable(ours, theirs):
    for x in (rng().standard_normal((3, 4, 5)), np.zeros((3, 4, 5))):  # zeros: kinks and ties
        compare(ours, theirs, [x], image_out=False)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (ag.maximum, torch.maximum),
        (lambda a, b: a / b, lambda a, b: a / b),
        (lambda a, b: a * b - b, lambda a, b: a * b - b),
        (lambda a, b: ag.matmul(a, ag.transpose(b)), lambda a, b: a @ b.T),
    ],
)
def test_functions_of_two_variables(ours, theirs):
    r = rng()
    compare(
        ours, theirs, [r.standard_normal((2, 3, 4)), r.standard_normal((3, 4))], image_out=False
    )
    compare(ours, theirs, [np.ones((3, 4)), np.ones((3, 4))], image_out=False)  # ties
