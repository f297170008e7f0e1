"""The registry and the calling convention, and what holds for every primitive alike."""

import inspect
import itertools
import weakref

import numpy as np
import pytest
from hypothesis import given, settings

from tinybar import Tensor, no_grad
from tinybar import autograd as ag
from tinybar.audit.gradients import problems_of
from tinybar.autograd import PRIMITIVES, Primitive, primitive
from tinybar.autograd.primitive import unbroadcast
from tinybar.runtime import arrays

from .common import forward_backward, seeds

NAMES = sorted(PRIMITIVES)


def test_every_public_function_is_there():
    for name, made in PRIMITIVES.items():
        assert made.name == name
        assert made.__doc__, name
        assert repr(made) == f"<primitive {name}>"
    assert {n for n in NAMES if not n.startswith("_")} <= set(vars(ag))


def test_no_name_twice():
    with pytest.raises(ValueError, match="'exp' exists already"):

        @primitive(inputs=1)
        def exp(x):
            return x, lambda gy: gy


def test_operands_by_name_and_by_position():
    x, w, b = np.ones((1, 2, 2, 1)), np.ones((1, 1, 1, 1)), np.ones(1)
    for out in (
        ag.conv2d(x, w, b),
        ag.conv2d(x, bias=b, weight=w),
        ag.conv2d(x=x, weight=w, bias=b),
    ):
        np.testing.assert_array_equal(out.data, 2)
    assert ag.conv2d(x, w, None).data.max() == 1


def test_missing_and_surplus_operands():
    with pytest.raises(TypeError, match="conv2d needs an array 'weight'"):
        ag.conv2d(np.ones((1, 2, 2, 1)))
    with pytest.raises(TypeError, match="exp needs an array 'x'"):
        ag.exp(None)
    with pytest.raises(TypeError):
        ag.exp(1.0, 2.0)
    with pytest.raises(TypeError):
        ag.exp(1.0, wrong=2)


def test_only_what_needs_a_gradient_is_asked_for():
    asked = []

    def product(a, b):
        return a * b, (lambda gy: asked.append("a") or gy * b, lambda gy: asked.append("b"))

    made = Primitive(product, 2)
    x, c = Tensor([2.0], requires_grad=True), Tensor([3.0])
    made(x, c).backward()
    assert asked == ["a"]
    assert (x.grad.tolist(), c.grad) == ([3.0], None)


def test_an_input_behind_the_options_is_given_by_name():
    """Or left out, and gets no gradient then."""

    def scaled(x, power, *, gate=None):
        z = 1 if gate is None else gate
        return z * x**power, lambda gy: (
            gy * z * power * x ** (power - 1),
            None if gate is None else gy * x**power,
        )

    made = Primitive(scaled, 1, named=("gate",))
    assert (made.inputs, made.input_names, made.optional) == (2, ("x", "gate"), {"gate"})
    x, z = Tensor([2.0], requires_grad=True), Tensor([5.0], requires_grad=True)
    made(x, 3, gate=z).backward()
    assert (x.grad.tolist(), z.grad.tolist()) == ([60.0], [8.0])
    x.grad = None
    made(x, power=3).backward()
    assert x.grad.tolist() == [12.0]


def test_a_shared_pullback_receives_needs():
    asked = []

    def product(a, b, *, needs=(True, True)):
        asked.append(needs)
        return a * b, lambda gy: (gy * b if needs[0] else None, gy * a if needs[1] else None)

    made = Primitive(product, 2)
    x, c = Tensor([2.0], requires_grad=True), Tensor([3.0])
    made(x, c).backward()
    made(c, c)
    with no_grad():
        made(x, x)
    assert asked == [(True, False), (False, False), (False, False)]
    assert (x.grad.tolist(), c.grad) == ([3.0], None)


