"""The checker, checked: right gradients pass, wrong ones are found and named."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinybar as tb
from tinybar import GradientError, Tensor, gradcheck
from tinybar import autograd as ag
from tinybar.autograd import Primitive
from tinybar.autograd.check import FULL_JACOBIAN

from .common import seeds


def cube(wrong_at=None, by=0.0005):
    """x^3 with a gradient that is off by the fraction `by`, in one entry or everywhere."""

    def cube_of(x):
        def pullback(gy):
            gx = gy * 3 * x**2
            if wrong_at is None:
                gx *= 1 + by
            else:
                gx[wrong_at] *= 1 + by
            return gx

        return x**3, pullback

    return Primitive(cube_of, 1)


SMALL, LARGE = (3, 4), (20, 30, 10)


def points(shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 1.5, shape)


def test_the_two_shapes_are_checked_in_both_ways():
    assert np.prod(SMALL) ** 2 <= FULL_JACOBIAN < np.prod(LARGE)


@pytest.mark.parametrize("shape", [(), (0,), SMALL, LARGE])
def test_right_gradients_pass(shape):
    assert gradcheck(cube(by=0), [points(shape)]) <= 1e-6


@pytest.mark.parametrize("shape", [(), SMALL, LARGE])
@pytest.mark.parametrize("total", [False, True], ids=["elementwise", "summed"])
@given(seed=seeds)
def test_an_error_of_a_twentieth_percent_is_found(shape, total, seed):
    fn = (lambda x: ag.sum(cube()(x))) if total else cube()
    with pytest.raises(GradientError, match="analytic"):
        gradcheck(fn, [points(shape, seed)], seed=seed)


@pytest.mark.parametrize("shape", [SMALL, LARGE])
@pytest.mark.parametrize("total", [False, True], ids=["elementwise", "summed"])
@given(data=st.data(), seed=seeds)
def test_an_error_in_one_entry_is_found_and_named(shape, total, data, seed):
    at = tuple(data.draw(st.integers(0, n - 1)) for n in shape)
    wrong = cube(at)
    x = points(shape, seed)
    with pytest.raises(GradientError) as caught:
        gradcheck((lambda x: ag.sum(wrong(x))) if total else wrong, [x], seed=seed)
    text = str(caught.value)
    assert f"input 0, index {at}" in text
    assert 1e-6 < caught.value.relative < 1e-3
    analytic, numeric = (
        float(re.search(f"{which} (-?[0-9.e+-]+)", text)[1]) for which in ("analytic", "numeric")
    )
    np.testing.assert_allclose(analytic / numeric, 1.0005, rtol=1e-6)


def test_the_input_is_named():
    wrong = cube(by=0.01)
    with pytest.raises(GradientError, match=r"input 1, index \(0,\)"):
        gradcheck(lambda a, b: a * wrong(b), [np.ones(2), np.ones(2)])


def test_classic_mistakes_that_a_cotangent_of_ones_lets_through():
    def softmax_of_zeros(x):
        y = np.exp(x) / np.exp(x).sum()
        return y, lambda gy: 0 * gy

    with pytest.raises(GradientError):
        gradcheck(Primitive(softmax_of_zeros, 1), [points((60,))])


def test_an_error_that_cancels_in_the_sum_is_found():
    """One entry too large, one too small by the same amount."""

    def twice(x):
        def pullback(gy):
            gx = 2 * gy
            gx[0, 0, 0] += 0.01
            gx[3, 2, 1] -= 0.01
            return gx

        return 2 * x, pullback

    with pytest.raises(GradientError, match=r"index \((0, 0, 0|3, 2, 1)\)"):
        gradcheck(lambda x: ag.sum(Primitive(twice, 1)(x)), [points(LARGE)])


@pytest.mark.parametrize("shape", [SMALL, LARGE])
def test_gradients_that_are_no_numbers_are_found(shape):
    def nowhere(x):
        return x * 1, lambda gy: gy * np.nan

    with pytest.raises(GradientError, match="analytic nan"):
        gradcheck(Primitive(nowhere, 1), [points(shape)])


def test_a_gradient_of_the_wrong_shape_is_found():
    def summed(x):
        return x.sum(keepdims=True), lambda gy: gy

    with pytest.raises(GradientError, match=r"gradient of shape \(1,\)"):
        gradcheck(Primitive(summed, 1), [np.ones(3)])


def test_a_modified_input_is_found():
    def greedy(x):
        x += 1
        return x * 2, lambda gy: 2 * gy

    with pytest.raises(GradientError, match="input 0 was modified"):
        gradcheck(Primitive(greedy, 1), [np.ones(3)])


def test_lost_precision_is_found():
    with pytest.raises(GradientError, match="float64 inputs gave float32"):
        gradcheck(lambda x: Tensor(x.data.astype(np.float32)), [np.ones(3)])


def test_a_constant_is_found():
    with pytest.raises(GradientError, match="does not depend"):
        gradcheck(lambda x: Tensor(np.ones(2)), [np.ones(3)])


def test_an_input_without_influence_has_gradient_zero():
    assert gradcheck(lambda a, b: a * 2, [np.ones(3), np.ones(2)]) < 1e-6


@pytest.mark.parametrize("inputs", [[], [np.arange(3)], np.arange(3)])
def test_something_must_be_differentiable(inputs):
    with pytest.raises(ValueError, match="floating-point input"):
        gradcheck(lambda *x: x[0], inputs)


def test_fn_must_give_a_tensor():
    with pytest.raises(TypeError, match="gives a Tensor, not float"):
        gradcheck(lambda x: 3.0, [np.ones(2)])


def test_inputs_of_every_type():
    for inputs in (np.ones(2), Tensor(np.ones(2)), [np.ones(2, np.float32)], (Tensor([1.0]),)):
        assert gradcheck(lambda x: ag.exp(x), inputs) < 1e-6
    x = Tensor(np.ones(2), requires_grad=True)
    gradcheck(lambda x, i: ag.take(x, i.data, 0), [x, np.array([1, 1])])
    assert x.grad is None


def test_tolerances_are_what_decides():
    wrong, x = cube(by=1e-4), [np.ones(3)]
    gradcheck(wrong, x, rtol=1e-3)
    gradcheck(wrong, x, rtol=0, atol=1e-3)
    with pytest.raises(GradientError):
        gradcheck(wrong, x, rtol=1e-5, atol=0)
    with pytest.raises(GradientError):
        gradcheck(lambda x: ag.exp(x), x, eps=0.1)


def test_a_whole_network():
    rng = np.random.default_rng(0)
    running = np.zeros(3), np.ones(3)

    def network(x, w1, gamma, beta, w2, b):
        h = ag.batch_norm(ag.conv2d(x, w1, padding=1), gamma, beta, *running, training=True)
        h = ag.global_avg_pool2d(ag.max_pool2d(ag.sigmoid(h), 2))
        return ag.cross_entropy(h @ w2 + b, np.array([0, 3, 1]))

    shapes = [(3, 6, 6, 2), (3, 3, 2, 3), (3,), (3,), (3, 4), (4,)]
    inputs = [rng.standard_normal(shape) for shape in shapes]
    assert tb.gradcheck(network, inputs) < 1e-6


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_inputs_that_are_not_finite_are_told(number):
    with pytest.raises(ValueError, match="input 1 holds NaN or infinity"):
        gradcheck(lambda a, b: a * b, [np.ones(2), np.array([1.0, number])])


@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_value_that_is_not_finite_is_told():
    with pytest.raises(GradientError, match="fn gives NaN or infinity at the inputs"):
        gradcheck(ag.log, [-np.ones(2)])


def test_a_random_function_is_told():
    rng = np.random.default_rng(0)
    with pytest.raises(GradientError, match="other values when it is called again: is it random"):
        gradcheck(lambda x: x * rng.random(3), [np.ones(3)])


@pytest.mark.parametrize("offset", [0.0, 3e-6, -6e-6])
@pytest.mark.parametrize("n", [3, 3000])
def test_a_kink_is_told(offset, n):
    x = points((n,))
    x[1] = offset
    with pytest.raises(GradientError, match=r"index \(1,\).*below and .* above: a kink\?"):
        gradcheck(ag.relu, [x])


@given(seed=seeds)
def test_a_wrong_gradient_of_a_smooth_function_is_no_kink(seed):
    with pytest.raises(GradientError) as caught:
        gradcheck(cube(), [points(SMALL, seed)])
    assert "kink" not in str(caught.value)


@pytest.mark.parametrize("where", ["forward", "backward"])
def test_another_input_that_was_modified_is_named(where):
    def greedy(a, b):
        def pullback(gy):
            if where == "backward":
                b[0] = 9
            return gy, 0 * gy

        if where == "forward":
            b += 1
        return a * 1, pullback

    with pytest.raises(GradientError, match="input 1 was modified"):
        gradcheck(Primitive(greedy, 2), [np.ones(3), np.ones(3)])


def test_too_few_gradients_are_told_with_the_name():
    def pair(a, b):
        return a * b, lambda gy: (gy * b,)

    def product(a, b):
        return a * b, (lambda gy: gy * b,)

    def missing(a, b):
        return a * b, lambda gy: (gy * b, None)

    inputs = [np.ones(2), np.ones(2)]
    with pytest.raises(TypeError, match="the pullback of 'pair' gave 1 gradients of 2"):
        gradcheck(Primitive(pair, 2), inputs)
    with pytest.raises(TypeError, match="'product' returned 1 pullbacks for 2 inputs"):
        gradcheck(Primitive(product, 2), inputs)
    with pytest.raises(TypeError, match="the pullback of 'missing' gave no gradient where one is"):
        gradcheck(Primitive(missing, 2), inputs)


@pytest.mark.parametrize("shape", [(), SMALL, LARGE])
def test_a_pullback_that_rounds_to_float32_is_found(shape):
    def rounded(x):
        return x**3, lambda gy: (gy * 3 * x**2).astype(np.float32).astype(float)

    with pytest.raises(GradientError, match=r"not linear .* float32\?") as caught:
        gradcheck(lambda x: 2.0 * Primitive(rounded, 1)(x), [points(shape)])
    assert 1e-9 < caught.value.relative < 1e-6


def test_what_is_not_found_as_the_documentation_says():
    """One entry of 100,000 by less than 2 rtol |gx|; a gradient below atol. A smaller rtol does."""
    x = np.random.default_rng(0).choice(
        [-1.0, 1.0], 100_000
    )  # |3 x^2| = 949: 0.06 % of one is 2e-6
    for by, is_found in ((3e-4, False), (7e-4, True)):
        assert raises(lambda by=by: gradcheck(lambda x: ag.sum(cube((7,), by)(x)), [x])) == is_found
    assert raises(lambda: gradcheck(lambda x: ag.sum(cube((7,), 3e-4)(x)), [x], rtol=1e-7))
    small = lambda x: 1e-10 * cube(by=1)(x)  # noqa: E731
    assert not raises(lambda: gradcheck(small, [np.ones(3)]))
    assert raises(lambda: gradcheck(lambda x: 1e10 * small(x), [np.ones(3)]))


def raises(check) -> bool:
    try:
        check()
    except GradientError:
        return True
    return False
