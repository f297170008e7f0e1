"""The data loss of Section 3.5: ends, limits, errors. `audit/losses.py` derives the formula."""

import math

import numpy as np
import pytest

import tinybar as tb
from tinybar import autograd as ag
from tinybar import nn


def problem(seed=0, n=5, k=4, scale=3.0):
    rng = np.random.default_rng(seed)
    student, teacher = scale * rng.standard_normal((2, n, k))
    return tb.Tensor(student, requires_grad=True), teacher, rng.integers(0, k, n)


def test_one_number_worked_out():
    """K = 2, student (ln 3, 0), teacher (T ln 4, 0), T = 2, label 0, alpha = 1/2."""
    student = tb.Tensor(np.array([[math.log(3), 0.0]]))
    loss = nn.distillation_loss(student, np.array([[2 * math.log(4), 0.0]]), np.array([0]), 0.5, 2)
    root = math.sqrt(3)
    soft = -(0.8 * math.log(root / (1 + root)) + 0.2 * math.log(1 / (1 + root)))
    assert loss.item() == pytest.approx(0.5 * math.log(4 / 3) + 0.5 * 4 * soft, rel=1e-14)


def test_alpha_0_is_the_labels_alone_and_alpha_1_the_teacher_alone():
    student, teacher, labels = problem()
    by_labels = nn.distillation_loss(student, teacher, labels, alpha=0.0)
    assert by_labels.item() == ag.cross_entropy(student, labels).item()
    losses = {nn.distillation_loss(student, teacher, labels * k, alpha=1.0).item() for k in (0, 1)}
    assert len(losses) == 1
    same = nn.distillation_loss(student, student, labels, 1.0, 1.0)
    p = ag.softmax(student.detach())
    assert same.item() == pytest.approx(ag.cross_entropy(student, p).item(), rel=1e-15)


def test_extreme_logits():
    student, teacher, labels = problem(scale=1e4)
    loss = nn.distillation_loss(student, teacher, labels)
    loss.backward()
    assert np.isfinite(loss.item())
    assert np.isfinite(student.grad).all()


def test_the_gradient_keeps_its_size_when_the_temperature_grows():
    """For T -> inf, T^2/T (softmax(s/T) - softmax(t/T)) -> ((s - mean s) - (t - mean t)) / K."""
    tensor, teacher, labels = problem()
    nn.distillation_loss(tensor, teacher, labels, 1.0, 1e5).backward()
    grad, student = tensor.grad, tensor.data
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
