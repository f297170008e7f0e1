"""What a run must not pass over in silence: settings with which nothing is learnt or pruned.

Each function returns a line, or None. It is said when it is found, and again at the end.
"""

from __future__ import annotations

import math

import numpy as np

from ..autograd.gates import THRESHOLD

HIGH = 0.3  # a learning rate: a step of Adam, where weights are drawn from about N(0, 0.1^2)
FAR = 10.0  # times the loss of guessing


def of_rates(lr: float, gate_lr: float | None, iterations: int) -> list[str]:
    """Of the learning rates, before anything is trained. iterations: of pruning."""
    doubts = []
    if lr >= HIGH:
        doubts.append(f"--lr {lr:g} moves each weight by about {lr:g} at a step: hardly a network "
                      "learns so")  # fmt: skip
    if gate_lr is not None and gate_lr * iterations < -THRESHOLD:
        doubts.append(
            f"--gate-lr {gate_lr:g} moves a gate by about {gate_lr * iterations:.2g} in "
            f"{iterations:,} iterations, and it closes after {-THRESHOLD:.2g}: all will be left to "
            "hard pruning"
        )
    return doubts


def of_loss(stage: str, loss: float, classes: int) -> str | None:
    """Of the cross-entropy after the first epoch of a stage."""
    if loss < FAR * math.log(classes):
        return None
    return (
        f"the loss of the first epoch of stage {stage!r} is {loss:.3g}, that of guessing is "
        f"{math.log(classes):.3g}: the learning rate may be too high"
    )


def of_accuracy(who: str, accuracy: float, labels: np.ndarray) -> str | None:
    """Of an accuracy on images with these labels that always naming one class may reach, too."""
    share = np.bincount(labels).max() / len(labels)
    if accuracy > share + 3 * math.sqrt(share * (1 - share) / len(labels)):
        return None
    return (
        f"the accuracy of {who} is {accuracy:.3f}, no better than naming the most frequent class "
        f"always, {share:.3f}"
    )


def of_new_head(before: float, after: float) -> str | None:
    """Of the accuracies of a teacher with a new head, before and after all of it was trained."""
    if after >= before:
        return None
    return (
        f"training took the teacher from accuracy {before:.3f}, with a new head alone, to "
        f"{after:.3f}: more --teacher-epochs, more --teacher-slow-epochs or a lower --lr may help"
    )


def of_pruning(metric: str, full: int, reached: int, budget: int) -> str | None:
    """Of a stage with a penalty that brought the cost from `full` to `reached`."""
    if 2 * reached <= full + budget:
        return None
    moved = "did not move" if reached == full else f"came from {full:,} to {reached:,} only"
    return (
        f"the {metric} {moved} in training, and hard pruning alone takes it to {budget:,}: more "
        "--epochs, a higher --gate-lr or a higher --lambda let training choose"
    )
