"""One rule for dtypes, whatever the primitive."""

import numpy as np
import pytest

from tinybar import Tensor
from tinybar import autograd as ag
from tinybar.audit.gradients import problems_of
from tinybar.autograd import PRIMITIVES
from tinybar.autograd.conv import ALGORITHMS

from .common import forward_backward

NAMES = sorted(PRIMITIVES)
LABELS = ("cross_entropy",)  # its second input is the function's own matter


def in_dtypes(inputs, *dtypes):
    """The floating inputs in these dtypes, one after another."""
    return [
        a.astype(dtypes[i % len(dtypes)]) if a.dtype == float else a for i, a in enumerate(inputs)
    ]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtypes", [("f4", "f8"), ("f8", "f4"), (">f8", ">f8"), (">f4", "f8")])
def test_the_widest_in_native_order(name, dtypes):
    """With gradients in the dtypes of the inputs."""
    for _, fn, inputs in problems_of(name):
        arrays = in_dtypes(inputs, *dtypes)
        floats = [a for a in arrays if a.dtype.kind == "f"]
        widest = np.result_type(*floats[:1] if name in LABELS else floats).newbyteorder("=")
        y, gradients, gy = forward_backward(fn, arrays)
        assert (y.dtype, y.dtype.isnative) == (widest, True)
        assert [gx.dtype for gx in gradients] == [a.dtype for a in floats]
        if name.startswith("batch_norm"):
            continue  # its running arrays moved on
        expected = forward_backward(fn, [a.astype(a.dtype.newbyteorder("=")) for a in arrays], gy)
        for one, two in zip([y, *gradients], [expected[0], *expected[1]], strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_float16_is_computed_in_float32(name):
    for _, fn, inputs in problems_of(name):
        if name.startswith("batch_norm"):
            continue
        half = in_dtypes(inputs, "f2")
        y, gradients, gy = forward_backward(fn, half)
        assert {a.dtype for a in (y, *gradients)} == {np.dtype("f2")}
        expected = forward_backward(
            fn, [a.astype("f4") if a.dtype == "f2" else a for a in half], gy
        )
        for got, single in zip([y, *gradients], [expected[0], *expected[1]], strict=True):
            np.testing.assert_array_equal(got, single.astype("f2"))


@pytest.mark.parametrize("name", [n for n in NAMES if n not in LABELS])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.bool_])
def test_integers_beside_floats_take_their_dtype(name, dtype):
    """Every input but one in integers: the same as in float32."""
    for _, fn, inputs in problems_of(name):
        floats = [i for i, a in enumerate(inputs) if a.dtype == float]
        if len(floats) < 2:
            continue
        for kept in floats:
            arrays = [
                a.astype(np.float32)
                if i == kept
                else np.ceil(abs(a)).astype(dtype)
                if i in floats
                else a
                for i, a in enumerate(inputs)
            ]
            y, (gx,), gy = forward_backward(fn, arrays)
            assert y.dtype == gx.dtype == np.float32
            if not name.startswith("batch_norm"):
                tensors = [Tensor(a.astype("f4"), i == kept) for i, a in enumerate(arrays)]
                expected = fn(*tensors)
                expected.backward(gy)
                np.testing.assert_array_equal(y, expected.data)
                np.testing.assert_array_equal(gx, tensors[kept].grad)


FLOATING = [
    lambda x: ag.avg_pool2d(x, 2),
    lambda x: ag.max_pool2d(x, 3, 1, 1),
    ag.global_avg_pool2d,
    lambda x: ag.conv2d(x, np.ones((3, 3, 2, 1), np.uint8), None, 1, 1),
    lambda x: ag.batch_norm(x, np.ones(2, int), np.ones(2, int), np.zeros(2), np.ones(2), False),
    lambda x: ag.hard_concrete(x, 0.5),
    ag.softmax,
    ag.exp,
    ag.mean,
    lambda x: x / 2,
    lambda x: x * 0.5,
    lambda x: ag.cross_entropy(ag.reshape(x, (4, 8)), np.zeros(4, int)),
]


@pytest.mark.parametrize("fn", FLOATING)
def test_integers_alone_become_float64_where_fractions_come_out(fn):
    x = np.arange(32, dtype=np.uint8).reshape(1, 4, 4, 2)
    y = fn(Tensor(x))
    assert y.dtype == np.float64
    np.testing.assert_array_equal(y.data, fn(Tensor(x.astype(float))).data)


def test_integers_alone_stay_integers_elsewhere():
    x = Tensor(np.arange(6, dtype=np.int32))
    for y in (x + x, ag.sum(x), ag.max(x), x[1:], ag.take(x, [0]), ag.where(x > 1, x, 0), -x):
        assert y.dtype.kind == "i"


@pytest.mark.parametrize("algorithm", [a for a in ALGORITHMS if a != "pointwise"])
@pytest.mark.parametrize(
    "dtypes", [("f4", int), (np.uint8, "f4"), (int, int), ("f2", "f4"), ("f8", "f4")]
)
def test_a_convolution_is_the_same_by_every_algorithm(algorithm, dtypes):
    """Winograd's matrix was cast to integers: 0 everywhere."""
    x, w = np.ones((1, 8, 8, 1), dtypes[0]), np.ones((3, 3, 1, 1), dtypes[1])
    y = ag.conv2d(x, w, None, 1, 1, algorithm=algorithm).data
    np.testing.assert_allclose(y[0, 1:-1, 1:-1], 9, rtol=1e-6)
    np.testing.assert_allclose(y[0, 0, 0], 4, rtol=1e-6)


def test_float16_sums_do_not_overflow():
    """Batch norm of 70,000 equal values was NaN."""
    x = np.full((70_000, 1), 7, np.float16)
    one, zero = np.ones(1, np.float16), np.zeros(1, np.float16)
    running = zero.copy(), one.copy()
    y, gradients, _ = forward_backward(
        lambda *a: ag.batch_norm(*a, *running, True), [x, one, zero], np.full_like(x, 1e-3)
    )
    np.testing.assert_array_equal(y, 0)
    assert all(np.isfinite(gx).all() for gx in gradients)
    np.testing.assert_allclose(running, [[0.7], [0.9]], rtol=1e-3)
    assert ag.mean(x).data == 7
    assert ag.global_avg_pool2d(x.reshape(1, 700, 100, 1)).data == 7


@pytest.mark.parametrize("number", ["1", np.str_("1"), 1j, np.complex64(1), None])
def test_what_is_no_real_number_is_refused(number):
    with pytest.raises(TypeError):
        Tensor(np.ones(2, np.float32)) * number


def test_a_number_takes_the_dtype_wherever_it_stands():
    ints, floats = np.ones(2, int), np.ones(2, np.float32)
    assert ag.concatenate([[1], ints, floats]).dtype == np.float32
    assert ag.conv2d(np.ones((1, 1, 1, 1), int), np.ones((1, 1, 1, 1), "f4")).dtype == np.float32
