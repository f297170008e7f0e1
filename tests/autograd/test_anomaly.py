"""detect_anomaly names the first primitive whose output or gradient is not finite."""

import numpy as np
import pytest

from tinybar import Tensor, no_grad
from tinybar import autograd as ag
from tinybar.autograd import AnomalyError, Primitive, detect_anomaly


def leaf(*values):
    return Tensor(np.array(values), requires_grad=True)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_an_output(number):
    what = "NaN" if np.isnan(number) else "infinity"
    x, y = leaf(1.0, number), leaf(2.0, 3.0)
    with pytest.raises(AnomalyError) as caught, detect_anomaly(), no_grad():
        ag.exp(y * x)
    assert (caught.value.primitive, caught.value.stage) == ("multiply", "forward")
    assert str(caught.value) == (
        f"multiply, forward: {what} in the output, from a (2,), b (2,) (holds {what} already)"
    )


def test_an_output_of_good_inputs():
    text = r"^exp, forward: infinity in the output, from x \(1,\)$"
    with pytest.raises(AnomalyError, match=text), detect_anomaly(), np.errstate(over="ignore"):
        ag.exp(leaf(1e4)) * 0.0


def test_a_gradient():
    with detect_anomaly(), np.errstate(divide="ignore"):
        y = ag.sum(ag.sqrt(leaf(0.0, 1.0)) * 2.0)
        with pytest.raises(AnomalyError) as caught:
            y.backward()
    assert (caught.value.primitive, caught.value.stage) == ("sqrt", "pullback")
    assert str(caught.value) == (
        "sqrt, pullback: infinity in the gradient of 'x'; inputs x (2,); gy (2,)"
    )


def test_a_gradient_that_was_bad_before():
    with detect_anomaly():
        y = ag.concatenate([leaf(1.0), leaf(2.0)])
        with pytest.raises(AnomalyError, match=r"of 'input 1'; .*gy \(2,\) \(holds NaN already\)"):
            y.backward(np.array([1.0, np.nan]))


def test_a_bias_that_is_not_there_and_labels_are_no_anomaly():
    with detect_anomaly():
        y = ag.conv2d(np.ones((1, 2, 2, 3)), np.ones((1, 1, 3, 4)), None)
        ag.cross_entropy(ag.global_avg_pool2d(y), np.array([0]))


def test_infinite_inputs_with_a_finite_output_are_none():
    with detect_anomaly():
        assert ag.maximum(leaf(1.0), -np.inf).data == 1


def test_it_ends_also_with_an_error_and_may_be_nested():
    with detect_anomaly():
        with pytest.raises(KeyError), detect_anomaly():
            raise KeyError
        with pytest.raises(AnomalyError):
            leaf(np.nan) * 1.0
    assert np.isnan((leaf(np.nan) * 1.0).data)


def test_a_wrong_number_of_gradients_is_still_told_by_the_tape():
    made = Primitive(lambda a, b: (a * b, lambda gy: (gy,)), 2)
    with detect_anomaly(), pytest.raises(TypeError, match="gave 1 gradients of 2"):
        made(leaf(1.0), leaf(2.0)).backward()