@pytest.mark.parametrize(
    ("fn", "kept"),
    [
        (ag.add, ""),
        (ag.multiply, "b"),
        (ag.divide, "b"),
        (ag.matmul, "b"),
        (ag.maximum, ""),
        (lambda a, b: ag.sum(a), ""),
        (lambda a, b: ag.take(a, [1, 0]), ""),
        (lambda a, b: ag.avg_pool2d(ag.reshape(a, (1, 2, 2, 1)), 2), ""),
    ],
)
def test_the_tape_keeps_what_the_closures_in_use_captured(fn, kept):
    """b needs no gradient: its closure is dropped, and with it what that closure alone captured."""
    arrays = {"a": np.full((2, 2), 3.0), "b": np.full((2, 2), 5.0)}
    y = fn(Tensor(arrays["a"], requires_grad=True), Tensor(arrays["b"]))
    found = {name: weakref.ref(array) for name, array in arrays.items()}
    del arrays
    assert {name for name, array in found.items() if array() is not None} == set(kept)
    assert y.requires_grad


@pytest.mark.parametrize("name", [n for n in NAMES if PRIMITIVES[n].inputs != 1])
def test_needs_changes_no_gradient(name):
    """With any subset of the inputs constant, the others' gradients stay the same."""
    for _, fn, inputs in problems_of(name):
        floats = [a.dtype.kind == "f" for a in inputs]
        _, complete, gy = forward_backward(fn, inputs)
        complete = iter(complete)
        expected = [next(complete) if is_float else None for is_float in floats]
        for chosen in itertools.product(*[(False, True) if f else (False,) for f in floats]):
            if not any(chosen):
                continue
            tensors = [Tensor(a, c) for a, c in zip(inputs, chosen, strict=True)]
            fn(*tensors).backward(gy)
            for t, c, e in zip(tensors, chosen, expected, strict=True):
                if c:
                    np.testing.assert_allclose(t.grad, e, rtol=1e-12, atol=1e-14)
                else:
                    assert t.grad is None


@pytest.mark.parametrize("name", NAMES)
def test_float32_in_float32_out(name):
    """No silent promotion, and the values of float64 to the precision of float32."""
    for text, fn, inputs in problems_of(name):
        low = [a.astype(np.float32) if a.dtype == float else a for a in inputs]
        high = [a.astype(float) if a.dtype == np.float32 else a for a in low]
        y, gradients, gy = forward_backward(fn, high)
        y32, gradients32, _ = forward_backward(fn, low, gy)
        if name.startswith("batch_norm") and "training" in text:
            continue  # its running arrays moved on between the two
        for expected, got in zip([y, *gradients], [y32, *gradients32], strict=True):
            assert got.dtype == np.float32, text
            np.testing.assert_allclose(
                got, expected, rtol=2e-4, atol=2e-5 * max(1, abs(expected).max(initial=0))
            )


@pytest.mark.parametrize("name", NAMES)
def test_pullbacks_keep_float32(name, monkeypatch):
    """Already the pullback's gradients have their arrays' shape and dtype, before a leaf's cast."""
    checked = []

    def checking(closures, arrays, needs):
        made_pullback = pullback(closures, arrays, needs)

        def check(gy):
            gradients = made_pullback(gy)
            for x, gx, need in zip(arrays, gradients, needs, strict=True):
                if need:
                    assert (gx.shape, gx.dtype) == (x.shape, np.float32)
                    checked.append(gx)
            return gradients

        return check

    pullback = PRIMITIVES[name].pullback
    monkeypatch.setattr(PRIMITIVES[name], "pullback", checking)
    for _, fn, inputs in problems_of(name):
        low = [a.astype(np.float32) if a.dtype == float else a for a in inputs]
        forward_backward(fn, low)
    assert checked


@pytest.mark.parametrize("name", NAMES)
def test_memory_layout_does_not_matter(name):
    """The same for arrays in Fortran's order, with negative strides, and read only."""

    def reversed_in_memory(a):
        flipped = tuple(slice(None, None, -1) for _ in a.shape)
        return a[flipped].copy()[flipped]

    def read_only(a):
        a = np.array(a)
        a.flags.writeable = False
        return a

    for text, fn, inputs in problems_of(name):
        if name.startswith("batch_norm") and "training" in text:
            continue  # tested in test_norm: its running arrays move on
        y, gradients, gy = forward_backward(fn, inputs)
        for layout in (np.asfortranarray, reversed_in_memory, read_only):
            y2, gradients2, _ = forward_backward(
                fn,
                [layout(a).reshape(a.shape) for a in inputs],
                layout(gy).reshape(gy.shape),
            )
            for expected, got in zip([y, *gradients], [y2, *gradients2], strict=True):
                np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-12)


