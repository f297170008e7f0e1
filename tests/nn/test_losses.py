"""The data loss of Section 3.5, against its formula written out."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinybar as tb
from tinybar import nn


def log_softmax(x: np.ndarray) -> np.ndarray:
    x = x - x.max(axis=1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


def by_hand(student, teacher, labels, alpha, temperature) -> float:
    """(1 - alpha) CE(P_s, Y_gt) + alpha T^2 CE(P_s, P_t), both softmaxes of the second at T."""
    hard = -log_softmax(student)[np.arange(len(labels)), labels].mean()
    p_t = np.exp(log_softmax(teacher / temperature))
    soft = -(p_t * log_softmax(student / temperature)).sum(axis=1).mean()
    return (1 - alpha) * hard + alpha * temperature**2 * soft


def problem(seed=0, n=5, k=4, scale=3.0):
    rng = np.random.default_rng(seed)
    student, teacher = scale * rng.standard_normal((2, n, k))
    return tb.Tensor(student, requires_grad=True), teacher, rng.integers(0, k, n)


@given(
    seed=st.integers(0, 2**32 - 1),
    alpha=st.sampled_from([0.0, 0.3, 0.9, 1.0]),
    temperature=st.floats(1, 20),
    scale=st.sampled_from([0.1, 3.0, 200.0]),
)
def test_the_formula(seed, alpha, temperature, scale):
    student, teacher, labels = problem(seed, scale=scale)
    loss = nn.distillation_loss(student, teacher, labels, alpha, temperature)
    expected = by_hand(student.data, teacher, labels, alpha, temperature)
    assert loss.item() == pytest.approx(expected, rel=1e-12)


def test_one_number_worked_out():
    """K = 2, student (ln 3, 0), teacher (T ln 4, 0), T = 2, label 0, alpha = 1/2."""
    student = tb.Tensor(np.array([[math.log(3), 0.0]]))
    loss = nn.distillation_loss(student, np.array([[2 * math.log(4), 0.0]]), np.array([0]), 0.5, 2)
    root = math.sqrt(3)
    soft = -(0.8 * math.log(root / (1 + root)) + 0.2 * math.log(1 / (1 + root)))
    assert loss.item() == pytest.approx(0.5 * math.log(4 / 3) + 0.5 * 4 * soft, rel=1e-14)


def test_the_defaults_are_the_paper_s():
    student, teacher, labels = problem()
    default = nn.distillation_loss(student, teacher, labels).item()
    assert default == nn.distillation_loss(student, teacher, labels, 0.9, 4.0).item()


def gradient(alpha, temperature, seed=0):
    student, teacher, labels = problem(seed)
    nn.distillation_loss(student, teacher, labels, alpha, temperature).backward()
    return student.grad, student.data, teacher, labels


def test_alpha_0_is_the_labels_alone_and_alpha_1_the_teacher_alone():
    grad, student, _, labels = gradient(0.0, 4.0)
    expected = (np.exp(log_softmax(student)) - np.eye(4)[labels]) / len(labels)
    np.testing.assert_allclose(grad, expected, atol=1e-14)
    grad, student, teacher, labels = gradient(1.0, 4.0)
    difference = np.exp(log_softmax(student / 4)) - np.exp(log_softmax(teacher / 4))
    np.testing.assert_allclose(grad, 4 * difference / len(labels), atol=1e-14)  # T^2 / T


def test_the_gradient_keeps_its_size_when_the_temperature_grows():
    """For T -> inf, T^2/T (softmax(s/T) - softmax(t/T)) -> ((s - mean s) - (t - mean t)) / K."""
    grad, student, teacher, labels = gradient(1.0, 1e5)
    centred = student - student.mean(1, keepdims=True) - (teacher - teacher.mean(1, keepdims=True))
    np.testing.assert_allclose(grad, centred / (4 * len(labels)), rtol=1e-3, atol=1e-4)


def test_nothing_goes_to_the_teacher():
    student, teacher, labels = problem()
    teacher = tb.Tensor(teacher, requires_grad=True)
    nn.distillation_loss(student, teacher, labels).backward()
    assert teacher.grad is None
    assert student.grad is not None


def test_the_dtype_is_the_student_s():
    student, teacher, labels = problem()
    small = tb.Tensor(student.data.astype(np.float32))
    assert nn.distillation_loss(small, teacher.astype(np.float32), labels).dtype == np.float32


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alpha": -0.1}, "0 <= alpha <= 1, got -0.1"),
        ({"alpha": 1.5}, "0 <= alpha <= 1, got 1.5"),
        ({"alpha": math.nan}, "alpha"),
        ({"temperature": 0.5}, "temperature >= 1, got 0.5"),
        ({"temperature": math.nan}, "temperature"),
        ({"teacher": np.zeros((5, 3))}, r"student logits \(5, 4\) and teacher logits \(5, 3\)"),
        ({"labels": np.full(5, 4)}, r"labels must lie in 0\.\.3"),
        ({"labels": np.zeros(4, int)}, r"target has shape \(4,\)"),
    ],
)
def test_errors(changes, message):
    student, teacher, labels = problem()
    arguments = {"teacher": teacher, "labels": labels} | changes
    with pytest.raises(ValueError, match=message):
        nn.distillation_loss(student, **arguments)


def test_accuracy_is_the_share_of_rows_with_the_largest_logit_at_the_label():
    logits = tb.Tensor(np.array([[1.0, 2, 0], [3, 2, 1], [0, 0, 9], [5, 6, 7]]))
    assert nn.accuracy(logits, np.array([1, 0, 2, 0])) == 0.75
    assert nn.accuracy(logits, np.array([0, 1, 0, 0])) == 0.0
