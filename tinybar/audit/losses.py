"""Closed forms of the data loss, and of the two updates of training: batch norm and Adam."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import autograd as ag
from .. import nn
from ..autograd import no_grad
from ..runtime.arrays import to_device
from .checks import closed_form, host, relative, tensor, unless

ALPHA, T = 0.9, 4.0  # Section 5.1


# --- distillation ---------------------------------------------------------------------------------


def log_sum_exp(row: Any) -> float:
    """ln sum e^x of one row, term by term."""
    largest = max(row)
    return largest + math.log(math.fsum(math.exp(x - largest) for x in row))


def probabilities(row: Any) -> list[float]:
    """softmax of one row."""
    return [math.exp(x - log_sum_exp(row)) for x in row]


def distillation_by_hand(student: Any, teacher: Any, labels: Any) -> float:
    """(1 - alpha) CE(P_s, Y) + alpha T^2 CE(P_s, P_t), with CE(p, q) = lse(x) - sum_k q_k x_k."""
    total = []
    for x, y, label in zip(student, teacher, labels, strict=True):
        hard = log_sum_exp(x) - x[label]
        q = probabilities(y / T)
        soft = log_sum_exp(x / T) - math.fsum(q[k] * x[k] / T for k in range(len(q)))
        total.append((1 - ALPHA) * hard + ALPHA * T**2 * soft)
    return math.fsum(total) / len(total)


def problem(rng: np.random.Generator) -> Any:
    """Logits of a student and a teacher (6, 5), labels (6,)."""
    return 3 * rng.standard_normal((6, 5)), 4 * rng.standard_normal((6, 5)), rng.integers(0, 5, 6)


def distill(student: Any, teacher: Any, labels: Any) -> Any:
    """The product's loss with the paper's alpha and T; Tensors, and labels on the host."""
    return nn.distillation_loss(student, teacher, to_device(labels))


@closed_form("losses", "distillation", "Section 3.5", 1e-12)
def distillation(rng):
    """Sums of logarithms and exponentials, row by row, alpha = 0.9 and T = 4."""
    student, teacher, labels = problem(rng)
    found = distill(tensor(student), tensor(teacher), labels)
    return relative(found, distillation_by_hand(student, teacher, labels))


@closed_form("losses", "gradient of distillation", "Section 3.5", 1e-12)
def gradient_of_distillation(rng):
    """((1 - alpha)(p - y) + alpha T (p_T - q_T)) / N; none to the teacher."""
    student, teacher, labels = problem(rng)
    x, y = tensor(student, True), tensor(teacher, True)
    distill(x, y, labels).backward()
    rows = []
    for s, t, label in zip(student, teacher, labels, strict=True):
        p, p_soft, q_soft = (np.array(probabilities(row)) for row in (s, s / T, t / T))
        p[label] -= 1
        rows.append(((1 - ALPHA) * p + ALPHA * T * (p_soft - q_soft)) / 6)
    return unless(y.grad is None, relative(x.grad, rows))


@closed_form("losses", "slopes of distillation", "Section 3.5", 1e-6)
def slopes_of_distillation(rng):
    """The tape's gradient against central differences of the loss written by hand."""
    student, teacher, labels = problem(rng)
    x, h = tensor(student, True), 1e-5
    distill(x, tensor(teacher), labels).backward()
    slopes = np.zeros_like(student)
    for index in np.ndindex(student.shape):
        step = np.zeros_like(student)
        step[index] = h
        above = distillation_by_hand(student + step, teacher, labels)
        below = distillation_by_hand(student - step, teacher, labels)
        slopes[index] = (above - below) / (2 * h)
    return relative(x.grad, slopes)


# --- batch norm -----------------------------------------------------------------------------------


@closed_form("updates", "batch norm normalises by the batch", "Ioffe & Szegedy 2015", 1e-12)
def batch_norm_of_a_batch(rng):
    """Mean and biased variance by math.fsum, channel by channel; alone, and before a ReLU."""
    x, eps = 2 * rng.standard_normal((4, 3, 5, 2)) + 1, 1e-5
    layer = nn.BatchNorm2d(2).astype(np.float64).train()
    expected = np.empty_like(x)
    for c in range(2):
        values = x[..., c].ravel().tolist()
        mean = math.fsum(values) / 60
        variance = math.fsum((v - mean) ** 2 for v in values) / 60
        expected[..., c] = (x[..., c] - mean) / math.sqrt(variance + eps)
    rectified = relative(layer.relu(tensor(x)), np.maximum(expected, 0))
    return max(relative(layer(tensor(x)), expected), rectified)


@closed_form("updates", "running statistics of batch norm", "Ioffe & Szegedy 2015", 1e-12)
def running_statistics(rng):
    """Four batches: r <- 0.9 r + 0.1 new, of the mean and the unbiased variance."""
    layer = nn.BatchNorm2d(2).astype(np.float64).train()
    means, variances = [0.0, 0.0], [1.0, 1.0]
    for normalise in (layer, layer.relu, layer, layer.relu):
        x = 2 * rng.standard_normal((4, 3, 2, 2)) + 1
        with no_grad():
            normalise(tensor(x))
        for c in range(2):
            values = x[..., c].ravel().tolist()
            mean = math.fsum(values) / 24
            variance = math.fsum((v - mean) ** 2 for v in values) / 23
            means[c] = 0.9 * means[c] + 0.1 * mean
            variances[c] = 0.9 * variances[c] + 0.1 * variance
    return max(relative(layer.running_mean, means), relative(layer.running_var, variances))


# --- Adam -----------------------------------------------------------------------------------------


@closed_form("updates", "Adam, five steps", "Section 5.1; Kingma & Ba 2015", 1e-12)
def adam(rng):
    """Both corrected moments as weighted means of all gradients; decay 5e-4 in one group of two."""
    groups = [{"lr": 1e-3, "weight_decay": 5e-4}, {"lr": 0.02, "weight_decay": 0.0}]
    starts, gradients = rng.standard_normal((2, 4)), rng.standard_normal((5, 2, 4))
    parameters = [tensor(start, True) for start in starts]
    optimizer = nn.Adam(
        [{"params": [p], **group} for p, group in zip(parameters, groups, strict=True)]
    )
    for step in gradients:
        for p, g in zip(parameters, step, strict=True):
            p.grad = tensor(g).data
        optimizer.step()

    errors = []
    for k, group in enumerate(groups):
        w, seen = starts[k].copy(), []
        for step in gradients:
            seen.append(step[k] + group["weight_decay"] * w)
            age = np.arange(len(seen))[::-1, None]
            mean, square = (
                (b**age * np.array(seen) ** power).sum(axis=0) / (b**age).sum()
                for b, power in ((0.9, 1), (0.999, 2))
            )
            w = w - group["lr"] * mean / (np.sqrt(square) + 1e-8)
        errors.append(relative(host(parameters[k]) - starts[k], w - starts[k]))
    return max(errors)


@closed_form("losses", "cross-entropy of labels", "Section 3.1", 1e-12)
def cross_entropy(rng):
    """ln sum e^x - x_label, row by row."""
    logits, _, labels = problem(rng)
    expected = math.fsum(log_sum_exp(x) - x[k] for x, k in zip(logits, labels, strict=True)) / 6
    return relative(ag.cross_entropy(tensor(logits), to_device(labels)), expected)
