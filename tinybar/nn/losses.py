"""The data loss L_D (Section 3.5)."""

from __future__ import annotations

from typing import Any

from .. import autograd as ag
from ..autograd import Tensor
from ..autograd.tensor import as_array


def distillation_loss(
    student: Tensor, teacher: Any, labels: Any, alpha: float = 0.9, temperature: float = 4.0
) -> Tensor:
    """L_D = (1 - alpha) CE(student, labels) + alpha T^2 CE(student/T, softmax(teacher/T)).

    student, teacher: logits (N, K); no gradient goes to the teacher. labels: (N,) integers.
    T = temperature; T^2 keeps the second gradient's size whatever T is [Hinton et al. 2015].
    Raises ValueError unless 0 <= alpha <= 1 and temperature >= 1.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"distillation needs 0 <= alpha <= 1, got {alpha}")
    if not temperature >= 1:
        raise ValueError(f"distillation needs temperature >= 1, got {temperature}")
    teacher = as_array(teacher)
    if teacher.shape != student.shape:
        raise ValueError(
            f"student logits {student.shape} and teacher logits {teacher.shape} differ"
        )
    soft_targets = ag.softmax(Tensor(teacher / temperature))
    hard = ag.cross_entropy(student, labels)
    soft = ag.cross_entropy(student / temperature, soft_targets)
    return (1 - alpha) * hard + (alpha * temperature**2) * soft
