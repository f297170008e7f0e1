"""Where the gradient audit differentiates: shapes, strides, axes and values, drawn at random."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import autograd as ag
from ..autograd import PRIMITIVES
from ..runtime.arrays import to_device, to_numpy
from .gradients import (
    a_shape,
    away,
    binary,
    broadcasting,
    positive,
    probabilities,
    spaced,
    unary,
)

# --- element by element -----------------------------------------------------------------------

ag.add.problems(binary(ag.add, away, away))
ag.subtract.problems(binary(ag.subtract, away, away))
ag.divide.problems(binary(ag.divide, away, lambda rng, *s: away(rng, *s, least=0.5)))
ag.negative.problems(unary(ag.negative, away))
ag.exp.problems(unary(ag.exp, away))
ag.log.problems(unary(ag.log, positive))
ag.sqrt.problems(unary(ag.sqrt, positive))
ag.relu.problems(unary(ag.relu, away))
ag.normal_cdf.problems(unary(ag.normal_cdf, away))


@ag.raise_best.problems
def _(rng):
    x = away(rng, 7)
    slices = (slice(0, 3), slice(4, 7))
    for floor in (-3.0, 3.0):
        yield (f"to {floor}", lambda x, floor=floor: ag.raise_best(x, slices, floor), (x,))


ag.probability_open.problems(unary(ag.probability_open, lambda rng, *s: away(rng, *s, most=4)))


@ag.multiply.problems
def _(rng):
    yield from binary(ag.multiply, away, away)(rng)
    yield ("x times itself", lambda x: ag.multiply(x, x), (away(rng, 3, 2),))


@ag.power.problems
def _(rng):
    for p in (0, 1, 2, 3, -1, -2):
        yield (f"p = {p}", lambda x, p=p: ag.power(x, p), (away(rng, 2, 3, least=0.5),))
    for p in (0.5, -1.5, 2.25):
        yield (f"p = {p}", lambda x, p=p: ag.power(x, p), (positive(rng, 3, 2),))


@ag.sigmoid.problems
def _(rng):
    yield from unary(ag.sigmoid, away)(rng)
    yield ("large |x|", ag.sigmoid, (away(rng, 6, least=4, most=8),))


@ag.clip.problems
def _(rng):
    lo, hi = -0.7, 0.9
    outside = np.array([-1.5, -0.8, 1.0, 2.0])
    inside = rng.uniform(lo + 0.1, hi - 0.1, (3, 4))
    x = rng.permuted(np.concatenate([inside.reshape(-1), outside])).reshape(4, 4)
    yield ("inside and outside", lambda x: ag.clip(x, lo, hi), (x,))


@ag.maximum.problems
def _(rng):
    for a, b in broadcasting(rng):
        n, m = (int(np.prod(shape)) for shape in (a, b))
        values = spaced(rng, n + m)  # no entry of a is within 0.1 of one of b
        inputs = values[:n].reshape(a), values[n:].reshape(b)
        yield (f"shapes {a} and {b}", ag.maximum, inputs)


@PRIMITIVES["_select"].problems
def _(rng):
    for a, b in broadcasting(rng):
        condition = rng.random(np.broadcast_shapes(a, b)) < 0.5
        condition = np.asarray(condition)
        condition.reshape(-1)[:1] = True
        yield (
            f"shapes {a} and {b}",
            lambda x, y, where=condition: ag.where(to_device(where), x, y),
            (away(rng, *a), away(rng, *b)),
        )
    yield (
        "nowhere true",
        lambda x, y: ag.where(to_device(np.zeros((2, 2), bool)), x, y),
        (away(rng, 2, 2), away(rng, 2, 2)),
    )


# --- gates ------------------------------------------------------------------------------------


@ag.hard_concrete.problems
def _(rng):
    """Noise such that z is 0, inside (0, 1), and 1, never within 0.02 of a clamp."""
    beta, gamma, zeta = ag.gates.BETA, ag.gates.GAMMA, ag.gates.ZETA
    log_alpha = away(rng, 12, most=3)
    stretched = rng.permutation(
        np.concatenate([[-0.06, -0.03, 1.03, 1.06], np.linspace(0.03, 0.97, 8)])
    )
    s = (stretched - gamma) / (zeta - gamma)
    logit = beta * np.log(s / (1 - s)) - log_alpha  # of epsilon: Supp. Eq. 4 solved for it
    epsilon = 1 / (1 + np.exp(-logit))
    yield ("sampled", lambda x: ag.hard_concrete(x, epsilon=epsilon), (log_alpha,))
    yield (
        "at the mean noise",
        lambda x: ag.hard_concrete(x, epsilon=0.5),
        (rng.permutation(np.array([-4.0, -2.0, -1.2, -0.5, 0.0, 0.4, 1.2, 2.0, 4.0])),),
    )


# --- products ---------------------------------------------------------------------------------


@ag.matmul.problems
def _(rng):
    m, k, n, b = (int(size) for size in rng.integers(2, 5, 4))
    for a_lead, b_lead in (((), ()), ((b,), ()), ((), (b,)), ((2, 1), (b,)), ((b,), (b,))):
        a, c = away(rng, *a_lead, m, k), away(rng, *b_lead, k, n)
        yield (f"shapes {a.shape} and {c.shape}", ag.matmul, (a, c))


# Which kernels an algorithm of conv2d can compute: (kernel, stride, padding) at choice.
GEOMETRIES = {
    "auto": [((3, 3), 1, 1), ((1, 1), 2, 0), ((2, 3), (2, 1), (0, 2)), ((1, 1), 1, 1)],
    "reference": [((3, 3), 1, 1), ((3, 2), (1, 2), (2, 1)), ((1, 1), 1, 0)],
    "gather": [((3, 3), 1, 1), ((3, 3), 2, 1), ((2, 2), 1, 2), ((3, 1), (2, 3), (1, 0))],
    "pointwise": [((1, 1), 1, 0), ((1, 1), (2, 3), 0)],
    "winograd": [((3, 3), 1, 1), ((3, 3), 1, 0), ((3, 3), 1, (2, 1))],
}


@ag.conv2d.problems
def _(rng):
    for algorithm in ag.conv.ALGORITHMS:
        for kernel, stride, padding in GEOMETRIES[algorithm]:
            h, w = (int(n) for n in rng.integers(3, 6, 2))
            n, c_in, c_out = (int(n) for n in rng.integers(1, 4, 3))
            x, weight = away(rng, n, h, w, c_in), away(rng, *kernel, c_in, c_out)
            chosen = (rng.random(2) < 0.7) | (algorithm == "auto")
            names = np.array(["bias", "gate"])[chosen].tolist()

            def fn(x, weight, *more, names=names, **options):
                return ag.conv2d(x, weight, **dict(zip(names, more, strict=True)), **options)

            yield (
                f"{algorithm}, x {x.shape}, weight {weight.shape}, stride {stride}, "
                f"padding {padding}, with {' and '.join(names) or 'neither bias nor gate'}",
                functools.partial(fn, stride=stride, padding=padding, algorithm=algorithm),
                (x, weight, *[away(rng, c_out) for _ in names]),
            )
    yield (
        "along random directions",
        lambda x, w, b: ag.conv2d(x, w, b, stride=2, padding=1),
        (away(rng, 2, 9, 8, 4), away(rng, 3, 3, 4, 5), away(rng, 5)),
    )


# --- batch norm and softmax -------------------------------------------------------------------


@ag.batch_norm.problems
def _(rng):
    for lead, training, gated in (
        ((2, 3, 2), True, False),
        ((7,), True, True),
        ((3, 6, 5), True, True),
        ((2, 2, 3), False, True),
        ((1,), False, False),
    ):
        c = int(rng.integers(2, 5))
        x = 1.5 * rng.standard_normal((*lead, c)) + 0.5
        arrays = x, away(rng, c), away(rng, c)
        yield _normalised(rng, ag.batch_norm, arrays, training, gated, *_running(rng, c))


@ag.batch_norm_relu.problems
def _(rng):
    for lead, training, gated in (
        ((2, 3, 2), True, True),
        ((7,), True, False),
        ((2, 2, 3), False, True),
        ((1,), False, False),
    ):
        c = int(rng.integers(2, 5))
        mean, var = _running(rng, c)
        # Two clusters of x, at equal distances from their mean, and a small beta: no y is near 0.
        x = 2 * _signs_of_mean_zero(rng, lead, c) + 0.2 * rng.standard_normal((*lead, c))
        if not training:
            x = x * np.sqrt(to_numpy(var)) + to_numpy(mean)
        arrays = x, away(rng, c, least=1.0), away(rng, c, least=0.1, most=0.2)
        yield _normalised(rng, ag.batch_norm_relu, arrays, training, gated, mean, var)


def _running(rng, c):
    return to_device(away(rng, c)), to_device(positive(rng, c))


def _normalised(rng, norm, arrays, training, gated, *running):
    """A problem of batch norm, with a gate or without."""
    text = f"{'training' if training else 'evaluation'}, x {arrays[0].shape}"
    if gated:
        text, arrays = f"{text}, a gate", (*arrays, positive(rng, arrays[1].size))

    def fn(x, gamma, beta, gate=None):
        return norm(x, gamma, beta, *running, training=training, gate=gate)

    return text, fn, arrays


def _signs_of_mean_zero(rng, lead, c):
    """+1 and -1 in about equal numbers per channel, in random order: (*lead, c)."""
    signs = np.resize([1.0, -1.0], (int(np.prod(lead)), c))
    signs[1::2] = -signs[0::2][: len(signs[1::2])]
    return rng.permutation(signs).reshape(*lead, c)


def _softmax(fn):
    def problems(rng):
        for shape, axis in (((4,), -1), ((2, 5), -1), ((3, 2), 0), ((2, 3, 2), 1), ((1, 1), 1)):
            x = 2 * rng.standard_normal(shape)
            yield (f"shape {shape}, axis {axis}", lambda x, a=axis: fn(x, a), (x,))
        x = rng.standard_normal(4) + 500  # overflows unless the largest is subtracted
        yield ("large logits", lambda x: fn(x, -1), (x,))

    return problems


ag.softmax.problems(_softmax(ag.softmax))
ag.log_softmax.problems(_softmax(ag.log_softmax))
ag.logsumexp.problems(_softmax(ag.logsumexp))


@ag.cross_entropy.problems
def _(rng):
    for n, k in ((1, 2), (3, 4), (5, 3)):
        logits = 2 * rng.standard_normal((n, k))
        yield (f"{n} labels of {k}", ag.cross_entropy, (logits, rng.integers(0, k, n)))
        yield (f"{n} x {k} probabilities", ag.cross_entropy, (logits, probabilities(rng, n, k)))
    yield ("rows that do not sum to 1", ag.cross_entropy, (away(rng, 3, 2), away(rng, 3, 2)))


# --- pooling and reductions -------------------------------------------------------------------


def _windows(rng) -> Iterator[tuple[str, dict[str, Any], tuple[int, ...]]]:
    for kernel, stride, padding in ((2, None, 0), (3, 2, 1), ((2, 3), (1, 2), (1, 0)), (3, 1, 1)):
        n, c = (int(size) for size in rng.integers(1, 3, 2))
        h, w = (int(size) for size in rng.integers(3, 6, 2))
        options = {"kernel": kernel, "stride": stride, "padding": padding}
        yield f"x {(n, h, w, c)}, {options}", options, (n, h, w, c)


@ag.max_pool2d.problems
def _(rng):
    for text, options, shape in _windows(rng):
        yield (text, lambda x, o=options: ag.max_pool2d(x, **o), (spaced(rng, *shape),))


@ag.avg_pool2d.problems
def _(rng):
    for text, options, shape in _windows(rng):
        yield (text, lambda x, o=options: ag.avg_pool2d(x, **o), (away(rng, *shape),))


@ag.global_avg_pool2d.problems
def _(rng):
    for _ in range(3):
        shape = a_shape(rng, 4)
        yield (f"x {shape}", ag.global_avg_pool2d, (away(rng, *shape),))


def _reduction(fn, values):
    def problems(rng):
        shape = tuple(int(n) for n in rng.integers(2, 4, 3))
        for axis in (None, 0, -1, (0, 2), (1, -3), ()):
            for keepdims in (False, True):
                yield (
                    f"shape {shape}, axis {axis}, keepdims {keepdims}",
                    lambda x, a=axis, k=keepdims: fn(x, axis=a, keepdims=k),
                    (values(rng, *shape),),
                )
        yield ("a scalar", fn, (values(rng),))

    return problems


ag.sum.problems(_reduction(ag.sum, away))
ag.mean.problems(_reduction(ag.mean, away))
ag.max.problems(_reduction(ag.max, spaced))


# --- arrangement and selection ----------------------------------------------------------------


@ag.reshape.problems
def _(rng):
    for before, after in (((2, 6), (3, 4)), ((4, 3), (2, -1)), ((1,), ()), ((2, 3), (6,))):
        yield (f"{before} to {after}", lambda x, s=after: ag.reshape(x, s), (away(rng, *before),))


@ag.transpose.problems
def _(rng):
    for axes in (None, (1, 2, 0), (2, 0, 1), (0, -1, 1)):
        shape = a_shape(rng, 3)
        yield (f"{shape}, axes {axes}", lambda x, a=axes: ag.transpose(x, a), (away(rng, *shape),))


@PRIMITIVES["_concatenate"].problems
def _(rng):
    for axis, extents in ((0, (1, 2)), (1, (2, 1, 3)), (-1, (2,)), (-2, (1, 1))):
        shapes = [tuple(n if a == axis % 3 else 2 for a in range(3)) for n in extents]
        yield (
            f"shapes {shapes}, axis {axis}",
            lambda *xs, a=axis: ag.concatenate(xs, a),
            tuple(away(rng, *shape) for shape in shapes),
        )


@ag.pad.problems
def _(rng):
    for width in (((1, 0), (0, 2)), 1, ((0, 0), (0, 0))):
        shape = a_shape(rng, 2)
        yield (f"{shape} by {width}", lambda x, w=width: ag.pad(x, w), (away(rng, *shape),))


@ag.getitem.problems
def _(rng):
    several = to_device(np.array([0, 2, 2, -1]))
    mask = to_device(rng.permutation(np.array([True, False, True, True])))
    for text, index in (
        ("an integer", 1),
        ("slices", (slice(None, None, -2), slice(1, None))),
        ("a new axis", (None, Ellipsis, 0)),
        ("integers, one twice", several),
        ("integers beside a slice", (slice(1, 3), several)),
        ("a mask", mask),
    ):
        yield (text, lambda x, i=index: x[i], (away(rng, 4, 3),))


@ag.take.problems
def _(rng):
    for index, axis in (([2, 0], -1), ([1, 1, 3], 0), ([-1, 0, -1], 1), ([1, 2], 1), ([], 0)):
        yield (
            f"entries {index} of axis {axis}",
            lambda x, i=index, a=axis: ag.take(x, i, a),
            (away(rng, 4, 3),),
        )


@ag.scatter_add.problems
def _(rng):
    for index, axis in (([2, 0], -1), ([1, 1, 3], 0), ([-1, 0], 1), ([1, 2], 1), ([], 0)):
        shape = (len(index), 3) if axis == 0 else (4, len(index))
        yield (
            f"to entries {index} of axis {axis}",
            lambda x, d, i=index, a=axis: ag.scatter_add(x, d, i, a),
            (away(rng, 4, 3), away(rng, *shape)),
        )