LINEAR = [
    "add", "subtract", "negative", "reshape", "transpose", "_concatenate", "pad", "getitem",
    "take", "scatter_add", "sum", "mean", "avg_pool2d", "global_avg_pool2d", "_select",
]  # fmt: skip


@pytest.mark.parametrize("name", LINEAR)
@settings(max_examples=10)
@given(seed=seeds)
def test_the_pullback_of_a_linear_map_is_its_transpose(name, seed):
    """<A x, gy> = <x, A^T gy>, with A^T gy the gradients."""
    for _, fn, inputs in problems_of(name, seed):
        y, gradients, gy = forward_backward(fn, inputs)
        inner = sum((x * gx).sum() for x, gx in zip(inputs, gradients, strict=True))
        np.testing.assert_allclose(inner, (y * gy).sum(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ["multiply", "matmul", "conv2d"])
@settings(max_examples=10)
@given(seed=seeds)
def test_the_pullbacks_of_a_bilinear_map_are_its_transposes(name, seed):
    """For every factor: <f(x, w), gy> = <x, gx> = <w, gw>."""
    for _, fn, inputs in problems_of(name, seed):
        if len(inputs) != 2:
            continue  # with a bias: see test_conv
        y, gradients, gy = forward_backward(fn, inputs)
        for x, gx in zip(inputs, gradients, strict=True):
            np.testing.assert_allclose((x * gx).sum(), (y * gy).sum(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("shape", "to"),
    [
        ((3,), (2, 3)),
        ((1, 3), (2, 3)),
        ((2, 1, 1), (2, 4, 3)),
        ((), (2, 2)),
        ((2, 3), (2, 3)),
        ((1,), (0,)),
    ],
)
def test_unbroadcast_is_the_transpose_of_broadcasting(shape, to):
    rng = np.random.default_rng(0)
    x, g = rng.standard_normal(shape), rng.standard_normal(to)
    back = unbroadcast(g, shape)
    assert back.shape == shape
    np.testing.assert_allclose((np.broadcast_to(x, to) * g).sum(), (x * back).sum(), atol=1e-12)


@pytest.mark.gpu
@pytest.mark.parametrize("name", NAMES)
def test_the_gpu_computes_the_same(name):
    expected = [
        forward_backward(fn, inputs)
        for _, fn, inputs in problems_of(name)
        if not name.startswith("batch_norm")
    ]  # batch norm's problems hold arrays of one device; its audit runs on both
    arrays.use_device("gpu")
    for (_, fn, inputs), (y, gradients, gy) in zip(problems_of(name), expected, strict=False):
        y2, gradients2, _ = forward_backward_on_device(fn, inputs, gy)
        for e, got in zip([y, *gradients], [y2, *gradients2], strict=True):
            np.testing.assert_allclose(arrays.to_numpy(got), e, rtol=1e-9, atol=1e-10)


def forward_backward_on_device(fn, inputs, gy):
    tensors = [Tensor(arrays.to_device(a), a.dtype.kind == "f") for a in inputs]
    out = fn(*tensors)
    out.backward(arrays.to_device(gy))
    return out.data, [t.grad for t in tensors if t.requires_grad], gy


@pytest.mark.gpu
def test_arrays_of_two_devices_do_not_mix():
    host = Tensor(np.ones(2))
    arrays.use_device("gpu")
    there = Tensor(arrays.to_device(np.ones(2)))
    with pytest.raises(TypeError, match="two devices"):
        host + there


@pytest.mark.parametrize("name", [n for n in NAMES if PRIMITIVES[n].wants_needs])
def test_the_raw_function_gives_every_gradient_by_default(name):
    made = PRIMITIVES[name]
    assert inspect.signature(made.function).parameters["needs"].default == (True,) * made.inputs
