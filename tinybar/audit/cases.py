"""A case for every primitive: problems with shapes, strides, axes and values drawn at random."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .. import autograd as ag
from ..runtime.arrays import to_device, to_numpy
from .problems import (
    Problem,
    a_shape,
    away,
    binary,
    broadcasting,
    case,
    positive,
    probabilities,
    spaced,
    unary,
)

# --- element by element -----------------------------------------------------------------------

case("add")(binary(ag.add, away, away))
case("subtract")(binary(ag.subtract, away, away))
case("divide")(binary(ag.divide, away, lambda rng, *s: away(rng, *s, least=0.5)))
case("negative")(unary(ag.negative, away))
case("exp")(unary(ag.exp, away))
case("log")(unary(ag.log, positive))
case("sqrt")(unary(ag.sqrt, positive))
case("relu")(unary(ag.relu, away))
case("probability_active")(unary(ag.probability_active, lambda rng, *s: away(rng, *s, most=4)))


@case("multiply")
def _(rng):
    yield from binary(ag.multiply, away, away)(rng)
    yield Problem("x times itself", lambda x: ag.multiply(x, x), (away(rng, 3, 2),))


@case("power")
def _(rng):
    for p in (0, 1, 2, 3, -1, -2):
        yield Problem(f"p = {p}", lambda x, p=p: ag.power(x, p), (away(rng, 2, 3, least=0.5),))
    for p in (0.5, -1.5, 2.25):
        yield Problem(f"p = {p}", lambda x, p=p: ag.power(x, p), (positive(rng, 3, 2),))


@case("sigmoid")
def _(rng):
    yield from unary(ag.sigmoid, away)(rng)
    yield Problem("large |x|", ag.sigmoid, (away(rng, 6, least=4, most=8),))


@case("clip")
def _(rng):
    lo, hi = -0.7, 0.9
    outside = np.array([-1.5, -0.8, 1.0, 2.0])
    inside = rng.uniform(lo + 0.1, hi - 0.1, (3, 4))
    x = rng.permuted(np.concatenate([inside.reshape(-1), outside])).reshape(4, 4)
    yield Problem("inside and outside", lambda x: ag.clip(x, lo, hi), (x,))


@case("maximum")
def _(rng):
    for a, b in broadcasting(rng):
        n, m = (int(np.prod(shape)) for shape in (a, b))
        values = spaced(rng, n + m)  # no entry of a is within 0.1 of one of b
        inputs = values[:n].reshape(a), values[n:].reshape(b)
        yield Problem(f"shapes {a} and {b}", ag.maximum, inputs)


@case("_select")
def _(rng):
    for a, b in broadcasting(rng):
        condition = rng.random(np.broadcast_shapes(a, b)) < 0.5
        condition = np.asarray(condition)
        condition.reshape(-1)[:1] = True
        yield Problem(
            f"shapes {a} and {b}",
            lambda x, y, where=condition: ag.where(to_device(where), x, y),
            (away(rng, *a), away(rng, *b)),
        )
    yield Problem(
        "nowhere true",
        lambda x, y: ag.where(to_device(np.zeros((2, 2), bool)), x, y),
        (away(rng, 2, 2), away(rng, 2, 2)),
    )


# --- gates ------------------------------------------------------------------------------------


@case("hard_concrete")
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
    yield Problem("sampled", lambda x: ag.hard_concrete(x, epsilon=epsilon), (log_alpha,))
    yield Problem(
        "at the mean noise",
        lambda x: ag.hard_concrete(x, epsilon=0.5),
        (rng.permutation(np.array([-4.0, -2.0, -1.2, -0.5, 0.0, 0.4, 1.2, 2.0, 4.0])),),
    )


# --- products ---------------------------------------------------------------------------------


@case("matmul")
def _(rng):
    m, k, n, b = (int(size) for size in rng.integers(2, 5, 4))
    for a_lead, b_lead in (((), ()), ((b,), ()), ((), (b,)), ((2, 1), (b,)), ((b,), (b,))):
        a, c = away(rng, *a_lead, m, k), away(rng, *b_lead, k, n)
        yield Problem(f"shapes {a.shape} and {c.shape}", ag.matmul, (a, c))


# Which kernels an algorithm of conv2d can compute: (kernel, stride, padding) at choice.
GEOMETRIES = {
    "auto": [((3, 3), 1, 1), ((1, 1), 2, 0), ((2, 3), (2, 1), (0, 2)), ((1, 1), 1, 1)],
    "reference": [((3, 3), 1, 1), ((3, 2), (1, 2), (2, 1)), ((1, 1), 1, 0)],
    "gather": [((3, 3), 1, 1), ((3, 3), 2, 1), ((2, 2), 1, 2), ((3, 1), (2, 3), (1, 0))],
    "pointwise": [((1, 1), 1, 0), ((1, 1), (2, 3), 0)],
    "winograd": [((3, 3), 1, 1), ((3, 3), 1, 0), ((3, 3), 1, (2, 1))],
}


@case("conv2d")
def _(rng):
    for algorithm in ag.conv.ALGORITHMS:
        for kernel, stride, padding in GEOMETRIES[algorithm]:
            h, w = (int(n) for n in rng.integers(3, 6, 2))
            n, c_in, c_out = (int(n) for n in rng.integers(1, 4, 3))
            x, weight = away(rng, n, h, w, c_in), away(rng, *kernel, c_in, c_out)
            bias = (away(rng, c_out),) if rng.random() < 0.7 or algorithm == "auto" else ()
            yield Problem(
                f"{algorithm}, x {x.shape}, weight {weight.shape}, stride {stride}, "
                f"padding {padding}, {'with' if bias else 'without'} bias",
                lambda *a, s=stride, p=padding, f=algorithm: ag.conv2d(
                    *a, stride=s, padding=p, algorithm=f
                ),
                (x, weight, *bias),
            )
    yield Problem(
        "along random directions",
        lambda x, w, b: ag.conv2d(x, w, b, stride=2, padding=1),
        (away(rng, 2, 9, 8, 4), away(rng, 3, 3, 4, 5), away(rng, 5)),
    )


# --- batch norm and softmax -------------------------------------------------------------------


@case("batch_norm")
def _(rng):
    for lead, training in (
        ((2, 3, 2), True),
        ((7,), True),
        ((3, 6, 5), True),
        ((2, 2, 3), False),
        ((1,), False),
    ):
        c = int(rng.integers(2, 5))
        x = 1.5 * rng.standard_normal((*lead, c)) + 0.5
        running = to_device(away(rng, c)), to_device(positive(rng, c))
        yield Problem(
            f"{'training' if training else 'evaluation'}, x {x.shape}",
            lambda x, g, b, r=running, t=training: ag.batch_norm(x, g, b, *r, training=t),
            (x, away(rng, c), away(rng, c)),
        )


@case("batch_norm_relu")
def _(rng):
    for lead, training in (((2, 3, 2), True), ((7,), True), ((2, 2, 3), False), ((1,), False)):
        c = int(rng.integers(2, 5))
        running = to_device(away(rng, c)), to_device(positive(rng, c))
        # Two clusters of x, at equal distances from their mean, and a small beta: no y is near 0.
        x = 2 * _signs_of_mean_zero(rng, lead, c) + 0.2 * rng.standard_normal((*lead, c))
        if not training:
            x = x * np.sqrt(to_numpy(running[1])) + to_numpy(running[0])
        yield Problem(
            f"{'training' if training else 'evaluation'}, x {x.shape}",
            lambda x, g, b, r=running, t=training: ag.batch_norm_relu(x, g, b, *r, training=t),
            (x, away(rng, c, least=1.0), away(rng, c, least=0.1, most=0.2)),
        )


def _signs_of_mean_zero(rng, lead, c):
    """+1 and -1 in about equal numbers per channel, in random order: (*lead, c)."""
    signs = np.resize([1.0, -1.0], (int(np.prod(lead)), c))
    signs[1::2] = -signs[0::2][: len(signs[1::2])]
    return rng.permutation(signs).reshape(*lead, c)


def _softmax_case(fn):
    def problems(rng):
        for shape, axis in (((4,), -1), ((2, 5), -1), ((3, 2), 0), ((2, 3, 2), 1), ((1, 1), 1)):
            x = 2 * rng.standard_normal(shape)
            yield Problem(f"shape {shape}, axis {axis}", lambda x, a=axis: fn(x, a), (x,))
        x = rng.standard_normal(4) + 500  # overflows unless the largest is subtracted
        yield Problem("large logits", lambda x: fn(x, -1), (x,))

    return problems


case("softmax")(_softmax_case(ag.softmax))
case("log_softmax")(_softmax_case(ag.log_softmax))
case("logsumexp")(_softmax_case(ag.logsumexp))


@case("cross_entropy")
def _(rng):
    for n, k in ((1, 2), (3, 4), (5, 3)):
        logits = 2 * rng.standard_normal((n, k))
        yield Problem(f"{n} labels of {k}", ag.cross_entropy, (logits, rng.integers(0, k, n)))
        yield Problem(
            f"{n} x {k} probabilities", ag.cross_entropy, (logits, probabilities(rng, n, k))
        )
    yield Problem("rows that do not sum to 1", ag.cross_entropy, (away(rng, 3, 2), away(rng, 3, 2)))


# --- pooling and reductions -------------------------------------------------------------------


def _windows(rng) -> Iterator[tuple[str, dict, tuple[int, ...]]]:
    for kernel, stride, padding in ((2, None, 0), (3, 2, 1), ((2, 3), (1, 2), (1, 0)), (3, 1, 1)):
        n, c = (int(size) for size in rng.integers(1, 3, 2))
        h, w = (int(size) for size in rng.integers(3, 6, 2))
        options = {"kernel": kernel, "stride": stride, "padding": padding}
        yield f"x {(n, h, w, c)}, {options}", options, (n, h, w, c)


@case("max_pool2d")
def _(rng):
    for text, options, shape in _windows(rng):
        yield Problem(text, lambda x, o=options: ag.max_pool2d(x, **o), (spaced(rng, *shape),))


@case("avg_pool2d")
def _(rng):
    for text, options, shape in _windows(rng):
        yield Problem(text, lambda x, o=options: ag.avg_pool2d(x, **o), (away(rng, *shape),))


@case("global_avg_pool2d")
def _(rng):
    for _ in range(3):
        shape = a_shape(rng, 4)
        yield Problem(f"x {shape}", ag.global_avg_pool2d, (away(rng, *shape),))


def _reduction_case(fn, values):
    def problems(rng):
        shape = tuple(int(n) for n in rng.integers(2, 4, 3))
        for axis in (None, 0, -1, (0, 2), (1, -3), ()):
            for keepdims in (False, True):
                yield Problem(
                    f"shape {shape}, axis {axis}, keepdims {keepdims}",
                    lambda x, a=axis, k=keepdims: fn(x, axis=a, keepdims=k),
                    (values(rng, *shape),),
                )
        yield Problem("a scalar", fn, (values(rng),))

    return problems


case("sum")(_reduction_case(ag.sum, away))
case("mean")(_reduction_case(ag.mean, away))
case("max")(_reduction_case(ag.max, spaced))


# --- arrangement and selection ----------------------------------------------------------------


@case("reshape")
def _(rng):
    for before, after in (((2, 6), (3, 4)), ((4, 3), (2, -1)), ((1,), ()), ((2, 3), (6,))):
        yield Problem(
            f"{before} to {after}", lambda x, s=after: ag.reshape(x, s), (away(rng, *before),)
        )


@case("transpose")
def _(rng):
    for axes in (None, (1, 2, 0), (2, 0, 1), (0, -1, 1)):
        shape = a_shape(rng, 3)
        yield Problem(
            f"{shape}, axes {axes}", lambda x, a=axes: ag.transpose(x, a), (away(rng, *shape),)
        )


@case("_concatenate")
def _(rng):
    for axis, extents in ((0, (1, 2)), (1, (2, 1, 3)), (-1, (2,)), (-2, (1, 1))):
        shapes = [tuple(n if a == axis % 3 else 2 for a in range(3)) for n in extents]
        yield Problem(
            f"shapes {shapes}, axis {axis}",
            lambda *xs, a=axis: ag.concatenate(xs, a),
            tuple(away(rng, *shape) for shape in shapes),
        )


@case("pad")
def _(rng):
    for width in (((1, 0), (0, 2)), 1, ((0, 0), (0, 0))):
        shape = a_shape(rng, 2)
        yield Problem(f"{shape} by {width}", lambda x, w=width: ag.pad(x, w), (away(rng, *shape),))


@case("getitem")
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
        yield Problem(text, lambda x, i=index: x[i], (away(rng, 4, 3),))


@case("take")
def _(rng):
    for index, axis in (([2, 0], -1), ([1, 1, 3], 0), ([-1, 0, -1], 1), ([1, 2], 1), ([], 0)):
        yield Problem(
            f"entries {index} of axis {axis}",
            lambda x, i=index, a=axis: ag.take(x, i, a),
            (away(rng, 4, 3),),
        )


@case("scatter_add")
def _(rng):
    for index, axis in (([2, 0], -1), ([1, 1, 3], 0), ([-1, 0], 1), ([1, 2], 1), ([], 0)):
        shape = (len(index), 3) if axis == 0 else (4, len(index))
        yield Problem(
            f"to entries {index} of axis {axis}",
            lambda x, d, i=index, a=axis: ag.scatter_add(x, d, i, a),
            (away(rng, 4, 3), away(rng, *shape)),
        )
